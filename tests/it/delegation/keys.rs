//! Keys that could do more than the ceiling: made, changed, opened or brought back.

use keyward::rpc::pb::{
    self, ActivateKeyRequest, CreateKeyRequest, Key, RegenerateKeyRequest, UndeleteKeyRequest,
    UpdateKeyRequest,
};

use super::{Attempt, CEILED, OWN, World, change, key_in, texts, update};
use crate::support::client::Made;

const GRANTS_BEYOND: [&str; 11] = [
    "control",
    "reports",
    "reports.write",
    "reports.*",
    "*",
    "*.*",
    "*.read",
    "public",
    "public.read",
    "public.write",
    "keyward.keys.read",
];

#[tokio::test]
async fn no_key_is_made_beyond_the_ceiling() {
    let mut world = World::start().await;
    let template = |name: &str, required: &[&str], optional: &[&str]| pb::CreateTemplateRequest {
        template: Some(pb::Template {
            name: name.into(),
            display_name: name.into(),
            required_permissions: texts(required),
            optional_permissions: texts(optional),
            ..pb::Template::default()
        }),
        validate_only: false,
    };
    for request in [
        template("heavy", &["systems.read", "control"], &[]),
        template("kit", &["systems.read"], &["control"]),
    ] {
        world.root_access.create_template(request).await.unwrap();
    }
    let make = |name: &str, request: CreateKeyRequest| {
        change!(name, world.keys, create_key, request, CEILED, "keys.create", OWN)
    };
    let mut attempts: Vec<Attempt> = GRANTS_BEYOND
        .iter()
        .map(|grant| make(grant, key_in(OWN, "Strong", &["systems.read", grant])))
        .collect();
    let bare = || key_in(OWN, "Strong", &[]);
    let of = |user: &str| CreateKeyRequest { user: user.into(), ..bare() };
    let from = |template: &str, optional: &[&str]| CreateKeyRequest {
        template: template.into(),
        with_optional: texts(optional),
        ..bare()
    };
    attempts.extend([
        make(
            "only tried",
            CreateKeyRequest { validate_only: true, ..key_in(OWN, "Strong", &["control"]) },
        ),
        make(
            "with a request id",
            CreateKeyRequest { request_id: "once".into(), ..key_in(OWN, "Strong", &["control"]) },
        ),
        make("a group", CreateKeyRequest { groups: texts(&["modest", "mighty"]), ..bare() }),
        make(
            "a strong group of a weak user's",
            CreateKeyRequest { groups: texts(&["mighty"]), ..of("intern") },
        ),
        make("all of a user", of("boss")),
        make("all of a user's groups", of("heir")),
        make(
            "strong grants of a weak user's",
            CreateKeyRequest { permissions: texts(&["*"]), ..of("intern") },
        ),
        make("a template", from("heavy", &[])),
        make("an option of a template", from("kit", &["control"])),
    ]);
    world.assert_refused(attempts).await;
}

/// Changes of a key that let it do more than the ceiling.
async fn widening(world: &mut World) -> Vec<Attempt> {
    let plain = world.key("Plain", &["systems.read"]).await.key.id;
    let interns = world.key_of("Intern's", &[], ("intern", &[])).await.key.id;
    let limited = world.key_of("Limited", &["systems.read"], ("boss", &[])).await.key.id;
    let grouped = world.key_of("Grouped", &[], ("boss", &["modest"])).await.key.id;
    let both = world.key_of("Both", &["systems"], ("boss", &["modest"])).await.key.id;
    let empty = world.key("Empty", &[]).await.key.id;
    let change = |name: &str, id: &str, key: Key, paths: &[&str]| {
        let request = update(id, key, paths);
        change!(name, world.keys, update_key, request, CEILED, "keys.update", id)
    };
    let mut attempts: Vec<Attempt> = GRANTS_BEYOND
        .iter()
        .map(|grant| {
            let key = Key { permissions: texts(&[grant]), ..Key::default() };
            change(grant, &plain, key, &["permissions"])
        })
        .collect();
    let with_groups = |names: &[&str]| Key { groups: texts(names), ..Key::default() };
    let of = |user: &str| Key { user: user.into(), ..Key::default() };
    attempts.extend([
        change("get a group", &plain, with_groups(&["mighty"]), &["groups"]),
        change(
            "get a group beside another",
            &grouped,
            with_groups(&["modest", "mighty"]),
            &["groups"],
        ),
        change("move to a stronger user", &interns, of("boss"), &["user"]),
        change("move to a user of a strong group", &interns, of("heir"), &["user"]),
        change("get a user", &empty, of("boss"), &["user"]),
        change(
            "give up its permissions for its user's",
            &limited,
            Key::default(),
            &["permissions"],
        ),
        change("give up its groups for its user's", &grouped, Key::default(), &["groups"]),
        change("give up both for its user's", &both, Key::default(), &["permissions", "groups"]),
        change("permissions for those of a new user", &plain, of("boss"), &["permissions", "user"]),
    ]);
    let tried = UpdateKeyRequest {
        validate_only: true,
        ..update(&limited, Key::default(), &["permissions"])
    };
    attempts.push(change!(
        "only tried",
        world.keys,
        update_key,
        tried,
        CEILED,
        "keys.update",
        &limited
    ));
    attempts
}

