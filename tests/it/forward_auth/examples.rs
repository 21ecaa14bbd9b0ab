//! The configurations in `examples/forward-auth`, as they are but for their addresses.

use std::{fs, net::SocketAddr};

use keyward::rpc::pb::{CreateKeyRequest, UpdateRouteMapRequest};

use super::Place;
use crate::{
    scoping::{key_with, map_of},
    support::{
        caddy::Caddy,
        client::{Made, new_key},
        http1::{ask, request},
        limits::daily,
        nginx::Nginx,
    },
};

fn example(place: &Place, name: &str, at: SocketAddr) -> String {
    let path = format!("{}/examples/forward-auth/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut text = fs::read_to_string(path).unwrap();
    for (theirs, ours) in [
        ("127.0.0.1:8080", at),
        ("127.0.0.1:8081", place.upstream.address),
        ("127.0.0.1:50053", place.keyward.http),
    ] {
        assert!(text.contains(theirs), "{text}");
        text = text.replace(theirs, &ours.to_string());
    }
    text
}

async fn place() -> (Place, Made, Made) {
    let mut place = Place::start(&[]).await;
    let map = map_of("", &["GET,HEAD /a/** systems.read", "* /** systems.admin"]);
    let request = UpdateRouteMapRequest { route_map: Some(map), validate_only: false };
    place.keyward.access().update_route_map(request).await.unwrap();
    let made = place.key(key_with(&["systems.read"])).await;
    let limits = vec![daily("few", 1)];
    let limited = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
    (place, made, limited)
}

/// Asserts what both examples promise. The host is the one that Caddy's example has a site for.
async fn check(place: &Place, at: SocketAddr, made: &Made, limited: &Made) {
    let host = format!("Host: {at}\r\n");
    let ask = async |method: &str, target: &str, lines: &str| {
        let whole = request(method, target, lines);
        let whole = String::from_utf8(whole).unwrap().replace("Host: api.example\r\n", &host);
        ask(at, whole.as_bytes()).await
    };
    let key = format!("X-Api-Key: {}\r\n", made.token);
    let spoof = "X-Keyward-User: evil\r\nX-Keyward-Key-Id: evil\r\nX-Keyward-Customer: evil\r\n\
        X_Keyward_User: evil\r\nX-Original-Url: /evil\r\nX-Http-Method-Override: evil\r\n\
        X-Forwarded-Uri: /evil\r\nX-Forwarded-Method: evil\r\n";
    for (target, lines, told) in [
        ("/a/b", key.clone(), 4),
        ("/a/b?c=%2f", format!("{spoof}{key}"), 4),
        ("/a/b", format!("Authorization: Bearer {}\r\n", made.token), 4),
        ("/public/a", format!("{spoof}{key}"), 0),
        ("/public/a", String::new(), 0),
    ] {
        let answer = ask("GET", target, &lines).await;
        assert_eq!(answer.status, 200, "{target} {lines:?}: {answer:?}");
        let seen = place.upstream.take_one();
        assert_eq!(seen.target(), target);
        assert_eq!(seen.names("x-keyward").len(), told, "{target} {lines:?}: {seen:?}");
        let text = seen.text();
        assert!(!text.contains("evil") && !text.contains(&made.token), "{lines:?}: {text}");
    }
    let allowed = "X-Forwarded-Uri: /a/b\r\nX-Forwarded-Method: GET\r\n";
    for (method, target, lines, expected) in [
        ("GET", "/a/b", String::new(), 401),
        ("GET", "/a/b", "X-Api-Key: unknown\r\n".into(), 401),
        ("GET", "/a/b", format!("{key}{key}"), 401),
        ("GET", "/b", key.clone(), 403),
        ("GET", "/b", format!("{key}{allowed}"), 403),
        ("POST", "/a/b", format!("{key}{allowed}Content-Length: 0\r\n"), 403),
        ("GET", "/a/../b", key.clone(), 403),
        ("GET", "/a/%2e%2e/b", key.clone(), 403),
        ("GET", "/public/../b", key.clone(), 403),
    ] {
        let answer = ask(method, target, &lines).await;
        assert_eq!(answer.status, expected, "{method} {target} {lines:?}: {answer:?}");
        assert!(place.upstream.take().is_empty(), "{target}");
    }
    let key = format!("X-Api-Key: {}\r\n", limited.token);
    let answer = ask("GET", "/a/b", &key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    place.upstream.take();
    let answer = ask("GET", "/a/b", &key).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(!answer.field("retry-after").is_empty(), "{answer:?}");
    assert!(answer.field("ratelimit").starts_with("\"few\";r=0"), "{answer:?}");
    assert_eq!(answer.field("content-type"), "application/problem+json");
    assert_eq!(answer.json()["status"], 429, "{answer:?}");
    assert!(place.upstream.take().is_empty());
}

#[tokio::test]
async fn the_example_for_nginx_does_what_it_says() {
    let (place, made, limited) = place().await;
    let nginx = Nginx::start_whole("example", |at| example(&place, "nginx.conf", at)).await;
    check(&place, nginx.address, &made, &limited).await;
}

#[tokio::test]
async fn the_example_for_caddy_does_what_it_says() {
    let (place, made, limited) = place().await;
    let caddy = Caddy::start_whole("example", |at| example(&place, "Caddyfile", at)).await;
    check(&place, caddy.address, &made, &limited).await;
}
