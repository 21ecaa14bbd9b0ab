//! What waits to be told to others: each once, however often it changes.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::meter::{Mark, Metered};

const SHARDS: usize = 16;

/// Things with limits that changed. There are never more than there are things with limits.
#[derive(Debug, Default)]
pub(super) struct Worklist([Mutex<Vec<Arc<Metered>>>; SHARDS]);

impl Worklist {
    /// Adds something, unless its mark says that it waits already.
    pub(super) fn add(&self, metered: &Arc<Metered>, mark: &Mark) {
        if mark.set() {
            // objects of this size lie at multiples of 64 bytes or so
            let place = Arc::as_ptr(metered).addr() / 64 % SHARDS;
            if let Some(shard) = self.0.get(place) {
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard.push(Arc::clone(metered));
            }
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        let length =
            |shard: &Mutex<Vec<_>>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.0.iter().map(length).sum()
    }

    /// Takes all. Their marks are still to be cleared, each before it is looked at.
    pub(super) fn drain(&self) -> Vec<Arc<Metered>> {
        let mut all = Vec::new();
        for shard in &self.0 {
            all.append(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }
}
