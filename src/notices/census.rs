//! The task that counts in the database what metrics tell of keys, jobs and notices.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{clock, metrics::Counted, store::Store, telemetry::chain};

/// How many times as long as counting took the next one waits at least.
const PAUSE_FACTOR: u32 = 20;

/// Counts at an interval until told to stop.
pub async fn run(store: Store, counted: Arc<Counted>, interval: Duration, stop: CancellationToken) {
    let mut failing = false;
    while !stop.is_cancelled() {
        let begun = clock::boot();
        match store.census(clock::wall()).await {
            Ok(census) => {
                counted.is(census, begun);
                if failing {
                    info!("keys, jobs and notices are counted again");
                    failing = false;
                }
            }
            Err(error) if !failing => {
                warn!(error = chain(&error), "keys, jobs and notices cannot be counted");
                failing = true;
            }
            Err(_) => {}
        }
        let took = clock::boot().since(begun);
        stop.run_until_cancelled(sleep(interval.max(took * PAUSE_FACTOR))).await;
    }
}
