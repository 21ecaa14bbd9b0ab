//! Permission groups: what they give at once, and that nobody gets more when one goes.

use std::slice::from_ref;

use keyward::rpc::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    Removable, Thing, delete_key, domain, events, get_key, group_of, key, key_of, made, texts,
    update_key, user_of, verdict,
};
use crate::support::{
    client::{Access, assert_status},
    operator::Site,
};

const DENIED: &str = "403 PERMISSION_DENIED";

/// Removes a group although others have it.
async fn force(
    access: &mut Access,
    group: &pb::PermissionGroup,
    validate_only: bool,
) -> Result<pb::DeletePermissionGroupResponse, Status> {
    let request = pb::DeletePermissionGroupRequest {
        domain: group.domain.clone(),
        name: group.name.clone(),
        etag: group.etag.clone(),
        force: true,
        validate_only,
    };
    Ok(access.delete_permission_group(request).await?.into_inner())
}

/// A key of the default domain with these groups, and a user if any.
fn request(groups: &[&pb::PermissionGroup], user: Option<&pb::User>) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest {
        groups: groups.iter().map(|group| group.name.clone()).collect(),
        user: user.map(|user| user.id.clone()).unwrap_or_default(),
        ..key_of("default")
    }
}

#[tokio::test]
async fn what_a_group_gives_changes_for_its_keys_and_users_at_once() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut group = made(&site, group_of("default", &["zones"])).await;
    let user = user_of("default", &[]);
    let user = made(&site, pb::User { groups: vec![group.name.clone()], ..user }).await;
    let own = key(&site, request(&[&group], None)).await;
    let through = key(&site, request(&[], Some(&user))).await;
    for (given, expected) in [("systems", "ALLOWED"), ("control", DENIED), ("*.read", "ALLOWED")] {
        group.permissions = texts(&[given]);
        let revision;
        (group, revision) = group.update(access, &["permissions"], false).await.unwrap();
        for made in [&own, &through] {
            assert_eq!(verdict(&site, &made.token, revision).await, expected);
        }
    }
    assert_eq!(get_key(&site, &own.key.id).await, own.key);
    assert_eq!(user.get(access).await.unwrap(), user);
}

#[tokio::test]
async fn a_group_that_is_had_goes_by_force_only_and_says_who_loses_what() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let many: Vec<_> = (0..12).map(|number| format!("word{number}")).collect();
    let group = pb::PermissionGroup { permissions: many.clone(), ..group_of("default", &[]) };
    let group = made(&site, group).await;
    let with = |user: pb::User| pb::User { groups: vec![group.name.clone()], ..user };
    let user = made(&site, with(user_of("default", &[]))).await;
    let lonely = made(&site, with(user_of("default", &[]))).await;
    // two themselves, one of them through its user as well; one through its user; two deleted ones
    key(&site, request(&[&group], None)).await;
    let both = key(&site, request(&[&group], Some(&user))).await;
    key(&site, request(&[], Some(&user))).await;
    for request in [request(&[&group], None), request(&[], Some(&lonely))] {
        let gone = key(&site, request).await.key;
        delete_key(&mut site.admin(), &gone).await.unwrap();
    }
    for validate_only in [true, false] {
        let result = group.delete(access, validate_only).await;
        let status = assert_status(result, Code::FailedPrecondition, "GROUP_IN_USE");
        let message = status.message();
        let named = many[..10].join(", ");
        for words in ["3 keys", "2 users", &*group.name, &*named, "and 2 more"] {
            assert!(message.contains(words), "{words}: {status:?}");
        }
        let details = status.get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata["affected_keys"], "3");
        assert_eq!(metadata["affected_users"], "2");
        assert_eq!(metadata["permissions"], many[..10].join(","));
    }
    let before = events(&site, "group", &group.subject()).await;
    let tried = force(access, &group, true).await.unwrap();
    assert_eq!((tried.affected_keys, tried.affected_users), (3, 2));
    assert_eq!(group.get(access).await.unwrap(), group);
    assert_eq!(events(&site, "group", &group.subject()).await, before);
    assert_eq!(get_key(&site, &both.key.id).await, both.key);

    let stale = pb::PermissionGroup { etag: "v0".into(), ..group.clone() };
    assert_status(force(access, &stale, false).await, Code::Aborted, "ETAG_MISMATCH");
    let gone = force(access, &group, false).await.unwrap();
    assert_eq!((gone.affected_keys, gone.affected_users), (3, 2));
    let event = ("groups.delete".into(), gone.revision, Some(group.snapshot()), None);
    assert_eq!(events(&site, "group", &group.subject()).await.last(), Some(&event));
    assert_status(group.get(access).await, Code::NotFound, "GROUP_NOT_FOUND");
    assert_status(force(access, &group, false).await, Code::NotFound, "GROUP_NOT_FOUND");
}

#[tokio::test]
async fn a_group_without_permissions_takes_nothing_away() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let group = made(&site, group_of("default", &[])).await;
    key(&site, request(&[&group], None)).await;
    let result = group.delete(access, false).await;
    let status = assert_status(result, Code::FailedPrecondition, "GROUP_IN_USE");
    assert!(status.message().ends_with("they lose nothing"), "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["permissions"], "");
    force(access, &group, false).await.unwrap();
}

