//! How keys are used: the last use of each, counts by the hour, and questions about them.

use std::{fmt, hash::Hash};

use thiserror::Error;

use crate::model::{
    address::PackedAddress,
    customer::{CustomerId, CustomerNumber},
    id::KeyId,
    name::DomainName,
    time::Timestamp,
    user::UserId,
};

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

/// The last use of a key. Of two of one key the greater is the later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastUse {
    /// The key.
    pub key: KeyId,
    /// When, to the second.
    pub time: Timestamp,
    /// From where.
    pub address: PackedAddress,
}

/// What uses are counted of.
pub trait Counted: Copy + fmt::Debug + Eq + Hash + Ord {
    /// Stands where nothing is counted yet.
    const NOBODY: Self;

    /// A number that differs for most of them.
    fn spread(self) -> usize;
}

impl Counted for KeyId {
    const NOBODY: Self = Self::from_bytes([0; 16]);

    fn spread(self) -> usize {
        let [.., high, low] = *self.bytes();
        usize::from(u16::from_be_bytes([high, low]))
    }
}

impl Counted for CustomerNumber {
    const NOBODY: Self = Self::new(0);

    fn spread(self) -> usize {
        usize::from(self.low_bits())
    }
}

/// How much something was used in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCount<K> {
    /// What was used: a key, or the keys that acted for a customer.
    pub of: K,
    /// The hour.
    pub hour: Hour,
    /// How often something was allowed.
    pub allowed: u32,
    /// How often something was not, by class.
    pub denied: [u32; DENIAL_CLASSES],
    /// What the allowed requests cost.
    pub cost: u64,
}

impl<K> HourCount<K> {
    /// Nothing yet.
    pub const fn none(of: K, hour: Hour) -> Self {
        Self { of, hour, allowed: 0, denied: [0; DENIAL_CLASSES], cost: 0 }
    }

    /// Counts that something of this cost was allowed.
    pub fn allow(&mut self, cost: u32) {
        self.allowed = self.allowed.saturating_add(1);
        self.cost = self.cost.saturating_add(u64::from(cost));
    }

    /// Counts that something was denied.
    pub fn deny(&mut self, class: DenialClass) {
        if let Some(denied) = self.denied.get_mut(class.place()) {
            *denied = denied.saturating_add(1);
        }
    }

    /// Whether nothing was counted.
    pub fn is_none(&self) -> bool {
        self.allowed == 0 && self.denied == [0; DENIAL_CLASSES]
    }

    /// Adds what was counted elsewhere of the same thing and hour.
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
    /// That of all keys when they acted for this customer.
    Customer(DomainName, CustomerId),
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
