//! Users: what their keys may do, and what becomes of these without them.

use std::slice::from_ref;

use keyward::rpc::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    Answer, Removable, Thing, delete_key, domain, events, get_key, group_of, key, key_of, made,
    present, texts, update_key, user_of, verdict,
};
use crate::support::{
    client::{Access, Made, assert_invalid, assert_status},
    operator::Site,
};

async fn disable(access: &mut Access, user: &pb::User, etag: &str) -> Answer<pb::User> {
    let (domain, id) = (user.domain.clone(), user.id.clone());
    let request = pb::DisableUserRequest { domain, id, etag: etag.into() };
    let response = access.disable_user(request).await?.into_inner();
    Ok((response.user.unwrap(), response.revision))
}

async fn enable(access: &mut Access, user: &pb::User, etag: &str) -> Answer<pb::User> {
    let (domain, id) = (user.domain.clone(), user.id.clone());
    let request = pb::EnableUserRequest { domain, id, etag: etag.into() };
    let response = access.enable_user(request).await?.into_inner();
    Ok((response.user.unwrap(), response.revision))
}

/// A key that acts for a user and has nothing of its own.
async fn key_for(site: &Site, user: &pb::User) -> Made {
    key(site, pb::CreateKeyRequest { user: user.id.clone(), ..key_of(&user.domain) }).await
}

async fn undelete(site: &Site, key: &pb::Key) -> Result<i64, Status> {
    let request = pb::UndeleteKeyRequest { id: key.id.clone(), etag: String::new() };
    Ok(site.admin().undelete_key(request).await?.into_inner().revision)
}

#[tokio::test]
async fn disabling_a_user_stops_its_keys_until_it_is_enabled() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let before = made(&site, user_of("default", &["systems"])).await;
    let other = made(&site, user_of("default", &["systems"])).await;
    let [its, not_its] = [key_for(&site, &before).await, key_for(&site, &other).await];
    assert_eq!(verdict(&site, &its.token, its.revision).await, "ALLOWED");
    let (stopped, revision) = disable(access, &before, &before.etag).await.unwrap();
    let expected = pb::User {
        disabled: true,
        etag: stopped.etag.clone(),
        update_time: stopped.update_time,
        ..before.clone()
    };
    assert_eq!(stopped, expected);
    assert_ne!(stopped.etag, before.etag);
    assert_eq!(before.get(access).await.unwrap(), stopped);
    assert_eq!(verdict(&site, &its.token, revision).await, "401 USER_DISABLED");
    assert_eq!(verdict(&site, &not_its.token, revision).await, "ALLOWED");
    let subject = &before.subject();
    let stop =
        ("users.disable".into(), revision, Some(before.snapshot()), Some(stopped.snapshot()));
    assert_eq!(events(&site, "user", subject).await[1..], *from_ref(&stop));
    // once more changes nothing, and what was seen before is stale
    assert_eq!(disable(access, &before, "").await.unwrap().0, stopped);
    for result in
        [disable(access, &before, &before.etag).await, enable(access, &before, &before.etag).await]
    {
        assert_status(result, Code::Aborted, "ETAG_MISMATCH");
    }
    let renamed = pb::User { display_name: "Still off".into(), disabled: false, ..stopped.clone() };
    let (renamed, _) = renamed.update(access, &["display_name"], false).await.unwrap();
    assert!(renamed.disabled);
    assert_eq!(events(&site, "user", subject).await.len(), 3);

    let (running, revision) = enable(access, &before, &renamed.etag).await.unwrap();
    assert!(!running.disabled);
    assert_eq!(before.get(access).await.unwrap(), running);
    let start =
        ("users.enable".into(), revision, Some(renamed.snapshot()), Some(running.snapshot()));
    assert_eq!(enable(access, &before, "").await.unwrap().0, running);
    assert_eq!(events(&site, "user", subject).await[3..], [start]);
    assert_eq!(verdict(&site, &its.token, revision).await, "ALLOWED");
    let nobody = user_of("default", &[]);
    for result in [disable(access, &nobody, "").await, enable(access, &nobody, "").await] {
        assert_status(result, Code::NotFound, "USER_NOT_FOUND");
    }
}

#[tokio::test]
async fn what_a_user_may_changes_for_its_keys_at_once() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let group = made(&site, group_of("default", &["systems.read"])).await;
    let mut user = made(&site, user_of("default", &["systems"])).await;
    let made = key_for(&site, &user).await;
    for (permissions, groups, expected) in [
        (vec![], vec![], "403 PERMISSION_DENIED"),
        (vec![], vec![group.name.clone()], "ALLOWED"),
        (texts(&["zones"]), vec![], "403 PERMISSION_DENIED"),
        (texts(&["systems.read"]), vec![], "ALLOWED"),
    ] {
        user = pb::User { permissions, groups, ..user };
        let revision;
        (user, revision) = user.update(access, &["permissions", "groups"], false).await.unwrap();
        assert_eq!(verdict(&site, &made.token, revision).await, expected);
    }
    assert_eq!(get_key(&site, &made.key.id).await, made.key);
}

