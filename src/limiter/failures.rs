//! Tries that failed, by where they came from: who fails too often is not looked at for a while.
//!
//! A table of fixed size, however many addresses there are. Each slot is one atomic with a tag, by which
//! the address is recognised, and the time by which its failures are forgiven (GCRA in milliseconds). A
//! lookup reads one line of memory. Where a bucket is full, the address that is nearest to being
//! forgiven makes room: it is then not throttled although it should be. Who should not be is only if its tag of 24
//! bits is that of one of eight others.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use thiserror::Error;

use crate::model::time::BootTime;

/// With 8 slots of 8 bytes each: 4 MiB, 524,288 addresses.
const BUCKETS: usize = 1 << 16;
const SLOTS: usize = 8;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// How many tries may fail: so many in a period, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimit {
    /// How many.
    count: u32,
    /// The time after which one failure is forgiven, in milliseconds.
    interval: u64,
}

/// Numbers that make no limit.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "must be off, or 1 to 1000000 in 1ms to 1d each, such as 60/1m, one each millisecond at most"
)]
pub struct InvalidFailureLimit;

impl FailureLimit {
    /// So many in a period.
    pub fn new(count: u32, period: Duration) -> Result<Self, InvalidFailureLimit> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let fits = (1..=1_000_000).contains(&count) && period <= DAY;
        let interval = period.as_millis().checked_div(count.into()).unwrap_or(0);
        match u64::try_from(interval) {
            Ok(interval) if fits && interval > 0 => Ok(Self { count, interval }),
            _ => Err(InvalidFailureLimit),
        }
    }

    /// How far ahead of now failures may be, before there is one too many.
    fn whole(&self) -> u64 {
        u64::from(self.count - 1) * self.interval
    }
}

/// Where a try comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From a client, as who asks says. Of IPv6 a whole /64 counts as one, since that is what one
    /// subscriber has.
    Client(IpAddr),
    /// From who asks, who did not say for whom.
    Peer(IpAddr),
}

/// Counts failed tries.
#[derive(Debug)]
pub struct Failures {
    clients: Option<FailureLimit>,
    peers: Option<FailureLimit>,
    buckets: Box<[Bucket]>,
    /// When all failures are forgiven, in milliseconds since boot: then nobody has to wait.
    forgiven_at: AtomicU64,
    hasher: RandomState,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([AtomicU64; SLOTS]);

impl Failures {
    /// With these limits; without one, those are not counted.
    pub fn new(clients: Option<FailureLimit>, peers: Option<FailureLimit>) -> Self {
        let buckets = if clients.is_some() || peers.is_some() { BUCKETS } else { 0 };
        let buckets = std::iter::repeat_with(Bucket::default).take(buckets).collect();
        let forgiven_at = AtomicU64::new(0);
        Self { clients, peers, buckets, forgiven_at, hasher: RandomState::new() }
    }

    /// How long until a try from there is looked at; `None` if it is.
    pub fn wait(&self, source: Source, now: BootTime) -> Option<Duration> {
        let limit = self.limit(source)?;
        if millis(now) >= self.forgiven_at.load(Relaxed) {
            return None;
        }
        let (bucket, tag) = self.place(source)?;
        let slot = bucket.0.iter().map(|slot| slot.load(Relaxed)).find(|slot| is_of(*slot, tag))?;
        let wait = time_of(slot).saturating_sub(millis(now)).checked_sub(limit.whole())?;
        (wait > 0).then(|| Duration::from_millis(wait))
    }

    /// Notes that a try from there failed.
    pub fn note(&self, source: Source, now: BootTime) {
        let Some(limit) = self.limit(source) else { return };
        let Some((bucket, tag)) = self.place(source) else { return };
        let now = millis(now);
        // who loses a race tries again, and gives up soon: one failure more or less does not matter
        for _ in 0..SLOTS {
            let slots = bucket.0.iter().map(|slot| (slot, slot.load(Relaxed)));
            let own = slots.clone().find(|(_, value)| is_of(*value, tag));
            let Some((slot, old)) = own.or_else(|| slots.min_by_key(|(_, value)| time_of(*value)))
            else {
                return;
            };
            let before = if is_of(old, tag) { time_of(old) } else { 0 };
            // more than one too many are as good as one: who stops is forgiven in an interval
            let time = before.max(now) + limit.interval;
            let time = time.min(now + limit.whole() + limit.interval).min(TIME_MASK);
            let new = tag << TIME_BITS | time;
            if slot.compare_exchange(old, new, Relaxed, Relaxed).is_ok() {
                self.forgiven_at.fetch_max(time, Relaxed);
                return;
            }
        }
    }

    const fn limit(&self, source: Source) -> Option<FailureLimit> {
        match source {
            Source::Client(_) => self.clients,
            Source::Peer(_) => self.peers,
        }
    }

    fn place(&self, source: Source) -> Option<(&Bucket, u64)> {
        let hash = self.hasher.hash_one(grouped(source));
        let bucket = usize::try_from(hash % (1 << 16)).ok()?;
        // 0 is an empty slot's
        let tag = (hash >> TIME_BITS).max(1);
        Some((self.buckets.get(bucket)?, tag))
    }
}

fn grouped(source: Source) -> Source {
    let group = |address: IpAddr| match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    };
    match source {
        Source::Client(address) => Source::Client(group(address)),
        Source::Peer(address) => Source::Peer(group(address)),
    }
}

const fn is_of(slot: u64, tag: u64) -> bool {
    slot >> TIME_BITS == tag
}

const fn time_of(slot: u64) -> u64 {
    slot & TIME_MASK
}

const fn millis(now: BootTime) -> u64 {
    now.nanos() / 1_000_000
}

#[cfg(test)]
mod tests;
