//! Jobs: which are asked for, and as they are shown; and the jobs that change keys which are there.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tonic::Status;

use super::{ListParts, Violations, effect, number, request::why, time_to_pb};
use crate::{
    admin::jobs::{BulkChange, PurgeKeys},
    model::{
        caller::{Action, Caller, Reach},
        job::{ItemError, Job, JobFilter, JobId, JobKind, JobState, JobTask, OnConflict},
        key::RevocationReason,
        list::PageSize,
        name::DomainName,
        time::Timestamp,
    },
    rpc::pb,
    store::jobs::{ErrorPage, JobPage},
};

const FOREIGN_TOKEN: &str = "must be the next_page_token of a page with the same filters";
const TOKEN_BYTES_MAX: usize = 256;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAYS_MAX: i32 = 3650;

/// The id of a job in a field `id`.
pub(in crate::rpc) fn job_id(id: &str) -> Result<JobId, Status> {
    let mut violations = Violations::default();
    let id = violations.required("id", id, JobId::parse);
    violations.finish(id)
}

/// `ListJobs`.
pub(in crate::rpc) fn job_list(request: &pb::ListJobsRequest) -> Result<JobFilter, Status> {
    let mut violations = Violations::default();
    let kind = match pb::JobKind::try_from(request.kind) {
        Ok(kind) => JobKind::ALL.into_iter().find(|known| kind_to_pb(*known) == kind),
        Err(_unknown) => {
            violations.add("kind", "is not a kind that this server knows");
            None
        }
    };
    let state = match pb::JobState::try_from(request.state) {
        Ok(state) => JobState::ALL.into_iter().find(|known| state_to_pb(*known) == state),
        Err(_unknown) => {
            violations.add("state", "is not a state that this server knows");
            None
        }
    };
    let size = violations.check("page_size", PageSize::parse(request.page_size));
    let after = violations.optional("page_token", &request.page_token, |token| {
        place_from_token(token, request.kind, request.state).ok_or(FOREIGN_TOKEN)
    });
    let filter = size.map(|size| JobFilter { kind, state, created_by: None, after, size });
    violations.finish(filter)
}

fn place_from_token(token: &str, kind: i32, state: i32) -> Option<(Timestamp, JobId)> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let rest = text.strip_prefix(&format!("1 {kind} {state} "))?;
    let (micros, id) = rest.split_once(' ')?;
    let time = Timestamp::from_micros(number(micros)?);
    let known = (Timestamp::FIRST..=Timestamp::LAST).contains(&time);
    known.then_some((time, JobId::parse(id).ok()?))
}

/// A page of jobs.
pub(in crate::rpc) fn job_page_to_pb(
    page: &JobPage,
    request: &pb::ListJobsRequest,
) -> pb::ListJobsResponse {
    let token = page.next.map(|(time, id)| {
        let (kind, state) = (request.kind, request.state);
        URL_SAFE_NO_PAD.encode(format!("1 {kind} {state} {} {id}", time.micros()))
    });
    pb::ListJobsResponse {
        jobs: page.jobs.iter().map(job_to_pb).collect(),
        next_page_token: token.unwrap_or_default(),
    }
}

/// `ListJobErrors`: the job, the position that the page comes after, and its size.
pub(in crate::rpc) fn job_errors(
    request: &pb::ListJobErrorsRequest,
) -> Result<((JobId, i64), PageSize), Status> {
    let mut violations = Violations::default();
    let id = violations.required("id", &request.id, JobId::parse);
    let size = violations.check("page_size", PageSize::parse(request.page_size));
    let after = match request.page_token.as_str() {
        "" => Some(0),
        token => {
            let place = token.strip_prefix(&format!("{}-", request.id)).and_then(number::<i64>);
            let place = place.filter(|place| *place > 0);
            violations.check("page_token", place.ok_or("must be the next_page_token of a page"))
        }
    };
    let parts = match (id, after, size) {
        (Some(id), Some(after), Some(size)) => Some(((id, after), size)),
        _ => None,
    };
    violations.finish(parts)
}

/// A page of what went wrong.
pub(in crate::rpc) fn error_page_to_pb(
    page: &ErrorPage,
    request: &pb::ListJobErrorsRequest,
) -> pb::ListJobErrorsResponse {
    let one = |error: &ItemError| pb::JobError {
        position: error.position,
        subject: error.subject.to_string(),
        message: error.message.to_string(),
    };
    let token = page.next.map(|position| format!("{}-{position}", request.id));
    pb::ListJobErrorsResponse {
        errors: page.errors.iter().map(one).collect(),
        next_page_token: token.unwrap_or_default(),
    }
}

/// A job as it is shown.
pub(in crate::rpc) fn job_to_pb(job: &Job) -> pb::Job {
    pb::Job {
        id: job.id.to_string(),
        kind: kind_to_pb(job.task.kind()).into(),
        state: state_to_pb(job.state).into(),
        domain: job.domain.as_ref().map(ToString::to_string).unwrap_or_default(),
        total: job.counts.total,
        done: job.counts.done,
        failed: job.counts.failed,
        skipped: job.counts.skipped,
        created_by: job.created_by.map_or_else(|| "keyward".into(), |key| key.to_string()),
        create_time: Some(time_to_pb(job.create_time)),
        start_time: job.start_time.map(time_to_pb),
        finish_time: job.finish_time.map(time_to_pb),
        error: job.error.as_deref().unwrap_or_default().into(),
        parameters: parameters(&job.task),
    }
}

