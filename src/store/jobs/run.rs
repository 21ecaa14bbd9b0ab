//! Working on jobs: which replica does, and how far it has come.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{columns, row::job_from_row};
use crate::{
    model::{
        job::{Job, JobId, JobState},
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, write::WriteTx},
};

/// For how long others leave a job alone after its replica was last heard of. A batch may take longer:
/// it has the row's lock until it ends.
pub const BATCH_LEASE: Duration = Duration::from_secs(10);

/// The oldest that nobody works on. A row that is locked is being worked on.
const TAKE: &str = concat!(
    "-- run.take
    UPDATE keyward.job SET state = 'running', owner = $1,
        lease_expire_at = now() + $2::int8 * interval '1 second',
        started_at = coalesce(started_at, $3)
    WHERE id = (
        SELECT id FROM keyward.job
        WHERE state = 'pending' OR state = 'running' AND lease_expire_at < now()
        ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING ",
    columns!()
);

/// Not if it was cancelled, or another replica has taken it over.
const HOLD: &str = concat!(
    "-- run.hold
    UPDATE keyward.job SET lease_expire_at = now() + $3::int8 * interval '1 second'
    WHERE id = $1 AND owner = $2 AND state = 'running'
    RETURNING ",
    columns!()
);

const ADVANCE: &str = "-- run.advance
    UPDATE keyward.job SET done = done + $2, failed = failed + $3, skipped = skipped + $4,
        reached = $5
    WHERE id = $1";

const END: &str = "-- run.end
    UPDATE keyward.job SET state = $2, error = $3, finished_at = $4,
        request_id = CASE WHEN $2 = 'succeeded' THEN request_id ELSE '' END
    WHERE id = $1 AND state IN ('receiving', 'pending', 'running')";

const RELEASE: &str = "-- run.release
    UPDATE keyward.job SET state = 'pending', owner = NULL
    WHERE id = $1 AND owner = $2 AND state = 'running'";

const RECEIVE: &str = concat!(
    "-- run.receive
    UPDATE keyward.job SET total = total + $2, failed = failed + $3,
        lease_expire_at = now() + $4::int8 * interval '1 second'
    WHERE id = $1 AND state = 'receiving' RETURNING ",
    columns!()
);

const BEGIN: &str = concat!(
    "-- run.begin
    UPDATE keyward.job SET state = 'pending' WHERE id = $1 AND state = 'receiving' RETURNING ",
    columns!()
);

/// Streams that broke off, and whose server cannot have noted it.
const GIVE_UP: &str = "-- run.give_up
    UPDATE keyward.job SET state = 'failed', finished_at = now(), request_id = '',
        error = 'the stream of items broke off'
    WHERE state = 'receiving' AND lease_expire_at < now() - interval '1 minute'";

/// Items of jobs that ended before them, a few at a time.
const CLEAR_IMPORTS: &str = "-- run.clear_imports
    DELETE FROM keyward.job_import AS item USING (
        SELECT i.job_id, i.position FROM keyward.job_import AS i JOIN keyward.job ON job.id = i.job_id
        WHERE job.state IN ('succeeded', 'failed', 'cancelled') LIMIT 5000) AS old
    WHERE item.job_id = old.job_id AND item.position = old.position";

const CLEAR_KEYS: &str = "-- run.clear_keys
    DELETE FROM keyward.job_key AS item USING (
        SELECT i.job_id, i.position FROM keyward.job_key AS i JOIN keyward.job ON job.id = i.job_id
        WHERE job.state IN ('succeeded', 'failed', 'cancelled') LIMIT 5000) AS old
    WHERE item.job_id = old.job_id AND item.position = old.position";

/// Those that ended 90 days ago, and have no items left.
const FORGET: &str = "-- run.forget
    DELETE FROM keyward.job WHERE id IN (
        SELECT id FROM keyward.job
        WHERE finished_at < now() - interval '90 days'
            AND NOT EXISTS (SELECT FROM keyward.job_import AS i WHERE i.job_id = job.id)
            AND NOT EXISTS (SELECT FROM keyward.job_key AS i WHERE i.job_id = job.id)
        LIMIT 1000)";

/// One each day.
const SCHEDULE_TRIM: &str = "-- run.schedule_trim
    INSERT INTO keyward.job (id, kind, state, parameters, created_at)
    SELECT $1, 'trim_change_log', 'pending', jsonb_build_object('logged_before_micros', $2::int8), $3
    WHERE NOT EXISTS (SELECT FROM keyward.job
        WHERE kind = 'trim_change_log' AND created_at > $3 - interval '1 day')";

/// The last revision stays: it is what a follower is recognised by.
const TRIM: &str = "-- run.trim
    WITH oldest AS (
        SELECT revision, kind, subject, logged_at FROM keyward.change_log
        WHERE revision < (SELECT revision FROM keyward.log_head)
        ORDER BY revision LIMIT $2
    )
    DELETE FROM keyward.change_log AS log USING oldest
    WHERE log.revision = oldest.revision AND log.kind = oldest.kind
        AND log.subject = oldest.subject AND oldest.logged_at < $1
    RETURNING log.revision";

/// What a batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items that were done.
    pub done: i64,
    /// Items that could not be done.
    pub failed: i64,
    /// Items with which there was nothing to do.
    pub skipped: i64,
    /// The position of the last one.
    pub reached: i64,
}

