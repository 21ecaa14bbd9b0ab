//! Which keys were found by another pepper than the current one and are to be digested anew: what
//! deciding threads note of it, until [`flush`] stores it.
//!
//! Nothing is lost by what is not noted: the key works by its old digest, and its next use notes it again.

pub mod flush;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{pepper::Upgrade, secret::Digest};

/// How many keys wait to be stored at most; what comes beyond is counted and left to a later use.
const WAITING_MAX: usize = 100_000;

/// The digests that are to be replaced, each once.
#[derive(Debug, Default)]
pub struct Upgrades {
    /// Whether keys are moved to the pepper that is current here.
    wanted: AtomicBool,
    waiting: Mutex<HashMap<Digest, Digest>>,
    dropped: AtomicU64,
}

impl Upgrades {
    /// Notes a key that was found by `old` and not by `new`, unless nobody wants to know or another thread
    /// is at it: a decision never waits for this.
    pub fn note(&self, upgrade: Upgrade) {
        if !self.wanted.load(Relaxed) {
            return;
        }
        let Ok(mut waiting) = self.waiting.try_lock() else { return };
        let full = waiting.len() >= WAITING_MAX;
        match waiting.entry(upgrade.old) {
            Entry::Occupied(_) => {}
            Entry::Vacant(_) if full => {
                self.dropped.fetch_add(1, Relaxed);
            }
            Entry::Vacant(place) => {
                place.insert(upgrade.new);
            }
        }
    }

    /// Says whether keys are moved to the pepper that is current here. If not, what waits is forgotten:
    /// another replica does it.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Relaxed);
        if !wanted {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Takes out some, `count_max` at most.
    pub fn take(&self, count_max: usize) -> Vec<Upgrade> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<Digest> = waiting.keys().take(count_max).copied().collect();
        taken
            .into_iter()
            .filter_map(|old| waiting.remove(&old).map(|new| Upgrade { old, new }))
            .collect()
    }

    /// Takes back what could not be stored, as far as there is room.
    pub fn put_back(&self, upgrades: &[Upgrade]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for upgrade in upgrades {
            if waiting.len() < WAITING_MAX {
                waiting.entry(upgrade.old).or_insert(upgrade.new);
            } else {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many were not noted since there was no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgrade(number: usize) -> Upgrade {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let old = Digest::from_bytes(bytes);
        bytes[31] = 1;
        Upgrade { old, new: Digest::from_bytes(bytes) }
    }

    fn wanted() -> Upgrades {
        let upgrades = Upgrades::default();
        upgrades.want(true);
        upgrades
    }

    #[test]
    fn a_key_that_is_used_often_is_noted_once() {
        let upgrades = wanted();
        for _ in 0..3 {
            upgrades.note(upgrade(1));
            upgrades.note(upgrade(2));
        }
        let mut taken = upgrades.take(10);
        taken.sort_by_key(|upgrade| *upgrade.old.bytes());
        assert_eq!(taken, [upgrade(1), upgrade(2)]);
        assert_eq!((upgrades.waiting(), upgrades.dropped()), (0, 0));
    }

    #[test]
    fn nothing_is_noted_where_keys_are_moved_to_another_pepper() {
        let upgrades = Upgrades::default();
        upgrades.note(upgrade(1));
        assert_eq!(upgrades.waiting(), 0);
        upgrades.want(true);
        upgrades.note(upgrade(1));
        upgrades.want(false);
        assert_eq!(upgrades.take(10), []);
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_cannot_be_stored_comes_back() {
        let upgrades = wanted();
        for number in 0..WAITING_MAX + 2 {
            upgrades.note(upgrade(number));
        }
        assert_eq!((upgrades.waiting(), upgrades.dropped()), (WAITING_MAX, 2));
        let taken = upgrades.take(3);
        assert_eq!((taken.len(), upgrades.waiting()), (3, WAITING_MAX - 3));
        upgrades.note(taken[0]);
        upgrades.put_back(&taken);
        assert_eq!((upgrades.waiting(), upgrades.dropped()), (WAITING_MAX, 2));
        upgrades.put_back(&[upgrade(WAITING_MAX + 9)]);
        assert_eq!((upgrades.waiting(), upgrades.dropped()), (WAITING_MAX, 3));
    }

    #[test]
    fn a_thread_that_meets_another_one_goes_on_without_noting() {
        let upgrades = wanted();
        let held = upgrades.waiting.lock().unwrap();
        upgrades.note(upgrade(1));
        drop(held);
        assert_eq!((upgrades.waiting(), upgrades.dropped()), (0, 0));
    }
}
