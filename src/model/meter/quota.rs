//! What was used of a quota in its present period.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Ask, Fit, Owner, Settlement, Told, UNKNOWN_OUTAGE};
use crate::model::{
    limit::quota::{Period, Quota, Window},
    name::LimitName,
    time::Timestamp,
};

/// The state of a quota. Its lock is held for a few instructions.
#[derive(Debug, Default)]
pub struct QuotaMeter(Mutex<State>);

#[derive(Clone, Debug)]
struct State {
    /// The period that `used` is of.
    window: Window,
    used: i64,
    /// What there is besides the quota. What is used beyond the quota is taken from it when the period
    /// ends.
    credits: i64,
    /// Counts how often operators said what was used.
    generation: i64,
    unstored: Vec<Unstored>,
    /// The last outage since whose end the other replicas know what was used. 0: nothing was used in
    /// one.
    outage: u32,
}

/// What was used and is not stored yet. Nothing, if only the stored state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// The first instant of the period.
    pub start: Timestamp,
    /// How much.
    pub amount: i64,
}

/// What one replica has allowed of one quota, in one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// What has the quota.
    pub owner: Owner,
    /// The quota's name.
    pub name: LimitName,
    /// Which periods it has.
    pub period: Period,
    /// The first instant of the period.
    pub start: Timestamp,
    /// How much was used, or put back.
    pub amount: i64,
    /// The quota itself, which tells how much of it was taken from credits.
    pub limit: i64,
}

/// What the database knows of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredQuota {
    /// Which periods it has.
    pub period: Period,
    /// The first instant of the period.
    pub start: Timestamp,
    /// How much was used in it.
    pub used: i64,
    /// How much there is besides the quota, from the beginning of the period.
    pub credits: i64,
    /// Counts how often operators said what was used.
    pub generation: i64,
}

/// A quota as it is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// Its period.
    pub window: Window,
    /// How much was used in it.
    pub used: i64,
    /// How much there is besides the quota, from the beginning of the period.
    pub credits: i64,
    /// Counts how often operators said what was used.
    pub generation: i64,
    /// The last outage since whose end the other replicas know this. 0: nothing was used in one.
    pub outage: u32,
}

impl QuotaState {
    /// Whether the others may have forgotten, in this outage, what was used.
    pub fn is_forgotten(&self, outage: u32) -> bool {
        ![0, outage].contains(&self.outage)
    }
}

impl StoredQuota {
    /// Of a quota of which nothing was used yet.
    pub fn unused(quota: &Quota, now: Timestamp) -> Self {
        let start = quota.window(now).start;
        Self { period: quota.period(), start, used: 0, credits: 0, generation: 0 }
    }

    /// The same in the period that `now` lies in. One that begins later stays as it is: another clock
    /// is ahead of ours.
    pub fn at(self, quota: &Quota, now: Timestamp) -> Self {
        let start = quota.window(now).start;
        let is_start = quota.window(self.start).start == self.start;
        if self.period == quota.period() && is_start && self.start >= start {
            return self;
        }
        let credits = quota.credits_after(self.credits, self.used);
        Self { period: quota.period(), start, used: 0, credits, ..self }
    }
}

impl Default for State {
    fn default() -> Self {
        let before = Timestamp::DISTANT_PAST;
        let window = Window { start: before, end: before };
        Self { window, used: 0, credits: 0, generation: 0, unstored: Vec::new(), outage: 0 }
    }
}

impl QuotaMeter {
    pub(super) fn fit(&self, quota: &Quota, ask: &Ask) -> Fit {
        self.at(quota, ask.now.wall).fit(quota, ask.cost)
    }

    pub(super) fn take(&self, quota: &Quota, ask: &Ask) -> bool {
        let mut state = self.at(quota, ask.now.wall);
        let fits = state.fit(quota, ask.cost) == Fit::Fits;
        if fits {
            state.add(ask.cost.into());
        }
        if fits && ask.told != Told::Others {
            state.outage = UNKNOWN_OUTAGE;
        }
        fits
    }

    /// Into the period that it was taken from, which may be over.
    pub(super) fn put_back(&self, quota: &Quota, ask: &Ask) {
        let start = quota.window(ask.now.wall).start;
        let mut state = self.lock();
        if state.window.start == start {
            state.add(-i64::from(ask.cost));
        } else {
            state.note(start, -i64::from(ask.cost));
        }
    }

