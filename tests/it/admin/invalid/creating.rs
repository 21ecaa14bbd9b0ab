//! `CreateKey`.

use keyward::rpc::pb::{self, CreateKeyRequest};
use prost_types::Timestamp;

use super::{
    super::{get, in_seconds},
    EARLIEST, LATEST, bad_labels, bad_names, bad_permissions, bad_proses, bad_rules, bad_times,
    widest_labels,
};
use crate::support::{
    client::{Admin, assert_invalid, create, new_key},
    operator::Site,
};

async fn refused(admin: &mut Admin, request: CreateKeyRequest, fields: &[&str]) {
    assert_invalid(admin.create_key(request.clone()).await, fields);
    let tried = CreateKeyRequest { validate_only: true, ..request };
    assert_invalid(admin.create_key(tried).await, fields);
}

#[tokio::test]
async fn create_refuses_bad_names_and_texts() {
    let site = Site::shared();
    let mut admin = site.admin();
    for display_name in bad_names() {
        let request = CreateKeyRequest { display_name, ..new_key("") };
        refused(&mut admin, request, &["display_name"]).await;
    }
    for description in bad_proses() {
        let request = CreateKeyRequest { description, ..new_key("Bad") };
        refused(&mut admin, request, &["description"]).await;
    }
    for domain in ["no-such-domain", "Default", "-", "a b", "1a", "ä", &"a".repeat(64), " "] {
        let request = CreateKeyRequest { domain: domain.into(), ..new_key("Bad") };
        refused(&mut admin, request, &["domain"]).await;
    }
    for environment in ["", "no-such-environment", "Production", "prod", " ", &"a".repeat(64)] {
        let request = CreateKeyRequest { environment: environment.into(), ..new_key("Bad") };
        refused(&mut admin, request, &["environment"]).await;
    }
    for environment in ["staging", "development", "nowhere"] {
        let request = CreateKeyRequest {
            domain: "keyward".into(),
            environment: environment.into(),
            ..new_key("Bad")
        };
        refused(&mut admin, request, &["environment"]).await;
    }
    for request_id in ["a b", "ä", "\0", "a\n", &"a".repeat(65)] {
        let request = CreateKeyRequest { request_id: request_id.into(), ..new_key("Bad") };
        refused(&mut admin, request, &["request_id"]).await;
    }
}

#[tokio::test]
async fn create_refuses_bad_lists() {
    let site = Site::shared();
    let mut admin = site.admin();
    for (permissions, at) in bad_permissions() {
        let request = CreateKeyRequest { permissions, ..new_key("Bad") };
        refused(&mut admin, request, &[&format!("permissions[{at}]")]).await;
    }
    for (route_rules, at) in bad_rules() {
        let request = CreateKeyRequest { route_rules, ..new_key("Bad") };
        refused(&mut admin, request, &[&format!("route_rules[{at}]")]).await;
    }
    for labels in bad_labels() {
        let request = CreateKeyRequest { labels, ..new_key("Bad") };
        refused(&mut admin, request, &["labels"]).await;
    }
}

#[tokio::test]
async fn create_refuses_bad_times() {
    let site = Site::shared();
    let mut admin = site.admin();
    for time in bad_times() {
        let request = CreateKeyRequest { not_before_time: Some(time), ..new_key("Bad") };
        refused(&mut admin, request, &["not_before_time"]).await;
        let request = CreateKeyRequest { expire_time: Some(time), ..new_key("Bad") };
        refused(&mut admin, request, &["expire_time"]).await;
    }
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    for (not_before_time, expire_time) in [
        (None, Some(in_seconds(-1))),
        (None, at(0)),
        (None, at(EARLIEST)),
        (Some(in_seconds(100)), Some(in_seconds(50))),
        (at(5_000_000_000), at(5_000_000_000)),
        (Some(in_seconds(-100)), Some(in_seconds(-50))),
    ] {
        let request = CreateKeyRequest { not_before_time, expire_time, ..new_key("Bad") };
        refused(&mut admin, request, &["expire_time"]).await;
    }
}

#[tokio::test]
async fn the_bounds_themselves_are_taken() {
    let site = Site::shared();
    let mut admin = site.admin();
    let permissions = (1..100).map(|number| format!("word{number}"));
    let widest = CreateKeyRequest {
        display_name: "🎉".repeat(100),
        description: "é\r\n\t🎉".repeat(200),
        permissions: permissions.chain([["a"; 16].join(".")]).collect(),
        route_rules: (0..100).map(|number| format!("GET,X =/{number}/")).collect(),
        not_before_time: Some(Timestamp { seconds: EARLIEST, nanos: 0 }),
        expire_time: Some(Timestamp { seconds: LATEST, nanos: 999_999_000 }),
        labels: widest_labels(),
        request_id: "~".repeat(64),
        ..new_key("")
    };
    let made = create(&mut admin, widest.clone()).await;
    let key = get(&mut admin, &made.key.id).await;
    let kept = CreateKeyRequest {
        display_name: key.display_name,
        description: key.description,
        permissions: key.permissions,
        route_rules: key.route_rules,
        not_before_time: key.not_before_time,
        expire_time: key.expire_time,
        labels: key.labels,
        ..widest.clone()
    };
    assert_eq!(kept, widest);
    let mut asker = site.server.asker();
    site.knows(made.revision).await;
    let request = pb::AuthorizeRequest {
        key: made.token,
        environment: "production".into(),
        mode: pb::Mode::AuthenticateOnly.into(),
        ..pb::AuthorizeRequest::default()
    };
    let response = asker.ask(request).await;
    assert_eq!((response.allowed, response.labels), (true, widest.labels));
}

#[tokio::test]
async fn finer_times_than_microseconds_are_cut() {
    let site = Site::shared();
    let request = CreateKeyRequest {
        expire_time: Some(Timestamp { seconds: 5_000_000_000, nanos: 123_456_789 }),
        ..new_key("Fine")
    };
    let made = create(&mut site.admin(), request).await;
    let expected = Timestamp { seconds: 5_000_000_000, nanos: 123_456_000 };
    assert_eq!(made.key.expire_time, Some(expected));
}
