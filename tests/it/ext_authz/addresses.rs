//! From where a request comes, as Keyward is told by Envoy and nobody else.

use keyward::rpc::pb::CreateKeyRequest;
use serde_json::json;

use super::{Place, READ, place::denial};
use crate::{
    scoping::texts,
    support::{
        client::new_key,
        envoy::Listener,
        http1::{Connection, get},
    },
};

fn within(addresses: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { allowed_addresses: texts(addresses), ..new_key("Within") }
}

/// Envoys that append the peer to X-Forwarded-For, and such that leave it alone.
async fn place(flags: &[&str]) -> Place {
    let listener = |name, appends: bool| {
        Listener::new(name, "keyward")
            .manager("use_remote_address", json!(appends))
            .manager("skip_xff_append", json!(!appends))
            .all("upstream", &READ)
    };
    let listeners = vec![listener("appending", true), listener("quiet", false)];
    Place::start(&[("keyward", flags)], listeners).await
}

async fn check(place: &mut Place, cases: &[(&[&str], &str, bool)]) {
    for (addresses, forwarded, allowed) in cases {
        let made = place.key(within(addresses)).await;
        for envoy in &place.envoys {
            for listener in ["appending", "quiet"] {
                let claim = format!("{} {listener}: {addresses:?} {forwarded:?}", envoy.version);
                let lines = format!("X-Api-Key: {}\r\n{forwarded}", made.token);
                let request = get("/a", &lines);
                // in place of 127.0.0.1, Envoy appends an address of its own
                let mut client = Connection::open_from(CLIENT, envoy.at(listener)).await;
                client.send(&request).await;
                let answer = client.answer_to("GET").await.unwrap();
                if *allowed {
                    assert_eq!(answer.status, 200, "{claim}: {answer:?}");
                } else {
                    assert_eq!(denial(&answer), "403 ADDRESS_DENIED", "{claim}: {answer:?}");
                }
                assert_eq!(place.upstream.take().len(), usize::from(*allowed), "{claim}");
            }
        }
    }
}

/// Where the client is, for Envoy.
const CLIENT: [u8; 4] = [127, 0, 0, 2];
const HERE: &[&str] = &["127.0.0.2"];
const THERE: &[&str] = &["192.0.2.7"];

#[tokio::test]
async fn envoys_peer_counts_and_what_is_forwarded_does_not() {
    let mut place = place(&[]).await;
    let cases: [(&[&str], &str, bool); 12] = [
        (HERE, "", true),
        (&["127.0.0.0/8"], "", true),
        (&["::ffff:127.0.0.2"], "", true),
        (HERE, "X-Forwarded-For: 192.0.2.7\r\n", true),
        (THERE, "", false),
        (THERE, "X-Forwarded-For: 192.0.2.7\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7, 192.0.2.7, 192.0.2.7\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\n", false),
        (THERE, "X-Real-Ip: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n", false),
        (THERE, "X-Envoy-External-Address: 192.0.2.7\r\n", false),
        (THERE, "True-Client-Ip: 192.0.2.7\r\nCf-Connecting-Ip: 192.0.2.7\r\n", false),
        (&["0.0.0.0/0", "::/0"], "", true),
    ];
    check(&mut place, &cases).await;
}

#[tokio::test]
async fn with_one_hop_the_last_that_the_proxy_before_appended_counts() {
    let mut place = place(&["--trusted-hops", "1"]).await;
    let cases: [(&[&str], &str, bool); 16] = [
        (THERE, "X-Forwarded-For: 192.0.2.7\r\n", true),
        (THERE, "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", true),
        (THERE, "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n", true),
        (THERE, "X-Forwarded-For: ::ffff:192.0.2.7\r\n", true),
        (THERE, "X-Forwarded-For:  192.0.2.7  \r\n", true),
        (&["2001:db8::/32"], "X-Forwarded-For: 2001:db8::7\r\n", true),
        (&["2001:db8::/32"], "X-Forwarded-For: 2001:DB8:0::7\r\n", true),
        (THERE, "X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 198.51.100.1\r\n", false),
        (THERE, "X-Forwarded-For: unknown\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7, \r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7, x\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7 198.51.100.1\r\n", false),
        // too short a list: no address is known, and that is not the peer's
        (HERE, "", false),
        (&["0.0.0.0/0", "::/0"], "", false),
        (HERE, "X-Forwarded-For: 192.0.2.7\r\n", false),
    ];
    check(&mut place, &cases).await;
}

#[tokio::test]
async fn with_two_hops_the_last_but_one_counts() {
    let mut place = place(&["--trusted-hops", "2"]).await;
    let cases: [(&[&str], &str, bool); 6] = [
        (THERE, "X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n", true),
        (THERE, "X-Forwarded-For: 198.51.100.9, 192.0.2.7, 198.51.100.1\r\n", true),
        (THERE, "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 198.51.100.1\r\n", true),
        (THERE, "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", false),
        (THERE, "X-Forwarded-For: 192.0.2.7\r\n", false),
        (&["0.0.0.0/0", "::/0"], "X-Forwarded-For: 192.0.2.7\r\n", false),
    ];
    check(&mut place, &cases).await;
}

#[tokio::test]
async fn a_peer_over_ipv6_is_known_as_such() {
    let loopback = [0, 0, 0, 0, 0, 0, 0, 1];
    let listener = Listener::new("one", "keyward").at(loopback).all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let inside = place.key(within(&["::1"])).await;
    let outside = place.key(within(&["127.0.0.2", "2001:db8::/32"])).await;
    for envoy in &place.envoys {
        let at = envoy.at("one");
        let key = |token: &str| get("/a", &format!("X-Api-Key: {token}\r\n"));
        place.passes("::1", at, &key(&inside.token)).await;
        place.stops("::1", at, &key(&outside.token), "403 ADDRESS_DENIED").await;
    }
}
