//! What changes around a delegated admin: rights that are taken away, things that are widened, names
//! that come again.

use futures_util::StreamExt;
use keyward::rpc::pb::{self, Key};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{
    CEILED, ELSEWHERE, FOREIGN, OWN, World, bound, change, group, key_in, mask, update, user,
};
use crate::support::{
    client::{Made, assert_status, create, may_read, new_admin_key, new_key, reason_of},
    eventually,
    pgbouncer::PgBouncer,
    server::Server,
};

fn renewal(id: &str) -> pb::RegenerateKeyRequest {
    pb::RegenerateKeyRequest { id: id.into(), ..pb::RegenerateKeyRequest::default() }
}

#[tokio::test]
async fn a_key_whose_group_or_user_was_widened_is_not_opened_any_more() {
    let mut world = World::start().await;
    world.root_user(user(OWN, "rising", &["systems"], &[])).await;
    let request =
        pb::CreateKeyRequest { groups: vec!["modest".into()], ..key_in(OWN, "Of a group", &[]) };
    let grouped = create(&mut world.keys, request).await.key.id;
    let request = pb::CreateKeyRequest { user: "rising".into(), ..key_in(OWN, "Of a user", &[]) };
    let of_user = create(&mut world.keys, request).await.key.id;
    let request = pb::CreateKeyRequest { user: "intern".into(), ..key_in(OWN, "Of both", &[]) };
    let of_both = create(&mut world.keys, request).await.key.id;
    for id in [&grouped, &of_user, &of_both] {
        world.keys.regenerate_key(renewal(id)).await.unwrap();
    }
    let request = pb::UpdatePermissionGroupRequest {
        group: Some(group(OWN, "modest", &["systems.read", "control"])),
        update_mask: mask(&["permissions"]),
        validate_only: false,
    };
    world.root_access.update_permission_group(request).await.unwrap();
    let request = pb::UpdateUserRequest {
        user: Some(user(OWN, "rising", &["*"], &[])),
        update_mask: mask(&["permissions"]),
        validate_only: false,
    };
    world.root_access.update_user(request).await.unwrap();
    let mut attempts = Vec::new();
    for id in [&grouped, &of_user, &of_both] {
        let request = renewal(id);
        attempts.push(change!(
            "renew",
            world.keys,
            regenerate_key,
            request,
            CEILED,
            "keys.regenerate",
            id
        ));
    }
    world.assert_refused(attempts).await;
}

#[tokio::test]
async fn a_group_that_is_gone_leaves_no_way_to_all_that_a_user_has() {
    let mut world = World::start().await;
    let id = world.key_of("Grouped", &[], ("boss", &["modest"])).await;
    let request = pb::DeletePermissionGroupRequest {
        domain: OWN.into(),
        name: "modest".into(),
        force: true,
        ..pb::DeletePermissionGroupRequest::default()
    };
    let gone = world.access.delete_permission_group(request).await.unwrap().into_inner();
    let mut asker = world.site.server.asker();
    assert_eq!(asker.verdict(&id.token, gone.revision).await, "403 PERMISSION_DENIED");
    let id = &id.key.id;
    let clear = update(id, Key::default(), &["groups"]);
    let attempts = vec![change!("clear", world.keys, update_key, clear, CEILED, "keys.update", id)];
    world.assert_refused(attempts).await;
    // a group of the same name is another one
    let new = pb::CreatePermissionGroupRequest {
        group: Some(group(OWN, "modest", &["systems"])),
        validate_only: false,
    };
    let new = world.access.create_permission_group(new).await.unwrap().into_inner();
    let request = pb::GetKeyRequest { id: id.clone() };
    let key = world.keys.get_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!((key.groups, key.deleted_groups), (vec![], vec![String::from("modest")]));
    assert!(new.revision > gone.revision);
}

#[tokio::test]
async fn a_user_of_the_same_id_is_another_one_to_a_deleted_key() {
    let mut world = World::start().await;
    world.root_user(user(OWN, "temp", &["systems"], &[])).await;
    let request = pb::CreateKeyRequest { user: "temp".into(), ..key_in(OWN, "Temp's", &[]) };
    let id = create(&mut world.keys, request).await.key.id;
    let request =
        pb::DeleteKeyRequest { id: id.clone(), confirm: "Temp's".into(), etag: String::new() };
    world.keys.delete_key(request).await.unwrap();
    let request = pb::DeleteUserRequest {
        domain: OWN.into(),
        id: "temp".into(),
        ..pb::DeleteUserRequest::default()
    };
    world.access.delete_user(request).await.unwrap();
    world.root_user(user(OWN, "temp", &["systems"], &[])).await;
    let before = world.content().await;
    let request = pb::UndeleteKeyRequest { id, etag: String::new() };
    let result = world.keys.undelete_key(request).await;
    assert_status(result, Code::FailedPrecondition, "USER_NOT_FOUND");
    assert_eq!(world.content().await, before);
}

