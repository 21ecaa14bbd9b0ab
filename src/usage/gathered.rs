//! Notes of all threads taken together, each key once.
//!
//! They are sorted now and then, which for many keys is some times as quick as to look each up.

use super::Note;
use crate::model::id::KeyId;

/// Keys that were used and not yet flushed, with 24 bytes each: some 50 MB, and as much again while they
/// are sorted.
pub(super) const KEYS_MAX: usize = 1 << 21;
/// Notes that may wait to be sorted.
const FRESH_MAX: usize = 1 << 20;

/// The latest use of each key.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By their ids, each once.
    sorted: Vec<Note>,
    fresh: Vec<Note>,
}

impl Gathered {
    /// Adds notes. Says how many were dropped, since there are too many keys.
    pub(super) fn add(&mut self, notes: &[Note]) -> usize {
        self.fresh.extend_from_slice(notes);
        if self.fresh.len() < FRESH_MAX { 0 } else { self.sort() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len() + self.fresh.len()
    }

    /// Takes all, and how many were dropped now.
    pub(super) fn take(&mut self) -> (Vec<Note>, usize) {
        let dropped = self.sort();
        (std::mem::take(&mut self.sorted), dropped)
    }

    /// Sorts what is fresh into the rest. Where there is no room, keys that are there stay.
    fn sort(&mut self) -> usize {
        self.fresh.sort_unstable_by_key(|(id, time)| (number(*id), *time));
        // the latest of each key takes the place of the earlier ones
        self.fresh.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        let mut room = KEYS_MAX.saturating_sub(self.sorted.len());
        let mut dropped = 0;
        let mut old = std::mem::take(&mut self.sorted).into_iter().peekable();
        let mut all = Vec::with_capacity(old.len() + self.fresh.len());
        for (id, time) in self.fresh.drain(..) {
            while let Some(before) = old.next_if(|(known, _)| number(*known) < number(id)) {
                all.push(before);
            }
            match old.next_if(|(known, _)| *known == id) {
                Some((_, known)) => all.push((id, time.max(known))),
                None if room == 0 => dropped += 1,
                None => {
                    room -= 1;
                    all.push((id, time));
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
    use crate::model::time::Timestamp;

    #[test]
    fn a_key_that_is_there_stays_when_there_is_no_room_for_others() {
        let note = |number: u64, second: i64| {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&number.to_be_bytes());
            (KeyId::from_bytes(bytes), Timestamp::from_micros(second * 1_000_000))
        };
        let mut gathered = Gathered::default();
        let keys = u64::try_from(KEYS_MAX).unwrap();
        let all: Vec<Note> = (0..keys).rev().map(|number| note(2 * number + 1, 1)).collect();
        assert_eq!(gathered.add(&all), 0);
        assert_eq!(gathered.add(&[note(0, 9), note(3, 2), note(3, 5), note(3, 4)]), 0);
        let (notes, dropped) = gathered.take();
        assert_eq!((notes.len(), dropped), (KEYS_MAX, 1));
        assert_eq!((notes[0], notes[1]), (note(1, 1), note(3, 5)));
        assert!(notes.is_sorted());
        assert_eq!(gathered.take(), (Vec::new(), 0));
    }
}
