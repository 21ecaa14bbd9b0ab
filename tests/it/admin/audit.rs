//! What is recorded of changes.

use keyward::rpc::pb::{self, RevocationReason};
use serde_json::{Value, json};

use super::{
    activate, another_token, deactivate, delete, regenerate, revoke, rich_key, richest_key,
    undelete, update, updated, uuid,
};
use crate::support::{
    client::{Admin, create, new_key},
    limits::{self, stored},
    operator::Site,
};

/// One audit event, as it is stored.
#[derive(Debug, PartialEq)]
struct Event {
    revision: i64,
    actor: String,
    peer: Option<String>,
    action: String,
    before: Option<Value>,
    after: Option<Value>,
}

async fn events_of(site: &Site, id: &str) -> Vec<Event> {
    let query = "SELECT revision, actor, peer, action, before, after FROM keyward.audit_event
        WHERE kind = 'key' AND subject = $1 ORDER BY revision, position";
    let rows = site.database.connect().await.query(query, &[&id]).await.unwrap();
    let event = |row: &tokio_postgres::Row| Event {
        revision: row.try_get("revision").unwrap(),
        actor: row.try_get("actor").unwrap(),
        peer: row.try_get("peer").unwrap(),
        action: row.try_get("action").unwrap(),
        before: row.try_get("before").unwrap(),
        after: row.try_get("after").unwrap(),
    };
    rows.iter().map(event).collect()
}

/// What an event tells of the key's state: its action, its revision, the standing that the key has
/// after it, and whether the key is deleted then.
fn told(event: &Event) -> (&str, i64, &str, bool) {
    let after = event.after.as_ref().unwrap();
    let standing = after["standing"].as_str().unwrap();
    let deleted = !after["deleted_micros"].is_null();
    (&event.action, event.revision, standing, deleted)
}

/// Changes a key in every way; returns the revisions and the new token.
async fn change_in_every_way(admin: &mut Admin, key: &pb::Key) -> ([i64; 7], String) {
    let id = key.id.as_str();
    let renamed = pb::Key { display_name: "Renamed".into(), ..key.clone() };
    let renamed = updated(admin, update(renamed, &["display_name"])).await;
    let overlap = prost_types::Duration { seconds: 60, nanos: 0 };
    let request = pb::RegenerateKeyRequest { overlap: Some(overlap), ..another_token(id) };
    let new = regenerate(admin, request).await.unwrap();
    let changes = [
        deactivate(admin, id).await,
        activate(admin, id).await,
        revoke(admin, id, RevocationReason::Abuse).await,
        delete(admin, id, "Renamed").await,
        undelete(admin, id).await,
    ];
    let [off, on, revoked, gone, back] = changes.map(|change| change.unwrap().revision);
    let renamed = renamed.unwrap().revision;
    let revisions = [renamed, new.revision, off, on, revoked, gone, back];
    (revisions, new.token)
}

#[tokio::test]
async fn every_change_has_one_event_with_who_what_and_its_revision() {
    let site = Site::shared();
    let operator = site.operator(&["keyward.keys"]).await;
    let mut admin = operator.admin;
    let made = create(&mut admin, rich_key("Recorded")).await;
    let (revisions, token) = change_in_every_way(&mut admin, &made.key).await;
    let [renamed, new, off, on, revoked, gone, back] = revisions;

    let events = events_of(&site, &made.key.id).await;
    let expected = [
        ("keys.create", made.revision, "active", false),
        ("keys.update", renamed, "active", false),
        ("keys.regenerate", new, "active", false),
        ("keys.deactivate", off, "inactive", false),
        ("keys.activate", on, "active", false),
        ("keys.revoke", revoked, "revoked", false),
        ("keys.delete", gone, "revoked", true),
        ("keys.undelete", back, "revoked", false),
    ];
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected);
    for event in &events {
        let who = (event.actor.as_str(), event.peer.as_deref());
        assert_eq!(who, (operator.made.key.id.as_str(), Some("127.0.0.1")));
    }
    // each begins where the one before it ended
    assert_eq!(events[0].before, None);
    for pair in events.windows(2) {
        assert_eq!(pair[1].before, pair[0].after);
    }
    let tokens = [made.token, token];
    assert_no_secret(&site, &format!("{events:?}"), &made.key.id, &tokens).await;
}

/// No token, no part of one that no hint has, and no digest.
async fn assert_no_secret(site: &Site, told: &str, id: &str, tokens: &[String]) {
    for token in tokens {
        let (_, random) = token.rsplit_once('_').unwrap();
        let inner = &random[4..random.len() - 4];
        let parts = inner.as_bytes().windows(8).map(|part| str::from_utf8(part).unwrap());
        for part in parts {
            assert!(!told.contains(part), "a part of a token is told");
        }
    }
    let uuid = uuid(id);
    let query = format!(
        "SELECT encode(digest, 'hex'), encode(digest, 'base64') FROM keyward.key WHERE id = '{uuid}'"
    );
    let row = site.database.connect().await.query_one(&query, &[]).await.unwrap();
    for column in 0..2 {
        let digest: String = row.try_get(column).unwrap();
        assert!(!told.contains(&digest[..16]), "a digest is told");
    }
}

