//! How much keys may be used: rates, quotas, reservations and failed tries, over the wire.

mod adjusting;
mod explaining;
mod failures;
mod lossy;
mod outages;
mod periods;
mod quotas;
mod rates;
mod replicas;
mod reservations;
mod shared_by_keys;

use keyward::rpc::pb::{
    self, AuthorizeRequest, AuthorizeResponse, CreateKeyRequest, Limit, LimitScope, Mode,
    QuotaPeriod, limit::Kind,
};
use prost_types::{Duration, FieldMask};
use tonic::Status;

use crate::support::{
    client::{Made, create, may_read, new_key, verdict},
    operator::Site,
    server::Server,
};

const DAY: i64 = 24 * 60 * 60;

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

/// So many in so many seconds, and all of them at once.
fn rate(name: &str, limit: i64, period: i64) -> Limit {
    let rate = pb::RateLimit { limit, period: Some(seconds(period)), burst: 0 };
    Limit { name: name.into(), kind: Some(Kind::Rate(rate)) }
}

/// So many in a day: nothing worth a token comes back while a test runs.
fn daily(name: &str, limit: i64) -> Limit {
    rate(name, limit, DAY)
}

fn quota(name: &str, limit: i64, period: QuotaPeriod) -> Limit {
    let quota = pb::Quota { limit, period: period.into(), fixed_period: None };
    Limit { name: name.into(), kind: Some(Kind::Quota(quota)) }
}

/// A quota of a hundred years, so that no test meets the end of its period.
fn long_quota(name: &str, limit: i64) -> Limit {
    let fixed_period = Some(seconds(36_500 * DAY));
    let quota = pb::Quota { limit, period: QuotaPeriod::Fixed.into(), fixed_period };
    Limit { name: name.into(), kind: Some(Kind::Quota(quota)) }
}

fn concurrency(name: &str, limit: i64) -> Limit {
    let concurrency = pb::ConcurrencyLimit { limit };
    Limit { name: name.into(), kind: Some(Kind::Concurrency(concurrency)) }
}

fn key_with(limits: &[Limit]) -> CreateKeyRequest {
    CreateKeyRequest { limits: limits.to_vec(), ..new_key("Limited") }
}

/// Makes a key and waits until the server knows it.
async fn made(server: &Server, request: CreateKeyRequest) -> Made {
    let made = create(&mut server.admin(), request).await;
    knows(server, made.revision).await;
    made
}

async fn knows(server: &Server, revision: i64) {
    server.asker().verdict("", revision).await;
}

/// A key with these limits on the site that tests share.
async fn limited(site: &Site, limits: &[Limit]) -> Made {
    made(&site.server, key_with(limits)).await
}

/// Gives a key these limits in place of those that it has.
async fn change_limits(server: &Server, made: &Made, limits: &[Limit]) {
    let request = pb::UpdateKeyRequest {
        key: Some(pb::Key {
            id: made.key.id.clone(),
            limits: limits.to_vec(),
            ..pb::Key::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["limits".into()] }),
        validate_only: false,
    };
    let changed = server.admin().update_key(request).await.unwrap().into_inner();
    knows(server, changed.revision).await;
}

async fn ask(server: &Server, request: AuthorizeRequest) -> AuthorizeResponse {
    server.asker().ask(request).await
}

/// The verdict on a token that wants to read systems, at a cost of 1.
async fn use_once(server: &Server, token: &str) -> String {
    verdict(&ask(server, may_read(token)).await)
}

/// Uses a key so often; all must be allowed.
async fn use_up(server: &Server, token: &str, times: usize) {
    let mut asker = server.asker();
    for time in 0..times {
        assert_eq!(verdict(&asker.ask(may_read(token)).await), "ALLOWED", "use {time}");
    }
}

fn costing(token: &str, cost: i64) -> AuthorizeRequest {
    AuthorizeRequest { cost: Some(cost), ..may_read(token) }
}

fn in_mode(token: &str, mode: Mode) -> AuthorizeRequest {
    AuthorizeRequest { mode: mode.into(), ..may_read(token) }
}

/// Each limit with its scope, and what is left; `!` after one that denied.
fn left(response: &AuthorizeResponse) -> Vec<String> {
    let shown = response.limits.iter().map(|state| {
        let scope = LimitScope::try_from(state.scope).unwrap().as_str_name();
        let scope = scope.strip_prefix("LIMIT_SCOPE_").unwrap().to_lowercase();
        let mark = if state.exceeded { "!" } else { "" };
        format!("{scope} {} {}{mark}", state.name, state.remaining)
    });
    shown.collect()
}

/// What is left of the limits of a key, without taking any.
async fn look(server: &Server, token: &str) -> Vec<String> {
    let response = ask(server, costing(token, 0)).await;
    assert_eq!(verdict(&response), "ALLOWED", "who only looks is not denied");
    left(&response)
}

/// A span of an answer, in seconds.
fn span(duration: Option<Duration>) -> f64 {
    let span: std::time::Duration = duration.unwrap().try_into().unwrap();
    span.as_secs_f64()
}

async fn settle(server: &Server, reservation: &str, actual_cost: i64) -> Result<i64, Status> {
    let request = pb::SettleRequest { reservation: reservation.into(), actual_cost };
    Ok(server.asker().0.settle(request).await?.into_inner().difference)
}