#[tokio::test]
async fn a_request_id_of_another_caller_opens_nothing_and_ones_own_nothing_that_was_taken() {
    let mut world = World::start().await;
    let named = || pb::CreateKeyRequest {
        request_id: "the-same".into(),
        ..key_in(OWN, "Named", &["systems.read"])
    };
    let roots = create(&mut world.root, named()).await;
    let own = create(&mut world.keys, named()).await;
    assert_ne!(roots.key.id, own.key.id);
    let renewal = pb::RegenerateKeyRequest { request_id: "again".into(), ..renewal(&own.key.id) };
    world.keys.regenerate_key(renewal.clone()).await.unwrap();
    let narrowed = Key { delegation: bound(&[FOREIGN], &["*"]), ..Key::default() };
    let narrowed = update(&world.clerk.key.id, narrowed, &["delegation"]);
    let narrowed = world.root.update_key(narrowed).await.unwrap().into_inner();
    world.site.knows(narrowed.revision).await;
    let attempts = vec![
        change!("make again", world.keys, create_key, named(), ELSEWHERE, "keys.create", OWN),
        change!(
            "renew again",
            world.keys,
            regenerate_key,
            renewal,
            ELSEWHERE,
            "keys.regenerate",
            &own.key.id
        ),
    ];
    world.assert_refused(attempts).await;
}

/// A change of every kind that a delegated admin may make.
async fn some_changes(server: &Server, token: &str) -> Vec<Result<(), Status>> {
    let (mut keys, mut access) = (server.admin_as(token), server.access_as(token));
    let made = pb::CreateUserRequest {
        user: Some(user(OWN, "late", &["systems"], &[])),
        validate_only: false,
    };
    let group = pb::CreatePermissionGroupRequest {
        group: Some(group(OWN, "late", &["systems"])),
        validate_only: false,
    };
    let get = pb::GetDomainRequest { name: OWN.into() };
    vec![
        keys.create_key(key_in(OWN, "Late", &["systems"])).await.map(drop),
        keys.list_keys(pb::ListKeysRequest::default()).await.map(drop),
        access.create_user(made).await.map(drop),
        access.create_permission_group(group).await.map(drop),
        access.get_domain(get).await.map(drop),
    ]
}

#[tokio::test]
async fn a_replica_that_lags_takes_nothing_from_a_bound_admin_that_was_changed_elsewhere() {
    let mut world = World::start().await;
    let mut clerks: Vec<Made> = Vec::new();
    for _ in 0..6 {
        let request = pb::CreateKeyRequest {
            delegation: bound(&[OWN, FOREIGN], &CEILING_THEN),
            ..new_admin_key("Clerk", &["keyward"])
        };
        clerks.push(create(&mut world.root, request).await);
    }
    let (_bouncer, behind) = PgBouncer::start("delegation", &world.site.database).await;
    let replica = Server::start_with(&behind, &["--poll-interval", "30m"]).await;
    // its follower may look once more after it has loaded, but not again
    create(&mut world.root, new_key("Later")).await;
    let changes = [
        (Key { delegation: bound(&[FOREIGN], &CEILING_THEN), ..Key::default() }, "delegation"),
        (Key { delegation: bound(&[OWN, FOREIGN], &[]), ..Key::default() }, "delegation"),
        (Key { delegation: bound(&[OWN, FOREIGN], &["*"]), ..Key::default() }, "delegation"),
        (Key { denied_addresses: vec!["127.0.0.1".into()], ..Key::default() }, "denied_addresses"),
        (
            Key { allowed_addresses: vec!["192.0.2.0/24".into()], ..Key::default() },
            "allowed_addresses",
        ),
    ];
    for (clerk, (key, path)) in clerks.iter().zip(changes) {
        world.root.update_key(update(&clerk.key.id, key, &[path])).await.unwrap();
    }
    let request = pb::RevokeKeyRequest {
        id: clerks[5].key.id.clone(),
        reason: pb::RevocationReason::Abuse.into(),
        ..pb::RevokeKeyRequest::default()
    };
    world.root.revoke_key(request).await.unwrap();
    let before = world.content().await;
    for (number, clerk) in clerks.iter().enumerate() {
        let (code, reason) = match number {
            5 => (Code::Unauthenticated, "KEY_INACTIVE"),
            _ => (Code::Unavailable, "REPLICA_STALE"),
        };
        for result in some_changes(&replica, &clerk.token).await {
            println!("{number}");
            assert_status(result, code, reason);
        }
    }
    assert_eq!(world.content().await, before);
}