    pub(super) fn settle(&self, quota: &Quota, settlement: &Settlement, now: Timestamp) {
        let mut state = self.at(quota, now);
        let is_over = quota.window(settlement.reserved_at).start < state.window.start;
        if settlement.difference > 0 || !is_over {
            state.add(settlement.difference);
        }
    }

    pub(super) fn reading(
        &self,
        quota: &Quota,
        now: Timestamp,
    ) -> (i64, Duration, Option<Duration>) {
        let state = self.at(quota, now);
        let reset = Window { start: now, end: state.window.end }.span();
        (state.left(quota).max(0), reset, Some(reset))
    }

    /// The state for a quota of other periods: of these nothing is used yet. What is not stored yet of the
    /// old ones is not any more: it would look like what comes after.
    pub(super) fn in_other_periods(&self, old: &Quota) -> Self {
        let mut state = self.lock();
        state.unstored.clear();
        let mut carried = state.clone();
        carried.begin(old, State::default().window);
        Self(Mutex::new(carried))
    }

    /// Its present state.
    pub fn state(&self, quota: &Quota, now: Timestamp) -> QuotaState {
        let state = self.at(quota, now);
        let State { window, used, credits, generation, outage, .. } = *state;
        QuotaState { window, used, credits, generation, outage }
    }

    /// What all replicas together have used in the period that begins at `start`, how much of it was
    /// taken in this replica's name just now, and the last outage since whose end they know what this
    /// one does.
    pub fn learn(&self, start: Timestamp, (used, taken): (i64, i64), outage: u32) {
        let mut state = self.lock();
        if taken != 0 {
            state.note(start, taken);
        }
        // an answer from before the end of its period says nothing of the next
        if state.window.start == start {
            (state.used, state.outage) = (used, outage);
        }
    }

    /// Asks for what is stored.
    pub fn ask_store(&self) {
        let mut state = self.lock();
        let start = state.window.start;
        state.note(start, 0);
    }

    /// What is to be stored. It counts as stored from now on.
    pub fn take_unstored(&self) -> Vec<Unstored> {
        std::mem::take(&mut self.lock().unstored)
    }

    /// What the database knows by now, which is without what is not stored yet.
    pub fn stored(&self, quota: &Quota, stored: &StoredQuota, now: Timestamp) {
        let mut state = self.at(quota, now);
        let stored = stored.at(quota, now);
        // read before an operator said what was used
        if stored.generation < state.generation {
            return;
        }
        // a clock that is far ahead has stored what is none of our periods
        if stored.start != state.window.start && stored.start != state.window.end {
            return;
        }
        state.window = quota.window(stored.start);
        let unstored = state.unstored.iter().filter(|unstored| unstored.start == stored.start);
        let unstored: i64 = unstored.map(|unstored| unstored.amount).sum();
        state.used = stored.used.saturating_add(unstored).max(0);
        (state.credits, state.generation) = (stored.credits, stored.generation);
    }

    fn at(&self, quota: &Quota, now: Timestamp) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.roll(quota, now);
        state
    }

    /// A panic while it was locked leaves it whole: nothing in between can panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Begins the period that `now` lies in, unless it is the one before ours: then the clock was put
    /// back a little, and what is over stays over.
    fn roll(&mut self, quota: &Quota, now: Timestamp) {
        if self.window.start <= now && now < self.window.end {
            return;
        }
        let window = quota.window(now);
        if window.end != self.window.start {
            self.begin(quota, window);
        }
    }

    fn begin(&mut self, quota: &Quota, window: Window) {
        self.credits = quota.credits_after(self.credits, self.used);
        (self.window, self.used) = (window, 0);
    }

    const fn left(&self, quota: &Quota) -> i64 {
        quota.with_credits(self.credits).saturating_sub(self.used)
    }

    fn fit(&self, quota: &Quota, cost: u32) -> Fit {
        let cost = i64::from(cost);
        if cost == 0 || cost <= self.left(quota) {
            Fit::Fits
        } else if cost > quota.with_credits(self.credits) {
            Fit::TooCostly
        } else {
            Fit::Exceeded
        }
    }

    fn add(&mut self, amount: i64) {
        self.used = self.used.saturating_add(amount).max(0);
        let start = self.window.start;
        self.note(start, amount);
    }

    fn note(&mut self, start: Timestamp, amount: i64) {
        match self.unstored.iter_mut().find(|unstored| unstored.start == start) {
            Some(unstored) => unstored.amount = unstored.amount.saturating_add(amount),
            None => self.unstored.push(Unstored { start, amount }),
        }
    }
}
