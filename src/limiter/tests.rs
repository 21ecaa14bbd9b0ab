//! Several limits at once, reservations, and who decides.

use std::thread;

use proptest::prelude::*;

use super::*;
use crate::model::{
    fixture::{NOW, NOW_ON_BOTH_CLOCKS, id},
    limit::{Limits, Rule},
    meter::Owner,
    time::BootTime,
};

const LATER: Now =
    Now { wall: NOW, boot: BootTime::from_nanos(NOW_ON_BOTH_CLOCKS.boot.nanos() + 10_000_000_000) };

fn limiter(sharing: Sharing, replicas: u32) -> Limiter {
    Limiter::new(sharing, Failures::new(None, None), replicas)
}

fn alone() -> Limiter {
    limiter(Sharing::Local, 1)
}

fn domain() -> DomainName {
    DomainName::parse("default").unwrap()
}

/// The limits of up to four things.
fn applicable(lists: &[Vec<String>]) -> Applicable {
    let domain = domain();
    let owners = [Owner::Key(id(1)), Owner::User(1), Owner::User(2), Owner::Domain(domain.clone())];
    let mut lists = lists.iter();
    let metered = owners.map(|owner| {
        let limits = Limits::parse(lists.next()?).unwrap();
        Some(Metered::new((owner, Tag::of(&domain)), limits, None, NOW_ON_BOTH_CLOCKS.boot))
    });
    Applicable { metered }
}

fn of(list: &[&str]) -> Applicable {
    applicable(&[list.iter().copied().map(String::from).collect()])
}

fn due(limiter: &Limiter, applicable: &Applicable, charge: Charge, take: Take) -> Due {
    limiter.due((applicable.clone(), &domain()), charge, take, NOW_ON_BOTH_CLOCKS).unwrap()
}

fn decided(limiter: &Limiter, applicable: &Applicable, cost: u32) -> Option<Reason> {
    let charge = Charge { cost, reserve: None };
    limiter.decide(due(limiter, applicable, charge, Take::Yes)).denied
}

fn left(limiter: &Limiter, applicable: &Applicable) -> Vec<i64> {
    let look = due(limiter, applicable, Charge { cost: 0, reserve: None }, Take::No);
    limiter.decide(look).readings().map(|(_, reading)| reading.remaining).collect()
}

fn reserving(number: u8, cost: u32) -> Charge {
    Charge { cost, reserve: Some(([number; 16], Duration::from_secs(10))) }
}

fn reserve(limiter: &Limiter, applicable: &Applicable, charge: Charge) -> Option<ReservationId> {
    let due = due(limiter, applicable, charge, Take::Yes);
    let slot = due.wish.ask.slot;
    limiter.decide(due).denied.is_none().then(|| slot.unwrap().0)
}

proptest! {
    /// At one instant, where nothing comes back: a number for each limit.
    #[test]
    fn a_request_takes_from_all_limits_or_from_none(
        lists in prop::collection::vec(prop::collection::vec((any::<bool>(), 1..20_u32), 0..4), 1..=4), costs in prop::collection::vec(0..8_u32, 1..20),
    ) {
        let text = |at: usize, (is_rate, most): &(bool, u32)| match is_rate {
            true => format!("n{at}:rate:1:1000000:{most}"),
            false => format!("n{at}:quota:{most}:day"),
        };
        let texts: Vec<Vec<String>> =
            lists.iter().map(|list| list.iter().enumerate().map(|(at, it)| text(at, it)).collect()).collect();
        let (limiter, applicable) = (alone(), applicable(&texts));
        let all: Vec<&(bool, u32)> = lists.iter().flatten().collect();
        let mut expected: Vec<i64> = all.iter().map(|(_, most)| i64::from(*most)).collect();
        for cost in costs {
            let refusing = expected.iter().position(|left| cost > 0 && *left < i64::from(cost));
            let reason = refusing.map(|at| {
                if all[at].0 { Reason::RateLimited } else { Reason::QuotaExhausted }
            });
            if reason.is_none() {
                for left in &mut expected {
*left -= i64::from(cost);
}
            }
            prop_assert_eq!(decided(&limiter, &applicable, cost), reason);
            prop_assert_eq!(left(&limiter, &applicable), expected.clone());
        }
    }
}

#[test]
fn threads_together_take_from_all_limits_or_from_none() {
    let limiter = alone();
    let applicable = of(&["a:rate:1:1000000:1000", "b:quota:300:day", "c:rate:1:1000000:500"]);
    let work = || (0..500).filter(|_| decided(&limiter, &applicable, 1).is_none()).count();
    let allowed: usize = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(allowed, 300);
    assert_eq!(left(&limiter, &applicable), [700, 0, 200]);
}

#[test]
fn what_one_limit_took_is_put_back_when_a_later_one_refuses() {
    let limiter = alone();
    let applicable = of(&["a:rate:1:1000000:9", "c:concurrency:9", "b:quota:2:day"]);
    let due = due(&limiter, &applicable, reserving(1, 3), Take::Yes);
    // as if another thread had used it up since all were looked at
    let mut fits = vec![Fit::Fits; 3];
    take_all(&applicable, &due.wish.ask, &mut fits);
    assert_eq!(fits, [Fit::Fits, Fit::Fits, Fit::Exceeded]);
    assert_eq!(left(&limiter, &applicable), [9, 9, 2]);
}

