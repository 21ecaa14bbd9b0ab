//! Quotas as their periods go by.

use super::*;
use crate::model::meter::quota::{QuotaState, Unstored};

const DAY: i64 = 86_400_000_000;
/// The beginning of the day that [`NOW`] lies in.
const TODAY: i64 = NOW.micros() - NOW.micros() % DAY;

fn on(micros: i64, ask: Ask) -> Ask {
    Ask { now: Now { wall: Timestamp::from_micros(micros), boot: BOOT }, ..ask }
}

fn quota_of(metered: &Metered) -> (&Quota, &QuotaMeter) {
    match gauge(metered).dial {
        Dial::Quota(quota, meter) => (quota, meter),
        Dial::Rate(..) | Dial::Slots(..) => panic!("no quota"),
    }
}

fn state(metered: &Metered, micros: i64) -> QuotaState {
    let (quota, meter) = quota_of(metered);
    meter.state(quota, Timestamp::from_micros(micros))
}

fn take(metered: &Metered, micros: i64, amount: u32) -> bool {
    gauge(metered).take(&on(micros, cost(amount)))
}

/// The database says so of the day that begins then.
fn store(metered: &Metered, start: i64, (used, credits, generation): (i64, i64, i64), now: i64) {
    let (quota, meter) = quota_of(metered);
    let (period, start) = (quota.period(), Timestamp::from_micros(start));
    let stored = StoredQuota { period, start, used, credits, generation };
    meter.stored(quota, &stored, Timestamp::from_micros(now));
}

fn unstored(metered: &Metered) -> Vec<(i64, i64)> {
    let taken = quota_of(metered).1.take_unstored();
    taken.iter().map(|Unstored { start, amount }| (start.micros(), *amount)).collect()
}

#[test]
fn a_period_ends_at_its_last_microsecond() {
    let metered = metered(&["q:quota:2:day"]);
    assert!(take(&metered, TODAY, 2));
    assert!(!take(&metered, TODAY + DAY - 1, 1));
    let reading = gauge(&metered).reading(&on(TODAY + DAY - 1, ONE), Fit::Exceeded);
    let micro = Duration::from_micros(1);
    assert_eq!((reading.remaining, reading.reset, reading.wait), (0, micro, Some(micro)));
    assert!(take(&metered, TODAY + DAY, 2));
    assert!(!take(&metered, TODAY + DAY, 1));
    assert_eq!(unstored(&metered), [(TODAY, 2), (TODAY + DAY, 2)]);
}

#[test]
fn a_clock_that_steps_back_a_little_stays_in_the_newer_period() {
    let metered = metered(&["q:quota:2:day"]);
    assert!(take(&metered, TODAY - 1, 2));
    assert!(take(&metered, TODAY, 1));
    assert!(take(&metered, TODAY - 1, 1));
    assert!(!take(&metered, TODAY - DAY, 1));
    assert_eq!(unstored(&metered), [(TODAY - DAY, 2), (TODAY, 2)]);
}

#[test]
fn a_clock_that_was_far_ahead_does_not_hold_a_quota_up() {
    let metered = metered(&["q:quota:2:day"]);
    assert!(take(&metered, TODAY + 300 * DAY, 2));
    assert!(take(&metered, TODAY, 2));
    assert_eq!(state(&metered, TODAY).window.start.micros(), TODAY);
}

#[test]
fn credits_are_there_beside_the_quota_and_go_when_the_period_ends() {
    let metered = metered(&["q:quota:10:day"]);
    store(&metered, TODAY, (0, 5, 1), TODAY);
    assert_eq!(gauge(&metered).fit(&on(TODAY, cost(16))), Fit::TooCostly);
    assert!(take(&metered, TODAY, 12));
    assert!(!take(&metered, TODAY, 4) && take(&metered, TODAY, 1));
    let next = state(&metered, TODAY + DAY);
    assert_eq!((next.used, next.credits, next.generation), (0, 2, 1));
    assert!(take(&metered, TODAY + DAY, 4));
    assert_eq!(state(&metered, TODAY + 2 * DAY).credits, 2, "the quota was enough");
    assert!(take(&metered, TODAY + 2 * DAY, 12));
    assert_eq!(state(&metered, TODAY + 3 * DAY).credits, 0);
}

#[test]
fn what_is_stored_goes_by_the_same_periods() {
    let quota = Quota::new(10, "day".parse().unwrap()).unwrap();
    let at = Timestamp::from_micros;
    let stored = StoredQuota {
        used: 13,
        credits: 5,
        generation: 3,
        ..StoredQuota::unused(&quota, at(TODAY + 5))
    };
    assert_eq!(stored.start, at(TODAY));
    assert_eq!(stored.at(&quota, at(TODAY + DAY - 1)), stored);
    assert_eq!(stored.at(&quota, at(TODAY - DAY)), stored, "another clock is ahead");
    let next = StoredQuota { start: at(TODAY + DAY), used: 0, credits: 2, ..stored };
    assert_eq!(stored.at(&quota, at(TODAY + DAY)), next);
    let month = Quota::new(10, "month".parse().unwrap()).unwrap();
    let other = stored.at(&month, at(TODAY));
    assert_eq!((other.period, other.used, other.credits), (month.period(), 0, 2));
    assert_eq!(other.start, month.window(at(TODAY)).start);
}

