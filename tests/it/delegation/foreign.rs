//! Other domains: nothing in them is made, changed or read.

use keyward::rpc::pb::{self, Key};

use super::{
    Attempt, ELSEWHERE, FOREIGN, OWN, World, change, group, key_in, mask, question, update, user,
};
use crate::support::client::{Made, assert_invalid, create};

#[expect(clippy::too_many_lines, reason = "one table")]
fn key_changes(world: &World, theirs: &Made) -> Vec<Attempt> {
    let (id, keys) = (theirs.key.id.as_str(), &world.keys);
    let id_of = || id.to_owned();
    let mine = Key { managed_by: world.clerk.key.id.clone(), ..Key::default() };
    vec![
        change!(
            "make",
            keys,
            create_key,
            key_in(FOREIGN, "Mine", &["systems.read"]),
            ELSEWHERE,
            "keys.create",
            FOREIGN
        ),
        change!(
            "make one that may do nothing",
            keys,
            create_key,
            key_in(FOREIGN, "Mine", &[]),
            ELSEWHERE,
            "keys.create",
            FOREIGN
        ),
        change!(
            "make in no domain that there is",
            keys,
            create_key,
            key_in("nowhere", "Mine", &[]),
            ELSEWHERE,
            "keys.create",
            "nowhere"
        ),
        change!(
            "make without a domain",
            keys,
            create_key,
            key_in("", "Mine", &[]),
            ELSEWHERE,
            "keys.create",
            "default"
        ),
        change!(
            "rename",
            keys,
            update_key,
            update(id, Key::default(), &["description"]),
            ELSEWHERE,
            "keys.update",
            id
        ),
        change!(
            "manage",
            keys,
            update_key,
            update(id, mine, &["managed_by"]),
            ELSEWHERE,
            "keys.update",
            id
        ),
        change!(
            "renew",
            keys,
            regenerate_key,
            pb::RegenerateKeyRequest { id: id_of(), ..pb::RegenerateKeyRequest::default() },
            ELSEWHERE,
            "keys.regenerate",
            id
        ),
        change!(
            "renew by request id",
            keys,
            regenerate_key,
            pb::RegenerateKeyRequest {
                id: id_of(),
                request_id: "root-was-here".into(),
                ..pb::RegenerateKeyRequest::default()
            },
            ELSEWHERE,
            "keys.regenerate",
            id
        ),
        change!(
            "activate",
            keys,
            activate_key,
            pb::ActivateKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.activate",
            id
        ),
        change!(
            "deactivate",
            keys,
            deactivate_key,
            pb::DeactivateKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.deactivate",
            id
        ),
        change!(
            "deactivate by a wrong etag",
            keys,
            deactivate_key,
            pb::DeactivateKeyRequest { id: id_of(), etag: "guess".into() },
            ELSEWHERE,
            "keys.deactivate",
            id
        ),
        change!(
            "revoke",
            keys,
            revoke_key,
            pb::RevokeKeyRequest {
                id: id_of(),
                reason: pb::RevocationReason::Abuse.into(),
                ..pb::RevokeKeyRequest::default()
            },
            ELSEWHERE,
            "keys.revoke",
            id
        ),
        change!(
            "delete",
            keys,
            delete_key,
            pb::DeleteKeyRequest { id: id_of(), confirm: "Theirs".into(), etag: String::new() },
            ELSEWHERE,
            "keys.delete",
            id
        ),
        change!(
            "undelete",
            keys,
            undelete_key,
            pb::UndeleteKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.undelete",
            id
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn thing_changes(world: &World) -> Vec<Attempt> {
    let access = &world.access;
    let domain = |name: &str| {
        Some(pb::Domain { name: name.into(), display_name: "Mine".into(), ..pb::Domain::default() })
    };
    let (them, theirs) = (|| Some(user(FOREIGN, "them", &[], &[])), group(FOREIGN, "theirs", &[]));
    let route_map = Some(pb::RouteMap { domain: FOREIGN.into(), ..pb::RouteMap::default() });
    let catalogue = Some(pb::Catalogue { domain: FOREIGN.into(), ..pb::Catalogue::default() });
    let (of, id, etag) = (|| String::from(FOREIGN), || String::from("them"), String::new);
    vec![
        change!(
            "make a domain",
            access,
            create_domain,
            pb::CreateDomainRequest { domain: domain("new"), validate_only: false },
            ELSEWHERE,
            "domains.create",
            "new"
        ),
        change!(
            "rename a domain",
            access,
            update_domain,
            pb::UpdateDomainRequest {
                domain: domain(FOREIGN),
                update_mask: mask(&["display_name"]),
                validate_only: false,
            },
            ELSEWHERE,
            "domains.update",
            FOREIGN
        ),
        change!(
            "disable a domain",
            access,
            disable_domain,
            pb::DisableDomainRequest { name: of(), etag: etag() },
            ELSEWHERE,
            "domains.disable",
            FOREIGN
        ),
        change!(
            "enable a domain",
            access,
            enable_domain,
            pb::EnableDomainRequest { name: of(), etag: etag() },
            ELSEWHERE,
            "domains.enable",
            FOREIGN
        ),
        change!(
            "replace a catalogue",
            access,
            update_catalogue,
            pb::UpdateCatalogueRequest { catalogue, validate_only: false },
            ELSEWHERE,
            "catalogues.update",
            FOREIGN
        ),
        change!(
            "replace a route map",
            access,
            update_route_map,
            pb::UpdateRouteMapRequest { route_map, validate_only: false },
            ELSEWHERE,
            "route_maps.update",
            FOREIGN
        ),
        change!(
            "make a user",
            access,
            create_user,
            pb::CreateUserRequest {
                user: Some(user(FOREIGN, "new", &[], &[])),
                validate_only: false
            },
            ELSEWHERE,
            "users.create",
            "rival/new"
        ),
        change!(
            "make a user without a domain",
            access,
            create_user,
            pb::CreateUserRequest { user: Some(user("", "new", &[], &[])), validate_only: false },
            ELSEWHERE,
            "users.create",
            "default/new"
        ),
        change!(
            "change a user",
            access,
            update_user,
            pb::UpdateUserRequest {
                user: them(),
                update_mask: mask(&["permissions"]),
                validate_only: true,
            },
            ELSEWHERE,
            "users.update",
            "rival/them"
        ),
        change!(
            "disable a user",
            access,
            disable_user,
            pb::DisableUserRequest { domain: of(), id: id(), etag: etag() },
            ELSEWHERE,
            "users.disable",
            "rival/them"
        ),
        change!(
            "enable a user",
            access,
            enable_user,
            pb::EnableUserRequest { domain: of(), id: id(), etag: etag() },
            ELSEWHERE,
            "users.enable",
            "rival/them"
        ),
        change!(
            "delete a user",
            access,
            delete_user,
            pb::DeleteUserRequest { domain: of(), id: id(), ..pb::DeleteUserRequest::default() },
            ELSEWHERE,
            "users.delete",
            "rival/them"
        ),
        change!(
            "make a group",
            access,
            create_permission_group,
            pb::CreatePermissionGroupRequest {
                group: Some(group(FOREIGN, "new", &[])),
                validate_only: false,
            },
            ELSEWHERE,
            "groups.create",
            "rival/new"
        ),
        change!(
            "change a group",
            access,
            update_permission_group,
            pb::UpdatePermissionGroupRequest {
                group: Some(theirs),
                update_mask: mask(&["permissions"]),
                validate_only: false,
            },
            ELSEWHERE,
            "groups.update",
            "rival/theirs"
        ),
        change!(
            "delete a group",
            access,
            delete_permission_group,
            pb::DeletePermissionGroupRequest {
                domain: of(),
                name: "theirs".into(),
                force: true,
                ..pb::DeletePermissionGroupRequest::default()
            },
            ELSEWHERE,
            "groups.delete",
            "rival/theirs"
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "one table")]
fn questions(world: &World, theirs: &Made) -> Vec<Attempt> {
    let (keys, access, id) = (&world.keys, &world.access, theirs.key.id.clone());
    let of = || String::from(FOREIGN);
    let decide = || pb::AuthorizeRequest {
        key: theirs.token.clone(),
        mode: pb::Mode::CheckOnly.into(),
        ..crate::support::client::may_read("")
    };
    let explainer = world.site.server.explainer_as(&world.clerk.token);
    vec![
        question!("get", keys, get_key, pb::GetKeyRequest { id: id.clone() }, ELSEWHERE),
        question!(
            "list",
            keys,
            list_keys,
            pb::ListKeysRequest { domain: of(), ..pb::ListKeysRequest::default() },
            ELSEWHERE
        ),
        question!(
            "look up",
            keys,
            lookup_key,
            pb::LookupKeyRequest { token: theirs.token.clone() },
            ELSEWHERE
        ),
        question!(
            "explain",
            keys,
            explain_key,
            pb::ExplainKeyRequest { id, request: None },
            ELSEWHERE
        ),
        question!("decide", explainer, authorize, decide(), ELSEWHERE),
        question!(
            "decide and explain",
            explainer,
            authorize,
            pb::AuthorizeRequest { explain: true, ..decide() },
            ELSEWHERE
        ),
        question!(
            "decide many",
            explainer,
            batch_authorize,
            pb::BatchAuthorizeRequest { requests: vec![decide()] },
            ELSEWHERE
        ),
        question!(
            "get a domain",
            access,
            get_domain,
            pb::GetDomainRequest { name: of() },
            ELSEWHERE
        ),
        question!(
            "get no domain",
            access,
            get_domain,
            pb::GetDomainRequest { name: "nowhere".into() },
            ELSEWHERE
        ),
        question!(
            "get a catalogue",
            access,
            get_catalogue,
            pb::GetCatalogueRequest { domain: of() },
            ELSEWHERE
        ),
        question!(
            "get a route map",
            access,
            get_route_map,
            pb::GetRouteMapRequest { domain: of() },
            ELSEWHERE
        ),
        question!(
            "get a user",
            access,
            get_user,
            pb::GetUserRequest { domain: of(), id: "them".into() },
            ELSEWHERE
        ),
        question!(
            "get no user",
            access,
            get_user,
            pb::GetUserRequest { domain: of(), id: "nobody".into() },
            ELSEWHERE
        ),
        question!(
            "list users",
            access,
            list_users,
            pb::ListUsersRequest { domain: of(), ..pb::ListUsersRequest::default() },
            ELSEWHERE
        ),
        question!(
            "get a group",
            access,
            get_permission_group,
            pb::GetPermissionGroupRequest { domain: of(), name: "theirs".into() },
            ELSEWHERE
        ),
        question!(
            "list groups",
            access,
            list_permission_groups,
            pb::ListPermissionGroupsRequest {
                domain: of(),
                ..pb::ListPermissionGroupsRequest::default()
            },
            ELSEWHERE
        ),
    ]
}

#[tokio::test]
async fn nothing_of_another_domain_is_changed_or_read() {
    let mut world = World::start().await;
    let theirs = create(&mut world.root, key_in(FOREIGN, "Theirs", &["systems.read"])).await;
    let renewal = pb::RegenerateKeyRequest {
        id: theirs.key.id.clone(),
        request_id: "root-was-here".into(),
        ..pb::RegenerateKeyRequest::default()
    };
    let renewed = world.root.regenerate_key(renewal).await.unwrap().into_inner();
    world.site.knows(renewed.revision).await;
    let theirs = Made { token: renewed.token, ..theirs };
    world.assert_refused(key_changes(&world, &theirs)).await;
    world.assert_refused(thing_changes(&world)).await;
    world.assert_refused(questions(&world, &theirs)).await;
}

#[tokio::test]
async fn users_and_groups_of_another_domain_are_unknown_to_keys_and_users() {
    let mut world = World::start().await;
    let key = world.key("Plain", &["systems.read"]).await.key.id;
    let before = world.content().await;
    let bare = || key_in(OWN, "Bare", &[]);
    let request = pb::CreateKeyRequest { user: "them".into(), ..bare() };
    assert_invalid(world.keys.create_key(request).await, &["user"]);
    let request = pb::CreateKeyRequest { groups: vec!["theirs".into()], ..bare() };
    assert_invalid(world.keys.create_key(request).await, &["groups[0]"]);
    let moved = Key { user: "them".into(), ..Key::default() };
    assert_invalid(world.keys.update_key(update(&key, moved, &["user"])).await, &["key.user"]);
    let grouped = Key { groups: vec!["theirs".into()], ..Key::default() };
    let result = world.keys.update_key(update(&key, grouped, &["groups"])).await;
    assert_invalid(result, &["key.groups[0]"]);
    let user = Some(user(OWN, "new", &[], &["theirs"]));
    let request = pb::CreateUserRequest { user, validate_only: false };
    assert_invalid(world.access.create_user(request).await, &["user.groups[0]"]);
    assert_eq!(world.content().await, before);
}
