//! What deciding threads count. Each has memory of its own for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    Gathering, Source,
    count::{Count, Spread, Timing},
    gathering::number,
    table,
};
use crate::{
    decide::{Decision, Reason},
    model::decision::Way,
};

/// Why there was no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The keys are not loaded yet.
    Loading,
    /// There was no word from the database for too long.
    Stale,
    /// The wanted revision was not reached in time.
    Behind,
    /// The process is going down.
    Draining,
    /// A reservation could not be settled, since Redis did not answer.
    Limits,
    /// The key is unknown here, and a pepper is missing by which it may be known.
    Pepper,
}

pub(super) const WAYS: [&str; 5] = ["authorize", "batch", "stream", "ext_authz", "forward_auth"];
pub(super) const CAUSES: [&str; 6] = ["loading", "stale", "behind", "draining", "limits", "pepper"];
/// `ALLOW`, and each reason of a denial.
const OUTCOMES: usize = Reason::ALL.len() + 1;

/// The name of an outcome, by its place.
pub(super) fn outcomes() -> impl Iterator<Item = &'static str> {
    std::iter::once("ALLOW").chain(Reason::ALL.iter().map(|reason| reason.name()))
}

#[expect(clippy::as_conversions, reason = "an enum without contents is its place")]
const fn place_of(way: Way) -> usize {
    way as usize
}

impl Cause {
    #[expect(clippy::as_conversions, reason = "an enum without contents is its place")]
    const fn place(self) -> usize {
        self as usize
    }
}

const fn place(decision: Decision) -> usize {
    match decision {
        Decision::Allow => 0,
        Decision::Deny(reason) => reason.place() + 1,
    }
}

/// What one thread counts, by loads and stores alone.
#[derive(Debug, Default)]
#[repr(align(128))] // no thread writes to a cache line of another one
pub struct Tally {
    decided: [[Count; OUTCOMES]; WAYS.len()],
    timings: [Timing; WAYS.len()],
    unavailable: [Count; CAUSES.len()],
    degraded: Count,
}

impl Tally {
    /// Counts a decision. `degraded`: whether this replica alone judged limits that are shared.
    #[inline]
    pub fn decided(&self, way: Way, decision: Decision, degraded: bool) {
        let outcomes = self.decided.get(place_of(way));
        if let Some(count) = outcomes.and_then(|outcomes| outcomes.get(place(decision))) {
            count.add(1);
        }
        self.degraded.add(u64::from(degraded));
    }

    /// Notes that so many decisions, which were made together, took so long.
    #[inline]
    pub fn took(&self, way: Way, many: u64, span: Duration) {
        if many > 0
            && let Some(timing) = self.timings.get(place_of(way))
        {
            timing.add(many, span);
        }
    }

    /// Counts a call that had no decision.
    pub fn unavailable(&self, cause: Cause) {
        if let Some(count) = self.unavailable.get(cause.place()) {
            count.add(1);
        }
    }
}

/// The tallies of all threads.
#[derive(Clone, Debug, Default)]
pub struct Decisions(Arc<Mutex<Vec<Arc<Tally>>>>);

impl Decisions {
    /// A new tally, for one thread.
    pub fn tally(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&tally));
        tally
    }
}

impl Source for Decisions {
    fn tell(&self, to: &mut Gathering) {
        let tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sum = |read: &dyn Fn(&Tally) -> Option<u64>| {
            number(tallies.iter().filter_map(|tally| read(tally)).sum())
        };
        for (way, name) in WAYS.iter().enumerate() {
            for (outcome, reason) in outcomes().enumerate() {
                let made = sum(&|tally| Some(tally.decided.get(way)?.get(outcome)?.get()));
                to.add(&table::DECISIONS, &[name, reason], made);
            }
            let mut spread = Spread::default();
            for timing in tallies.iter().filter_map(|tally| tally.timings.get(way)) {
                spread.add(&timing.spread());
            }
            to.add_spread(&table::DECISION_DURATION, &[name], spread);
        }
        for (cause, name) in CAUSES.iter().enumerate() {
            let calls = sum(&|tally| Some(tally.unavailable.get(cause)?.get()));
            to.add(&table::UNAVAILABLE, &[name], calls);
        }
        to.add(&table::DEGRADED, &[], sum(&|tally| Some(tally.degraded.get())));
    }
}
