//! The task that carries the ledger to the database.
//!
//! A crash loses the uses of one interval at most; a database that is away loses none, as long as
//! the ledger has room.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::Deadline,
    model::{id::KeyId, time::Timestamp},
    store::{Store, error::StoreError},
    telemetry::chain,
    usage::Ledger,
};

const BATCH_KEYS_MAX: usize = 10_000;
/// How often the ledger is gathered: it has room for two million notes.
const GATHER_INTERVAL: Duration = Duration::from_millis(500);
/// What the last flush may take when the process ends.
const LAST_FLUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// Flushes the ledger at an interval, and once more when told to stop.
pub async fn run(store: Store, ledger: Arc<Ledger>, interval: Duration, stop: CancellationToken) {
    let mut failing = false;
    let mut dropped = 0;
    while let Some(()) = stop.run_until_cancelled(wait(&ledger, interval)).await {
        match (flush(&store, &ledger).await, failing) {
            (Ok(()), true) => {
                info!("last uses are stored again");
                failing = false;
            }
            (Err(error), false) => {
                warn!(error = chain(&error), "last uses cannot be stored; keeping them");
                failing = true;
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
        if ledger.dropped() > dropped {
            dropped = ledger.dropped();
            warn!(dropped, "the ledger of last uses is full; some are lost");
        }
    }
    match timeout(LAST_FLUSH_TIME_MAX, flush(&store, &ledger)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = chain(&error), "the last uses are lost"),
        Err(_elapsed) => warn!("the last uses are lost: the database did not answer in time"),
    }
}

/// Gathers what is noted until the interval is over.
async fn wait(ledger: &Ledger, interval: Duration) {
    let end = Deadline::after(interval);
    while !end.is_over() {
        sleep(GATHER_INTERVAL.min(end.left())).await;
        ledger.gather();
    }
}

async fn flush(store: &Store, ledger: &Ledger) -> Result<(), StoreError> {
    let uses = ledger.drain();
    for (done, batch) in uses.chunks(BATCH_KEYS_MAX).enumerate() {
        if let Err(error) = store.record_uses(batch).await {
            let left: Vec<(KeyId, Timestamp)> =
                uses.iter().skip(done * BATCH_KEYS_MAX).copied().collect();
            ledger.put_back(left);
            return Err(error);
        }
    }
    Ok(())
}