#[test]
fn what_is_settled_in_its_period_is_put_back_and_later_only_more_is_taken() {
    let settled = |difference, reserved_at, now| {
        let metered = metered(&["q:quota:10:day"]);
        assert!(take(&metered, TODAY - 1, 3) && take(&metered, TODAY, 5));
        let reserved_at = Timestamp::from_micros(reserved_at);
        let settlement = Settlement { id: reservation(1), reserved_at, weight: 1, difference };
        gauge(&metered).settle(&settlement, on(now, ONE).now);
        state(&metered, now).used
    };
    assert_eq!(settled(-2, TODAY, TODAY + 1), 3);
    assert_eq!(settled(7, TODAY, TODAY + 1), 12);
    assert_eq!(settled(-2, TODAY - 1, TODAY + 1), 5, "it was of yesterday");
    assert_eq!(settled(2, TODAY - 1, TODAY + 1), 7);
    assert_eq!(settled(-9, TODAY, TODAY + 1), 0, "never less than nothing");
    assert_eq!(settled(-2, TODAY, TODAY + DAY), 0);
    assert_eq!(settled(2, TODAY, TODAY + DAY), 2);
}

#[test]
fn what_is_stored_is_added_to_what_is_not_stored_yet() {
    let metered = metered(&["q:quota:100:day"]);
    assert!(take(&metered, TODAY - 1, 7) && take(&metered, TODAY, 3));
    store(&metered, TODAY, (20, 1, 4), TODAY);
    let now = state(&metered, TODAY);
    assert_eq!((now.used, now.credits, now.generation), (23, 1, 4));
    assert_eq!(unstored(&metered), [(TODAY - DAY, 7), (TODAY, 3)]);
    store(&metered, TODAY, (23, 1, 5), TODAY);
    assert_eq!((state(&metered, TODAY).used, state(&metered, TODAY).generation), (23, 5));
    // of yesterday: today nothing of it is left
    store(&metered, TODAY - DAY, (103, 4, 6), TODAY);
    let now = state(&metered, TODAY);
    assert_eq!((now.used, now.credits, now.generation), (0, 1, 6));
}

#[test]
fn a_period_that_is_ahead_is_followed_if_it_is_the_next_one() {
    let metered = metered(&["q:quota:10:day"]);
    assert!(take(&metered, TODAY, 3));
    store(&metered, TODAY + 2 * DAY, (9, 0, 1), TODAY);
    assert_eq!(state(&metered, TODAY).used, 3, "a clock that is far ahead");
    store(&metered, TODAY + DAY, (4, 0, 1), TODAY + DAY - 1);
    let now = state(&metered, TODAY + DAY - 1);
    assert_eq!((now.window.start.micros(), now.used), (TODAY + DAY, 4));
}

#[test]
fn what_is_learnt_replaces_what_was_known() {
    let metered = metered(&["q:quota:10:day"]);
    let (_, meter) = quota_of(&metered);
    assert!(take(&metered, TODAY, 3));
    assert!(!state(&metered, TODAY).is_forgotten(1), "others were told");
    let unheard = Ask { told: Told::Nobody, ..on(TODAY, cost(8)) };
    assert!(!gauge(&metered).take(&unheard) && !state(&metered, TODAY).is_forgotten(1));
    assert!(gauge(&metered).take(&Ask { cost: 1, ..unheard }));
    assert!(state(&metered, TODAY).is_forgotten(1));
    let today = Timestamp::from_micros(TODAY);
    meter.learn(today, (6, 0), 2);
    let now = state(&metered, TODAY);
    assert_eq!((now.used, now.is_forgotten(2), now.is_forgotten(3)), (6, false, true));
    assert_eq!(unstored(&metered), [(TODAY, 4)]);
    // what is told of a period that is over is stored, and says nothing of this one
    meter.learn(Timestamp::from_micros(TODAY - DAY), (9, 2), 3);
    assert_eq!((state(&metered, TODAY).used, unstored(&metered)), (6, vec![(TODAY - DAY, 2)]));
    meter.learn(today, (8, 2), 3);
    assert_eq!((state(&metered, TODAY).used, unstored(&metered)), (8, vec![(TODAY, 2)]));
}

#[test]
fn what_is_put_back_or_only_asked_for_is_stored_too() {
    let metered = metered(&["q:quota:10:day"]);
    assert!(take(&metered, TODAY, 3));
    gauge(&metered).put_back(&on(TODAY, cost(3)));
    assert_eq!(state(&metered, TODAY).used, 0);
    assert_eq!(unstored(&metered), [(TODAY, 0)]);
    quota_of(&metered).1.ask_store();
    assert_eq!(unstored(&metered), [(TODAY, 0)], "it asks for what is stored");
}

#[test]
fn another_period_begins_with_nothing_used_and_what_is_left_of_credits() {
    let before = metered(&["q:quota:10:day"]);
    store(&before, TODAY, (12, 5, 1), TODAY);
    assert!(take(&before, TODAY, 1));
    let month = changed(&before, &["q:quota:10:month"]);
    let now = state(&month, TODAY);
    assert_eq!((now.used, now.credits), (0, 2));
    assert_eq!((unstored(&month), unstored(&before)), (vec![], vec![]));
    let raised = changed(&before, &["q:quota:20:day"]);
    assert_eq!((state(&raised, TODAY).used, state(&raised, TODAY).credits), (13, 5));
}

proptest! {
    /// The obvious way to say the same: sums by day.
    #[test]
    fn of_each_day_no_more_is_used_than_the_quota(
        steps in prop::collection::vec((0..DAY, 0..8_u32), 1..60), limit in 0..20_i64,
    ) {
        let metered = metered(&[&format!("q:quota:{limit}:day")]);
        let (mut now, mut day, mut used) = (TODAY, TODAY, 0);
        for (pause, amount) in steps {
            now += pause / 4;
            if now >= day + DAY {
                (day, used) = (now - now % DAY, 0);
            }
            let fits = used + i64::from(amount) <= limit;
            prop_assert_eq!(take(&metered, now, amount), fits);
            used += if fits { i64::from(amount) } else { 0 };
            prop_assert_eq!(state(&metered, now).used, used);
        }
    }
}
