//! The only reader of clocks.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::model::time::{BootTime, Now, Timestamp};

/// Reads both clocks.
pub fn now() -> Now {
    Now { wall: wall(), boot: boot() }
}

/// Reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn wall() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

/// Reads `CLOCK_BOOTTIME`, which, unlike what `Instant` reads, goes on while the machine sleeps.
pub fn boot() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    BootTime::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// How much processor time this process has taken, on all processors.
pub fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// An instant to be done by.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(BootTime);

impl Deadline {
    /// So long from now.
    pub fn after(span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(BootTime::from_nanos(boot().nanos().saturating_add(nanos)))
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        boot() >= self.0
    }

    /// How long it is until then.
    pub fn left(&self) -> Duration {
        self.0.since(boot())
    }
}
