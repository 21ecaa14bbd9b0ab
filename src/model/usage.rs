//! How much keys are used: counts of one key in one hour, and questions about them.

use thiserror::Error;

use crate::model::{id::KeyId, name::DomainName, time::Timestamp, user::UserId};

const MICROS_OF_HOUR: i64 = 3_600_000_000;

/// What kept a key from being allowed something, in classes that ask for different help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialClass {
    /// The key, its user or its domain was stopped, or its time is over or has not come.
    Stopped,
    /// Another environment, address or customer than the key is for.
    Misplaced,
    /// It has not the permission, or the route is not one of its own.
    Forbidden,
    /// A limit.
    Limited,
}

/// How many classes of denials there are.
pub const DENIAL_CLASSES: usize = 4;

impl DenialClass {
    /// Where it stands among counts.
    pub const fn place(self) -> usize {
        match self {
            Self::Stopped => 0,
            Self::Misplaced => 1,
            Self::Forbidden => 2,
            Self::Limited => 3,
        }
    }
}

/// An hour of UTC, counted from 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u32);

impl Hour {
    /// The hour that an instant lies in; the first for what is before 1970.
    pub fn of(time: Timestamp) -> Self {
        Self(u32::try_from(time.micros() / MICROS_OF_HOUR).unwrap_or(0))
    }

    /// Its first instant.
    pub fn start(self) -> Timestamp {
        Timestamp::from_micros(i64::from(self.0) * MICROS_OF_HOUR)
    }
}

/// How much a key was used in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCount {
    /// The key.
    pub key: KeyId,
    /// The hour.
    pub hour: Hour,
    /// How often it was allowed something.
    pub allowed: u32,
    /// How often it was not, by class.
    pub denied: [u32; DENIAL_CLASSES],
    /// What the allowed requests cost.
    pub cost: u64,
}

impl HourCount {
    /// Nothing yet.
    pub const fn none(key: KeyId, hour: Hour) -> Self {
        Self { key, hour, allowed: 0, denied: [0; DENIAL_CLASSES], cost: 0 }
    }

    /// Whether nothing was counted.
    pub fn is_none(&self) -> bool {
        self.allowed == 0 && self.denied == [0; DENIAL_CLASSES]
    }

    /// Adds what was counted elsewhere of the same key and hour.
    pub fn add(&mut self, other: &Self) {
        self.allowed = self.allowed.saturating_add(other.allowed);
        self.cost = self.cost.saturating_add(other.cost);
        for (own, other) in self.denied.iter_mut().zip(other.denied) {
            *own = own.saturating_add(other);
        }
    }
}

/// How much time one row of an answer stands for, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Step {
    /// What PostgreSQL's `date_trunc` calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Whose usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageOf {
    /// One key's.
    Key(KeyId),
    /// That of all keys that were this user's when they were used.
    User(DomainName, UserId),
    /// That of all keys of a domain.
    Domain(DomainName),
    /// That of all keys that the caller reaches.
    All,
}

/// A span of time, its end not included; `None` is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// From when on.
    pub start: Option<Timestamp>,
    /// Until when.
    pub end: Option<Timestamp>,
}

/// A span that ends before it begins.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be after start_time")]
pub struct InvalidSpan;

impl Span {
    /// From one time to another.
    pub fn parse(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self, InvalidSpan> {
        match (start, end) {
            (Some(start), Some(end)) if end <= start => Err(InvalidSpan),
            _ => Ok(Self { start, end }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_begins_where_it_says() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        for (second, start) in [(0, 0), (3599, 0), (3600, 3600), (1_750_000_000, 1_749_999_600)] {
            assert_eq!(Hour::of(at(second)).start(), at(start));
        }
        assert_eq!(Hour::of(at(-1)).start(), at(0));
    }
}