fn lease() -> i64 {
    i64::try_from(BATCH_LEASE.as_secs()).unwrap_or(i64::MAX)
}

impl Store {
    /// Takes the oldest job that no replica works on, if there is one.
    pub async fn take_job(&self, owner: &str, now: Timestamp) -> Result<Option<Job>, StoreError> {
        let parameters: [Parameter<'_>; 3] =
            [(&owner, Type::TEXT), (&lease(), Type::INT8), (&now, Type::TIMESTAMPTZ)];
        let rows = self.run(TAKE, &parameters).await?;
        rows.first().map(job_from_row).transpose()
    }

    /// Lets another replica go on with a job at once.
    pub async fn release_job(&self, id: JobId, owner: &str) -> Result<(), StoreError> {
        self.run(RELEASE, &[(&id.stored(), Type::UUID), (&owner, Type::TEXT)]).await?;
        Ok(())
    }

    /// Ends a job that cannot go on.
    pub async fn fail_job(
        &self,
        id: JobId,
        message: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let parameters: [Parameter<'_>; 4] = [
            (&id.stored(), Type::UUID),
            (&JobState::Failed.as_str(), Type::TEXT),
            (&Some(message), Type::TEXT),
            (&now, Type::TIMESTAMPTZ),
        ];
        self.run(END, &parameters).await?;
        Ok(())
    }

    /// Gives up streams that broke off, clears what jobs left and forgets those of long ago.
    pub async fn tidy_jobs(&self) -> Result<(), StoreError> {
        for statement in [GIVE_UP, CLEAR_IMPORTS, CLEAR_KEYS, FORGET] {
            self.run(statement, &[]).await?;
        }
        Ok(())
    }

    /// Makes the job that trims the change log, if there was none within a day.
    pub async fn schedule_trim(
        &self,
        id: JobId,
        logged_before: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let parameters: [Parameter<'_>; 3] = [
            (&id.stored(), Type::UUID),
            (&logged_before.micros(), Type::INT8),
            (&now, Type::TIMESTAMPTZ),
        ];
        self.run(SCHEDULE_TRIM, &parameters).await?;
        Ok(())
    }
}

impl WriteTx<'_> {
    /// Begins a batch: reads the job and keeps others from it until the end. `None` if this replica is not
    /// to work on it any more.
    pub async fn hold_job(&self, id: JobId, owner: &str) -> Result<Option<Job>, StoreError> {
        let parameters: [Parameter<'_>; 3] =
            [(&id.stored(), Type::UUID), (&owner, Type::TEXT), (&lease(), Type::INT8)];
        let rows = self.query(HOLD, &parameters).await?;
        rows.first().map(job_from_row).transpose()
    }

    /// Says what a batch came to.
    pub async fn advance_job(&self, id: JobId, progress: &Progress) -> Result<(), StoreError> {
        let parameters: [Parameter<'_>; 5] = [
            (&id.stored(), Type::UUID),
            (&progress.done, Type::INT8),
            (&progress.failed, Type::INT8),
            (&progress.skipped, Type::INT8),
            (&progress.reached, Type::INT8),
        ];
        self.query(ADVANCE, &parameters).await?;
        Ok(())
    }

    /// Ends a job of which nothing is left to do.
    pub async fn finish_job(&self, id: JobId) -> Result<(), StoreError> {
        let time = self.time();
        let parameters: [Parameter<'_>; 4] = [
            (&id.stored(), Type::UUID),
            (&JobState::Succeeded.as_str(), Type::TEXT),
            (&None::<&str>, Type::TEXT),
            (&time, Type::TIMESTAMPTZ),
        ];
        self.query(END, &parameters).await?;
        Ok(())
    }

    /// Says that items have arrived. `None` if the job does not take any, because it was cancelled or
    /// given up.
    pub async fn receive(
        &self,
        id: JobId,
        (total, failed): (i64, i64),
    ) -> Result<Option<Job>, StoreError> {
        let parameters: [Parameter<'_>; 4] = [
            (&id.stored(), Type::UUID),
            (&total, Type::INT8),
            (&failed, Type::INT8),
            (&lease(), Type::INT8),
        ];
        let rows = self.query(RECEIVE, &parameters).await?;
        rows.first().map(job_from_row).transpose()
    }

    /// Lets a job begin whose items are all there. `None` as for [`WriteTx::receive`].
    pub async fn begin_job(&mut self, id: JobId) -> Result<Option<Job>, StoreError> {
        let rows = self.query(BEGIN, &[(&id.stored(), Type::UUID)]).await?;
        let job = rows.first().map(job_from_row).transpose()?;
        if let Some(job) = &job {
            self.note_made_job(job);
        }
        Ok(job)
    }

    /// Removes the oldest changes from the log; says how many.
    pub async fn trim_log(&self, before: Timestamp, rows_max: i64) -> Result<i64, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&before, Type::TIMESTAMPTZ), (&rows_max, Type::INT8)];
        let rows = self.query(TRIM, &parameters).await?;
        Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
    }
}
