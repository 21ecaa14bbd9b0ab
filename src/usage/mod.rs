//! The ledger of uses: which keys were used since it was last drained, and how often, by the hour.
//!
//! A decision adds a note to a list and counts in a table that only its own thread writes, which is all
//! that it has to do. [`flush`] is the task that gathers them and carries them to the database.

mod counts;
pub mod flush;
mod gathered;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::model::{
    id::KeyId,
    per_thread::PerThread,
    time::Timestamp,
    usage::{DenialClass, Hour, HourCount},
    view::KeyView,
};
use counts::Counts;
use gathered::Gathered;

/// Notes that are handed over at once.
const LIST_NOTES: usize = 4096;
/// Full lists that wait to be gathered: with 24 bytes a note, some 50 MB.
const FULL_LISTS_MAX: usize = 512;
/// Which key was used, and when.
type Note = (KeyId, Timestamp);

/// Collects uses in memory.
#[derive(Debug, Default)]
pub struct Ledger {
    lists: PerThread<Vec<Note>>,
    full: Mutex<Vec<Vec<Note>>>,
    gathered: Mutex<Gathered>,
    dropped: AtomicU64,
    counts: Counts,
}

impl Ledger {
    /// Counts that a key was allowed something of this cost, and notes its use.
    pub fn allow(&self, key: &KeyView, now: Timestamp, cost: u32) {
        self.record(key, now);
        self.counts.count(key.id, Hour::of(now), |count| {
            count.allowed = count.allowed.saturating_add(1);
            count.cost = count.cost.saturating_add(u64::from(cost));
        });
    }

    /// Counts that a key was denied something.
    pub fn deny(&self, key: &KeyView, now: Timestamp, class: DenialClass) {
        self.counts.count(key.id, Hour::of(now), |count| {
            if let Some(denied) = count.denied.get_mut(class.place()) {
                *denied = denied.saturating_add(1);
            }
        });
    }

    /// Notes that a key was used. Costs a load if it was used in this same second already. While
    /// the ledger is full, notes are counted and dropped.
    pub fn record(&self, key: &KeyView, now: Timestamp) {
        if key.last_used.advance(now) {
            self.note((key.id, now.floor_to_second()));
        }
    }

    fn note(&self, note: Note) {
        let Some(mut list) = self.lists.own() else { return };
        if list.capacity() == 0 {
            list.reserve_exact(LIST_NOTES); // once: so that a note never moves others
        }
        list.push(note);
        if list.len() >= LIST_NOTES {
            let mut full = lock(&self.full);
            if full.len() < FULL_LISTS_MAX {
                full.push(std::mem::replace(&mut *list, Vec::with_capacity(LIST_NOTES)));
            } else {
                self.drop_notes(list.len());
                list.clear();
            }
        }
    }

    /// Takes together what all threads noted and counted. To be called more often than the lists can get
    /// full.
    pub fn gather(&self) {
        self.counts.gather();
        let full = std::mem::take(&mut *lock(&self.full));
        let mut gathered = lock(&self.gathered);
        for notes in full {
            self.drop_notes(gathered.add(&notes));
        }
        for mut list in self.lists.each() {
            // taken apart from it, so that its thread does not wait
            let notes = std::mem::take(&mut *list);
            drop(list);
            self.drop_notes(gathered.add(&notes));
        }
    }

    /// Takes all that was noted, each key once, in the order of their ids.
    pub fn drain(&self) -> Vec<(KeyId, Timestamp)> {
        self.gather();
        let (notes, dropped) = lock(&self.gathered).take();
        self.drop_notes(dropped);
        notes
    }

    /// Takes all that was counted, each key and hour once, in their order.
    pub fn drain_counts(&self) -> Vec<HourCount> {
        self.counts.drain()
    }

    /// How many counts were lost since the start because there were too many.
    pub fn dropped_counts(&self) -> u64 {
        self.counts.dropped()
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, uses: &[(KeyId, Timestamp)]) {
        self.drop_notes(lock(&self.gathered).add(uses));
    }

    /// How many notes wait, but for those that threads have not handed over; a key may have several.
    pub fn waiting(&self) -> usize {
        let full: usize = lock(&self.full).iter().map(Vec::len).sum();
        full + lock(&self.gathered).len()
    }

    /// How many notes were lost since the start because the ledger was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn drop_notes(&self, notes: usize) {
        self.dropped.fetch_add(u64::try_from(notes).unwrap_or(0), Relaxed);
    }
}

/// A panic while one was locked leaves it whole: each change of it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
