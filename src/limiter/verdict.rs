//! What limits say to a request.

use std::time::Duration;

use crate::{
    decide::Reason,
    model::{
        limit::Rule,
        meter::{Fit, Reading},
    },
};

/// What limits say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The state of each, after it.
    pub readings: Vec<Reading>,
    /// Why it does not pass.
    pub denied: Option<Reason>,
    /// When it makes sense to try again, if it did not pass and that is known.
    pub retry_after: Option<Duration>,
    /// Whether this replica enforced its share, since it could not ask what others took.
    pub degraded: bool,
}

impl Verdict {
    /// What the states of all limits come to.
    pub fn new(readings: Vec<Reading>, degraded: bool) -> Self {
        let refusing = || readings.iter().filter(|reading| reading.fit != Fit::Fits);
        let denied = refusing().next().map(|first| match first.limit.rule {
            Rule::Rate(_) => Reason::RateLimited,
            Rule::Quota(_) => Reason::QuotaExhausted,
            Rule::Concurrency(_) => Reason::ConcurrencyExceeded,
        });
        // it passes when the last of them lets it
        let waits: Option<Vec<Duration>> = refusing().map(|reading| reading.wait).collect();
        let retry_after = waits.and_then(|waits| waits.into_iter().max());
        Self { readings, denied, retry_after, degraded }
    }

    /// The states in words, for explanations.
    pub fn summary(&self) -> String {
        let text = |reading: &Reading| {
            let left = match reading.fit {
                Fit::Fits => format!("{} left", reading.remaining),
                Fit::Exceeded => format!("exceeded, {} left", reading.remaining),
                Fit::TooCostly => "the cost is more than it ever gives".to_owned(),
            };
            format!("{}: {left}", reading.limit.name)
        };
        self.readings.iter().map(text).collect::<Vec<_>>().join("; ")
    }
}
