//! What is left of limits after anything that can happen to them.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    thread,
};

use proptest::prelude::*;

use super::{quota::StoredQuota, *};
use crate::model::{
    fixture::{NOW, NOW_ON_BOTH_CLOCKS, id},
    limit::rate::MICROS_A_TOKEN,
    name::DomainName,
};

mod owners;
mod periods;

const BOOT: BootTime = NOW_ON_BOTH_CLOCKS.boot;
const ONE: Ask =
    Ask { cost: 1, weight: 1, told: Told::Others, slot: None, now: NOW_ON_BOTH_CLOCKS };

fn cost(cost: u32) -> Ask {
    Ask { cost, ..ONE }
}

fn limits(texts: &[&str]) -> Limits {
    Limits::parse(texts).unwrap()
}

fn tag() -> Tag {
    Tag::of(&DomainName::parse("default").unwrap())
}

fn metered(texts: &[&str]) -> Arc<Metered> {
    Metered::new((Owner::Key(id(1)), tag()), limits(texts), None, BOOT)
}

fn changed(before: &Arc<Metered>, texts: &[&str]) -> Arc<Metered> {
    Metered::new((Owner::Key(id(1)), tag()), limits(texts), Some(before), BOOT)
}

fn gauge(metered: &Metered) -> Gauge<'_> {
    metered.gauges().next().unwrap()
}

fn left(metered: &Metered) -> Vec<i64> {
    metered.gauges().map(|gauge| gauge.reading(&ONE, Fit::Fits).remaining).collect()
}

fn rate_of(metered: &Metered) -> (&Rate, &RateMeter) {
    match gauge(metered).dial {
        Dial::Rate(rate, meter) => (rate, meter),
        Dial::Quota(..) | Dial::Slots(..) => panic!("no rate"),
    }
}

fn reservation(number: u8) -> ReservationId {
    ReservationId::new(tag(), [number; 16])
}

fn slot(number: u8, seconds: u64) -> Ask {
    Ask { slot: Some((reservation(number), BOOT.after(Duration::from_secs(seconds)))), ..ONE }
}

fn seconds_later(seconds: u64, ask: Ask) -> Ask {
    let boot = BOOT.after(Duration::from_secs(seconds));
    Ask { now: Now { boot, wall: NOW.after(Duration::from_secs(seconds)) }, ..ask }
}

