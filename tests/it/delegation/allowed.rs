//! What a delegated admin may do: all that its permissions say, in its domains and below its ceiling.

use keyward::rpc::pb::{self, Key};
use tonic::Code;

use super::{OWN, World, bound, group, key_in, mask, texts, update, user};
use crate::support::client::{
    assert_invalid, assert_not_permitted, assert_status, create, new_admin_key,
};

#[tokio::test]
async fn keys_below_the_ceiling_are_made_changed_and_ended() {
    let mut world = World::start().await;
    let keys = &mut world.keys;
    for permissions in [&["systems"][..], &["systems.*", "systems.*.read"], &["reports.read"], &[]]
    {
        create(keys, key_in(OWN, "Below", permissions)).await;
    }
    // what its user may do is beyond the ceiling, and what the key may do is not
    let request =
        pb::CreateKeyRequest { user: "boss".into(), ..key_in(OWN, "Limited", &["systems"]) };
    create(keys, request).await;
    let request = pb::CreateKeyRequest {
        user: "intern".into(),
        groups: texts(&["modest"]),
        ..key_in(OWN, "Own", &[])
    };
    let made = create(keys, request).await;
    assert_eq!(made.key.created_by, world.clerk.key.id);
    let id = made.key.id;
    let wider = Key { permissions: texts(&["systems.write"]), ..Key::default() };
    keys.update_key(update(&id, wider, &["permissions", "groups", "user"])).await.unwrap();
    let request = pb::RegenerateKeyRequest { id: id.clone(), ..Default::default() };
    assert!(!keys.regenerate_key(request).await.unwrap().into_inner().token.is_empty());
    let etag = String::new;
    let request = pb::DeactivateKeyRequest { id: id.clone(), etag: etag() };
    keys.deactivate_key(request).await.unwrap();
    keys.activate_key(pb::ActivateKeyRequest { id: id.clone(), etag: etag() }).await.unwrap();
    let request = pb::DeleteKeyRequest { id: id.clone(), confirm: "Own".into(), etag: etag() };
    keys.delete_key(request).await.unwrap();
    keys.undelete_key(pb::UndeleteKeyRequest { id, etag: etag() }).await.unwrap();
    assert_eq!(world.all_refusals().await, 0);
}

#[tokio::test]
async fn what_is_beyond_the_ceiling_may_be_stopped() {
    let mut world = World::start().await;
    let strong = world.key_of("Strong", &["control"], ("boss", &["mighty"])).await;
    let (id, etag) = (strong.key.id.clone(), String::new);
    let keys = &mut world.keys;
    let request = pb::DeactivateKeyRequest { id: id.clone(), etag: etag() };
    keys.deactivate_key(request).await.unwrap();
    let request = pb::RevokeKeyRequest {
        id: id.clone(),
        reason: pb::RevocationReason::Abuse.into(),
        ..pb::RevokeKeyRequest::default()
    };
    keys.revoke_key(request).await.unwrap();
    let request = pb::DeleteKeyRequest { id, confirm: "Strong".into(), etag: etag() };
    let gone = keys.delete_key(request).await.unwrap().into_inner();
    assert_eq!(gone.key.unwrap().state(), pb::KeyState::Deleted);
    for id in ["boss", "heir"] {
        let request = pb::DisableUserRequest { domain: OWN.into(), id: id.into(), etag: etag() };
        let user = world.access.disable_user(request).await.unwrap().into_inner().user;
        assert!(user.unwrap().disabled);
    }
    assert_eq!(world.all_refusals().await, 0);
}

#[tokio::test]
async fn users_and_groups_below_the_ceiling_are_made_changed_and_removed() {
    let mut world = World::start().await;
    let access = &mut world.access;
    let new = Some(group(OWN, "new", &["systems"]));
    let request = pb::CreatePermissionGroupRequest { group: new, validate_only: false };
    access.create_permission_group(request).await.unwrap();
    let request = pb::UpdatePermissionGroupRequest {
        group: Some(group(OWN, "new", &["reports.read"])),
        update_mask: mask(&["permissions"]),
        validate_only: false,
    };
    access.update_permission_group(request).await.unwrap();
    let new = Some(user(OWN, "new", &["systems.read"], &["new"]));
    access.create_user(pb::CreateUserRequest { user: new, validate_only: false }).await.unwrap();
    let request = pb::UpdateUserRequest {
        user: Some(user(OWN, "new", &["systems"], &["modest"])),
        update_mask: mask(&["permissions", "groups"]),
        validate_only: false,
    };
    access.update_user(request).await.unwrap();
    let (of, id, etag) = (|| String::from(OWN), || String::from("new"), String::new);
    let request = pb::DisableUserRequest { domain: of(), id: id(), etag: etag() };
    access.disable_user(request).await.unwrap();
    let request = pb::EnableUserRequest { domain: of(), id: id(), etag: etag() };
    access.enable_user(request).await.unwrap();
    let request = pb::DeleteUserRequest { domain: of(), id: id(), ..Default::default() };
    access.delete_user(request).await.unwrap();
    let request =
        pb::DeletePermissionGroupRequest { domain: of(), name: id(), ..Default::default() };
    access.delete_permission_group(request).await.unwrap();
    assert_eq!(world.all_refusals().await, 0);
}

