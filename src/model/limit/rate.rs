//! Rates: so many in a period, and so many at once; the generic cell rate algorithm, in whole numbers.
//!
//! The state is one number, the *theoretical arrival time* (TAT) of GCRA: when the bucket will be
//! empty again. It is counted in ticks, of which one token is a power of two, so that what is taken
//! adds up exactly however long it goes on; only the clock is rounded, down to a tick, which is less
//! than two nanoseconds.

use std::time::Duration;

use thiserror::Error;

use crate::model::time::BootTime;

const LIMIT_MAX: u32 = 1_000_000_000;
const PERIOD_MIN: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How long an empty allowance may take to become whole again: a hundred years.
const REFILL_NANOS_MAX: u128 = 100 * 366 * 24 * 60 * 60 * 1_000_000_000;
/// What a bucket can be overdrawn by, in ticks.
const AHEAD_MAX: u64 = 1 << 62;
/// Millionths of tokens, in which levels are told to others.
pub const MICROS_A_TOKEN: u64 = 1_000_000;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    limit: u32,
    period: Duration,
    burst: u32,
    /// A token is 2 to the power of this in ticks: the most at which a tick is no less than 1 ns.
    shift: u32,
    /// Ticks a nanosecond, in units of 2⁻⁶³, rounded up: who waits as long as he is told has waited long
    /// enough.
    speed: u64,
}

/// Numbers that make no rate limit.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InvalidRate {
    /// Nothing, or too much.
    #[error("must be 1 to {LIMIT_MAX}")]
    Limit,
    /// Too short or too long.
    #[error("must be 1 millisecond to 366 days, in whole microseconds")]
    Period,
    /// More than nanoseconds can tell.
    #[error("must be one each nanosecond at most, with this period")]
    TooFast,
    /// Nothing, or too much.
    #[error("must be 1 to {LIMIT_MAX}")]
    Burst,
    /// A burst that is not allowed again in a lifetime.
    #[error("must be no more than is allowed in a hundred years")]
    TooSlow,
}

/// What a request takes from a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Tokens.
    pub cost: u32,
    /// How many replicas share the limit without hearing of each other. Each has its share of it when
    /// every token counts so many times.
    pub weight: u32,
}

impl Draw {
    /// From a limit that is nobody else's, or that all hear of.
    pub const fn whole(cost: u32) -> Self {
        Self { cost, weight: 1 }
    }
}

impl Rate {
    /// So many in a period, and `burst` at once.
    pub fn new(limit: u32, period: Duration, burst: u32) -> Result<Self, InvalidRate> {
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(InvalidRate::Limit);
        }
        let whole = period.subsec_nanos().is_multiple_of(1000);
        if !(PERIOD_MIN..=PERIOD_MAX).contains(&period) || !whole {
            return Err(InvalidRate::Period);
        }
        if !(1..=LIMIT_MAX).contains(&burst) {
            return Err(InvalidRate::Burst);
        }
        let nanos = period.as_nanos();
        if u128::from(limit) > nanos {
            return Err(InvalidRate::TooFast);
        }
        if u128::from(burst) * nanos / u128::from(limit) > REFILL_NANOS_MAX {
            return Err(InvalidRate::TooSlow);
        }
        let shift = (nanos / u128::from(limit)).ilog2();
        let speed = narrowed(((u128::from(limit) << shift) << 63).div_ceil(nanos));
        Ok(Self { limit, period, burst, shift, speed })
    }

    /// How many in a period.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The period.
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// How many at once.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// The state after a draw, or `None` if there is not enough left. Without a cost there always is.
    /// A cost beyond the burst is for the caller to refuse: it never fits.
    pub fn draw(&self, state: u64, now: BootTime, draw: Draw) -> Option<u64> {
        let now = self.ticks(now);
        (self.excess(state, now, draw) == 0).then(|| self.charged(state, now, draw))
    }

    /// How long until a draw fits; zero if it does.
    pub fn wait(&self, state: u64, now: BootTime, draw: Draw) -> Duration {
        self.span(self.excess(state, self.ticks(now), draw))
    }

    /// The state after tokens were taken (or, if negative, put back), however many are left.
    pub fn moved(&self, state: u64, now: BootTime, tokens: i64) -> u64 {
        let now = self.ticks(now);
        let amount = (u128::from(tokens.unsigned_abs()) << self.shift).min(u128::from(AHEAD_MAX));
        let amount = narrowed(amount);
        let state = state.max(now);
        if tokens < 0 {
            state.saturating_sub(amount).max(now)
        } else {
            state.saturating_add(amount).min(now.saturating_add(AHEAD_MAX))
        }
    }

    /// How many whole tokens are left.
    pub fn remaining(&self, state: u64, now: BootTime) -> u32 {
        let ahead = state.saturating_sub(self.ticks(now));
        let left = self.whole().saturating_sub(ahead) >> self.shift;
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// How long until the whole burst is there again, if nothing is taken.
    pub fn refill(&self, state: u64, now: BootTime) -> Duration {
        self.span(state.saturating_sub(self.ticks(now)))
    }

    /// How much is taken, in millionths of tokens.
    pub fn used(&self, state: u64, now: BootTime) -> u64 {
        let ahead = state.saturating_sub(self.ticks(now));
        narrowed((u128::from(ahead) * u128::from(MICROS_A_TOKEN)) >> self.shift)
    }

    /// The state in which so many millionths of tokens are taken.
    pub fn with_used(&self, micros: u64, now: BootTime) -> u64 {
        let ahead = (u128::from(micros) << self.shift).div_ceil(u128::from(MICROS_A_TOKEN));
        self.ticks(now).saturating_add(narrowed(ahead.min(u128::from(AHEAD_MAX))))
    }

    /// The state that this rate has where another one had `state`: as many tokens are taken.
    pub fn taken_over(&self, from: &Self, state: u64, now: BootTime) -> u64 {
        if self == from { state } else { self.with_used(from.used(state, now), now) }
    }

    /// By how much a draw does not fit. Of a share, that asks for more than the limit's whole burst
    /// fits when nothing is taken: else small bursts would let nothing pass.
    fn excess(&self, state: u64, now: u64, draw: Draw) -> u64 {
        if draw.cost == 0 {
            return 0;
        }
        let asked = u64::from(draw.cost) * u64::from(draw.weight);
        let asked = asked.min(u64::from(self.burst.max(draw.cost)));
        let ahead = state.saturating_sub(now);
        let asked = narrowed(u128::from(asked) << self.shift);
        ahead.saturating_add(asked).saturating_sub(self.whole())
    }

    fn charged(&self, state: u64, now: u64, draw: Draw) -> u64 {
        let asked = u128::from(draw.cost) * u128::from(draw.weight);
        let amount = narrowed((asked << self.shift).min(u128::from(AHEAD_MAX)));
        state.max(now).saturating_add(amount)
    }

    fn whole(&self) -> u64 {
        u64::from(self.burst) << self.shift
    }

    fn ticks(&self, now: BootTime) -> u64 {
        narrowed((u128::from(now.nanos()) * u128::from(self.speed)) >> 63)
    }

    /// How long ticks take, rounded up.
    fn span(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * self.period.as_nanos();
        Duration::from_nanos(narrowed(nanos.div_ceil(u128::from(self.limit) << self.shift)))
    }
}

fn narrowed(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
