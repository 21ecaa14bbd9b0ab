//! The table against a map that is not shared, and readers while it grows and changes.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64},
    thread,
};

use proptest::prelude::*;

use super::*;
use crate::model::{
    fixture::{digest, id, key, now_plus},
    id::KeyId,
};

/// Digests that fall into few buckets, some with the same tag.
fn crowded(number: u64) -> Digest {
    let mut bytes = [7; 32];
    let [low, ..] = number.to_le_bytes();
    bytes[0] = low % 3;
    bytes[4] = low % 2;
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    Digest::from_bytes(bytes)
}

/// Digests that are spread as random ones are.
fn spread(number: u64) -> Digest {
    let mut bytes = *digest(number).bytes();
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&(mixed ^ (mixed >> 32)).to_le_bytes());
    Digest::from_bytes(bytes)
}

const PLACES: [fn(u64) -> Digest; 2] = [crowded, spread];

fn view(digest: Digest, number: u64) -> KeyView {
    KeyView { digest, ..key().id(id(number)).build() }
}

fn content(table: &KeyTable) -> HashMap<[u8; 32], KeyId> {
    let mut found = HashMap::new();
    table.for_each(|view| {
        assert!(found.insert(*view.digest.bytes(), view.id).is_none(), "each secret once");
    });
    found
}

proptest! {
    #[test]
    fn keys_are_found_together_as_they_are_alone(
        there in prop::collection::vec(0..60_u64, 0..100),
        asked in prop::collection::vec(prop::option::weighted(0.8, 0..60_u64), TOGETHER),
        place in prop::sample::select(PLACES.to_vec()),
    ) {
        let table = KeyTable::default();
        for number in there {
            table.insert(view(place(number), number));
        }
        let asked: [Option<Digest>; TOGETHER] = std::array::from_fn(|at| asked[at].map(place));
        let found = table.get_together(&asked).map(|key| key.map(|key| (key.id, key.digest)));
        let alone = asked.map(|digest| table.get(&digest?).map(|key| (key.id, key.digest)));
        prop_assert_eq!(found, alone);
    }

    #[test]
    fn the_table_is_a_map(
        changes in prop::collection::vec((0..60_u64, any::<bool>(), 0..3_u64), 0..200),
        place in prop::sample::select(PLACES.to_vec()),
    ) {
        let (table, mut map) = (KeyTable::default(), HashMap::new());
        for (number, put, owner) in changes {
            let secret = place(number);
            if put {
                table.insert(view(secret, owner));
                map.insert(*secret.bytes(), id(owner));
            } else {
                // only its owner's secret is taken out
                table.remove(&secret, |view| view.id == id(owner));
                if map.get(secret.bytes()) == Some(&id(owner)) {
                    map.remove(secret.bytes());
                }
            }
            prop_assert_eq!(table.get(&secret).map(|key| key.id), map.get(secret.bytes()).copied());
        }
        prop_assert_eq!(table.len(), map.len());
        prop_assert_eq!(content(&table), map);
    }
}

#[test]
fn a_table_that_has_grown_a_hundredfold_has_every_key_and_no_other() {
    const KEYS: u64 = 200_000;
    let table = KeyTable::default();
    for number in 0..KEYS {
        table.insert(view(spread(number), number));
    }
    let buckets = table.buckets.load(Relaxed);
    assert!((table.len() / BUCKET_KEYS..=table.len() / BUCKET_KEYS + 1).contains(&buckets));
    for number in 0..KEYS {
        assert_eq!(table.get(&spread(number)).map(|key| key.id), Some(id(number)));
        let place = Place::of(&spread(number));
        assert!(table.get_at(place, |view| view.id == id(number)).is_some());
        assert!(table.get(&spread(KEYS + number)).is_none());
    }
    let mut largest = 0;
    for number in 0..buckets {
        largest = largest.max(table.slot(number).load().slice.len());
    }
    assert!(largest < 5 * BUCKET_KEYS, "a bucket has {largest} keys");
}

#[test]
fn each_number_of_a_bucket_has_a_slot_of_its_own() {
    let table = KeyTable::default();
    let mut slots: Vec<_> =
        (0..5000).map(|number| std::ptr::from_ref(table.slot(number))).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), 5000);
}

#[test]
fn a_place_is_always_within_the_buckets_and_moves_only_to_the_new_one() {
    for buckets in FIRST_BUCKETS..2000 {
        for number in 0..500_u32 {
            let place = Place(number.wrapping_mul(0x9e37_79b9));
            let (before, after) = (place.bucket(buckets), place.bucket(buckets + 1));
            assert!(before < buckets);
            assert!(after == before || after == buckets);
            let parent = buckets - (buckets + 1).next_power_of_two() / 2;
            assert!(after == before || before == parent);
        }
    }
}

#[test]
fn what_was_found_stays_as_it_was() {
    let table = KeyTable::default();
    table.insert(view(spread(1), 1));
    let (found, detached) = (table.get(&spread(1)).unwrap(), table.get(&spread(1)).unwrap());
    let detached = detached.detached();
    table.insert(KeyView { expire: now_plus(5), ..view(spread(1), 1) });
    table.remove(&spread(1), |_| true);
    assert!(table.get(&spread(1)).is_none());
    let before = view(spread(1), 1).expire;
    assert_eq!((found.expire, detached.expire), (before, before));
}

/// While the table grows from little to much, and some keys are replaced all the time, readers find each
/// key that is there, and none that is not.
#[test]
fn readers_find_every_key_while_the_table_grows() {
    const KEYS: u64 = 60_000;
    let table = KeyTable::default();
    for number in 0..100 {
        table.insert(view(spread(number), number));
    }
    let (there, over) = (AtomicU64::new(100), AtomicBool::new(false));
    let look_up = || {
        let mut number = 0;
        while !over.load(Relaxed) {
            let known = there.load(Acquire);
            number = (number + 7919) % known;
            let found = table.get(&spread(number)).expect("it was put before it was counted");
            assert_eq!((found.id, found.digest), (id(number), spread(number)));
            let [one, none] = [number, KEYS + number].map(|number| Some(spread(number)));
            let [found, unknown, ..] = table.get_together(&[one, none, one, None, one, one]);
            assert_eq!(found.map(|key| key.id), Some(id(number)));
            assert!(unknown.is_none());
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(look_up), scope.spawn(look_up)];
        for number in 100..KEYS {
            table.insert(view(spread(number), number));
            there.store(number + 1, Release);
            table.insert(view(spread(number % 100), number % 100));
            if readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break; // it panicked: the scope tells
            }
        }
        over.store(true, Relaxed);
    });
    assert_eq!(table.len(), usize::try_from(KEYS).unwrap());
}
