//! Following a job.

use tokio::signal::ctrl_c;
use tonic::{Request, Streaming};

use super::fields::{LINES, kind, worked};
use crate::{
    cli::{
        Ending,
        error::{CliError, Doubt, even_unread},
        output::{note, progress::Progress},
        session::Session,
    },
    rpc::pb::{Job, JobState, WatchJobRequest, WatchJobResponse},
};

/// Shows how far a job is until it ends, and then what has become of it. Ctrl-C stops watching only.
pub(super) async fn until_ended(session: &Session, job: Job) -> Result<Ending, CliError> {
    let refused = |status| session.refused(status, Doubt::Nothing);
    let request = Request::new(WatchJobRequest { id: job.id.clone() });
    let answer = session.insight().watch_job(request).await.map_err(refused)?;
    let mut changes: Streaming<WatchJobResponse> = answer.into_inner();
    let mut job = job;
    let mut progress = Progress::begin(kind(&job), Some(job.total));
    let mut interrupt = std::pin::pin!(ctrl_c());
    loop {
        progress.show(worked(&job), Some(job.total));
        tokio::select! {
            change = changes.message() => match change.map_err(refused)? {
                Some(change) => job = change.job.unwrap_or_default(),
                None => break,
            },
            _ = &mut interrupt => {
                progress.end();
                note(&format!("The job {} goes on; `keyward jobs cancel` ends it.", job.id));
                return Ok(Ending::Interrupted);
            }
        }
    }
    progress.end();
    even_unread(session.out.show(&job, &LINES))?;
    if job.failed > 0 {
        note(&format!("`keyward jobs errors {}` lists what could not be done.", job.id));
    }
    Ok(if job.state() == JobState::Succeeded { Ending::Done } else { Ending::Denied })
}
