//! Reservations that were made without Redis, in the memory of this replica.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    limiter::Applicable,
    model::{
        meter::Told,
        reservation::ReservationId,
        time::{BootTime, Timestamp},
    },
};

const RESERVATIONS_MAX: usize = 100_000;

/// What was reserved.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    /// From what.
    pub(super) applicable: Applicable,
    /// How much.
    pub(super) cost: u32,
    /// How often it counted: once for each replica, while they did not hear of each other.
    pub(super) weight: u32,
    /// Who else has it.
    pub(super) told: Told,
    /// When it is over.
    pub(super) end: BootTime,
    /// When it was made.
    pub(super) made: Timestamp,
}

/// Open reservations. Those that are over are forgotten when another one is made.
#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    by_id: HashMap<ReservationId, Reservation>,
    by_end: BTreeSet<(BootTime, ReservationId)>,
}

impl Book {
    /// Whether another reservation has room, when those that are over by now are forgotten.
    pub(super) fn has_room(&self, now: BootTime) -> bool {
        let mut pages = self.lock();
        pages.forget(now);
        pages.by_id.len() < RESERVATIONS_MAX
    }

    pub(super) fn add(&self, id: ReservationId, reservation: Reservation) {
        let mut pages = self.lock();
        pages.by_end.insert((reservation.end, id));
        pages.by_id.insert(id, reservation);
    }

    /// Takes one out that is not over.
    pub(super) fn take(&self, id: ReservationId, now: BootTime) -> Option<Reservation> {
        let mut pages = self.lock();
        let reservation = pages.by_id.remove(&id)?;
        pages.by_end.remove(&(reservation.end, id));
        Some(reservation).filter(|reservation| reservation.end > now)
    }

    /// A panic while it was locked leaves at worst one that is forgotten late.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn forget(&mut self, now: BootTime) {
        while let Some((end, id)) = self.by_end.first().copied() {
            if end > now {
                return;
            }
            self.by_end.remove(&(end, id));
            self.by_id.remove(&id);
        }
    }
}