/// What threads take at one instant from a limit of a thousand, in costs of 1 to 3, half of which
/// are put back.
fn raced(text: &str) -> (u64, i64) {
    const TRIES: u32 = 2_000;
    let metered = metered(&[text]);
    let (kept, number) = (AtomicU64::new(0), AtomicU32::new(0));
    let work = || {
        for _ in 0..TRIES {
            let number = number.fetch_add(1, Relaxed);
            let ask = cost(number % 3 + 1);
            if !gauge(&metered).take(&ask) {
                continue;
            }
            if number.is_multiple_of(2) {
                gauge(&metered).put_back(&ask);
            } else {
                kept.fetch_add(ask.cost.into(), Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    (kept.into_inner(), left(&metered)[0])
}

#[test]
fn threads_together_never_take_more_than_there_is_and_lose_nothing() {
    for text in ["r:rate:1:1000000:1000", "q:quota:1000:day"] {
        let (kept, left) = raced(text);
        assert!(kept <= 1000, "{text}: {kept}");
        assert_eq!(i64::try_from(kept).unwrap() + left, 1000, "{text}");
    }
}

#[test]
fn threads_together_hold_no_more_slots_than_there_are() {
    let metered = metered(&["c:concurrency:10"]);
    let held = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (metered, held) = (&metered, &held);
            scope.spawn(move || {
                for number in 0..50 {
                    if gauge(metered).take(&slot(thread * 50 + number, 10)) {
                        held.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((held.into_inner(), left(&metered)), (10, vec![0]));
}

#[test]
fn the_same_limits_are_the_same_object() {
    let before = metered(&["r:rate:1:1000000:5", "q:quota:9:day"]);
    let after = changed(&before, &["r:rate:1:1000000:5", "q:quota:9:day"]);
    assert!(Arc::ptr_eq(&before, &after));
    assert!(!Arc::ptr_eq(&before, &changed(&before, &["q:quota:9:day"])));
}

#[test]
fn a_limit_that_changes_keeps_what_was_used_of_it() {
    let before = ["r:rate:10:1000000:10", "q:quota:10:day", "c:concurrency:10"];
    for (after, expected) in [
        (["r:rate:20:1000000:20", "q:quota:20:day", "c:concurrency:20"], vec![10, 10, 19]),
        (["r:rate:5:1000000:5", "q:quota:5:day", "c:concurrency:1"], vec![0, 0, 0]),
        (["r:rate:20:60000000:20", "q:quota:20:month", "c:concurrency:20"], vec![10, 20, 19]),
        (["x:rate:10:1000000:10", "y:quota:10:day", "z:concurrency:10"], vec![10, 10, 10]),
        (["c:rate:10:1000000:10", "r:quota:10:day", "q:concurrency:10"], vec![10, 10, 10]),
        (["q:quota:11:day", "c:concurrency:10", "r:rate:10:1000000:11"], vec![1, 9, 1]),
    ] {
        let metered = metered(&before);
        assert!(metered.gauges().all(|gauge| gauge.take(&Ask { cost: 10, ..slot(1, 10) })));
        assert_eq!(left(&changed(&metered, &after)), expected, "{after:?}");
    }
}

#[test]
fn a_limit_that_changes_tells_once_what_it_was_to_tell() {
    let before = metered(&["r:rate:10:1000000:10", "q:quota:10:day"]);
    assert!(before.gauges().all(|gauge| gauge.take(&cost(4))));
    let after = changed(&before, &["r:rate:20:1000000:20", "q:quota:20:day"]);
    // by the old one, which waits for that
    for (metered, told) in [(&before, 4), (&after, 0), (&before, 0)] {
        let mut sums = Vec::new();
        for gauge in metered.gauges() {
            sums.push(match gauge.dial {
                Dial::Rate(_, meter) => meter.take_unshared(),
                Dial::Quota(_, meter) => meter.take_unstored().iter().map(|it| it.amount).sum(),
                Dial::Slots(..) => 0,
            });
        }
        assert_eq!(sums, [told, told]);
    }
}

#[test]
fn what_costs_more_than_a_limit_ever_gives_is_told_so() {
    for (text, exceeded, costly) in [
        ("r:rate:1:1000000:5", cost(5), cost(6)),
        ("q:quota:5:day", cost(5), cost(6)),
        ("q:quota:0:day", cost(0), cost(1)),
    ] {
        let metered = metered(&[text]);
        assert_eq!(gauge(&metered).fit(&costly), Fit::TooCostly);
        assert_eq!(gauge(&metered).fit(&exceeded), Fit::Fits);
        gauge(&metered).take(&exceeded);
        assert_eq!(gauge(&metered).fit(&costly), Fit::TooCostly);
        if exceeded.cost > 0 {
            assert_eq!(gauge(&metered).fit(&exceeded), Fit::Exceeded);
        }
        assert_eq!(gauge(&metered).reading(&costly, Fit::TooCostly).wait, None);
    }
}

/// The end of a reservation that was made now.
fn settlement(number: u8, difference: i64) -> Settlement {
    Settlement { id: reservation(number), reserved_at: NOW, weight: 1, difference }
}

#[test]
fn slots_are_held_until_they_are_freed_or_over() {
    let metered = metered(&["c:concurrency:2"]);
    let gauge = gauge(&metered);
    assert!(gauge.take(&slot(1, 10)) && gauge.take(&slot(2, 20)));
    assert!(!gauge.take(&slot(3, 10)));
    assert_eq!(gauge.fit(&ONE), Fit::Exceeded);
    assert_eq!(gauge.fit(&cost(0)), Fit::Fits, "who only looks");
    assert_eq!(gauge.fit(&Ask { cost: 0, ..slot(3, 10) }), Fit::Exceeded);
    let reading = gauge.reading(&ONE, Fit::Exceeded);
    assert_eq!(
        (reading.remaining, reading.reset, reading.wait),
        (0, Duration::from_secs(20), None)
    );
    gauge.settle(&settlement(3, 0), ONE.now);
    assert_eq!(left(&metered), [0], "another one's end frees nothing");
    gauge.settle(&settlement(2, 5), ONE.now);
    assert_eq!(left(&metered), [1]);
    assert!(gauge.take(&slot(3, 30)));
    gauge.put_back(&slot(3, 30));
    assert!(gauge.take(&slot(4, 30)));
    // the first is over at its end, not before
    let before = Ask {
        now: Now { boot: BootTime::from_nanos(BOOT.nanos() + 9_999_999_999), wall: NOW },
        ..slot(5, 40)
    };
    assert_eq!(gauge.fit(&before), Fit::Exceeded);
    assert!(gauge.take(&seconds_later(10, slot(5, 40))));
}

#[test]
fn a_share_of_slots_is_one_at_least() {
    for (slots, weight, share) in [(10, 3, 3), (10, 10, 1), (10, 11, 1), (1, 1000, 1), (10, 1, 10)]
    {
        let metered = metered(&[&format!("c:concurrency:{slots}")]);
        let asks = (0..20).map(|number| Ask { weight, ..slot(number, 10) });
        let taken = asks.filter(|ask| gauge(&metered).take(ask)).count();
        assert_eq!(taken, share, "{slots} among {weight}");
    }
}

#[test]
fn a_rate_tells_the_others_what_they_do_not_know() {
    let metered = metered(&["r:rate:1:1000000:10"]);
    let (rate, meter) = rate_of(&metered);
    let gauge = gauge(&metered);
    assert!(gauge.take(&cost(4)));
    assert_eq!((meter.take_unshared(), meter.take_unshared()), (4, 0));
    meter.put_unshared(4);
    // put back in time is never told
    assert!(gauge.take(&cost(2)));
    gauge.put_back(&cost(2));
    gauge.settle(&settlement(1, -1), ONE.now);
    assert_eq!(left(&metered), [7]);
    // all have taken 5, which does not have our 3
    meter.learn(rate, 5 * MICROS_A_TOKEN, 1, BOOT);
    assert_eq!(left(&metered), [2]);
    assert_eq!(meter.take_unshared(), 3);
    // who is perhaps heard of is neither told nor forgotten
    assert!(gauge.take(&Ask { told: Told::Perhaps, ..cost(1) }));
    assert_eq!((meter.take_unshared(), meter.is_forgotten(1)), (0, false));
}

#[test]
fn what_was_taken_in_an_outage_is_forgotten_by_others_until_it_is_learnt() {
    let metered = metered(&["r:rate:1:1000000:10"]);
    let (rate, meter) = rate_of(&metered);
    assert!(!meter.is_forgotten(1));
    gauge(&metered).take(&ONE);
    assert!(!meter.is_forgotten(1), "the others were told");
    assert!(!gauge(&metered).take(&Ask { told: Told::Nobody, ..cost(11) }));
    assert!(!meter.is_forgotten(1), "nothing was taken");
    gauge(&metered).take(&Ask { told: Told::Nobody, ..ONE });
    assert!(meter.is_forgotten(1) && meter.is_forgotten(2));
    meter.learn(rate, 0, 2, BOOT);
    assert!(meter.is_forgotten(1) && !meter.is_forgotten(2) && meter.is_forgotten(3));
    let changed = changed(&metered, &["r:rate:2:1000000:10"]);
    assert!(rate_of(&changed).1.is_forgotten(3));
}

#[test]
fn what_is_taken_by_weight_is_put_back_by_weight() {
    let metered = metered(&["r:rate:1:1000000:10"]);
    let ask = Ask { weight: 3, told: Told::Nobody, ..cost(2) };
    assert!(gauge(&metered).take(&ask));
    assert_eq!(left(&metered), [4]);
    assert_eq!(gauge(&metered).reading(&ask, Fit::Fits).remaining, 1, "a third of 4");
    gauge(&metered).put_back(&ask);
    assert_eq!(left(&metered), [10]);
    assert_eq!(rate_of(&metered).1.take_unshared(), 0);
}

#[test]
fn a_mark_is_set_once_until_it_is_cleared() {
    let mark = Mark::default();
    assert_eq!([mark.set(), mark.set()], [true, false]);
    mark.clear();
    assert_eq!([mark.set(), mark.set()], [true, false]);
}
