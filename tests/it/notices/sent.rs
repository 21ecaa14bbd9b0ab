//! What a receiver gets, and when.

use std::collections::BTreeSet;

use keyward::rpc::pb::{self, Key, UpdateKeyRequest};
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::{
    DAY, ending, grow_old, in_seconds, many_ending,
    receiver::{Arrived, Receiver, Reply},
    start,
};
use crate::support::{
    client::{Admin, create, new_key},
    database::Database,
    eventually,
};

/// Names and thresholds of what came, in its order.
fn told(arrived: &[Arrived]) -> Vec<(String, String)> {
    let threshold = |one: &Arrived| one.verified()["data"]["threshold"].as_str().unwrap().into();
    arrived.iter().map(|one| (one.name(), threshold(one))).collect()
}

fn of(name: &str, threshold: &str) -> (String, String) {
    (name.into(), threshold.into())
}

/// Gives a key another end.
async fn end_at(admin: &mut Admin, id: &str, seconds: i64) {
    let key = Key { id: id.into(), expire_time: Some(in_seconds(seconds)), ..Key::default() };
    let update_mask = Some(FieldMask { paths: vec!["expire_time".into()] });
    let request = UpdateKeyRequest { key: Some(key), update_mask, ..UpdateKeyRequest::default() };
    admin.update_key(request).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_about_to_expire_is_told_of_once_with_a_good_signature_and_no_secret() {
    let receiver = Receiver::start("once", &[]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    let request = pb::CreateKeyRequest {
        expire_time: Some(in_seconds(6 * DAY)),
        customers: vec!["acme".into()],
        ..new_key("Old and \"billing\"")
    };
    let made = create(&mut server.admin(), request).await;
    grow_old(&database, "Old").await;
    let first = receiver.until(1).await.remove(0);
    let mut message = first.verified();
    assert_eq!(first.target(), "POST /hook?from=keyward");
    assert!(message["timestamp"].as_str().unwrap().ends_with('Z'));
    message["timestamp"] = Value::Null;
    let seconds = made.key.expire_time.unwrap().seconds;
    let expire_time = database
        .connect()
        .await
        .query_one(&format!("SELECT to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\".000000Z\"')"), &[])
        .await
        .unwrap();
    let data = json!({
        "key_id": made.key.id,
        "display_name": "Old and \"billing\"",
        "hint": made.key.hint,
        "domain": "default",
        "environment": "production",
        "user": null,
        "customers": ["acme"],
        "created_by": made.key.created_by,
        "expire_time": expire_time.get::<_, String>(0),
        "threshold": "7d",
    });
    assert_eq!(message, json!({ "type": "key.expiring", "timestamp": null, "data": data }));
    assert!(!first.text().contains(&made.token));

    ending(&server, "Older", 3600).await;
    grow_old(&database, "Older").await;
    let arrived = receiver.until(2).await;
    assert_eq!(told(&arrived)[1..], [of("Older", "1d")]);
    assert!(arrived[1].id().starts_with("msg_") && arrived[1].id() != first.id());
    server.stop().await;
    assert_eq!(receiver.arrived().len(), 2, "each is told of once");
}

#[tokio::test]
async fn each_threshold_gives_a_notice_and_a_new_end_gives_new_ones() {
    let receiver = Receiver::start("thresholds", &[]).await;
    let database = Database::new();
    let mut flags = receiver.flags();
    flags.extend(["--notice-before", "4s,2h"].map(String::from));
    let server = start(&database, &flags).await;
    // one that lives for less than a threshold is not told of by it
    ending(&server, "Short", 3000).await;
    let key = ending(&server, "Long", 6).await;
    grow_old(&database, "Long").await;
    assert_eq!(told(&receiver.until(2).await), [of("Long", "2h"), of("Long", "4s")]);
    end_at(&mut server.admin(), &key.id, 7000).await;
    assert_eq!(told(&receiver.until(3).await)[2..], [of("Long", "2h")]);
    end_at(&mut server.admin(), &key.id, 100 * DAY).await;
    end_at(&mut server.admin(), &key.id, 7100).await;
    assert_eq!(told(&receiver.until(4).await)[3..], [of("Long", "2h")]);
    assert_eq!(receiver.ids().len(), 4);
    server.stop().await;
    assert_eq!(receiver.arrived().len(), 4);
}

#[tokio::test]
async fn a_notice_that_was_dropped_after_a_try_and_is_made_again_has_the_same_id() {
    let wait = Reply::Status(503, "retry-after: 3\r\n");
    let receiver = Receiver::start("again", &[wait]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    let id = ending(&server, "Old again", 3600).await.id;
    grow_old(&database, "Old").await;
    receiver.until(1).await;
    let mut admin = server.admin();
    let request = pb::DeactivateKeyRequest { id: id.clone(), ..Default::default() };
    admin.deactivate_key(request).await.unwrap();
    let kept = "SELECT count(*) FROM keyward.notice";
    eventually("it is dropped", async || (database.number(kept).await == 0).then_some(())).await;
    let request = pb::ActivateKeyRequest { id, ..Default::default() };
    admin.activate_key(request).await.unwrap();
    let arrived = receiver.until(2).await;
    assert_eq!(arrived[0].id(), arrived[1].id());
}

#[tokio::test]
async fn what_moved_was_stopped_or_deleted_is_not_told_of_any_more() {
    // nothing is sent for three seconds, in which all is changed
    let wait = Reply::Status(503, "retry-after: 3\r\n");
    let receiver = Receiver::start("dropped", &[wait]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    let mut keys = Vec::new();
    for name in ["Old moved", "Old revoked", "Old inactive", "Old deleted", "Old kept"] {
        keys.push(ending(&server, name, 3600).await.id);
    }
    grow_old(&database, "Old").await;
    receiver.until(1).await;
    let waiting = "SELECT count(*) FROM keyward.notice WHERE state = 'waiting'";
    eventually("all wait", async || (database.number(waiting).await == 5).then_some(())).await;
    let mut admin = server.admin();
    end_at(&mut admin, &keys[0], 100 * DAY).await;
    let request = pb::RevokeKeyRequest {
        id: keys[1].clone(),
        reason: pb::RevocationReason::Superseded.into(),
        ..pb::RevokeKeyRequest::default()
    };
    admin.revoke_key(request).await.unwrap();
    let request = pb::DeactivateKeyRequest { id: keys[2].clone(), ..Default::default() };
    admin.deactivate_key(request).await.unwrap();
    let request = pb::DeleteKeyRequest {
        id: keys[3].clone(),
        confirm: "Old deleted".into(),
        ..Default::default()
    };
    admin.delete_key(request).await.unwrap();
    eventually("all is settled", async || (database.number(waiting).await == 0).then_some(()))
        .await;
    let taken: BTreeSet<String> = receiver.arrived()[1..].iter().map(Arrived::name).collect();
    assert_eq!(taken, ["Old kept".to_owned()].into());
    // one that comes back is told of
    let request = pb::ActivateKeyRequest { id: keys[2].clone(), ..Default::default() };
    admin.activate_key(request).await.unwrap();
    eventually("it is told of", async || {
        receiver.arrived()[1..].iter().any(|one| one.name() == "Old inactive").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_ended_while_no_server_ran_is_told_of_late_but_not_what_was_ended_on_purpose() {
    let receiver = Receiver::start("late", &[]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    for name in ["Old late", "Old before", "On purpose"] {
        ending(&server, name, 100 * DAY).await;
    }
    server.stop().await;
    let client = database.connect().await;
    client
        .batch_execute(
            "UPDATE keyward.notice_head SET looked_at = now() - interval '2 days';
            UPDATE keyward.key SET created_at = now() - interval '9 days',
                updated_at = now() - interval '9 days',
                expire_at = now() - CASE display_name WHEN 'Old before' THEN interval '3 days'
                    ELSE interval '1 hour' END
            WHERE display_name LIKE 'O%';
            UPDATE keyward.key SET updated_at = now() WHERE display_name = 'On purpose'",
        )
        .await
        .unwrap();
    let server = start(&database, &receiver.flags()).await;
    ending(&server, "Old next", 3600).await;
    grow_old(&database, "Old next").await;
    let arrived = receiver.until(2).await;
    assert_eq!(told(&arrived), [of("Old late", "1d"), of("Old next", "1d")]);
}

#[tokio::test]
async fn two_replicas_send_each_notice_once() {
    const KEYS: i64 = 40;
    let receiver = Receiver::start("two", &[]).await;
    let database = Database::new();
    let first = start(&database, &receiver.flags()).await;
    let second = start(&database, &receiver.flags()).await;
    many_ending(&database, &first, KEYS).await;
    let sent = "SELECT count(*) FROM keyward.notice WHERE state = 'sent'";
    eventually("all are sent", async || (database.number(sent).await == KEYS).then_some(())).await;
    assert_eq!((receiver.arrived().len(), receiver.ids().len()), (40, 40));
    // whoever had the hold leaves it, and the other goes on
    first.stop().await;
    ending(&second, "Old", 3600).await;
    grow_old(&database, "Old").await;
    receiver.until(41).await;
}

#[tokio::test]
async fn more_keys_than_are_read_together_are_all_told_of() {
    let receiver = Receiver::start("many", &[]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    many_ending(&database, &server, 120).await;
    receiver.until(120).await;
    assert_eq!(receiver.ids().len(), 120);
}
