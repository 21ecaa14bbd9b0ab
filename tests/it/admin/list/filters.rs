//! Filters, against what the contract says of each.

use std::collections::BTreeSet;

use keyward::rpc::pb::{
    CreateKeyRequest, CreatePermissionGroupRequest, CreateUserRequest,
    DeletePermissionGroupRequest, Key, KeyState, ListKeysRequest, PermissionGroup,
    RegenerateKeyRequest, RevocationReason, User, UserKind,
};

use super::{
    super::{
        another_token, deactivate, delete, get, in_seconds, labels, micros, regenerate, revoke,
        texts, there, update, updated,
    },
    key_of, list, names, of, used,
};
use crate::support::{
    client::{Admin, create},
    operator::Site,
};

/// What the contract says of a filter.
fn shown(request: &ListKeysRequest, key: &Key) -> bool {
    let deleted = request.show_deleted || request.states().any(|state| state == KeyState::Deleted);
    let text = request.search.to_lowercase();
    let found = |field: &str| field.to_lowercase().contains(&text);
    let before = |time: &Option<prost_types::Timestamp>, limit: &Option<prost_types::Timestamp>| {
        time.as_ref().zip(limit.as_ref()).map(|(time, limit)| micros(time) < micros(limit))
    };
    [
        request.domain.is_empty() || request.domain == key.domain,
        request.environment.is_empty() || request.environment == key.environment,
        request.states.is_empty() || request.states.contains(&key.state),
        deleted || key.state() != KeyState::Deleted,
        request.created_by.is_empty() || request.created_by == key.created_by,
        request.labels.iter().all(|(name, value)| key.labels.get(name) == Some(value)),
        found(&key.display_name) || found(&key.hint),
        before(&key.last_used_time.or(key.create_time), &request.last_used_before).unwrap_or(true),
        request.expires_before.is_none()
            || before(&key.expire_time, &request.expires_before).unwrap_or(false),
        request.expires_after.is_none()
            || before(&key.expire_time, &request.expires_after) == Some(false),
        request.user.is_empty() || request.user == key.user,
        request.user_kind == 0 || kind_of(&key.user) == Some(request.user_kind),
        request.group.is_empty() || key.groups.contains(&request.group),
        request.customer.is_empty() || key.customers.contains(&request.customer),
        request.managed_by.is_empty() || request.managed_by == key.managed_by,
    ]
    .iter()
    .all(|holds| *holds)
}

/// Of the users that keys here act for.
fn kind_of(user: &str) -> Option<i32> {
    match user {
        "filter-person" => Some(UserKind::Person.into()),
        "filter-service" => Some(UserKind::Service.into()),
        "" => None,
        other => panic!("{other}"),
    }
}

/// Makes the users and groups that keys here have.
async fn things(site: &Site) {
    let mut access = site.server.access();
    for user in ["filter-person", "filter-service"] {
        let user = User {
            id: user.into(),
            kind: kind_of(user).unwrap(),
            display_name: "User".into(),
            groups: texts(if user == "filter-person" { &[] } else { &["filter-one"] }),
            ..User::default()
        };
        for name in ["filter-one", "filter-two"] {
            let group = PermissionGroup {
                name: name.into(),
                display_name: "Group".into(),
                ..PermissionGroup::default()
            };
            let group = Some(group);
            let request = CreatePermissionGroupRequest { group, validate_only: false };
            there(access.create_permission_group(request).await, "GROUP_EXISTS");
        }
        let request = CreateUserRequest { user: Some(user), validate_only: false };
        access.create_user(request).await.unwrap();
    }
}

