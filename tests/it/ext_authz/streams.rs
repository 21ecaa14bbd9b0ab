//! Requests that are no plain exchange: upgrades, tunnels, and those without a path.

use keyward::rpc::pb::{RevocationReason, RevokeKeyRequest};
use serde_json::json;

use super::{Place, READ, place::ruled};
use crate::support::{
    envoy::Listener,
    http1::{Connection, ask, get, request},
};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn a_websocket_is_judged_when_it_is_opened_and_not_again() {
    let listener = Listener::new("one", "keyward").all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let mut open = Vec::new();
    let made = place.reader().await;
    let upgrade = |token: &str| get("/socket", &format!("{UPGRADE}X-Api-Key: {token}\r\n"));
    for envoy in &place.envoys {
        place.stops("denied", envoy.at("one"), &upgrade("unknown"), "401 UNAUTHENTICATED").await;
        let mut socket = Connection::open(envoy.at("one")).await;
        socket.send(&upgrade(&made.token)).await;
        let answer = socket.answer_to("GET").await.unwrap();
        assert_eq!(answer.status, 101, "{answer:?}");
        let seen = place.upstream.take_one();
        assert!(!seen.text().contains(&made.token));
        assert_eq!(seen.head.one("x-keyward-key-id").as_deref(), Some(&*made.key.id));
        socket.send(b"before").await;
        assert_eq!(socket.bytes(6).await, b"before");
        open.push(socket);
    }
    let request = RevokeKeyRequest {
        id: made.key.id.clone(),
        reason: RevocationReason::Compromised.into(),
        ..RevokeKeyRequest::default()
    };
    let revision = place.admin.revoke_key(request).await.unwrap().get_ref().revision;
    place.all_know(revision).await;
    for (envoy, mut socket) in place.envoys.iter().zip(open) {
        let denied = "401 UNAUTHENTICATED";
        place.stops("revoked", envoy.at("one"), &upgrade(&made.token), denied).await;
        socket.send(b"after").await;
        assert_eq!(socket.bytes(5).await, b"after", "an open one is not cut");
    }
}

#[tokio::test]
async fn what_has_no_path_passes_no_rule_and_no_map() {
    let listener = |name, context: &[(&str, &str)]| {
        Listener::new(name, "keyward")
            .route(&json!({"connect_matcher": {}}), "upstream", context)
            .all("upstream", context)
    };
    let listeners = vec![listener("read", &READ), listener("mapped", &READ[..1])];
    let mut place = Place::start(&[("keyward", &[])], listeners).await;
    place.map(&["* /** systems.read", "* / systems.read"]).await;
    let free = place.reader().await;
    let everywhere = place.key(ruled(&["/"])).await;
    for envoy in &place.envoys {
        let key = |token: &str| format!("X-Api-Key: {token}\r\n");
        for (listener, token) in
            [("read", &everywhere.token), ("mapped", &free.token), ("mapped", &everywhere.token)]
        {
            let claim = format!("{} {listener}", envoy.version);
            for target in ["api.example:443", "api.example:80"] {
                let request = request("CONNECT", target, &key(token));
                let claim = format!("{claim} {target}");
                place.stops(&claim, envoy.at(listener), &request, "403 ROUTE_DENIED").await;
            }
            // Envoy itself knows no route for `*`
            let answer = ask(envoy.at(listener), &request("OPTIONS", "*", &key(token))).await;
            assert!(matches!(answer.status, 403 | 404), "{claim}: {answer:?}");
            assert!(place.upstream.take().is_empty(), "{claim}");
            let seen = place
                .passes(&claim, envoy.at(listener), &get("http://api.example/x", &key(token)))
                .await;
            assert_eq!(seen.target(), "/x", "{claim}: an absolute form has a path");
        }
        // without a key, nothing at all
        let connect = request("CONNECT", "api.example:443", "");
        place.stops("CONNECT", envoy.at("read"), &connect, "401 UNAUTHENTICATED").await;
    }
}
