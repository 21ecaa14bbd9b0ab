//! Quotas: so many in a day, a month or a fixed period, counted from its beginning.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

use crate::model::time::Timestamp;

const LIMIT_MAX: i64 = 100_000_000_000_000;
const SECONDS_MIN: u64 = 60;
const SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;
const MICROS_A_SECOND: i64 = 1_000_000;
const MICROS_A_DAY: i64 = 24 * 60 * 60 * MICROS_A_SECOND;

/// A quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quota {
    limit: i64,
    period: Period,
}

/// After which time a quota begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// At midnight, UTC.
    Day,
    /// At the first midnight of a month, UTC.
    Month,
    /// At whole multiples of so many seconds since 1970-01-01, UTC.
    Fixed(FixedPeriod),
}

/// The stored form.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Month => f.write_str("month"),
            Self::Fixed(FixedPeriod(seconds)) => write!(f, "{seconds}"),
        }
    }
}

impl FromStr for Period {
    type Err = InvalidQuota;

    /// Reads the stored form.
    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        match text {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            seconds => {
                let seconds = seconds.parse().or(Err(InvalidQuota::Period))?;
                FixedPeriod::new(Duration::from_secs(seconds)).map(Self::Fixed)
            }
        }
    }
}

/// A whole number of seconds, from a minute to a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedPeriod(i64);

/// Numbers that make no quota.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidQuota {
    /// Less than nothing, or too much.
    #[error("must be 0 to {LIMIT_MAX}")]
    Limit,
    /// Too short or too long.
    #[error("must be whole seconds, from 1 minute to 100 years")]
    Period,
}

/// One period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant of the next one.
    pub end: Timestamp,
}

impl Quota {
    /// So many in a period.
    pub fn new(limit: i64, period: Period) -> Result<Self, InvalidQuota> {
        let fits = (0..=LIMIT_MAX).contains(&limit);
        fits.then_some(Self { limit, period }).ok_or(InvalidQuota::Limit)
    }

    /// How many in a period.
    pub const fn limit(&self) -> i64 {
        self.limit
    }

    /// How much there is in a period with credits.
    pub const fn with_credits(&self, credits: i64) -> i64 {
        self.limit.saturating_add(credits)
    }

    /// What is left of credits after a period: what was used beyond the quota was taken from them.
    pub fn credits_after(&self, credits: i64, used: i64) -> i64 {
        let beyond = used.saturating_sub(self.limit).max(0);
        credits.saturating_sub(beyond).max(0)
    }

    /// The period.
    pub const fn period(&self) -> Period {
        self.period
    }

    /// The period that an instant lies in.
    pub fn window(&self, now: Timestamp) -> Window {
        match self.period {
            Period::Day => fixed_window(now, MICROS_A_DAY),
            Period::Month => month_window(now),
            Period::Fixed(FixedPeriod(seconds)) => {
                fixed_window(now, seconds.saturating_mul(MICROS_A_SECOND))
            }
        }
    }
}

impl FixedPeriod {
    /// Checks the bounds.
    pub fn new(span: Duration) -> Result<Self, InvalidQuota> {
        let fits = (SECONDS_MIN..=SECONDS_MAX).contains(&span.as_secs());
        match i64::try_from(span.as_secs()) {
            Ok(seconds) if fits && span.subsec_nanos() == 0 => Ok(Self(seconds)),
            _ => Err(InvalidQuota::Period),
        }
    }

    /// The span.
    pub fn span(self) -> Duration {
        Duration::from_secs(u64::try_from(self.0).unwrap_or(SECONDS_MIN))
    }
}

impl Window {
    /// Its length.
    pub fn span(&self) -> Duration {
        let micros = self.end.micros().saturating_sub(self.start.micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

fn fixed_window(now: Timestamp, micros: i64) -> Window {
    let start = now.micros().saturating_sub(now.micros().rem_euclid(micros));
    let end = start.saturating_add(micros);
    Window { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) }
}

fn month_window(now: Timestamp) -> Window {
    let month = month_of(now.micros().div_euclid(MICROS_A_DAY));
    let first = |month: i64| Timestamp::from_micros(first_day(month).saturating_mul(MICROS_A_DAY));
    Window { start: first(month), end: first(month + 1) }
}

/// The number of the month, counted from January of the year 0, that a day since 1970 lies in.
///
/// The Gregorian calendar repeats after 400 years, which are 146 097 days; within these, years that
/// begin in March put the leap day last.
fn month_of(day: i64) -> i64 {
    let since_march_0 = day + 719_468;
    let era = since_march_0.div_euclid(146_097);
    let day = since_march_0.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    12 * (400 * era + year) + month_from_march + 2
}

/// The day since 1970 on which a month begins.
fn first_day(month: i64) -> i64 {
    let from_march = month - 2;
    let (year, month_from_march) = (from_march.div_euclid(12), from_march.rem_euclid(12));
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5;
    146_097 * era + 365 * year + year / 4 - year / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests;
