//! What was used of a rate: two atomics, and no lock.

use std::{
    sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{Ask, Fit, Settlement, Told, UNKNOWN_OUTAGE};
use crate::model::{limit::rate::Rate, time::BootTime, touch::touch};

/// The state of a rate.
#[derive(Debug, Default)]
pub struct RateMeter {
    /// As [`Rate`] counts it.
    state: AtomicU64,
    /// Tokens that were taken since the other replicas were told.
    unshared: AtomicI64,
    /// The last outage since whose end the others know what was taken. 0: nothing was taken in one.
    outage: AtomicU32,
}

impl RateMeter {
    /// Begins to read it.
    pub(super) fn touch(&self) {
        touch(self.state.load(Relaxed));
    }

    pub(super) fn fit(&self, rate: &Rate, ask: &Ask) -> Fit {
        if ask.cost > rate.burst() {
            Fit::TooCostly
        } else if rate.draw(self.state.load(Relaxed), ask.now.boot, ask.draw()).is_some() {
            Fit::Fits
        } else {
            Fit::Exceeded
        }
    }

    pub(super) fn take(&self, rate: &Rate, ask: &Ask) -> bool {
        let draw = |state| rate.draw(state, ask.now.boot, ask.draw());
        let taken = self.state.fetch_update(Relaxed, Relaxed, draw).is_ok();
        match ask.told {
            Told::Others if taken => {
                self.unshared.fetch_add(i64::from(ask.cost), Relaxed);
            }
            Told::Nobody if taken => self.outage.store(UNKNOWN_OUTAGE, Relaxed),
            Told::Others | Told::Nobody | Told::Perhaps => {}
        }
        taken
    }

    pub(super) fn put_back(&self, rate: &Rate, ask: &Ask) {
        let cost = i64::from(ask.cost);
        self.update(|state| rate.moved(state, ask.now.boot, -cost * i64::from(ask.weight)));
        if ask.told == Told::Others {
            self.unshared.fetch_sub(cost, Relaxed);
        }
    }

    pub(super) fn settle(&self, rate: &Rate, settlement: &Settlement, now: BootTime) {
        let Settlement { difference, weight, .. } = *settlement;
        let tokens = difference.saturating_mul(weight.into());
        self.update(|state| rate.moved(state, now, tokens));
        self.unshared.fetch_add(difference, Relaxed);
    }

    pub(super) fn reading(&self, rate: &Rate, ask: &Ask) -> (i64, Duration, Option<Duration>) {
        let (state, now) = (self.state.load(Relaxed), ask.now.boot);
        let remaining = rate.remaining(state, now) / ask.weight.max(1);
        let wait = rate.wait(state, now, ask.draw());
        (remaining.into(), rate.refill(state, now), Some(wait))
    }

    /// The state for another rate. What is not told yet is told by this one, which waits for that.
    pub(super) fn carried_over(&self, old: &Rate, new: &Rate, now: BootTime) -> Self {
        Self {
            state: AtomicU64::new(new.taken_over(old, self.state.load(Relaxed), now)),
            unshared: AtomicI64::new(0),
            outage: AtomicU32::new(self.outage.load(Relaxed)),
        }
    }

    /// Tokens that were taken since this was asked last. They count as told from now on.
    pub fn take_unshared(&self) -> i64 {
        self.unshared.swap(0, Relaxed)
    }

    /// The others were not told after all.
    pub fn put_unshared(&self, tokens: i64) {
        self.unshared.fetch_add(tokens, Relaxed);
    }

    /// Whether the others may have forgotten, in this outage, what was taken.
    pub fn is_forgotten(&self, outage: u32) -> bool {
        ![0, outage].contains(&self.outage.load(Relaxed))
    }

    /// How much is taken as far as this replica knows, in millionths of tokens.
    pub fn used(&self, rate: &Rate, now: BootTime) -> u64 {
        rate.used(self.state.load(Relaxed), now)
    }

    /// What all replicas together have taken, in millionths of tokens, but for what this one has not
    /// told; and the last outage since whose end they know what this one does.
    pub fn learn(&self, rate: &Rate, micros: u64, outage: u32, now: BootTime) {
        let told = rate.with_used(micros, now);
        self.state.store(rate.moved(told, now, self.unshared.load(Relaxed)), Relaxed);
        self.outage.store(outage, Relaxed);
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        // an error would mean that there is no change
        self.state.fetch_update(Relaxed, Relaxed, |state| Some(change(state))).ok();
    }
}
