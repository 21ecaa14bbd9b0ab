//! Keys that act for a user.

use keyward::rpc::pb::{CreateKeyRequest, DeleteUserRequest, Key, User};
use tonic::Code;

use super::{World, is_good, key_with, may, user_of};
use crate::support::client::{Made, assert_status};

/// A key that acts for a user, with grants of its own.
fn acting(user: &str, permissions: &[&str], groups: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { user: user.into(), groups: super::texts(groups), ..key_with(permissions) }
}

#[tokio::test]
async fn a_key_without_grants_of_its_own_may_exactly_what_its_user_may() {
    let mut world = World::new().await;
    world.group("readers", &["systems.read", "zones.*"]).await;
    world.user(user_of("ida", &["users"], &["readers"])).await;
    let made = world.key(acting("ida", &[], &[])).await;
    let cases = [
        ("users.read", true),
        ("users", true),
        ("systems.read", true),
        ("zones.any", true),
        ("systems.write", false),
        ("zones", false),
        ("other.read", false),
    ];
    world.permits("the user's", &made.token, &cases).await;
    let answer = world.ask(may(&made.token, "users.read")).await;
    assert_eq!(answer.user, "ida");
    let denied = world.ask(may(&made.token, "other")).await;
    assert_eq!(denied.user, "ida", "also where it is denied");

    world.user(user_of("nobody", &[], &[])).await;
    let made = world.key(acting("nobody", &[], &[])).await;
    world.permits("of a user with nothing", &made.token, &[("users.read", false)]).await;
    let alone = world.key(key_with(&["users"])).await;
    assert_eq!(world.ask(may(&alone.token, "users.read")).await.user, "", "acts for nobody");
}

#[tokio::test]
async fn a_key_with_grants_may_what_both_may_and_never_more() {
    let mut world = World::new().await;
    world.group("of-key", &["systems", "reports.read"]).await;
    world.group("of-user", &["zones.read", "reports"]).await;
    world.user(user_of("ida", &["systems.read", "users"], &["of-user"])).await;
    for (claim, request, cases) in [
        (
            "permissions",
            acting("ida", &["*.read"], &[]),
            vec![
                ("systems.read", true),
                ("users.read", true),
                ("zones.read", true),
                ("reports.read", true),
                ("users.write", false),
                ("systems.write", false),
                ("other.read", false),
            ],
        ),
        (
            "groups",
            acting("ida", &[], &["of-key"]),
            vec![
                ("systems.read", true),
                ("reports.read", true),
                ("systems.write", false),
                ("reports.write", false),
                ("users.read", false),
                ("zones.read", false),
            ],
        ),
        (
            "both",
            acting("ida", &["users.write"], &["of-key"]),
            vec![("users.write", true), ("systems.read", true), ("users.read", false)],
        ),
        ("all", acting("ida", &["*"], &[]), vec![("users.x", true), ("other", false)]),
        ("apart", acting("ida", &["other"], &[]), vec![("other", false), ("users", false)]),
    ] {
        let made = world.key(request).await;
        world.permits(claim, &made.token, &cases).await;
    }
}

#[tokio::test]
async fn a_change_of_the_user_counts_for_its_keys_at_once_and_touches_none() {
    let mut world = World::new().await;
    world.group("first", &["a"]).await;
    world.group("second", &["b"]).await;
    world.user(user_of("ida", &["own"], &["first"])).await;
    let free = world.key(acting("ida", &[], &[])).await;
    let bound = world.key(acting("ida", &["a", "b", "own"], &[])).await;
    let steps: [(&[&str], &[&str], [bool; 3]); 5] = [
        (&["own"], &["first"], [true, true, false]),
        (&["own"], &["second"], [true, false, true]),
        (&[], &["second", "first"], [false, true, true]),
        (&[], &[], [false, false, false]),
        (&["*"], &[], [true, true, true]),
    ];
    let mut waiting = world.reader.asker();
    for (permissions, groups, [own, a, b]) in steps {
        world.change_user(user_of("ida", permissions, groups)).await;
        let cases = [("own.x", own), ("a.x", a), ("b.x", b)];
        for made in [&free, &bound] {
            world.permits(&format!("{permissions:?} {groups:?}"), &made.token, &cases).await;
            assert_eq!(world.get(made).await, made.key, "no key is touched");
        }
        assert_eq!(waiting.verdict(&free.token, world.revision).await, read_of(permissions));
    }
    world.change_user(user_of("ida", &["systems"], &[])).await;
    waiting.until(&free.token, "ALLOWED").await;
    world.change_user(user_of("ida", &[], &[])).await;
    waiting.until(&free.token, "403 PERMISSION_DENIED").await;
}