#[test]
fn a_look_takes_nothing_and_tells_what_would_be() {
    let (limiter, applicable) = (alone(), of(&["a:rate:1:1000000:2", "b:quota:9:day"]));
    let look = |cost| {
        let charge = Charge { cost, reserve: None };
        limiter.decide(due(&limiter, &applicable, charge, Take::No)).denied
    };
    assert_eq!([look(2), look(2), look(3)], [None, None, Some(Reason::RateLimited)]);
    assert_eq!(left(&limiter, &applicable), [2, 9]);
    let reserving = due(&limiter, &applicable, reserving(1, 1), Take::No);
    assert_eq!(limiter.decide(reserving.clone()).denied, None);
    assert_eq!(limiter.settle(reserving.wish.ask.slot.unwrap().0, 1, NOW_ON_BOTH_CLOCKS), None);
    assert!(limiter.to_share.drain().is_empty());
    // it asks what others have used
    let [metered] = limiter.to_store.drain().try_into().unwrap();
    let mut gauges = metered.gauges();
    let Some(Gauge { dial: Dial::Quota(_, meter), .. }) = gauges.nth(1) else { panic!() };
    assert!(meter.take_unstored().iter().all(|unstored| unstored.amount == 0));
}

#[test]
fn the_first_limit_that_refuses_gives_the_reason_and_the_longest_wait_counts() {
    let limiter = alone();
    let applicable = of(&["a:rate:1:1000000:1", "b:rate:1:60000000:1", "c:rate:1:1000000:5"]);
    assert_eq!(decided(&limiter, &applicable, 1), None);
    let verdict = limiter.decide(due(&limiter, &applicable, Charge::ONE, Take::Yes));
    assert_eq!(verdict.denied, Some(Reason::RateLimited));
    assert_eq!(verdict.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(verdict.summary(), "a: exceeded, 0 left; b: exceeded, 0 left; c: 4 left");
    // what never fits is not to be waited for
    let verdict = limiter.decide(due(&limiter, &applicable, reserving(1, 2), Take::Yes));
    assert_eq!((verdict.denied, verdict.retry_after), (Some(Reason::RateLimited), None));
    assert_eq!(verdict.readings().next().unwrap().1.fit, Fit::TooCostly);
    assert!(!verdict.degraded);
}

#[test]
fn nothing_is_due_without_limits_and_reservations() {
    let limiter = alone();
    let none = applicable(&[]);
    let domain = domain();
    let due = |charge| limiter.due((none.clone(), &domain), charge, Take::Yes, NOW_ON_BOTH_CLOCKS);
    assert!(due(Charge::ONE).is_none());
    assert_eq!(due(reserving(1, 1)).unwrap().wish.end, Some(NOW.after(Duration::from_secs(10))));
}

#[test]
fn a_reservation_is_settled_once_and_before_it_is_over() {
    let (limiter, applicable) = (alone(), of(&["q:quota:100:day", "c:concurrency:2"]));
    let first = reserve(&limiter, &applicable, reserving(1, 10)).unwrap();
    let second = reserve(&limiter, &applicable, reserving(2, 10)).unwrap();
    assert_eq!(reserve(&limiter, &applicable, reserving(3, 10)), None);
    assert_eq!(left(&limiter, &applicable), [80, 0]);
    let settled = Settled { difference: -6, elsewhere: None };
    assert_eq!(limiter.settle(first, 4, NOW_ON_BOTH_CLOCKS), Some(settled));
    assert_eq!(left(&limiter, &applicable), [86, 1]);
    assert_eq!(limiter.settle(first, 4, NOW_ON_BOTH_CLOCKS), None);
    assert_eq!(limiter.settle(second, 30, LATER), None, "it is over");
    assert_eq!(left(&limiter, &applicable), [86, 1]);
}

#[test]
fn a_denied_reservation_is_not_remembered() {
    let (limiter, applicable) = (alone(), of(&["q:quota:5:day"]));
    let due = due(&limiter, &applicable, reserving(1, 6), Take::Yes);
    assert_eq!(limiter.decide(due.clone()).denied, Some(Reason::QuotaExhausted));
    assert_eq!(limiter.settle(due.wish.ask.slot.unwrap().0, 6, NOW_ON_BOTH_CLOCKS), None);
}

#[test]
fn a_full_book_has_room_again_when_reservations_are_over() {
    let (limiter, applicable) = (alone(), of(&["q:quota:5:day"]));
    let tag = Tag::of(&domain());
    for number in 0..100_000_u128 {
        let id = ReservationId::new(tag, (number << 12).to_be_bytes());
        let reservation = Reservation {
            applicable: of(&[]),
            cost: 1,
            weight: 1,
            told: Told::Others,
            end: LATER.boot,
            made: NOW,
        };
        limiter.book.add(id, reservation);
        assert!(limiter.book.has_room(NOW_ON_BOTH_CLOCKS.boot) || number == 99_999);
    }
    let refused = limiter.decide(due(&limiter, &applicable, reserving(1, 1), Take::Yes));
    assert_eq!(refused.denied, Some(Reason::ConcurrencyExceeded));
    assert_eq!(left(&limiter, &applicable), [5]);
    let almost = BootTime::from_nanos(LATER.boot.nanos() - 1);
    assert!(!limiter.book.has_room(almost));
    assert!(limiter.book.has_room(LATER.boot));
}

#[test]
fn replicas_that_do_not_hear_of_each_other_enforce_their_share() {
    for (sharing, replicas, weight) in
        [(Sharing::Local, 3, 1), (Sharing::Fast, 3, 3), (Sharing::Exact, 0, 1)]
    {
        let limiter = limiter(sharing, replicas);
        let applicable = of(&["q:quota:5:day"]);
        let due = || due(&limiter, &applicable, Charge::ONE, Take::Yes).wish.ask;
        let apart = sharing != Sharing::Local;
        assert_eq!((due().weight, due().told == Told::Nobody), (weight, apart), "{sharing:?}");
        assert_eq!(limiter.is_degraded(), apart);
        limiter.restore();
        assert_eq!((due().weight, due().told), (1, Told::Others));
        limiter.count(5);
        let outage = limiter.outage();
        limiter.degrade();
        limiter.degrade();
        assert_eq!((due().weight, limiter.outage()), (5, outage + 1));
        limiter.count(0);
        assert_eq!(limiter.replicas(), replicas.max(1));
    }
}

#[test]
fn what_all_replicas_decide_together_depends_on_the_mode() {
    for (sharing, plain, reserved) in
        [(Sharing::Local, false, false), (Sharing::Fast, false, true), (Sharing::Exact, true, true)]
    {
        let (limiter, applicable) = (limiter(sharing, 2), of(&["q:quota:5:day"]));
        let is_for_all =
            |charge| limiter.is_for_all(&due(&limiter, &applicable, charge, Take::Yes));
        if sharing != Sharing::Local {
            assert_eq!([is_for_all(Charge::ONE), is_for_all(reserving(1, 1))], [false, false]);
        }
        limiter.restore();
        assert_eq!([is_for_all(Charge::ONE), is_for_all(reserving(1, 1))], [plain, reserved]);
        let alone = limiter.alone(&due(&limiter, &applicable, Charge::ONE, Take::Yes)).wish.ask;
        assert_eq!((alone.weight, alone.told), (2, Told::Perhaps));
    }
}

#[test]
fn what_was_taken_waits_once_to_be_shared_and_stored() {
    for (sharing, shared) in [(Sharing::Local, 0), (Sharing::Fast, 1), (Sharing::Exact, 1)] {
        let limiter = limiter(sharing, 1);
        let rates = of(&["r:rate:1:1000000:2"]);
        let quotas = of(&["q:quota:2:day"]);
        for applicable in [&rates, &quotas, &rates, &quotas] {
            assert_eq!(decided(&limiter, applicable, 1), None);
        }
        assert_eq!(limiter.to_share.drain().len(), shared, "{sharing:?}");
        assert_eq!(limiter.to_store.drain().len(), 1);
        for applicable in [&rates, &quotas] {
            applicable.metered().for_each(|metered| {
                metered.to_share.clear();
                metered.to_store.clear();
                for gauge in metered.gauges() {
                    if let Dial::Quota(_, meter) = gauge.dial {
                        assert_eq!(meter.take_unstored().len(), 1);
                    }
                }
            });
            assert!(decided(&limiter, applicable, 1).is_some());
        }
        let dial = quotas.gauges().next().unwrap().dial;
        let unstored = match dial {
            Dial::Quota(_, meter) => meter.take_unstored(),
            Dial::Rate(..) | Dial::Slots(..) => Vec::new(),
        };
        assert_eq!(unstored.iter().map(|it| it.amount).collect::<Vec<_>>(), [0]);
        assert!(limiter.to_share.drain().is_empty(), "nothing was taken");
        assert_eq!(limiter.to_store.drain().len(), 1, "something may have been put back elsewhere");
    }
}

#[test]
fn every_kind_of_limit_has_its_reason() {
    for (text, reason) in [
        ("a:rate:1:1000000:1", Reason::RateLimited),
        ("a:quota:1:day", Reason::QuotaExhausted),
        ("a:concurrency:1", Reason::ConcurrencyExceeded),
    ] {
        let (limiter, applicable) = (alone(), of(&[text]));
        assert!(reserve(&limiter, &applicable, reserving(1, 1)).is_some());
        assert_eq!(decided(&limiter, &applicable, 1), Some(reason));
        let verdict = limiter.decide(due(&limiter, &applicable, Charge::ONE, Take::Yes));
        let (gauge, _) = verdict.readings().next().unwrap();
        let is_known = !matches!(gauge.limit.rule, Rule::Concurrency(_));
        assert_eq!(verdict.retry_after.is_some(), is_known, "{text}");
    }
}
