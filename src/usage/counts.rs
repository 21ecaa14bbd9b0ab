//! How often keys were used, counted by the hour.
//!
//! Each thread has a small table with a place for each key, which several keys share. A key that comes to
//! a place where another one is counted sends that one's count to a list. So keys that are used often are
//! counted where they are, and those that are used seldom make a note each time.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{
    id::KeyId,
    per_thread::PerThread,
    usage::{Hour, HourCount},
};

/// Places of a thread's table, with 48 bytes each: a part of what a core's cache holds.
const PLACES: usize = 1024;
/// Counts that a thread hands over at once.
const LIST_COUNTS: usize = 4096;
/// Full lists that wait to be gathered: some 50 MB.
const FULL_LISTS_MAX: usize = 256;
/// Keys and hours that were counted and not yet flushed: some 70 MB.
pub(super) const COUNTS_MAX: usize = 1 << 20;

/// Counts of all threads.
#[derive(Debug, Default)]
pub(super) struct Counts {
    tables: PerThread<Table>,
    full: Mutex<Vec<Vec<HourCount>>>,
    gathered: Mutex<HashMap<(KeyId, Hour), HourCount>>,
    dropped: AtomicU64,
}

/// What one thread counts.
#[derive(Debug, Default)]
struct Table {
    /// None, before the thread's first count.
    places: Vec<HourCount>,
    /// Counts that had to leave their places.
    gone: Vec<HourCount>,
}

impl Counts {
    /// Counts something of a key in an hour.
    pub(super) fn count(&self, key: KeyId, hour: Hour, add: impl FnOnce(&mut HourCount)) {
        let Some(mut table) = self.tables.own() else { return };
        let [.., high, low] = *key.bytes();
        let place = usize::from(u16::from_be_bytes([high, low])) % PLACES;
        if let Some(count) = table.places.get_mut(place)
            && count.key == key
            && count.hour == hour
        {
            add(count);
            return;
        }
        let mut count = HourCount::none(key, hour);
        add(&mut count);
        if let Some(full) = table.put(place, count) {
            drop(table);
            self.hand_over(full);
        }
    }

    fn hand_over(&self, list: Vec<HourCount>) {
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

    fn add_all(&self, to: &mut HashMap<(KeyId, Hour), HourCount>, counts: Vec<HourCount>) {
        for count in counts.into_iter().filter(|count| !count.is_none()) {
            let has_room = to.len() < COUNTS_MAX;
            match to.get_mut(&(count.key, count.hour)) {
                Some(known) => known.add(&count),
                None if has_room => drop(to.insert((count.key, count.hour), count)),
                None => drop(self.dropped.fetch_add(1, Relaxed)),
            }
        }
    }

    /// Takes all that was counted, each key and hour once, in their order.
    pub(super) fn drain(&self) -> Vec<HourCount> {
        self.gather();
        let gathered = std::mem::take(&mut *lock(&self.gathered));
        let mut counts: Vec<HourCount> = gathered.into_values().collect();
        counts.sort_unstable_by_key(|count| (count.key, count.hour));
        counts
    }

    /// How many counts were lost since the start for want of room.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Table {
    /// Puts a count into a place, and returns a list that got full by what was there.
    #[inline(never)]
    fn put(&mut self, place: usize, count: HourCount) -> Option<Vec<HourCount>> {
        if self.places.is_empty() {
            let nobody = HourCount::none(KeyId::from_bytes([0; 16]), Hour::default());
            self.places = vec![nobody; PLACES];
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

    fn take_places(&mut self) -> Vec<HourCount> {
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
    use crate::model::fixture::{id, now_plus};

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
        assert!(all.is_sorted_by_key(|count| count.key));
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
                let add = |count: &mut HourCount| {
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
                        let none = HourCount::none(count.key, count.hour);
                        found.entry((count.key, count.hour)).or_insert(none).add(&count);
                    }
                }
            }
            for count in counts.drain() {
                let none = HourCount::none(count.key, count.hour);
                found.entry((count.key, count.hour)).or_insert(none).add(&count);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
