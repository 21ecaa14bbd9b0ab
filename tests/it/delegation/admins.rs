//! Admin keys, its own among them: none is made, changed or read.

use keyward::rpc::pb::{self, Key};

use super::{
    Attempt, CEILING, ELSEWHERE, FOREIGN, OWN, World, bound, change, mask, question, update,
};
use crate::support::client::{create, new_admin_key};

#[tokio::test]
async fn no_admin_key_is_made_by_one_who_is_bound() {
    let world = World::start().await;
    let mut attempts = Vec::new();
    for (name, delegation) in [
        ("unbound", None),
        ("bound as it is", bound(&[OWN], &CEILING)),
        ("bound closer", bound(&[OWN], &[])),
        ("a higher ceiling", bound(&[OWN], &["*"])),
        ("more domains", bound(&[OWN, FOREIGN], &CEILING)),
    ] {
        for validate_only in [false, true] {
            let permissions = &["keyward.keys.read"];
            let delegation = delegation.clone();
            let request = pb::CreateKeyRequest {
                delegation,
                validate_only,
                ..new_admin_key("Accomplice", permissions)
            };
            attempts.push(change!(
                name,
                world.keys,
                create_key,
                request,
                ELSEWHERE,
                "keys.create",
                "keyward"
            ));
        }
    }
    world.assert_refused(attempts).await;
}

/// Everything that could change an admin key.
#[expect(clippy::too_many_lines, reason = "one table")]
fn changes(world: &World, name: &str, id: &str) -> Vec<Attempt> {
    let edit = |what: &str, key: Key, path: &str| {
        let what = format!("{name}: {what}");
        let request = update(id, key, &[path]);
        change!(what, world.keys, update_key, request, ELSEWHERE, "keys.update", id)
    };
    let wider = Key { delegation: bound(&[OWN, FOREIGN], &["*"]), ..Key::default() };
    let id_of = || id.to_owned();
    vec![
        edit("permissions", Key { permissions: vec!["*".into()], ..Key::default() }, "permissions"),
        edit("no delegation", Key::default(), "delegation"),
        edit("a wider delegation", wider, "delegation"),
        edit("no end", Key::default(), "expire_time"),
        edit("no manager", Key::default(), "managed_by"),
        edit(
            "a manager",
            Key { managed_by: world.clerk.key.id.clone(), ..Key::default() },
            "managed_by",
        ),
        edit("name", Key { display_name: "Mine".into(), ..Key::default() }, "display_name"),
        edit(
            "renewal",
            Key { allow_self_regenerate: true, ..Key::default() },
            "allow_self_regenerate",
        ),
        change!(
            format!("{name}: renew"),
            world.keys,
            regenerate_key,
            pb::RegenerateKeyRequest { id: id_of(), ..pb::RegenerateKeyRequest::default() },
            ELSEWHERE,
            "keys.regenerate",
            id
        ),
        change!(
            format!("{name}: deactivate"),
            world.keys,
            deactivate_key,
            pb::DeactivateKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.deactivate",
            id
        ),
        change!(
            format!("{name}: activate"),
            world.keys,
            activate_key,
            pb::ActivateKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.activate",
            id
        ),
        change!(
            format!("{name}: revoke"),
            world.keys,
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
            format!("{name}: delete"),
            world.keys,
            delete_key,
            pb::DeleteKeyRequest { id: id_of(), confirm: "Root".into(), etag: String::new() },
            ELSEWHERE,
            "keys.delete",
            id
        ),
        change!(
            format!("{name}: undelete"),
            world.keys,
            undelete_key,
            pb::UndeleteKeyRequest { id: id_of(), etag: String::new() },
            ELSEWHERE,
            "keys.undelete",
            id
        ),
    ]
}

#[tokio::test]
async fn no_admin_key_is_touched_by_one_who_is_bound() {
    let mut world = World::start().await;
    let request = pb::CreateKeyRequest {
        delegation: bound(&[OWN], &[]),
        ..new_admin_key("Lesser", &["keyward.keys.read"])
    };
    let lesser = create(&mut world.root, request).await;
    let mut attempts = Vec::new();
    for (name, id, token) in [
        ("root", &world.root_id, &world.site.database.root_token),
        ("itself", &world.clerk.key.id, &world.clerk.token),
        ("a lesser one", &lesser.key.id, &lesser.token),
    ] {
        attempts.extend(changes(&world, name, id));
        attempts.extend([
            question!(
                format!("{name}: get"),
                world.keys,
                get_key,
                pb::GetKeyRequest { id: id.clone() },
                ELSEWHERE
            ),
            question!(
                format!("{name}: look up"),
                world.keys,
                lookup_key,
                pb::LookupKeyRequest { token: token.clone() },
                ELSEWHERE
            ),
            question!(
                format!("{name}: explain"),
                world.keys,
                explain_key,
                pb::ExplainKeyRequest { id: id.clone(), request: None },
                ELSEWHERE
            ),
        ]);
    }
    let request =
        pb::ListKeysRequest { domain: "keyward".into(), ..pb::ListKeysRequest::default() };
    attempts.push(question!("list", world.keys, list_keys, request, ELSEWHERE));
    let domain = Some(pb::Domain { name: "keyward".into(), ..pb::Domain::default() });
    attempts.extend([
        change!(
            "rename their domain",
            world.access,
            update_domain,
            pb::UpdateDomainRequest {
                domain,
                update_mask: mask(&["description"]),
                validate_only: false,
            },
            ELSEWHERE,
            "domains.update",
            "keyward"
        ),
        change!(
            "disable their domain",
            world.access,
            disable_domain,
            pb::DisableDomainRequest { name: "keyward".into(), etag: String::new() },
            ELSEWHERE,
            "domains.disable",
            "keyward"
        ),
    ]);
    world.assert_refused(attempts).await;
}
