//! Updating settings.

use keyward::rpc::pb::{self, Key};
use tonic::Code;

use super::{
    get, in_seconds, labels, micros, now_micros, rich_key, richest_key, texts, update, updated,
};
use crate::support::{
    client::{assert_invalid, assert_status, create, may_read, new_admin_key, new_key, verdict},
    limits::daily,
    operator::Site,
};

const PATHS: [&str; 15] = [
    "display_name",
    "description",
    "permissions",
    "route_rules",
    "not_before_time",
    "expire_time",
    "labels",
    "user",
    "groups",
    "customers",
    "allowed_addresses",
    "denied_addresses",
    "managed_by",
    "allow_self_regenerate",
    "limits",
];

/// Takes over one field.
fn put(into: &mut Key, from: &Key, path: &str) {
    match path {
        "display_name" => into.display_name.clone_from(&from.display_name),
        "description" => into.description.clone_from(&from.description),
        "permissions" => into.permissions.clone_from(&from.permissions),
        "route_rules" => into.route_rules.clone_from(&from.route_rules),
        "not_before_time" => into.not_before_time = from.not_before_time,
        "expire_time" => into.expire_time = from.expire_time,
        "labels" => into.labels.clone_from(&from.labels),
        "user" => into.user.clone_from(&from.user),
        "groups" => into.groups.clone_from(&from.groups),
        "customers" => into.customers.clone_from(&from.customers),
        "allowed_addresses" => into.allowed_addresses.clone_from(&from.allowed_addresses),
        "denied_addresses" => into.denied_addresses.clone_from(&from.denied_addresses),
        "managed_by" => into.managed_by.clone_from(&from.managed_by),
        "allow_self_regenerate" => into.allow_self_regenerate = from.allow_self_regenerate,
        "limits" => into.limits.clone_from(&from.limits),
        "delegation" => into.delegation.clone_from(&from.delegation),
        _ => panic!("{path}"),
    }
}

/// A key whose settings, and all else that a caller might send, differ from those of
/// [`richest_key`].
fn other(id: &str, manager: &str) -> Key {
    Key {
        limits: vec![daily("other", 7)],
        id: id.to_owned(),
        domain: "keyward".into(),
        environment: "development".into(),
        display_name: "Other".into(),
        description: "Other".into(),
        permissions: vec!["other".into()],
        route_rules: vec!["/other".into()],
        not_before_time: Some(in_seconds(-30)),
        expire_time: Some(in_seconds(7200)),
        labels: labels(&[("other", "")]),
        hint: "other".into(),
        state: pb::KeyState::Revoked.into(),
        created_by: "other".into(),
        create_time: Some(in_seconds(0)),
        update_time: Some(in_seconds(0)),
        last_used_time: Some(in_seconds(0)),
        last_used_address: "192.0.2.7".into(),
        delete_time: Some(in_seconds(0)),
        revocation: Some(pb::Revocation::default()),
        retiring_secret: Some(pb::RetiringSecret::default()),
        etag: String::new(),
        user: "other".into(),
        groups: texts(&["other"]),
        deleted_groups: texts(&["other"]),
        customers: texts(&["other"]),
        allowed_addresses: texts(&["198.51.100.0/24"]),
        denied_addresses: texts(&["198.51.100.7"]),
        managed_by: manager.into(),
        allow_self_regenerate: false,
        delegation: None,
        template: "other".into(),
        permission_names: labels(&[("other", "Other")]),
    }
}

/// The id of another admin key.
async fn manager(site: &Site) -> String {
    create(&mut site.admin(), new_admin_key("Manager", &[])).await.key.id
}

#[tokio::test]
async fn each_path_changes_its_field_and_nothing_else() {
    let site = Site::shared();
    let mut admin = site.admin();
    let manager = manager(&site).await;
    let request = richest_key(&site, "Before").await;
    for path in PATHS {
        let before = create(&mut admin, request.clone()).await.key;
        let begun = now_micros();
        let target = other(&before.id, &manager);
        let change = updated(&mut admin, update(target.clone(), &[path])).await.unwrap();
        let mut expected = before.clone();
        put(&mut expected, &target, path);
        assert_ne!(expected, before, "{path}");
        expected.etag.clone_from(&change.key.etag);
        expected.update_time = change.key.update_time;
        // whole seconds that pass between two calls of `other` are not of interest
        expected.not_before_time = settled(expected.not_before_time, change.key.not_before_time);
        expected.expire_time = settled(expected.expire_time, change.key.expire_time);
        assert_eq!(change.key, expected, "{path}");
        assert_ne!(change.key.etag, before.etag, "{path}");
        assert!(micros(&change.key.update_time.unwrap()) >= begun, "{path}");
        assert_eq!(get(&mut admin, &before.id).await, change.key, "{path}");
    }
}

