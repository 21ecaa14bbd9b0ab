//! The ledger of uses: which keys were used since it was last drained.
//!
//! [`flush`] is the task that carries it to the database.

pub mod flush;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{id::KeyId, time::Timestamp, view::KeyView};

const SHARDS: usize = 16;
/// Keys that were used and not yet flushed. At 24 bytes each this is some 50 MB in all.
const SHARD_KEYS_MAX: usize = 1 << 17;

type Shard = HashMap<KeyId, Timestamp>;

/// Collects uses in memory.
#[derive(Debug, Default)]
pub struct Ledger {
    shards: [Mutex<Shard>; SHARDS],
    dropped: AtomicU64,
}

impl Ledger {
    /// Notes that a key was used. Costs a load if it was used in this same second already. While
    /// the ledger is full, keys that are not in it yet are counted and dropped.
    pub fn record(&self, key: &KeyView, now: Timestamp) {
        if key.last_used.advance(now) {
            self.note(key.id, now.floor_to_second());
        }
    }

    /// Takes all that was noted.
    pub fn drain(&self) -> Vec<(KeyId, Timestamp)> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            uses.extend(std::mem::take(&mut *lock(shard)));
        }
        uses
    }

    /// Puts back what could not be stored.
    pub fn put_back(&self, uses: Vec<(KeyId, Timestamp)>) {
        for (id, time) in uses {
            self.note(id, time);
        }
    }

    /// How many uses were lost since the start because the ledger was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn note(&self, id: KeyId, time: Timestamp) {
        let [.., last] = id.bytes(); // random, unlike the first
        let Some(shard) = self.shards.get(usize::from(*last) % SHARDS) else {
            return;
        };
        let mut shard = lock(shard);
        let full = shard.len() >= SHARD_KEYS_MAX;
        match shard.get_mut(&id) {
            Some(known) => *known = time.max(*known),
            None if full => {
                self.dropped.fetch_add(1, Relaxed);
            }
            None => {
                shard.insert(id, time);
            }
        }
    }
}

/// A panic while a shard was locked leaves it whole: each change of it is one call.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
