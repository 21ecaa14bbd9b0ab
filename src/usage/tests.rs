//! What the ledger holds after any uses.

use std::{collections::BTreeMap, thread};

use proptest::prelude::*;

use super::{gathered::KEYS_MAX, *};
use crate::model::fixture::{NOW, id, key, now_plus, packed};

const SECOND: i64 = 1_000_000;

/// A use of which nobody knows where it came from, for nobody.
fn at(time: Timestamp) -> Occasion {
    Occasion { time, address: None, customer: None }
}

fn last(key: KeyId, time: Timestamp) -> LastUse {
    LastUse { key, time, address: PackedAddress::default() }
}

fn drained(ledger: &Ledger) -> BTreeMap<KeyId, Timestamp> {
    let uses = ledger.drain();
    let count = uses.len();
    let uses: BTreeMap<_, _> = uses.into_iter().map(|last| (last.key, last.time)).collect();
    assert_eq!(uses.len(), count, "each key once");
    uses
}

#[test]
fn a_use_is_noted_once_a_second_and_by_the_second() {
    let (ledger, key) = (Ledger::default(), key().build());
    let second = NOW.floor_to_second();
    ledger.record(&key, &at(NOW));
    assert_eq!(ledger.drain(), [last(key.id, second)]);
    for time in [NOW, now_plus(1), second, now_plus(-SECOND)] {
        ledger.record(&key, &at(time));
        assert_eq!(ledger.drain(), [], "{time:?}");
    }
    let next = second.after(std::time::Duration::from_secs(1));
    ledger.record(&key, &at(next));
    assert_eq!(ledger.drain(), [last(key.id, next)]);
}

#[test]
fn draining_empties_the_ledger() {
    let ledger = Ledger::default();
    for number in 0..100 {
        ledger.record(&key().id(id(number)).build(), &at(NOW));
    }
    let all = (0..100).map(|number| (id(number), NOW.floor_to_second()));
    assert_eq!(drained(&ledger), all.collect());
    assert_eq!((ledger.drain(), ledger.dropped()), (Vec::new(), 0));
}

#[test]
fn what_is_put_back_is_drained_again_and_never_turns_a_use_back() {
    let ledger = Ledger::default();
    let used = key().build();
    ledger.record(&used, &at(NOW));
    let taken = ledger.drain();
    ledger.put_back(&taken);
    assert_eq!(ledger.drain(), taken);

    ledger.record(&used, &at(now_plus(3 * SECOND)));
    ledger.put_back(&taken);
    let latest = now_plus(3 * SECOND).floor_to_second();
    assert_eq!(ledger.drain(), [last(used.id, latest)]);
}

#[test]
fn uses_of_several_threads_are_all_in_the_ledger() {
    let ledger = Ledger::default();
    let shared = key().id(id(1_000_000)).build();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (ledger, shared) = (&ledger, &shared);
            scope.spawn(move || {
                for number in 0..500 {
                    ledger.record(&key().id(id(thread * 500 + number)).build(), &at(NOW));
                    let time = now_plus(i64::try_from(number).unwrap() * SECOND);
                    ledger.record(shared, &at(time));
                }
            });
        }
    });
    let uses = drained(&ledger);
    assert_eq!(uses.len(), 2001);
    let latest = now_plus(499 * SECOND).floor_to_second();
    assert_eq!(uses.get(&shared.id), Some(&latest));
}

#[test]
fn a_full_ledger_counts_and_drops_new_keys_and_still_knows_its_own() {
    let ledger = Ledger::default();
    let keys = u64::try_from(KEYS_MAX).unwrap();
    let all: Vec<_> = (0..keys).map(|number| last(id(number), now_plus(0))).collect();
    ledger.put_back(&all);
    assert_eq!(ledger.dropped(), 0);

    let new = key().id(id(keys)).build();
    ledger.record(&new, &at(NOW));
    ledger.gather();
    ledger.put_back(&[last(id(keys + 1), NOW)]);
    ledger.record(&key().id(id(3)).build(), &at(now_plus(5 * SECOND)));
    let uses = drained(&ledger);
    assert_eq!((uses.len(), ledger.dropped()), (KEYS_MAX, 2));
    let moved_on = now_plus(5 * SECOND).floor_to_second();
    assert_eq!(uses.get(&id(3)), Some(&moved_on));
    assert!(!uses.contains_key(&new.id));

    ledger.record(&new, &at(now_plus(SECOND)));
    assert_eq!(drained(&ledger).len(), 1);
}