/// The found time, if it is the expected one or the second before.
fn settled(
    expected: Option<prost_types::Timestamp>,
    found: Option<prost_types::Timestamp>,
) -> Option<prost_types::Timestamp> {
    let near = expected.zip(found).is_some_and(|(expected, found)| {
        (expected.seconds - 1..=expected.seconds).contains(&found.seconds)
    });
    if near { found } else { expected }
}

#[tokio::test]
async fn a_field_that_is_absent_is_cleared() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = richest_key(&site, "Before").await;
    for path in PATHS {
        let before = create(&mut admin, request.clone()).await.key;
        let absent = Key { id: before.id.clone(), ..Key::default() };
        let result = updated(&mut admin, update(absent.clone(), &[path])).await;
        if path == "display_name" {
            assert_invalid(result, &["key.display_name"]);
            continue;
        }
        let change = result.unwrap();
        let mut expected = before.clone();
        put(&mut expected, &absent, path);
        assert_ne!(expected, before, "{path}");
        expected.etag.clone_from(&change.key.etag);
        expected.update_time = change.key.update_time;
        assert_eq!(change.key, expected, "{path}");
        assert_eq!(get(&mut admin, &expected.id).await, expected, "{path}");
    }
}

#[tokio::test]
async fn what_an_admin_key_is_bound_to_is_changed_whole() {
    let site = Site::shared();
    let mut admin = site.admin();
    let bound = |domains: &[&str], ceiling: &[&str]| {
        Some(pb::Delegation { domains: texts(domains), ceiling: texts(ceiling) })
    };
    let request = new_admin_key("Bound", &["keyward.keys.read"]);
    let made = create(&mut admin, request).await.key;
    let first = pb::CreateKeyRequest {
        delegation: bound(&["default"], &["systems", "*.read"]),
        ..new_admin_key("Bound from the start", &["keyward.keys.read"])
    };
    let first = create(&mut admin, first).await.key;
    assert_eq!(first.delegation, bound(&["default"], &["systems", "*.read"]));
    for before in [made, first] {
        for delegation in [
            bound(&["default"], &["a"]),
            bound(&["default"], &[]),
            None,
            bound(&["default"], &["*"]),
        ] {
            let before = get(&mut admin, &before.id).await;
            let key = Key { delegation, ..other(&before.id, "") };
            let change = updated(&mut admin, update(key.clone(), &["delegation"])).await.unwrap();
            let expected = Key {
                delegation: key.delegation,
                etag: change.key.etag.clone(),
                update_time: change.key.update_time,
                ..before
            };
            assert_eq!(change.key, expected);
            assert_eq!(get(&mut admin, &expected.id).await, expected);
        }
    }
}

#[tokio::test]
async fn all_paths_at_once_are_one_change() {
    let site = Site::shared();
    let mut admin = site.admin();
    let before = create(&mut admin, richest_key(&site, "Before").await).await;
    let target = other(&before.key.id, &manager(&site).await);
    let change = updated(&mut admin, update(target.clone(), &PATHS)).await.unwrap();
    let mut expected = before.key;
    for path in PATHS {
        put(&mut expected, &target, path);
    }
    expected.etag.clone_from(&change.key.etag);
    expected.update_time = change.key.update_time;
    assert_eq!(change.key, expected);
    assert_eq!(change.key.environment, "staging");
}

#[tokio::test]
async fn a_decision_knows_the_change_by_its_revision() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let made = create(&mut admin, new_key("Changing")).await;
    let with = |change: fn(&mut Key)| {
        let mut key = Key { etag: String::new(), ..made.key.clone() };
        change(&mut key);
        update(key, &PATHS)
    };
    for (request, expected) in [
        (with(|_| {}), "ALLOWED"),
        (with(|key| key.permissions = vec!["systems.write".into()]), "403 PERMISSION_DENIED"),
        (with(|key| key.route_rules = vec!["/api".into()]), "403 ROUTE_DENIED"),
        (with(|key| key.expire_time = Some(in_seconds(-1))), "401 KEY_EXPIRED"),
        (with(|key| key.not_before_time = Some(in_seconds(60))), "401 KEY_NOT_YET_VALID"),
        (with(|_| {}), "ALLOWED"),
    ] {
        let change = updated(&mut admin, request).await.unwrap();
        assert_eq!(asker.verdict(&made.token, change.revision).await, expected);
    }
    let labelled = with(|key| key.labels = labels(&[("a", "b")]));
    let change = updated(&mut admin, labelled).await.unwrap();
    site.knows(change.revision).await;
    let response = asker.ask(may_read(&made.token)).await;
    assert_eq!((verdict(&response).as_str(), response.labels), ("ALLOWED", labels(&[("a", "b")])));
}

