//! Caddy with `forward_auth`.

use keyward::rpc::pb::CreateKeyRequest;

use super::{Place, READ, assert_told, ruled};
use crate::support::{
    caddy::Caddy,
    client::new_key,
    http1::{ask, get, request},
    limits::daily,
};

fn directives(place: &Place) -> String {
    let (keyward, upstream) = (place.keyward.http, place.upstream.address);
    format!(
        "request_header -X-Keyward-*
        forward_auth {keyward} {{
            uri {READ}
            copy_headers X-Keyward-Key-Id X-Keyward-Domain X-Keyward-Environment X-Keyward-Decision-Id
        }}
        request_header -X-Api-Key
        request_header -Authorization
        reverse_proxy {upstream}"
    )
}

#[tokio::test]
async fn caddy_lets_through_what_may_pass_and_hands_on_each_denial() {
    let mut place = Place::start(&[]).await;
    let made = place.key(ruled(&["GET /a"])).await;
    let limits = vec![daily("few", 1)];
    let limited = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
    let caddy = Caddy::start("one", &directives(&place)).await;
    let key = format!("X-Api-Key: {}\r\n", made.token);
    for lines in [
        key.clone(),
        format!("Authorization: Bearer {}\r\n", made.token),
        format!("{key}X-Keyward-Key-Id: evil\r\nX-Keyward-User: evil\r\n"),
        format!("{key}X-Forwarded-Uri: /b\r\nX-Forwarded-Method: PUT\r\n"),
    ] {
        let answer = ask(caddy.address, &get("/a?b=%2f", &lines)).await;
        assert_eq!(answer.status, 200, "{lines:?}: {answer:?}");
        let seen = place.upstream.take_one();
        assert_told(&lines, &seen, &made);
        assert_eq!(seen.target(), "/a?b=%2f");
    }
    let with = |token: &str| get("/b", &format!("X-Api-Key: {token}\r\n"));
    ask(caddy.address, &with(&limited.token)).await;
    place.upstream.take();
    let spoofed = format!("{key}X-Forwarded-Uri: /a\r\nX-Forwarded-Method: GET\r\n");
    for (request, expected) in [
        (with("unknown"), "401 UNAUTHENTICATED"),
        (with(&made.token), "403 ROUTE_DENIED"),
        (get("/b", &spoofed), "403 ROUTE_DENIED"),
        (request("DELETE", "/a", &spoofed), "403 ROUTE_DENIED"),
        (with(&limited.token), "429 QUOTA_EXHAUSTED"),
    ] {
        let answer = ask(caddy.address, &request).await;
        assert_eq!(crate::ext_authz::denial(&answer), expected, "{answer:?}");
        assert!(place.upstream.take().is_empty(), "{expected}");
        let after = answer.head.all("retry-after");
        assert_eq!(after.len(), usize::from(expected.starts_with("429")), "{answer:?}");
    }
}
