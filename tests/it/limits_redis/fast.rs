//! Mode fast: each replica decides by what it knows, and all hear of each other soon.

use std::time::Duration;

use keyward::rpc::pb;

use super::{Fleet, HOUR, costing, left, looking, quota, rate};
use crate::support::{
    client::{create, may_read, new_admin_key, verdict},
    eventually,
    redis::Redis,
};

const SECOND_INTERVAL: [&str; 2] = ["--limit-sync-interval", "1s"];

/// A replica hears of the others when it tells of a use of its own.
#[tokio::test]
async fn replicas_hear_of_each_other_soon_after_a_use() {
    let redis = Redis::start("fast-hear").await;
    let fleet = Fleet::start("fast", 3, &redis.url()).await;
    let made = fleet.key(vec![rate(1000, HOUR)]).await;
    assert_eq!(fleet.verdict(0, costing(&made.token, 400)).await, "ALLOWED");
    eventually("redis was told", async || {
        (!super::keys_of(&redis, "rate").is_empty()).then_some(())
    })
    .await;
    for (replica, remaining) in [(1, 599), (2, 598)] {
        assert_eq!(fleet.verdict(replica, may_read(&made.token)).await, "ALLOWED");
        eventually("it knows what all took", async || {
            let answer = fleet.ask(replica, looking(&may_read(&made.token))).await;
            (left(&answer)[0].1 == remaining).then_some(())
        })
        .await;
    }
    assert_eq!(fleet.verdict(2, costing(&made.token, 599)).await, "429 RATE_LIMITED");
}

/// In the worst case each takes a whole burst before it hears of the others, and never more.
#[tokio::test]
async fn replicas_overshoot_by_a_burst_each_at_most() {
    let redis = Redis::start("fast-overshoot").await;
    let fleet = Fleet::launch("fast", 3, &redis.url(), &SECOND_INTERVAL).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(10, HOUR)]).await;
    let allowed = fleet.allowed_at_once(120, &may_read(&made.token)).await;
    assert!((10..=30).contains(&allowed), "{allowed} of 10");
    // what was taken too much is not forgotten: what all took is in Redis, beyond the limit too
    eventually("all is told", async || {
        let keys = super::keys_of(&redis, "rate");
        let value = redis.command(&["GET", keys.first()?]);
        let used: f64 = value.split_once(' ')?.0.parse().ok()?;
        (used > f64::from(u32::try_from(allowed).unwrap()) - 1.0).then_some(())
    })
    .await;
    let more = fleet.allowed_of(30, &may_read(&made.token)).await;
    assert_eq!(more, 0);
}

/// At a steady pace replicas overshoot by no more than what the others take in an interval or two.
#[tokio::test]
async fn calls_one_after_the_other_overshoot_by_what_a_sync_interval_lets_through() {
    let redis = Redis::start("fast-pace").await;
    let fleet = Fleet::start("fast", 3, &redis.url()).await;
    let made = fleet.key(vec![rate(300, HOUR)]).await;
    let mut allowed = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for call in 0..600 {
        pace.tick().await;
        let answer = fleet.ask(call % 3, may_read(&made.token)).await;
        allowed += usize::from(answer.allowed);
    }
    // 100 a second, two intervals of 100 ms and what a loaded machine adds
    assert!((300..=400).contains(&allowed), "{allowed} of 300");
}

#[tokio::test]
async fn quotas_are_told_by_way_of_the_database() {
    let redis = Redis::start("fast-quota").await;
    let fleet = Fleet::start("fast", 2, &redis.url()).await;
    let made = fleet.key(vec![quota(20)]).await;
    assert_eq!(fleet.verdict(0, costing(&made.token, 15)).await, "ALLOWED");
    eventually("the quota is stored", async || {
        let used = "SELECT coalesce(sum(used), 0)::bigint FROM keyward.quota";
        (fleet.database.number(used).await == 15).then_some(())
    })
    .await;
    assert_eq!(fleet.verdict(1, may_read(&made.token)).await, "ALLOWED");
    eventually("the other one knows", async || {
        let answer = fleet.ask(1, looking(&may_read(&made.token))).await;
        (left(&answer) == [("quota", 4, false)]).then_some(())
    })
    .await;
}

/// Calls of operators are decided at once in every mode, and told in the background.
#[tokio::test]
async fn the_limits_of_admin_keys_are_told_in_the_background() {
    for mode in ["fast", "exact"] {
        let redis = Redis::start(&format!("admin-{mode}")).await;
        let fleet = Fleet::start(mode, 2, &redis.url()).await;
        let request = pb::CreateKeyRequest {
            limits: vec![rate(20, HOUR)],
            ..new_admin_key("Limited", &["keyward.keys.read"])
        };
        let made = create(&mut fleet.servers[0].admin(), request).await;
        fleet.know(made.revision).await;
        let list = async |replica: usize| {
            let mut admin = fleet.servers[replica].admin_as(&made.token);
            admin.list_keys(pb::ListKeysRequest::default()).await
        };
        for _ in 0..19 {
            list(0).await.unwrap();
        }
        eventually("redis was told of it all", async || {
            let keys = super::keys_of(&redis, "rate");
            let value = redis.command(&["GET", keys.first()?]);
            value.split_once(' ')?.0.parse::<f64>().ok().filter(|used| *used > 18.5)
        })
        .await;
        list(1).await.unwrap();
        let status = eventually("the other one heard of it", async || list(1).await.err()).await;
        assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
        list(0).await.ok();
    }
}

#[tokio::test]
async fn a_replica_that_ends_tells_the_others_first() {
    let redis = Redis::start("fast-end").await;
    let interval = ["--limit-sync-interval", "10s"];
    let mut fleet = Fleet::launch("fast", 1, &redis.url(), &interval).await;
    fleet.join("fast", &redis.url(), &[]).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(10, HOUR)]).await;
    assert_eq!(fleet.verdict(0, costing(&made.token, 9)).await, "ALLOWED");
    fleet.servers.remove(0).stop().await;
    assert_eq!(fleet.verdict(0, may_read(&made.token)).await, "ALLOWED");
    eventually("it knows what the other took", async || {
        let answer = fleet.ask(0, looking(&may_read(&made.token))).await;
        (verdict(&answer) == "429 RATE_LIMITED").then_some(())
    })
    .await;
}