#[test]
fn what_a_thread_noted_is_handed_over_in_full_lists_and_those_are_bounded() {
    let ledger = Ledger::default();
    let key = key().build();
    let seconds = |from: usize, to: usize| {
        for second in from..to {
            ledger.record(&key, &at(now_plus(i64::try_from(second).unwrap() * SECOND)));
        }
    };
    seconds(0, FULL_LISTS_MAX * LIST_NOTES + LIST_NOTES - 1);
    assert_eq!((lock(&ledger.full).len(), ledger.dropped()), (FULL_LISTS_MAX, 0));
    let end = FULL_LISTS_MAX * LIST_NOTES + LIST_NOTES;
    seconds(end - 1, end);
    assert_eq!(ledger.dropped(), u64::try_from(LIST_NOTES).unwrap());
    ledger.gather();
    assert!(lock(&ledger.full).is_empty());
    seconds(end, end + 1);
    let latest = now_plus(i64::try_from(end).unwrap() * SECOND).floor_to_second();
    assert_eq!(ledger.drain(), [last(key.id, latest)]);
}

#[test]
fn a_use_is_noted_with_its_address_and_the_next_one_with_its_own() {
    let (ledger, key) = (Ledger::default(), key().build());
    for (second, text) in [(0, "192.0.2.7"), (1, "2001:db8::7"), (2, ""), (3, "192.0.2.8")] {
        let time = now_plus(second * SECOND);
        let from = |address| Occasion { address, ..at(time) };
        ledger.record(&key, &from(packed(text).address()));
        // within the same second, the first one is noted
        ledger.record(&key, &from(packed("203.0.113.9").address()));
        let taken = ledger.drain();
        let noted = LastUse { address: packed(text), ..last(key.id, time.floor_to_second()) };
        assert_eq!(taken, [noted], "{text}");
        ledger.put_back(&taken);
        assert_eq!(ledger.drain(), [noted], "{text}, put back");
    }
}

#[test]
fn of_an_address_the_network_alone_is_noted_if_that_is_set() {
    let (ledger, key) = (Ledger::new(AddressDetail::Network), key().build());
    for (second, text, noted) in [
        (0, "192.0.2.7", "192.0.2.0"),
        (1, "::ffff:192.0.2.7", "192.0.2.0"),
        (2, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (3, "", ""),
    ] {
        let address = (!text.is_empty()).then(|| text.parse().unwrap());
        ledger.record(&key, &Occasion { address, ..at(now_plus(second * SECOND)) });
        let taken = ledger.drain();
        assert_eq!(taken.iter().map(|last| last.address).collect::<Vec<_>>(), [packed(noted)]);
    }
}

/// So often allowed, at a cost of 3, and denied by a limit.
fn count<K>(of: K, times: u32) -> HourCount<K> {
    let (denied, cost) = ([0, 0, 0, times], u64::from(3 * times));
    HourCount { allowed: times, denied, cost, ..HourCount::none(of, Hour::of(NOW)) }
}

#[test]
fn what_is_asked_for_a_known_customer_is_counted_for_it_and_for_the_key() {
    let ledger = Ledger::default();
    let keys = [key().id(id(1)).build(), key().id(id(2)).build()];
    let number = CustomerNumber::new(7);
    for (key, customer) in [(&keys[0], Some(number)), (&keys[1], Some(number)), (&keys[0], None)] {
        let occasion = Occasion { customer, ..at(NOW) };
        ledger.allow(key, &occasion, 3);
        ledger.deny(key, &occasion, DenialClass::Limited);
    }
    assert_eq!(ledger.drain_counts(), [count(id(1), 2), count(id(2), 1)]);
    assert_eq!(ledger.drain_customers(), [count(number, 2)]);
    assert_eq!((ledger.drain_customers(), ledger.dropped_counts()), (Vec::new(), 0));
}

proptest! {
    #[test]
    fn of_each_key_the_latest_use_is_kept_whatever_was_put_back_when(
        uses in prop::collection::vec((0..5_u64, 0..10_i64, any::<bool>()), 0..40),
    ) {
        let ledger = Ledger::default();
        let keys: Vec<_> = (0..5).map(|number| key().id(id(number)).build()).collect();
        let mut latest = BTreeMap::new();
        for (number, second, failed_flush) in uses {
            let time = now_plus(second * SECOND);
            ledger.record(&keys[usize::try_from(number).unwrap()], &at(time));
            let known = latest.entry(id(number)).or_insert(time.floor_to_second());
            *known = time.floor_to_second().max(*known);
            if failed_flush {
                ledger.put_back(&ledger.drain());
            }
        }
        prop_assert_eq!(drained(&ledger), latest);
        prop_assert_eq!(ledger.dropped(), 0);
    }
}
