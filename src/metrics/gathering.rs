//! All present values, asked of those who know them.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{Metric, count::Spread, table};
use crate::model::time::Now;

/// Who knows some values.
pub trait Source: Send + Sync {
    /// Tells them. Quick, and without waiting.
    fn tell(&self, to: &mut Gathering);
}

impl<F: Fn(&mut Gathering) + Send + Sync> Source for F {
    fn tell(&self, to: &mut Gathering) {
        self(to);
    }
}

/// All who know values.
#[derive(Default)]
pub struct Registry(Mutex<Vec<Box<dyn Source>>>);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Asks this one too from now on.
    pub fn add(&self, source: impl Source + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    /// All values at this time, in the order of the table. A metric that nobody knows is left out.
    pub fn gather(&self, now: Now) -> Vec<Family> {
        let mut gathering = Gathering { now, samples: Vec::new() };
        for source in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            source.tell(&mut gathering);
        }
        let of = |metric: &'static Metric| {
            let is_of = |sample: &Sample| std::ptr::eq(sample.metric, metric);
            let samples = gathering.samples.extract_if(.., |sample| is_of(sample)).collect();
            Family { metric, samples }
        };
        let families = table::ALL.into_iter().map(of);
        families.filter(|family| !family.samples.is_empty()).collect()
    }
}

/// What was told by now.
#[derive(Debug)]
pub struct Gathering {
    /// When this is.
    pub now: Now,
    samples: Vec<Sample>,
}

impl Gathering {
    /// A value, with those of its labels in their order.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.push(metric, labels, Value::Number(value));
    }

    /// How many took how long.
    pub fn add_spread(&mut self, metric: &'static Metric, labels: &[&str], spread: Spread) {
        self.push(metric, labels, Value::Spread(Box::new(spread)));
    }

    /// Of several states, of which the label names one each, the present one: it is 1, others are 0.
    pub fn add_state(&mut self, metric: &'static Metric, states: &[&str], present: &str) {
        for state in states {
            self.add(metric, &[state], if *state == present { 1.0 } else { 0.0 });
        }
    }

    fn push(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        let labels = labels.iter().map(|value| (*value).to_owned()).collect();
        self.samples.push(Sample { metric, labels, value });
    }
}

/// All values of a metric.
#[derive(Debug)]
pub struct Family {
    /// Of this one.
    pub metric: &'static Metric,
    /// Each with other labels.
    pub samples: Vec<Sample>,
}

/// A value.
#[derive(Debug)]
pub struct Sample {
    metric: &'static Metric,
    /// What its labels are, in their order.
    pub labels: Vec<String>,
    /// What it is.
    pub value: Value,
}

impl Sample {
    /// The names of its labels, and what they are.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = self.metric.labels.iter().map(|label| label.name);
        names.zip(self.labels.iter().map(String::as_str))
    }
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Spread(Box<Spread>),
}

/// A count as metrics have it: exact up to 2^53.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "nobody counts so far")]
pub const fn number(count: u64) -> f64 {
    count as f64
}
