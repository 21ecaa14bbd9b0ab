//! Decisions as they are noted: what was asked, by which key, and what came of it.

mod filter;
mod page;

use std::{fmt, net::IpAddr};

use thiserror::Error;

use crate::model::{id::KeyId, time::Timestamp};

pub use filter::{DecisionFilter, Verdict};
pub use page::Page;

const PREFIX: &str = "dec_";
const DIGITS_OF_THREAD: usize = 16;
const DIGITS_OF_COUNT_MAX: usize = 16;

/// What a decision is called. Unique without any word between threads: a random number for each thread,
/// and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecisionId {
    /// The random number of the thread.
    pub thread: u64,
    /// Counts the thread's decisions.
    pub count: u64,
}

/// A text that is not the id of a decision.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be `dec_` and 17 to 32 of the digits 0-9 and a-f")]
pub struct InvalidDecisionId;

impl DecisionId {
    /// The one that sorts before all others.
    pub const FIRST: Self = Self { thread: 0, count: 0 };

    /// From the bytes of a stored id.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        let half = |half: u128| u64::try_from(half).unwrap_or(0);
        Self { thread: half(number >> 64), count: half(number & u128::from(u64::MAX)) }
    }

    /// The bytes to store.
    pub fn bytes(self) -> [u8; 16] {
        (u128::from(self.thread) << 64 | u128::from(self.count)).to_be_bytes()
    }

    /// Reads `dec_…`, as it is shown.
    pub fn parse(text: &str) -> Result<Self, InvalidDecisionId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidDecisionId)?;
        let small = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let parts = digits.split_at_checked(DIGITS_OF_THREAD).ok_or(InvalidDecisionId)?;
        let (thread, count) = parts;
        let fits = (1..=DIGITS_OF_COUNT_MAX).contains(&count.len()) && digits.bytes().all(small);
        if !fits || (count.len() > 1 && count.starts_with('0')) {
            return Err(InvalidDecisionId);
        }
        let number = |digits| u64::from_str_radix(digits, 16).or(Err(InvalidDecisionId));
        Ok(Self { thread: number(thread)?, count: number(count)? })
    }
}

/// `dec_`, sixteen digits of the thread, and the count without leading zeros.
impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:016x}{:x}", self.thread, self.count)
    }
}

/// How a decision was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By `Authorize`.
    Authorize,
    /// In a batch.
    Batch,
    /// In a stream.
    Stream,
    /// By Envoy.
    ExtAuthz,
    /// By another proxy, over HTTP.
    ForwardAuth,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Authorize, Self::Batch, Self::Stream, Self::ExtAuthz, Self::ForwardAuth];

    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::ExtAuthz => "ext_authz",
            Self::ForwardAuth => "forward_auth",
        }
    }

    /// Reads the stored form; what nobody wrote counts as the plainest way.
    pub fn from_stored(text: &str) -> Self {
        let found = Self::ALL.into_iter().find(|way| way.as_str() == text);
        found.unwrap_or(Self::Authorize)
    }
}

/// One decision. An empty text: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was.
    pub time: Timestamp,
    /// What it is called.
    pub id: DecisionId,
    /// Why it was denied, as programs match on it, such as `KEY_UNKNOWN`; empty: it was allowed.
    pub reason: &'a str,
    /// The key, if its presenter may know of it.
    pub key: Option<KeyId>,
    /// The key's domain.
    pub domain: &'a str,
    /// The environment that asked.
    pub environment: &'a str,
    /// The key's user.
    pub user: &'a str,
    /// The customer of the request.
    pub customer: &'a str,
    /// The method of the request.
    pub method: &'a str,
    /// The route of the request, without a query.
    pub route: &'a str,
    /// What was needed; empty if the route map was to say.
    pub permission: &'a str,
    /// The limit that denied it, as in `user/hourly`.
    pub limit: &'a str,
    /// The client's address; if that was not told, where the question came from.
    pub address: Option<IpAddr>,
    /// How it was asked for.
    pub way: Way,
    /// The revision of what it was decided with.
    pub revision: i64,
}

impl Entry<'_> {
    /// Whether it was allowed.
    pub const fn is_allowed(&self) -> bool {
        self.reason.is_empty()
    }
}

#[cfg(test)]
mod tests;
