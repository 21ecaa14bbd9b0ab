//! Quotas that replicas share: exact between them, and durable whatever Redis forgets.

use keyward::rpc::pb::{self, AdjustQuotaRequest, adjust_quota_request::Adjustment};

use super::{Fleet, costing, left, looking, quota};
use crate::support::{
    client::{Made, may_read},
    eventually,
    redis::Redis,
};

const STORED: &str = "SELECT coalesce(sum(used), 0)::bigint FROM keyward.quota";

impl Fleet {
    /// Waits until so much is stored as used of all quotas.
    async fn until_stored(&self, used: i64) {
        eventually("the quota is stored", async || {
            (self.database.number(STORED).await == used).then_some(())
        })
        .await;
    }

    /// What an operator says of a key's quota, known to all replicas.
    async fn adjust(&self, made: &Made, adjustment: Adjustment) {
        let thing = Some(pb::limit_owner::Thing::KeyId(made.key.id.clone()));
        let request = AdjustQuotaRequest {
            owner: Some(pb::LimitOwner { domain: String::new(), thing }),
            quota: "quota".into(),
            adjustment: Some(adjustment),
            validate_only: false,
        };
        let adjusted = self.servers[0].access().adjust_quota(request).await.unwrap();
        self.know(adjusted.into_inner().revision).await;
    }

    /// What each replica says is left of a key's quota.
    async fn assert_left(&self, made: &Made, remaining: i64) {
        for replica in 0..self.servers.len() {
            let answer = self.ask(replica, costing(&made.token, 0)).await;
            assert!(!answer.limits_degraded);
            assert_eq!(left(&answer), [("quota", remaining, false)], "replica {replica}");
        }
    }
}

#[tokio::test]
async fn a_quota_is_exact_across_replicas() {
    let redis = Redis::start("quota-exact").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(20)]).await;
    assert_eq!(fleet.allowed_of(9, &may_read(&made.token)).await, 9);
    fleet.assert_left(&made, 11).await;
    assert_eq!(fleet.allowed_at_once(60, &may_read(&made.token)).await, 11);
    assert_eq!(fleet.allowed_of(9, &may_read(&made.token)).await, 0);
    assert_eq!(fleet.verdict(2, may_read(&made.token)).await, "429 QUOTA_EXHAUSTED");
    fleet.until_stored(20).await;
}

#[tokio::test]
async fn what_an_operator_says_of_a_quota_acts_at_once_although_redis_remembers() {
    let redis = Redis::start("quota-adjust").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(10)]).await;
    let request = may_read(&made.token);
    assert_eq!(fleet.allowed_of(12, &request).await, 10);
    fleet.until_stored(10).await;

    fleet.adjust(&made, Adjustment::Used(0)).await;
    fleet.assert_left(&made, 10).await;
    assert_eq!(fleet.allowed_of(12, &request).await, 10, "all of it once more");
    fleet.until_stored(10).await;

    fleet.adjust(&made, Adjustment::AddCredits(5)).await;
    fleet.assert_left(&made, 5).await;
    assert_eq!(fleet.allowed_at_once(12, &request).await, 5);
    fleet.until_stored(15).await;

    fleet.adjust(&made, Adjustment::Used(12)).await;
    fleet.assert_left(&made, 3).await;
    assert_eq!(fleet.allowed_at_once(12, &request).await, 3);
}

/// A replica goes by what it knows until it has stored what it allowed itself, and then by the database.
async fn a_quota_outlives(name: &str, forget: impl AsyncFnOnce(&mut Redis), stops: &[usize]) {
    let mut redis = Redis::start(name).await;
    let mut fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(100_000)]).await;
    let used: i64 = if stops.is_empty() { 60_000 } else { 40_000 };
    for replica in (0..3).filter(|&replica| stops.is_empty() || replica != 2) {
        assert_eq!(fleet.verdict(replica, costing(&made.token, 20_000)).await, "ALLOWED");
    }
    fleet.until_stored(used).await;
    for stopped in stops {
        fleet.servers.remove(*stopped).stop().await;
    }
    forget(&mut redis).await;
    for server in &fleet.servers {
        server.until_logged("Redis may have forgotten").await;
    }
    fleet.until_all_degraded(false, &may_read(&made.token)).await;
    for replica in 0..fleet.servers.len() {
        eventually("it knows what all allowed", async || {
            let answer = fleet.ask(replica, may_read(&made.token)).await;
            (left(&answer)[0].1 <= 100_000 - used).then_some(())
        })
        .await;
    }
    // and goes on to
    let answer = fleet.ask(0, looking(&may_read(&made.token))).await;
    assert!(left(&answer)[0].1 <= 100_000 - used, "{answer:?}");
    assert!(left(&answer)[0].1 > 80_000 - used, "nothing is counted twice: {answer:?}");
}

#[tokio::test]
async fn a_quota_survives_a_redis_that_is_restarted_empty() {
    a_quota_outlives("quota-restart", async |redis| redis.restart().await, &[]).await;
}

#[tokio::test]
async fn a_quota_survives_a_redis_that_is_flushed_and_says_nothing() {
    a_quota_outlives("quota-flushed", async |redis| redis.flush(), &[]).await;
}

/// The replica that is left has never been asked of this key.
#[tokio::test]
async fn a_quota_survives_in_the_database_if_redis_and_those_who_knew_are_gone() {
    a_quota_outlives("quota-gone", async |redis| redis.restart().await, &[0, 0]).await;
}

#[tokio::test]
async fn a_quota_survives_a_redis_that_is_flushed() {
    let redis = Redis::start("quota-flush").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(20)]).await;
    assert_eq!(fleet.allowed_of(12, &may_read(&made.token)).await, 12);
    fleet.until_stored(12).await;
    redis.flush();
    // a replica goes by what it was told last
    let answer = fleet.ask(2, looking(&may_read(&made.token))).await;
    assert_eq!(left(&answer), [("quota", 8, false)]);
}

#[tokio::test]
async fn a_quota_survives_in_the_database_if_all_replicas_and_redis_begin_again() {
    let mut redis = Redis::start("quota-again").await;
    let mut fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(20)]).await;
    assert_eq!(fleet.allowed_of(12, &may_read(&made.token)).await, 12);
    for server in fleet.servers.drain(..) {
        server.stop().await;
    }
    redis.restart().await;
    for _ in 0..3 {
        fleet.join("exact", &redis.url(), &[]).await;
    }
    fleet.until_shared(1).await;
    fleet.assert_left(&made, 8).await;
    assert_eq!(fleet.allowed_at_once(30, &may_read(&made.token)).await, 8);
}
