//! May this replica answer? It may while its data was known complete lately enough.

use std::{
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
    time::Duration,
};

use crate::model::time::BootTime;

/// When the data was last known complete. Written by the follower alone.
#[derive(Debug)]
pub struct Lease {
    /// Nanoseconds since boot; 0: never.
    complete_at: AtomicU64,
    staleness_max: Duration,
}

/// Why a replica cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It has not loaded the keys yet.
    Loading,
    /// Its data is older than it may be.
    Stale {
        /// How old it is.
        age: Duration,
    },
    /// It has not reached the revision that the caller wants.
    Behind {
        /// The one that it has reached.
        reached: i64,
    },
    /// It does not know the key, and there are keys that it could not know: they need a pepper that this
    /// process does not have.
    LacksPepper,
}

impl Lease {
    /// A lease that permits nothing yet.
    pub const fn new(staleness_max: Duration) -> Self {
        Self { complete_at: AtomicU64::new(0), staleness_max }
    }

    /// The data was complete at `asked`, an instant read *before* the database was asked.
    ///
    /// The data itself must be in place before this is called: a reader checks the lease first.
    pub fn extend(&self, asked: BootTime) {
        self.complete_at.fetch_max(asked.nanos(), Release);
    }

    /// The age of the data, or why it is not good enough. `now` must have been read after the
    /// request arrived.
    pub fn age(&self, now: BootTime) -> Result<Duration, NotReady> {
        match self.complete_at.load(Acquire) {
            0 => Err(NotReady::Loading),
            nanos => {
                let age = now.since(BootTime::from_nanos(nanos));
                if age <= self.staleness_max { Ok(age) } else { Err(NotReady::Stale { age }) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(number: u64) -> BootTime {
        BootTime::from_nanos(number * 1_000_000_000)
    }

    #[test]
    fn a_new_lease_permits_nothing() {
        let lease = Lease::new(Duration::MAX);
        assert_eq!(lease.age(second(1_000_000)), Err(NotReady::Loading));
    }

    #[test]
    fn a_lease_ends_after_its_staleness_and_a_longer_one_begins_again() {
        let lease = Lease::new(Duration::from_secs(10));
        lease.extend(second(100));
        assert_eq!(lease.age(second(100)), Ok(Duration::ZERO));
        assert_eq!(lease.age(second(110)), Ok(Duration::from_secs(10)));
        let age = Duration::from_secs(11);
        assert_eq!(lease.age(second(111)), Err(NotReady::Stale { age }));
        lease.extend(second(108));
        assert_eq!(lease.age(second(111)), Ok(Duration::from_secs(3)));
    }

    #[test]
    fn an_answer_that_comes_late_never_shortens_a_lease() {
        let lease = Lease::new(Duration::from_secs(10));
        lease.extend(second(100));
        lease.extend(second(50));
        assert_eq!(lease.age(second(105)), Ok(Duration::from_secs(5)));
    }

    #[test]
    fn a_request_from_before_the_renewal_sees_fresh_data() {
        let lease = Lease::new(Duration::from_secs(10));
        lease.extend(second(100));
        assert_eq!(lease.age(second(99)), Ok(Duration::ZERO));
    }
}
