//! What tasks and listeners leave for whoever asks how they are. Any thread may write these.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    Gathering, SharedTiming, Source,
    gathering::number,
    table::{self, MODES},
};
use crate::model::time::{BootTime, Now, Timestamp};

/// How a replica hears of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowMode {
    /// It does not: there is no connection.
    Lost,
    /// It is not known yet whether it is notified; until then it polls.
    Probing,
    /// It is notified.
    Notify,
    /// It asks now and then.
    Poll,
}

impl FollowMode {
    #[expect(clippy::as_conversions, reason = "an enum without contents is its place")]
    const fn place(self) -> u8 {
        self as u8
    }
}

/// How the follower of the change log is.
#[derive(Debug, Default)]
pub struct Following {
    mode: AtomicU8,
    head: AtomicI64,
    loads: AtomicU64,
    load_nanos: AtomicU64,
    losses: AtomicU64,
}

impl Following {
    /// It hears of changes in this way from now on.
    pub fn goes(&self, mode: FollowMode) {
        self.mode.store(mode.place(), Relaxed);
    }

    /// The connection is lost.
    pub fn lost(&self) {
        self.losses.fetch_add(1, Relaxed);
        self.goes(FollowMode::Lost);
    }

    /// The database is at this revision.
    pub fn saw_head(&self, revision: i64) {
        self.head.store(revision, Relaxed);
    }

    /// All keys were loaded, which took so long.
    pub fn loaded(&self, took: Duration) {
        self.loads.fetch_add(1, Relaxed);
        self.load_nanos.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Source for Following {
    fn tell(&self, to: &mut Gathering) {
        let mode = MODES.get(usize::from(self.mode.load(Relaxed)));
        to.add_state(&table::FOLLOW_MODE, &MODES, mode.copied().unwrap_or_default());
        let head = u64::try_from(self.head.load(Relaxed)).unwrap_or(0);
        to.add(&table::HEAD_REVISION, &[], number(head));
        to.add(&table::LOADS, &[], number(self.loads.load(Relaxed)));
        to.add(&table::LOAD_DURATION, &[], seconds(self.load_nanos.load(Relaxed)));
        to.add(&table::LOSSES, &[], number(self.losses.load(Relaxed)));
    }
}

/// How a task is that carries a queue elsewhere.
#[derive(Debug)]
pub struct Flushing {
    queue: &'static str,
    /// When it last carried all, in microseconds since 1970; 0: never.
    at: AtomicI64,
    failures: AtomicU64,
}

impl Flushing {
    /// Of this queue, which is one of [`table::QUEUES`].
    pub const fn of(queue: &'static str) -> Self {
        Self { queue, at: AtomicI64::new(0), failures: AtomicU64::new(0) }
    }

    /// It carried all there was, or could not.
    pub fn ended<T, E>(&self, result: &Result<T, E>, now: Timestamp) {
        match result {
            Ok(_) => self.at.store(now.micros(), Relaxed),
            Err(_) => {
                self.failures.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Source for Flushing {
    fn tell(&self, to: &mut Gathering) {
        let micros = u64::try_from(self.at.load(Relaxed)).unwrap_or(0);
        to.add(&table::FLUSH_TIMESTAMP, &[self.queue], number(micros) / 1e6);
        to.add(&table::FLUSH_FAILURES, &[self.queue], number(self.failures.load(Relaxed)));
    }
}

/// How many secrets each pepper has, when that was last counted.
#[derive(Debug, Default)]
pub struct PepperCounts(Mutex<BTreeMap<String, u64>>);

impl PepperCounts {
    /// They were counted anew, by the ids of the peppers.
    pub fn set(&self, counts: BTreeMap<String, u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

impl Source for PepperCounts {
    fn tell(&self, to: &mut Gathering) {
        for (id, secrets) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            to.add(&table::PEPPER_SECRETS, &[id], number(*secrets));
        }
    }
}

/// When this replica last heard what the others take from limits.
#[derive(Debug)]
pub struct Syncing {
    heard: AtomicU64,
}

impl Syncing {
    /// It has not; its age counts from now.
    pub const fn since(now: BootTime) -> Self {
        Self { heard: AtomicU64::new(now.nanos()) }
    }

    /// It has told and heard all.
    pub fn heard(&self, now: BootTime) {
        self.heard.store(now.nanos(), Relaxed);
    }

    /// How long ago that was.
    pub fn age(&self, now: Now) -> Duration {
        now.boot.since(BootTime::from_nanos(self.heard.load(Relaxed)))
    }
}

/// The codes of gRPC, by their numbers.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Calls of the admin listener.
#[derive(Debug)]
pub struct Calls {
    /// What can be called, in order, and how it ended how often; the last is everything else.
    rpcs: Vec<(String, [AtomicU64; CODES.len()])>,
    timing: SharedTiming,
}

impl Calls {
    /// None yet of these, as `Service/Method`.
    pub fn new(rpcs: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<String> = rpcs.into_iter().collect();
        names.sort();
        names.dedup();
        names.push("other".to_owned());
        let none = |name| (name, std::array::from_fn(|_| AtomicU64::new(0)));
        Self { rpcs: names.into_iter().map(none).collect(), timing: SharedTiming::default() }
    }

    /// Which one a call is of, by its path without the package: `Service/Method`.
    pub fn place(&self, rpc: &str) -> usize {
        let last = self.rpcs.len().saturating_sub(1);
        let known = self.rpcs.get(..last).unwrap_or_default();
        known.binary_search_by(|(name, _)| name.as_str().cmp(rpc)).unwrap_or(last)
    }

    /// Counts one that ended with this code.
    pub fn ended(&self, place: usize, code: usize, took: Duration) {
        let of_rpc = self.rpcs.get(place);
        if let Some(count) = of_rpc.and_then(|(_, codes)| codes.get(code)) {
            count.fetch_add(1, Relaxed);
        }
        self.timing.add(took);
    }
}

impl Source for Calls {
    /// Of what was never called nothing is told, but for `OK`: most codes never come.
    fn tell(&self, to: &mut Gathering) {
        for (name, codes) in &self.rpcs {
            for (code, count) in CODES.iter().zip(codes) {
                let count = count.load(Relaxed);
                if count > 0 || *code == "OK" {
                    to.add(&table::ADMIN_CALLS, &[name, code], number(count));
                }
            }
        }
        to.add_spread(&table::ADMIN_CALL_DURATION, &[], self.timing.spread());
    }
}

fn seconds(nanos: u64) -> f64 {
    number(nanos) / 1e9
}
