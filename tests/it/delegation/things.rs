//! Users and groups beyond the ceiling, route maps, and what belongs to the whole installation.

use keyward::rpc::pb::{
    self, CreatePermissionGroupRequest, CreateUserRequest, PermissionGroup, User,
};

use super::{Attempt, CEILED, GLOBAL, OWN, World, change, group, mask, texts, user};

const BEYOND: [&str; 4] = ["control", "*", "public.read", "reports"];

#[tokio::test]
async fn no_group_gives_more_than_the_ceiling() {
    let mut world = World::start().await;
    world.root_group(group(OWN, "idle", &["control"])).await;
    let edit = |name: &str, group: PermissionGroup, paths: &[&str]| {
        let subject = format!("{OWN}/{}", group.name);
        let request = pb::UpdatePermissionGroupRequest {
            group: Some(group),
            update_mask: mask(paths),
            validate_only: name.starts_with("try"),
        };
        change!(
            name,
            world.access,
            update_permission_group,
            request,
            CEILED,
            "groups.update",
            subject
        )
    };
    let mut attempts = Vec::new();
    for grant in BEYOND {
        let new = group(OWN, "new", &["systems", grant]);
        let request = CreatePermissionGroupRequest { group: Some(new), validate_only: false };
        attempts.extend([
            change!(
                "make",
                world.access,
                create_permission_group,
                request,
                CEILED,
                "groups.create",
                "acme/new"
            ),
            edit("widen", group(OWN, "modest", &[grant]), &["permissions"]),
            edit("try to widen", group(OWN, "modest", &[grant]), &["permissions"]),
        ]);
    }
    attempts.extend([
        edit("narrow a strong one", group(OWN, "mighty", &["systems"]), &["permissions"]),
        edit("empty a strong one", group(OWN, "mighty", &[]), &["permissions"]),
        edit("rename a strong one", group(OWN, "mighty", &[]), &["display_name"]),
    ]);
    for (name, force) in [("mighty", true), ("mighty", false), ("idle", false)] {
        let request = pb::DeletePermissionGroupRequest {
            domain: OWN.into(),
            name: name.into(),
            force,
            ..pb::DeletePermissionGroupRequest::default()
        };
        attempts.push(change!(
            "delete a strong one",
            world.access,
            delete_permission_group,
            request,
            CEILED,
            "groups.delete",
            format!("{OWN}/{name}")
        ));
    }
    world.assert_refused(attempts).await;
}

#[tokio::test]
async fn no_user_may_do_more_than_the_ceiling() {
    let mut world = World::start().await;
    world.root_user(user(OWN, "absent", &["control"], &[])).await;
    let request =
        pb::DisableUserRequest { domain: OWN.into(), id: "absent".into(), etag: String::new() };
    world.access.disable_user(request).await.unwrap();
    let edit = |name: &str, user: User, paths: &[&str]| {
        let subject = format!("{OWN}/{}", user.id);
        let request = pb::UpdateUserRequest {
            user: Some(user),
            update_mask: mask(paths),
            validate_only: name.starts_with("try"),
        };
        change!(name, world.access, update_user, request, CEILED, "users.update", subject)
    };
    let make = |name: &str, user: User| {
        let request = CreateUserRequest { user: Some(user), validate_only: false };
        change!(name, world.access, create_user, request, CEILED, "users.create", "acme/new")
    };
    let mut attempts: Vec<Attempt> = Vec::new();
    for grant in BEYOND {
        attempts.extend([
            make("make", user(OWN, "new", &["systems", grant], &[])),
            edit("widen", user(OWN, "intern", &[grant], &[]), &["permissions"]),
            edit("try to widen", user(OWN, "intern", &[grant], &[]), &["permissions"]),
        ]);
    }
    let both = ["permissions", "groups"];
    attempts.extend([
        make("make with a group", user(OWN, "new", &[], &["mighty"])),
        edit("get a group", user(OWN, "intern", &[], &["mighty"]), &["groups"]),
        edit("rename a strong one", user(OWN, "boss", &[], &[]), &["description"]),
        edit("narrow a strong one", user(OWN, "boss", &["systems"], &[]), &["permissions"]),
        edit("take the strong group", user(OWN, "heir", &[], &[]), &["groups"]),
        edit("take the strong group, too", user(OWN, "heir", &["systems"], &["modest"]), &both),
        edit(
            "rename a disabled one",
            User { display_name: "Mine".into(), ..user(OWN, "absent", &[], &[]) },
            &["display_name"],
        ),
        change!(
            "enable",
            world.access,
            enable_user,
            pb::EnableUserRequest { domain: OWN.into(), id: "absent".into(), etag: String::new() },
            CEILED,
            "users.enable",
            "acme/absent"
        ),
    ]);
    for id in ["boss", "heir", "absent"] {
        let request = pb::DeleteUserRequest {
            domain: OWN.into(),
            id: id.into(),
            ..pb::DeleteUserRequest::default()
        };
        attempts.push(change!(
            "delete",
            world.access,
            delete_user,
            request,
            CEILED,
            "users.delete",
            format!("{OWN}/{id}")
        ));
    }
    world.assert_refused(attempts).await;
}

