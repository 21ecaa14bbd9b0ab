//! Notes of all threads taken together, each key once.
//!
//! They are sorted now and then, which for many keys is some times as quick as to look each up.

use crate::model::{id::KeyId, usage::LastUse};

/// Keys that were used and not yet flushed, with 40 bytes each: some 80 MB, and as much again while they
/// are sorted.
pub(super) const KEYS_MAX: usize = 1 << 21;
/// Notes that may wait to be sorted.
const FRESH_MAX: usize = 1 << 20;

/// The latest use of each key.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By their ids, each once.
    sorted: Vec<LastUse>,
    fresh: Vec<LastUse>,
}

impl Gathered {
    /// Adds notes. Says how many were dropped, since there are too many keys.
    pub(super) fn add(&mut self, notes: &[LastUse]) -> usize {
        self.fresh.extend_from_slice(notes);
        if self.fresh.len() < FRESH_MAX { 0 } else { self.sort() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len() + self.fresh.len()
    }

    /// Takes all, and how many were dropped now.
    pub(super) fn take(&mut self) -> (Vec<LastUse>, usize) {
        let dropped = self.sort();
        (std::mem::take(&mut self.sorted), dropped)
    }

    /// Sorts what is fresh into the rest. Where there is no room, keys that are there stay.
    fn sort(&mut self) -> usize {
        self.fresh.sort_unstable_by_key(|note| (number(note.key), note.time, note.address));
        // the latest of each key takes the place of the earlier ones
        self.fresh.dedup_by(|later, kept| {
            let same = later.key == kept.key;
            if same {
                *kept = *later;
            }
            same
        });
        let mut room = KEYS_MAX.saturating_sub(self.sorted.len());
        let mut dropped = 0;
        let mut old = std::mem::take(&mut self.sorted).into_iter().peekable();
        let mut all = Vec::with_capacity(old.len() + self.fresh.len());
        for note in self.fresh.drain(..) {
            while let Some(before) = old.next_if(|known| number(known.key) < number(note.key)) {
                all.push(before);
            }
            match old.next_if(|known| known.key == note.key) {
                Some(known) => all.push(note.max(known)),
                None if room == 0 => dropped += 1,
                None => {
                    room -= 1;
                    all.push(note);
                }
            }
        }
        all.extend(old);
        self.sorted = all;
        dropped
    }
}

/// An id, to be compared in one step.
const fn number(id: KeyId) -> u128 {
    u128::from_be_bytes(*id.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{address::PackedAddress, fixture::packed, time::Timestamp};

    #[test]
    fn a_key_that_is_there_stays_when_there_is_no_room_for_others() {
        let note = |number: u64, second: i64| {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            let (key, address) = (KeyId::from_bytes(bytes), PackedAddress::default());
            LastUse { key, time: Timestamp::from_micros(second * 1_000_000), address }
        };
        let mut gathered = Gathered::default();
        let keys = u64::try_from(KEYS_MAX).unwrap();
        let all: Vec<LastUse> = (0..keys).rev().map(|number| note(2 * number + 1, 1)).collect();
        assert_eq!(gathered.add(&all), 0);
        assert_eq!(gathered.add(&[note(0, 9), note(3, 2), note(3, 5), note(3, 4)]), 0);
        let (notes, dropped) = gathered.take();
        assert_eq!((notes.len(), dropped), (KEYS_MAX, 1));
        assert_eq!((notes[0], notes[1]), (note(1, 1), note(3, 5)));
        assert!(notes.is_sorted());
        assert_eq!(gathered.take(), (Vec::new(), 0));
    }

    #[test]
    fn the_later_use_wins_with_its_address_and_of_two_in_a_second_one_that_has_one() {
        let key = KeyId::from_bytes([7; 16]);
        let note = |second: i64, address: &str| LastUse {
            key,
            time: Timestamp::from_micros(second * 1_000_000),
            address: packed(address),
        };
        for (notes, latest) in [
            ([note(1, "192.0.2.9"), note(2, "192.0.2.1")], note(2, "192.0.2.1")),
            ([note(2, "192.0.2.1"), note(1, "192.0.2.9")], note(2, "192.0.2.1")),
            ([note(1, "192.0.2.9"), note(2, "")], note(2, "")),
            ([note(2, "2001:db8::1"), note(2, "")], note(2, "2001:db8::1")),
        ] {
            // sorted together, and the one into the other
            let (mut together, mut apart) = (Gathered::default(), Gathered::default());
            together.add(&notes);
            apart.add(&notes[..1]);
            assert_eq!(apart.sort(), 0);
            apart.add(&notes[1..]);
            assert_eq!([together.take(), apart.take()], [(vec![latest], 0), (vec![latest], 0)]);
        }
    }
}
