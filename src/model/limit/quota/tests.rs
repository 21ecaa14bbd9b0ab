//! Periods against a calendar that is walked through day by day.

use proptest::prelude::*;

use super::*;

fn quota(period: Period) -> Quota {
    Quota::new(10, period).unwrap()
}

fn fixed(seconds: u64) -> Period {
    Period::Fixed(FixedPeriod::new(Duration::from_secs(seconds)).unwrap())
}

fn window(start: i64, end: i64) -> Window {
    Window { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) }
}

fn window_at(period: Period, micros: i64) -> Window {
    quota(period).window(Timestamp::from_micros(micros))
}

fn days_in(year: i64, month: usize) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days[month] + i64::from(leap && month == 1)
}

/// Each day's first and last instant, and an instant within it, lie in these months.
fn assert_month(first_day: i64, days: i64) {
    let expected = window(first_day * MICROS_A_DAY, (first_day + days) * MICROS_A_DAY);
    for day in first_day..first_day + days {
        let midnight = day * MICROS_A_DAY;
        for micros in [midnight, midnight + 12_345_678_901, midnight + MICROS_A_DAY - 1] {
            assert_eq!(window_at(Period::Month, micros), expected, "day {day}");
        }
        let day = window(midnight, midnight + MICROS_A_DAY);
        assert_eq!(window_at(Period::Day, midnight), day);
        assert_eq!(window_at(Period::Day, midnight + MICROS_A_DAY - 1), day);
    }
}

#[test]
fn months_are_those_of_the_calendar_from_1970_to_2400_and_back_to_1500() {
    let mut day = 0;
    for year in 1970..=2400 {
        for month in 0..12 {
            let days = days_in(year, month);
            assert_month(day, days);
            day += days;
        }
    }
    let mut day = 0;
    for year in (1500..1970).rev() {
        for month in (0..12).rev() {
            let days = days_in(year, month);
            day -= days;
            assert_month(day, days);
        }
    }
}

#[test]
fn known_dates_lie_in_their_months() {
    const SECOND: i64 = MICROS_A_SECOND;
    for (start, end) in [
        (951_868_800, 954_547_200),     // March 2000, after a leap day
        (949_363_200, 951_868_800),     // February 2000, of 29 days
        (4_105_123_200, 4_107_542_400), // February 2100, of 28 days
        (1_704_067_200, 1_706_745_600), // January 2024
        (-2_678_400, 0),                // December 1969
    ] {
        let expected = window(start * SECOND, end * SECOND);
        assert_eq!(window_at(Period::Month, start * SECOND), expected);
        assert_eq!(window_at(Period::Month, end * SECOND - 1), expected);
        assert_eq!(window_at(Period::Month, end * SECOND).start, expected.end);
    }
}

#[test]
fn numbers_beyond_their_bounds_make_no_quota() {
    let most = 100_000_000_000_000;
    for (limit, fits) in [(-1, false), (0, true), (most, true), (most + 1, false)] {
        assert_eq!(Quota::new(limit, Period::Day).is_ok(), fits, "{limit}");
    }
    let years = 100 * 366 * 86_400;
    for (span, fits) in [
        (Duration::from_secs(59), false),
        (Duration::from_secs(60), true),
        (Duration::from_millis(60_500), false),
        (Duration::from_secs(years), true),
        (Duration::from_secs(years + 1), false),
        (Duration::ZERO, false),
        (Duration::MAX, false),
    ] {
        let made = FixedPeriod::new(span);
        assert_eq!(made.map(FixedPeriod::span).ok(), fits.then_some(span), "{span:?}");
    }
}

#[test]
fn a_period_of_another_form_is_refused() {
    for text in ["", "days", "Day", "MONTH", "week", "59", "-60", "60s", "60.0", " 60"] {
        assert_eq!(text.parse::<Period>(), Err(InvalidQuota::Period), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_instant_lies_in_its_period_and_the_next_one_begins_where_it_ends(
        micros in Timestamp::FIRST.micros()..=Timestamp::LAST.micros(), seconds in 60..=SECONDS_MAX,
    ) {
        for period in [Period::Day, Period::Month, fixed(seconds)] {
            let window = window_at(period, micros);
            prop_assert!(window.start.micros() <= micros && micros < window.end.micros());
            prop_assert_eq!(window_at(period, window.end.micros()).start, window.end);
            prop_assert_eq!(window_at(period, window.start.micros() - 1).end, window.start);
            prop_assert_eq!(window_at(period, window.end.micros() - 1), window);
        }
        let length = i64::try_from(seconds).unwrap() * MICROS_A_SECOND;
        let window = window_at(fixed(seconds), micros);
        prop_assert_eq!(window.start.micros() % length, 0);
        prop_assert_eq!(window.span(), Duration::from_secs(seconds));
    }

    #[test]
    fn any_instant_at_all_has_a_period(micros: i64, seconds in 60..=SECONDS_MAX) {
        for period in [Period::Day, Period::Month, fixed(seconds)] {
            let window = window_at(period, micros);
            prop_assert!(window.start <= window.end);
        }
    }

    #[test]
    fn a_period_is_read_as_it_is_written(seconds in 60..=SECONDS_MAX) {
        for period in [Period::Day, Period::Month, fixed(seconds)] {
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }
    }
}
