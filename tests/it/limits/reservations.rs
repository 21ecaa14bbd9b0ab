//! Reservations: taken beforehand, settled when the cost is known, and over by themselves.

use keyward::rpc::pb::{AuthorizeRequest, AuthorizeResponse, Mode};
use prost_types::Duration;
use tonic::Code;

use super::{
    ask, concurrency, daily, in_mode, left, limited, long_quota, look, settle, use_once, use_up,
};
use crate::support::{
    client::{assert_invalid, assert_status, verdict},
    eventually,
    operator::Site,
    server::Server,
};

fn reserving(token: &str, cost: i64) -> AuthorizeRequest {
    AuthorizeRequest { cost: Some(cost), ..in_mode(token, Mode::Reserve) }
}

/// Reserves, which must be allowed, and returns the id of the reservation.
async fn reserve(server: &Server, token: &str, cost: i64) -> String {
    let response = ask(server, reserving(token, cost)).await;
    assert_eq!(verdict(&response), "ALLOWED");
    response.reservation.unwrap().id
}

async fn reserve_for(server: &Server, token: &str, ttl: Duration) -> AuthorizeResponse {
    let request = AuthorizeRequest { reservation_ttl: Some(ttl), ..reserving(token, 1) };
    ask(server, request).await
}

#[tokio::test]
async fn what_really_was_used_takes_the_place_of_what_was_reserved() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[daily("rate", 20), long_quota("quota", 20)]).await;
    for (reserved, actual, remaining) in
        [(4, 1, 19), (2, 5, 14), (3, 0, 14), (3, 3, 11), (0, 1, 10)]
    {
        let id = reserve(server, &made.token, reserved).await;
        assert_eq!(settle(server, &id, actual).await.unwrap(), actual - reserved);
        let expected = [format!("key rate {remaining}"), format!("key quota {remaining}")];
        assert_eq!(look(server, &made.token).await, expected, "{actual} in place of {reserved}");
    }
}

#[tokio::test]
async fn what_cost_more_is_taken_even_if_it_is_not_there_any_more() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[daily("rate", 5), long_quota("quota", 5)]).await;
    let first = reserve(server, &made.token, 5).await;
    assert_eq!(settle(server, &first, 9).await.unwrap(), 4);
    assert_eq!(look(server, &made.token).await, ["key rate 0", "key quota 0"]);
    assert_eq!(use_once(server, &made.token).await, "429 RATE_LIMITED");
}

#[tokio::test]
async fn a_reservation_ends_once() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[daily("rate", 5)]).await;
    let id = reserve(server, &made.token, 2).await;
    settle(server, &id, 1).await.unwrap();
    assert_status(settle(server, &id, 0).await, Code::NotFound, "RESERVATION_NOT_FOUND");
    let unknown = format!("rsv_{}", "0".repeat(32));
    assert_status(settle(server, &unknown, 0).await, Code::NotFound, "RESERVATION_NOT_FOUND");
    assert_eq!(look(server, &made.token).await, ["key rate 4"]);
}

#[tokio::test]
async fn a_settlement_that_makes_no_sense_names_its_fields() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[daily("rate", 5)]).await;
    let id = reserve(server, &made.token, 2).await;
    for wrong in ["", "rsv_", "nothing like it", &id[1..], &id.to_uppercase()] {
        assert_invalid(settle(server, wrong, 1).await, &["reservation"]);
    }
    assert_invalid(settle(server, &id, -1).await, &["actual_cost"]);
    assert_invalid(settle(server, &id, 1_000_000_001).await, &["actual_cost"]);
    assert_invalid(settle(server, "", -1).await, &["reservation", "actual_cost"]);
    assert_eq!(settle(server, &id, 2).await.unwrap(), 0, "it is still open");
}

#[tokio::test]
async fn only_who_reserves_and_is_allowed_gets_a_reservation() {
    let site = Site::shared();
    let made = limited(&site, &[daily("rate", 1)]).await;
    for mode in [Mode::CheckOnly, Mode::Charge] {
        assert_eq!(ask(&site.server, in_mode(&made.token, mode)).await.reservation, None);
    }
    let denied = ask(&site.server, reserving(&made.token, 1)).await;
    assert_eq!((verdict(&denied).as_str(), denied.reservation), ("429 RATE_LIMITED", None));
}

