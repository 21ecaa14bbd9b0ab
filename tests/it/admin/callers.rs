//! Who may call: authentication and permissions.

use keyward::rpc::pb::{self, key_admin_client::KeyAdminClient};
use prost_types::Timestamp;
use tonic::{Code, Request, Status, metadata::MetadataValue};

use super::{
    activate, another_token, deactivate, delete, every_call, every_change, get, in_seconds,
    regenerate, revoke, update, updated,
};
use crate::support::{
    client::{
        Made, assert_not_permitted, assert_outranks, assert_status, create, may_read,
        new_admin_key, new_key,
    },
    operator::{Operator, Site},
    pgbouncer::PgBouncer,
    server::{Server, connect},
};

/// The calls and the last word of the permission that each needs.
const NEEDED: [(&str, &str); 11] = [
    ("CreateKey", "write"),
    ("GetKey", "read"),
    ("ListKeys", "read"),
    ("LookupKey", "read"),
    ("UpdateKey", "write"),
    ("RegenerateKey", "write"),
    ("DeactivateKey", "write"),
    ("ActivateKey", "write"),
    ("RevokeKey", "revoke"),
    ("DeleteKey", "delete"),
    ("UndeleteKey", "delete"),
];

const ABUSE: pb::RevocationReason = pb::RevocationReason::Abuse;

/// What authentication says to a token.
async fn refusal(site: &Site, token: &str, reason: &str) {
    let mut admin = site.server.admin_as(token);
    let result = admin.list_keys(pb::ListKeysRequest::default()).await;
    assert_status(result, Code::Unauthenticated, reason);
}

#[tokio::test]
async fn no_call_is_answered_without_a_key() {
    let site = Site::shared();
    let key = create(&mut site.admin(), new_key("Guarded")).await;
    let mut nobody = site.server.admin_as("");
    let outcomes = every_call(&mut nobody, &key).await;
    let calls: Vec<_> = outcomes.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, NEEDED.map(|(call, _)| call));
    for (_, result) in outcomes {
        assert_status(result, Code::Unauthenticated, "KEY_MISSING");
    }
    let found = get(&mut site.admin(), &key.key.id).await;
    assert_eq!(found, key.key);
}

