//! `keyward envoy` as it is called: what it prints, and how it ends.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Output, Stdio},
};

use crate::support::program::{program, run};

fn example() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/envoy/envoy.yaml");
    fs::read_to_string(path).unwrap()
}

/// Runs a check of this text on standard input.
fn check(text: &[u8], more: &[&str]) -> Output {
    let mut command = program(&[&["envoy", "check", "-"], more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(text).unwrap();
    running.wait_with_output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn the_example_is_printed_as_it_is_committed() {
    let ended = run(program(&["envoy", "example"])).await;
    assert_eq!((ended.code, ended.printed), (0, example()), "{}", ended.complained);
}

#[tokio::test]
async fn an_example_with_a_bad_choice_is_refused() {
    for [flag, value] in [
        ["--upstream", "nowhere"],
        ["--keyward", "a:0"],
        ["--listen", "here"],
        ["--environment", "No Name"],
        ["--key-sources", "somewhere"],
    ] {
        run(program(&["envoy", "example", flag, value])).await.assert_refusal(2, &[flag, value]);
    }
}

#[test]
fn a_check_ends_by_what_it_found() {
    let good = check(example().as_bytes(), &[]);
    let counts = "standard input: 0 error(s), 0 warning(s), 0 advice\n";
    assert_eq!((good.status.code(), printed(&good).as_str()), (Some(0), counts));

    let advice = example().replace("validate_mutations: true", "validate_mutations: false");
    let advised = check(advice.as_bytes(), &[]);
    assert_eq!(advised.status.code(), Some(0), "{advised:?}");
    assert!(printed(&advised).contains("advice[unchecked-mutations]"), "{advised:?}");

    let open = example().replace("failure_mode_allow: false", "failure_mode_allow: true");
    let bad = check(open.as_bytes(), &["--output", "json"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let objects: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(objects[0]["rule"], "failure-mode-allow", "{objects}");

    for nothing in [&b""[..], b"a: [", b"\xff\xfe\0", b"a: b"] {
        let refused = check(nothing, &[]);
        assert_eq!(
            (refused.status.code(), printed(&refused).as_str()),
            (Some(2), ""),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let ended = run(program(&["envoy", "check", "/no/such/envoy.yaml"])).await;
    ended.assert_refusal(2, &["/no/such/envoy.yaml cannot be read"]);
}