#[tokio::test]
async fn a_key_without_limits_can_reserve_and_settle() {
    let site = Site::shared();
    let made = limited(&site, &[]).await;
    let id = reserve(&site.server, &made.token, 7).await;
    assert_eq!(settle(&site.server, &id, 3).await.unwrap(), -4);
    assert_status(settle(&site.server, &id, 3).await, Code::NotFound, "RESERVATION_NOT_FOUND");
}

#[tokio::test]
async fn places_are_held_until_they_are_settled() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[concurrency("open", 2), daily("rate", 10)]).await;
    let first = reserve(server, &made.token, 1).await;
    let second = reserve(server, &made.token, 1).await;
    let denied = ask(server, reserving(&made.token, 1)).await;
    assert_eq!(verdict(&denied), "429 CONCURRENCY_EXCEEDED");
    assert_eq!(left(&denied), ["key open 0!", "key rate 8"]);
    assert_eq!((denied.retry_after, denied.limits[0].limit), (None, 2));
    assert_eq!(denied.limits[0].window, None);
    // others hold no place, but find none either
    assert_eq!(use_once(server, &made.token).await, "429 CONCURRENCY_EXCEEDED");
    assert_eq!(look(server, &made.token).await, ["key open 0", "key rate 8"]);

    settle(server, &first, 1).await.unwrap();
    use_up(server, &made.token, 2).await;
    assert_eq!(look(server, &made.token).await, ["key open 1", "key rate 6"]);
    let third = reserve(server, &made.token, 1).await;
    for id in [&second, &third] {
        settle(server, id, 0).await.unwrap();
    }
    assert_eq!(look(server, &made.token).await, ["key open 2", "key rate 7"]);
}

#[tokio::test]
async fn a_reservation_that_is_over_frees_its_place_and_leaves_its_charge() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[concurrency("open", 1), long_quota("quota", 10)]).await;
    let response = reserve_for(server, &made.token, Duration { seconds: 2, nanos: 0 }).await;
    assert_eq!(verdict(&response), "ALLOWED");
    let reservation = response.reservation.unwrap();
    eventually("its place is free", async || {
        (look(server, &made.token).await[0] == "key open 1").then_some(())
    })
    .await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = reservation.expire_time.unwrap();
    let end = std::time::Duration::new(end.seconds.unsigned_abs(), end.nanos.unsigned_abs());
    assert!(now >= end, "not before {end:?}, but at {now:?}");
    let settled = settle(server, &reservation.id, 0).await;
    assert_status(settled, Code::NotFound, "RESERVATION_NOT_FOUND");
    assert_eq!(look(server, &made.token).await, ["key open 1", "key quota 9"]);
    reserve(server, &made.token, 1).await;
}

#[tokio::test]
async fn a_reservation_that_costs_nothing_holds_a_place() {
    let site = Site::shared();
    let made = limited(&site, &[concurrency("open", 1)]).await;
    let id = reserve(&site.server, &made.token, 0).await;
    let denied = ask(&site.server, reserving(&made.token, 0)).await;
    assert_eq!(verdict(&denied), "429 CONCURRENCY_EXCEEDED");
    settle(&site.server, &id, 0).await.unwrap();
    reserve(&site.server, &made.token, 0).await;
}

#[tokio::test]
async fn what_is_open_counts_under_a_limit_that_changes() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[concurrency("open", 1)]).await;
    let id = reserve(server, &made.token, 1).await;
    super::change_limits(server, &made, &[concurrency("open", 2)]).await;
    assert_eq!(look(server, &made.token).await, ["key open 1"]);
    reserve(server, &made.token, 1).await;
    assert_eq!(use_once(server, &made.token).await, "429 CONCURRENCY_EXCEEDED");
    settle(server, &id, 1).await.unwrap();
}