fn routes(permission: &str) -> pb::UpdateRouteMapRequest {
    let entry = pb::RouteMapEntry {
        methods: vec![],
        path_template: "/api/**".into(),
        permission: permission.into(),
    };
    let route_map =
        Some(pb::RouteMap { domain: OWN.into(), entries: vec![entry], etag: String::new() });
    pb::UpdateRouteMapRequest { route_map, validate_only: false }
}

#[tokio::test]
async fn what_routes_need_is_not_for_one_with_a_ceiling() {
    let world = World::start().await;
    let empty = pb::UpdateRouteMapRequest {
        route_map: Some(pb::RouteMap { domain: OWN.into(), ..pb::RouteMap::default() }),
        validate_only: false,
    };
    let mut attempts = Vec::new();
    for request in [routes("systems.read"), routes("control"), empty] {
        for validate_only in [false, true] {
            let request = pb::UpdateRouteMapRequest { validate_only, ..request.clone() };
            attempts.push(change!(
                "route map",
                world.access,
                update_route_map,
                request,
                CEILED,
                "route_maps.update",
                OWN
            ));
        }
    }
    world.assert_refused(attempts).await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn what_belongs_to_all_is_read_and_not_changed() {
    let mut world = World::start().await;
    let template = pb::Template {
        name: "new".into(),
        display_name: "New".into(),
        required_permissions: texts(&["systems.read"]),
        ..pb::Template::default()
    };
    let environment = pb::Environment {
        name: "new".into(),
        tag: "new".into(),
        display_name: "New".into(),
        ..pb::Environment::default()
    };
    let known = pb::Template { name: "map-kiosk".into(), ..template.clone() };
    let staging = pb::Environment { name: "staging".into(), ..environment.clone() };
    let access = &world.access;
    let attempts = vec![
        change!(
            "make a template",
            access,
            create_template,
            pb::CreateTemplateRequest { template: Some(template), validate_only: false },
            GLOBAL,
            "templates.create",
            "new"
        ),
        change!(
            "change a template",
            access,
            update_template,
            pb::UpdateTemplateRequest {
                template: Some(known),
                update_mask: mask(&["required_permissions"]),
                validate_only: false,
            },
            GLOBAL,
            "templates.update",
            "map-kiosk"
        ),
        change!(
            "delete a template",
            access,
            delete_template,
            pb::DeleteTemplateRequest {
                name: "map-kiosk".into(),
                ..pb::DeleteTemplateRequest::default()
            },
            GLOBAL,
            "templates.delete",
            "map-kiosk"
        ),
        change!(
            "make an environment",
            access,
            create_environment,
            pb::CreateEnvironmentRequest {
                environment: Some(environment.clone()),
                validate_only: false,
            },
            GLOBAL,
            "environments.create",
            "new"
        ),
        change!(
            "try to make an environment",
            access,
            create_environment,
            pb::CreateEnvironmentRequest { environment: Some(environment), validate_only: true },
            GLOBAL,
            "environments.create",
            "new"
        ),
        change!(
            "change an environment",
            access,
            update_environment,
            pb::UpdateEnvironmentRequest {
                environment: Some(staging),
                update_mask: mask(&["tag"]),
                validate_only: false,
            },
            GLOBAL,
            "environments.update",
            "staging"
        ),
        change!(
            "delete an environment",
            access,
            delete_environment,
            pb::DeleteEnvironmentRequest {
                name: "staging".into(),
                ..pb::DeleteEnvironmentRequest::default()
            },
            GLOBAL,
            "environments.delete",
            "staging"
        ),
    ];
    world.assert_refused(attempts).await;
    let request = pb::ListTemplatesRequest::default();
    let templates = world.access.list_templates(request).await.unwrap().into_inner().templates;
    assert_eq!(templates.len(), 2);
    let request = pb::GetEnvironmentRequest { name: "staging".into() };
    world.access.get_environment(request).await.unwrap();
}