fn parameters(task: &JobTask) -> BTreeMap<String, String> {
    let seconds = |time: &Timestamp| time.micros().div_euclid(1_000_000).to_string();
    let pairs = match task {
        JobTask::Import { domain, environment, on_conflict } => {
            let on_conflict = match on_conflict {
                OnConflict::Skip => "skip",
                OnConflict::Fail => "fail",
            };
            vec![
                ("domain", domain.to_string()),
                ("environment", environment.to_string()),
                ("on_conflict", on_conflict.into()),
            ]
        }
        JobTask::Revoke { reason, comment } => {
            let reason = match reason {
                RevocationReason::Compromised => "compromised",
                RevocationReason::NoLongerUsed => "no_longer_used",
                RevocationReason::Superseded => "superseded",
                RevocationReason::Abuse => "abuse",
                RevocationReason::Other => "other",
            };
            vec![("reason", reason.into()), ("comment", comment.as_str().into())]
        }
        JobTask::Deactivate => Vec::new(),
        JobTask::Purge { deleted_before } => {
            vec![("deleted_before_seconds", seconds(deleted_before))]
        }
        JobTask::Trim { logged_before } => vec![("logged_before_seconds", seconds(logged_before))],
    };
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const fn kind_to_pb(kind: JobKind) -> pb::JobKind {
    match kind {
        JobKind::ImportKeys => pb::JobKind::ImportKeys,
        JobKind::RevokeKeys => pb::JobKind::RevokeKeys,
        JobKind::DeactivateKeys => pb::JobKind::DeactivateKeys,
        JobKind::PurgeKeys => pb::JobKind::PurgeKeys,
        JobKind::TrimChangeLog => pb::JobKind::TrimChangeLog,
    }
}

const fn state_to_pb(state: JobState) -> pb::JobState {
    match state {
        JobState::Receiving => pb::JobState::Receiving,
        JobState::Pending => pb::JobState::Pending,
        JobState::Running => pb::JobState::Running,
        JobState::Succeeded => pb::JobState::Succeeded,
        JobState::Failed => pb::JobState::Failed,
        JobState::Cancelled => pb::JobState::Cancelled,
    }
}

/// `RevokeKeys`.
pub(in crate::rpc) fn revoke_keys(
    request: &pb::RevokeKeysRequest,
    caller: &Caller,
) -> Result<BulkChange, Status> {
    let mut violations = Violations::default();
    let why = why(&mut violations, request.reason, &request.comment);
    let guard = (request.validate_only, request.expected_count);
    violations.guard(request.filter.as_ref(), guard);
    let (reason, comment) = violations.finish(why)?;
    let task = JobTask::Revoke { reason, comment };
    bulk_change(task, Action::Revoke, request.filter.as_ref(), (guard, caller))
}

/// `DeactivateKeys`.
pub(in crate::rpc) fn deactivate_keys(
    request: &pb::DeactivateKeysRequest,
    caller: &Caller,
) -> Result<BulkChange, Status> {
    let mut violations = Violations::default();
    let guard = (request.validate_only, request.expected_count);
    violations.guard(request.filter.as_ref(), guard);
    violations.finish(Some(()))?;
    bulk_change(JobTask::Deactivate, Action::Write, request.filter.as_ref(), (guard, caller))
}

impl Violations {
    /// What keeps a change of many keys from being one of more than was meant.
    fn guard(&mut self, filter: Option<&pb::ListKeysRequest>, (only, expected): (bool, i64)) {
        if let Some(filter) = filter {
            if filter.page_size != 0 || !filter.page_token.is_empty() {
                self.add("filter.page_size", "must be absent, like all about pages and order");
            }
            if filter.order != 0 || filter.descending {
                self.add("filter.order", "must be absent, like all about pages and order");
            }
        }
        self.expected(only, expected);
    }

    fn expected(&mut self, only: bool, expected: i64) {
        if !only && expected < 1 {
            self.add("expected_count", "is required: the count that validate_only tells");
        }
    }
}

fn bulk_change(
    task: JobTask,
    action: Action,
    filter: Option<&pb::ListKeysRequest>,
    ((only, expected), caller): ((bool, i64), &Caller),
) -> Result<BulkChange, Status> {
    let none = pb::ListKeysRequest::default();
    let filter = filter.unwrap_or(&none);
    let of_admins = filter.domain == DomainName::OF_ADMINS;
    let reach = caller.reach(action);
    let reach = Reach { admins: reach.admins && of_admins, ..reach };
    let ListParts { filter, .. } = ListParts::parse(filter, reach)?;
    Ok(BulkChange { task, action, filter, expected, effect: effect(only) })
}

/// `PurgeDeletedKeys`.
pub(in crate::rpc) fn purge(
    request: &pb::PurgeDeletedKeysRequest,
    now: Timestamp,
) -> Result<PurgeKeys, Status> {
    let mut violations = Violations::default();
    let days = u32::try_from(request.days).ok().filter(|_| (1..=DAYS_MAX).contains(&request.days));
    let days = violations.check("days", days.ok_or("must be from 1 to 3650"));
    let domain = violations.optional("domain", &request.domain, DomainName::parse);
    if domain.as_ref().is_some_and(DomainName::is_of_admins) {
        violations.add("domain", "must not be keyward: admin keys are not removed");
    }
    violations.expected(request.validate_only, request.expected_count);
    let command = days.map(|days| PurgeKeys {
        deleted_before: now.before(DAY * days),
        domain,
        expected: request.expected_count,
        effect: effect(request.validate_only),
    });
    violations.finish(command)
}
