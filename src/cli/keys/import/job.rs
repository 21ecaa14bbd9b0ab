//! The job that makes the keys of an import.

use std::time::Duration;

use tokio::signal::unix::Signal;
use tonic::{Code, Request, Streaming};

use crate::{
    cli::{
        error::{CliError, Doubt, even_unread},
        output::{Cell, Field, Fit, note, progress::Progress, text::plain},
        session::Session,
    },
    rpc::pb::{
        CancelJobRequest, Job, JobState, ListJobErrorsRequest, WatchJobRequest, WatchJobResponse,
    },
};

/// How many items that failed are told.
const ERRORS_MAX: i32 = 1000;
const CANCEL_TIME_MAX: Duration = Duration::from_secs(2);

const LINES: [Field<Job>; 6] = [
    Field { name: "Job", cell: |job, _| Cell::text(&job.id), fit: Fit::Whole },
    Field { name: "State", cell: |job, _| Cell::text(state(job)), fit: Fit::Whole },
    Field { name: "Made", cell: |job, _| Cell::text(job.done.to_string()), fit: Fit::Whole },
    Field { name: "Skipped", cell: |job, _| Cell::text(job.skipped.to_string()), fit: Fit::Whole },
    Field { name: "Failed", cell: |job, _| Cell::text(job.failed.to_string()), fit: Fit::Whole },
    Field { name: "Error", cell: |job, _| Cell::text(&job.error), fit: Fit::Whole },
];

fn state(job: &Job) -> String {
    job.state().as_str_name().trim_start_matches("JOB_STATE_").to_lowercase()
}

/// Says what has become of a job.
pub(super) fn show(session: &Session, job: &Job) -> Result<(), CliError> {
    session.out.show(job, &LINES)
}

/// Waits for the end of a job, and says what has become of its items.
pub(super) async fn watch(
    session: &Session,
    job: Job,
    interrupt: &mut Signal,
) -> Result<(), CliError> {
    let Some(job) = until_ended(session, job, interrupt).await? else {
        return Ok(());
    };
    even_unread(show(session, &job))?;
    if job.failed > 0 {
        tell_errors(session, &job).await?;
    }
    let problem = match job.state() {
        JobState::Succeeded if job.failed == 0 => return Ok(()),
        JobState::Succeeded => {
            format!("could not be imported: {} of {} items", job.failed, job.total)
        }
        _ => format!("the job has ended as {}; what was made remains", state(&job)),
    };
    Err(CliError::failed(problem, "mend these items, and import again: what is there is skipped"))
}

/// The job when it has ended; nothing if it may not be watched.
async fn until_ended(
    session: &Session,
    mut job: Job,
    interrupt: &mut Signal,
) -> Result<Option<Job>, CliError> {
    let mut progress = Progress::begin("Imported", Some(job.total));
    let request = Request::new(WatchJobRequest { id: job.id.clone() });
    let mut changes: Streaming<WatchJobResponse> = match session.insight().watch_job(request).await
    {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::PermissionDenied => {
            note(&format!("The job {} goes on; this admin key may not watch it.", job.id));
            show(session, &job)?;
            return Ok(None);
        }
        Err(status) => return Err(session.refused(status, Doubt::Nothing)),
    };
    loop {
        tokio::select! {
            change = changes.message() => {
                match change.map_err(|status| session.refused(status, Doubt::Nothing))? {
                    Some(change) => job = change.job.unwrap_or_default(),
                    None => return Ok(Some(job)),
                }
                progress.show(job.done + job.failed + job.skipped, Some(job.total));
            }
            _ = interrupt.recv() => {
                progress.end();
                let problem = format!("stopped watching; the job {} goes on in the server", job.id);
                return Err(CliError::failed(problem, "importing the same again skips what is there"));
            }
        }
    }
}

/// Ends a job whose items will not be sent. If that cannot be done, the server ends it by itself some minutes
/// later.
pub(super) async fn cancel(session: &Session, job: &Job) {
    if job.id.is_empty() {
        return;
    }
    let mut request = Request::new(CancelJobRequest { id: job.id.clone() });
    request.set_timeout(CANCEL_TIME_MAX);
    drop(session.insight().cancel_job(request).await);
}

async fn tell_errors(session: &Session, job: &Job) -> Result<(), CliError> {
    let request = ListJobErrorsRequest {
        id: job.id.clone(),
        page_size: ERRORS_MAX,
        page_token: String::new(),
    };
    let ask = async |request| session.insight().list_job_errors(request).await;
    let answer = session.ask(request, ask).await?;
    for error in &answer.errors {
        let (subject, message) = (plain(&error.subject), plain(&error.message));
        note(&format!("item {} ({subject}): {message}", error.position));
    }
    let told = i64::try_from(answer.errors.len()).unwrap_or(i64::MAX);
    if job.failed > told {
        note(&format!("and {} more", job.failed - told));
    }
    Ok(())
}
