//! One batch of a job, in one transaction: what it does, and how far the job has come by it.

use std::sync::Arc;

use crate::{
    admin::{
        Admin, AdminError, Call,
        jobs::{bulk, import::ERRORS_MAX},
    },
    model::{
        caller::{Actor, Caller},
        job::{ItemError, Job, JobTask},
        key::{Key, KeyState},
        shared::{Cell, DomainFacts, DomainView},
        text::RequestId,
        time::Timestamp,
        view::Profile,
    },
    store::{
        jobs::Progress,
        write::{Intent, WriteTx},
    },
};

/// Rows of the change log that are removed at once.
const TRIMMED_MAX: i64 = 5_000;

/// What there is to do after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Another batch.
    More,
    /// Nothing: the job has ended.
    Finished,
    /// Nothing here: the job was cancelled, or another replica has it.
    Lost,
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) progress: Progress,
    pub(super) errors: Vec<ItemError>,
}

impl Outcome {
    /// Notes an item that could not be done.
    pub(super) fn fail(&mut self, position: i64, subject: &str, message: &str) {
        self.progress.failed += 1;
        self.errors.push(ItemError { position, subject: subject.into(), message: message.into() });
    }
}

/// Does the next batch of a job that this replica has; says what it came to.
pub(super) async fn batch(
    admin: &Admin,
    (job, owner): (&Job, &str),
    now: Timestamp,
) -> Result<(Step, Progress), AdminError> {
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let mut tx = session.write(intent(job, now)).await?;
            let Some(job) = tx.hold_job(job.id, owner).await? else {
                return Ok((Step::Lost, Progress::default()));
            };
            let (outcome, step) = match &job.task {
                JobTask::Import { .. } => {
                    let call = Call::of_job(&tx, &job, now).await?;
                    bulk::import(&mut tx, &call, &job).await?
                }
                JobTask::Revoke { .. } | JobTask::Deactivate | JobTask::Purge { .. } => {
                    let call = Call::of_job(&tx, &job, now).await?;
                    bulk::change(&mut tx, &call, &job).await?
                }
                JobTask::Trim { logged_before } => {
                    let done = tx.trim_log(*logged_before, TRIMMED_MAX).await?;
                    let progress =
                        Progress { done, reached: job.reached + done, ..Default::default() };
                    let step = if done < TRIMMED_MAX { Step::Finished } else { Step::More };
                    (Outcome { progress, ..Outcome::default() }, step)
                }
            };
            let room = usize::try_from(ERRORS_MAX - job.counts.failed).unwrap_or(0);
            let kept = outcome.errors.get(..room).unwrap_or(&outcome.errors);
            tx.note_errors(job.id, kept).await?;
            tx.advance_job(job.id, &outcome.progress).await?;
            if step == Step::Finished {
                tx.finish_job(job.id).await?;
            }
            tx.settle().await?;
            Ok((step, outcome.progress))
        })
        .await
}

/// What the audit says of a batch: the job is named as the request.
fn intent(job: &Job, now: Timestamp) -> Intent {
    Intent {
        action: job.task.kind().action().to_owned(),
        // a job of Keyward itself changes nothing that is audited
        actor: job.created_by.map_or(Actor::Bootstrap, Actor::Key),
        peer: job.peer,
        time: now,
        request: RequestId::parse(&job.id.to_string()).ok(),
    }
}

impl Call {
    /// What the maker of a job could do now. Nobody can stop its key until the end.
    async fn of_job(tx: &WriteTx<'_>, job: &Job, now: Timestamp) -> Result<Self, AdminError> {
        let id = job.created_by.ok_or(AdminError::CallerStopped)?;
        let key = tx.share_key(id).await?;
        let live = |key: &Key| key.domain.is_of_admins() && key.state(now) == KeyState::Active;
        let key = key.filter(live).ok_or(AdminError::CallerStopped)?;
        let settings = key.settings;
        let facts = Cell::new(DomainFacts::default());
        let caller = Caller {
            key: id,
            digests: vec![key.secret.digest],
            expire: settings.validity.end(),
            profile: Arc::new(Profile {
                environment: key.environment,
                domain: Arc::new(DomainView { name: key.domain, facts }),
                user: None,
                grants: settings.grants,
                groups: Box::default(),
                route_rules: settings.route_rules,
                addresses: settings.addresses,
                customers: settings.customers,
                delegation: settings.delegation,
                limits: settings.limits,
            }),
        };
        let request = RequestId::parse(&job.id.to_string()).ok();
        Ok(Self { caller, peer: job.peer, now, request })
    }
}
