//! Jobs as rows: made, taken over by a replica, moved on, ended; and the lists of them.
//!
//! A job's row is locked by whoever moves it on, in the transaction that does its work, so that what it
//! has done and where it has come to are one.

mod items;
mod row;
mod run;

pub use items::{ImportItem, Imported, Staged};
pub use run::{BATCH_LEASE, Progress};

use ring::digest;
use tokio_postgres::types::Type;

use crate::{
    model::{
        id::KeyId,
        job::{ItemError, Job, JobFilter, JobId, JobKind, JobState},
        list::PageSize,
        name::DomainName,
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, row::field, write::WriteTx},
};

use row::{job_from_row, parameters};

/// The columns that a job is made of.
macro_rules! columns {
    () => {
        "id, kind, state, parameters, domain, total, done, failed, skipped, reached, created_by,
            peer, created_at, started_at, finished_at, error"
    };
}
pub(super) use columns;

const GET: &str = concat!("-- jobs.get\nSELECT ", columns!(), " FROM keyward.job WHERE id = $1");

const LOCK: &str =
    concat!("-- jobs.lock\nSELECT ", columns!(), " FROM keyward.job WHERE id = $1 FOR UPDATE");

const OF_REQUEST: &str = concat!(
    "-- jobs.of_request\nSELECT fingerprint, ",
    columns!(),
    " FROM keyward.job WHERE created_by = $1 AND request_id = $2 FOR UPDATE"
);

const LIST: &str = concat!(
    "-- jobs.list\nSELECT ",
    columns!(),
    " FROM keyward.job
    WHERE ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR state = $2)
        AND ($3::uuid IS NULL OR created_by = $3)
        AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5))
    ORDER BY created_at DESC, id DESC LIMIT $6"
);

const INSERT: &str = "-- jobs.insert
    INSERT INTO keyward.job (id, kind, state, parameters, domain, total, created_by, peer,
        request_id, fingerprint, created_at, lease_expire_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12::int8 * interval '1 second')";

const CANCEL: &str = "-- jobs.cancel
    UPDATE keyward.job SET state = 'cancelled', finished_at = $2, request_id = ''
    WHERE id = $1";

const LIST_ERRORS: &str = "-- jobs.list_errors
    SELECT position, subject, message FROM keyward.job_error
    WHERE job_id = $1 AND position > $2 ORDER BY position LIMIT $3";

/// What makes a stream that makes a job repeatable.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// Its name; empty: it has none.
    pub id: Box<str>,
    /// SHA-256 of what it asks for.
    fingerprint: digest::Digest,
}

impl JobRequest {
    /// A request by its name, or an empty one, and all that it asks for.
    pub fn new(id: &str, content: &[u8]) -> Self {
        Self { id: id.into(), fingerprint: digest::digest(&digest::SHA256, content) }
    }
}

/// A job that the same request made before.
#[derive(Clone, Debug)]
pub struct EarlierJob {
    /// The job.
    pub job: Job,
    /// Whether that request asked for the same.
    pub same: bool,
}

/// One page of jobs.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The newest first.
    pub jobs: Vec<Job>,
    /// The last one, if there are more after it.
    pub next: Option<(Timestamp, JobId)>,
}

/// One page of what went wrong.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// In the order of their positions.
    pub errors: Vec<ItemError>,
    /// The last position, if there are more after it.
    pub next: Option<i64>,
}

