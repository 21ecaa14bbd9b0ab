//! Route rules of keys.

use keyward::rpc::pb::{AuthorizeRequest, CreateKeyRequest, Key};

use super::{World, key_with, may, may_go, texts};

/// Paths that could be read in two ways.
pub(super) const AMBIGUOUS: [&str; 42] = [
    "//",
    "/a//b",
    "//a",
    "/a//",
    "/./a",
    "/a/.",
    "/a/./b",
    "/../a",
    "/a/..",
    "/a/../b",
    "/a.",
    "/a./b",
    "/a%20/b",
    "/a%20",
    "/a/%2e",
    "/a/%2e%2e/b",
    "/a/%2E%2e/b",
    "/a/.%2e/b",
    "/a%2fb",
    "/a%2Fb",
    "/a%5cb",
    "/a\\b",
    "/a/..\\b",
    "/a;b",
    "/a;x=1/b",
    "/a%3bb",
    "/a?b",
    "/a%3fb",
    "/a#b",
    "/a%23b",
    "/a%00",
    "/a%0a",
    "/a%7f",
    "/a%252fb",
    "/a%2",
    "/a%zz",
    "/a%c0%af",
    "/a%ff",
    "/a%ef%bc%8fb",
    "/%61",
    "/a b",
    "/ä",
];

/// The same without a slash at the beginning, and others that are none.
pub(super) const NO_PATHS: [&str; 6] = ["a", "a/b", "*", "http://host/a", "/a\n", "/a\tb"];

fn ruled(rules: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { route_rules: texts(rules), ..key_with(&["systems"]) }
}

fn read_at(token: &str, method: &str, route: &str) -> AuthorizeRequest {
    AuthorizeRequest { permission: "systems.read".into(), ..may_go(token, method, route) }
}

#[tokio::test]
async fn a_rule_covers_whole_segments_and_its_methods() {
    let mut world = World::new().await;
    for (rule, covered, uncovered) in [
        (
            "/api/v2",
            "/api/v2 /api/v2/ /api/v2/x /api/v2/x/y/",
            "/api /api/v20 /api/v2.0 /x/api/v2 /API/v2",
        ),
        ("=/api/v2", "/api/v2", "/api/v2/ /api/v2/x /api /api/v20"),
        ("=/api/", "/api/", "/api /api/x"),
        ("/", "/ /a /a/b/", ""),
        ("=/", "/", "/a"),
        ("GET /a", "GET:/a GET:/a/b", "/a HEAD:/a get:/a POST:/a/b GET:/ab"),
        ("GET,POST =/a", "GET:/a POST:/a", "/a PUT:/a GET:/a/b"),
        ("/a%40b", "/a%40b /a%40b/c", "/a /a%40 /a%40bc"),
    ] {
        let made = world.key(ruled(&[rule])).await;
        let all = |texts: &'static str, verdict| {
            texts.split_ascii_whitespace().map(move |text| (text, verdict))
        };
        for (text, expected) in all(covered, "ALLOWED").chain(all(uncovered, "403 ROUTE_DENIED")) {
            let (method, route) = text.split_once(':').unwrap_or(("", text));
            let found = world.verdict(read_at(&made.token, method, route)).await;
            assert_eq!(found, expected, "{rule}: {text}");
        }
        let none = world.verdict(may(&made.token, "systems.read")).await;
        assert_eq!(none, "403 ROUTE_DENIED", "{rule}: no route");
    }
}

#[tokio::test]
async fn any_of_several_rules_is_enough_and_a_change_of_them_counts_at_once() {
    let mut world = World::new().await;
    let made = world.key(ruled(&["/a", "GET =/b"])).await;
    for (method, route, expected) in [
        ("POST", "/a/x", "ALLOWED"),
        ("GET", "/b", "ALLOWED"),
        ("POST", "/b", "403 ROUTE_DENIED"),
        ("GET", "/c", "403 ROUTE_DENIED"),
    ] {
        assert_eq!(world.verdict(read_at(&made.token, method, route)).await, expected);
    }
    let key = Key { route_rules: texts(&["/c"]), ..Key::default() };
    world.change_key(&made, key, &["route_rules"]).await;
    assert_eq!(world.verdict(read_at(&made.token, "POST", "/a/x")).await, "403 ROUTE_DENIED");
    assert_eq!(world.verdict(read_at(&made.token, "GET", "/c")).await, "ALLOWED");
    world.change_key(&made, Key::default(), &["route_rules"]).await;
    for route in ["/a", "/d", ""] {
        assert_eq!(world.verdict(read_at(&made.token, "", route)).await, "ALLOWED", "{route}");
    }
}

#[tokio::test]
async fn an_ambiguous_path_is_denied_wherever_it_has_to_be_read_and_nowhere_else() {
    let mut world = World::new().await;
    world.map("", &["* /** systems.read", "* / systems.read", "* /a/** systems.read"]).await;
    let ruled = world.key(ruled(&["/", "/a", "=/a"])).await;
    let free = world.key(key_with(&["systems"])).await;
    let long = format!("/{}", "a".repeat(8192));
    let [longest] = [&long[..8192]];
    for route in AMBIGUOUS.iter().chain(&NO_PATHS).copied().chain([long.as_str()]) {
        let shown = &route[..route.len().min(30)];
        for (claim, request, expected) in [
            ("read by a rule", read_at(&ruled.token, "GET", route), "403 ROUTE_DENIED"),
            ("read by the map", may_go(&free.token, "GET", route), "403 ROUTE_DENIED"),
            ("read by both", may_go(&ruled.token, "GET", route), "403 ROUTE_DENIED"),
            ("read by nobody", read_at(&free.token, "GET", route), "ALLOWED"),
        ] {
            assert_eq!(world.verdict(request).await, expected, "{shown:?} {claim}");
        }
    }
    for route in ["/a", "/a/", "/a/b.c", "/a/%40", "/a/~", "/a/%C3%A4", "/a/%20b", longest] {
        for request in [read_at(&ruled.token, "", route), may_go(&free.token, "", route)] {
            assert_eq!(
                world.verdict(request).await,
                "ALLOWED",
                "{}",
                &route[..route.len().min(30)]
            );
        }
    }
}
