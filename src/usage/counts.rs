//! How often keys were used, or keys for customers, counted by the hour.
//!
//! Each thread has a small table with a place for each key, which several keys share. A key that comes to
//! a place where another one is counted sends that one's count to a list. So keys that are used often are
//! counted where they are, and those that are used seldom make a note each time. With customers it is the
//! same.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{
    per_thread::PerThread,
    usage::{Counted, Hour, HourCount},
};

/// Places of a thread's table, with 48 bytes each at most: a part of what a core's cache holds.
const PLACES: usize = 1024;
/// Counts that a thread hands over at once.
const LIST_COUNTS: usize = 4096;
/// Full lists that wait to be gathered: some 50 MB.
const FULL_LISTS_MAX: usize = 256;
/// Keys or customers, and hours, that were counted and not yet flushed: some 70 MB.
pub(super) const COUNTS_MAX: usize = 1 << 20;

/// Counts of all threads.
#[derive(Debug)]
pub(super) struct Counts<K> {
    tables: PerThread<Table<K>>,
    full: Mutex<Vec<Vec<HourCount<K>>>>,
    gathered: Mutex<HashMap<(K, Hour), HourCount<K>>>,
    dropped: AtomicU64,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        let (tables, full, gathered, dropped) = Default::default();
        Self { tables, full, gathered, dropped }
    }
}

/// What one thread counts.
#[derive(Debug)]
struct Table<K> {
    /// None, before the thread's first count.
    places: Vec<HourCount<K>>,
    /// Counts that had to leave their places.
    gone: Vec<HourCount<K>>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { places: Vec::new(), gone: Vec::new() }
    }
}

impl<K: Counted> Counts<K> {
    /// Counts something of a key or customer in an hour.
    pub(super) fn count(&self, of: K, hour: Hour, add: impl FnOnce(&mut HourCount<K>)) {
        let Some(mut table) = self.tables.own() else { return };
        let place = of.spread() % PLACES;
        if let Some(count) = table.places.get_mut(place)
            && count.of == of
            && count.hour == hour
        {
            add(count);
            return;
        }
        let mut count = HourCount::none(of, hour);
        add(&mut count);
        if let Some(full) = table.put(place, count) {
            drop(table);
            self.hand_over(full);
        }
    }

    fn hand_over(&self, list: Vec<HourCount<K>>) {
        let mut full = lock(&self.full);
        if full.len() < FULL_LISTS_MAX {
            full.push(list);
        } else {
            self.dropped.fetch_add(u64::try_from(list.len()).unwrap_or(0), Relaxed);
        }
    }

    /// Takes together what all threads counted.
    pub(super) fn gather(&self) {
        let full = std::mem::take(&mut *lock(&self.full));
        let mut gathered = lock(&self.gathered);
        for list in full {
            self.add_all(&mut gathered, list);
        }
        for mut table in self.tables.each() {
            // taken apart from it, so that its thread does not wait
            let (places, gone) = (table.take_places(), std::mem::take(&mut table.gone));
            drop(table);
            self.add_all(&mut gathered, places);
            self.add_all(&mut gathered, gone);
        }
    }

    fn add_all(&self, to: &mut HashMap<(K, Hour), HourCount<K>>, counts: Vec<HourCount<K>>) {
        for count in counts.into_iter().filter(|count| !count.is_none()) {
            let has_room = to.len() < COUNTS_MAX;
            match to.get_mut(&(count.of, count.hour)) {
                Some(known) => known.add(&count),
                None if has_room => drop(to.insert((count.of, count.hour), count)),
                None => drop(self.dropped.fetch_add(1, Relaxed)),
            }
        }
    }

    /// Takes all that was counted, each key or customer and hour once, in their order.
    pub(super) fn drain(&self) -> Vec<HourCount<K>> {
        self.gather();
        let gathered = std::mem::take(&mut *lock(&self.gathered));
        let mut counts: Vec<HourCount<K>> = gathered.into_values().collect();
        counts.sort_unstable_by_key(|count| (count.of, count.hour));
        counts
    }

