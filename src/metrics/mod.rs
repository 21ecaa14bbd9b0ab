//! Numbers about this process: what is counted, under which names, and how it is read.
//!
//! [`table`] has all metrics, once. [`Registry`] asks every [`Source`] for the present values, of which both
//! the text that Prometheus reads ([`text`]) and what OpenTelemetry gets are made, so that names never differ.
//! Nothing here waits, reads a clock or touches a file: who knows a number tells it.

mod background;
mod count;
mod decisions;
mod gathering;
mod states;
pub mod table;
pub mod text;

pub use background::{Counted, Items, Noticing, Working};
pub use count::{BOUNDS_NANOS, Count, SharedTiming, Spread, Timing};
pub use decisions::{Cause, Decisions, Tally};
pub use gathering::{Family, Gathering, Registry, Sample, Source, Value, number};
pub use states::{Calls, Flushing, FollowMode, Following, PepperCounts, Syncing};

/// One metric: everything that is the same for all its values.
#[derive(Debug)]
pub struct Metric {
    /// What it is called, by the rules of Prometheus: base units, and `_total` at the end of a counter.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What they are counted in; empty for things that are counted.
    pub unit: &'static str,
    /// What it means, in a sentence without a line break.
    pub help: &'static str,
    /// What its values are told apart by.
    pub labels: &'static [Label],
    /// How to read it: what is usual, and what is not.
    pub reading: &'static str,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They only grow, from 0 at the start of the process.
    Counter,
    /// They are as they are now.
    Gauge,
    /// How many were at most so large, for several sizes; and the sum.
    Histogram,
}

/// What tells values of a metric apart.
#[derive(Debug)]
pub struct Label {
    /// What it is called.
    pub name: &'static str,
    /// All that it can be. Never a key, a user, a route or an address: a label must have few values.
    pub values: Values,
}

/// All that a label can be.
#[derive(Debug)]
pub enum Values {
    /// One of these.
    Listed(&'static [&'static str]),
    /// `ALLOW`, or a reason of a denial.
    Outcomes,
    /// An RPC of the admin listener as `Service/Method`, or `other`.
    Rpcs,
    /// What this version is called.
    Version,
    /// The id of a pepper, of which there are five at most that are not retired.
    Peppers,
}

impl Kind {
    /// What Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[cfg(test)]
mod tests;