#[tokio::test]
async fn an_old_etag_changes_nothing() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("First")).await;
    let named = |name: &str, etag: &str| {
        let key = Key { display_name: name.into(), etag: etag.into(), ..made.key.clone() };
        update(key, &["display_name"])
    };
    let second = updated(&mut admin, named("Second", &made.key.etag)).await.unwrap();
    for etag in [made.key.etag.as_str(), "v999", "x"] {
        let result = updated(&mut admin, named("Third", etag)).await;
        assert_status(result, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(get(&mut admin, &made.key.id).await, second.key);
    updated(&mut admin, named("Third", "")).await.unwrap();
}

#[tokio::test]
async fn of_two_concurrent_updates_with_one_etag_one_is_aborted() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut other_admin = site.admin();
    let made = create(&mut admin, new_key("Contested")).await;
    let mut etag = made.key.etag.clone();
    for round in 0..10 {
        let named = |name: &str| {
            let key = Key {
                display_name: format!("{name} {round}"),
                etag: etag.clone(),
                ..made.key.clone()
            };
            update(key, &["display_name"])
        };
        let (left, right) = tokio::join!(
            updated(&mut admin, named("Left")),
            updated(&mut other_admin, named("Right")),
        );
        let (winner, loser) = match (left, right) {
            (Ok(winner), loser @ Err(_)) | (loser @ Err(_), Ok(winner)) => (winner, loser),
            both => panic!("{both:?}"),
        };
        assert_status(loser, Code::Aborted, "ETAG_MISMATCH");
        etag.clone_from(&winner.key.etag);
        assert_eq!(get(&mut admin, &made.key.id).await, winner.key);
    }
}

#[tokio::test]
async fn an_update_that_finds_all_as_asked_leaves_no_trace() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let made = create(&mut admin, richest_key(&site, "Same").await).await;
    let change = updated(&mut admin, update(made.key.clone(), &PATHS)).await.unwrap();
    assert_eq!((change.key, change.revision), (made.key, made.revision));
    let events = "SELECT count(*) FROM keyward.audit_event WHERE action = 'keys.update'";
    assert_eq!(site.database.number(events).await, 0);
}

#[tokio::test]
async fn validate_only_shows_the_change_and_makes_none() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Kept")).await;
    let request = |name: &str| {
        let key = Key { display_name: name.into(), ..made.key.clone() };
        pb::UpdateKeyRequest { validate_only: true, ..update(key, &["display_name"]) }
    };
    let change = updated(&mut admin, request("Tried")).await.unwrap();
    let expected = Key { display_name: "Tried".into(), ..made.key.clone() };
    assert_eq!((change.key, change.revision), (expected, made.revision), "of the same version");
    assert_eq!(get(&mut admin, &made.key.id).await, made.key);
    let head = "SELECT revision FROM keyward.log_head";
    assert_eq!(site.database.number(head).await, made.revision);
    let events = "SELECT count(*) FROM keyward.audit_event WHERE action = 'keys.update'";
    assert_eq!(site.database.number(events).await, 0);

    assert_invalid(updated(&mut admin, request(" ")).await, &["key.display_name"]);
    let mut stale = request("Tried");
    stale.key.as_mut().unwrap().etag = "v0".into();
    assert_status(updated(&mut admin, stale).await, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn a_key_that_would_never_be_valid_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Valid")).await;
    let times = |not_before: i64, expire: i64, paths: &[&str]| {
        let key = Key {
            not_before_time: Some(in_seconds(not_before)),
            expire_time: Some(in_seconds(expire)),
            ..made.key.clone()
        };
        update(key, paths)
    };
    let both = ["not_before_time", "expire_time"];
    for request in [
        times(7200, 0, &both[..1]),
        times(0, -7200, &both[1..]),
        times(100, 99, &both),
        times(100, 100, &both),
    ] {
        assert_invalid(updated(&mut admin, request).await, &["key.expire_time"]);
    }
    updated(&mut admin, times(100, 102, &both)).await.unwrap();
}
