//! `request_id`: a retry does not do it twice.

use keyward::rpc::pb::{CreateKeyRequest, Key, KeyState, ListKeysRequest, RegenerateKeyRequest};
use tonic::Code;

use super::{
    another_token, delete, get, in_seconds, labels, micros, now_micros, regenerate, rich_key,
};
use crate::support::{
    client::{Admin, Made, assert_invalid, assert_status, create, new_key},
    eventually,
    operator::Site,
};

async fn try_create(admin: &mut Admin, request: CreateKeyRequest) -> Made {
    let response = admin.create_key(request).await.unwrap().into_inner();
    Made { key: response.key.unwrap(), token: response.token, revision: response.revision }
}

/// A request with an id and a label, both `id`.
fn named(id: &str) -> CreateKeyRequest {
    CreateKeyRequest {
        request_id: id.into(),
        labels: labels(&[("test", id)]),
        ..rich_key("Repeated")
    }
}

async fn keys_with(admin: &mut Admin, label: &str) -> Vec<Key> {
    let request =
        ListKeysRequest { labels: labels(&[("test", label)]), ..ListKeysRequest::default() };
    admin.list_keys(request).await.unwrap().into_inner().keys
}

async fn events(site: &Site, id: &str) -> i64 {
    let query = format!("SELECT count(*) FROM keyward.audit_event WHERE subject = '{id}'");
    site.database.number(&query).await
}

#[tokio::test]
async fn the_same_create_again_returns_its_key_without_the_token() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = named("create-again");
    let first = create(&mut admin, request.clone()).await;
    for _ in 0..2 {
        let again = try_create(&mut admin, request.clone()).await;
        assert_eq!((again.key, again.token.as_str()), (first.key.clone(), ""));
        assert!(again.revision >= first.revision);
    }
    assert_eq!(keys_with(&mut admin, "create-again").await, std::slice::from_ref(&first.key));
    assert_eq!(events(&site, &first.key.id).await, 1);
}

#[tokio::test]
async fn of_two_concurrent_creates_one_shows_the_token() {
    let site = Site::shared();
    let (mut left, mut right) = (site.admin(), site.admin());
    for round in 0..10 {
        let id = format!("create-at-once-{round}");
        let (one, other) =
            tokio::join!(try_create(&mut left, named(&id)), try_create(&mut right, named(&id)),);
        let tokens = [&one.token, &other.token].map(|token| !token.is_empty());
        assert_eq!(tokens.iter().filter(|shown| **shown).count(), 1);
        assert_eq!(one.key, other.key);
        assert_eq!(keys_with(&mut left, &id).await, std::slice::from_ref(&one.key));
        assert_eq!(events(&site, &one.key.id).await, 1);
    }
}

#[tokio::test]
async fn another_create_with_the_same_id_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let first = create(&mut admin, named("create-other")).await;
    let request = named("create-other");
    for request in [
        CreateKeyRequest { display_name: "Other".into(), ..request.clone() },
        CreateKeyRequest { environment: "production".into(), ..request.clone() },
        CreateKeyRequest { permissions: vec!["systems".into()], ..request.clone() },
        CreateKeyRequest { route_rules: vec![], ..request.clone() },
        CreateKeyRequest { expire_time: None, ..request.clone() },
        CreateKeyRequest { customers: vec![], ..request.clone() },
        CreateKeyRequest { allowed_addresses: vec![], ..request.clone() },
        CreateKeyRequest { denied_addresses: vec![], ..request.clone() },
        CreateKeyRequest { allow_self_regenerate: false, ..request.clone() },
    ] {
        assert_invalid(admin.create_key(request).await, &["request_id"]);
    }
    let tried = CreateKeyRequest { validate_only: true, ..request };
    let tried = admin.create_key(tried).await.unwrap().into_inner();
    assert_eq!((tried.token.as_str(), tried.revision), ("", 0));
    let regeneration =
        RegenerateKeyRequest { request_id: "create-other".into(), ..another_token(&first.key.id) };
    assert_invalid(regenerate(&mut admin, regeneration).await, &["request_id"]);
    assert_eq!(get(&mut admin, &first.key.id).await, first.key);
    assert_eq!(keys_with(&mut admin, "create-other").await.len(), 1);
}

#[tokio::test]
async fn another_callers_request_id_is_another() {
    let site = Site::shared();
    let mut other = site.operator(&["keyward.keys"]).await.admin;
    let first = create(&mut site.admin(), named("two-callers")).await;
    let second = create(&mut other, named("two-callers")).await;
    assert_ne!(first.key.id, second.key.id);
    assert_eq!(keys_with(&mut other, "two-callers").await, [first.key, second.key]);
}

#[tokio::test]
async fn without_a_request_id_each_create_makes_a_key() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = CreateKeyRequest { request_id: String::new(), ..named("no-request-id") };
    for _ in 0..3 {
        create(&mut admin, request.clone()).await;
    }
    assert_eq!(keys_with(&mut admin, "no-request-id").await.len(), 3);
}

