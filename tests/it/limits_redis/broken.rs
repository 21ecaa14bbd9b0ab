//! Values in Redis that are none of ours: they are as if nothing were there.

use super::{Fleet, HOUR, costing, keys_of, left, looking, quota, rate, reserving, slots};
use crate::support::{client::may_read, eventually, redis::Redis};

const GARBAGE: [&str; 9] =
    ["", "garbage", "x y z", "1 2 3 4", "nan nan nan", "nan 1", "inf 0", "-1000 0 0", "-1000 1"];

/// Puts something else in the place of a value; the one who asks next counts on by what it knows.
async fn assert_repaired(fleet: &Fleet, redis: &Redis, kind: &str, spoil: &[&str]) {
    let made = fleet.key(vec![rate(10, HOUR), quota(10)]).await;
    let other = fleet.key(vec![rate(10, HOUR), quota(10)]).await;
    let times = fleet.servers[0].count_logged("limits are shared through Redis");
    let before = keys_of(redis, kind);
    assert_eq!(fleet.verdict(0, costing(&made.token, 7)).await, "ALLOWED");
    let keys = keys_of(redis, kind);
    let key = keys.iter().find(|key| !before.contains(key)).unwrap();
    redis.command(&["DEL", key]);
    let words: Vec<&str> =
        spoil.iter().map(|&word| if word == "KEY" { key } else { word }).collect();
    let spoilt = redis.command(&words);
    assert!(!spoilt.starts_with('-'), "{spoilt}");

    let answer = fleet.ask(0, may_read(&made.token)).await;
    assert!(!answer.limits_degraded, "{spoil:?}");
    assert_eq!(left(&answer), [("rate", 2, false), ("quota", 2, false)], "{spoil:?}");
    let answer = fleet.ask(1, may_read(&made.token)).await;
    assert_eq!(left(&answer), [("rate", 1, false), ("quota", 1, false)], "{spoil:?}");
    assert_eq!(fleet.allowed_of(6, &may_read(&made.token)).await, 1, "{spoil:?}");
    // nobody else noticed
    assert_eq!(fleet.allowed_of(12, &may_read(&other.token)).await, 10);
    assert_eq!(fleet.servers[0].count_logged("limits are shared through Redis"), times);
}

#[tokio::test]
async fn a_value_that_cannot_be_read_counts_as_what_the_replica_knows() {
    let redis = Redis::start("garbage").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    for kind in ["rate", "quota"] {
        for garbage in GARBAGE {
            assert_repaired(&fleet, &redis, kind, &["SET", "KEY", garbage]).await;
        }
        for spoil in [
            ["RPUSH", "KEY", "1"].as_slice(),
            &["HSET", "KEY", "a", "b"],
            &["SADD", "KEY", "1"],
            &["ZADD", "KEY", "1", "a"],
        ] {
            assert_repaired(&fleet, &redis, kind, spoil).await;
        }
    }
}

#[tokio::test]
async fn slots_that_cannot_be_read_begin_anew() {
    let redis = Redis::start("garbage-slots").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    let made = fleet.key(vec![slots(2)]).await;
    assert_eq!(fleet.verdict(0, reserving(&made.token, 1)).await, "ALLOWED");
    let keys = keys_of(&redis, "slots");
    assert_eq!(keys.len(), 1);
    assert_eq!(redis.command(&["SET", &keys[0], "garbage"]), "OK");
    assert_eq!(fleet.allowed_of(6, &reserving(&made.token, 1)).await, 2);
}

#[tokio::test]
async fn the_count_of_replicas_is_repaired() {
    let redis = Redis::start("garbage-replicas").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    let made = fleet.key(vec![rate(10, HOUR)]).await;
    assert_eq!(redis.command(&["SET", "keyward:replicas", "garbage"]), "OK");
    eventually("replicas are counted again", async || {
        (redis.command(&["ZCARD", "keyward:replicas"]) == "2").then_some(())
    })
    .await;
    fleet.until_all_degraded(false, &may_read(&made.token)).await;
    assert_eq!(fleet.allowed_of(20, &may_read(&made.token)).await, 10);
}

#[tokio::test]
async fn garbage_is_told_over_in_the_background_too() {
    let redis = Redis::start("garbage-fast").await;
    let fleet = Fleet::start("fast", 2, &redis.url()).await;
    let made = fleet.key(vec![rate(10, HOUR)]).await;
    assert_eq!(fleet.verdict(0, costing(&made.token, 4)).await, "ALLOWED");
    let key = eventually("redis was told", async || keys_of(&redis, "rate").pop()).await;
    redis.command(&["SET", &key, "garbage"]);
    for replica in [0, 1] {
        assert_eq!(fleet.verdict(replica, may_read(&made.token)).await, "ALLOWED");
        eventually("redis was told over", async || {
            (redis.command(&["GET", &key]) != "garbage").then_some(())
        })
        .await;
        eventually("it knows what all took", async || {
            let answer = fleet.ask(replica, looking(&may_read(&made.token))).await;
            assert!(!answer.limits_degraded);
            (left(&answer)[0].1 <= 5).then_some(())
        })
        .await;
    }
}