#[tokio::test]
async fn no_key_is_widened_beyond_the_ceiling() {
    let mut world = World::start().await;
    let attempts = widening(&mut world).await;
    world.assert_refused(attempts).await;
}

/// Keys that may do more than the ceiling, each for another cause.
async fn strong_keys(world: &mut World) -> Vec<Made> {
    vec![
        world.key("By permission", &["systems.read", "control"]).await,
        world.key_of("By group", &[], ("", &["mighty"])).await,
        world.key_of("By user", &[], ("boss", &[])).await,
        world.key_of("By the user's group", &[], ("heir", &[])).await,
        world.key_of("By permission, but for its user", &["*"], ("intern", &[])).await,
        world.key_of("By group, but for its user", &[], ("intern", &["mighty"])).await,
    ]
}

#[tokio::test]
async fn no_key_beyond_the_ceiling_is_changed() {
    let mut world = World::start().await;
    let mut attempts = Vec::new();
    for strong in strong_keys(&mut world).await {
        let id = &strong.key.id;
        let name = |what: &str| format!("{}: {what}", strong.key.display_name);
        let change = |what: &str, key: Key, paths: &[&str]| {
            let request = update(id, key, paths);
            change!(name(what), world.keys, update_key, request, CEILED, "keys.update", id)
        };
        let harmless = Key { permissions: texts(&["systems.read"]), ..Key::default() };
        attempts.extend([
            change(
                "rename",
                Key { display_name: "Mine".into(), ..Key::default() },
                &["display_name"],
            ),
            change("restrict", harmless, &["permissions", "groups", "user"]),
            change("let it last", Key::default(), &["expire_time"]),
            change(
                "let it in from everywhere",
                Key::default(),
                &["allowed_addresses", "denied_addresses"],
            ),
            change("let it everywhere", Key::default(), &["route_rules", "customers"]),
            change("free it of its user", Key::default(), &["user"]),
            change(
                "let its holder renew it",
                Key { allow_self_regenerate: true, ..Key::default() },
                &["allow_self_regenerate"],
            ),
            change(
                "manage it",
                Key { managed_by: world.clerk.key.id.clone(), ..Key::default() },
                &["managed_by"],
            ),
            change!(
                name("renew"),
                world.keys,
                regenerate_key,
                RegenerateKeyRequest { id: id.clone(), ..RegenerateKeyRequest::default() },
                CEILED,
                "keys.regenerate",
                id
            ),
        ]);
    }
    world.assert_refused(attempts).await;
}

#[tokio::test]
async fn no_key_beyond_the_ceiling_is_brought_back() {
    let mut world = World::start().await;
    let mut attempts = Vec::new();
    for strong in strong_keys(&mut world).await {
        let id = &strong.key.id;
        let name = |what: &str| format!("{}: {what}", strong.key.display_name);
        let request = ActivateKeyRequest { id: id.clone(), etag: String::new() };
        attempts.push(change!(
            name("activate"),
            world.keys,
            activate_key,
            request,
            CEILED,
            "keys.activate",
            id
        ));
        let request = UndeleteKeyRequest { id: id.clone(), etag: String::new() };
        attempts.push(change!(
            name("undelete"),
            world.keys,
            undelete_key,
            request,
            CEILED,
            "keys.undelete",
            id
        ));
        // each call has a state in which it would do something
        let off = pb::DeactivateKeyRequest { id: id.clone(), etag: String::new() };
        world.keys.deactivate_key(off).await.unwrap();
        let gone = pb::DeleteKeyRequest {
            id: id.clone(),
            confirm: strong.key.display_name.clone(),
            etag: String::new(),
        };
        world.keys.delete_key(gone).await.unwrap();
    }
    let off = world.key("Off", &["control"]).await.key.id;
    let request = pb::DeactivateKeyRequest { id: off.clone(), etag: String::new() };
    world.keys.deactivate_key(request).await.unwrap();
    let revoked = world.key("Revoked", &["control"]).await.key.id;
    let request = pb::RevokeKeyRequest {
        id: revoked.clone(),
        reason: pb::RevocationReason::Compromised.into(),
        ..pb::RevokeKeyRequest::default()
    };
    world.keys.revoke_key(request).await.unwrap();
    for id in [off, revoked] {
        let request = ActivateKeyRequest { id: id.clone(), etag: String::new() };
        attempts.push(change!(
            "activate",
            world.keys,
            activate_key,
            request,
            CEILED,
            "keys.activate",
            &id
        ));
    }
    world.assert_refused(attempts).await;
}
