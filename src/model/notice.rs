//! Notices of keys that are about to expire: which ones are due, and what they tell.

use std::{fmt, time::Duration};

use thiserror::Error;

use crate::model::{
    id::KeyId,
    job::{JobKind, JobState},
    time::Timestamp,
};

const PREFIX: &str = "msg_";
const KEY_PREFIX: &str = "key_";

/// The id of a notice: `msg_` and digits as in the id of a key. It is the same each time the notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeId(KeyId);

impl NoticeId {
    /// From an id that is stored.
    pub const fn new(id: KeyId) -> Self {
        Self(id)
    }

    /// What is stored of it.
    pub const fn stored(self) -> KeyId {
        self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "{PREFIX}{}", text.strip_prefix(KEY_PREFIX).unwrap_or_default())
    }
}

/// How long before its end a key is told of: from the shortest time to the longest, at least one and no
/// two the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(Vec<Duration>);

/// Times that cannot be thresholds.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 10 different times in whole seconds, from 1s to 366d, as in `30d,7d,1d`")]
pub struct InvalidThresholds;

/// Keys whose ends lie in a span, and the threshold that they have passed by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Only keys that end after this.
    pub after: Timestamp,
    /// Only keys that end then or before.
    pub until: Timestamp,
    /// The shortest threshold that they have passed.
    pub threshold: Duration,
}

impl Thresholds {
    const COUNT_MAX: usize = 10;
    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// Puts them in order.
    pub fn new(mut times: Vec<Duration>) -> Result<Self, InvalidThresholds> {
        times.sort_unstable();
        let count = times.len();
        times.dedup();
        let counted = (1..=Self::COUNT_MAX).contains(&count) && times.len() == count;
        let fits =
            |time: &Duration| (Self::MIN..=Self::MAX).contains(time) && time.subsec_nanos() == 0;
        if counted && times.iter().all(fits) { Ok(Self(times)) } else { Err(InvalidThresholds) }
    }

    /// Where to look for keys now. Each key that ends after `late_since`, and not later than the longest
    /// threshold from now, is in exactly one of them.
    pub fn windows(&self, late_since: Timestamp, now: Timestamp) -> Vec<Window> {
        let mut after = late_since.min(now);
        let windows = self.0.iter().map(|threshold| {
            let until = now.after(*threshold);
            let window = Window { after, until, threshold: *threshold };
            after = until;
            window
        });
        windows.collect()
    }
}

/// A notice that waits to be sent, with what it tells of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Never changes.
    pub id: NoticeId,
    /// Which key.
    pub key: KeyId,
    /// When the key ends, or was to end when the notice was made.
    pub expire_time: Timestamp,
    /// How long before that the notice was due.
    pub threshold: Duration,
    /// When it became due.
    pub make_time: Timestamp,
    /// How often it was sent in vain.
    pub tries: u32,
    /// The key, if it is still to be told of: it is active, ends when it did, and no notice of a shorter
    /// threshold was made.
    pub told: Option<Told>,
}

/// What a notice tells of a key besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// For people.
    pub display_name: Box<str>,
    /// What may be shown of its token.
    pub hint: Box<str>,
    /// Its tenant.
    pub domain: Box<str>,
    /// Where it works.
    pub environment: Box<str>,
    /// Whom it acts for.
    pub user: Option<Box<str>>,
    /// The customers that it may act for.
    pub customers: Vec<String>,
    /// Who made it.
    pub created_by: Box<str>,
}

/// What metrics tell of keys, jobs and notices in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Keys that are active but for their end, which came within the last day.
    pub expired: i64,
    /// Keys that are active and end within one day, seven and thirty.
    pub expiring: [i64; 3],
    /// Jobs of a kind that are in a state, and when the last of them ended.
    pub jobs: Vec<(JobKind, JobState, i64, Option<Timestamp>)>,
    /// Notices that wait to be sent.
    pub waiting: i64,
    /// When the oldest of them became due.
    pub waiting_since: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
