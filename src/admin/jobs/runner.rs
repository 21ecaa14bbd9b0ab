//! The task that works on jobs: one at a time, a batch after the other, with pauses between, so that what
//! operators do meanwhile does not wait for it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::batch::{Step, batch};
use crate::{
    admin::{Admin, AdminError},
    clock,
    metrics::{Items, Working},
    model::job::{Job, JobId},
    store::{Store, error::StoreError, jobs::Progress},
    telemetry::chain,
};

/// How often to look for a job.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often to clear what jobs left, and to see whether the change log is to be trimmed.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// After the database was away.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A batch that took no time at all is still followed by a pause.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Works on jobs.
#[derive(Debug)]
pub struct Runner {
    /// What jobs are done with.
    pub admin: Arc<Admin>,
    /// This replica: another name after each start.
    pub replica: String,
    /// How long changes stay in the change log.
    pub change_log_retention: Duration,
    /// Where is counted.
    pub working: Arc<Working>,
}

impl Runner {
    /// Works until told to stop; then the batch at hand is finished, and another replica may go on.
    pub async fn run(self, stop: CancellationToken) {
        let mut tidy_at = clock::Deadline::after(Duration::ZERO);
        let mut failing = false;
        while !stop.is_cancelled() {
            if tidy_at.is_over() {
                tidy_at = clock::Deadline::after(TIDY_EVERY);
                if let Err(error) = self.tidy().await {
                    debug!(error = chain(&error), "what jobs left cannot be cleared now");
                }
            }
            let taken = self.store().take_job(&self.replica, clock::wall()).await;
            match taken {
                Ok(Some(job)) => {
                    failing = false;
                    self.work(&job, &stop).await;
                    continue;
                }
                Ok(None) => failing = false,
                Err(error) if !failing => {
                    warn!(error = chain(&error), "cannot look for jobs; trying again");
                    failing = true;
                }
                Err(_) => {}
            }
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
    }

    fn store(&self) -> &Store {
        &self.admin.store
    }

    async fn tidy(&self) -> Result<(), AdminError> {
        self.store().tidy_jobs().await?;
        let now = clock::wall();
        let id = JobId::new(self.admin.new_id(now)?);
        let before = now.before(self.change_log_retention);
        self.store().schedule_trim(id, before, now).await?;
        Ok(())
    }

    /// Works on a job until it ends, or is not ours any more.
    async fn work(&self, job: &Job, stop: &CancellationToken) {
        let (id, kind) = (job.id, job.task.kind().as_str());
        info!(job = %id, kind, reached = job.reached, "working on a job");
        loop {
            let begun = clock::boot();
            let ended = batch(&self.admin, (job, &self.replica), clock::wall()).await;
            let outcome = ended.map(|(step, progress)| {
                let Progress { done, failed, skipped, reached: _ } = progress;
                self.working.worked(job.task.kind(), Items { done, failed, skipped });
                step
            });
            match outcome {
                Ok(Step::More) => {}
                Ok(Step::Finished) => {
                    self.working.succeeded(job.task.kind());
                    return info!(job = %id, kind, "a job is done");
                }
                Ok(Step::Lost) => {
                    return info!(job = %id, kind, "a job was cancelled, or another replica has it");
                }
                Err(AdminError::Store(
                    failure @ (StoreError::Unavailable(_) | StoreError::Conflict(_)),
                )) => {
                    warn!(job = %id, error = chain(&failure), "a batch of a job failed; trying again");
                    stop.run_until_cancelled(sleep(AGAIN_AFTER)).await;
                }
                Err(failure) => return self.give_up(job, &failure).await,
            }
            // as long as the batch took: half of the time is left to others
            let took = clock::boot().since(begun);
            let pause = took.clamp(PAUSE_MIN, PAUSE_MAX);
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                if let Err(error) = self.store().release_job(id, &self.replica).await {
                    warn!(job = %id, error = chain(&error), "a job is left to others later only");
                }
                return;
            }
        }
    }

    /// Ends a job that cannot go on, if the database can be told so; else it is taken up again.
    async fn give_up(&self, job: &Job, failure: &AdminError) {
        self.working.failed(job.task.kind());
        error!(job = %job.id, error = chain(failure), "a job failed");
        let message = match failure {
            AdminError::Store(_) => String::from("an internal error; the log has its cause"),
            AdminError::CallerStopped => {
                String::from("the admin key that made the job is not active any more")
            }
            other => other.to_string(),
        };
        if let Err(error) = self.store().fail_job(job.id, &message, clock::wall()).await {
            warn!(job = %job.id, error = chain(&error), "cannot note that a job failed");
        }
    }
}
