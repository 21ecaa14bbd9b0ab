//! Domains: stopping all their keys, and the one of admin keys.

use std::slice::from_ref;

use keyward::rpc::pb;
use tonic::{Code, Status};

use super::{Answer, Thing, domain, events, group_of, key, key_of, made, texts, user_of, verdict};
use crate::support::{
    client::{Access, assert_invalid, assert_status, create},
    operator::Site,
};

async fn disable(access: &mut Access, name: &str, etag: &str) -> Answer<pb::Domain> {
    let request = pb::DisableDomainRequest { name: name.into(), etag: etag.into() };
    let response = access.disable_domain(request).await?.into_inner();
    Ok((response.domain.unwrap(), response.revision))
}

async fn enable(access: &mut Access, name: &str, etag: &str) -> Answer<pb::Domain> {
    let request = pb::EnableDomainRequest { name: name.into(), etag: etag.into() };
    let response = access.enable_domain(request).await?.into_inner();
    Ok((response.domain.unwrap(), response.revision))
}

async fn get(access: &mut Access, name: &str) -> Result<pb::Domain, Status> {
    pb::Domain { name: name.into(), ..pb::Domain::default() }.get(access).await
}

#[tokio::test]
async fn disabling_a_domain_stops_all_its_keys_until_it_is_enabled() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = domain(&site).await;
    let request = pb::CreateKeyRequest { permissions: texts(&["systems"]), ..key_of(&domain) };
    let good = key(&site, request.clone()).await;
    let elsewhere =
        key(&site, pb::CreateKeyRequest { domain: String::new(), ..request.clone() }).await;
    let off = key(&site, request.clone()).await;
    let id = off.key.id.clone();
    let request_off = pb::DeactivateKeyRequest { id, etag: String::new() };
    site.admin().deactivate_key(request_off).await.unwrap();

    let before = get(access, &domain).await.unwrap();
    assert!(!before.disabled);
    let (stopped, revision) = disable(access, &domain, &before.etag).await.unwrap();
    let expected = pb::Domain {
        disabled: true,
        etag: stopped.etag.clone(),
        update_time: stopped.update_time,
        ..before.clone()
    };
    assert_eq!(stopped, expected);
    assert_ne!(stopped.etag, before.etag);
    assert_eq!(get(access, &domain).await.unwrap(), stopped);
    let stop =
        ("domains.disable".into(), revision, Some(before.snapshot()), Some(stopped.snapshot()));
    assert_eq!(events(&site, "domain", &domain).await[1..], *from_ref(&stop));
    assert_eq!(verdict(&site, &good.token, revision).await, "401 DOMAIN_DISABLED");
    assert_eq!(verdict(&site, &off.token, revision).await, "401 KEY_INACTIVE");
    assert_eq!(verdict(&site, &elsewhere.token, revision).await, "ALLOWED");
    // keys may still be made and managed; they do not work yet
    let meanwhile = create(&mut site.admin(), request).await;
    assert_eq!(verdict(&site, &meanwhile.token, meanwhile.revision).await, "401 DOMAIN_DISABLED");
    // once more changes nothing
    assert_eq!(disable(access, &domain, "").await.unwrap().0, stopped);
    for result in
        [disable(access, &domain, &before.etag).await, enable(access, &domain, &before.etag).await]
    {
        assert_status(result, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(events(&site, "domain", &domain).await[1..], *from_ref(&stop));

    let (running, revision) = enable(access, &domain, &stopped.etag).await.unwrap();
    assert!(!running.disabled);
    assert_eq!(get(access, &domain).await.unwrap(), running);
    let start =
        ("domains.enable".into(), revision, Some(stopped.snapshot()), Some(running.snapshot()));
    assert_eq!(enable(access, &domain, "").await.unwrap().0, running);
    assert_eq!(events(&site, "domain", &domain).await[1..], [stop, start]);
    for made in [&good, &meanwhile] {
        assert_eq!(verdict(&site, &made.token, revision).await, "ALLOWED");
    }
    assert_eq!(verdict(&site, &off.token, revision).await, "401 KEY_INACTIVE");
}

#[tokio::test]
async fn changing_a_disabled_domain_does_not_enable_it() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let name = domain(&site).await;
    let (stopped, _) = disable(access, &name, "").await.unwrap();
    let renamed = pb::Domain { display_name: "Other".into(), disabled: false, ..stopped };
    let (shown, _) = renamed.update(access, &["display_name"], false).await.unwrap();
    assert!(shown.disabled);
    assert_eq!(get(access, &name).await.unwrap(), shown);
}

