//! Rates against a bucket in exact fractions, which is the obvious way to say the same.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NANOS: u64 = 1_000_000_000;
/// What rounding the clock down to a tick can cost, in nanoseconds.
const CLOCK_NANOS: u64 = 2;

fn at(nanos: u64) -> BootTime {
    BootTime::from_nanos(nanos)
}

fn per_second(limit: u32, burst: u32) -> Rate {
    Rate::new(limit, SECOND, burst).unwrap()
}

fn one(rate: &Rate, state: u64, nanos: u64) -> Option<u64> {
    rate.draw(state, at(nanos), Draw::whole(1))
}

/// A bucket in units of which a token is as many as the period has nanoseconds, so that nothing is
/// ever rounded.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: i128,
    filled_at: u64,
}

impl Bucket {
    fn full(rate: &Rate) -> Self {
        Self { level: i128::from(rate.burst()) * period(rate), filled_at: 0 }
    }

    /// What is in it, in tokens times period.
    fn fill(&mut self, rate: &Rate, nanos: u64) -> i128 {
        let gained = i128::from(nanos - self.filled_at) * i128::from(rate.limit());
        self.level = (self.level + gained).min(Self::full(rate).level);
        self.filled_at = nanos;
        self.level
    }
}

fn period(rate: &Rate) -> i128 {
    i128::try_from(rate.period().as_nanos()).unwrap()
}

/// Any rate that there is, common ones more often.
fn rates() -> impl Strategy<Value = Rate> {
    let limit = prop_oneof![1..20_u32, 1..1_000_000_u32, 1..=LIMIT_MAX];
    let micros = prop_oneof![
        Just(1_000_u64),
        Just(1_000_000),
        Just(60_000_000),
        Just(86_400_000_000),
        Just(366 * 86_400_000_000),
        1_000..10_000_000_u64,
    ];
    let burst = prop_oneof![1..5_u32, 1..1_000_u32, 1..=LIMIT_MAX];
    let rate = |(limit, micros, burst)| Rate::new(limit, Duration::from_micros(micros), burst).ok();
    (limit, micros, burst).prop_filter_map("a rate that may be", rate)
}

/// Costs and pauses: within a burst, around one token's time, and long.
fn steps() -> impl Strategy<Value = Vec<(f64, f64, bool)>> {
    prop::collection::vec((0.0..1.2_f64, 0.0..1.5_f64, any::<bool>()), 1..60)
}

#[expect(clippy::as_conversions, reason = "fractions of numbers for tests")]
#[expect(clippy::cast_possible_truncation, reason = "fractions of numbers for tests")]
#[expect(clippy::cast_precision_loss, reason = "fractions of numbers for tests")]
#[expect(clippy::cast_sign_loss, reason = "fractions of numbers for tests")]
fn part(fraction: f64, of: u128) -> u64 {
    (fraction * of as f64) as u64
}

