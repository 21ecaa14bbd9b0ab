//! Keys that one admin key manages.

use keyward::rpc::pb::{self, CreateKeyRequest, Key};
use tonic::Code;

use super::{Attempt, MANAGED, OWN, World, change, key_in, update};
use crate::support::client::{Admin, Made, assert_invalid, assert_status, create};

fn changes(keys: &Admin, id: &str, own: &str) -> Vec<Attempt> {
    let id_of = || id.to_owned();
    let mine = Key { managed_by: own.into(), ..Key::default() };
    let edit = |name: &str, key: Key, paths: &[&str]| {
        change!(name, keys, update_key, update(id, key, paths), MANAGED, "keys.update", id)
    };
    vec![
        edit("rename", Key { display_name: "Mine".into(), ..Key::default() }, &["display_name"]),
        edit("take over and rename", mine.clone(), &["managed_by", "description"]),
        edit("free and let last", Key::default(), &["managed_by", "expire_time"]),
        change!(
            "renew",
            keys,
            regenerate_key,
            pb::RegenerateKeyRequest { id: id_of(), ..pb::RegenerateKeyRequest::default() },
            MANAGED,
            "keys.regenerate",
            id
        ),
        change!(
            "activate",
            keys,
            activate_key,
            pb::ActivateKeyRequest { id: id_of(), etag: String::new() },
            MANAGED,
            "keys.activate",
            id
        ),
        change!(
            "deactivate",
            keys,
            deactivate_key,
            pb::DeactivateKeyRequest { id: id_of(), etag: String::new() },
            MANAGED,
            "keys.deactivate",
            id
        ),
        change!(
            "delete",
            keys,
            delete_key,
            pb::DeleteKeyRequest { id: id_of(), confirm: "Managed".into(), etag: String::new() },
            MANAGED,
            "keys.delete",
            id
        ),
        change!(
            "undelete",
            keys,
            undelete_key,
            pb::UndeleteKeyRequest { id: id_of(), etag: String::new() },
            MANAGED,
            "keys.undelete",
            id
        ),
    ]
}

async fn managed(admin: &mut Admin, by: &str) -> Made {
    let request =
        CreateKeyRequest { managed_by: by.into(), ..key_in(OWN, "Managed", &["systems.read"]) };
    create(admin, request).await
}

#[tokio::test]
async fn what_another_manages_is_read_and_revoked_and_not_changed() {
    let mut world = World::start().await;
    let (root_id, clerk_id) = (world.root_id.clone(), world.clerk.key.id.clone());
    let key = managed(&mut world.root, &root_id).await.key;
    let mut attempts = changes(&world.keys, &key.id, &clerk_id);
    for (name, manager) in [("take over", clerk_id.as_str()), ("free", "")] {
        let request =
            update(&key.id, Key { managed_by: manager.into(), ..Key::default() }, &["managed_by"]);
        attempts.push(change!(
            name,
            world.keys,
            update_key,
            request,
            MANAGED,
            "keys.update",
            &key.id
        ));
    }
    world.assert_refused(attempts).await;
    let request = pb::GetKeyRequest { id: key.id.clone() };
    let found = world.keys.get_key(request).await.unwrap().into_inner().key;
    assert_eq!(found.as_ref(), Some(&key));
    let request = pb::RevokeKeyRequest {
        id: key.id.clone(),
        reason: pb::RevocationReason::Compromised.into(),
        ..pb::RevokeKeyRequest::default()
    };
    let revoked = world.keys.revoke_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!(revoked.revocation.unwrap().revoked_by, clerk_id);
}

#[tokio::test]
async fn what_a_bound_admin_manages_is_changed_by_it_alone_until_root_hands_it_over() {
    let mut world = World::start().await;
    let (root_id, clerk_id) = (world.root_id.clone(), world.clerk.key.id.clone());
    let key = managed(&mut world.keys, &clerk_id).await.key;
    let before = world.content().await;
    for Attempt { name, work, reason, noted } in changes(&world.root, &key.id, &root_id) {
        println!("{name}");
        assert_status(work.await, Code::PermissionDenied, reason);
        let (action, subject) = noted.unwrap();
        let refused = world.refusals(&root_id, (action, reason)).await;
        assert!(refused.0 > 0 && refused.1 == subject, "{name}: {refused:?}");
    }
    assert_eq!(world.content().await, before);

    let renamed = Key { display_name: "Renamed".into(), ..Key::default() };
    world.keys.update_key(update(&key.id, renamed, &["display_name"])).await.unwrap();
    let handed =
        update(&key.id, Key { managed_by: root_id.clone(), ..Key::default() }, &["managed_by"]);
    let handed = world.root.update_key(handed).await.unwrap().into_inner().key.unwrap();
    assert_eq!(handed.managed_by, root_id);
    let request = update(&key.id, Key::default(), &["description"]);
    assert_status(world.keys.update_key(request.clone()).await, Code::PermissionDenied, MANAGED);
    world.root.update_key(request).await.unwrap();
}

#[tokio::test]
async fn nobody_makes_a_key_that_another_manages() {
    let mut world = World::start().await;
    let (root_id, clerk_id) = (world.root_id.clone(), world.clerk.key.id.clone());
    let before = world.content().await;
    for (admin, other) in [(&mut world.keys, root_id), (&mut world.root, clerk_id)] {
        let request = CreateKeyRequest { managed_by: other, ..key_in(OWN, "Managed", &[]) };
        assert_invalid(admin.create_key(request).await, &["managed_by"]);
    }
    assert_eq!(world.content().await, before);
}