#[tokio::test]
async fn the_domain_of_admin_keys_is_protected() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let before = get(access, "keyward").await.unwrap();
    let result = disable(access, "keyward", "").await;
    assert_status(result, Code::FailedPrecondition, "DOMAIN_PROTECTED");
    assert_eq!(get(access, "keyward").await.unwrap(), before);
    assert_eq!(enable(access, "keyward", "").await.unwrap().0, before);
    let again = pb::Domain { etag: String::new(), ..before.clone() };
    assert_status(again.create(access, false).await, Code::AlreadyExists, "DOMAIN_EXISTS");
    // it has no users and no groups
    for validate_only in [true, false] {
        let user = user_of("keyward", &[]).create(access, validate_only).await;
        assert_invalid(user, &["user.domain"]);
        let group = group_of("keyward", &[]).create(access, validate_only).await;
        assert_invalid(group, &["group.domain"]);
    }
    let request = pb::ListUsersRequest { domain: "keyward".into(), ..Default::default() };
    assert_eq!(access.list_users(request).await.unwrap().into_inner().users, []);
    // it is described like any other
    let described = pb::Domain { description: "Of admins.".into(), ..before };
    let shown = described.update(access, &["description"], false).await.unwrap().0;
    assert_eq!(shown.description, "Of admins.");
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_not_found() {
    let site = Site::shared();
    let access = &mut site.server.access();
    for result in [
        get(access, "nowhere").await.map(drop),
        disable(access, "nowhere", "").await.map(drop),
        enable(access, "nowhere", "").await.map(drop),
        user_of("nowhere", &["a"]).create(access, false).await.map(drop),
        user_of("nowhere", &[]).create(access, true).await.map(drop),
        group_of("nowhere", &["a"]).create(access, false).await.map(drop),
    ] {
        assert_status(result, Code::NotFound, "DOMAIN_NOT_FOUND");
    }
    let result = user_of("nowhere", &[]).get(access).await;
    assert_status(result, Code::NotFound, "USER_NOT_FOUND");
    let result = group_of("nowhere", &[]).get(access).await;
    assert_status(result, Code::NotFound, "GROUP_NOT_FOUND");
}

#[tokio::test]
async fn domains_keep_users_and_groups_of_the_same_name_apart() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let [one, other] = [domain(&site).await, domain(&site).await];
    let group = group_of(&one, &["systems"]);
    let elsewhere = pb::PermissionGroup {
        domain: other.clone(),
        permissions: texts(&["zones"]),
        ..group.clone()
    };
    let (group, elsewhere) = (made(&site, group).await, made(&site, elsewhere).await);
    assert_eq!(group.get(access).await.unwrap(), group);
    assert_eq!(elsewhere.get(access).await.unwrap(), elsewhere);
    let user =
        made(&site, pb::User { groups: vec![group.name.clone()], ..user_of(&one, &[]) }).await;
    let result = pb::User { domain: other.clone(), ..user.clone() }.get(access).await;
    assert_status(result, Code::NotFound, "USER_NOT_FOUND");
    // a name is looked up in the key's own domain
    let of_user = pb::CreateKeyRequest { user: user.id.clone(), ..key_of(&other) };
    assert_invalid(site.admin().create_key(of_user).await, &["user"]);
    let request = pb::CreateKeyRequest { groups: vec![group.name.clone()], ..key_of(&other) };
    let weak = key(&site, request.clone()).await;
    assert_eq!(verdict(&site, &weak.token, weak.revision).await, "403 PERMISSION_DENIED");
    let strong = key(&site, pb::CreateKeyRequest { domain: one, ..request }).await;
    assert_eq!(verdict(&site, &strong.token, strong.revision).await, "ALLOWED");
}
