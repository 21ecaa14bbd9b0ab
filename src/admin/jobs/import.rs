//! Imports: items arrive and are stored; when all are there, the job begins.

use crate::{
    admin::{Admin, AdminError, Call, jobs::make::new_job},
    model::{
        caller::{Action, Right},
        domain::Domain,
        job::{ItemError, Job, JobId, JobState, JobTask, OnConflict},
        name::{DomainName, EnvironmentName},
        record::ThingName,
    },
    store::jobs::{ImportItem, JobRequest},
};

/// How many errors of single items are kept.
pub(super) const ERRORS_MAX: i64 = 1000;

/// What holds for all items of an import.
#[derive(Clone, Debug)]
pub struct ImportKeys {
    /// The keys' tenant.
    pub domain: DomainName,
    /// Where they work.
    pub environment: EnvironmentName,
    /// What to do with keys that are there.
    pub on_conflict: OnConflict,
    /// What makes a retry safe.
    pub request: JobRequest,
}

/// What an import begins with.
#[derive(Clone, Debug)]
pub enum Begun {
    /// A job that takes items.
    New(Job),
    /// The job that the same request made before.
    Earlier(Job),
}

/// Items that have arrived.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Those that keys can be made of.
    pub items: Vec<ImportItem>,
    /// What is wrong with the others.
    pub errors: Vec<ItemError>,
}

/// Makes a job that takes items, or finds the one that the same request made before.
pub async fn begin_import(
    admin: &Admin,
    call: &Call,
    import: &ImportKeys,
) -> Result<Begun, AdminError> {
    let domain = &import.domain;
    admin
        .attempt(call, ("keys.import", domain.as_str()), || async {
            let name = ThingName::in_domain(domain, "");
            call.require_on(Right::on_keys(Action::Write, domain), &name)?;
            if domain.is_of_admins() {
                let message = "must not be keyward: admin keys are not imported";
                return Err(AdminError::invalid("options.domain", message));
            }
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "keys.import").await?;
            if let Some(earlier) = tx.job_of_request(call.caller.key, &import.request).await? {
                tx.abandon().await?;
                return match earlier.job.state {
                    _ if !earlier.same => Err(AdminError::invalid(
                        "options.request_id",
                        "must be a new one: another request had it",
                    )),
                    JobState::Receiving => Err(AdminError::StillReceiving),
                    JobState::Pending
                    | JobState::Running
                    | JobState::Succeeded
                    | JobState::Failed
                    | JobState::Cancelled => Ok(Begun::Earlier(earlier.job)),
                };
            }
            if tx.share::<Domain>(&name).await?.is_none() {
                return Err(AdminError::invalid("options.domain", "must be a domain that exists"));
            }
            if tx
                .environment_tag(&import.environment, admin.peppers.current().id())
                .await?
                .is_none()
            {
                let message = "must be an environment that exists";
                return Err(AdminError::invalid("options.environment", message));
            }
            let task = JobTask::Import {
                domain: domain.clone(),
                environment: import.environment.clone(),
                on_conflict: import.on_conflict,
            };
            let job = new_job(admin, call, &task, Some(domain))?;
            let job = Job { state: JobState::Receiving, ..job };
            tx.insert_job(&job, &import.request).await?;
            tx.settle().await?;
            Ok(Begun::New(job))
        })
        .await
}

/// Stores items that have arrived for a job, whose counts move on.
pub async fn receive_items(
    admin: &Admin,
    call: &Call,
    job: &Job,
    arrived: &Arrived,
) -> Result<Job, AdminError> {
    let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
    let failed = count(arrived.errors.len());
    let counts = (count(arrived.items.len()).saturating_add(failed), failed);
    let room = usize::try_from(ERRORS_MAX - job.counts.failed).unwrap_or(0);
    let kept = arrived.errors.get(..room).unwrap_or(&arrived.errors);
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let tx = session.write(call.intent("keys.import")).await?;
            let job = tx.receive(job.id, counts).await?.ok_or(AdminError::JobEnded)?;
            tx.stage(job.id, &arrived.items).await?;
            tx.note_errors(job.id, kept).await?;
            tx.settle().await?;
            Ok(job)
        })
        .await
}

/// Lets a job begin whose items are all there.
pub async fn finish_import(admin: &Admin, call: &Call, id: JobId) -> Result<Job, AdminError> {
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "jobs.create").await?;
            let job = tx.begin_job(id).await?.ok_or(AdminError::JobEnded)?;
            tx.commit().await?;
            Ok(job)
        })
        .await
}

/// Ends a job whose items do not all arrive. Whoever finds it later does the same.
pub async fn break_off(admin: &Admin, call: &Call, id: JobId) -> Result<(), AdminError> {
    Ok(admin.store.fail_job(id, "the stream of items broke off", call.now).await?)
}