/// Keys that differ in all that can be filtered by; in the order of their creation.
async fn population(site: &Site, test: &str) -> Vec<Key> {
    let mut admin = site.admin();
    let mut other = site.operator(&["keyward.keys"]).await.admin;
    let base = |name: &str| key_of(test, name);
    things(site).await;
    let mut ids = Vec::new();
    for request in [
        base("Plain"),
        CreateKeyRequest { environment: "staging".into(), ..base("Staged needle") },
        CreateKeyRequest { environment: "development".into(), ..base("NEEDLE in Größe") },
        CreateKeyRequest { labels: labels(&[("test", test), ("team", "red")]), ..base("Red") },
        CreateKeyRequest { labels: labels(&[("test", test), ("team", "blue")]), ..base("Blue") },
        CreateKeyRequest { expire_time: Some(in_seconds(1000)), ..base("Soon") },
        CreateKeyRequest { expire_time: Some(in_seconds(9000)), ..base("Later 100% _") },
        CreateKeyRequest { domain: "keyward".into(), permissions: vec![], ..base("Admin") },
        CreateKeyRequest {
            user: "filter-person".into(),
            groups: texts(&["filter-one"]),
            ..base("Person's")
        },
        CreateKeyRequest {
            user: "filter-service".into(),
            customers: texts(&["c-1", "c-2"]),
            ..base("Service's")
        },
        CreateKeyRequest {
            groups: texts(&["filter-two", "filter-one"]),
            customers: texts(&["c-1"]),
            managed_by: site.root_id().await,
            ..base("Grouped")
        },
    ] {
        ids.push(create(&mut admin, request).await.key.id);
    }
    for name in ["Off", "Ended", "Over", "Gone"] {
        ids.push(create(&mut other, base(name)).await.key.id);
    }
    let over = Key { id: ids[13].clone(), expire_time: Some(in_seconds(-10)), ..Key::default() };
    deactivate(&mut admin, &ids[11]).await.unwrap();
    revoke(&mut admin, &ids[12], RevocationReason::Abuse).await.unwrap();
    updated(&mut admin, update(over, &["expire_time"])).await.unwrap();
    delete(&mut admin, &ids[14], "Gone").await.unwrap();
    for (at, ago) in [(0, 500), (1, 100), (3, 100), (14, 500)] {
        used(site, &ids[at], -ago).await;
    }
    let mut keys = Vec::new();
    for id in ids {
        keys.push(get(&mut admin, &id).await);
    }
    keys
}

/// Narrows a request in one way.
type Narrowing = Box<dyn Fn(&mut ListKeysRequest)>;

fn narrowings(keys: &[Key]) -> Vec<(&'static str, Narrowing)> {
    use KeyState::{Active, Deleted, Expired, Inactive, Revoked};
    let hint = keys[4].hint.clone();
    let tail = hint.split('…').next_back().unwrap().to_uppercase();
    let maker = keys[11].created_by.clone();
    let manager = keys[10].managed_by.clone();
    let manages_nothing = maker.clone();
    let states = |states: &'static [KeyState]| -> Narrowing {
        Box::new(move |r| r.states = states.iter().map(|state| (*state).into()).collect())
    };
    vec![
        ("domain", Box::new(|r| r.domain = "default".into())),
        ("domain of admins", Box::new(|r| r.domain = "keyward".into())),
        ("no such domain", Box::new(|r| r.domain = "no-such".into())),
        ("environment", Box::new(|r| r.environment = "staging".into())),
        ("active", states(&[Active])),
        ("inactive", states(&[Inactive])),
        ("revoked", states(&[Revoked])),
        ("expired", states(&[Expired])),
        ("deleted", states(&[Deleted])),
        ("stopped", states(&[Inactive, Revoked, Inactive])),
        ("dead or alive", states(&[Active, Deleted])),
        ("maker", Box::new(move |r| r.created_by.clone_from(&maker))),
        ("bootstrap", Box::new(|r| r.created_by = "bootstrap".into())),
        ("label", Box::new(|r| drop(r.labels.insert("team".into(), "red".into())))),
        ("other label", Box::new(|r| drop(r.labels.insert("team".into(), String::new())))),
        ("name", Box::new(|r| r.search = "nEEdle".into())),
        ("umlaut", Box::new(|r| r.search = "in größe".replace('g', "G"))),
        ("pattern", Box::new(|r| r.search = "0% _".into())),
        ("wildcard", Box::new(|r| r.search = "%".into())),
        ("hint", Box::new(move |r| r.search.clone_from(&tail))),
        ("hint with its dots", Box::new(move |r| r.search.clone_from(&hint))),
        ("unused", Box::new(|r| r.last_used_before = Some(in_seconds(-300)))),
        ("expiring", Box::new(|r| r.expires_before = Some(in_seconds(5000)))),
        ("expired by time", Box::new(|r| r.expires_before = Some(in_seconds(0)))),
        ("expiring later", Box::new(|r| r.expires_after = Some(in_seconds(5000)))),
        ("not over by time", Box::new(|r| r.expires_after = Some(in_seconds(0)))),
        ("all", Box::new(|r| r.show_deleted = true)),
        ("user", Box::new(|r| r.user = "filter-person".into())),
        ("user in other letters", Box::new(|r| r.user = "FILTER-person".into())),
        ("persons", Box::new(|r| r.user_kind = UserKind::Person.into())),
        ("services", Box::new(|r| r.user_kind = UserKind::Service.into())),
        ("group", Box::new(|r| r.group = "filter-one".into())),
        ("other group", Box::new(|r| r.group = "filter-two".into())),
        ("no such group", Box::new(|r| r.group = "no-such".into())),
        ("customer", Box::new(|r| r.customer = "c-1".into())),
        ("other customer", Box::new(|r| r.customer = "c-2".into())),
        ("part of a customer", Box::new(|r| r.customer = "c-".into())),
        ("manager", Box::new(move |r| r.managed_by.clone_from(&manager))),
        ("no manager", Box::new(move |r| r.managed_by.clone_from(&manages_nothing))),
    ]
}

