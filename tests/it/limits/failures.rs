//! Tries that fail, by where they come from; and admin keys that are used too often.

use keyward::rpc::pb::{
    AuthorizeRequest, CreateKeyRequest, DeleteKeyRequest, GetKeyRequest, ListKeysRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{ask, daily, knows, made, span};
use crate::support::{
    client::{assert_status, create, may_read, new_admin_key, new_key, verdict},
    operator::Site,
    server::Server,
};

const UNKNOWN: &str = "401 KEY_UNKNOWN";
const MALFORMED: &str = "401 KEY_MALFORMED";
const THROTTLED: &str = "429 FAILURES_THROTTLED";

fn from(address: &str, token: &str) -> AuthorizeRequest {
    AuthorizeRequest { client_address: address.into(), ..may_read(token) }
}

/// A token of our form that no key has: that of one that was deleted.
async fn unknown_token(server: &Server) -> String {
    let made = made(server, new_key("Deleted")).await;
    let request = DeleteKeyRequest {
        id: made.key.id.clone(),
        confirm: made.key.display_name.clone(),
        ..Default::default()
    };
    let deleted = server.admin().delete_key(request).await.unwrap().into_inner();
    knows(server, deleted.revision).await;
    made.token
}

/// Asks so often; all must come to this.
async fn all(server: &Server, request: &AuthorizeRequest, times: usize, expected: &str) {
    let mut asker = server.asker();
    for time in 0..times {
        assert_eq!(verdict(&asker.ask(request.clone()).await), expected, "try {time}");
    }
}

/// A call of an operator with this token.
async fn list(server: &Server, token: &str) -> Result<(), Status> {
    server.admin_as(token).list_keys(ListKeysRequest::default()).await.map(drop)
}

#[tokio::test]
async fn after_sixty_failures_an_address_is_throttled_and_good_keys_with_it() {
    let site = Site::start(&[]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    let bad = unknown_token(server).await;
    all(server, &from("192.0.2.7", &bad), 60, UNKNOWN).await;
    // one is forgiven each second, so that on a slow machine more may be looked at
    let mut asker = server.asker();
    let throttled = crate::support::eventually("it is throttled", async || {
        let response = asker.ask(from("192.0.2.7", &bad)).await;
        (verdict(&response) == THROTTLED).then_some(response)
    })
    .await;
    let retry = span(throttled.retry_after);
    assert!(retry > 0.0 && retry <= 1.0, "{retry}");
    assert_eq!((throttled.key_id.as_str(), throttled.limits), ("", vec![]));
    for address in ["192.0.2.8", "2001:db8::1", ""] {
        assert_eq!(verdict(&ask(server, from(address, &good.token)).await), "ALLOWED", "{address}");
    }
    all(server, &from("", &bad), 100, UNKNOWN).await;
}

#[tokio::test]
async fn a_good_key_from_a_throttled_address_is_told_when_to_come_again() {
    let site = Site::start(&["--failure-limit", "3/1h"]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    let bad = unknown_token(server).await;
    all(server, &from("192.0.2.7", &good.token), 5, "ALLOWED").await;
    all(server, &from("192.0.2.7", &bad), 3, UNKNOWN).await;
    let response = ask(server, from("192.0.2.7", &good.token)).await;
    assert_eq!(verdict(&response), THROTTLED);
    let retry = span(response.retry_after);
    assert!(retry > 600.0 && retry <= 1200.0, "{retry}");
    // an IPv4 address written as one of IPv6 is the same one
    assert_eq!(verdict(&ask(server, from("::ffff:192.0.2.7", &good.token)).await), THROTTLED);
    assert_eq!(verdict(&ask(server, from("192.0.2.7", "")).await), "401 KEY_MISSING");
}

#[tokio::test]
async fn a_network_of_ipv6_that_one_subscriber_has_counts_as_one() {
    let site = Site::start(&["--failure-limit", "3/1h"]).await;
    let server = &site.server;
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:0:3"] {
        assert_eq!(verdict(&ask(server, from(address, "kw_nothing")).await), MALFORMED);
    }
    let good = made(server, new_key("Good")).await;
    assert_eq!(verdict(&ask(server, from("2001:db8::4", &good.token)).await), THROTTLED);
    assert_eq!(verdict(&ask(server, from("2001:db8:0:1::4", &good.token)).await), "ALLOWED");
}

#[tokio::test]
async fn who_goes_on_failing_while_throttled_does_not_wait_longer_for_it() {
    let site = Site::start(&["--failure-limit", "3/1h"]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    all(server, &from("192.0.2.7", "kw_nothing"), 50, MALFORMED).await;
    let response = ask(server, from("192.0.2.7", &good.token)).await;
    assert_eq!(verdict(&response), THROTTLED);
    let retry = span(response.retry_after);
    assert!(retry <= 1200.0, "one failure is forgiven in 20 minutes, not in {retry} seconds");
}

#[tokio::test]
async fn denials_of_good_keys_are_no_failures() {
    let site = Site::start(&["--failure-limit", "3/1h"]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    let denied =
        AuthorizeRequest { permission: "games.play".into(), ..from("192.0.2.7", &good.token) };
    all(server, &denied, 10, "403 PERMISSION_DENIED").await;
    all(server, &from("192.0.2.7", ""), 10, "401 KEY_MISSING").await;
    assert_eq!(verdict(&ask(server, from("192.0.2.7", &good.token)).await), "ALLOWED");
}

#[tokio::test]
async fn without_a_failure_limit_nobody_is_throttled() {
    let site = Site::start(&["--failure-limit", "off"]).await;
    let server = &site.server;
    all(server, &from("192.0.2.7", "kw_nothing"), 200, MALFORMED).await;
    for _ in 0..70 {
        assert_status(list(server, "kw_nothing").await, Code::Unauthenticated, "KEY_MALFORMED");
    }
    list(server, &site.database.root_token).await.unwrap();
}

#[tokio::test]
async fn a_limit_for_peers_throttles_calls_without_a_client_address() {
    let site = Site::start(&["--peer-failure-limit", "3/1h"]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    let bad = unknown_token(server).await;
    all(server, &from("", &bad), 3, UNKNOWN).await;
    let response = ask(server, may_read(&good.token)).await;
    assert_eq!(verdict(&response), THROTTLED);
    assert!(response.retry_after.is_some());
    assert_eq!(verdict(&ask(server, from("192.0.2.7", &good.token)).await), "ALLOWED");
}

#[tokio::test]
async fn a_peer_with_bad_admin_tokens_is_throttled_with_good_ones_too_if_that_is_set() {
    let site = Site::start(&["--peer-failure-limit", "3/1h"]).await;
    let server = &site.server;
    let good = made(server, new_key("Good")).await;
    for _ in 0..3 {
        // a key of the other plane is unknown here
        assert_status(list(server, &good.token).await, Code::Unauthenticated, "KEY_UNKNOWN");
    }
    let result = list(server, &site.database.root_token).await;
    let status = assert_status(result, Code::ResourceExhausted, "FAILURES_THROTTLED");
    let delay = status.get_error_details().retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(delay.as_secs() > 600 && delay.as_secs() <= 1200, "{delay:?}");
    // the peer is the same, but names its client
    let named = from("192.0.2.7", &good.token);
    assert_eq!(verdict(&ask(server, named).await), "ALLOWED", "decisions go on");
}

#[tokio::test]
async fn operators_are_not_throttled_for_what_users_at_their_address_do() {
    let site = Site::start(&["--failure-limit", "3/1h"]).await;
    let server = &site.server;
    let bad = unknown_token(server).await;
    for _ in 0..5 {
        ask(server, from("127.0.0.1", &bad)).await;
        let refused = list(server, &bad).await;
        assert_status(refused, Code::Unauthenticated, "KEY_UNKNOWN");
    }
    list(server, &site.database.root_token).await.unwrap();
}

#[tokio::test]
async fn operators_who_ask_about_bad_keys_are_not_counted() {
    let site = Site::start(&["--failure-limit", "3/1h", "--peer-failure-limit", "3/1h"]).await;
    let server = &site.server;
    let bad = unknown_token(server).await;
    let mut explainer = server.explainer_as(&site.database.root_token);
    for _ in 0..10 {
        let request = AuthorizeRequest { explain: true, ..from("192.0.2.7", &bad) };
        let response = explainer.authorize(request).await.unwrap().into_inner();
        assert_eq!(verdict(&response), UNKNOWN);
    }
    assert_eq!(verdict(&ask(server, from("192.0.2.7", &bad)).await), UNKNOWN);
}

#[tokio::test]
async fn an_admin_key_that_calls_too_often_is_told_so_and_others_go_on() {
    let site = Site::shared();
    let server = &site.server;
    let request = CreateKeyRequest {
        limits: vec![daily("calls", 3)],
        ..new_admin_key("Limited", &["keyward.admins.read"])
    };
    let limited = create(&mut site.admin(), request).await;
    knows(server, limited.revision).await;
    let mut admin = server.admin_as(&limited.token);
    let request = || GetKeyRequest { id: limited.key.id.clone() };
    for _ in 0..3 {
        admin.get_key(request()).await.unwrap();
    }
    let result = admin.get_key(request()).await;
    let status = assert_status(result, Code::ResourceExhausted, "RATE_LIMITED");
    let delay = status.get_error_details().retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(delay.as_secs() > 28_000 && delay.as_secs() <= 28_800, "{delay:?}");
    let other = site.operator(&["keyward.admins.read"]).await;
    other.admin.clone().get_key(request()).await.unwrap();
    site.admin().get_key(request()).await.unwrap();
}