#[tokio::test]
async fn a_group_that_nobody_has_goes_without_force() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let [one, other] = [
        made(&site, group_of("default", &["a"])).await,
        made(&site, group_of("default", &["a"])).await,
    ];
    // only a deleted key has it
    let gone = key(&site, request(&[&one], None)).await.key;
    delete_key(&mut site.admin(), &gone).await.unwrap();
    one.delete(access, false).await.unwrap();
    let answer = force(access, &other, false).await.unwrap();
    assert_eq!((answer.affected_keys, answer.affected_users), (0, 0));
}

#[tokio::test]
async fn nobody_gets_more_when_a_group_is_deleted() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let group = made(&site, group_of("default", &["zones"])).await;
    let good = made(&site, group_of("default", &["systems"])).await;
    let user = made(&site, user_of("default", &["public"])).await;
    let only = key(&site, request(&[&group], Some(&user))).await;
    let two = key(&site, request(&[&group, &good], Some(&user))).await;
    let through = user_of("default", &[]);
    let through = pb::User { groups: vec![group.name.clone(), good.name.clone()], ..through };
    let through = made(&site, through).await;
    assert_eq!(verdict(&site, &only.token, 0).await, DENIED);
    let revision = force(access, &group, false).await.unwrap().revision;
    assert_eq!(verdict(&site, &only.token, revision).await, DENIED);
    assert_eq!(verdict(&site, &two.token, revision).await, "ALLOWED");
    // it is shown as what they had
    let shown = get_key(&site, &only.key.id).await;
    assert_eq!((&shown.groups, &shown.deleted_groups), (&vec![], &vec![group.name.clone()]));
    let shown = get_key(&site, &two.key.id).await;
    let expected = (&vec![good.name.clone()], &vec![group.name.clone()]);
    assert_eq!((&shown.groups, &shown.deleted_groups), expected);
    let user_shown = through.get(access).await.unwrap();
    assert_eq!((&user_shown.groups, &user_shown.deleted_groups), expected);

    // the name is taken again: nobody who had the old one has the new one
    let new = pb::PermissionGroup {
        permissions: texts(&["public"]),
        etag: String::new(),
        ..group.clone()
    };
    let (new, revision) = new.create(access, false).await.unwrap();
    assert_eq!(verdict(&site, &only.token, revision).await, DENIED);
    assert_eq!(get_key(&site, &two.key.id).await, shown);
    assert_eq!(through.get(access).await.unwrap(), user_shown);
    let request_of = |group: &pb::PermissionGroup| pb::ListUsersRequest {
        group: group.name.clone(),
        ..pb::ListUsersRequest::default()
    };
    assert_eq!(access.list_users(request_of(&new)).await.unwrap().into_inner().users, []);
    let listed = access.list_users(request_of(&good)).await.unwrap().into_inner();
    assert_eq!(listed.users, *from_ref(&user_shown));
    new.delete(access, false).await.unwrap(); // nobody has it

    // another field changes and this stays; an update of groups clears it
    let renamed = pb::User { display_name: "Renamed".into(), ..user_shown };
    let renamed = renamed.update(access, &["display_name"], false).await.unwrap().0;
    assert_eq!(renamed.deleted_groups, *from_ref(&group.name));
    let cleared = renamed.update(access, &["groups"], false).await.unwrap().0;
    assert_eq!((cleared.groups.clone(), cleared.deleted_groups.clone()), (vec![good.name], vec![]));
    assert_eq!(cleared.get(access).await.unwrap(), cleared);
    let only = get_key(&site, &only.key.id).await;
    let mut admin = site.admin();
    let renamed = pb::Key { description: "Renamed".into(), ..only.clone() };
    update_key(&mut admin, &renamed, "description").await.unwrap();
    assert_eq!(get_key(&site, &only.id).await.deleted_groups, only.deleted_groups);
    let cleared = pb::Key { etag: String::new(), ..only.clone() };
    update_key(&mut admin, &cleared, "groups").await.unwrap();
    let cleared = get_key(&site, &only.id).await;
    assert_eq!((cleared.groups, cleared.deleted_groups), (vec![], vec![]));
}

#[tokio::test]
async fn a_key_whose_groups_were_cleared_has_what_its_user_has() {
    let site = Site::shared();
    let group = made(&site, group_of("default", &["zones"])).await;
    let user = made(&site, user_of("default", &["systems"])).await;
    let made = key(&site, request(&[&group], Some(&user))).await;
    force(&mut site.server.access(), &group, false).await.unwrap();
    let cleared = get_key(&site, &made.key.id).await;
    let revision = update_key(&mut site.admin(), &cleared, "groups").await.unwrap();
    assert_eq!(verdict(&site, &made.token, revision).await, "ALLOWED");
}

#[tokio::test]
async fn a_deleted_key_comes_back_without_a_group_that_went_meanwhile() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut admin = site.admin();
    let domain = domain(&site).await;
    let group = made(&site, group_of(&domain, &["systems"])).await;
    let groups = vec![group.name.clone()];
    let made_key = key(&site, pb::CreateKeyRequest { groups, ..key_of(&domain) }).await;
    assert_eq!(verdict(&site, &made_key.token, 0).await, "ALLOWED");
    delete_key(&mut admin, &made_key.key).await.unwrap();
    group.delete(access, false).await.unwrap();
    made(&site, pb::PermissionGroup { etag: String::new(), ..group.clone() }).await;
    let request = pb::UndeleteKeyRequest { id: made_key.key.id.clone(), etag: String::new() };
    let back = admin.undelete_key(request).await.unwrap().into_inner();
    assert_eq!(verdict(&site, &made_key.token, back.revision).await, DENIED);
    let shown = back.key.unwrap();
    assert_eq!((shown.groups, shown.deleted_groups), (vec![], vec![group.name]));
}
