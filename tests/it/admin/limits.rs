//! Limits of keys: what is taken, refused and shown.

use std::slice::from_ref;

use keyward::rpc::pb::{self, CreateKeyRequest, Key};
use tonic::Code;

use super::{get, regenerate, update, updated};
use crate::support::{
    client::{assert_invalid, assert_status, create, new_admin_key, new_key},
    limits::{bad, daily, extreme, of_each_kind, rate, slots, span},
    operator::Site,
};

#[tokio::test]
async fn limits_that_cannot_be_are_told_by_their_fields() {
    let site = Site::shared();
    let mut admin = site.admin();
    let there = create(&mut admin, new_key("Limited")).await.key;
    for (limits, told) in bad() {
        for validate_only in [false, true] {
            let limits = limits.clone();
            let request = CreateKeyRequest { limits, validate_only, ..new_key("Bad") };
            assert_invalid(admin.create_key(request).await, &[&format!("limits{told}")]);
        }
        let mut sent = update(Key { limits, ..there.clone() }, &["limits"]);
        for validate_only in [false, true] {
            sent.validate_only = validate_only;
            let told = &format!("key.limits{told}");
            assert_invalid(updated(&mut admin, sent.clone()).await, &[told]);
        }
        // what no path names is not looked at
        sent.update_mask = update(Key::default(), &["description"]).update_mask;
        updated(&mut admin, sent).await.unwrap();
    }
    assert_eq!(get(&mut admin, &there.id).await, there);
}

#[tokio::test]
async fn all_limits_that_are_wrong_are_told_at_once() {
    let site = Site::shared();
    let limits = vec![
        rate("A", 0, span(60, 0), 1),
        slots("b", 1),
        daily("c", -1),
        pb::Limit { name: "d".into(), kind: None },
        slots("b", 0),
    ];
    let request = CreateKeyRequest { limits, ..new_key("") };
    let told = [
        "display_name",
        "limits[0].name",
        "limits[0].rate.limit",
        "limits[2].quota.limit",
        "limits[3]",
        "limits[4].concurrency.limit",
    ];
    assert_invalid(site.admin().create_key(request).await, &told);
}

#[tokio::test]
async fn every_bound_of_a_limit_is_taken_and_shown_as_it_was_sent() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut there = create(&mut admin, new_key("Updated")).await.key;
    for (at, limits) in extreme().into_iter().enumerate() {
        let label = format!("bounds-{at}");
        let labels = [("bounds".to_owned(), label.clone())].into();
        let request = CreateKeyRequest { limits: limits.clone(), labels, ..new_key("Bounds") };
        let tried = CreateKeyRequest { validate_only: true, ..request.clone() };
        let tried = admin.create_key(tried).await.unwrap().into_inner().key.unwrap();
        assert_eq!(tried.limits, limits);
        let made = create(&mut admin, request).await.key;
        assert_eq!(made.limits, limits);
        assert_eq!(get(&mut admin, &made.id).await, made);
        let labels = [("bounds".to_owned(), label)].into();
        let request = pb::ListKeysRequest { labels, ..pb::ListKeysRequest::default() };
        let listed = admin.list_keys(request).await.unwrap().into_inner().keys;
        assert_eq!(listed, from_ref(&made));
        let renewed = regenerate(&mut admin, super::another_token(&made.id)).await.unwrap();
        assert_eq!(renewed.key.limits, limits);

        let mut sent = update(Key { limits: limits.clone(), ..there.clone() }, &["limits"]);
        sent.validate_only = true;
        assert_eq!(updated(&mut admin, sent.clone()).await.unwrap().key.limits, limits);
        assert_eq!(get(&mut admin, &there.id).await, there);
        sent.validate_only = false;
        there = updated(&mut admin, sent).await.unwrap().key;
        assert_eq!(there.limits, limits);
        assert_eq!(get(&mut admin, &there.id).await, there);
    }
}

#[tokio::test]
async fn a_burst_that_is_absent_is_the_limit() {
    let site = Site::shared();
    let mut admin = site.admin();
    let limits = vec![rate("plain", 90, span(60, 0), 0)];
    let made = create(&mut admin, CreateKeyRequest { limits, ..new_key("Burst") }).await.key;
    assert_eq!(made.limits, [rate("plain", 90, span(60, 0), 90)]);
    assert_eq!(get(&mut admin, &made.id).await, made);
}

#[tokio::test]
async fn other_limits_with_the_same_etag_are_stale() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = CreateKeyRequest { limits: of_each_kind(), ..new_key("Stale") };
    let before = create(&mut admin, request).await.key;
    let none = Key { limits: vec![], ..before.clone() };
    let after = updated(&mut admin, update(none, &["limits"])).await.unwrap().key;
    assert_eq!(after.limits, []);
    assert_ne!(after.etag, before.etag);
    let stale = updated(&mut admin, update(before, &["limits"])).await;
    assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(get(&mut admin, &after.id).await, after);
}

#[tokio::test]
async fn an_admin_key_has_limits_of_its_own() {
    let site = Site::shared();
    let mut admin = site.admin();
    let limits = vec![rate("calls", 1, span(3600, 0), 3)];
    let request =
        CreateKeyRequest { limits: limits.clone(), ..new_admin_key("Slow", &["keyward"]) };
    let made = create(&mut admin, request).await;
    site.knows(made.revision).await;
    assert_eq!(made.key.limits, limits);
    let mut slow = site.server.admin_as(&made.token);
    for _ in 0..3 {
        assert_eq!(get(&mut slow, &made.key.id).await.limits, limits);
    }
    let request = pb::GetKeyRequest { id: made.key.id.clone() };
    let refused = slow.get_key(request).await;
    assert_status(refused, Code::ResourceExhausted, "RATE_LIMITED");
}

#[tokio::test]
async fn a_request_with_other_limits_is_another_request() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = CreateKeyRequest {
        limits: of_each_kind(),
        request_id: "with-limits".into(),
        ..new_key("Repeated")
    };
    let made = create(&mut admin, request.clone()).await.key;
    let again = admin.create_key(request.clone()).await.unwrap().into_inner();
    assert_eq!(again.key, Some(made));
    let request = CreateKeyRequest { limits: vec![daily("other", 1)], ..request };
    assert_invalid(admin.create_key(request).await, &["request_id"]);
}