#[tokio::test]
async fn every_filter_alone_and_with_every_other_shows_what_it_says() {
    let site = Site::shared();
    let mut admin = site.admin();
    let keys = Box::pin(population(&site, "filters")).await;
    let narrowings = narrowings(&keys);
    let mut seen = BTreeSet::new();
    for (at, (one, narrow)) in narrowings.iter().enumerate() {
        for (other, narrow_more) in &narrowings[at..] {
            let mut request = of("filters");
            narrow(&mut request);
            narrow_more(&mut request);
            let expected: Vec<_> =
                keys.iter().filter(|key| shown(&request, key)).cloned().collect();
            let found = list(&mut admin, request).await;
            assert_eq!(names(&found), names(&expected), "{one} and {other}");
            assert_eq!(found, expected, "{one} and {other}");
            seen.insert(names(&found).join(", "));
        }
    }
    assert!(seen.len() > 20, "the filters tell keys apart: {seen:?}");
}

#[tokio::test]
async fn keys_with_a_replaced_token_that_soon_ends_are_found() {
    let site = Site::shared();
    let mut admin = site.admin();
    for (name, overlap) in [("None", 0), ("Soon", 1000), ("Later", 9000)] {
        let id = create(&mut admin, key_of("retiring", name)).await.key.id;
        let overlap = Some(prost_types::Duration { seconds: overlap, nanos: 0 });
        let request = RegenerateKeyRequest { overlap, ..another_token(&id) };
        regenerate(&mut admin, request).await.unwrap();
    }
    let found = async |admin: &mut Admin, seconds| {
        let retiring_before = Some(in_seconds(seconds));
        let keys = list(admin, ListKeysRequest { retiring_before, ..of("retiring") }).await;
        keys.into_iter().map(|key| key.display_name).collect::<Vec<_>>()
    };
    assert_eq!(found(&mut admin, 5000).await, ["Soon"]);
    assert_eq!(found(&mut admin, 9500).await, ["Soon", "Later"]);
    assert_eq!(found(&mut admin, 500).await, [""; 0]);
}

/// A group that was deleted is not found, and one that was made again has none of its keys.
#[tokio::test]
async fn a_group_that_is_gone_filters_nothing() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let mut access = site.server.access();
    let group = PermissionGroup {
        name: "gone".into(),
        display_name: "Group".into(),
        ..PermissionGroup::default()
    };
    let request = CreatePermissionGroupRequest { group: Some(group), validate_only: false };
    access.create_permission_group(request.clone()).await.unwrap();
    let key = CreateKeyRequest { groups: texts(&["gone"]), ..key_of("gone", "Key") };
    create(&mut admin, key.clone()).await;
    let filter = ListKeysRequest { group: "gone".into(), ..of("gone") };
    assert_eq!(list(&mut admin, filter.clone()).await.len(), 1);
    let drop = DeletePermissionGroupRequest {
        name: "gone".into(),
        force: true,
        ..DeletePermissionGroupRequest::default()
    };
    access.delete_permission_group(drop).await.unwrap();
    assert_eq!(list(&mut admin, filter.clone()).await, []);
    access.create_permission_group(request).await.unwrap();
    assert_eq!(list(&mut admin, filter.clone()).await, []);
    let second = create(&mut admin, key).await;
    assert_eq!(list(&mut admin, filter).await, [second.key]);
}
