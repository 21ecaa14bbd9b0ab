//! Reservations are known to all replicas, in both modes.

use keyward::rpc::pb::{AuthorizeRequest, SettleRequest};
use tonic::{Code, Status};

use super::{Fleet, HOUR, keys_of, left, looking, quota, rate, reserving, slots};
use crate::support::{
    client::{assert_status, may_read, verdict},
    eventually,
    redis::Redis,
};

impl Fleet {
    /// The id of a reservation that a replica makes.
    async fn reserve(&self, replica: usize, request: AuthorizeRequest) -> String {
        let answer = self.ask(replica, request).await;
        assert_eq!(verdict(&answer), "ALLOWED", "{answer:?}");
        assert!(!answer.limits_degraded);
        answer.reservation.expect("it was allowed").id
    }

    async fn settle(&self, replica: usize, id: &str, cost: i64) -> Result<i64, Status> {
        let request = SettleRequest { reservation: id.into(), actual_cost: cost };
        let settled = self.servers[replica].asker().0.settle(request).await;
        settled.map(|settled| settled.into_inner().difference)
    }

    async fn assert_unknown(&self, id: &str) {
        for replica in 0..self.servers.len() {
            let again = self.settle(replica, id, 1).await;
            assert_status(again, Code::NotFound, "RESERVATION_NOT_FOUND");
        }
    }
}

async fn slots_are_shared(sharing: &str) {
    let redis = Redis::start(&format!("slots-{sharing}")).await;
    let fleet = Fleet::start(sharing, 3, &redis.url()).await;
    let made = fleet.key(vec![slots(3)]).await;
    let reserve = reserving(&made.token, 1);
    let mut held = Vec::new();
    for replica in 0..3 {
        held.push(fleet.reserve(replica, reserve.clone()).await);
    }
    for replica in 0..3 {
        let answer = fleet.ask(replica, reserve.clone()).await;
        assert_eq!(verdict(&answer), "429 CONCURRENCY_EXCEEDED");
        assert_eq!(left(&answer), [("slots", 0, true)]);
        assert_eq!(answer.reservation, None);
    }
    // another replica than the one that reserved
    assert_eq!(fleet.settle(1, &held[0], 1).await.unwrap(), 0);
    fleet.assert_unknown(&held[0]).await;
    let next = fleet.reserve(2, reserve.clone()).await;
    assert_eq!(fleet.verdict(0, reserve.clone()).await, "429 CONCURRENCY_EXCEEDED");
    for id in [&next, &held[1], &held[2]] {
        fleet.settle(0, id, 0).await.unwrap();
    }
    assert_eq!(fleet.allowed_at_once(30, &reserve).await, 3);
}

#[tokio::test]
async fn slots_are_held_and_freed_on_any_replica_exact() {
    slots_are_shared("exact").await;
}

#[tokio::test]
async fn slots_are_held_and_freed_on_any_replica_fast() {
    slots_are_shared("fast").await;
}

async fn settlement_acts_everywhere(sharing: &str) {
    let redis = Redis::start(&format!("settle-{sharing}")).await;
    let fleet = Fleet::start(sharing, 3, &redis.url()).await;
    let made = fleet.key(vec![rate(100, HOUR), quota(100), slots(5)]).await;
    let id = fleet.reserve(0, reserving(&made.token, 40)).await;
    assert_eq!(fleet.settle(1, &id, 10).await.unwrap(), -30);
    fleet.assert_unknown(&id).await;
    // what was put back is there on the third
    let id = fleet.reserve(2, reserving(&made.token, 90)).await;
    let full = fleet.ask(0, reserving(&made.token, 1)).await;
    assert_eq!(verdict(&full), "429 RATE_LIMITED");
    assert_eq!(left(&full), [("rate", 0, true), ("quota", 0, true), ("slots", 4, false)]);
    // more than was reserved is taken even though it is not there any more
    assert_eq!(fleet.settle(0, &id, 95).await.unwrap(), 5);
    let answer = fleet.ask(1, reserving(&made.token, 0)).await;
    assert_eq!(left(&answer)[..2], [("rate", 0, false), ("quota", 0, false)]);
    // and the database hears of it all
    eventually("the quota is stored", async || {
        let used = "SELECT coalesce(sum(used), 0)::bigint FROM keyward.quota";
        (fleet.database.number(used).await == 105).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_settlement_on_another_replica_acts_everywhere_exact() {
    settlement_acts_everywhere("exact").await;
}

#[tokio::test]
async fn a_settlement_on_another_replica_acts_everywhere_fast() {
    settlement_acts_everywhere("fast").await;
}

#[tokio::test]
async fn a_reservation_is_settled_once_however_many_try() {
    let redis = Redis::start("settle-race").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![quota(100)]).await;
    for round in 1..=5 {
        let id = fleet.reserve(0, reserving(&made.token, 10)).await;
        let tries = [0, 1, 2].map(|replica| fleet.settle(replica, &id, 1));
        let [a, b, c] = tries;
        let (a, b, c) = tokio::join!(a, b, c);
        let settled = [a, b, c].into_iter().filter(|settled| match settled {
            Ok(difference) => *difference == -9,
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status:?}");
                false
            }
        });
        assert_eq!(settled.count(), 1);
        let answer = fleet.ask(1, looking(&may_read(&made.token))).await;
        assert_eq!(left(&answer), [("quota", 100 - round, false)]);
    }
}

#[tokio::test]
async fn a_reservation_that_is_over_frees_its_slot_and_stays_charged() {
    let redis = Redis::start("settle-over").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    let made = fleet.key(vec![slots(1), quota(10)]).await;
    let soon = Some(prost_types::Duration { seconds: 0, nanos: 300_000_000 });
    let request = AuthorizeRequest { reservation_ttl: soon, ..reserving(&made.token, 3) };
    let id = fleet.reserve(0, request).await;
    eventually("the slot is free", async || {
        let answer = fleet.ask(1, looking(&reserving(&made.token, 3))).await;
        (left(&answer)[0] == ("slots", 1, false)).then_some(())
    })
    .await;
    eventually("nothing is remembered", async || {
        keys_of(&redis, "reservation").is_empty().then_some(())
    })
    .await;
    fleet.assert_unknown(&id).await;
    let answer = fleet.ask(1, looking(&may_read(&made.token))).await;
    assert_eq!(left(&answer), [("slots", 1, false), ("quota", 7, false)]);
    fleet.reserve(1, reserving(&made.token, 1)).await;
}

#[tokio::test]
async fn a_settlement_while_redis_is_away_is_to_be_tried_again() {
    let redis = Redis::start("settle-away").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    let made = fleet.key(vec![slots(4), quota(100)]).await;
    let request = may_read(&made.token);
    let shared = fleet.reserve(0, reserving(&made.token, 10)).await;
    redis.pause();
    fleet.until_all_degraded(true, &request).await;
    let tried = fleet.settle(1, &shared, 1).await;
    assert_status(tried, Code::Unavailable, "LIMITS_UNAVAILABLE");
    // what is reserved now is known here alone
    let answer = fleet.ask(0, reserving(&made.token, 10)).await;
    assert!(answer.limits_degraded);
    let own = answer.reservation.unwrap().id;
    redis.resume();
    fleet.until_all_degraded(false, &request).await;
    assert_eq!(fleet.settle(1, &shared, 1).await.unwrap(), -9);
    let elsewhere = fleet.settle(1, &own, 1).await;
    assert_status(elsewhere, Code::NotFound, "RESERVATION_NOT_FOUND");
    assert_eq!(fleet.settle(0, &own, 1).await.unwrap(), -9);
}
