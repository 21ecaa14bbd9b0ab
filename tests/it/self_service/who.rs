//! What a holder is told.

use std::collections::BTreeMap;

use keyward::rpc::pb::{self, PermissionSourceKind};

use super::{get, held, in_seconds, seconds};
use crate::support::{
    client::{new_admin_key, new_key},
    limits::extreme,
    operator::Site,
};

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// A domain with a group and a user in it.
async fn tenant(site: &Site, name: &str) {
    let mut access = site.server.access();
    let domain = pb::Domain { name: name.into(), display_name: name.into(), ..Default::default() };
    let request = pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
    access.create_domain(request).await.unwrap();
    let group = pb::PermissionGroup {
        domain: name.into(),
        name: "readers".into(),
        display_name: "Readers".into(),
        permissions: texts(&["*.read"]),
        ..Default::default()
    };
    let request = pb::CreatePermissionGroupRequest { group: Some(group), validate_only: false };
    access.create_permission_group(request).await.unwrap();
    let user = pb::User {
        domain: name.into(),
        id: "ida".into(),
        kind: pb::UserKind::Person.into(),
        display_name: "Ida".into(),
        permissions: texts(&["systems", "reports"]),
        ..Default::default()
    };
    let request = pb::CreateUserRequest { user: Some(user), validate_only: false };
    access.create_user(request).await.unwrap();
}

#[tokio::test]
async fn a_holder_is_told_all_about_its_key() {
    let site = Site::shared();
    tenant(&site, "who-all").await;
    let request = pb::CreateKeyRequest {
        domain: "who-all".into(),
        environment: "staging".into(),
        permissions: texts(&["systems.write"]),
        user: "ida".into(),
        groups: texts(&["readers"]),
        route_rules: texts(&["GET /api/v2"]),
        customers: texts(&["c1", "c2"]),
        allowed_addresses: texts(&["127.0.0.0/8"]),
        denied_addresses: texts(&["127.0.0.2"]),
        labels: BTreeMap::from([(String::from("team"), String::from("red"))]),
        expire_time: Some(in_seconds(3600)),
        limits: extreme()[0].clone(),
        ..new_key("All")
    };
    let (made, mut holder) = held(&site, request).await;
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    let key = &made.key;
    assert_eq!(
        (&told.key_id, &told.domain, &told.environment, &told.user),
        (&key.id, &key.domain, &key.environment, &key.user)
    );
    assert_eq!(told.user_kind(), pb::UserKind::Person);
    assert_eq!(told.route_rules, key.route_rules);
    assert_eq!(told.customers, key.customers);
    assert_eq!(told.limits, extreme()[0]);
    assert_eq!(told.allowed_addresses, key.allowed_addresses);
    assert_eq!(told.denied_addresses, key.denied_addresses);
    assert_eq!((told.labels, told.expire_time), (key.labels.clone(), key.expire_time));
    assert_eq!((told.token_expire_time, told.permissions_truncated), (None, false));
    assert!(told.revision >= made.revision);
    let source = |kind: PermissionSourceKind, name: &str, permission: &str| pb::PermissionSource {
        kind: kind.into(),
        name: name.into(),
        permission: permission.into(),
    };
    let user = |permission| source(PermissionSourceKind::User, "ida", permission);
    let group = source(PermissionSourceKind::Group, "readers", "*.read");
    let own = source(PermissionSourceKind::Direct, "", "systems.write");
    let mut found: Vec<_> = told
        .permissions
        .into_iter()
        .map(|permission| (permission.permission, permission.sources))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        found,
        [
            ("reports.read".into(), vec![group.clone(), user("reports")]),
            ("systems.read".into(), vec![group, user("systems")]),
            ("systems.write".into(), vec![own, user("systems")]),
        ]
    );
}

#[tokio::test]
async fn a_key_without_grants_is_told_what_its_user_may() {
    let site = Site::shared();
    tenant(&site, "who-user").await;
    let request = pb::CreateKeyRequest {
        domain: "who-user".into(),
        user: "ida".into(),
        permissions: vec![],
        ..new_key("User's")
    };
    let (_, mut holder) = held(&site, request).await;
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    let found: Vec<_> = told.permissions.iter().map(|p| p.permission.as_str()).collect();
    assert_eq!(found, ["systems", "reports"]);
    for permission in &told.permissions {
        let kinds: Vec<_> = permission.sources.iter().map(pb::PermissionSource::kind).collect();
        assert_eq!(kinds, [PermissionSourceKind::User]);
    }
}

#[tokio::test]
async fn keys_of_every_environment_and_admin_keys_ask() {
    let site = Site::shared();
    for environment in ["production", "staging", "development"] {
        let request =
            pb::CreateKeyRequest { environment: environment.into(), ..new_key("Anywhere") };
        let (made, mut holder) = held(&site, request).await;
        let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
        assert_eq!((told.key_id, told.environment.as_str()), (made.key.id, environment));
        assert_eq!((told.user.as_str(), told.user_kind), ("", 0));
        assert_eq!(told.expire_time, None);
    }
    let (made, mut holder) = held(&site, new_admin_key("Admin", &["keyward.keys.read"])).await;
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!((told.key_id, told.domain.as_str()), (made.key.id, "keyward"));
    assert_eq!(told.permissions[0].permission, "keyward.keys.read");
}

#[tokio::test]
async fn the_holder_of_a_retiring_token_is_told_its_end() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, new_key("Retiring")).await;
    let request = pb::RegenerateKeyRequest {
        id: made.key.id.clone(),
        overlap: seconds(3600),
        ..Default::default()
    };
    let new = site.admin().regenerate_key(request).await.unwrap().into_inner();
    site.knows(new.revision).await;
    let end = get(&site, &made.key.id).await.retiring_secret.unwrap().expire_time;
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!((told.token_expire_time, end.is_some()), (end, true));
    let mut holder = site.server.holder(&new.token);
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!(told.token_expire_time, None);
}