#[tokio::test]
async fn groups_of_a_user_are_groups_of_its_domain() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let here = made(&site, group_of(domain, &[])).await.name;
    let elsewhere = made(&site, group_of("default", &[])).await.name;
    let there = made(&site, user_of(domain, &[])).await;
    let new = user_of(domain, &[]);
    let with =
        |user: &pb::User, groups: &[&str]| pb::User { groups: texts(groups), ..user.clone() };
    for (groups, at) in [([&*here, &elsewhere], 1), (["nothing-like-it", &here], 0)] {
        let told = &format!("user.groups[{at}]");
        for validate_only in [true, false] {
            assert_invalid(with(&new, &groups).create(access, validate_only).await, &[told]);
            let result = with(&there, &groups).update(access, &["groups"], validate_only).await;
            assert_invalid(result, &[told]);
        }
    }
    assert_eq!(there.get(access).await.unwrap(), there);
    assert_status(new.get(access).await, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn a_user_stays_while_keys_act_for_it() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut admin = site.admin();
    let [user, other] = [
        made(&site, user_of("default", &["systems"])).await,
        made(&site, user_of("default", &["systems"])).await,
    ];
    let mut keys = vec![];
    for _ in 0..12 {
        keys.push(key_for(&site, &user).await.key);
    }
    keys.sort_by(|one, other| one.id.cmp(&other.id));
    for validate_only in [true, false] {
        let result = user.delete(access, validate_only).await;
        let status = assert_status(result, Code::FailedPrecondition, "USER_IN_USE");
        let ids: Vec<_> = keys[..10].iter().map(|key| key.id.as_str()).collect();
        assert!(status.message().contains("12 keys"), "{status:?}");
        assert!(status.message().contains(&ids.join(", ")), "{status:?}");
        let details = status.get_error_details();
        let named = details.error_info().unwrap().metadata.get("keys").cloned();
        assert_eq!(named, Some(ids.join(",")));
    }
    assert_eq!(user.get(access).await.unwrap(), user);
    // some are deleted, some are given to somebody else, one to nobody
    for key in &keys[..4] {
        delete_key(&mut admin, key).await.unwrap();
    }
    for key in &keys[4..11] {
        let given = pb::Key { user: other.id.clone(), ..key.clone() };
        update_key(&mut admin, &given, "user").await.unwrap();
    }
    let status = user.delete(access, false).await.unwrap_err();
    assert!(status.message().contains(&format!("the user {} has 1 key,", user.id)));
    let named = status.get_error_details();
    assert_eq!(named.error_info().unwrap().metadata["keys"], keys[11].id);
    let given = pb::Key { user: String::new(), ..keys[11].clone() };
    update_key(&mut admin, &given, "user").await.unwrap();
    user.delete(access, false).await.unwrap();
    assert_status(user.get(access).await, Code::NotFound, "USER_NOT_FOUND");
}

#[tokio::test]
async fn a_deleted_key_of_a_deleted_user_stays_deleted() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut admin = site.admin();
    let user = made(&site, user_of("default", &["systems"])).await;
    let its = key_for(&site, &user).await;
    delete_key(&mut admin, &its.key).await.unwrap();
    undelete(&site, &its.key).await.unwrap(); // while there is the user
    let its_now = get_key(&site, &its.key.id).await;
    delete_key(&mut admin, &its_now).await.unwrap();
    user.delete(access, false).await.unwrap();
    let result = undelete(&site, &its.key).await;
    assert_status(result, Code::FailedPrecondition, "USER_NOT_FOUND");

    // somebody else takes the id
    let new = pb::User { permissions: texts(&["zones"]), ..present(&user) };
    let new = made(&site, new).await;
    let result = undelete(&site, &its.key).await;
    let status = assert_status(result, Code::FailedPrecondition, "USER_NOT_FOUND");
    assert!(!status.message().is_empty());
    assert!(get_key(&site, &its.key.id).await.delete_time.is_some());
    assert_eq!(verdict(&site, &its.token, its.revision).await, "401 KEY_UNKNOWN");
    // and keeps nobody's keys
    let request = pb::ListKeysRequest {
        user: user.id.clone(),
        show_deleted: false,
        ..pb::ListKeysRequest::default()
    };
    let listed = admin.list_keys(request).await.unwrap().into_inner();
    assert_eq!(listed.keys, []);
    let new_key = key_for(&site, &new).await;
    assert_eq!(verdict(&site, &new_key.token, new_key.revision).await, "403 PERMISSION_DENIED");
    delete_key(&mut admin, &new_key.key).await.unwrap();
    new.delete(access, false).await.unwrap();
}

#[tokio::test]
async fn a_key_for_a_user_that_is_gone_is_refused() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let user = made(&site, user_of("default", &["systems"])).await;
    let free = key(&site, key_of("default")).await.key;
    user.delete(access, false).await.unwrap();
    let request = pb::CreateKeyRequest { user: user.id.clone(), ..key_of("default") };
    assert_invalid(site.admin().create_key(request).await, &["user"]);
    let given = pb::Key { user: user.id.clone(), ..free };
    assert_invalid(update_key(&mut site.admin(), &given, "user").await, &["key.user"]);
}