impl Store {
    /// A job by its id.
    pub async fn get_job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let rows = self.run(GET, &[(&id.stored(), Type::UUID)]).await?;
        rows.first().map(job_from_row).transpose()
    }

    /// A page of jobs.
    pub async fn list_jobs(&self, filter: &JobFilter) -> Result<JobPage, StoreError> {
        let items = usize::from(filter.size.items());
        let parameters: [Parameter<'_>; 6] = [
            (&filter.kind.map(JobKind::as_str), Type::TEXT),
            (&filter.state.map(JobState::as_str), Type::TEXT),
            (&filter.created_by, Type::UUID),
            (&filter.after.map(|(time, _)| time), Type::TIMESTAMPTZ),
            (&filter.after.map(|(_, id)| id.stored()), Type::UUID),
            (&(i64::from(filter.size.items()) + 1), Type::INT8),
        ];
        let rows = self.run(LIST, &parameters).await?;
        let mut jobs = rows.iter().map(job_from_row).collect::<Result<Vec<_>, _>>()?;
        let more = jobs.len() > items;
        jobs.truncate(items);
        let next = jobs.last().filter(|_| more).map(|job| (job.create_time, job.id));
        Ok(JobPage { jobs, next })
    }

    /// A page of what went wrong with a job's items.
    pub async fn list_job_errors(
        &self,
        id: JobId,
        after: i64,
        size: PageSize,
    ) -> Result<ErrorPage, StoreError> {
        let items = usize::from(size.items());
        let parameters: [Parameter<'_>; 3] = [
            (&id.stored(), Type::UUID),
            (&after, Type::INT8),
            (&(i64::from(size.items()) + 1), Type::INT8),
        ];
        let rows = self.run(LIST_ERRORS, &parameters).await?;
        let more = rows.len() > items;
        let read = rows.iter().take(items).map(|row| {
            Ok(ItemError {
                position: field(row, "job_error", "position")?,
                subject: field::<&str>(row, "job_error", "subject")?.into(),
                message: field::<&str>(row, "job_error", "message")?.into(),
            })
        });
        let errors = read.collect::<Result<Vec<_>, StoreError>>()?;
        let next = errors.last().filter(|_| more).map(|error| error.position);
        Ok(ErrorPage { errors, next })
    }
}

impl WriteTx<'_> {
    /// Adds a job. One that is pending is audited; one whose items are still to come is not a change yet.
    pub async fn insert_job(&mut self, job: &Job, request: &JobRequest) -> Result<(), StoreError> {
        let lease = i64::try_from(BATCH_LEASE.as_secs()).unwrap_or(i64::MAX);
        let fingerprint = request.fingerprint.as_ref();
        let row: [Parameter<'_>; 12] = [
            (&job.id.stored(), Type::UUID),
            (&job.task.kind().as_str(), Type::TEXT),
            (&job.state.as_str(), Type::TEXT),
            (&parameters(&job.task), Type::JSONB),
            (&job.domain.as_ref().map(DomainName::as_str), Type::TEXT),
            (&job.counts.total, Type::INT8),
            (&job.created_by, Type::UUID),
            (&job.peer.map(|peer| peer.to_string()), Type::TEXT),
            (&&*request.id, Type::TEXT),
            (&fingerprint, Type::BYTEA),
            (&job.create_time, Type::TIMESTAMPTZ),
            (&lease, Type::INT8),
        ];
        self.query(INSERT, &row).await?;
        if job.state == JobState::Pending {
            self.note_made_job(job);
        }
        Ok(())
    }

    /// Notes that a job begins.
    pub(super) fn note_made_job(&mut self, job: &Job) {
        let shown = serde_json::json!({
            "kind": job.task.kind().as_str(),
            "parameters": parameters(&job.task),
            "total": job.counts.total,
        });
        self.note_job((job.id, job.domain.as_ref()), None, Some(shown));
    }

    /// The job that a request of this name made before. Nobody changes it until the end.
    pub async fn job_of_request(
        &self,
        caller: KeyId,
        request: &JobRequest,
    ) -> Result<Option<EarlierJob>, StoreError> {
        if request.id.is_empty() {
            return Ok(None);
        }
        let names: [Parameter<'_>; 2] = [(&caller, Type::UUID), (&&*request.id, Type::TEXT)];
        let rows = self.query(OF_REQUEST, &names).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let fingerprint: &[u8] = field(row, "job", "fingerprint")?;
        let same = fingerprint == request.fingerprint.as_ref();
        Ok(Some(EarlierJob { job: job_from_row(row)?, same }))
    }

    /// Reads a job and keeps others from it until the end.
    pub async fn lock_job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let rows = self.query(LOCK, &[(&id.stored(), Type::UUID)]).await?;
        rows.first().map(job_from_row).transpose()
    }

    /// Ends a job that is locked before its time.
    pub async fn cancel_job(&mut self, job: &Job) -> Result<(), StoreError> {
        let time = self.time();
        let row: [Parameter<'_>; 2] = [(&job.id.stored(), Type::UUID), (&time, Type::TIMESTAMPTZ)];
        self.query(CANCEL, &row).await?;
        let before = serde_json::json!({ "state": job.state.as_str() });
        let after = serde_json::json!({ "state": JobState::Cancelled.as_str() });
        self.note_job((job.id, job.domain.as_ref()), Some(before), Some(after));
        Ok(())
    }
}