#[tokio::test]
async fn an_event_shows_what_the_key_was_and_became() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = pb::CreateKeyRequest {
        not_before_time: None,
        expire_time: Some(prost_types::Timestamp { seconds: 4_102_444_800, nanos: 0 }),
        ..richest_key(&site, "Shown").await
    };
    let made = create(&mut admin, request).await;
    let request = pb::RevokeKeyRequest {
        id: made.key.id.clone(),
        reason: RevocationReason::Other.into(),
        comment: "Because.".into(),
        ..pb::RevokeKeyRequest::default()
    };
    admin.revoke_key(request).await.unwrap();
    let events = events_of(&site, &made.key.id).await;
    let before = json!({
        "domain": "default",
        "environment": "staging",
        "display_name": "Shown",
        "description": "For the booking panel.\nAsk Ida.",
        "permissions": ["systems", "*.read"],
        "route_rules": ["GET,HEAD /api/v2", "=/health"],
        "labels": {"team": "red", "cost/center": "Käse 17"},
        "user": "rich",
        "groups": ["richer", "rich"],
        "customers": ["c-1", "C/2"],
        "limits": stored(&limits::of_each_kind()),
        "allowed_addresses": ["192.0.2.0/24", "2001:db8::/32"],
        "denied_addresses": ["192.0.2.7"],
        "managed_by": site.root_id().await,
        "allow_self_regenerate": true,
        "not_before_micros": null,
        "expire_micros": 4_102_444_800_000_000_i64,
        "standing": "active",
        "hint": made.key.hint,
        "deleted_micros": null,
        "version": 1,
    });
    let mut after = before.clone();
    after["standing"] = json!("revoked");
    after["revoke_reason"] = json!("other");
    after["revoke_comment"] = json!("Because.");
    after["version"] = json!(2);
    let shown: Vec<_> = events.into_iter().map(|event| (event.before, event.after)).collect();
    assert_eq!(shown, [(None, Some(before.clone())), (Some(before), Some(after))]);
}

#[tokio::test]
async fn what_is_refused_or_only_read_leaves_no_trace() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Quiet")).await;
    let id = made.key.id.as_str();
    drop(super::get(&mut admin, id).await);
    admin.list_keys(pb::ListKeysRequest::default()).await.unwrap();
    let token = made.token.clone();
    admin.lookup_key(pb::LookupKeyRequest { token }).await.unwrap();
    delete(&mut admin, id, "Loud").await.unwrap_err();
    undelete(&mut admin, id).await.unwrap_err();
    updated(&mut admin, update(pb::Key::default(), &["id"])).await.unwrap_err();
    assert_eq!(events_of(&site, id).await.len(), 1);
    let head = "SELECT revision FROM keyward.log_head";
    assert_eq!(site.database.number(head).await, made.revision);
}

#[tokio::test]
async fn revisions_are_dense_though_many_write_at_once() {
    let site = Site::start(&[]).await;
    let before = site.database.number("SELECT revision FROM keyward.log_head").await;
    let mut first = site.admin();
    let made = create(&mut first, new_key("Busy")).await;
    let mut writers = Vec::new();
    for writer in 0..8 {
        let mut admin = site.admin();
        let id = made.key.id.clone();
        writers.push(async move {
            let mut revisions = Vec::new();
            for _ in 0..5 {
                let made = create(&mut admin, new_key(&format!("Writer {writer}"))).await;
                revisions.push(made.revision);
                let new = regenerate(&mut admin, another_token(&id)).await.unwrap();
                revisions.push(new.revision);
            }
            revisions
        });
    }
    let revisions = futures_util::future::join_all(writers).await;
    for own in &revisions {
        assert!(own.is_sorted(), "{own:?}");
    }
    let mut all: Vec<_> = revisions.into_iter().flatten().collect();
    all.sort_unstable();
    let expected: Vec<_> = (made.revision + 1..=made.revision + 80).collect();
    assert_eq!(all, expected);
    assert_eq!(made.revision, before + 1);
    let gaps = "SELECT max(revision) - min(revision) + 1 - count(DISTINCT revision) FROM keyward.change_log";
    assert_eq!(site.database.number(gaps).await, 0);
    let pairs = "SELECT count(*) FROM keyward.change_log FULL JOIN keyward.audit_event AS event
        USING (revision, kind, subject) WHERE nonce IS NULL OR event.action IS NULL";
    assert_eq!(site.database.number(pairs).await, 0);
}
