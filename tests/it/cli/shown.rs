//! Output: JSON and YAML for programs, nothing harmful for terminals, pipes that end early.

use std::{io::Read, process::Command};

use keyward::rpc::pb::CreateKeyRequest;
use serde_json::{Value, json};

use super::{User, piped, text};
use crate::support::{
    client::{create, new_key},
    eventually,
    operator::Site,
};

/// What may be in a name, and must not reach a terminal as it is.
const HARMFUL: &str = "evil\u{202e}\u{200b}\u{e0041} 日本 👩‍🚀";

#[tokio::test]
async fn what_a_name_has_in_it_does_nothing_to_a_terminal() {
    let site = Site::shared();
    let user = User::of(&site);
    let request = CreateKeyRequest { description: "one\n\ttwo".into(), ..new_key(HARMFUL) };
    let id = create(&mut site.admin(), request).await.key.id;
    for format in ["table", "json", "yaml"] {
        for command in [&["keys", "show", &id][..], &["keys", "list", "--search", "evil"]] {
            let shown = user.good(&[command, &["-o", format]].concat()).await.printed;
            let harmless = |char: char| char == '\n' || !char.is_control();
            assert!(shown.chars().all(harmless), "{shown:?}");
            assert!(!shown.contains(['\u{202e}', '\u{200b}', '\u{e0041}']), "{shown:?}");
            assert!(shown.contains("日本"), "{shown:?}");
        }
    }
    let shown = user.json(&["keys", "show", &id]).await;
    assert_eq!(shown["displayName"], json!(HARMFUL));
}

#[tokio::test]
async fn exported_lines_are_keys_without_secrets() {
    let site = Site::shared();
    let user = User::of(&site);
    let (id, token) = user.make("Exported").await;
    let exported = user.good(&["keys", "export", "--search", "Exported"]).await;
    assert!(!exported.printed.contains(&token));
    let lines: Vec<Value> =
        exported.printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [user.json(&["keys", "show", &id]).await].map(|mut key| {
            // names of permissions are for those who look at one key
            key.as_object_mut().unwrap().remove("permissionNames");
            key
        })
    );
}

/// How the program ends when nobody reads what it prints, and what it complains of.
async fn unread(mut command: Command) -> (Option<i32>, String) {
    let mut child = piped(&mut command);
    drop(child.stdout.take());
    let status = eventually("the command ends", async || child.try_wait().unwrap()).await;
    let mut complained = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
    (status.code(), complained)
}

#[tokio::test]
async fn who_reads_no_further_is_no_error() {
    let site = Site::shared();
    let user = User::of(&site);
    user.make("Read half").await;
    assert_eq!(unread(user.command(&["keys", "list"])).await, (Some(0), String::new()));
}

#[tokio::test]
async fn what_is_denied_or_failed_ends_so_even_if_nobody_reads_it() {
    let site = Site::shared();
    let user = User::of(&site);
    let (_, token) = user.make("Denied unread").await;
    let key = user.file("key", &token);
    let allowed = ["authorize", "-p", "systems.read", "--key-file", text(&key)];
    eventually("the server knows the key", async || {
        (user.run(&allowed).await.code == 0).then_some(())
    })
    .await;
    for (permission, code) in [("systems.write", 1), ("systems.read", 0)] {
        let arguments = ["authorize", "-p", permission, "--key-file", text(&key)];
        for format in ["table", "json"] {
            let command = user.command(&[&arguments[..], &["-o", format]].concat());
            assert_eq!(unread(command).await, (Some(code), String::new()), "{permission} {format}");
        }
    }
    let items = user.file("keys.csv", "display_name,sha256\nImported unread,\n");
    let (code, complained) = unread(user.command(&["keys", "import", text(&items)])).await;
    assert_eq!(code, Some(1), "{complained}");
    assert!(complained.contains("could not be imported: 1 of 1"), "{complained}");
}

#[tokio::test]
async fn a_token_that_nobody_could_read_is_an_error() {
    let site = Site::shared();
    let user = User::of(&site);
    let (code, complained) = unread(user.command(&["keys", "create", "Lost", "-p", "a"])).await;
    assert_eq!(code, Some(1), "{complained}");
    assert!(complained.contains("lost") && complained.contains("keys regenerate"), "{complained}");
}

#[tokio::test]
async fn completions_know_the_commands() {
    let site = Site::shared();
    let user = User::of(&site);
    for shell in ["bash", "zsh", "fish"] {
        let script = user.good(&["completions", shell]).await.printed;
        for word in ["regenerate", "authorize", "contexts", "no-color"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
}

#[tokio::test]
async fn help_has_the_exit_codes() {
    let site = Site::shared();
    let user = User::of(&site);
    for arguments in [&["keys", "--help"][..], &["authorize", "--help"], &["login", "--help"]] {
        let help = user.good(arguments).await.printed;
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains("4 not permitted"), "{help}");
        assert!(!help.contains(&user.token), "{help}");
    }
}