proptest! {
    #[test]
    fn a_rate_takes_what_a_bucket_has_and_nothing_that_it_has_not(
        rate in rates(), start in prop_oneof![Just(0), 0..NANOS * 1_000_000], steps in steps(),
    ) {
        let token_nanos = rate.period().as_nanos() / u128::from(rate.limit());
        let refill_nanos = token_nanos * u128::from(rate.burst());
        let rounding = i128::from(CLOCK_NANOS) * i128::from(rate.limit());
        let (mut state, mut now, mut bucket) = (0, start, Bucket::full(&rate));
        for (cost, pause, long) in steps {
            now += part(pause, if long { refill_nanos } else { token_nanos });
            if now > u64::MAX / 2 {
                break;
            }
            let cost = u32::try_from(part(cost, rate.burst().into())).unwrap();
            let (ask, taken) = (Draw::whole(cost), i128::from(cost) * period(&rate));
            let drawn = rate.draw(state, at(now), ask);
            prop_assert_eq!(drawn.is_some(), rate.wait(state, at(now), ask) == Duration::ZERO);
            let left = bucket.fill(&rate, now) - taken;
            if let Some(drawn) = drawn {
                prop_assert!(cost == 0 || left + rounding > 0 || left == 0, "{left} too much");
                bucket.level -= taken;
                state = drawn;
            } else {
                prop_assert!(left - rounding < 0, "denied with {left} left");
            }
        }
    }

    #[test]
    fn in_no_window_more_is_taken_than_the_burst_and_what_is_gained(
        rate in rates(), steps in steps(),
    ) {
        let token_nanos = rate.period().as_nanos() / u128::from(rate.limit());
        let (mut state, mut now, mut taken) = (0, 1, Vec::new());
        for (cost, pause, _) in steps {
            now += part(pause, token_nanos);
            let cost = u32::try_from(part(cost, rate.burst().into())).unwrap().min(rate.burst());
            if let Some(drawn) = rate.draw(state, at(now), Draw::whole(cost)) {
                (state, taken) = (drawn, [taken, vec![(now, u128::from(cost))]].concat());
            }
        }
        let period = rate.period().as_nanos();
        for (from, (start, _)) in taken.iter().enumerate() {
            let mut sum = 0;
            for (end, cost) in &taken[from..] {
                sum += cost;
                let gained = u128::from(end - start + CLOCK_NANOS) * u128::from(rate.limit());
                prop_assert!(sum * period <= u128::from(rate.burst()) * period + gained);
            }
        }
    }

    #[test]
    fn who_waits_as_long_as_he_is_told_passes_and_not_much_sooner(
        rate in rates(), taken in 0.0..1.0_f64, cost in 0.0..1.0_f64, now in 0..NANOS * 100_000,
    ) {
        let state = rate.moved(0, at(now), i64::try_from(part(taken, rate.burst().into())).unwrap());
        let cost = u32::try_from(part(cost, rate.burst().into())).unwrap() + 1;
        let ask = Draw::whole(cost.min(rate.burst()));
        let wait = u64::try_from(rate.wait(state, at(now), ask).as_nanos()).unwrap();
        prop_assert!(rate.draw(state, at(now + wait), ask).is_some());
        if wait > CLOCK_NANOS {
            prop_assert!(rate.draw(state, at(now + wait - CLOCK_NANOS - 1), ask).is_none());
        }
        let refill = u64::try_from(rate.refill(state, at(now)).as_nanos()).unwrap();
        prop_assert_eq!(rate.remaining(state, at(now + refill)), rate.burst());
    }

    #[test]
    fn what_is_told_as_used_is_the_same_where_it_is_heard(
        rate in rates(), tokens in 0.0..1.0_f64, now in 0..NANOS * 100_000,
    ) {
        let tokens = part(tokens, rate.burst().into());
        let micros = tokens * MICROS_A_TOKEN;
        let state = rate.with_used(micros, at(now));
        prop_assert_eq!(rate.used(state, at(now)), micros);
        prop_assert_eq!(state, rate.moved(0, at(now), i64::try_from(tokens).unwrap()));
        prop_assert_eq!(u64::from(rate.remaining(state, at(now))), u64::from(rate.burst()) - tokens);
    }

    #[test]
    fn another_rate_takes_over_as_many_tokens_as_were_taken(
        old in rates(), new in rates(), tokens in 0.0..1.0_f64, now in 0..NANOS * 100_000,
    ) {
        let tokens = part(tokens, old.burst().into());
        let state = old.moved(0, at(now), i64::try_from(tokens).unwrap());
        let state = new.taken_over(&old, state, at(now));
        let left = u64::from(new.burst()).saturating_sub(tokens);
        // a bucket can be overdrawn only by what its number has room for
        if u128::from(tokens) << new.shift < u128::from(AHEAD_MAX) {
            prop_assert_eq!(new.used(state, at(now)), tokens * MICROS_A_TOKEN);
        }
        prop_assert_eq!(u64::from(new.remaining(state, at(now))), left);
    }

    #[test]
    fn replicas_with_a_share_each_admit_together_at_most_the_burst_and_one_request_each(
        rate in rates(), weight in 1..50_u32,
    ) {
        let weight = weight.min(rate.burst());
        let ask = Draw { cost: 1, weight };
        let share = rate.burst() / weight;
        // each has its whole share at once, and no more
        let taken = rate.charged(0, rate.ticks(at(5)), ask);
        prop_assert_eq!(taken, rate.moved(0, at(5), weight.into()));
        let almost = rate.moved(0, at(5), i64::from((share - 1) * weight));
        prop_assert!(rate.draw(almost, at(5), ask).is_some());
        let whole = rate.moved(0, at(5), i64::from(share * weight));
        prop_assert!(rate.draw(whole, at(5), ask).is_none());
    }

    #[test]
    fn any_numbers_and_times_give_an_answer(
        rate in rates(), state: u64, now: u64, cost: u32, weight: u32, tokens: i64, micros: u64,
    ) {
        let (now, ask) = (at(now), Draw { cost, weight });
        if let Some(drawn) = rate.draw(state, now, ask) {
            prop_assert!(drawn >= state || cost == 0);
        }
        prop_assert!(rate.remaining(state, now) <= rate.burst());
        let told = (rate.wait(state, now, ask), rate.refill(state, now), rate.used(state, now));
        prop_assert!(told.0 >= Duration::ZERO);
        prop_assert!(rate.moved(state, now, tokens) >= rate.ticks(now));
        prop_assert!(rate.with_used(micros, now) >= rate.ticks(now));
    }
}

