//! What limits say to a request.

use std::time::Duration;

use smallvec::SmallVec;

use crate::{
    decide::Reason,
    limiter::Applicable,
    model::{
        limit::Rule,
        meter::{Fit, Gauge, Reading},
    },
};

/// One for each limit that applies: most often one or two.
pub type Readings = SmallVec<[Reading; 2]>;

/// What limits say to a request.
#[derive(Clone, Debug)]
pub struct Verdict {
    applicable: Applicable,
    /// The state of each of them, after it.
    readings: Readings,
    /// Why it does not pass.
    pub denied: Option<Reason>,
    /// When it makes sense to try again, if it did not pass and that is known.
    pub retry_after: Option<Duration>,
    /// Whether this replica enforced its share, since it could not ask what others took.
    pub degraded: bool,
}

impl Verdict {
    /// What the states of all limits come to.
    pub fn new(applicable: Applicable, readings: Readings, degraded: bool) -> Self {
        let refusing = || applicable.gauges().zip(&readings).filter(|(_, it)| it.fit != Fit::Fits);
        let denied = refusing().next().map(|(first, _)| match first.limit.rule {
            Rule::Rate(_) => Reason::RateLimited,
            Rule::Quota(_) => Reason::QuotaExhausted,
            Rule::Concurrency(_) => Reason::ConcurrencyExceeded,
        });
        // it passes when the last of them lets it
        let later = |time: Option<Duration>, (_, reading): (_, &Reading)| {
            time.zip(reading.wait).map(|(time, wait)| time.max(wait))
        };
        let retry_after = denied.and(refusing().fold(Some(Duration::ZERO), later));
        Self { applicable, readings, denied, retry_after, degraded }
    }

    /// What limits it.
    pub(super) const fn applicable(&self) -> &Applicable {
        &self.applicable
    }

    /// Each limit with its state after the request.
    pub fn readings(&self) -> impl Iterator<Item = (Gauge<'_>, &Reading)> {
        self.applicable.gauges().zip(&self.readings)
    }

    /// The states in words, for explanations.
    pub fn summary(&self) -> String {
        let text = |(gauge, reading): (Gauge<'_>, &Reading)| {
            let left = match reading.fit {
                Fit::Fits => format!("{} left", reading.remaining),
                Fit::Exceeded => format!("exceeded, {} left", reading.remaining),
                Fit::TooCostly => "the cost is more than it ever gives".to_owned(),
            };
            format!("{}: {left}", gauge.limit.name)
        };
        self.readings().map(text).collect::<Vec<_>>().join("; ")
    }
}
