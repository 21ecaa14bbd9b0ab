//! `keyward audit`, which reads the database without a service.

use serde_json::Value;

use super::{list, site_with, verdict};
use crate::support::{
    client::new_key,
    operator::Site,
    program::{Ended, program, run},
};
use keyward::rpc::pb::AuditFilter;

async fn audit(site: &Site, arguments: &[&str]) -> Ended {
    let mut command = program(&[&["audit"], arguments].concat());
    command.env("DATABASE_URL", &site.database.url);
    run(command).await
}

#[tokio::test]
async fn a_whole_audit_is_said_to_be_whole_with_its_hash() {
    let (site, _) = site_with(3).await;
    let known = verdict(&site).await;
    let ended = audit(&site, &["verify"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.printed.contains("whole: 4 event(s)"), "{ended:?}");
    assert!(ended.printed.ends_with(&format!("{}\n", known.last_hash)), "{ended:?}");
    let number = known.last_number.to_string();
    let arguments = ["verify", "--known-number", &number, "--known-hash", &known.last_hash];
    assert_eq!(audit(&site, &arguments).await.code, 0);
    let zeros = "0".repeat(64);
    let arguments = ["verify", "--known-number", &number, "--known-hash", &zeros];
    audit(&site, &arguments).await.assert_refusal(1, &["event 4 ", "rewritten"]);
}

#[tokio::test]
async fn a_broken_audit_ends_with_status_1_and_names_the_event() {
    let (site, made) = site_with(3).await;
    let edit = "UPDATE keyward.audit_event SET actor = 'x' WHERE number = 3";
    site.database.connect().await.batch_execute(edit).await.unwrap();
    let ended = audit(&site, &["verify"]).await;
    let revision = made[1].revision;
    let event = format!("event 3 (revision {revision}, position 1) was edited");
    ended.assert_refusal(1, &[&event, "after 2 event(s)"]);
    assert_eq!(ended.printed, format!("BROKEN: {event}\n"));
    let last = revision - 1;
    assert_eq!(audit(&site, &["verify", "--revision-max", &(last - 1).to_string()]).await.code, 0);
}

#[tokio::test]
async fn an_export_has_every_event_as_one_line_of_json() {
    let (site, _) = site_with(60).await;
    let reader = site.operator(&["keyward.keys.read"]).await;
    reader.admin.clone().create_key(new_key("Refused")).await.unwrap_err();
    let ended = audit(&site, &["export"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = ended.printed.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let mut events = list(&mut site.server.insight(), AuditFilter::default()).await;
    events.reverse();
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(&events) {
        assert_eq!(line["subject"], event.subject.as_str());
        assert_eq!(line["action"], event.action.as_str());
        let revision = (event.revision > 0).then_some(event.revision);
        assert_eq!(line["revision"].as_i64(), revision);
        assert_eq!(line["hash"].as_str().unwrap_or_default(), event.hash);
        assert_eq!(line["reason"].as_str().unwrap_or_default(), event.reason);
    }
    assert_eq!(lines[1]["after"]["display_name"], "Key 0");
    let some = audit(&site, &["export", "--revision-min", "2", "--revision-max", "4"]).await;
    assert_eq!(some.printed.lines().count(), 3);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (site, _) = site_with(0).await;
    for (arguments, words) in [
        (&["verify", "--known-number", "1"][..], "--known-hash"),
        (&["verify", "--known-number", "0", "--known-hash", &"0".repeat(64)], "--known-number"),
        (&["verify", "--known-number", "1", "--known-hash", "x"], "64 characters"),
        (&["export", "--revision-min", "x"], "--revision-min"),
        (&[], "Usage"),
    ] {
        audit(&site, arguments).await.assert_refusal(2, &[words]);
    }
    let reversed = ["export", "--revision-min", "3", "--revision-max", "2"];
    audit(&site, &reversed).await.assert_refusal(1, &["--revision-max"]);
}
