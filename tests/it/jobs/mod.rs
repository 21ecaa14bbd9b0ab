//! Jobs: what is done to many keys in the background.

mod bulk;
mod callers;
mod crash;
mod follow;
mod import;
mod purge;

use keyward::rpc::pb::{
    self, ImportKeyItem, ImportKeysOptions, ImportKeysRequest, Job, JobError, JobState,
};
use tokio_stream::iter;
use tonic::Status;

use crate::support::{
    client::{Admin, Insight},
    eventually,
};

/// Options for keys that may read systems, in production.
fn options() -> ImportKeysOptions {
    ImportKeysOptions {
        environment: "production".into(),
        permissions: vec!["systems.read".into()],
        ..ImportKeysOptions::default()
    }
}

/// An item of another system that knows the token.
fn item(token: &str) -> ImportKeyItem {
    ImportKeyItem {
        display_name: format!("Imported {}", token.len()),
        token: token.into(),
        ..ImportKeyItem::default()
    }
}

/// Messages that send these items, so many in each.
fn messages(
    options: ImportKeysOptions,
    items: &[ImportKeyItem],
    together: usize,
) -> Vec<ImportKeysRequest> {
    let first = ImportKeysRequest { options: Some(options), items: Vec::new() };
    let rest = items.chunks(together);
    let rest = rest.map(|items| ImportKeysRequest { options: None, items: items.to_vec() });
    [first].into_iter().chain(rest).collect()
}

/// Sends an import; returns the job as it is when it begins.
async fn import(
    admin: &mut Admin,
    options: ImportKeysOptions,
    items: &[ImportKeyItem],
) -> Result<Job, Status> {
    send(admin, messages(options, items, 500)).await
}

/// Sends these messages; returns the last answer's job.
async fn send(admin: &mut Admin, messages: Vec<ImportKeysRequest>) -> Result<Job, Status> {
    let mut answers = admin.import_keys(iter(messages)).await?.into_inner();
    let mut last = None;
    while let Some(answer) = answers.message().await? {
        last = answer.job;
    }
    Ok(last.expect("there is an answer"))
}

/// A job as it is now.
async fn job(insight: &mut Insight, id: &str) -> Job {
    let request = pb::GetJobRequest { id: id.into() };
    insight.get_job(request).await.unwrap().into_inner().job.unwrap()
}

/// Waits until a job has ended.
async fn ended(insight: &mut Insight, id: &str) -> Job {
    eventually("the job ends", async || {
        let job = job(insight, id).await;
        job.finish_time.is_some().then_some(job)
    })
    .await
}

/// What became of a job: state, total, done, failed, skipped.
fn counts(job: &Job) -> (JobState, [i64; 4]) {
    (job.state(), [job.total, job.done, job.failed, job.skipped])
}

/// All that went wrong with a job's items.
async fn errors(insight: &mut Insight, id: &str) -> Vec<JobError> {
    let mut errors = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListJobErrorsRequest { id: id.into(), page_size: 2, page_token };
        let page = insight.list_job_errors(request).await.unwrap().into_inner();
        errors.extend(page.errors);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return errors;
        }
    }
}