#[test]
fn a_million_takes_of_a_limit_that_does_not_divide_its_period_do_not_drift() {
    for (limit, period) in [(3, SECOND), (999_999, SECOND), (7, Duration::from_secs(366 * 86_400))]
    {
        let rate = Rate::new(limit, period, 2).unwrap();
        let takes = u128::from(u64::MAX / 2) * u128::from(limit) / period.as_nanos();
        let mut state = rate.draw(0, at(0), Draw::whole(2)).unwrap();
        for number in 1..=takes.min(1_000_000) {
            let due = (number * period.as_nanos()).div_ceil(u128::from(limit));
            let due = u64::try_from(due).unwrap();
            assert_eq!(one(&rate, state, due - CLOCK_NANOS - 1), None, "{limit}: {number}");
            state = one(&rate, state, due + CLOCK_NANOS).unwrap();
        }
    }
}

#[test]
fn who_always_asks_gets_the_limit_exactly_however_long_it_goes_on() {
    for limit in [3, 7, 999] {
        let rate = per_second(limit, limit);
        let (mut state, mut allowed) = (0, 0_u64);
        let seconds = 100;
        for step in 0..seconds * 2_000 {
            if let Some(drawn) = one(&rate, state, step * NANOS / 2_000) {
                (state, allowed) = (drawn, allowed + 1);
            }
        }
        // the burst at once, and then the limit in each second
        let expected = u64::from(limit) * (seconds + 1);
        assert!((expected - 1..=expected).contains(&allowed), "{limit}: {allowed}");
    }
}

#[test]
fn a_burst_at_the_first_instant_passes_and_no_more() {
    let rate = per_second(10, 3);
    let mut state = 0;
    for left in [2, 1, 0] {
        state = one(&rate, state, 0).unwrap();
        assert_eq!(rate.remaining(state, at(0)), left);
    }
    assert_eq!(one(&rate, state, 0), None);
    assert_eq!(rate.wait(state, at(0), Draw::whole(1)), Duration::from_millis(100));
    assert_eq!(rate.wait(state, at(0), Draw::whole(3)), Duration::from_millis(300));
    assert_eq!(rate.refill(state, at(0)), Duration::from_millis(300));
}

#[test]
fn a_cost_of_the_burst_fits_once_one_beyond_it_never_and_none_always() {
    let rate = per_second(10, 5);
    let empty = rate.draw(0, at(0), Draw::whole(5)).unwrap();
    assert_eq!(rate.draw(empty, at(0), Draw::whole(1)), None);
    assert_eq!(rate.draw(empty, at(0), Draw::whole(0)), Some(empty));
    assert_eq!(rate.wait(empty, at(0), Draw::whole(0)), Duration::ZERO);
    assert_eq!(rate.draw(0, at(u64::from(u32::MAX)), Draw::whole(6)), None);
}

