//! Permission groups.

use keyward::rpc::pb::{CreateKeyRequest, DeletePermissionGroupRequest, Key};
use tonic::Code;

use super::{World, key_with, may, texts, user_of};
use crate::support::client::assert_status;

fn in_groups(permissions: &[&str], groups: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { groups: texts(groups), ..key_with(permissions) }
}

#[tokio::test]
async fn a_key_may_what_its_permissions_and_its_groups_give_and_no_more() {
    let mut world = World::new().await;
    world.group("readers", &["systems.read", "users.read"]).await;
    world.group("zoners", &["zones"]).await;
    world.group("empty", &[]).await;
    world.group("others", &["*"]).await;
    let made = world.key(in_groups(&["own.write"], &["zoners", "readers", "empty"])).await;
    let cases = [
        ("own.write", true),
        ("systems.read", true),
        ("users.read.deep", true),
        ("zones", true),
        ("zones.write", true),
        ("own.read", false),
        ("systems.write", false),
        ("other", false),
    ];
    world.permits("together", &made.token, &cases).await;
    assert_eq!(made.key.groups, ["zoners", "readers", "empty"]);
    let none = world.key(in_groups(&[], &["empty"])).await;
    world.permits("empty", &none.token, &[("systems.read", false)]).await;
    let ten: Vec<String> = (0..10).map(|number| format!("g{number}")).collect();
    for name in &ten {
        world.group(name, &[&format!("{name}.x")]).await;
    }
    let names: Vec<&str> = ten.iter().map(String::as_str).collect();
    let made = world.key(in_groups(&[], &names)).await;
    for name in names {
        let cases = [(&*format!("{name}.x"), true), (&*format!("{name}.y"), false)];
        world.permits("ten", &made.token, &cases).await;
    }
}

#[tokio::test]
async fn a_change_of_a_group_counts_at_once_for_all_that_have_it() {
    let mut world = World::new().await;
    world.group("shared", &["a"]).await;
    world.group("apart", &["z"]).await;
    world.user(user_of("ida", &[], &["shared"])).await;
    let direct = world.key(in_groups(&[], &["shared"])).await;
    let second = world.key(in_groups(&["own"], &["apart", "shared"])).await;
    let acting = CreateKeyRequest { user: "ida".into(), ..key_with(&[]) };
    let acting = world.key(acting).await;
    let outside = world.key(in_groups(&[], &["apart"])).await;
    for permissions in [&["a"][..], &["b"], &["a", "b"], &[], &["*"], &["a.x"]] {
        world.change_group("shared", permissions).await;
        let given = |name: &str| permissions.contains(&name) || permissions.contains(&"*");
        let cases = [
            ("a.x", given("a") || permissions.contains(&"a.x")),
            ("a.y", given("a")),
            ("b.x", given("b")),
        ];
        for made in [&direct, &second, &acting] {
            world.permits(&format!("{permissions:?}"), &made.token, &cases).await;
            assert_eq!(world.get(made).await, made.key, "no key is touched");
        }
        let cases = [("a.x", false), ("b.x", false), ("z.x", true)];
        world.permits("another group", &outside.token, &cases).await;
    }
    let mut waiting = world.reader.asker();
    world.change_group("shared", &["systems"]).await;
    waiting.until(&direct.token, "ALLOWED").await;
    waiting.until(&acting.token, "ALLOWED").await;
    world.change_group("shared", &[]).await;
    waiting.until(&direct.token, "403 PERMISSION_DENIED").await;
    waiting.until(&acting.token, "403 PERMISSION_DENIED").await;
}

#[tokio::test]
async fn who_had_a_group_that_is_removed_by_force_loses_and_never_gains() {
    let mut world = World::new().await;
    world.group("doomed", &["a"]).await;
    world.group("kept", &["k"]).await;
    world.user(user_of("ida", &["*"], &[])).await;
    world.user(user_of("ole", &["own"], &["doomed"])).await;
    let acting = |user: &str, request| CreateKeyRequest { user: user.into(), ..request };
    let alone = world.key(in_groups(&["own"], &["doomed", "kept"])).await;
    let bound = world.key(acting("ida", in_groups(&[], &["doomed"]))).await;
    let through = world.key(acting("ole", key_with(&[]))).await;
    world.permits("before", &bound.token, &[("a.x", true), ("b.x", false)]).await;
    let request = DeletePermissionGroupRequest {
        name: "doomed".into(),
        ..DeletePermissionGroupRequest::default()
    };
    let refused = world.access.delete_permission_group(request).await;
    assert_status(refused, Code::FailedPrecondition, "GROUP_IN_USE");
    world.permits("refused", &bound.token, &[("a.x", true)]).await;

    let dropped = world.drop_group("doomed").await;
    assert_eq!((dropped.affected_keys, dropped.affected_users), (3, 1));
    let cases = [("own.x", true), ("k.x", true), ("a.x", false)];
    world.permits("the rest stays", &alone.token, &cases).await;
    let cases = [("a.x", false), ("b.x", false)];
    world.permits("not all that its user has", &bound.token, &cases).await;
    world.permits("through the user", &through.token, &[("own.x", true), ("a.x", false)]).await;
    let key = world.get(&bound).await;
    assert_eq!((key.groups, key.deleted_groups), (vec![], texts(&["doomed"])));

    // another group of that name is nothing to them
    world.group("doomed", &["*"]).await;
    world.permits("another one", &bound.token, &cases).await;
    world.permits("another one", &alone.token, &[("a.x", false)]).await;
    // nor is it when they are changed in another way
    let key = Key { description: "Changed".into(), ..Key::default() };
    world.change_key(&bound, key, &["description"]).await;
    world.permits("described", &bound.token, &cases).await;
    // until somebody says that the key has no groups
    let key = world.change_key(&bound, Key::default(), &["groups"]).await;
    assert!(key.groups.is_empty() && key.deleted_groups.is_empty());
    world.permits("all that its user has", &bound.token, &[("b.x", true)]).await;
}

#[tokio::test]
async fn what_is_put_into_and_taken_out_of_a_key_counts_at_once() {
    let mut world = World::new().await;
    world.group("one", &["a"]).await;
    world.group("two", &["b"]).await;
    let made = world.key(key_with(&[])).await;
    for groups in [&["one"][..], &["two"], &["two", "one"], &[]] {
        let key = Key { groups: texts(groups), ..Key::default() };
        let key = world.change_key(&made, key, &["groups"]).await;
        assert_eq!(key.groups, groups);
        let cases = [("a.x", groups.contains(&"one")), ("b.x", groups.contains(&"two"))];
        world.permits(&format!("{groups:?}"), &made.token, &cases).await;
    }
    assert_eq!(world.verdict(may(&made.token, "a")).await, "403 PERMISSION_DENIED");
}