    /// How many counts were lost since the start for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl<K: Counted> Table<K> {
    /// Puts a count into a place, and returns a list that got full by what was there.
    #[inline(never)]
    fn put(&mut self, place: usize, count: HourCount<K>) -> Option<Vec<HourCount<K>>> {
        if self.places.is_empty() {
            self.places = vec![HourCount::none(K::NOBODY, Hour::default()); PLACES];
        }
        let before = std::mem::replace(self.places.get_mut(place)?, count);
        if before.is_none() {
            return None;
        }
        if self.gone.capacity() == 0 {
            self.gone.reserve_exact(LIST_COUNTS); // once: so that a count never moves others
        }
        self.gone.push(before);
        (self.gone.len() >= LIST_COUNTS).then(|| std::mem::take(&mut self.gone))
    }

    fn take_places(&mut self) -> Vec<HourCount<K>> {
        std::mem::take(&mut self.places)
    }
}

/// A panic while one was locked leaves it whole: each change of it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread};

    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        customer::CustomerNumber,
        fixture::{id, now_plus},
        id::KeyId,
    };

    fn hour(number: i64) -> Hour {
        Hour::of(now_plus(number * 3_600_000_000))
    }

    #[test]
    fn counts_of_all_threads_add_up_however_many_keys_share_a_place() {
        let counts = Counts::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..20_000 {
                        let key = id(number % 5000);
                        counts.count(key, hour(0), |count| count.allowed += 1);
                    }
                });
            }
        });
        let all = counts.drain();
        assert_eq!(all.len(), 5000);
        assert!(all.iter().all(|count| count.allowed == 16));
        assert!(all.is_sorted_by_key(|count| count.of));
        assert_eq!((counts.drain(), counts.dropped()), (Vec::new(), 0));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_what_is_there_goes_on() {
        let counts = Counts::default();
        let room = u64::try_from(COUNTS_MAX).unwrap();
        for number in 0..room + 10 {
            counts.count(id(number), hour(0), |count| count.allowed += 1);
            if number % 100_000 == 0 {
                counts.gather();
            }
        }
        counts.gather();
        assert_eq!(counts.dropped(), 10);
        counts.count(id(0), hour(0), |count| count.allowed += 1);
        let all = counts.drain();
        assert_eq!(all.len(), COUNTS_MAX);
        assert!(all.iter().any(|count| count.allowed == 2), "one that is there");
    }

    #[test]
    fn customers_with_numbers_in_a_row_have_places_of_their_own() {
        let counts = Counts::default();
        let places = i64::try_from(PLACES).unwrap();
        for number in 1..=2 * places {
            let customer = CustomerNumber::new(number % places);
            counts.count(customer, hour(0), |count| count.allow(3));
        }
        assert_eq!(counts.tables.each().map(|table| table.gone.len()).sum::<usize>(), 0);
        let all = counts.drain();
        assert_eq!(all.len(), PLACES);
        assert!(all.iter().all(|count| (count.allowed, count.cost) == (2, 6)));
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_plain_list(
            uses in prop::collection::vec((0..3_u64, 0..3_i64, 0..5_usize, any::<bool>()), 0..60),
        ) {
            let counts = Counts::default();
            let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
            for (key, at, what, drained) in uses {
                // keys that share a place
                let (key, hour) = (id(key * u64::try_from(PLACES).unwrap()), hour(at));
                let add = |count: &mut HourCount<KeyId>| {
                    if let Some(denied) = count.denied.get_mut(what) {
                        *denied += 1;
                    } else {
                        (count.allowed, count.cost) = (count.allowed + 1, count.cost + 7);
                    }
                };
                counts.count(key, hour, add);
                let none = HourCount::none(key, hour);
                add(expected.entry((key, hour)).or_insert(none));
                if drained {
                    for count in counts.drain() {
                        let none = HourCount::none(count.of, count.hour);
                        found.entry((count.of, count.hour)).or_insert(none).add(&count);
                    }
                }
            }
            for count in counts.drain() {
                let none = HourCount::none(count.of, count.hour);
                found.entry((count.of, count.hour)).or_insert(none).add(&count);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
