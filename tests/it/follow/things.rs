//! What keys share, as replicas see it change: domains, users, groups and route maps.

use keyward::rpc::pb::{AuthorizeRequest, CreateKeyRequest};
use rustix::process::Signal;

use super::broken::{BROKEN, history_before};
use crate::{
    scoping::{World, key_with, may, may_go, texts, user_of},
    support::{
        client::{Made, verdict},
        database::Database,
        eventually,
        pgbouncer::PgBouncer,
        server::Server,
    },
};

/// Waits until the second replica answers this, without asking for any revision.
async fn sees(world: &World, request: AuthorizeRequest, expected: &str) {
    let mut asker = world.reader.asker();
    let mut last = String::new();
    eventually(expected, async || {
        last = verdict(&asker.ask(request.clone()).await);
        (last == expected).then_some(())
    })
    .await;
}

const DENIED: &str = "403 PERMISSION_DENIED";

/// Makes a change of each kind on one replica and waits for it on the other.
async fn changes_are_seen(world: &mut World) {
    world.domain("tenant").await;
    world.user(user_of("tenant/ida", &["a"], &[])).await;
    world.group("tenant/readers", &["a"]).await;
    let request = CreateKeyRequest {
        domain: "tenant".into(),
        user: "ida".into(),
        groups: texts(&["readers"]),
        ..key_with(&[])
    };
    let made = world.key(request).await;
    let token = &made.token;
    sees(world, may(token, "a.read"), "ALLOWED").await;
    world.change_group("tenant/readers", &["b"]).await;
    sees(world, may(token, "a.read"), DENIED).await;
    world.change_user(user_of("tenant/ida", &["*"], &[])).await;
    sees(world, may(token, "b.read"), "ALLOWED").await;
    sees(world, may_go(token, "GET", "/x"), DENIED).await;
    world.map("tenant", &["* /x b.{action}"]).await;
    sees(world, may_go(token, "GET", "/x"), "ALLOWED").await;
    world.enable_user("tenant/ida", false).await;
    sees(world, may(token, "b.read"), "401 USER_DISABLED").await;
    world.enable_user("tenant/ida", true).await;
    sees(world, may(token, "b.read"), "ALLOWED").await;
    world.enable_domain("tenant", false).await;
    sees(world, may(token, "b.read"), "401 DOMAIN_DISABLED").await;
    world.enable_domain("tenant", true).await;
    sees(world, may(token, "b.read"), "ALLOWED").await;
    world.drop_group("tenant/readers").await;
    sees(world, may(token, "b.read"), DENIED).await;
}

#[tokio::test]
async fn changes_of_what_keys_share_are_seen_by_notice_alone() {
    let mut world = World::with(&["--poll-interval", "30m"]).await;
    changes_are_seen(&mut world).await;
}

#[tokio::test]
async fn changes_of_what_keys_share_are_seen_by_polling_alone() {
    let database = Database::new();
    let (_bouncer, behind) = PgBouncer::start("things", &database).await;
    let often = ["--poll-interval", "50ms"];
    let writer = Server::start_with(&behind, &often).await;
    let reader = Server::start_with(&behind, &often).await;
    changes_are_seen(&mut World::of(behind, writer, reader)).await;
}

/// Keys that differ in all that is shared, with what they may ask.
async fn population(world: &mut World) -> Vec<(AuthorizeRequest, &'static str)> {
    world.domain("tenant").await;
    world.domain("closed").await;
    world.group("readers", &["a"]).await;
    world.group("tenant/readers", &["b"]).await;
    world.group("doomed", &["c"]).await;
    world.user(user_of("ida", &["own"], &["readers"])).await;
    world.user(user_of("off", &["*"], &[])).await;
    world.map("", &["* /x a"]).await;
    world.map("tenant", &["* /x b"]).await;
    let key = |domain: &str, user: &str, groups: &[&str]| CreateKeyRequest {
        domain: domain.into(),
        user: user.into(),
        groups: texts(groups),
        ..key_with(&[])
    };
    let acting = world.key(key("", "ida", &[])).await.token;
    let off = world.key(key("", "off", &[])).await.token;
    let grouped = world.key(key("", "", &["readers", "doomed"])).await.token;
    let tenants = world.key(key("tenant", "", &["readers"])).await.token;
    let closed = CreateKeyRequest { domain: "closed".into(), ..key_with(&["*"]) };
    let closed = world.key(closed).await.token;
    world.drop_group("doomed").await;
    world.enable_user("off", false).await;
    world.enable_domain("closed", false).await;
    vec![
        (may(&acting, "own.x"), "ALLOWED"),
        (may(&acting, "a.x"), "ALLOWED"),
        (may(&acting, "b.x"), DENIED),
        (may_go(&acting, "GET", "/x"), "ALLOWED"),
        (may_go(&acting, "GET", "/y"), DENIED),
        (may(&off, "a"), "401 USER_DISABLED"),
        (may(&grouped, "a"), "ALLOWED"),
        (may(&grouped, "c"), DENIED),
        (may(&tenants, "b"), "ALLOWED"),
        (may(&tenants, "a"), DENIED),
        (may_go(&tenants, "GET", "/x"), "ALLOWED"),
        (may(&closed, "a"), "401 DOMAIN_DISABLED"),
    ]
}

