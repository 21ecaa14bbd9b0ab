//! The task that stores failed logins, so that no call waits for that.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admin::logins::FailedLogins,
    store::{Store, error::StoreError},
    telemetry::chain,
};

const INTERVAL: Duration = Duration::from_secs(1);
/// What the last time may take when the process ends.
const LAST_TIME_MAX: Duration = Duration::from_secs(3);

/// Stores what was noted, every second and once more when told to stop. What cannot be stored is kept.
pub async fn run(store: Store, logins: Arc<FailedLogins>, stop: CancellationToken) {
    let mut failing = false;
    while let Some(()) = stop.run_until_cancelled(sleep(INTERVAL)).await {
        match (flush(&store, &logins).await, failing) {
            (Ok(()), true) => {
                info!("failed logins are stored again");
                failing = false;
            }
            (Err(error), false) => {
                warn!(error = chain(&error), "failed logins cannot be stored; keeping them");
                failing = true;
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
    }
    let stored = timeout(LAST_TIME_MAX, flush(&store, &logins)).await;
    if !matches!(stored, Ok(Ok(()))) {
        warn!("the last failed logins are not stored: the database did not take them in time");
    }
}

async fn flush(store: &Store, logins: &FailedLogins) -> Result<(), StoreError> {
    let noted = logins.drain();
    let stored = store.note_refusals(&noted).await;
    if stored.is_err() {
        logins.put_back(noted);
    }
    stored
}
