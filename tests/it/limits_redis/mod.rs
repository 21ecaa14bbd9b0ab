//! Limits that replicas share through Redis: several real servers over one database and one real Redis.

mod broken;
mod exact;
mod fast;
mod faults;
mod places;
mod quotas;
mod refusal;
mod reservations;

use std::time::Duration;

use futures_util::future::join_all;
use keyward::rpc::pb::{
    self, AuthorizeRequest, AuthorizeResponse, CreateKeyRequest, Limit, RateLimit, limit::Kind,
};
use tokio::time::timeout;

use crate::support::{
    client::{Made, create, may_read, new_key, verdict},
    database::Database,
    eventually,
    operator::NO_USES,
    redis::Redis,
    server::Server,
};

/// What a call may take that waits for a Redis that does not answer: much more than any setting says.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);
/// A loaded machine is slow; who asks about Redis being away says so itself.
const PATIENT: [&str; 2] = ["--redis-timeout", "1s"];
const HOUR: i64 = 3600;

/// Replicas of one installation.
struct Fleet {
    database: Database,
    servers: Vec<Server>,
}

impl Fleet {
    /// So many replicas that share limits through the Redis of this URL, and do.
    async fn start(mode: &str, count: usize, url: &str) -> Self {
        let fleet = Self::launch(mode, count, url, &[]).await;
        fleet.until_shared(1).await;
        fleet
    }

    /// The same with more settings, whether they share or not.
    async fn launch(mode: &str, count: usize, url: &str, settings: &[&str]) -> Self {
        let mut fleet = Self { database: Database::new(), servers: Vec::new() };
        for _ in 0..count {
            fleet.join(mode, url, settings).await;
        }
        fleet
    }

    /// One more.
    async fn join(&mut self, mode: &str, url: &str, settings: &[&str]) {
        let arguments = ["--limit-sharing", mode, "--redis-url", url, "--replicas", "3"];
        let patient: &[&str] =
            if settings.contains(&"--redis-timeout") { &[] } else { PATIENT.as_slice() };
        let arguments = [&arguments, NO_USES.as_slice(), patient, settings].concat();
        self.servers.push(Server::start_with(&self.database, &arguments).await);
    }

    /// Waits until each has said so many times that it shares limits.
    async fn until_shared(&self, times: usize) {
        for server in &self.servers {
            eventually("limits are shared", async || {
                (server.count_logged("limits are shared through Redis") >= times).then_some(())
            })
            .await;
        }
    }

    /// A key with these limits, which all replicas know.
    async fn key(&self, limits: Vec<Limit>) -> Made {
        self.make(CreateKeyRequest { limits, ..new_key("Limited") }).await
    }

    async fn make(&self, request: CreateKeyRequest) -> Made {
        let made = create(&mut self.servers[0].admin(), request).await;
        self.know(made.revision).await;
        made
    }

    /// Waits until all replicas know a revision.
    async fn know(&self, revision: i64) {
        for server in &self.servers {
            server.asker().verdict("", revision).await;
        }
    }

    /// The answer of one replica, which must come in time.
    async fn ask(&self, replica: usize, request: AuthorizeRequest) -> AuthorizeResponse {
        let mut asker = self.servers[replica].asker();
        timeout(CALL_TIME_MAX, asker.ask(request)).await.expect("a decision waits for nobody")
    }

    /// The verdict of one replica that could ask the others.
    async fn verdict(&self, replica: usize, request: AuthorizeRequest) -> String {
        let answer = self.ask(replica, request).await;
        assert!(!answer.limits_degraded, "{answer:?}");
        verdict(&answer)
    }

    /// How many of so many calls are allowed, which are spread over all replicas, one after the other.
    async fn allowed_of(&self, calls: usize, request: &AuthorizeRequest) -> usize {
        let mut allowed = 0;
        for call in 0..calls {
            let verdict = self.verdict(call % self.servers.len(), request.clone()).await;
            allowed += usize::from(verdict == "ALLOWED");
        }
        allowed
    }

    /// The same for calls that are all made at once.
    async fn allowed_at_once(&self, calls: usize, request: &AuthorizeRequest) -> usize {
        let calls = (0..calls).map(|call| self.ask(call % self.servers.len(), request.clone()));
        let answers = join_all(calls).await;
        answers.iter().filter(|answer| answer.allowed).count()
    }

    /// Waits until a replica says (or does not say any more) that it enforces a share.
    async fn until_degraded(&self, replica: usize, degraded: bool, probe: &AuthorizeRequest) {
        eventually("the flag changes", async || {
            let answer = self.ask(replica, looking(probe)).await;
            assert!(!answer.limits.is_empty(), "only a key with limits tells: {answer:?}");
            (answer.limits_degraded == degraded).then_some(())
        })
        .await;
    }

    async fn until_all_degraded(&self, degraded: bool, probe: &AuthorizeRequest) {
        for replica in 0..self.servers.len() {
            self.until_degraded(replica, degraded, probe).await;
        }
    }

    /// Makes sure that no log has this text.
    fn assert_never_logged(&self, text: &str) {
        for server in &self.servers {
            assert_eq!(server.count_logged(text), 0, "{text} is in a log");
        }
    }
}

/// The same request, which takes nothing.
fn looking(request: &AuthorizeRequest) -> AuthorizeRequest {
    AuthorizeRequest { mode: pb::Mode::CheckOnly.into(), ..request.clone() }
}

fn costing(token: &str, cost: i64) -> AuthorizeRequest {
    AuthorizeRequest { cost: Some(cost), ..may_read(token) }
}

fn reserving(token: &str, cost: i64) -> AuthorizeRequest {
    AuthorizeRequest { mode: pb::Mode::Reserve.into(), ..costing(token, cost) }
}

fn named(name: &str, kind: Kind) -> Limit {
    Limit { name: name.into(), kind: Some(kind) }
}

/// So many in so many seconds, all of them at once.
fn rate(limit: i64, seconds: i64) -> Limit {
    let period = Some(prost_types::Duration { seconds, nanos: 0 });
    named("rate", Kind::Rate(RateLimit { limit, period, burst: 0 }))
}

/// So many in a period that ends after any test.
fn quota(limit: i64) -> Limit {
    named(
        "quota",
        Kind::Quota(pb::Quota {
            limit,
            period: pb::QuotaPeriod::Fixed.into(),
            fixed_period: Some(prost_types::Duration { seconds: 876_000 * HOUR, nanos: 0 }),
        }),
    )
}

fn slots(limit: i64) -> Limit {
    named("slots", Kind::Concurrency(pb::ConcurrencyLimit { limit }))
}

/// Of each limit: its name, what is left, and whether it denied.
fn left(answer: &AuthorizeResponse) -> Vec<(&str, i64, bool)> {
    let states = answer.limits.iter();
    states.map(|state| (state.name.as_str(), state.remaining, state.exceeded)).collect()
}

/// The keys of Redis that hold a kind of thing of ours.
fn keys_of(redis: &Redis, kind: &str) -> Vec<String> {
    let keys = redis.command(&["KEYS", &format!("*:{kind}:*")]);
    keys.lines().map(str::to_owned).collect()
}