#[tokio::test]
async fn no_call_is_answered_with_an_ordinary_key() {
    let site = Site::shared();
    let request = pb::CreateKeyRequest {
        permissions: vec!["public".into(), "keyward".into()],
        ..new_key("Ordinary")
    };
    let key = create(&mut site.admin(), request).await;
    site.knows(key.revision).await;
    let mut intruder = site.server.admin_as(&key.token);
    for (_, result) in every_call(&mut intruder, &key).await {
        assert_status(result, Code::Unauthenticated, "KEY_UNKNOWN");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_told_why() {
    let site = Site::shared();
    let operator = site.operator(&["keyward.keys.read"]).await;
    let token = operator.made.token;
    let mistyped = format!("{}x", &token[..token.len() - 1]);
    refusal(&site, &mistyped, "KEY_MALFORMED").await;
    refusal(&site, &token[..20], "KEY_MALFORMED").await;
    refusal(&site, &"a".repeat(600), "KEY_MALFORMED").await;
    refusal(&site, "kw_prod_", "KEY_MALFORMED").await;
    refusal(&site, "of-another-brand", "KEY_UNKNOWN").await;
}

#[tokio::test]
async fn an_admin_key_that_is_not_live_opens_nothing() {
    let site = Site::shared();
    let mut root = site.admin();
    let Operator { made, mut admin } = site.operator(&["keyward.keys.read"]).await;
    let id = made.key.id.as_str();
    let listing = pb::ListKeysRequest::default;
    admin.list_keys(listing()).await.unwrap();

    let change = deactivate(&mut root, id).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_INACTIVE").await;

    let change = activate(&mut root, id).await.unwrap();
    site.knows(change.revision).await;
    admin.list_keys(listing()).await.unwrap();

    let change = revoke(&mut root, id, ABUSE).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_INACTIVE").await;
    activate(&mut root, id).await.unwrap();

    let expired = pb::Key { expire_time: Some(in_seconds(-1)), ..made.key.clone() };
    let expired = pb::Key { etag: String::new(), ..expired };
    let change = updated(&mut root, update(expired.clone(), &["expire_time"])).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_EXPIRED").await;

    let early = pb::Key { expire_time: None, not_before_time: Some(in_seconds(3600)), ..expired };
    let both = ["expire_time", "not_before_time"];
    let change = updated(&mut root, update(early, &both)).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_NOT_YET_VALID").await;

    let change = delete(&mut root, id, "Operator").await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_UNKNOWN").await;
}

#[tokio::test]
async fn a_replaced_token_of_an_admin_key_opens_nothing() {
    let site = Site::shared();
    let made = site.operator(&["keyward.keys.read"]).await.made;
    let new = regenerate(&mut site.admin(), another_token(&made.key.id)).await.unwrap();
    site.knows(new.revision).await;
    refusal(&site, &made.token, "KEY_UNKNOWN").await;
    let mut admin = site.server.admin_as(&new.token);
    admin.list_keys(pb::ListKeysRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_authorization_header_is_read_as_rfc_6750_has_it() {
    let site = Site::shared();
    let token = &site.database.root_token;
    let mut client = KeyAdminClient::new(connect(site.server.admin));
    for (value, reason) in [
        (format!("bearer {token}"), None),
        (format!("BEARER  {token} "), None),
        (token.clone(), Some("KEY_MISSING")),
        (format!("Basic {token}"), Some("KEY_MISSING")),
        (String::from("Bearer"), Some("KEY_MISSING")),
        (String::from("Bearer  "), Some("KEY_MISSING")),
        (format!("Bearer {token} {token}"), Some("KEY_MALFORMED")),
    ] {
        let mut request = Request::new(pb::ListKeysRequest::default());
        let value = MetadataValue::try_from(value).unwrap();
        request.metadata_mut().insert("authorization", value);
        let result = client.list_keys(request).await;
        match reason {
            None => drop(result.unwrap()),
            Some(reason) => drop(assert_status(result, Code::Unauthenticated, reason)),
        }
    }
}

/// Calls everything on a fresh key and says which calls were refused for want of permission.
async fn not_permitted(
    site: &Site,
    operator: &mut Operator,
    key: pb::CreateKeyRequest,
) -> Vec<&'static str> {
    let kind = if key.domain == "keyward" { "admins" } else { "keys" };
    let key = create(&mut site.admin(), key).await;
    let mut refused = Vec::new();
    let outcomes = every_call(&mut operator.admin, &key).await;
    for ((call, result), (named, word)) in outcomes.into_iter().zip(NEEDED) {
        assert_eq!(call, named);
        if result.as_ref().is_err_and(|status| status.code() == Code::PermissionDenied) {
            assert_not_permitted(result, &format!("keyward.{kind}.{word}"));
            refused.push(call);
        }
    }
    refused
}

fn all_but(word: &str) -> Vec<&'static str> {
    let others = NEEDED.iter().filter(|(_, needed)| *needed != word);
    others.map(|(call, _)| *call).collect()
}

fn only(word: &str) -> Vec<&'static str> {
    let those = NEEDED.iter().filter(|(_, needed)| *needed == word);
    those.map(|(call, _)| *call).collect()
}

const WORDS: [&str; 4] = ["read", "write", "revoke", "delete"];

#[tokio::test]
async fn each_permission_opens_its_calls_and_no_others() {
    let site = Site::shared();
    for word in WORDS {
        let mut operator = site.operator(&[&format!("keyward.keys.{word}")]).await;
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        assert_eq!(refused, all_but(word), "{word}");
    }
}

#[tokio::test]
async fn admin_keys_take_permissions_of_their_own() {
    let site = Site::shared();
    for word in WORDS {
        let own = format!("keyward.admins.{word}");
        let mut operator = site.operator(&["keyward.keys", &own]).await;
        let refused = not_permitted(&site, &mut operator, new_admin_key("Admin", &[])).await;
        assert_eq!(refused, all_but(word), "{word}");
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        assert_eq!(refused, [""; 0], "{word}");
    }
}

#[tokio::test]
async fn permissions_for_admin_keys_open_no_ordinary_ones() {
    let site = Site::shared();
    for word in WORDS {
        let admins = WORDS.map(|word| format!("keyward.admins.{word}"));
        let others = WORDS.iter().filter(|other| **other != word);
        let keys: Vec<_> = others.map(|other| format!("keyward.keys.{other}")).collect();
        let permissions: Vec<_> = admins.iter().chain(&keys).map(String::as_str).collect();
        let mut operator = site.operator(&permissions).await;
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        // a list of all domains shows what may be read: here it names one
        let expected: Vec<_> = only(word);
        assert_eq!(refused, expected, "{word}");
    }
}

#[tokio::test]
async fn a_key_with_other_permissions_may_do_nothing() {
    let site = Site::shared();
    let mut operator = site.operator(&["keyward.other"]).await;
    let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
    assert_eq!(refused, NEEDED.map(|(call, _)| call));
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_gone() {
    let site = Site::shared();
    let Operator { made, mut admin } = site.operator(&["keyward.keys"]).await;
    create(&mut admin, new_key("Before")).await;
    let less = pb::Key { permissions: vec!["keyward.keys.read".into()], ..made.key };
    let change = updated(&mut site.admin(), update(less, &["permissions"])).await.unwrap();
    site.knows(change.revision).await;
    let result = admin.create_key(new_key("After")).await;
    assert_not_permitted(result, "keyward.keys.write");
}

/// An operator who may do anything to admin keys, but little else.
async fn deputy(site: &Site) -> Operator {
    site.operator(&["keyward.admins", "keyward.keys.read"]).await
}

#[tokio::test]
async fn nobody_makes_an_admin_key_that_may_do_more_than_its_maker() {
    let site = Site::shared();
    let Operator { mut admin, .. } = deputy(&site).await;
    for permission in [
        "keyward.keys.write",
        "keyward.keys",
        "keyward",
        "keyward.*",
        "keyward.*.read",
        "*",
        "*.read",
        "public",
        "public.read",
        "systems.read",
    ] {
        let request = new_admin_key("Too much", &["keyward.keys.read", permission]);
        assert_outranks(admin.create_key(request.clone()).await);
        let tried = pb::CreateKeyRequest { validate_only: true, ..request };
        assert_outranks(admin.create_key(tried).await);
    }
    for permission in ["keyward.keys.read", "keyward.admins.write", "keyward.admins.*"] {
        create(&mut admin, new_admin_key("As much", &[permission])).await;
    }
}

#[tokio::test]
async fn an_operator_may_give_ordinary_keys_what_it_has_not() {
    let site = Site::shared();
    let Operator { mut admin, .. } = site.operator(&["keyward.keys.write"]).await;
    let request = pb::CreateKeyRequest {
        permissions: vec!["public".into(), "keyward".into()],
        ..new_key("Ordinary")
    };
    create(&mut admin, request).await;
}

#[tokio::test]
async fn nobody_changes_an_admin_key_that_may_do_more() {
    let site = Site::shared();
    let Operator { mut admin, .. } = deputy(&site).await;
    let request = new_admin_key("Higher", &["keyward.admins", "keyward.keys.write"]);
    let higher = create(&mut site.admin(), request).await;
    let (id, mut key) = (higher.key.id.clone(), higher.key.clone());
    get(&mut admin, &id).await;
    key.permissions = vec![];
    assert_outranks(updated(&mut admin, update(key, &["permissions"])).await);
    assert_outranks(regenerate(&mut admin, another_token(&id)).await);
    assert_outranks(deactivate(&mut admin, &id).await);
    assert_outranks(activate(&mut admin, &id).await);
    assert_outranks(revoke(&mut admin, &id, ABUSE).await);
    assert_outranks(delete(&mut admin, &id, "Higher").await);
    assert_outranks(super::undelete(&mut admin, &id).await);
    assert_eq!(get(&mut site.admin(), &id).await, higher.key);
}

#[tokio::test]
async fn nobody_widens_itself() {
    let site = Site::shared();
    let Operator { made, mut admin } = deputy(&site).await;
    let wider = |permissions: &[&str]| {
        let key = pb::Key {
            permissions: permissions.iter().map(ToString::to_string).collect(),
            etag: String::new(),
            ..made.key.clone()
        };
        update(key, &["permissions"])
    };
    assert_outranks(updated(&mut admin, wider(&["keyward"])).await);
    assert_outranks(updated(&mut admin, wider(&["keyward.admins", "systems"])).await);
    assert_eq!(get(&mut admin, &made.key.id).await.permissions, made.key.permissions);
    updated(&mut admin, wider(&["keyward.admins"])).await.unwrap();
}

#[tokio::test]
async fn admin_keys_are_listed_only_to_those_who_may_read_them() {
    let site = Site::shared();
    let mut reader = site.operator(&["keyward.keys.read"]).await.admin;
    let mut auditor = site.operator(&["keyward.admins.read"]).await.admin;
    let mut both = site.operator(&["keyward.*.read"]).await.admin;
    let label = super::labels(&[("test", "who-sees-whom")]);
    for request in [new_key("Ordinary"), new_admin_key("Admin", &[])] {
        let labels = label.clone();
        create(&mut site.admin(), pb::CreateKeyRequest { labels, ..request }).await;
    }
    let request = |domain: &str| pb::ListKeysRequest {
        domain: domain.into(),
        labels: label.clone(),
        ..pb::ListKeysRequest::default()
    };
    for (admin, expected) in [
        (&mut reader, &["Ordinary"][..]),
        (&mut auditor, &["Admin"]),
        (&mut both, &["Ordinary", "Admin"]),
    ] {
        let page = admin.list_keys(request("")).await.unwrap().into_inner();
        let names: Vec<_> = page.keys.iter().map(|key| key.display_name.as_str()).collect();
        assert_eq!(names, expected);
    }
    assert_not_permitted(reader.list_keys(request("keyward")).await, "keyward.admins.read");
    assert_not_permitted(auditor.list_keys(request("default")).await, "keyward.keys.read");
}

#[tokio::test]
async fn what_is_not_permitted_is_refused_before_it_is_looked_for() {
    let site = Site::shared();
    let mut operator = site.operator(&["keyward.other"]).await.admin;
    let mut made: Made = create(&mut site.admin(), new_key("Gone")).await;
    made.key.id = "key_00000000000000000000000000".into();
    for (call, result) in every_call(&mut operator, &made).await {
        let code = result.as_ref().map_err(Status::code);
        assert_eq!(code, Err(Code::PermissionDenied), "{call}");
    }
}

#[tokio::test]
async fn a_replica_that_lags_serves_no_admin_key_that_was_changed_elsewhere() {
    let site = Site::start(&[]).await;
    let mut root = site.admin();
    let mut operators = Vec::new();
    for _ in 0..6 {
        operators.push(site.operator(&["keyward"]).await.made);
    }
    let [replaced, revoked, deleted, narrowed, curtailed, overlapping] = &operators[..] else {
        panic!()
    };
    let key = create(&mut root, new_key("Guarded")).await;
    let (_bouncer, behind) = PgBouncer::start("callers", &site.database).await;
    let replica = Server::start_with(&behind, &["--poll-interval", "30m"]).await;
    // its follower may look once more after it has loaded, but not again
    let later = create(&mut root, new_key("Later")).await.revision;

    regenerate(&mut root, another_token(&replaced.key.id)).await.unwrap();
    revoke(&mut root, &revoked.key.id, ABUSE).await.unwrap();
    delete(&mut root, &deleted.key.id, "Operator").await.unwrap();
    let less = pb::Key { permissions: vec!["keyward.keys".into()], ..narrowed.key.clone() };
    updated(&mut root, update(less, &["permissions"])).await.unwrap();
    let less = pb::Key { expire_time: Some(in_seconds(3600)), ..curtailed.key.clone() };
    updated(&mut root, update(less, &["expire_time"])).await.unwrap();
    let overlap = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    let another = pb::RegenerateKeyRequest { overlap, ..another_token(&overlapping.key.id) };
    regenerate(&mut root, another).await.unwrap();
    for (made, code, reason) in [
        (replaced, Code::Unauthenticated, "KEY_INACTIVE"),
        (revoked, Code::Unauthenticated, "KEY_INACTIVE"),
        (deleted, Code::Unauthenticated, "KEY_INACTIVE"),
        (narrowed, Code::Unavailable, "REPLICA_STALE"),
        (curtailed, Code::Unavailable, "REPLICA_STALE"),
    ] {
        for (call, result) in every_call(&mut replica.admin_as(&made.token), &key).await {
            println!("{call}: {code:?} {reason}");
            assert_status(result, code, reason);
        }
    }
    // others are served, and so is a token that works on for a while
    for token in [&site.database.root_token, &overlapping.token] {
        assert_eq!(get(&mut replica.admin_as(token), &key.key.id).await, key.key);
    }
    let known = replica.asker().ask(may_read("")).await.revision;
    assert!(known <= later, "it heard of the changes");
}

/// Asserts that a call was refused because an admin key lasts longer than its caller.
fn assert_outlives<T>(result: Result<T, Status>) {
    assert_status(result, Code::PermissionDenied, "OUTLIVES_CALLER");
}

/// An operator who may do anything until some day.
async fn temp(site: &Site, expire: Timestamp) -> Operator {
    let request =
        pb::CreateKeyRequest { expire_time: Some(expire), ..new_admin_key("Temp", &["keyward"]) };
    let made = create(&mut site.admin(), request).await;
    site.knows(made.revision).await;
    Operator { admin: site.server.admin_as(&made.token), made }
}

#[tokio::test]
async fn nobody_makes_an_admin_key_that_lasts_longer_than_its_maker() {
    let site = Site::shared();
    let expire = in_seconds(3600);
    let Operator { mut admin, .. } = temp(&site, expire).await;
    let lasting = |expire_time| pb::CreateKeyRequest {
        expire_time,
        ..new_admin_key("Lasting", &["keyward"])
    };
    for longer in [None, Some(Timestamp { nanos: 1000, ..expire }), Some(in_seconds(7200))] {
        assert_outlives(admin.create_key(lasting(longer)).await);
        let tried = pb::CreateKeyRequest { validate_only: true, ..lasting(longer) };
        assert_outlives(admin.create_key(tried).await);
    }
    for as_long in [expire, in_seconds(1800)] {
        create(&mut admin, lasting(Some(as_long))).await;
    }
}

#[tokio::test]
async fn nobody_extends_itself() {
    let site = Site::shared();
    let expire = in_seconds(3600);
    let Operator { made, mut admin } = temp(&site, expire).await;
    let until = |expire_time| {
        let key = pb::Key { expire_time, etag: String::new(), ..made.key.clone() };
        update(key, &["expire_time"])
    };
    for longer in [None, Some(Timestamp { nanos: 1000, ..expire }), Some(in_seconds(7200))] {
        assert_outlives(updated(&mut admin, until(longer)).await);
        let tried = pb::UpdateKeyRequest { validate_only: true, ..until(longer) };
        assert_outlives(updated(&mut admin, tried).await);
    }
    assert_eq!(get(&mut admin, &made.key.id).await, made.key);
    updated(&mut admin, until(Some(expire))).await.unwrap();
    let change = updated(&mut admin, until(Some(in_seconds(1800)))).await.unwrap();
    // what it gave up it does not get back
    site.knows(change.revision).await;
    assert_outlives(updated(&mut admin, until(Some(expire))).await);
}

#[tokio::test]
async fn nobody_changes_an_admin_key_that_lasts_longer() {
    let site = Site::shared();
    let Operator { mut admin, .. } = temp(&site, in_seconds(3600)).await;
    for expire_time in [None, Some(in_seconds(7200))] {
        let request = pb::CreateKeyRequest { expire_time, ..new_admin_key("Longer", &[]) };
        let longer = create(&mut site.admin(), request).await.key;
        let outcomes = every_change(&mut admin, &longer).await;
        assert_eq!(outcomes.len(), 7);
        for (call, result) in outcomes {
            println!("{call}");
            assert_outlives(result);
        }
        let shorter = pb::Key { expire_time: Some(in_seconds(1800)), ..longer.clone() };
        assert_outlives(updated(&mut admin, update(shorter, &["expire_time"])).await);
        assert_eq!(get(&mut admin, &longer.id).await, longer);
    }
}

#[tokio::test]
async fn an_operator_may_do_all_to_ordinary_keys_that_outlast_it_and_to_its_equals() {
    let site = Site::shared();
    let expire = in_seconds(3600);
    let Operator { mut admin, .. } = temp(&site, expire).await;
    let equal = new_admin_key("Equal", &["keyward"]);
    let equal = pb::CreateKeyRequest { expire_time: Some(expire), ..equal };
    for request in [new_key("Ordinary"), equal] {
        let key = create(&mut admin, request).await.key;
        for (call, result) in every_change(&mut admin, &key).await {
            println!("{call}");
            result.unwrap();
        }
    }
}
