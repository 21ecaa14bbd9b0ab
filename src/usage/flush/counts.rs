//! Carries counts to the database: each batch under a number, so that one that is sent twice counts once.

use std::{collections::VecDeque, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{BATCH_KEYS_MAX, PAUSE_FACTOR};
use crate::{
    clock,
    model::time::BootTime,
    store::{
        Store,
        error::StoreError,
        usage_hours::{CountBatch, Counts},
    },
    usage::Ledger,
};

/// How often what is too old is looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Carries counts to the database.
#[derive(Debug)]
pub struct CountFlush {
    /// This replica: a UUID, another one after each start.
    replica: String,
    number: i64,
    /// What is to be written, each part under the number that it will have. The first may have been
    /// written already.
    waiting: VecDeque<Counts>,
    retention: Duration,
    forgot: Option<BootTime>,
}

impl CountFlush {
    /// Nothing waits yet.
    pub fn new(replica: String, retention: Duration) -> Self {
        Self { replica, number: 1, waiting: VecDeque::new(), retention, forgot: None }
    }

    /// Writes what waits, then what was counted since. When there is much of it, it leaves PostgreSQL to
    /// others most of the time, unless it is to stop.
    pub(super) async fn flush(
        &mut self,
        store: &Store,
        ledger: &Ledger,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        // what was not written goes on being counted together, in a room with a bound
        self.write(store, stop).await?;
        let (keys, customers) = (ledger.drain_counts(), ledger.drain_customers());
        let keys = keys.chunks(BATCH_KEYS_MAX).map(|part| Counts::Keys(part.to_vec()));
        let customers =
            customers.chunks(BATCH_KEYS_MAX).map(|part| Counts::Customers(part.to_vec()));
        self.waiting = keys.chain(customers).collect();
        self.write(store, stop).await?;
        self.forget(store).await
    }

    async fn write(&mut self, store: &Store, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut pause = Duration::ZERO;
        while let Some(counts) = self.waiting.front() {
            stop.run_until_cancelled(sleep(pause)).await;
            let begun = clock::boot();
            let (replica, number) = (self.replica.as_str(), self.number);
            store.record_counts(&CountBatch { replica, number, counts }).await?;
            pause = clock::boot().since(begun) * PAUSE_FACTOR;
            self.waiting.pop_front();
            self.number += 1;
        }
        Ok(())
    }

    async fn forget(&mut self, store: &Store) -> Result<(), StoreError> {
        let now = clock::boot();
        if self.forgot.is_none_or(|last| now.since(last) >= FORGET_INTERVAL) {
            store.forget_counts(self.retention).await?;
            self.forgot = Some(now);
        }
        Ok(())
    }
}
