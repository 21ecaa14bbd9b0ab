//! Jobs, uses, decisions and the audit by the command line.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{User, piped};
use crate::support::{eventually, operator::Site, program::run, server::Server};

const ALL: [&str; 4] = ["--decision-log", "all", "--usage-flush-interval", "20ms"];

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

/// Waits until a token is allowed to read systems, which is a decision that is logged.
async fn decide(server: &Server, token: &str, expected: &str) {
    server.asker().until(token, expected).await;
}

#[tokio::test]
async fn a_job_needs_the_number_of_its_keys_and_is_followed_to_its_end() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    for name in ["A", "B", "C"] {
        user.good(&["keys", "create", name, "-p", "a.read", "-l", "team=web"]).await;
    }
    let revoke = ["jobs", "start", "revoke", "--label", "team=web", "--reason", "superseded"];
    let with = |more: &[&'static str]| [&revoke[..], more].concat();
    let counted = user.good(&with(&["--dry-run"])).await;
    assert!(counted.complained.contains("3 key(s) would be revoked"), "{counted:?}");
    user.run(&revoke).await.assert_refusal(2, &["--confirm 3"]);
    user.run(&with(&["--confirm", "2"])).await.assert_refusal(6, &["COUNT_MISMATCH"]);
    assert_eq!(user.json(&["keys", "list", "--state", "revoked"]).await, json!([]));
    let job = user.json(&with(&["--confirm", "3", "--watch"])).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("JOB_STATE_SUCCEEDED"), &json!("3")));
    let id = job["id"].as_str().unwrap();
    assert_eq!(user.json(&["jobs", "show", id]).await, job);
    assert_eq!(user.json(&["jobs", "watch", id]).await, job);
    assert_eq!(user.json(&["jobs", "errors", id]).await, json!([]));
    let listed = user.json(&["jobs", "list", "--kind", "revoke"]).await;
    assert_eq!(listed, json!([job]));
    user.run(&["jobs", "cancel", id, "--yes"]).await.assert_refusal(6, &["JOB_ENDED"]);
    let again = user.good(&with(&["--state", "active"])).await;
    assert!(again.complained.contains("No key is to be revoked"), "{again:?}");
}

#[tokio::test]
async fn uses_are_told_to_programs_and_plotted_for_people() {
    let site = Site::start(&ALL).await;
    let user = User::of(&site);
    let (_, token) = user.make("Used").await;
    decide(&site.server, &token, "ALLOWED").await;
    let counted = eventually("the use is counted", async || {
        let usage = user.json(&["usage", "--key", "Used", "--step", "hour"]).await;
        usage["total"]["allowed"].is_string().then_some(usage)
    });
    assert_eq!(counted.await["rows"].as_array().unwrap().len(), 1);
    for (locale, ink) in [("C.UTF-8", "█"), ("C", "#")] {
        let mut command = user.command(&["usage", "--domain", "default"]);
        command.env("LC_ALL", locale);
        let plot = run(command).await.printed;
        assert!(plot.contains(&ink.repeat(10)) && plot.contains("allowed"), "{plot}");
        assert_eq!(plot.is_ascii(), locale == "C", "{plot}");
    }
    let unknown = user.run(&["usage", "--domain", "default", "--customer", "nobody"]).await;
    unknown.assert_refusal(3, &["nobody"]);
    let nothing = user.good(&["usage", "--since", "2020-01-01", "--until", "2020-01-02"]).await;
    assert!(nothing.printed.is_empty() && nothing.complained.contains("Nothing"), "{nothing:?}");
}

#[tokio::test]
async fn decisions_are_listed_by_filters() {
    let site = Site::start(&ALL).await;
    let user = User::of(&site);
    let (id, token) = user.make("Asks").await;
    decide(&site.server, &token, "ALLOWED").await;
    decide(&site.server, "kw_prod_nobody", "401 KEY_MALFORMED").await;
    let listed = eventually("decisions are stored", async || {
        let all = user.json(&["decisions", "list", "--key", "Asks", "--since", "1h"]).await;
        (!all.as_array().unwrap().is_empty()).then_some(all)
    });
    assert_eq!(listed.await[0]["keyId"], id.as_str());
    let table = user.good(&["decisions", "list", "--verdict", "allowed"]).await.printed;
    assert!(table.contains("VERDICT") && table.contains(&id), "{table}");
    let bad = eventually("denials are stored", async || {
        let bad = user.json(&["decisions", "list", "--reason", "key-malformed"]).await;
        (!bad.as_array().unwrap().is_empty()).then_some(bad)
    });
    assert_eq!(bad.await[0]["reason"], "REASON_KEY_MALFORMED");
}

#[tokio::test]
async fn decisions_are_followed_until_ctrl_c() {
    let site = Site::start(&ALL).await;
    let user = User::of(&site);
    let (id, token) = user.make("Watched").await;
    let arguments = ["decisions", "list", "--follow", "--key", &id, "--output", "json"];
    let mut tail = piped(&mut user.command(&arguments));
    let mut told = BufReader::new(tail.stderr.take().unwrap());
    let mut first = String::new();
    told.read_line(&mut first).unwrap();
    assert!(first.contains("Ctrl-C ends it"), "{first}");
    decide(&site.server, &token, "ALLOWED").await;
    let mut shown = BufReader::new(tail.stdout.take().unwrap());
    let mut line = String::new();
    shown.read_line(&mut line).unwrap();
    assert_eq!(lines(&line)[0]["keyId"], id.as_str());
    interrupt(&tail);
    let status = eventually("the tail ends", async || tail.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(130));
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[tokio::test]
async fn the_audit_is_listed_verified_and_exported_by_a_server() {
    let site = Site::start(&[]).await;
    let user = User::of(&site);
    let (id, _) = user.make("Audited").await;
    user.good(&["keys", "deactivate", &id]).await;
    let listed = user.json(&["audit", "list", "--subject", &id]).await;
    let actions: Vec<_> = listed.as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert_eq!(actions, ["keys.deactivate", "keys.create"]);
    let verdict = user.json(&["audit", "verify"]).await;
    assert_eq!(verdict["verdict"]["intact"], true);
    let (number, hash) = (&verdict["verdict"]["lastNumber"], &verdict["verdict"]["lastHash"]);
    let known =
        ["--known-number", number.as_str().unwrap(), "--known-hash", hash.as_str().unwrap()];
    user.good(&[&["audit", "verify"], &known[..]].concat()).await;
    let exported = user.good(&["audit", "export", "--actor", "bootstrap"]).await.printed;
    assert_eq!(lines(&exported)[0]["action"], "keys.bootstrap");

    let edit = "UPDATE keyward.audit_event SET actor = 'x' WHERE number = 2";
    site.database.connect().await.batch_execute(edit).await.unwrap();
    let broken = user.run(&["audit", "verify"]).await;
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(
        broken.printed.starts_with("BROKEN: ") && broken.printed.contains("event 2"),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_database_and_a_server_are_not_both_asked_about_the_audit() {
    let site = Site::shared();
    let user = User::of(&site);
    let mut both = user.command(&["audit", "verify"]);
    both.env("DATABASE_URL", &site.database.url);
    run(both).await.assert_refusal(2, &["--server", "DATABASE_URL"]);
    let mut filtered = user.bare(&["audit", "export", "--actor", "x"]);
    filtered.env("DATABASE_URL", &site.database.url);
    run(filtered).await.assert_refusal(2, &["filter"]);
}
