//! Instants and spans. Who needs the time gets it as an argument.

use std::time::Duration;

/// An instant of the wall clock, in microseconds since 1970-01-01 UTC, the precision of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before everything: the start of a key that was valid from the beginning.
    pub const DISTANT_PAST: Self = Self(i64::MIN);
    /// After everything: the end of a key that never expires.
    pub const DISTANT_FUTURE: Self = Self(i64::MAX);
    /// 9999-12-31T23:59:59.999999Z, the latest that `google.protobuf.Timestamp` can say.
    pub const LAST: Self = Self(253_402_300_799_999_999);
    /// 0001-01-01T00:00:00Z, the earliest that `google.protobuf.Timestamp` can say.
    pub const FIRST: Self = Self(-62_135_596_800_000_000);

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The whole second that this instant lies in.
    pub const fn floor_to_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000)))
    }

    /// This instant moved on by `span`, at most to [`Timestamp::LAST`].
    pub fn after(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::LAST.0))
    }

    /// This instant moved back by `span`.
    pub fn before(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// An instant of `CLOCK_BOOTTIME`, in nanoseconds since boot. It goes on while the machine sleeps
/// and never steps, so it is what ages are measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

impl BootTime {
    /// From nanoseconds since boot.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This instant moved on by `span`.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it was not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Both clocks, read once for one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What deadlines of keys are compared with.
    pub wall: Timestamp,
    /// What ages are measured with.
    pub boot: BootTime,
}
