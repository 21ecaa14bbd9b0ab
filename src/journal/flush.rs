//! The task that carries the decision log to the database, and sees to the days that the log has there.
//!
//! Whatever becomes of the database, entries wait in a room with a bound, and what does not fit is dropped and
//! counted. A crash loses what was not written, a second or so.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Journal, tail::Tail};
use crate::{
    clock,
    model::time::BootTime,
    store::{Store, decisions::Written, error::StoreError},
    telemetry::chain,
};

/// How often what threads noted is gathered and shown to who watches.
const GATHER_INTERVAL: Duration = Duration::from_millis(100);
const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// Few, so that encoding them takes no core for long.
const BATCH_ENTRIES_MAX: usize = 1_024;
/// How many times as long as a batch took the next one waits: PostgreSQL works a fifth of the time for
/// this, however much is decided.
const PAUSE_FACTOR: u32 = 4;
/// How long to wait after a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often days are looked after: those to come are made, those that are over are dropped.
const DAYS_INTERVAL: Duration = Duration::from_secs(600);
const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// What the last entries may take when the process ends.
const LAST_TIME_MAX: Duration = Duration::from_secs(3);

/// Carries the log to the database.
#[derive(Debug)]
pub struct JournalFlush {
    /// The database.
    pub store: Store,
    /// What was noted.
    pub journal: Arc<Journal>,
    /// Who watches.
    pub tail: Arc<Tail>,
    /// How long a decision is kept.
    pub retention: Duration,
}

/// What the log was told of losses, so that it is not told all the time.
#[derive(Debug, Default)]
struct Told {
    last: Option<BootTime>,
    failing: bool,
    dropped: u64,
}

impl JournalFlush {
    /// Gathers and writes, and once more when told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let gathering = async {
            loop {
                sleep(GATHER_INTERVAL).await;
                self.tail.show(&self.journal.gather());
            }
        };
        tokio::select! {
            () = self.write_until(&stop) => {}
            () = gathering => {}
        }
        self.tail.show(&self.journal.gather());
        match timeout(LAST_TIME_MAX, self.write_all(&CancellationToken::new())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(error = chain(&error), "the last decisions are not logged"),
            Err(_elapsed) => warn!("the last decisions are not logged: the database took too long"),
        }
    }

    async fn write_until(&self, stop: &CancellationToken) {
        let mut told = Told::default();
        let mut days_kept: Option<BootTime> = None;
        let mut pause = Duration::ZERO;
        while let Some(()) = stop.run_until_cancelled(sleep(pause)).await {
            let is_due = |kept: BootTime| clock::boot().since(kept) >= DAYS_INTERVAL;
            let mut result = Ok(());
            if days_kept.is_none_or(is_due) {
                result = self.store.keep_decisions(self.retention).await;
                days_kept = result.is_ok().then(clock::boot);
            }
            let result = result.and(self.write_all(stop).await);
            pause = if result.is_ok() { WRITE_INTERVAL } else { AGAIN_AFTER };
            told.tell(result.err().as_ref(), self.journal.dropped());
        }
    }

    /// Writes all that waits. It leaves PostgreSQL to others most of the time, unless it is to stop.
    async fn write_all(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let pages = self.journal.next(BATCH_ENTRIES_MAX);
            if pages.is_empty() {
                return Ok(());
            }
            let begun = clock::boot();
            let written = match self.store.record_decisions(&pages).await {
                // the day may be missing
                Err(StoreError::Refused(_)) => {
                    let kept = self.store.keep_decisions(self.retention).await;
                    match kept {
                        Ok(()) => self.store.record_decisions(&pages).await,
                        Err(error) => Err(error),
                    }
                }
                result => result,
            };
            match written {
                Ok(Written::Now | Written::Before) => self.journal.finish(pages.len()),
                // it may be different soon
                Err(error @ (StoreError::Unavailable(_) | StoreError::Conflict(_))) => {
                    self.journal.doubt(pages.len());
                    return Err(error);
                }
                // nobody knows what of it the database does not take, and more is coming
                Err(error) => {
                    self.journal.finish(pages.len());
                    self.journal.drop_entries(pages.iter().map(|page| page.len()).sum());
                    return Err(error);
                }
            }
            let pause = clock::boot().since(begun) * PAUSE_FACTOR;
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }
}

impl Told {
    /// Tells of a failure or of losses, but not more often than is of use.
    fn tell(&mut self, failure: Option<&StoreError>, dropped: u64) {
        let lost = dropped - self.dropped;
        if failure.is_none() && lost == 0 {
            if self.failing {
                info!("decisions are logged again");
            }
            self.failing = false;
            return;
        }
        let now = clock::boot();
        if self.last.is_some_and(|last| now.since(last) < WARN_INTERVAL) {
            return;
        }
        if let Some(error) = failure {
            warn!(error = chain(error), lost, "decisions cannot be logged");
            self.failing = true;
        } else {
            warn!(lost, "more is decided than can be logged; some entries are lost");
        }
        (self.last, self.dropped) = (Some(now), dropped);
    }
}
