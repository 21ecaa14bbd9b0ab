//! Quotas of one replica: what is left, and what outlives the process.

use keyward::rpc::pb::{self, QuotaPeriod, limit_owner::Thing};
use rustix::process::Signal;

use super::{
    DAY, ask, change_limits, costing, key_with, left, limited, long_quota, look, made, quota, span,
    use_once, use_up,
};
use crate::support::{
    client::{Made, may_read, verdict},
    database::Database,
    eventually,
    operator::Site,
    server::Server,
};

const SELDOM: [&str; 2] = ["--quota-flush-interval", "30m"];
const OFTEN: [&str; 2] = ["--quota-flush-interval", "20ms"];

/// What is stored to be used of all quotas.
pub(super) async fn stored(database: &Database) -> i64 {
    database.number("SELECT coalesce(sum(used), 0)::bigint FROM keyward.quota").await
}

pub(super) async fn until_stored(database: &Database, used: i64) {
    eventually("the use is stored", async || (stored(database).await == used).then_some(())).await;
}

async fn kill(mut server: Server) {
    server.signal(Signal::KILL);
    server.ended().await;
}

async fn usage(server: &Server, made: &Made) -> pb::QuotaUsage {
    let thing = Some(Thing::KeyId(made.key.id.clone()));
    let owner = Some(pb::LimitOwner { domain: String::new(), thing });
    let request = pb::GetQuotaUsageRequest { owner };
    let usage = server.access().get_quota_usage(request).await.unwrap().into_inner();
    let [usage] = usage.quotas.try_into().unwrap();
    usage
}

#[tokio::test]
async fn a_quota_tells_what_is_left_and_when_it_begins_anew() {
    let site = Site::shared();
    for (period, days) in [(QuotaPeriod::Day, 1..=1), (QuotaPeriod::Month, 28..=31)] {
        let made = limited(&site, &[quota("calls", 2, period)]).await;
        use_up(&site.server, &made.token, 2).await;
        let response = ask(&site.server, may_read(&made.token)).await;
        assert_eq!(verdict(&response), "429 QUOTA_EXHAUSTED");
        assert_eq!(left(&response), ["key calls 0!"]);
        let state = &response.limits[0];
        let window = state.window.unwrap();
        assert!(days.contains(&(window.seconds / DAY)), "{window:?}");
        assert_eq!((window.seconds % DAY, window.nanos, state.limit), (0, 0, 2));
        assert!(span(state.reset) <= span(state.window));
        assert_eq!(response.retry_after, state.reset);
    }
}

#[tokio::test]
async fn what_costs_more_than_is_left_is_denied_and_what_costs_less_is_not() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[long_quota("calls", 5)]).await;
    for (cost, expected, remaining, too_high) in [
        (3, "ALLOWED", "key calls 2", false),
        (3, "429 QUOTA_EXHAUSTED", "key calls 2!", false),
        (6, "429 QUOTA_EXHAUSTED", "key calls 2!", true),
        (2, "ALLOWED", "key calls 0", false),
        (0, "ALLOWED", "key calls 0", false),
    ] {
        let response = ask(server, costing(&made.token, cost)).await;
        assert_eq!(
            (verdict(&response).as_str(), left(&response)),
            (expected, vec![remaining.into()])
        );
        assert_eq!(response.limits[0].cost_too_high, too_high, "cost {cost}");
        assert_eq!(response.retry_after.is_none(), !response.limits[0].exceeded || too_high);
    }
}

#[tokio::test]
async fn a_quota_of_nothing_lets_nothing_pass() {
    let site = Site::shared();
    let made = limited(&site, &[long_quota("calls", 0)]).await;
    assert_eq!(use_once(&site.server, &made.token).await, "429 QUOTA_EXHAUSTED");
    assert_eq!(look(&site.server, &made.token).await, ["key calls 0"]);
}

#[tokio::test]
async fn what_was_used_is_stored_at_the_end_and_known_after_a_restart() {
    let database = Database::new();
    let server = Server::start_with(&database, &SELDOM).await;
    let made = made(&server, key_with(&[long_quota("calls", 5)])).await;
    use_up(&server, &made.token, 3).await;
    assert_eq!(stored(&database).await, 0);
    server.stop().await;
    assert_eq!(stored(&database).await, 3);
    let server = Server::start_with(&database, &SELDOM).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 2"]);
    assert_eq!(usage(&server, &made).await.used, 3);
}

#[tokio::test]
async fn what_was_used_before_a_limit_changed_is_stored() {
    let database = Database::new();
    let server = Server::start_with(&database, &SELDOM).await;
    let made = made(&server, key_with(&[long_quota("calls", 5)])).await;
    use_up(&server, &made.token, 3).await;
    change_limits(&server, &made, &[long_quota("calls", 10)]).await;
    assert_eq!(look_without_asking(&server, &made).await, ["key calls 7"]);
    server.stop().await;
    assert_eq!(stored(&database).await, 3);
}

/// What is left, by a question that leads to no charge.
async fn look_without_asking(server: &Server, made: &Made) -> Vec<String> {
    left(&ask(server, super::in_mode(&made.token, pb::Mode::CheckOnly)).await)
}

#[tokio::test]
async fn a_kill_loses_nothing_that_was_stored() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 20).await;
    until_stored(&database, 20).await;
    kill(server).await;
    let server = Server::start_with(&database, &OFTEN).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 30"]);
}

#[tokio::test]
async fn a_kill_loses_what_was_not_stored_and_nothing_else() {
    let database = Database::new();
    let server = Server::start_with(&database, &SELDOM).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 20).await;
    server.stop().await;
    let server = Server::start_with(&database, &SELDOM).await;
    use_up(&server, &made.token, 7).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 23"]);
    kill(server).await;
    assert_eq!(stored(&database).await, 20);
    let server = Server::start_with(&database, &SELDOM).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 30"]);
}

#[tokio::test]
async fn a_settlement_is_stored_as_the_reservation_was() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    let request =
        pb::AuthorizeRequest { cost: Some(20), ..super::in_mode(&made.token, pb::Mode::Reserve) };
    let reservation = ask(&server, request).await.reservation.unwrap();
    until_stored(&database, 20).await;
    super::settle(&server, &reservation.id, 4).await.unwrap();
    until_stored(&database, 4).await;
    let usage = usage(&server, &made).await;
    assert_eq!((usage.used, usage.remaining, usage.credits), (4, 46, 0));
}
