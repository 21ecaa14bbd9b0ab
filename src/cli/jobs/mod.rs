//! `keyward jobs`: what is done to many keys in the background.

pub mod fields;
pub mod start;
pub mod watch;

use clap::{Args, Subcommand, ValueEnum};

use self::{
    fields::{COLUMNS, ERRORS, LINES, worked},
    start::StartCommand,
};
use super::{Ending, access::SureArgs, error::CliError, pages::PageArgs, session::Session};
use crate::rpc::pb::{
    CancelJobRequest, GetJobRequest, Job, JobKind, JobState, ListJobErrorsRequest, ListJobsRequest,
};

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs, the newest first
    #[command(after_help = "Example: keyward jobs list --state running")]
    List(ListArgs),
    /// Show how far a job is
    #[command(after_help = "Example: keyward jobs show job_01jd2v3w4x5y6z7a8b9c0d1e2f")]
    Show(Named),
    /// Follow a job until it ends; ends with status 1 if it failed or was cancelled
    #[command(after_help = "Example: keyward jobs watch job_01jd2v3w4x5y6z7a8b9c0d1e2f")]
    Watch(Named),
    /// List what could not be done
    #[command(after_help = "Example: keyward jobs errors job_01jd2v3w4x5y6z7a8b9c0d1e2f")]
    Errors(ErrorsArgs),
    /// End a job before its time; what it has done remains
    #[command(after_help = "Example: keyward jobs cancel job_01jd2v3w4x5y6z7a8b9c0d1e2f")]
    Cancel(CancelArgs),
    /// Revoke, deactivate or remove many keys at once
    #[command(subcommand)]
    Start(StartCommand),
}

/// Settings of `keyward jobs list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Jobs of this kind
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,

    /// Jobs in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<State>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A job.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its id
    #[arg(value_name = "JOB")]
    pub id: String,
}

/// Settings of `keyward jobs errors`.
#[derive(Debug, Args)]
pub struct ErrorsArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Settings of `keyward jobs cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Makes keys
    Import,
    /// Revokes keys
    Revoke,
    /// Deactivates keys
    Deactivate,
    /// Removes deleted keys for good
    Purge,
    /// Removes what the change log has of long ago
    TrimChangeLog,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Its items are still being sent
    Receiving,
    /// It waits
    Pending,
    /// It is worked on
    Running,
    /// All items were dealt with
    Succeeded,
    /// It ended before its time
    Failed,
    /// Somebody ended it
    Cancelled,
}

impl From<Kind> for JobKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Import => Self::ImportKeys,
            Kind::Revoke => Self::RevokeKeys,
            Kind::Deactivate => Self::DeactivateKeys,
            Kind::Purge => Self::PurgeKeys,
            Kind::TrimChangeLog => Self::TrimChangeLog,
        }
    }
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Receiving => Self::Receiving,
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

pub(super) async fn run(session: &Session, command: &JobsCommand) -> Result<Ending, CliError> {
    match command {
        JobsCommand::List(args) => list(session, args).await?,
        JobsCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES)?,
        JobsCommand::Watch(named) => {
            let job = get(session, named).await?;
            return watch::until_ended(session, job).await;
        }
        JobsCommand::Errors(args) => errors(session, args).await?,
        JobsCommand::Cancel(args) => cancel(session, args).await?,
        JobsCommand::Start(command) => return start::start(session, command).await,
    }
    Ok(Ending::Done)
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request = ListJobsRequest {
            page_size,
            page_token,
            kind: args.kind.map_or(JobKind::Unspecified, JobKind::from).into(),
            state: args.state.map_or(JobState::Unspecified, JobState::from).into(),
        };
        let ask = async |request| session.insight().list_jobs(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.jobs, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<Job, CliError> {
    let request = GetJobRequest { id: named.id.clone() };
    let ask = async |request| session.insight().get_job(request).await;
    Ok(session.ask(request, ask).await?.job.unwrap_or_default())
}

async fn errors(session: &Session, args: &ErrorsArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request = ListJobErrorsRequest { id: args.named.id.clone(), page_size, page_token };
        let ask = async |request| session.insight().list_job_errors(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.errors, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &ERRORS)
}

async fn cancel(session: &Session, args: &CancelArgs) -> Result<(), CliError> {
    let job = get(session, &args.named).await?;
    args.sure.ask(&format!("End the job after {} of {}?", worked(&job), job.total))?;
    let request = CancelJobRequest { id: args.named.id.clone() };
    let send = async |request| session.insight().cancel_job(request).await;
    let answer = session.change(request, send).await?;
    session.out.show(&answer.job.unwrap_or_default(), &LINES)
}
