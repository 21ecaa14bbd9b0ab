//! Mode exact: replicas decide as one.

use keyward::rpc::pb::{
    self, AuthorizeRequest, CreateKeyRequest, Key, Limit, LimitScope, UpdateKeyRequest,
};
use prost_types::FieldMask;

use super::{Fleet, HOUR, costing, left, looking, named, quota, rate, reserving, slots};
use crate::support::{
    client::{Made, may_read, new_key, verdict},
    redis::Redis,
};

#[tokio::test]
async fn replicas_allow_a_burst_together_one_after_the_other_and_all_at_once() {
    let redis = Redis::start("exact-burst").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![rate(10, HOUR)]).await;
    for call in 0..10 {
        let answer = fleet.ask(call % 3, may_read(&made.token)).await;
        assert!(!answer.limits_degraded);
        let remaining = 9 - i64::try_from(call).unwrap();
        assert_eq!(left(&answer), [("rate", remaining, false)], "call {call}");
    }
    for replica in 0..3 {
        let answer = fleet.ask(replica, may_read(&made.token)).await;
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
        assert_eq!(left(&answer), [("rate", 0, true)]);
        let wait = answer.retry_after.unwrap().seconds;
        assert!((200..=360).contains(&wait), "one comes back in six minutes, not in {wait} s");
    }
    for _ in 0..3 {
        let other = fleet.key(vec![rate(25, HOUR)]).await;
        assert_eq!(fleet.allowed_at_once(90, &may_read(&other.token)).await, 25);
    }
}

/// A key, its user, a customer and their domain, each with a limit.
struct Household {
    fleet: Fleet,
    made: Made,
    revision: i64,
}

impl Household {
    async fn start(redis: &Redis, limits: [Vec<Limit>; 4]) -> Self {
        let [of_key, of_user, of_customer, of_domain] = limits;
        let fleet = Fleet::start("exact", 3, &redis.url()).await;
        let mut access = fleet.servers[0].access();
        let domain = Some(pb::Domain {
            name: "acme".into(),
            display_name: "Acme".into(),
            limits: of_domain,
            ..pb::Domain::default()
        });
        let request = pb::CreateDomainRequest { domain, validate_only: false };
        access.create_domain(request).await.unwrap();
        let user = Some(pb::User {
            domain: "acme".into(),
            id: "ann".into(),
            kind: pb::UserKind::Person.into(),
            display_name: "Ann".into(),
            permissions: vec!["*".into()],
            limits: of_user,
            ..pb::User::default()
        });
        let request = pb::CreateUserRequest { user, validate_only: false };
        access.create_user(request).await.unwrap();
        let customer = Some(pb::Customer {
            domain: "acme".into(),
            id: "c1".into(),
            display_name: "C".into(),
            limits: of_customer,
            ..pb::Customer::default()
        });
        let request = pb::CreateCustomerRequest { customer, validate_only: false };
        access.create_customer(request).await.unwrap();
        let request = CreateKeyRequest {
            domain: "acme".into(),
            user: "ann".into(),
            limits: of_key,
            ..new_key("Key")
        };
        let made = fleet.make(request).await;
        let revision = made.revision;
        Self { fleet, made, revision }
    }

    fn request(&self, customer: &str, cost: i64) -> AuthorizeRequest {
        AuthorizeRequest {
            customer: customer.into(),
            min_revision: self.revision,
            ..costing(&self.made.token, cost)
        }
    }
}

#[tokio::test]
async fn what_all_replicas_decide_is_noted_with_its_address_and_counted_for_its_customer() {
    let redis = Redis::start("exact-noted").await;
    let limits = [Vec::new(), Vec::new(), vec![rate(2, HOUR)], Vec::new()];
    let mut house = Household::start(&redis, limits).await;
    let client_address = "2001:db8::7".to_owned();
    let request = AuthorizeRequest { client_address, ..house.request("c1", 1) };
    for expected in ["ALLOWED", "ALLOWED", "429 RATE_LIMITED"] {
        assert_eq!(verdict(&house.fleet.ask(0, request.clone()).await), expected);
    }
    // it stores what it noted when it ends
    house.fleet.servers.remove(0).stop().await;
    let other = &house.fleet.servers[0];
    let question = pb::QueryUsageRequest {
        domain: "acme".into(),
        customer: "c1".into(),
        ..pb::QueryUsageRequest::default()
    };
    let answer = other.insight().query_usage(question).await.unwrap().into_inner();
    let counted =
        pb::UsageCount { allowed: 2, cost: 2, denied_limited: 1, ..pb::UsageCount::default() };
    assert_eq!(answer.total, Some(counted));
    let request = pb::GetKeyRequest { id: house.made.key.id.clone() };
    let key = other.admin().get_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!(key.last_used_address, "2001:db8::7");
}

