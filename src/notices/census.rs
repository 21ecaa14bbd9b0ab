//! The task that counts in the database what metrics tell of keys, jobs and notices.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{clock, metrics::Counted, store::Store, telemetry::chain};

/// How many times as long as counting took the next one waits at least.
const PAUSE_FACTOR: u32 = 20;
/// However seldom keys are looked for, metrics are to be of now: old counts are not told.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Counts at an interval, a minute at most, until told to stop.
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
        stop.run_until_cancelled(sleep(pause(interval, took))).await;
    }
}

/// How long to wait after counting took so long.
fn pause(interval: Duration, took: Duration) -> Duration {
    interval.min(INTERVAL_MAX).max(took * PAUSE_FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_every_minute_at_least_unless_counting_takes_long() {
        let seconds = Duration::from_secs;
        for (interval, took, expected) in [(3600, 0, 60), (60, 1, 60), (5, 0, 5), (3600, 9, 180)] {
            assert_eq!(pause(seconds(interval), seconds(took)), seconds(expected));
        }
    }
}
