//! Making jobs that change keys which are there: a filter finds them once, at the beginning.

use crate::{
    admin::{Admin, AdminError, Call, Effect},
    model::{
        caller::{Action, Right},
        job::{Job, JobCounts, JobId, JobState, JobTask},
        key::Key,
        list::{KeyFilter, KeyOrder, PageRequest, PageSize},
        name::DomainName,
        record::ThingName,
        time::Timestamp,
    },
    store::{jobs::JobRequest, write::WriteTx},
};

/// More than one job takes.
const KEYS_MAX: i64 = 500_000;
const SAMPLE_KEYS: i32 = 10;

/// A change of all keys that a filter finds.
#[derive(Clone, Debug)]
pub struct BulkChange {
    /// What to do.
    pub task: JobTask,
    /// What that takes.
    pub action: Action,
    /// With which keys.
    pub filter: KeyFilter,
    /// How many there must be; not looked at if it is only tried.
    pub expected: i64,
    /// Whether to do it.
    pub effect: Effect,
}

/// A removal of keys that were deleted long ago.
#[derive(Clone, Debug)]
pub struct PurgeKeys {
    /// Only those deleted before.
    pub deleted_before: Timestamp,
    /// Only those of this domain.
    pub domain: Option<DomainName>,
    /// How many there must be; not looked at if it is only tried.
    pub expected: i64,
    /// Whether to do it.
    pub effect: Effect,
}

/// What was found, and what was made of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// `None` if it was only tried.
    pub job: Option<Job>,
    /// How many keys.
    pub count: i64,
    /// Some of them, if it was only tried.
    pub sample: Vec<Key>,
}

/// Makes a job that changes all keys that a filter finds, but the caller's own.
pub async fn change_keys(
    admin: &Admin,
    call: &Call,
    change: &BulkChange,
) -> Result<Found, AdminError> {
    let kind = change.task.kind();
    let domain = change.filter.domain.as_ref();
    let subject = domain.map_or("", DomainName::as_str);
    let allowed = || -> Result<(), AdminError> {
        match domain {
            Some(domain) => call.require_on(
                Right::on_keys(change.action, domain),
                &ThingName::in_domain(domain, ""),
            )?,
            None => call.require_some(change.action)?,
        }
        Ok(())
    };
    let found = (&change.filter, call.caller.key);
    if change.effect == Effect::ValidateOnly {
        allowed()?;
        super::require_known(admin, call).await?;
        let count = admin.store.count_keys(found, KEYS_MAX + 1, call.now).await?;
        let size = PageSize::parse(SAMPLE_KEYS).unwrap_or(PageSize::DEFAULT);
        let page =
            PageRequest { order: KeyOrder::CreateTime, descending: false, size, after: None };
        let mut sample = admin.store.list_keys(&change.filter, &page, call.now).await?.keys;
        sample.retain(|key| key.id != call.caller.key);
        return Ok(Found { job: None, count, sample });
    }
    admin
        .attempt(call, (kind.action(), subject), || async {
            allowed()?;
            let job = new_job(admin, call, &change.task, domain)?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "jobs.create").await?;
            tx.insert_job(&Job { state: JobState::Receiving, ..job.clone() }, &unnamed()).await?;
            let count = tx.find_keys(job.id, found, KEYS_MAX + 1).await?;
            begin(&mut tx, &job, (count, change.expected)).await?;
            tx.commit().await?;
            Ok(made(job, count))
        })
        .await
}

/// Makes a job that removes keys which were deleted long ago; admin keys are not.
pub async fn purge_deleted_keys(
    admin: &Admin,
    call: &Call,
    purge: &PurgeKeys,
) -> Result<Found, AdminError> {
    let of_keys = DomainName::from_stored(DomainName::DEFAULT);
    let allowed = || -> Result<(), AdminError> {
        call.require(Right::on_keys(Action::Delete, &of_keys))?;
        if let Some(domain) = &purge.domain {
            let name = ThingName::in_domain(domain, "");
            call.require_on(Right::on_keys(Action::Delete, domain), &name)?;
        }
        Ok(())
    };
    let domains = match &purge.domain {
        Some(domain) => Some(vec![domain.clone()]),
        None => call.caller.domains(),
    };
    let found = (purge.deleted_before, domains.as_deref());
    if purge.effect == Effect::ValidateOnly {
        allowed()?;
        super::require_known(admin, call).await?;
        let count = admin.store.count_deleted(found, KEYS_MAX + 1).await?;
        return Ok(Found { job: None, count, sample: Vec::new() });
    }
    let subject = purge.domain.as_ref().map_or("", DomainName::as_str);
    admin
        .attempt(call, ("keys.purge", subject), || async {
            allowed()?;
            let task = JobTask::Purge { deleted_before: purge.deleted_before };
            let job = new_job(admin, call, &task, purge.domain.as_ref())?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "jobs.create").await?;
            tx.insert_job(&Job { state: JobState::Receiving, ..job.clone() }, &unnamed()).await?;
            let count = tx.find_deleted(job.id, found, KEYS_MAX + 1).await?;
            begin(&mut tx, &job, (count, purge.expected)).await?;
            tx.commit().await?;
            Ok(made(job, count))
        })
        .await
}

/// Lets a job begin if it has found what its maker expects.
async fn begin(
    tx: &mut WriteTx<'_>,
    job: &Job,
    (count, expected): (i64, i64),
) -> Result<(), AdminError> {
    if count > KEYS_MAX {
        return Err(AdminError::TooManyKeys { max: KEYS_MAX });
    }
    if count != expected {
        return Err(AdminError::CountMismatch { found: count });
    }
    tx.receive(job.id, (count, 0)).await?;
    tx.begin_job(job.id).await?;
    Ok(())
}

fn made(job: Job, count: i64) -> Found {
    let counts = JobCounts { total: count, ..job.counts };
    Found { job: Some(Job { counts, ..job }), count, sample: Vec::new() }
}

/// A request without a name.
fn unnamed() -> JobRequest {
    JobRequest::new("", b"")
}

/// A job of the caller's that is to begin now.
pub(super) fn new_job(
    admin: &Admin,
    call: &Call,
    task: &JobTask,
    domain: Option<&DomainName>,
) -> Result<Job, AdminError> {
    Ok(Job {
        id: JobId::new(admin.new_id(call.now)?),
        task: task.clone(),
        state: JobState::Pending,
        domain: domain.cloned(),
        counts: JobCounts::default(),
        reached: 0,
        created_by: Some(call.caller.key),
        peer: call.peer,
        create_time: call.now,
        start_time: None,
        finish_time: None,
        error: None,
    })
}