#[tokio::test]
async fn all_limits_of_a_request_are_taken_from_on_all_replicas_or_none_is() {
    let redis = Redis::start("exact-all").await;
    let limits =
        [vec![rate(100, HOUR)], vec![quota(50)], vec![rate(6, HOUR)], vec![rate(20, HOUR)]];
    let house = Household::start(&redis, limits).await;
    let fleet = &house.fleet;
    let answer = fleet.ask(0, house.request("c1", 4)).await;
    let scopes: Vec<_> = answer.limits.iter().map(pb::LimitState::scope).collect();
    let all = [LimitScope::Key, LimitScope::User, LimitScope::Customer, LimitScope::Domain];
    assert_eq!(scopes, all);
    let expected =
        [("rate", 96, false), ("quota", 46, false), ("rate", 2, false), ("rate", 16, false)];
    assert_eq!(left(&answer), expected);
    // the customer's denies: nobody's is taken from, wherever it is asked
    for replica in 0..3 {
        let answer = fleet.ask(replica, house.request("c1", 4)).await;
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
        let expected =
            [("rate", 96, false), ("quota", 46, false), ("rate", 2, true), ("rate", 16, false)];
        assert_eq!(left(&answer), expected);
    }
    let answer = fleet.ask(1, house.request("", 1)).await;
    assert_eq!(left(&answer), [("rate", 95, false), ("quota", 45, false), ("rate", 15, false)]);
    assert_eq!(fleet.allowed_at_once(60, &house.request("", 1)).await, 15, "the domain's");
    let answer = fleet.ask(2, house.request("", 0)).await;
    assert_eq!(left(&answer), [("rate", 80, false), ("quota", 30, false), ("rate", 0, false)]);
}

#[tokio::test]
async fn a_cost_is_taken_whole_and_a_look_takes_nothing() {
    let redis = Redis::start("exact-cost").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let made = fleet.key(vec![rate(10, HOUR), quota(12)]).await;
    for replica in 0..3 {
        let answer = fleet.ask(replica, looking(&costing(&made.token, 7))).await;
        assert_eq!(verdict(&answer), "ALLOWED");
        assert_eq!(left(&answer), [("rate", 10, false), ("quota", 12, false)]);
    }
    let answer = fleet.ask(0, costing(&made.token, 7)).await;
    assert_eq!(left(&answer), [("rate", 3, false), ("quota", 5, false)]);
    for request in [costing(&made.token, 4), looking(&costing(&made.token, 4))] {
        let answer = fleet.ask(1, request).await;
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
        assert_eq!(left(&answer), [("rate", 3, true), ("quota", 5, false)]);
    }
    let answer = fleet.ask(2, costing(&made.token, 13)).await;
    assert!(answer.limits.iter().all(|state| state.cost_too_high && state.exceeded));
    assert_eq!(answer.retry_after, None, "to retry does not help");
    assert_eq!(fleet.verdict(2, costing(&made.token, 3)).await, "ALLOWED");
    let answer = fleet.ask(0, costing(&made.token, 0)).await;
    assert_eq!((verdict(&answer).as_str(), answer.limits[0].remaining), ("ALLOWED", 0));
}

#[tokio::test]
async fn a_limit_that_is_raised_keeps_what_was_used_on_all_replicas() {
    let redis = Redis::start("exact-raise").await;
    let fleet = Fleet::start("exact", 3, &redis.url()).await;
    let before = vec![rate(10, HOUR), quota(10), slots(10)];
    let made = fleet.key(before).await;
    assert_eq!(fleet.verdict(0, costing(&made.token, 8)).await, "ALLOWED");
    let change = async |limits: Vec<Limit>| {
        let key = Some(Key { id: made.key.id.clone(), limits, ..Key::default() });
        let update_mask = Some(FieldMask { paths: vec!["limits".into()] });
        let request = UpdateKeyRequest { key, update_mask, validate_only: false };
        fleet.servers[1].admin().update_key(request).await.unwrap().into_inner().revision
    };
    let revision = change(vec![rate(30, HOUR), quota(20), slots(10)]).await;
    for replica in 0..3 {
        let request =
            AuthorizeRequest { min_revision: revision, ..looking(&may_read(&made.token)) };
        let answer = fleet.ask(replica, request).await;
        let expected = [("rate", 22, false), ("quota", 12, false), ("slots", 10, false)];
        assert_eq!(left(&answer), expected);
    }
    assert_eq!(fleet.allowed_at_once(60, &may_read(&made.token)).await, 12);
    // less than what was used: nothing is left, and nothing is below zero
    let revision = change(vec![rate(5, HOUR), quota(20), slots(10)]).await;
    fleet.know(revision).await;
    let answer = fleet.ask(2, looking(&may_read(&made.token))).await;
    let expected = [("rate", 0, true), ("quota", 0, true), ("slots", 10, false)];
    assert_eq!(left(&answer), expected);
    // another name begins anew
    let renamed = named("other", rate(5, HOUR).kind.unwrap());
    fleet.know(change(vec![renamed]).await).await;
    assert_eq!(fleet.allowed_at_once(20, &may_read(&made.token)).await, 5);
}

#[tokio::test]
async fn what_one_limit_denies_holds_no_slot_and_takes_no_quota_anywhere() {
    let redis = Redis::start("exact-none").await;
    let fleet = Fleet::start("exact", 2, &redis.url()).await;
    let made = fleet.key(vec![slots(2), quota(100), rate(3, HOUR)]).await;
    for call in 0..6 {
        let answer = fleet.ask(call % 2, reserving(&made.token, 4)).await;
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
        assert_eq!(answer.reservation, None);
    }
    let answer = fleet.ask(0, looking(&may_read(&made.token))).await;
    assert_eq!(left(&answer), [("slots", 2, false), ("quota", 100, false), ("rate", 3, false)]);
    assert!(super::keys_of(&redis, "reservation").is_empty());
}
