//! The ends of periods, with clocks of one's own: the library over a real database.

use std::{sync::Arc, time::Duration};

use keyward::{
    clock,
    limiter::{Applicable, Charge, Limiter, Sharing, Take, failures::Failures, flush::QuotaFlush},
    metrics::Flushing,
    model::{
        customer::CustomerId,
        id::KeyId,
        limit::Limits,
        meter::{Dial, Metered, Owner, quota::QuotaUse},
        name::DomainName,
        reservation::Tag,
        secret::Digest,
        time::{BootTime, Now, Timestamp},
        view::KeyRow,
    },
    replica::{self, KeyRef},
    store::{
        Address, Store,
        quota::{Batch, Known},
    },
};

use crate::support::database::Database;

const BOOT: BootTime = BootTime::from_nanos(1_000_000_000_000);

/// An instant that is written as `2024-02-29T23:59:59Z`.
fn at(text: &str) -> Timestamp {
    let time = humantime::parse_rfc3339(text).unwrap();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

fn owner() -> Owner {
    Owner::Customer(DomainName::parse("default").unwrap(), CustomerId::parse("acme").unwrap())
}

fn metered(limit: &str, before: Option<&Arc<Metered>>) -> Arc<Metered> {
    let tag = Tag::of(&DomainName::parse("default").unwrap());
    Metered::new((owner(), tag), Limits::parse(&[limit]).unwrap(), before, BOOT)
}

/// A key without limits of its own.
fn key() -> KeyRef {
    let current = Digest::from_bytes([7; 32]);
    let (replica, mut applier) = replica::Replica::new(Duration::from_secs(1));
    let row = KeyRow {
        id: KeyId::from_bytes([1; 16]),
        profile: "production\ndefault",
        labels: "",
        active: true,
        not_before: None,
        expire: None,
        current,
        retiring: None,
        peppers: [None; 2],
    };
    applier.put(&row).unwrap();
    replica.get(&current).unwrap()
}

/// A replica, as far as quotas go: a customer with one of them.
struct Replica {
    store: Store,
    limiter: Arc<Limiter>,
    flush: QuotaFlush,
    key: KeyRef,
    metered: Arc<Metered>,
}

impl Replica {
    fn new(database: &Database, number: u8, limit: &str) -> Self {
        let store =
            Store::new(&Address { config: database.url.parse().unwrap(), tls: None }, 2).unwrap();
        let limiter = Arc::new(Limiter::new(Sharing::Local, Failures::new(None, None), 1));
        let name = format!("00000000-0000-4000-8000-{number:012}");
        let flushing = Arc::new(Flushing::of("quota"));
        let flush = QuotaFlush::new(store.clone(), Arc::clone(&limiter), name, flushing);
        Self { store, limiter, flush, key: key(), metered: metered(limit, None) }
    }

    /// One that begins at a time, with what is stored.
    async fn started(database: &Database, number: u8, limit: &str, now: Timestamp) -> Self {
        let replica = Self::new(database, number, limit);
        for known in replica.known().await {
            let gauge = replica.metered.gauge(&known.name).unwrap();
            let Dial::Quota(quota, meter) = gauge.dial else { panic!("{gauge:?}") };
            meter.stored(quota, &known.stored, now);
        }
        replica
    }

    /// What is stored of the quota.
    async fn known(&self) -> Vec<Known> {
        let limit = self.metered.limits().iter().next().unwrap().clone();
        let gauge = self.metered.gauge(&limit.name).unwrap();
        let Dial::Quota(quota, _) = gauge.dial else { panic!("{gauge:?}") };
        let look = QuotaUse {
            owner: owner(),
            name: limit.name.clone(),
            period: quota.period(),
            start: at("1970-01-01T00:00:00Z"),
            amount: 0,
            limit: quota.limit(),
        };
        let replica = "00000000-0000-4000-8000-999999999999".to_owned();
        let batch = Batch { replica, number: 1, uses: vec![look] };
        self.store.record_quotas(&batch).await.unwrap()
    }

    /// What is stored: the beginning of the period, what was used, and the credits.
    async fn stored(&self) -> Option<(Timestamp, i64, i64)> {
        let known = self.known().await.into_iter().next()?.stored;
        Some((known.start, known.used, known.credits))
    }

    /// Takes; what is left then, or `None` if there is not enough.
    fn take(&self, cost: u32, now: Timestamp) -> Option<i64> {
        let applicable = Applicable::new(&self.key, Some(Arc::clone(&self.metered)));
        let now = Now { wall: now, boot: BOOT };
        let charge = Charge { cost, reserve: None };
        let due = self
            .limiter
            .due((applicable, &self.key.profile.domain.name), charge, Take::Yes, now)
            .unwrap();
        let verdict = self.limiter.decide(due);
        let left = verdict.readings().next().map(|(_, reading)| reading.remaining);
        left.filter(|_| verdict.denied.is_none())
    }

    fn left(&self, now: Timestamp) -> i64 {
        self.take(0, now).unwrap()
    }

    async fn flush(&mut self, now: Timestamp) {
        self.flush.flush(now).await.unwrap();
    }
}

const MONTHLY: &str = "calls:quota:5:month";
const DAILY: &str = "calls:quota:5:day";

#[tokio::test]
async fn a_month_ends_at_midnight_of_its_first() {
    let database = Database::new();
    let mut replica = Replica::new(&database, 1, MONTHLY);
    let (last, first) = (at("2024-01-31T23:59:59.999999Z"), at("2024-02-01T00:00:00Z"));
    assert_eq!(replica.take(3, at("2024-01-01T00:00:00Z")), Some(2));
    assert_eq!(replica.take(2, last), Some(0));
    assert_eq!(replica.take(1, last), None);
    replica.flush(last).await;
    assert_eq!(replica.stored().await, Some((at("2024-01-01T00:00:00Z"), 5, 0)));
    assert_eq!(replica.take(1, first), Some(4));
    replica.flush(first).await;
    assert_eq!(replica.stored().await, Some((first, 1, 0)));
    assert_eq!(replica.left(first), 4);
}

#[tokio::test]
async fn the_29th_of_february_belongs_to_its_month_and_is_a_day() {
    let database = Database::new();
    let leap = (at("2024-02-29T23:59:59.999999Z"), at("2024-03-01T00:00:00Z"));
    let mut monthly = Replica::new(&database, 1, MONTHLY);
    assert_eq!(monthly.take(1, at("2024-02-28T12:00:00Z")), Some(4));
    assert_eq!(monthly.take(1, leap.0), Some(3));
    monthly.flush(leap.0).await;
    assert_eq!(monthly.stored().await, Some((at("2024-02-01T00:00:00Z"), 2, 0)));
    assert_eq!(monthly.left(leap.1), 5);

    let database = Database::new();
    let mut daily = Replica::new(&database, 1, DAILY);
    assert_eq!(daily.take(2, at("2024-02-28T23:59:59Z")), Some(3));
    assert_eq!(daily.take(1, leap.0), Some(4));
    daily.flush(leap.0).await;
    assert_eq!(daily.stored().await, Some((at("2024-02-29T00:00:00Z"), 1, 0)));
    assert_eq!(daily.left(leap.1), 5);
    // and a year that has none
    assert_eq!(Replica::new(&database, 2, MONTHLY).take(5, at("2023-02-28T23:59:59Z")), Some(0));
}

#[tokio::test]
async fn a_restart_at_the_very_end_of_a_period_begins_with_nothing_used() {
    let database = Database::new();
    let (last, first) = (at("2024-01-31T23:59:59.999999Z"), at("2024-02-01T00:00:00Z"));
    let mut replica = Replica::new(&database, 1, MONTHLY);
    assert_eq!(replica.take(5, last), Some(0));
    replica.flush(last).await;
    assert_eq!(Replica::started(&database, 2, MONTHLY, last).await.left(last), 0);
    let mut restarted = Replica::started(&database, 3, MONTHLY, first).await;
    assert_eq!(restarted.take(2, first), Some(3));
    restarted.flush(first).await;
    assert_eq!(restarted.stored().await, Some((first, 2, 0)));
    // and one that was loaded before, and is asked after
    let loaded_before = Replica::started(&database, 4, MONTHLY, last).await;
    assert_eq!(loaded_before.left(first), 3);
}

#[tokio::test]
async fn of_two_replicas_the_first_in_the_new_period_takes_the_other_along() {
    let database = Database::new();
    let (last, first) = (at("2024-01-31T23:59:59Z"), at("2024-02-01T00:00:00Z"));
    let mut behind = Replica::new(&database, 1, MONTHLY);
    let mut ahead = Replica::new(&database, 2, MONTHLY);
    assert_eq!(behind.take(2, last), Some(3));
    assert_eq!(ahead.take(3, first), Some(2));
    ahead.flush(first).await;
    behind.flush(last).await;
    assert_eq!(ahead.stored().await, Some((first, 3, 0)), "what is late changes nothing");
    // whose clock is behind counts in the new period too
    assert_eq!(behind.take(2, last), Some(0));
    behind.flush(last).await;
    assert_eq!(ahead.stored().await, Some((first, 5, 0)));
    assert_eq!(ahead.left(first), 2, "as far as it knows");
    ahead.flush(first).await;
    assert_eq!(ahead.left(first), 0);
}

#[tokio::test]
async fn what_is_stored_late_counts_in_its_own_period() {
    let database = Database::new();
    let (last, first) = (at("2024-01-31T23:59:59Z"), at("2024-02-01T00:00:00Z"));
    let mut replica = Replica::new(&database, 1, MONTHLY);
    assert_eq!(replica.take(4, last), Some(1));
    assert_eq!(replica.take(1, first), Some(4));
    replica.flush(first).await;
    assert_eq!(replica.stored().await, Some((first, 1, 0)));
    assert_eq!(replica.left(first), 4);

    let mut late = Replica::new(&database, 2, MONTHLY);
    assert_eq!(late.take(4, last), Some(1));
    late.flush(first).await;
    assert_eq!(late.stored().await, Some((first, 1, 0)));
    assert_eq!(late.left(first), 4);
}

#[tokio::test]
async fn what_was_used_beyond_a_quota_is_taken_from_its_credits_once() {
    let database = Database::new();
    let (last, first) = (at("2024-01-31T23:59:59Z"), at("2024-02-01T00:00:00Z"));
    let credited = "INSERT INTO keyward.quota (owner, name, period, start_at, used, credits)
        VALUES ('customer/default/acme', 'calls', 'month', '2024-01-01Z', 0, 10)";
    database.connect().await.batch_execute(credited).await.unwrap();
    let mut one = Replica::started(&database, 1, MONTHLY, last).await;
    let mut other = Replica::started(&database, 2, MONTHLY, last).await;
    assert_eq!(one.take(6, last), Some(9));
    one.flush(last).await;
    assert_eq!(other.take(2, last), Some(13), "as far as it knows");
    other.flush(last).await;
    one.left(last);
    one.flush(last).await;
    for replica in [&one, &other] {
        assert_eq!(replica.left(last), 7);
        assert_eq!(replica.left(first), 12, "3 of 8 were beyond the quota");
    }
    assert_eq!(one.take(1, first), Some(11));
    one.flush(first).await;
    assert_eq!(one.stored().await, Some((first, 1, 7)));
    assert_eq!(other.take(1, first), Some(11));
    other.flush(first).await;
    assert_eq!(one.stored().await, Some((first, 2, 7)));
    assert_eq!(other.left(first), 10);
    // and one that starts in the new period, before anything was stored in it
    let next = at("2024-03-01T00:00:00Z");
    assert_eq!(Replica::started(&database, 3, MONTHLY, next).await.left(next), 12);
}

#[tokio::test]
async fn a_clock_that_is_days_ahead_spoils_the_quota_for_nobody() {
    let database = Database::new();
    let now = clock::wall();
    let ahead = now.after(Duration::from_secs(2 * 24 * 60 * 60));
    let mut wrong = Replica::new(&database, 1, DAILY);
    let mut right = Replica::new(&database, 2, DAILY);
    assert_eq!(wrong.take(5, ahead), Some(0));
    wrong.flush(ahead).await;
    assert_eq!(wrong.stored().await, None);
    assert_eq!(right.take(2, now), Some(3));
    right.flush(now).await;
    wrong.take(0, ahead);
    wrong.flush(ahead).await;
    assert_eq!(right.stored().await.map(|(_, used, _)| used), Some(2));
    assert_eq!(right.left(now), 3);
    // what such a clock had stored before is none of our periods
    let spoilt = "UPDATE keyward.quota SET start_at = start_at + interval '2 days', used = 5";
    database.connect().await.batch_execute(spoilt).await.unwrap();
    right.flush(now).await;
    assert_eq!(right.take(3, now), Some(0));
}

#[tokio::test]
async fn a_quota_of_another_period_begins_anew_and_is_stored_in_that() {
    let database = Database::new();
    let now = at("2024-01-20T12:00:00Z");
    let mut replica = Replica::new(&database, 1, DAILY);
    assert_eq!(replica.take(3, now), Some(2));
    replica.flush(now).await;
    assert_eq!(replica.take(1, now), Some(1));
    // before that is stored
    replica.metered = metered("calls:quota:50:month", Some(&replica.metered));
    assert_eq!(replica.take(7, now), Some(43));
    replica.flush(now).await;
    assert_eq!(replica.stored().await, Some((at("2024-01-01T00:00:00Z"), 7, 0)));
    assert_eq!(replica.take(2, now), Some(41));
    replica.flush(now).await;
    assert_eq!(replica.stored().await, Some((at("2024-01-01T00:00:00Z"), 9, 0)));

    replica.metered = metered(DAILY, Some(&replica.metered));
    assert_eq!(replica.take(1, now), Some(4));
    replica.flush(now).await;
    assert_eq!(replica.stored().await, Some((at("2024-01-20T00:00:00Z"), 1, 0)));
}

#[tokio::test]
async fn what_was_used_before_a_quota_changed_is_stored_without_another_use() {
    let database = Database::new();
    let now = at("2024-01-20T12:00:00Z");
    let mut replica = Replica::new(&database, 1, MONTHLY);
    assert_eq!(replica.take(3, now), Some(2));
    replica.metered = metered("calls:quota:9:month", Some(&replica.metered));
    replica.flush(now).await;
    assert_eq!(replica.stored().await, Some((at("2024-01-01T00:00:00Z"), 3, 0)));
    assert_eq!(replica.left(now), 6);
}
