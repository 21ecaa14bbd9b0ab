//! The ledger of uses: which keys were used since it was last drained, and how often, by the hour.
//!
//! A decision adds a note to a list and counts in tables that only its own thread writes, which is all
//! that it has to do. [`flush`] is the task that gathers them and carries them to the database.

mod counts;
pub mod flush;
mod gathered;

use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{
    address::{AddressDetail, PackedAddress},
    customer::CustomerNumber,
    id::KeyId,
    per_thread::PerThread,
    time::Timestamp,
    usage::{DenialClass, Hour, HourCount, LastUse},
    view::KeyView,
};
use counts::Counts;
use gathered::Gathered;

/// Notes that are handed over at once.
const LIST_NOTES: usize = 4096;
/// Full lists that wait to be gathered: with 40 bytes a note, some 80 MB.
const FULL_LISTS_MAX: usize = 512;

/// Collects uses in memory.
#[derive(Debug, Default)]
pub struct Ledger {
    detail: AddressDetail,
    lists: PerThread<Vec<LastUse>>,
    full: Mutex<Vec<Vec<LastUse>>>,
    gathered: Mutex<Gathered>,
    dropped: AtomicU64,
    counts: Counts<KeyId>,
    customers: Counts<CustomerNumber>,
}

/// When, from where and for whom a key was used.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// When.
    pub time: Timestamp,
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// The customer that the request names, if it is a known one.
    pub customer: Option<CustomerNumber>,
}

impl Ledger {
    /// One that notes so much of addresses.
    pub fn new(detail: AddressDetail) -> Self {
        Self { detail, ..Self::default() }
    }

    /// Counts that a key was allowed something of this cost, and notes its use.
    pub fn allow(&self, key: &KeyView, occasion: &Occasion, cost: u32) {
        self.record(key, occasion);
        let hour = Hour::of(occasion.time);
        self.counts.count(key.id, hour, |count| count.allow(cost));
        if let Some(customer) = occasion.customer {
            self.customers.count(customer, hour, |count| count.allow(cost));
        }
    }

    /// Counts that a key was denied something.
    pub fn deny(&self, key: &KeyView, occasion: &Occasion, class: DenialClass) {
        let hour = Hour::of(occasion.time);
        self.counts.count(key.id, hour, |count| count.deny(class));
        if let Some(customer) = occasion.customer {
            self.customers.count(customer, hour, |count| count.deny(class));
        }
    }

    /// Notes that a key was used. Costs a load if it was used in this same second already. While
    /// the ledger is full, notes are counted and dropped.
    pub fn record(&self, key: &KeyView, occasion: &Occasion) {
        if key.last_used.advance(occasion.time) {
            let time = occasion.time.floor_to_second();
            let address = PackedAddress::new(occasion.address, self.detail);
            self.note(LastUse { key: key.id, time, address });
        }
    }

    fn note(&self, note: LastUse) {
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
        self.customers.gather();
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
    pub fn drain(&self) -> Vec<LastUse> {
        self.gather();
        let (notes, dropped) = lock(&self.gathered).take();
        self.drop_notes(dropped);
        notes
    }

    /// Takes all that was counted of keys, each key and hour once, in their order.
    pub fn drain_counts(&self) -> Vec<HourCount<KeyId>> {
        self.counts.drain()
    }

    /// Takes all that was counted of customers, each customer and hour once, in their order.
    pub fn drain_customers(&self) -> Vec<HourCount<CustomerNumber>> {
        self.customers.drain()
    }

    /// How many counts were lost since the start because there were too many.
    pub fn dropped_counts(&self) -> u64 {
        self.counts.dropped() + self.customers.dropped()
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, uses: &[LastUse]) {
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
