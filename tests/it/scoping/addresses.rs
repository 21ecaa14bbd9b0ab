//! Addresses: from where a key may be used.

use keyward::rpc::pb::{
    AuthorizeRequest, BatchAuthorizeRequest, CreateKeyRequest, Key, ListKeysRequest,
};
use tokio_stream::StreamExt;
use tonic::Code;

use super::{World, is_good, key_with, may, texts};
use crate::support::client::{assert_invalid, assert_status, new_admin_key};

fn from(request: AuthorizeRequest, client_address: &str) -> AuthorizeRequest {
    AuthorizeRequest { client_address: client_address.into(), ..request }
}

fn within(allowed: &[&str], denied: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest {
        allowed_addresses: texts(allowed),
        denied_addresses: texts(denied),
        ..key_with(&["systems"])
    }
}

const DENIED: &str = "403 ADDRESS_DENIED";

#[tokio::test]
async fn a_key_may_be_used_from_where_its_lists_say() {
    let mut world = World::new().await;
    let lists: [(&[&str], &[&str], &str, &str); 10] = [
        (&[], &[], "192.0.2.7 2001:db8::7 -", ""),
        (
            &["192.0.2.0/24"],
            &[],
            "192.0.2.0 192.0.2.255 ::ffff:192.0.2.7",
            "192.0.3.0 :: - 2001:db8::1",
        ),
        (
            &["198.51.100.7"],
            &[],
            "198.51.100.7 ::ffff:198.51.100.7",
            "198.51.100.8 - ::198.51.100.7",
        ),
        (&["::ffff:192.0.2.0/120"], &[], "192.0.2.9 ::ffff:c000:209", "192.0.3.9 -"),
        (&["2001:db8::/32"], &[], "2001:db8::1 2001:DB8:0:0::1", "2001:db9::1 192.0.2.7 -"),
        (&["2001:db8::7"], &[], "2001:db8::7", "2001:db8::8 -"),
        (&["::/0"], &[], "2001:db8::7 ::1", "192.0.2.7 ::ffff:192.0.2.7 -"),
        (&["0.0.0.0/0"], &[], "192.0.2.7 ::ffff:192.0.2.7", "2001:db8::7 -"),
        (&[], &["192.0.2.0/24"], "192.0.3.1 2001:db8::7", "192.0.2.1 ::ffff:192.0.2.1 -"),
        (
            &["192.0.2.0/24", "2001:db8::/32"],
            &["192.0.2.128/25", "2001:db8:1::/48"],
            "192.0.2.1 2001:db8::1",
            "192.0.2.129 ::ffff:192.0.2.200 2001:db8:1::1 198.51.100.1 -",
        ),
    ];
    for (allowed, denied, inside, outside) in lists {
        let made = world.key(within(allowed, denied)).await;
        let all = |texts: &'static str, verdict| {
            texts.split_ascii_whitespace().map(move |text| (text, verdict))
        };
        for (address, expected) in all(inside, "ALLOWED").chain(all(outside, DENIED)) {
            let address = if address == "-" { "" } else { address };
            for request in [may(&made.token, "systems.read"), is_good(&made.token)] {
                let found = world.verdict(from(request, address)).await;
                assert_eq!(found, expected, "{allowed:?} {denied:?}: {address:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_change_of_the_lists_counts_at_once() {
    let mut world = World::new().await;
    let made = world.key(within(&[], &[])).await;
    let ask = || from(may(&made.token, "systems.read"), "192.0.2.7");
    let list = |text: &str| Key {
        allowed_addresses: texts(&[text]),
        denied_addresses: texts(&[text]),
        ..Key::default()
    };
    for (key, path, expected) in [
        (list("198.51.100.0/24"), "allowed_addresses", DENIED),
        (list("192.0.2.0/24"), "allowed_addresses", "ALLOWED"),
        (list("192.0.2.7"), "denied_addresses", DENIED),
        (Key::default(), "allowed_addresses", DENIED),
        (list("192.0.2.8"), "denied_addresses", "ALLOWED"),
        (Key::default(), "denied_addresses", "ALLOWED"),
    ] {
        world.change_key(&made, key, &[path]).await;
        assert_eq!(world.verdict(ask()).await, expected);
    }
    let mut waiting = world.reader.asker();
    world.change_key(&made, list("192.0.2.7"), &["allowed_addresses"]).await;
    waiting.until(&made.token, DENIED).await;
}

/// The address that counts is the one that the server sees; the tests are on this machine.
#[tokio::test]
async fn an_admin_key_may_be_used_from_where_its_lists_say() {
    let mut world = World::new().await;
    let request = CreateKeyRequest {
        allowed_addresses: texts(&["127.0.0.0/8"]),
        ..new_admin_key("Here", &["keyward.keys.read"])
    };
    let made = world.key(request).await;
    assert_eq!(world.verdict(is_good("unheard-of")).await, "401 KEY_UNKNOWN");
    let servers = [&world.writer, &world.reader];
    let mut clients = servers.map(|server| server.admin_as(&made.token));
    for (path, list, allowed) in [
        ("allowed_addresses", &["127.0.0.0/8"], true),
        ("denied_addresses", &["127.0.0.1"], false),
        ("denied_addresses", &["127.0.0.2"], true),
        ("allowed_addresses", &["192.0.2.0/24"], false),
        ("allowed_addresses", &["::ffff:127.0.0.1"], true),
    ] {
        let list = texts(list);
        let key = Key { allowed_addresses: list.clone(), denied_addresses: list, ..Key::default() };
        world.change_key(&made, key, &[path]).await;
        assert_eq!(world.verdict(is_good("unheard-of")).await, "401 KEY_UNKNOWN");
        for client in &mut clients {
            let result = client.list_keys(ListKeysRequest::default()).await;
            if allowed {
                result.unwrap();
            } else {
                assert_status(result, Code::PermissionDenied, "ADDRESS_DENIED");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused_whatever_the_key() {
    let mut world = World::new().await;
    let made = world.key(within(&[], &[])).await;
    for address in [
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.7:80",
        "[::1]",
        "::1%eth0",
        "192.0.2.0/24",
        " 192.0.2.7",
        "192.0.2.07",
        "0x7f.1",
        "unknown",
        "::g",
        "ä",
    ] {
        for token in [made.token.as_str(), "", "unknown"] {
            for request in [may(token, "systems.read"), is_good(token)] {
                let refused = world.refuses(from(request, address)).await;
                assert_invalid(Err::<(), _>(refused), &["client_address"]);
            }
        }
        let fine = from(may(&made.token, "systems.read"), "192.0.2.7");
        let bad = from(may(&made.token, "systems.read"), address);
        let requests = vec![fine.clone(), fine.clone(), bad.clone()];
        let [_, asker] = &mut world.askers;
        let batch = asker.0.batch_authorize(BatchAuthorizeRequest { requests }).await;
        assert_invalid(batch, &["requests[2].client_address"]);
        let requests = tokio_stream::iter([fine, bad]);
        let answers = asker.0.stream_authorize(requests).await.unwrap().into_inner();
        let mut answers: Vec<_> = answers.collect().await;
        assert_invalid(answers.pop().unwrap(), &["client_address"]);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].as_ref().unwrap().allowed);
    }
}
