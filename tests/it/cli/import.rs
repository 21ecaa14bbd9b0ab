//! `keyward keys import`: items become keys, and what is wrong with some is told.

use std::{fmt::Write as _, io::Write, process::Stdio};

use keyward::rpc::pb::{JobState, ListJobsRequest};
use ring::digest::{SHA256, digest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{User, text};
use crate::support::{eventually, operator::Site};

fn hex_of(token: &str) -> String {
    let mut hex = String::new();
    for byte in digest(&SHA256, token.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

#[tokio::test]
async fn items_become_keys_with_their_old_tokens() {
    let site = Site::shared();
    let user = User::of(&site);
    let lines = [
        json!({"displayName": "Json import 1", "sha256": hex_of("json-import-token-1")}),
        json!({"displayName": "Json import 2", "token": "json-import-token-2", "id": "key_of_old",
            "permissions": ["other.read"]}),
    ];
    let input = lines.map(|line| line.to_string()).join("\n\n");
    let arguments = ["keys", "import", "-", "-p", "systems.read", "-o", "json"];
    let ended = user.feed(&arguments, &input).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let job: serde_json::Value = serde_json::from_str(&ended.printed).unwrap();
    assert_eq!((&job["state"], &job["done"]), (&json!("JOB_STATE_SUCCEEDED"), &json!("2")));
    assert!(!ended.printed.contains("json-import-token"), "{ended:?}");
    let found = user.json(&["keys", "list", "--search", "Json import", "--sort", "name"]).await;
    assert_eq!(found[0]["permissions"], json!(["systems.read"]));
    assert_eq!(found[1]["permissions"], json!(["other.read"]));
    eventually("the server knows the imported key", async || {
        let decided = user.feed(&["authorize", "-p", "systems.read"], "json-import-token-1").await;
        (decided.code == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn items_that_fail_are_told_and_those_that_are_there_are_skipped() {
    let site = Site::shared();
    let user = User::of(&site);
    let file = user.file(
        "keys.csv",
        &format!("display_name,sha256,label:team\nCsv import,{},a\nNo digest,,\n", hex_of("csv-1")),
    );
    let ended = user.run(&["keys", "import", text(&file)]).await;
    ended.assert_refusal(1, &["item 2 (No digest)", "could not be imported: 1 of 2"]);
    assert!(ended.printed.contains("Made:     1"), "{ended:?}");
    let again = user.run(&["keys", "import", text(&file)]).await;
    assert!(again.printed.contains("Skipped:  1"), "{again:?}");
    let found = user.json(&["keys", "list", "--search", "Csv import"]).await;
    assert_eq!(found[0]["labels"], json!({"team": "a"}));
}

#[tokio::test]
async fn a_line_that_cannot_be_read_makes_no_key_at_all() {
    let site = Site::shared();
    let user = User::of(&site);
    let good = json!({"displayName": "Never made", "sha256": hex_of("never-made")});
    let many = format!("{good}\n").repeat(600);
    let ended = user.feed(&["keys", "import", "-"], &format!("{many}{{\"colour\": 1}}\n")).await;
    ended.assert_refusal(2, &["line 601", "colour", "nothing was imported"]);
    user.run(&["keys", "import", "/none.csv"]).await.assert_refusal(1, &["/none.csv"]);
    let bad = user.feed(&["keys", "import", "-", "-e", "nowhere"], &format!("{good}\n")).await;
    bad.assert_refusal(2, &["--environment"]);
    let found = user.json(&["keys", "list", "--search", "Never made"]).await;
    assert_eq!(found, json!([]));
}

#[tokio::test]
async fn an_exported_key_is_not_imported_without_its_restrictions_or_after_its_end() {
    let site = Site::shared();
    let user = User::of(&site);
    let create = ["keys", "create", "Carried narrow", "-p", "a"];
    user.good(&[&create[..], &["--route", "GET /a"]].concat()).await;
    let (ended, _) = user.make("Carried ended").await;
    user.good(&["keys", "revoke", &ended, "--reason", "abuse", "--yes"]).await;
    user.make("Carried whole").await;
    for (name, refused) in
        [("narrow", Some("line 1: routeRules: ")), ("ended", Some("line 1: ")), ("whole", None)]
    {
        let search = format!("Carried {name}");
        let exported = user.good(&["keys", "export", "--search", &search]).await.printed;
        let mut line: serde_json::Value = serde_json::from_str(&exported).unwrap();
        line["token"] = json!(format!("exported-token-{name}"));
        let imported = user.feed(&["keys", "import", "-"], &line.to_string()).await;
        match refused {
            Some(told) => imported.assert_refusal(2, &[told, "nothing was imported"]),
            None => assert_eq!(imported.code, 0, "{imported:?}"),
        }
    }
}

#[tokio::test]
async fn an_import_that_is_interrupted_makes_no_key() {
    let site = Site::shared();
    let operator = site.operator(&["keyward"]).await;
    let user = User::with(site.server.admin, &operator.made.token);
    let mut command = user.command(&["keys", "import", "-", "--domain", "default"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let line = json!({"displayName": "Interrupted", "sha256": hex_of("interrupted")});
    // more than one message, and standard input stays open
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{line}\n").repeat(600).as_bytes()).unwrap();
    let jobs = async || {
        let request = ListJobsRequest::default();
        let listed = site.server.insight().list_jobs(request).await.unwrap().into_inner();
        let own = listed.jobs.into_iter().filter(|job| job.created_by == operator.made.key.id);
        own.map(|job| job.state()).collect::<Vec<_>>()
    };
    eventually("the server receives", async || {
        (jobs().await == [JobState::Receiving]).then_some(())
    })
    .await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = eventually("the command ends", async || child.try_wait().unwrap()).await;
    drop(input);
    let ended = child.wait_with_output().unwrap();
    let complained = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(status.code(), Some(130), "{complained}");
    assert!(complained.contains("no key was made of them"), "{complained}");
    eventually("the job is gone or ended", async || {
        (!jobs().await.contains(&JobState::Receiving)).then_some(())
    })
    .await;
    assert_eq!(user.json(&["keys", "list", "--search", "Interrupted"]).await, json!([]));
}