fn read_of(permissions: &[&str]) -> &'static str {
    if permissions == ["*"] { "ALLOWED" } else { "403 PERMISSION_DENIED" }
}

#[tokio::test]
async fn a_disabled_user_denies_its_keys_until_it_is_enabled() {
    let mut world = World::new().await;
    world.user(user_of("ida", &["systems"], &[])).await;
    world.user(user_of("ole", &["systems"], &[])).await;
    let keys =
        [world.key(acting("ida", &[], &[])).await, world.key(acting("ida", &["*"], &[])).await];
    let other = world.key(acting("ole", &[], &[])).await;
    let free = world.key(key_with(&["systems"])).await;
    let mut waiting = world.reader.asker();
    for _ in 0..2 {
        world.enable_user("ida", false).await;
        for made in &keys {
            for request in [may(&made.token, "systems.read"), is_good(&made.token)] {
                let answer = world.ask(request).await;
                assert_eq!(crate::support::client::verdict(&answer), "401 USER_DISABLED");
                assert_eq!(answer.user, "ida");
            }
            assert_eq!(world.get(made).await, made.key);
        }
        for made in [&other, &free] {
            assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "ALLOWED");
        }
        // an edit does not enable
        world.change_user(user_of("ida", &["systems", "more"], &[])).await;
        assert_eq!(world.verdict(is_good(&keys[0].token)).await, "401 USER_DISABLED");
        world.enable_user("ida", true).await;
        for made in &keys {
            assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "ALLOWED");
        }
    }
    world.enable_user("ida", false).await;
    waiting.until(&keys[0].token, "401 USER_DISABLED").await;
}

async fn give_to(world: &mut World, made: &Made, user: &str) -> Key {
    let key = Key { user: user.into(), ..Key::default() };
    world.change_key(made, key, &["user"]).await
}

#[tokio::test]
async fn a_key_may_be_given_to_another_user_and_to_nobody() {
    let mut world = World::new().await;
    world.user(user_of("ida", &["systems"], &[])).await;
    world.user(user_of("ole", &["users"], &[])).await;
    let made = world.key(acting("ida", &[], &[])).await;
    let of = |systems, users| [("systems.read", systems), ("users.read", users)];
    world.permits("ida's", &made.token, &of(true, false)).await;
    assert_eq!(give_to(&mut world, &made, "ole").await.user, "ole");
    world.permits("ole's", &made.token, &of(false, true)).await;
    assert_eq!(world.ask(may(&made.token, "users.read")).await.user, "ole");
    world.change_user(user_of("ida", &["users"], &[])).await;
    world.enable_user("ida", false).await;
    world.permits("ida is nothing to it", &made.token, &of(false, true)).await;
    assert_eq!(give_to(&mut world, &made, "").await.user, "");
    world.permits("nobody's", &made.token, &of(false, false)).await;
    assert_eq!(world.ask(is_good(&made.token)).await.user, "");
}

#[tokio::test]
async fn a_user_of_the_same_id_in_another_domain_is_another_user() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    world.group("tenant/readers", &["systems.read"]).await;
    world.group("readers", &["users.read"]).await;
    world.user(user_of("tenant/ida", &[], &["readers"])).await;
    world.user(user_of("ida", &[], &["readers"])).await;
    let here = world.key(acting("ida", &[], &[])).await;
    let there = CreateKeyRequest { domain: "tenant".into(), ..acting("ida", &[], &[]) };
    let there = world.key(there).await;
    world.permits("here", &here.token, &[("users.read", true), ("systems.read", false)]).await;
    world.permits("there", &there.token, &[("users.read", false), ("systems.read", true)]).await;
    world.enable_user("ida", false).await;
    assert_eq!(world.verdict(is_good(&here.token)).await, "401 USER_DISABLED");
    assert_eq!(world.verdict(is_good(&there.token)).await, "ALLOWED");
}

#[tokio::test]
async fn a_user_that_was_deleted_and_made_again_is_another_one() {
    let mut world = World::new().await;
    world.user(user_of("ida", &["systems"], &[])).await;
    let made = world.key(acting("ida", &[], &[])).await;
    let gone = DeleteUserRequest { id: "ida".into(), ..DeleteUserRequest::default() };
    let refused = world.access.delete_user(gone.clone()).await;
    assert_status(refused, Code::FailedPrecondition, "USER_IN_USE");
    assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "ALLOWED");
    give_to(&mut world, &made, "").await;
    world.access.delete_user(gone).await.unwrap();
    world.user(User { ..user_of("ida", &["*"], &[]) }).await;
    world.permits("nobody's", &made.token, &[("systems.read", false)]).await;
}
