//! Route maps of domains: which permission a route needs.

use keyward::rpc::pb::{self, AuthorizeRequest, CreateKeyRequest};

use super::{World, key_with, may_go, texts};
use crate::support::client::assert_invalid;

/// What a route needs, as found by keys that each have one of these permissions only.
struct Finder {
    tokens: Vec<(&'static str, String)>,
}

impl Finder {
    async fn new(world: &mut World, permissions: &[&'static str]) -> Self {
        let mut tokens = Vec::new();
        for permission in permissions {
            let made = world.key(key_with(&[permission])).await;
            tokens.push((*permission, made.token));
        }
        Self { tokens }
    }

    /// Which of the permissions are enough.
    async fn needed(&self, world: &mut World, method: &str, route: &str) -> String {
        let mut enough = Vec::new();
        for (permission, token) in &self.tokens {
            match world.verdict(may_go(token, method, route)).await.as_str() {
                "ALLOWED" => enough.push(*permission),
                denied => assert_eq!(denied, "403 PERMISSION_DENIED", "{method} {route}"),
            }
        }
        enough.join(" ")
    }
}

#[tokio::test]
async fn the_entry_that_says_more_decides() {
    let mut world = World::new().await;
    let lines = [
        "* /api/** rest.x",
        "GET /api/systems/{id} one.x",
        "* /api/systems/{id} any.x",
        "GET,POST /api/systems/main main.x",
        "* /api/systems/{id}/zones/** zones.x",
        "* /api/{kind}/7 seven.x",
        "* /api/systems/ list.x",
        "DELETE /api/** delete.x",
    ];
    world.map("", &lines).await;
    let words = ["rest.x", "one.x", "any.x", "main.x", "zones.x", "seven.x", "list.x", "delete.x"];
    let finder = Finder::new(&mut world, &words).await;
    for (method, route, expected) in [
        ("GET", "/api", "rest.x"),
        ("GET", "/api/", "rest.x"),
        ("", "/api/x/y/z", "rest.x"),
        ("DELETE", "/api/x/y/z", "delete.x"),
        ("GET", "/api/systems/5", "one.x"),
        ("PUT", "/api/systems/5", "any.x"),
        ("", "/api/systems/5", "any.x"),
        ("get", "/api/systems/5", "any.x"),
        ("DELETE", "/api/systems/5", "any.x"),
        ("GET", "/api/systems/main", "main.x"),
        ("POST", "/api/systems/main", "main.x"),
        ("PUT", "/api/systems/main", "any.x"),
        ("GET", "/api/systems/5/zones", "zones.x"),
        ("GET", "/api/systems/5/zones/1/2", "zones.x"),
        ("GET", "/api/systems/5/zonesx", "rest.x"),
        ("GET", "/api/systems/7", "one.x"),
        ("GET", "/api/users/7", "seven.x"),
        ("GET", "/api/users/7/", "rest.x"),
        ("GET", "/api/systems/", "list.x"),
        ("GET", "/api/systems", "rest.x"),
        ("GET", "/apix", ""),
        ("GET", "/", ""),
        ("GET", "/API/systems/5", ""),
    ] {
        assert_eq!(finder.needed(&mut world, method, route).await, expected, "{method} {route}");
    }
}

#[tokio::test]
async fn an_action_follows_from_the_method() {
    let mut world = World::new().await;
    world.map("", &["* /a systems.{action}", "GET /b {action}.x", "* /c fixed"]).await;
    let words = ["systems.read", "systems.write", "read", "write", "fixed"];
    let finder = Finder::new(&mut world, &words).await;
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(finder.needed(&mut world, method, "/a").await, "systems.read", "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "", "get", "TRACE", "PROPFIND"] {
        assert_eq!(finder.needed(&mut world, method, "/a").await, "systems.write", "{method}");
    }
    assert_eq!(finder.needed(&mut world, "GET", "/b").await, "read");
    assert_eq!(finder.needed(&mut world, "POST", "/b").await, "");
    assert_eq!(finder.needed(&mut world, "POST", "/c").await, "fixed");
    let scope = world.key(key_with(&["systems"])).await;
    for method in ["GET", "POST"] {
        let found = world.verdict(may_go(&scope.token, method, "/a")).await;
        assert_eq!(found, "ALLOWED", "a bare scope covers both actions");
    }
}

#[tokio::test]
async fn a_route_that_the_map_does_not_have_is_denied_even_to_a_key_that_may_everything() {
    let mut world = World::new().await;
    let made = world.key(key_with(&["*"])).await;
    let ask = |route| may_go(&made.token, "GET", route);
    assert_eq!(world.verdict(ask("/a")).await, "403 PERMISSION_DENIED", "no map at all");
    world.map("", &["GET /a systems.read"]).await;
    assert_eq!(world.verdict(ask("/a")).await, "ALLOWED");
    assert_eq!(world.verdict(ask("/b")).await, "403 PERMISSION_DENIED");
    let other = may_go(&made.token, "POST", "/a");
    assert_eq!(world.verdict(other).await, "403 PERMISSION_DENIED");
    // who says what is needed does not need the map
    let told = AuthorizeRequest { permission: "x".into(), ..ask("/b") };
    assert_eq!(world.verdict(told).await, "ALLOWED");
}

#[tokio::test]
async fn a_change_of_the_map_counts_at_once_for_the_keys_of_its_domain() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    let here = world.key(key_with(&["reading"])).await;
    let there = CreateKeyRequest { domain: "tenant".into(), ..key_with(&["reading"]) };
    let there = world.key(there).await;
    let both = async |world: &mut World| {
        let here = world.verdict(may_go(&here.token, "GET", "/a/b")).await;
        let there = world.verdict(may_go(&there.token, "GET", "/a/b")).await;
        [here == "ALLOWED", there == "ALLOWED"]
    };
    assert_eq!(both(&mut world).await, [false, false]);
    world.map("", &["* /a/{b} reading"]).await;
    assert_eq!(both(&mut world).await, [true, false]);
    world.map("tenant", &["* /** reading"]).await;
    assert_eq!(both(&mut world).await, [true, true]);
    world.map("", &["* /a/{b} writing"]).await;
    assert_eq!(both(&mut world).await, [false, true]);
    world.map("", &["* /a/{b} writing", "GET /a/{x} reading.x"]).await;
    assert_eq!(both(&mut world).await, [true, true]);
    world.map("tenant", &[]).await;
    assert_eq!(both(&mut world).await, [true, false]);
    assert_eq!(world.get(&there).await, there.key, "no key is touched");