#[tokio::test]
async fn one_whose_ceiling_is_everything_says_what_routes_need() {
    let mut world = World::start().await;
    for (ceiling, may) in [("*", true), ("public", true), ("*.read", false), ("systems", false)] {
        let request = pb::CreateKeyRequest {
            delegation: bound(&[OWN], &[ceiling]),
            ..new_admin_key("Router", &["keyward.routes.write"])
        };
        let made = create(&mut world.root, request).await;
        world.site.knows(made.revision).await;
        let request = pb::UpdateRouteMapRequest {
            route_map: Some(pb::RouteMap { domain: OWN.into(), ..Default::default() }),
            validate_only: false,
        };
        let result = world.site.server.access_as(&made.token).update_route_map(request).await;
        if may {
            result.unwrap();
        } else {
            assert_status(result, Code::PermissionDenied, super::CEILED);
        }
    }
}

#[tokio::test]
async fn an_empty_ceiling_lets_only_what_may_do_nothing() {
    let mut world = World::start().await;
    let request = pb::CreateKeyRequest {
        delegation: bound(&[OWN], &[]),
        ..new_admin_key("Caretaker", &["keyward"])
    };
    let made = create(&mut world.root, request).await;
    world.site.knows(made.revision).await;
    let mut keys = world.site.server.admin_as(&made.token);
    create(&mut keys, key_in(OWN, "Nothing", &[])).await;
    for request in [
        key_in(OWN, "Something", &["systems.read"]),
        pb::CreateKeyRequest { user: "intern".into(), ..key_in(OWN, "Something", &[]) },
        pb::CreateKeyRequest { groups: texts(&["modest"]), ..key_in(OWN, "Something", &[]) },
    ] {
        assert_status(keys.create_key(request).await, Code::PermissionDenied, super::CEILED);
    }
}

#[tokio::test]
async fn a_delegation_gives_no_permission() {
    let mut world = World::start().await;
    let request = pb::CreateKeyRequest {
        delegation: bound(&[OWN], &["*"]),
        ..new_admin_key("Reader", &["keyward.keys.read"])
    };
    let made = create(&mut world.root, request).await;
    world.site.knows(made.revision).await;
    let mut keys = world.site.server.admin_as(&made.token);
    let result = keys.create_key(key_in(OWN, "New", &[])).await;
    assert_not_permitted(result, "keyward.keys.write");
    let mut access = world.site.server.access_as(&made.token);
    let request = pb::ListUsersRequest::default();
    assert_not_permitted(access.list_users(request).await, "keyward.users.read");
}

#[tokio::test]
async fn a_domain_that_was_disabled_is_enabled_by_nobody_with_a_ceiling() {
    let mut world = World::start().await;
    let request = || pb::DisableDomainRequest { name: OWN.into(), etag: String::new() };
    world.access.disable_domain(request()).await.unwrap();
    let request = || pb::EnableDomainRequest { name: OWN.into(), etag: String::new() };
    let refused = world.access.enable_domain(request()).await;
    assert_status(refused, Code::PermissionDenied, "EXCEEDS_CEILING");
    assert_eq!(world.all_refusals().await, 1);
    world.root_access.enable_domain(request()).await.unwrap();
}

#[tokio::test]
async fn a_bound_admin_manages_keys_itself_or_not_at_all() {
    let mut world = World::start().await;
    let made = create(&mut world.keys, key_in(OWN, "Plain", &["systems"])).await;
    for manager in [world.root_id.clone(), made.key.id.clone()] {
        let key = Key { managed_by: manager, ..Key::default() };
        let result = world.keys.update_key(update(&made.key.id, key, &["managed_by"])).await;
        assert_invalid(result, &["key.managed_by"]);
    }
    let key = Key { managed_by: world.clerk.key.id.clone(), ..Key::default() };
    world.keys.update_key(update(&made.key.id, key, &["managed_by"])).await.unwrap();
}
