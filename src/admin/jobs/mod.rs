//! Jobs, for operators: making them, looking at them, ending them; and what each does in one batch.
//!
//! A job acts for the admin key that made it, as that key is at the time of each batch: one that was
//! stopped stops its jobs, and what it may not do any more fails.

mod batch;
mod bulk;
mod import;
mod make;
pub mod runner;

pub use import::{
    Arrived, Begun, ImportKeys, begin_import, break_off, finish_import, receive_items,
};
pub use make::{BulkChange, Found, PurgeKeys, change_keys, purge_deleted_keys};

use crate::{
    admin::{Admin, AdminError, Call, read::require_known},
    model::{
        caller::{Action, Noun, Right},
        job::{Job, JobFilter, JobId, JobTask},
        list::PageSize,
        record::{Kind, ThingName},
    },
    store::jobs::{ErrorPage, JobPage},
};

const READ: Right = Right { noun: Noun::Jobs, action: Action::Read };
const WRITE: Right = Right { noun: Noun::Jobs, action: Action::Write };

fn not_found(id: JobId) -> AdminError {
    AdminError::NotFound { kind: Kind::Job, name: ThingName::of_all(&id.to_string()) }
}

impl Call {
    /// Whether the caller may see a job: one that is bound to domains sees its own.
    fn require_sight(&self, job: &Job) -> Result<(), AdminError> {
        let own = job.created_by == Some(self.caller.key);
        if own || self.caller.profile.delegation.is_none() {
            Ok(())
        } else {
            Err(not_found(job.id))
        }
    }
}

/// A job by its id.
pub async fn get_job(admin: &Admin, call: &Call, id: JobId) -> Result<Job, AdminError> {
    call.require(READ)?;
    require_known(admin, call).await?;
    let job = admin.store.get_job(id).await?.ok_or_else(|| not_found(id))?;
    call.require_sight(&job)?;
    Ok(job)
}

/// A page of jobs.
pub async fn list_jobs(
    admin: &Admin,
    call: &Call,
    mut filter: JobFilter,
) -> Result<JobPage, AdminError> {
    call.require(READ)?;
    if call.caller.profile.delegation.is_some() {
        filter.created_by = Some(call.caller.key);
    }
    require_known(admin, call).await?;
    Ok(admin.store.list_jobs(&filter).await?)
}

/// A page of what went wrong with a job's items, from after a position.
pub async fn list_job_errors(
    admin: &Admin,
    call: &Call,
    (id, after): (JobId, i64),
    size: PageSize,
) -> Result<ErrorPage, AdminError> {
    get_job(admin, call, id).await?;
    Ok(admin.store.list_job_errors(id, after, size).await?)
}

/// Ends a job before its time; what it has done remains.
pub async fn cancel_job(admin: &Admin, call: &Call, id: JobId) -> Result<Job, AdminError> {
    admin
        .attempt(call, ("jobs.cancel", &id.to_string()), || async {
            call.require(WRITE)?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "jobs.cancel").await?;
            let job = tx.lock_job(id).await?.ok_or_else(|| not_found(id))?;
            call.require_sight(&job)?;
            if matches!(job.task, JobTask::Trim { .. }) {
                call.require_not_delegated()?;
            }
            if job.state.is_end() {
                return Err(AdminError::JobEnded);
            }
            tx.cancel_job(&job).await?;
            tx.commit().await?;
            admin.store.get_job(id).await?.ok_or_else(|| not_found(id))
        })
        .await
}
