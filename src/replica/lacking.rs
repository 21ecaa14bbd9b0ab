//! Keys that cannot be found here because this process has not the pepper that they need.

use std::{collections::HashSet, sync::atomic::AtomicUsize, sync::atomic::Ordering::Release};

use crate::model::{id::KeyId, pepper::PepperId, view::KeyRow};

/// Which keys need a pepper that is missing.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// The peppers that this process has; `None`: it is not asked which.
    pub(super) peppers: Option<Box<[PepperId]>>,
    keys: HashSet<KeyId>,
}

impl Lacking {
    /// Notes whether a key needs a missing pepper, and how many do. To be told before an old secret goes,
    /// so that nobody misses both.
    pub(super) fn note(&mut self, row: &KeyRow<'_>, count: &AtomicUsize) {
        let has = |text: &&str| {
            let id = PepperId::parse(text);
            self.peppers.as_ref().is_none_or(|ours| id.is_ok_and(|id| ours.contains(&id)))
        };
        let changed = if row.peppers.iter().flatten().all(has) {
            self.keys.remove(&row.id)
        } else {
            self.keys.insert(row.id)
        };
        if changed {
            count.store(self.keys.len(), Release);
        }
    }

    /// Forgets a key that is deleted.
    pub(super) fn forget(&mut self, id: KeyId, count: &AtomicUsize) {
        if self.keys.remove(&id) {
            count.store(self.keys.len(), Release);
        }
    }
}
