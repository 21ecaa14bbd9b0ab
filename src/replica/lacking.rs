//! Keys that cannot be found here because this process has not the pepper that they need.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering::Release},
};

use crate::model::{id::KeyId, pepper::PepperId, time::Timestamp, view::KeyRow};

/// Which keys need a pepper that is missing.
#[derive(Debug)]
pub(super) struct Lacking {
    /// The peppers that this process has; `None`: it is not asked which.
    pub(super) peppers: Option<Box<[PepperId]>>,
    /// For the current token and for one that was replaced.
    keys: HashMap<KeyId, [Option<Need>; 2]>,
    /// Nothing is over before.
    next_end: Timestamp,
}

/// A pepper that is missing for a token.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// Which; `None`: its id cannot be read.
    pepper: Option<PepperId>,
    /// When the token does not open its key any more.
    end: Timestamp,
}

impl Default for Lacking {
    fn default() -> Self {
        Self { peppers: None, keys: HashMap::new(), next_end: Timestamp::DISTANT_FUTURE }
    }
}

impl Lacking {
    /// Notes whether a key needs a missing pepper. The count is not lowered before [`Self::tell`]: it is
    /// right before an old secret goes and after a new one came, so that nobody misses both.
    pub(super) fn note(&mut self, row: &KeyRow<'_>, count: &AtomicUsize) {
        let [current, replaced] = row.peppers;
        let end = row.retiring.map(|(_, end)| end);
        let current = self.need(current, Some(Timestamp::DISTANT_FUTURE));
        let needs = [current, self.need(replaced, end)];
        if needs.iter().all(Option::is_none) {
            self.keys.remove(&row.id);
            return;
        }
        let ends = needs.iter().flatten().map(|need| need.end);
        self.next_end = ends.fold(self.next_end, Timestamp::min);
        self.keys.insert(row.id, needs);
        count.fetch_max(self.keys.len(), Release);
    }

    /// Tells how many keys need a missing pepper.
    pub(super) fn tell(&self, count: &AtomicUsize) {
        count.store(self.keys.len(), Release);
    }

    /// What is missing for a token until its end, if there is such a token.
    fn need(&self, pepper: Option<&str>, end: Option<Timestamp>) -> Option<Need> {
        let (ours, pepper, end) = (self.peppers.as_ref()?, pepper?, end?);
        let pepper = PepperId::parse(pepper).ok();
        let is_ours = pepper.is_some_and(|pepper| ours.contains(&pepper));
        (!is_ours).then_some(Need { pepper, end })
    }

    /// Forgets a key that is deleted.
    pub(super) fn forget(&mut self, id: KeyId, count: &AtomicUsize) {
        if self.keys.remove(&id).is_some() {
            self.tell(count);
        }
    }

    /// Forgets what needs a pepper that was retired: nobody has to have it any more.
    pub(super) fn retire(&mut self, pepper: PepperId, count: &AtomicUsize) {
        self.keep(|need| need.pepper != Some(pepper));
        self.tell(count);
    }

    /// Forgets tokens that do not open their keys any more.
    pub(super) fn sweep(&mut self, now: Timestamp, count: &AtomicUsize) {
        if self.next_end <= now {
            self.keep(|need| need.end > now);
            self.tell(count);
        }
    }

    fn keep(&mut self, is_needed: impl Fn(&Need) -> bool) {
        self.next_end = Timestamp::DISTANT_FUTURE;
        let next_end = &mut self.next_end;
        self.keys.retain(|_, needs| {
            *needs = needs.map(|need| need.filter(&is_needed));
            for need in needs.iter().flatten() {
                *next_end = need.end.min(*next_end);
            }
            needs.iter().any(Option::is_some)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Acquire;

    use super::*;
    use crate::model::fixture::{KeyBuilder, digest, id, key};

    const OURS: &str = "00000001";
    const THEIRS: &str = "00000002";
    const OTHERS: &str = "00000003";

    /// Of a process that has one pepper.
    struct Counted(Lacking, AtomicUsize);

    impl Counted {
        fn new() -> Self {
            let peppers = Some([pepper(OURS)].into());
            Self(Lacking { peppers, ..Lacking::default() }, AtomicUsize::new(0))
        }

        fn put(&mut self, key: &KeyBuilder) {
            self.0.note(&key.row(), &self.1);
            self.0.tell(&self.1);
        }

        fn sweep(&mut self, now: Timestamp) {
            self.0.sweep(now, &self.1);
        }

        fn retire(&mut self, text: &str) {
            self.0.retire(pepper(text), &self.1);
        }

        fn count(&self) -> usize {
            self.1.load(Acquire)
        }
    }

    fn pepper(text: &str) -> PepperId {
        PepperId::parse(text).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn keyed(number: u64, peppers: [Option<&'static str>; 2]) -> KeyBuilder {
        key().id(id(number)).peppers(peppers)
    }

    #[test]
    fn a_current_token_counts_for_ever_and_a_replaced_one_until_its_end() {
        let mut lacking = Counted::new();
        let keys = [
            (1, [Some(THEIRS), None]),
            (2, [Some(OURS), Some(THEIRS)]),
            (3, [Some(THEIRS), Some(THEIRS)]),
            (4, [None, Some(OURS)]),
        ];
        for (number, peppers) in keys {
            lacking.put(&keyed(number, peppers).retiring(digest(9), at(10)));
        }
        // no token was replaced
        lacking.put(&keyed(5, [Some(OURS), Some(THEIRS)]));
        assert_eq!(lacking.count(), 3);
        lacking.sweep(at(9));
        assert_eq!(lacking.count(), 3);
        lacking.sweep(at(10));
        assert_eq!(lacking.count(), 2);
        lacking.put(&keyed(2, [None, Some(THEIRS)]).retiring(digest(9), at(20)));
        assert_eq!(lacking.count(), 3);
        lacking.sweep(at(20));
        lacking.0.forget(id(1), &lacking.1);
        assert_eq!(lacking.count(), 1);
    }

    #[test]
    fn what_needs_a_retired_pepper_only_is_forgotten() {
        let mut lacking = Counted::new();
        lacking.put(&keyed(1, [Some(THEIRS), None]));
        lacking.put(&keyed(2, [Some(OTHERS), None]));
        lacking.put(&keyed(3, [Some("?"), None]));
        lacking.put(&keyed(4, [Some(THEIRS), Some(OTHERS)]).retiring(digest(9), at(10)));
        lacking.retire(THEIRS);
        assert_eq!(lacking.count(), 3);
        lacking.sweep(at(10));
        assert_eq!(lacking.count(), 2);
        lacking.retire(OTHERS);
        assert_eq!(lacking.count(), 1);
    }

    #[test]
    fn the_count_falls_only_when_the_secrets_of_a_key_are_in_place() {
        let mut lacking = Counted::new();
        lacking.0.note(&keyed(1, [Some(THEIRS), None]).row(), &lacking.1);
        assert_eq!(lacking.count(), 1);
        lacking.0.note(&keyed(1, [Some(OURS), None]).row(), &lacking.1);
        assert_eq!(lacking.count(), 1);
        lacking.0.tell(&lacking.1);
        assert_eq!(lacking.count(), 0);
    }
}
