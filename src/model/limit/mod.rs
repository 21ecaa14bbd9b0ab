//! Limits: how much a key, or all keys of a user, a customer or a domain, may be used.

pub mod quota;
pub mod rate;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use thiserror::Error;

use crate::model::name::{InvalidName, LimitName};
use quota::{InvalidQuota, Period, Quota};
use rate::{InvalidRate, Rate};

const LIMITS_MAX: usize = 8;
const SLOTS_MAX: u32 = 10_000;

/// A limit with its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit {
    /// Its name, once in a list.
    pub name: LimitName,
    /// What it limits.
    pub rule: Rule,
}

/// What a limit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// How often.
    Rate(Rate),
    /// How much in a calendar period.
    Quota(Quota),
    /// How many at a time.
    Concurrency(Slots),
}

/// How many reservations may be open at a time: 1 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slots(u32);

/// Something that is no limit, or no list of limits.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidLimit {
    /// Its name.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// Numbers of a rate.
    #[error("{0}")]
    Rate(#[from] InvalidRate),
    /// Numbers of a quota.
    #[error("{0}")]
    Quota(#[from] InvalidQuota),
    /// Numbers of a concurrency limit.
    #[error("must be 1 to {SLOTS_MAX}")]
    Slots,
    /// A name twice.
    #[error("has the name of another one")]
    Duplicate,
    /// A list that is too long.
    #[error("must be {LIMITS_MAX} at most")]
    TooMany,
    /// Stored text of another form.
    #[error("is no limit")]
    Form,
}

impl Slots {
    /// So many at a time.
    pub fn new(limit: u32) -> Result<Self, InvalidLimit> {
        let fits = (1..=SLOTS_MAX).contains(&limit);
        fits.then_some(Self(limit)).ok_or(InvalidLimit::Slots)
    }

    /// How many at a time.
    pub const fn limit(self) -> u32 {
        self.0
    }
}

/// The stored form, without blanks: name, kind, numbers.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        match &self.rule {
            Rule::Rate(rate) => {
                let micros = rate.period().as_micros();
                write!(f, "rate:{}:{micros}:{}", rate.limit(), rate.burst())
            }
            Rule::Quota(quota) => {
                write!(f, "quota:{}:{}", quota.limit(), quota.period())
            }
            Rule::Concurrency(slots) => write!(f, "concurrency:{}", slots.limit()),
        }
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    /// Reads the stored form.
    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, rule) = match parts.as_slice() {
            [name, "rate", limit, micros, burst] => {
                let period = Duration::from_micros(number(micros)?);
                (name, Rule::Rate(Rate::new(number(limit)?, period, number(burst)?)?))
            }
            [name, "quota", limit, period] => {
                (name, Rule::Quota(Quota::new(number(limit)?, period.parse()?)?))
            }
            [name, "concurrency", limit] => (name, Rule::Concurrency(Slots::new(number(limit)?)?)),
            _ => return Err(InvalidLimit::Form),
        };
        Ok(Self { name: LimitName::parse(name)?, rule })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, InvalidLimit> {
    text.parse().or(Err(InvalidLimit::Form))
}

/// The limits of one thing. None: it is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limits(Arc<[Limit]>);

impl Limits {
    /// A list of limits; an error says which of them is wrong.
    pub fn new(limits: Vec<Limit>) -> Result<Self, (usize, InvalidLimit)> {
        if limits.len() > LIMITS_MAX {
            return Err((LIMITS_MAX, InvalidLimit::TooMany));
        }
        for (at, limit) in limits.iter().enumerate() {
            if limits.iter().take(at).any(|earlier| earlier.name == limit.name) {
                return Err((at, InvalidLimit::Duplicate));
            }
        }
        Ok(Self(limits.into()))
    }

    /// Reads the stored form; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidLimit)> {
        let read = |(at, text): (usize, &T)| text.as_ref().parse().map_err(|error| (at, error));
        Self::new(texts.iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }

    /// What stands for limits that cannot be read: nothing passes.
    pub fn nothing() -> Self {
        let rule = Quota::new(0, Period::Day).map(Rule::Quota);
        let limit = |rule| Limit { name: LimitName::from_stored("unreadable"), rule };
        Self(rule.map(limit).into_iter().collect())
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one of this name.
    pub fn get(&self, name: &LimitName) -> Option<&Limit> {
        self.0.iter().find(|limit| limit.name == *name)
    }

    /// These and those of `others` that have other names, as far as there is room.
    pub fn with_others(&self, others: &Self) -> Result<Self, (usize, InvalidLimit)> {
        let rest = others.iter().filter(|other| self.get(&other.name).is_none());
        Self::new(self.iter().chain(rest).cloned().collect())
    }
}
