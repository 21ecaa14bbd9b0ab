//! Counting where one thread writes and others read now and then.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A number that one thread adds to and others read. Two threads that add at the same time lose some: an
/// atomic addition would cost the only one some twenty cycles each time.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds. For one thread alone.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The bounds of a histogram's buckets, in nanoseconds: from a microsecond, which a decision takes, to a
/// second.
pub const BOUNDS_NANOS: [u64; 19] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];
/// The last one has no bound.
const BUCKETS: usize = BOUNDS_NANOS.len() + 1;

/// How long things took. One thread adds.
#[derive(Debug, Default)]
pub struct Timing {
    buckets: [Count; BUCKETS],
    nanos: Count,
}

impl Timing {
    /// Adds so many that took so long each. For one thread alone.
    #[inline]
    pub fn add(&self, many: u64, each: Duration) {
        let nanos = nanos(each);
        if let Some(bucket) = self.buckets.get(bucket(nanos)) {
            bucket.add(many);
        }
        self.nanos.add(nanos.saturating_mul(many));
    }

    /// What there is by now.
    pub fn spread(&self) -> Spread {
        Spread { buckets: std::array::from_fn(|at| of(&self.buckets, at)), nanos: self.nanos.get() }
    }
}

fn of(buckets: &[Count; BUCKETS], at: usize) -> u64 {
    buckets.get(at).map_or(0, Count::get)
}

/// How long things took, for several threads that add.
#[derive(Debug, Default)]
pub struct SharedTiming {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl SharedTiming {
    /// Adds one.
    pub fn add(&self, took: Duration) {
        let nanos = nanos(took);
        if let Some(bucket) = self.buckets.get(bucket(nanos)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// What there is by now.
    pub fn spread(&self) -> Spread {
        let load = |at| self.buckets.get(at).map_or(0, |bucket: &AtomicU64| bucket.load(Relaxed));
        Spread { buckets: std::array::from_fn(load), nanos: self.nanos.load(Relaxed) }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Most things take little, so that the first bounds are looked at first.
fn bucket(nanos: u64) -> usize {
    BOUNDS_NANOS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS_NANOS.len())
}

/// How many took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many there are between the bound before and that of [`BOUNDS_NANOS`]; the last are above all.
    pub buckets: [u64; BUCKETS],
    /// How long all of them took together, in nanoseconds.
    pub nanos: u64,
}

impl Spread {
    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}