const CEILING_THEN: [&str; 1] = ["systems"];

#[tokio::test]
async fn an_open_stream_ends_when_who_opened_it_is_stopped() {
    let mut world = World::start().await;
    let plain = world.key("Plain", &["systems.read"]).await;
    world.site.knows(plain.revision).await;
    let (sender, requests) = mpsc::channel(1);
    let mut explainer = world.site.server.explainer_as(&world.clerk.token);
    let asked = || pb::AuthorizeRequest { explain: true, ..may_read(&plain.token) };
    sender.send(asked()).await.unwrap();
    let answers = explainer.stream_authorize(ReceiverStream::new(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    let first = answers.next().await.unwrap().unwrap();
    assert!(first.allowed && first.explanation.is_some());
    let request = pb::RevokeKeyRequest {
        id: world.clerk.key.id.clone(),
        reason: pb::RevocationReason::Abuse.into(),
        ..pb::RevokeKeyRequest::default()
    };
    let revoked = world.root.revoke_key(request).await.unwrap().into_inner();
    world.site.knows(revoked.revision).await;
    sender.send(asked()).await.unwrap();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), reason_of(&status)), (Code::Unauthenticated, "KEY_INACTIVE".into()));
}

#[tokio::test]
async fn a_token_that_decisions_do_not_know_is_explained_as_unknown() {
    let mut world = World::start().await;
    let theirs = create(&mut world.root, key_in(FOREIGN, "Theirs", &["systems.read"])).await;
    let overlap = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = pb::RegenerateKeyRequest { overlap, ..renewal(&theirs.key.id) };
    let renewed = world.root.regenerate_key(request).await.unwrap().into_inner();
    world.site.knows(renewed.revision).await;
    world.site.server.asker().until(&theirs.token, "401 KEY_UNKNOWN").await;
    let mut explainer = world.site.server.explainer_as(&world.clerk.token);
    let mut told = async |token: &str| {
        let request = pb::AuthorizeRequest { explain: true, ..may_read(token) };
        explainer.authorize(request).await.unwrap().into_inner().explanation.unwrap()
    };
    let unknown = told("of-another-brand").await;
    assert_eq!(unknown.reason(), pb::Reason::KeyUnknown);
    for token in [&theirs.token, &world.site.database.root_token, &world.clerk.token] {
        assert_eq!(told(token).await, unknown);
    }
}

#[tokio::test]
async fn a_change_that_waits_for_a_narrowing_is_judged_by_what_is_left() {
    let mut world = World::start().await;
    let clerk = world.clerk.key.id.clone();
    // many at once: whatever their order, none is made after the narrowing
    let narrowed = Key { delegation: bound(&[FOREIGN], &[]), ..Key::default() };
    let narrowed = update(&clerk, narrowed, &["delegation"]);
    let crowd = (0..16).map(|_| world.keys.clone()).map(async |mut keys| {
        let made = keys.create_key(key_in(OWN, "Raced", &["systems"])).await;
        made.map(|made| made.into_inner().revision)
    });
    let (revisions, narrowed) =
        tokio::join!(futures_util::future::join_all(crowd), world.root.update_key(narrowed));
    let limit = narrowed.unwrap().into_inner().revision;
    for revision in revisions.into_iter().flatten() {
        assert!(revision < limit, "made at {revision}, after {limit}");
    }
    eventually("the narrowing is known", async || {
        let result = world.keys.clone().create_key(key_in(OWN, "After", &[])).await;
        let reason = reason_of(&result.unwrap_err());
        (reason == ELSEWHERE).then_some(()).or_else(|| {
            assert_eq!(reason, "REPLICA_STALE");
            None
        })
    })
    .await;
}