#[test]
fn a_cost_beyond_the_burst_fits_no_rate_however_slow() {
    let slow = Rate::new(1, PERIOD_MAX, 2).unwrap();
    for cost in [3, 1 << 10, 1 << 20, u32::MAX] {
        assert_eq!(slow.draw(0, at(0), Draw::whole(cost)), None, "{cost}");
        assert_eq!(slow.draw(0, at(0), Draw { cost, weight: u32::MAX }), None, "{cost}");
    }
}

#[test]
fn after_a_hundred_years_a_bucket_is_full_and_no_fuller() {
    const YEARS: u64 = 100 * 366 * 86_400 * NANOS;
    for rate in [per_second(3, 2), Rate::new(1, PERIOD_MAX, 2).unwrap(), per_second(LIMIT_MAX, 2)] {
        let empty = rate.draw(0, at(0), Draw::whole(2)).unwrap();
        assert_eq!(rate.remaining(empty, at(YEARS)), 2);
        let again = rate.draw(empty, at(YEARS), Draw::whole(2)).unwrap();
        assert_eq!(rate.draw(again, at(YEARS), Draw::whole(1)), None);
    }
}

#[test]
fn a_clock_that_goes_back_gives_nothing_again_and_takes_nothing() {
    let rate = per_second(1, 2);
    let later = 100 * NANOS;
    let state = one(&rate, 0, later).unwrap();
    let state = one(&rate, state, later).unwrap();
    assert_eq!(one(&rate, state, later - NANOS), None);
    assert_eq!(one(&rate, state, 0), None);
    assert_eq!(rate.remaining(state, at(later - NANOS)), 0);
    let state = one(&rate, state, later + NANOS).unwrap();
    assert_eq!(one(&rate, state, later + NANOS), None);
}

#[test]
fn another_limit_counts_what_was_taken_already() {
    let ten = per_second(10, 10);
    let state = ten.draw(0, at(NANOS), Draw::whole(10)).unwrap();
    for (limit, burst, left, used) in [(20, 20, 10, 10), (5, 5, 0, 10), (10, 12, 2, 10)] {
        let other = per_second(limit, burst);
        let state = other.taken_over(&ten, state, at(NANOS));
        assert_eq!(other.remaining(state, at(NANOS)), left);
        assert_eq!(other.used(state, at(NANOS)), used * MICROS_A_TOKEN);
    }
    let a_minute = Rate::new(10, Duration::from_secs(60), 10).unwrap();
    let state = a_minute.taken_over(&ten, state, at(NANOS));
    assert_eq!(a_minute.remaining(state, at(NANOS)), 0);
    assert_eq!(a_minute.refill(state, at(NANOS)), Duration::from_secs(60));
}

#[test]
fn what_is_put_back_is_there_again_but_never_more_than_the_burst() {
    let rate = per_second(10, 5);
    let state = rate.moved(0, at(NANOS), 4);
    assert_eq!(rate.remaining(rate.moved(state, at(NANOS), -3), at(NANOS)), 4);
    let full = rate.moved(state, at(NANOS), -9);
    assert_eq!(
        rate.draw(full, at(NANOS), Draw::whole(5)).map(|state| one(&rate, state, NANOS)),
        Some(None)
    );
    // what is settled may overdraw, and is then waited for
    let overdrawn = rate.moved(0, at(NANOS), 15);
    assert_eq!(rate.remaining(overdrawn, at(NANOS)), 0);
    assert_eq!(rate.wait(overdrawn, at(NANOS), Draw::whole(1)), Duration::from_millis(1_100));
    assert_eq!(rate.draw(overdrawn, at(NANOS), Draw::whole(0)), Some(overdrawn));
    assert_eq!(rate.wait(overdrawn, at(NANOS), Draw::whole(0)), Duration::ZERO);
}