    let mut reader = world.reader.asker();
    world.map("", &[]).await;
    crate::support::eventually("the replica follows", async || {
        let answer = reader.ask(may_go(&here.token, "GET", "/a/b")).await;
        (!answer.allowed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_segment_is_the_same_however_it_is_escaped() {
    let mut world = World::new().await;
    world.map("", &["* /users/@me own", "* /users/{id} others", "* /x%40y own"]).await;
    let finder = Finder::new(&mut world, &["own", "others"]).await;
    for (route, expected) in [
        ("/users/@me", "own"),
        ("/users/%40me", "own"),
        ("/users/me", "others"),
        ("/users/%40me%40", "others"),
        ("/x@y", "own"),
        ("/x%40y", "own"),
    ] {
        assert_eq!(finder.needed(&mut world, "GET", route).await, expected, "{route}");
    }
}

#[tokio::test]
async fn rules_and_the_map_must_both_let_through() {
    let mut world = World::new().await;
    world.map("", &["* /a/** reading", "* /b/** writing"]).await;
    let request =
        CreateKeyRequest { route_rules: texts(&["GET /a/x", "/b"]), ..key_with(&["reading"]) };
    let made = world.key(request).await;
    for (method, route, expected) in [
        ("GET", "/a/x", "ALLOWED"),
        ("GET", "/a/x/y", "ALLOWED"),
        ("GET", "/a/y", "403 ROUTE_DENIED"),
        ("POST", "/a/x", "403 ROUTE_DENIED"),
        ("GET", "/b/x", "403 PERMISSION_DENIED"),
        ("GET", "/c", "403 ROUTE_DENIED"),
    ] {
        let found = world.verdict(may_go(&made.token, method, route)).await;
        assert_eq!(found, expected, "{method} {route}");
    }
}

#[tokio::test]
async fn an_entry_that_could_not_be_matched_safely_is_refused() {
    let mut world = World::new().await;
    for bad in [
        "GET a x",
        "GET /a//b x",
        "GET /a/../b x",
        "GET /a%2fb x",
        "GET /{} x",
        "GET /a{b} x",
        "GET /**/a x",
        "GET /*/a x",
        "GET /a?b x",
        "get /a x",
        "GET,GET /a x",
        "GET /a X",
        "GET /a a.*",
        "GET /a a{action}",
        "GET /{B} x",
    ] {
        let lines = ["GET /fine x", bad];
        let route_map = Some(super::map_of("", &lines));
        let request = pb::UpdateRouteMapRequest { route_map, validate_only: false };
        let refused = world.access.update_route_map(request).await.unwrap_err();
        let found = crate::support::client::reason_of(&refused);
        assert_eq!(found, "INVALID_FIELD", "{bad}: {refused:?}");
    }
    let lines = ["GET,PUT /a/{x} x", "PUT,POST /a/{y} y"];
    let route_map = Some(super::map_of("", &lines));
    let request = pb::UpdateRouteMapRequest { route_map, validate_only: false };
    let refused = world.access.update_route_map(request).await;
    assert_invalid(refused, &["route_map.entries[1]"]);
}