#[tokio::test]
async fn a_refused_create_does_not_use_up_its_id() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = CreateKeyRequest { domain: "no-such-domain".into(), ..named("refused-first") };
    assert_invalid(admin.create_key(request).await, &["domain"]);
    create(&mut admin, named("refused-first")).await;
}

#[tokio::test]
async fn a_repeated_create_shows_the_key_as_it_is_now() {
    let site = Site::shared();
    let mut admin = site.admin();
    let first = create(&mut admin, named("deleted-since")).await;
    let deleted = delete(&mut admin, &first.key.id, "Repeated").await.unwrap();
    let again = try_create(&mut admin, named("deleted-since")).await;
    assert_eq!((again.key, again.token.as_str()), (deleted.key, ""));
}

#[tokio::test]
async fn a_create_is_repeated_also_when_its_key_has_expired() {
    let site = Site::shared();
    let mut admin = site.admin();
    let end = in_seconds(2);
    let request = CreateKeyRequest {
        not_before_time: None,
        expire_time: Some(end),
        ..named("expired-since")
    };
    let first = create(&mut admin, request.clone()).await;
    eventually("the key expires", async || (now_micros() >= micros(&end)).then_some(())).await;
    let again = try_create(&mut admin, request).await;
    let expected = Key { state: KeyState::Expired.into(), ..first.key };
    assert_eq!((again.key, again.token.as_str()), (expected, ""));
}

#[tokio::test]
async fn a_request_id_is_free_again_after_a_day() {
    let site = Site::shared();
    let mut admin = site.admin();
    let first = create(&mut admin, named("a-day-later")).await;
    // older ones, more than are forgotten at a time
    let later = "INSERT INTO keyward.request (caller, request_id, fingerprint, key_id, created_at)
        SELECT 'somebody', number, '', gen_random_uuid(), now() - interval '9 days'
        FROM generate_series(1, 2000) AS number;
        UPDATE keyward.request SET created_at = created_at - interval '1 day'
        WHERE request_id = 'a-day-later'";
    let database = site.database.connect().await;
    database.batch_execute(later).await.unwrap();
    let second = create(&mut admin, named("a-day-later")).await;
    assert_ne!(second.key.id, first.key.id);
    let again = try_create(&mut admin, named("a-day-later")).await;
    assert_eq!((again.key, again.token.as_str()), (second.key, ""));
}

#[tokio::test]
async fn the_same_regeneration_again_gives_no_other_token() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Rotated")).await;
    let request = RegenerateKeyRequest {
        request_id: "regenerate-again".into(),
        etag: made.key.etag.clone(),
        ..another_token(&made.key.id)
    };
    let first = regenerate(&mut admin, request.clone()).await.unwrap();
    assert!(!first.token.is_empty());
    let again = regenerate(&mut admin, request.clone()).await.unwrap();
    assert_eq!((again.key, again.token.as_str()), (first.key.clone(), ""));
    assert_eq!(events(&site, &made.key.id).await, 2);
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&first.token, again.revision).await, "ALLOWED");

    let other = create(&mut admin, new_key("Other")).await;
    for changed in [
        RegenerateKeyRequest { id: other.key.id, ..request.clone() },
        RegenerateKeyRequest { etag: String::new(), ..request.clone() },
    ] {
        assert_invalid(regenerate(&mut admin, changed).await, &["request_id"]);
    }
}

#[tokio::test]
async fn of_two_concurrent_regenerations_one_shows_the_token() {
    let site = Site::shared();
    let (mut left, mut right) = (site.admin(), site.admin());
    let made = create(&mut left, new_key("Rotated")).await;
    for round in 0..5 {
        let request = RegenerateKeyRequest {
            request_id: format!("regenerate-at-once-{round}"),
            ..another_token(&made.key.id)
        };
        let (one, other) = tokio::join!(
            regenerate(&mut left, request.clone()),
            regenerate(&mut right, request.clone()),
        );
        let (one, other) = (one.unwrap(), other.unwrap());
        let shown = [one.token, other.token].into_iter().filter(|token| !token.is_empty());
        assert_eq!(shown.count(), 1);
        assert_eq!(one.key, other.key);
    }
    assert_eq!(events(&site, &made.key.id).await, 6);
}

#[tokio::test]
async fn a_refused_regeneration_does_not_use_up_its_id() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Rotated")).await;
    let request = |etag: &str| RegenerateKeyRequest {
        request_id: "refused-regeneration".into(),
        etag: etag.into(),
        ..another_token(&made.key.id)
    };
    let result = regenerate(&mut admin, request("v99")).await;
    assert_status(result, Code::Aborted, "ETAG_MISMATCH");
    let new = regenerate(&mut admin, request("")).await.unwrap();
    assert!(!new.token.is_empty());
}
