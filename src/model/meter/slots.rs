//! Which reservations are open under a limit on concurrency.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Ask, Fit};
use crate::model::{limit::Slots, reservation::ReservationId, time::BootTime};

type Open = Vec<(ReservationId, BootTime)>;

/// The state of a limit on concurrency: at most as many as it has slots, each with its end.
#[derive(Debug, Default)]
pub struct SlotMeter(Mutex<Open>);

impl SlotMeter {
    pub(super) fn fit(&self, slots: Slots, ask: &Ask) -> Fit {
        fit(slots, &self.at(ask.now.boot), ask)
    }

    pub(super) fn take(&self, slots: Slots, ask: &Ask) -> bool {
        let mut open = self.at(ask.now.boot);
        let fits = fit(slots, &open, ask) == Fit::Fits;
        open.extend(ask.slot.filter(|_| fits));
        fits
    }

    pub(super) fn reading(&self, slots: Slots, ask: &Ask) -> (i64, Duration, Option<Duration>) {
        let open = self.at(ask.now.boot);
        let left = share(slots, ask.weight).saturating_sub(count(&open));
        let last = open.iter().map(|(_, end)| end.since(ask.now.boot)).max();
        (left.into(), last.unwrap_or_default(), None)
    }

    pub(super) fn free(&self, id: ReservationId) {
        self.lock().retain(|(held, _)| *held != id);
    }

    /// Those that are not over.
    fn at(&self, now: BootTime) -> MutexGuard<'_, Open> {
        let mut open = self.lock();
        open.retain(|(_, end)| *end > now);
        open
    }

    /// A panic while it was locked leaves it whole: nothing in between can panic.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of several replicas that do not hear of each other each has a share, and one at least.
fn share(slots: Slots, weight: u32) -> u32 {
    (slots.limit() / weight.max(1)).max(1)
}

fn count(open: &Open) -> u32 {
    u32::try_from(open.len()).unwrap_or(u32::MAX)
}

/// A request that holds no slot passes while one is free; one that only looks, always.
fn fit(slots: Slots, open: &Open, ask: &Ask) -> Fit {
    let is_look = ask.cost == 0 && ask.slot.is_none();
    if is_look || count(open) < share(slots, ask.weight) { Fit::Fits } else { Fit::Exceeded }
}
