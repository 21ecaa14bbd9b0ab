//! The ledger of uses: which keys were used since it was last drained.
//!
//! A decision adds a note to a list that only its own thread writes, which is all that it has to do.
//! [`flush`] is the task that gathers the lists, each key once, and carries them to the database.

pub mod flush;
mod gathered;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::model::{id::KeyId, time::Timestamp, view::KeyView};
use gathered::Gathered;

/// Threads beyond so many share lists.
const LISTS: usize = 64;
/// Notes that are handed over at once.
const LIST_NOTES: usize = 4096;
/// Full lists that wait to be gathered: with 24 bytes a note, some 50 MB.
const FULL_LISTS_MAX: usize = 512;
/// Which key was used, and when.
type Note = (KeyId, Timestamp);

/// Collects uses in memory.
#[derive(Debug)]
pub struct Ledger {
    lists: [List; LISTS],
    full: Mutex<Vec<Vec<Note>>>,
    gathered: Mutex<Gathered>,
    dropped: AtomicU64,
}

/// What one thread noted. Its lock is free whenever that thread comes, but for when it is gathered. It
/// has cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct List(Mutex<Vec<Note>>);

impl Default for Ledger {
    fn default() -> Self {
        Self {
            lists: std::array::from_fn(|_| List::default()),
            full: Mutex::default(),
            gathered: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Ledger {
    /// Notes that a key was used. Costs a load if it was used in this same second already. While
    /// the ledger is full, notes are counted and dropped.
    pub fn record(&self, key: &KeyView, now: Timestamp) {
        if key.last_used.advance(now) {
            self.note((key.id, now.floor_to_second()));
        }
    }

    fn note(&self, note: Note) {
        let Some(List(list)) = self.lists.get(own_list()) else { return };
        let mut list = lock(list);
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

    /// Takes together what all threads noted. To be called more often than the lists can get full.
    pub fn gather(&self) {
        let full = std::mem::take(&mut *lock(&self.full));
        let mut gathered = lock(&self.gathered);
        for notes in full {
            self.drop_notes(gathered.add(&notes));
        }
        for List(list) in &self.lists {
            // taken apart from it, so that its thread does not wait
            let notes = std::mem::take(&mut *lock(list));
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

    /// Puts back what could not be stored.
    pub fn put_back(&self, uses: &[(KeyId, Timestamp)]) {
        self.drop_notes(lock(&self.gathered).add(uses));
    }

    /// How many notes were lost since the start because the ledger was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn drop_notes(&self, notes: usize) {
        self.dropped.fetch_add(u64::try_from(notes).unwrap_or(0), Relaxed);
    }
}

/// The list of this thread.
fn own_list() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Relaxed) % LISTS;
    }
    OWN.with(|own| *own)
}

/// A panic while one was locked leaves it whole: each change of it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