#[tokio::test]
async fn a_replica_that_starts_later_knows_all_that_keys_share() {
    let mut world = World::new().await;
    let cases = population(&mut world).await;
    let late = Server::start(&world.database).await;
    let mut asker = late.asker();
    for (request, expected) in cases {
        assert_eq!(world.verdict(request.clone()).await, expected, "{request:?}");
        let request = AuthorizeRequest { min_revision: world.revision, ..request };
        assert_eq!(verdict(&asker.ask(request.clone()).await), expected, "{request:?}");
    }
    assert_eq!(late.count_logged("loaded all keys"), 1);
}

/// A key that has it all, and no constraint that keeps what it has.
async fn loaded(world: &mut World) -> (Made, i64) {
    world.domain("tenant").await;
    world.group("tenant/readers", &["a"]).await;
    world.user(user_of("tenant/ida", &["*"], &[])).await;
    world.map("tenant", &["* /x a"]).await;
    let request = CreateKeyRequest {
        domain: "tenant".into(),
        user: "ida".into(),
        groups: texts(&["readers"]),
        ..key_with(&[])
    };
    let made = world.key(request).await;
    sees(world, may(&made.token, "a"), "ALLOWED").await;
    let last = world.key(key_with(&["systems"])).await;
    // who has not seen the end of a history does not miss it
    world.reader.asker().until(&last.token, "ALLOWED").await;
    (made, world.revision)
}

#[tokio::test]
async fn what_is_gone_after_a_broken_history_is_dropped() {
    for (harm, request, expected) in [
        ("DELETE FROM keyward.permission_group", may("", "a"), DENIED),
        ("DELETE FROM keyward.domain_user", may("", "a"), "401 USER_DISABLED"),
        ("DELETE FROM keyward.route_map", may_go("", "", "/x"), DENIED),
        ("DELETE FROM keyward.domain WHERE name = 'tenant'", may("", "a"), "401 DOMAIN_DISABLED"),
        ("UPDATE keyward.permission_group SET permissions = '{b}'", may("", "a"), DENIED),
        ("UPDATE keyward.domain_user SET disabled_at = now()", may("", "a"), "401 USER_DISABLED"),
        ("UPDATE keyward.domain SET disabled_at = now()", may("", "a"), "401 DOMAIN_DISABLED"),
        ("UPDATE keyward.route_map SET entries = '{* /x b}'", may_go("", "", "/x"), "ALLOWED"),
        ("UPDATE keyward.route_map SET entries = '{* /y b}'", may_go("", "", "/x"), DENIED),
    ] {
        let mut world = World::with(&["--poll-interval", "20ms"]).await;
        let (made, last) = loaded(&mut world).await;
        if harm.contains("/x b") {
            world.change_group("tenant/readers", &["b"]).await;
            sees(&world, may(&made.token, "a"), DENIED).await;
        }
        let mut client = world.database.connect().await;
        let tx = client.transaction().await.unwrap();
        let free = "ALTER TABLE keyward.key DROP CONSTRAINT key_user_exists,
                DROP CONSTRAINT key_domain_exists;
            ALTER TABLE keyward.domain_user DROP CONSTRAINT domain_user_domain_exists;
            ALTER TABLE keyward.permission_group DROP CONSTRAINT permission_group_domain_exists;
            ALTER TABLE keyward.route_map DROP CONSTRAINT route_map_domain_exists;
            ALTER TABLE keyward.catalogue DROP CONSTRAINT catalogue_domain_exists;";
        let statements = format!("{free} {harm}; {}", history_before(last));
        tx.batch_execute(&statements).await.unwrap();
        tx.commit().await.unwrap();
        world.reader.until_logged(BROKEN).await;
        println!("{harm}");
        sees(&world, AuthorizeRequest { key: made.token.clone(), ..request }, expected).await;
    }
}

#[tokio::test]
async fn a_replica_that_was_stopped_catches_up_on_changes_of_every_kind() {
    let mut world = World::with(&["--poll-interval", "50ms"]).await;
    let mut asker = world.reader.asker();
    let known = world.key(key_with(&["systems"])).await;
    asker.until(&known.token, "ALLOWED").await;
    world.reader.signal(Signal::STOP);
    let cases = population(&mut world).await;
    for number in 0..20 {
        let (domain, user) = (format!("d{number}"), format!("d{number}/ida"));
        let group = format!("{domain}/readers");
        world.domain(&domain).await;
        world.group(&group, &["a"]).await;
        world.user(user_of(&user, &["*"], &["readers"])).await;
        world.map(&domain, &["* /x a"]).await;
        world.change_group(&group, &["a", "b"]).await;
        world.change_user(user_of(&user, &["b"], &["readers"])).await;
        world.enable_domain(&domain, number % 2 == 0).await;
    }
    let mut late = Vec::new();
    for number in 0..20 {
        let request =
            CreateKeyRequest { domain: format!("d{number}"), user: "ida".into(), ..key_with(&[]) };
        let expected = if number % 2 == 0 { "ALLOWED" } else { "401 DOMAIN_DISABLED" };
        late.push((may(&world.key(request).await.token, "b"), expected));
    }
    world.reader.signal(Signal::CONT);
    for (request, expected) in cases.into_iter().chain(late) {
        assert_eq!(world.verdict(request.clone()).await, expected, "{request:?}");
    }
    assert_eq!(world.reader.count_logged("loaded all keys"), 1, "it followed");
}
