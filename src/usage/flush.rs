//! The task that carries the ledger to the database: last uses, and counts by the hour.
//!
//! A crash loses the uses of one interval at most; a database that is away loses none, as long as
//! the ledger has room.

mod counts;

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock,
    metrics::Flushing,
    store::{Store, error::StoreError},
    telemetry::chain,
    usage::Ledger,
};

pub use counts::CountFlush;

const BATCH_KEYS_MAX: usize = 10_000;
/// How many times as long as a batch took the next one waits: PostgreSQL works a fifth of the time for
/// this, however many keys are used.
const PAUSE_FACTOR: u32 = 4;
/// How often the ledger is gathered: it has room for two million notes.
const GATHER_INTERVAL: Duration = Duration::from_millis(500);
/// What the last flush may take when the process ends.
const LAST_FLUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// Gathers what is noted, flushes it at an interval, and once more when told to stop.
pub async fn run(
    (store, (ledger, flushing)): (Store, (Arc<Ledger>, Arc<Flushing>)),
    counts: CountFlush,
    interval: Duration,
    stop: CancellationToken,
) {
    let gathering = async {
        loop {
            sleep(GATHER_INTERVAL).await;
            ledger.gather();
        }
    };
    tokio::select! {
        () = flush_until((&store, &ledger, &flushing), counts, interval, &stop) => {}
        () = gathering => {}
    }
}

async fn flush_until(
    (store, ledger, flushing): (&Store, &Ledger, &Flushing),
    mut counts: CountFlush,
    interval: Duration,
    stop: &CancellationToken,
) {
    let mut failing = false;
    let mut dropped = (0, 0);
    let mut flush_all = async || {
        flush(store, ledger, stop).await?;
        counts.flush(store, ledger, stop).await
    };
    while let Some(()) = stop.run_until_cancelled(sleep(interval)).await {
        let flushed = flush_all().await;
        flushing.ended(&flushed, clock::wall());
        match (flushed, failing) {
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
        let lost = (ledger.dropped(), ledger.dropped_counts());
        if lost > dropped {
            dropped = lost;
            let (uses, counts) = lost;
            warn!(dropped = uses, counts, "the ledger of last uses is full; some are lost");
        }
    }
    match timeout(LAST_FLUSH_TIME_MAX, flush_all()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = chain(&error), "the last uses are lost"),
        Err(_elapsed) => warn!("the last uses are lost: the database did not answer in time"),
    }
}

/// Stores all that was noted. When there is much of it, it leaves PostgreSQL to others most of the time,
/// unless it is to stop.
async fn flush(store: &Store, ledger: &Ledger, stop: &CancellationToken) -> Result<(), StoreError> {
    let uses = ledger.drain();
    let mut pause = Duration::ZERO;
    for (done, batch) in uses.chunks(BATCH_KEYS_MAX).enumerate() {
        stop.run_until_cancelled(sleep(pause)).await;
        let begun = clock::boot();
        let stored = store.record_uses(batch).await;
        pause = clock::boot().since(begun) * PAUSE_FACTOR;
        if let Err(error) = stored {
            ledger.put_back(uses.get(done * BATCH_KEYS_MAX..).unwrap_or_default());
            return Err(error);
        }
    }
    Ok(())
}