/// How many requests of a cost one replica of so many admits, from a full bucket, in so many periods.
fn admitted(rate: &Rate, draw: Draw, periods: u64) -> u64 {
    let period = u64::try_from(rate.period().as_nanos()).unwrap();
    let (mut state, mut admitted) = (0, 0);
    for step in 0..=periods * 1_000 {
        while let Some(drawn) = rate.draw(state, at(NANOS + period / 1_000 * step), draw) {
            (state, admitted) = (drawn, admitted + 1);
        }
    }
    admitted
}

#[test]
fn replicas_that_do_not_hear_of_each_other_share_a_limit() {
    const PERIODS: u64 = 20;
    for (limit, burst, cost, weight) in
        [(12, 12, 1, 3), (12, 12, 1, 5), (10, 2, 1, 4), (60, 6, 3, 4), (60, 6, 6, 4), (7, 1, 1, 9)]
    {
        let rate = per_second(limit, burst);
        let each = admitted(&rate, Draw { cost, weight }, PERIODS) * u64::from(cost);
        let all = each * u64::from(weight);
        let gained = u64::from(limit) * PERIODS;
        let lent = u64::from(weight * cost.max(burst / weight));
        assert!(all <= gained + lent.max(burst.into()), "{limit} {burst} {cost} {weight}: {all}");
        let lost = u64::from(weight * cost);
        assert!(all + lost >= gained, "{limit} {burst} {cost} {weight}: {all}");
    }
}

#[test]
fn a_share_is_waited_for_as_long_as_it_takes() {
    // of two in a second each of four has one in two seconds
    let rate = per_second(2, 2);
    let ask = Draw { cost: 1, weight: 4 };
    let state = rate.draw(0, at(0), ask).unwrap();
    assert_eq!(rate.draw(state, at(0), ask), None);
    assert_eq!(rate.wait(state, at(0), ask), Duration::from_secs(2));
    assert!(rate.draw(state, at(2 * NANOS), ask).is_some());
    assert!(rate.draw(state, at(2 * NANOS - CLOCK_NANOS - 1), ask).is_none());
}

#[test]
fn numbers_beyond_their_bounds_make_no_rate() {
    let (year, milli) = (Duration::from_secs(366 * 86_400), Duration::from_millis(1));
    let nano = Duration::from_nanos(1);
    for (limit, period, burst, expected) in [
        (0, SECOND, 1, Err(InvalidRate::Limit)),
        (1, SECOND, 1, Ok(())),
        (1_000_000_000, SECOND, 1, Ok(())),
        (1_000_000_001, SECOND, 1, Err(InvalidRate::Limit)),
        (1, milli, 1, Ok(())),
        (1, Duration::from_micros(999), 1, Err(InvalidRate::Period)),
        (1, milli + nano, 1, Err(InvalidRate::Period)),
        (1, milli + Duration::from_micros(1), 1, Ok(())),
        (1, year, 1, Ok(())),
        (1, year + Duration::from_micros(1), 1, Err(InvalidRate::Period)),
        (1, Duration::ZERO, 1, Err(InvalidRate::Period)),
        (1, Duration::MAX, 1, Err(InvalidRate::Period)),
        (1, SECOND, 0, Err(InvalidRate::Burst)),
        (1, SECOND, 1_000_000_000, Ok(())),
        (1, SECOND, 1_000_000_001, Err(InvalidRate::Burst)),
        (1_000_000, milli, 1, Ok(())),
        (1_000_001, milli, 1, Err(InvalidRate::TooFast)),
        (1, year, 100, Ok(())),
        (1, year, 101, Err(InvalidRate::TooSlow)),
        (2, year, 200, Ok(())),
        (2, year, 201, Err(InvalidRate::TooSlow)),
    ] {
        let made = Rate::new(limit, period, burst).map(|_| ());
        assert_eq!(made, expected, "{limit} in {period:?}, {burst} at once");
    }
}
