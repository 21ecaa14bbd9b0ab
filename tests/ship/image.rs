//! The image: the Dockerfile is in order, and what it copies is all that the program needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    settings::assert_accepted,
    support::{read, run, text},
};

const DOCKERFILE: &str = "Dockerfile";

/// The instructions of the last stage, with their arguments, lines joined.
fn last_stage() -> Vec<(String, String)> {
    let joined = read(DOCKERFILE).replace("\\\n", " ");
    let lines =
        joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut stage = Vec::new();
    for (name, rest) in lines.filter_map(|line| line.split_once(' ')) {
        if name == "FROM" {
            stage.clear();
        }
        stage.push((name.to_owned(), rest.trim().to_owned()));
    }
    stage
}

fn all(name: &str) -> Vec<String> {
    last_stage().into_iter().filter(|(it, _)| it == name).map(|(_, rest)| rest).collect()
}

#[test]
fn hadolint_finds_nothing_wrong_with_the_dockerfile() {
    let hadolint = |file: &str| run("hadolint", "scripts/ensure-hadolint", &["--no-color", file]);
    let checked = hadolint(DOCKERFILE);
    assert!(checked.status.success() && checked.stdout.is_empty(), "{}", text(&checked.stdout));
    // a file that is no Dockerfile, so that a check that finds nothing is none
    assert!(!hadolint("Makefile").status.success());
}

#[test]
fn the_image_runs_one_program_as_nobody_and_says_what_it_is() {
    assert_eq!(all("USER"), ["65532:65532"], "a number: Kubernetes cannot tell who a name is");
    assert_eq!(all("ENTRYPOINT"), [r#"["/usr/local/bin/keyward"]"#]);
    assert_eq!(all("CMD"), [r#"["serve"]"#]);
    assert_eq!(all("RUN"), [""; 0], "its base has no shell");
    let wanted = [
        "--from=build /out/keyward /usr/local/bin/keyward",
        "LICENSE /usr/share/doc/keyward/LICENSE",
    ];
    assert_eq!(all("COPY"), wanted);
    let values = crate::yaml::parse_one(&read("helm/keyward/values.yaml"));
    assert_eq!(values["podSecurityContext"]["runAsUser"], 65532, "as in the chart");
    for whole in ["cargo auditable build --locked --release", "--strip-debug"] {
        assert!(read(DOCKERFILE).contains(whole), "{whole}");
    }
}

#[test]
fn what_the_image_sets_the_program_accepts() {
    let variables: BTreeMap<String, String> = all("ENV")
        .iter()
        .flat_map(|line| line.split_whitespace())
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_accepted(&["serve"], &variables, DOCKERFILE);
    let ports: BTreeSet<&str> =
        variables.values().filter_map(|it| it.split_once(':')).map(|(_, port)| port).collect();
    let exposed = all("EXPOSE").remove(0);
    assert_eq!(ports, exposed.split_whitespace().collect());
}

#[test]
fn the_program_is_ready_with_nothing_but_what_the_image_has() {
    let tried = run("scripts/try-image", "scripts/try-image", &[env!("CARGO_BIN_EXE_keyward")]);
    let told = format!("{}{}", text(&tried.stdout), text(&tried.stderr));
    assert!(tried.status.success() && told.contains("ready as user 65532"), "{told}");
    assert!(told.contains(&format!("keyward {}", env!("CARGO_PKG_VERSION"))), "{told}");
}

#[test]
fn the_list_of_crates_has_what_is_linked_and_nothing_of_tests() {
    let listed = run("scripts/sbom", "scripts/sbom", &[]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let list: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = list["components"].as_array().unwrap();
    let known: BTreeSet<&str> =
        components.iter().map(|it| it["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(known.len(), components.len(), "none is in it twice");
    let name_of = |reference: &&str| reference.split(['/', '@']).nth(1).unwrap().to_owned();
    let names: BTreeSet<String> = known.iter().map(name_of).collect();
    for linked in ["tokio", "ring", "rustls", "mimalloc", "libmimalloc-sys"] {
        assert!(names.contains(linked), "{linked}");
    }
    for unlinked in ["proptest", "protox", "divan", "keyward"] {
        assert!(!names.contains(unlinked), "{unlinked}");
    }
    for component in components {
        assert_eq!(component["hashes"][0]["alg"], "SHA-256", "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    for dependency in list["dependencies"].as_array().unwrap() {
        let on = dependency["dependsOn"].as_array().unwrap();
        assert!(on.iter().all(|it| known.contains(it.as_str().unwrap())), "{dependency}");
    }
}
