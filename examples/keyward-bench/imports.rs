//! Imports of keys, by the admin API: one that is followed, and a flow of them beside what is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use keyward::rpc::pb::{ImportKeyItem, ImportKeysOptions, ImportKeysRequest, Job, JobState};
use tokio::{runtime::Builder, time::sleep};
use tokio_stream::iter;

use crate::{
    admin::{Access, Admin},
    keys::{permissions, profile},
    signals,
};

/// Items in a message.
const TOGETHER: u64 = 500;
/// Keys in each import of a flow.
const IN_FLOW: u64 = 20_000;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The token of another system that is imported by this number.
pub fn token(number: u64) -> String {
    format!("imported-by-a-bench-{number:020}")
}

fn item(number: u64) -> ImportKeyItem {
    ImportKeyItem {
        display_name: format!("Imported {number}"),
        token: token(number),
        permissions: permissions(profile(number)).into(),
        ..ImportKeyItem::default()
    }
}

/// Sends so many items from this number on; returns the job that will make them keys.
pub async fn send(admin: &Admin, first: u64, count: u64) -> Result<Job> {
    let options =
        ImportKeysOptions { environment: "production".into(), ..ImportKeysOptions::default() };
    let begin = ImportKeysRequest { options: Some(options), items: Vec::new() };
    let end = first + count;
    let starts = (first..end).step_by(usize::try_from(TOGETHER)?);
    let messages = starts.map(move |start| ImportKeysRequest {
        options: None,
        items: (start..end.min(start + TOGETHER)).map(item).collect(),
    });
    let mut answers = admin.import(iter([begin]).chain(iter(messages))).await?;
    let mut job = None;
    while let Some(answer) = answers.message().await? {
        job = answer.job;
        signals::check()?;
    }
    job.context("an import without an answer")
}

/// Looks at a job until it has come as far as is wanted.
pub async fn until(admin: &Admin, id: &str, wanted: impl Fn(&Job) -> bool) -> Result<Job> {
    loop {
        signals::check()?;
        let job = admin.job(id).await?;
        if wanted(&job) {
            return Ok(job);
        }
        ensure!(job.finish_time.is_none(), "the job ended before: {job:?}");
        sleep(LOOK_EVERY).await;
    }
}

/// Imports that go on, one after the other, until they are ended.
#[derive(Debug)]
pub struct Imports {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Result<f64>>>,
}

impl Imports {
    /// Begins with the item of this number.
    pub fn start(access: &Access, first: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (access, watched) = (access.clone(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(flow(&access, first, &watched))
        });
        Self { over, thread: Some(thread) }
    }

    /// Waits for the last one; says how many keys a second there were.
    pub fn end(mut self) -> Result<f64> {
        self.over.store(true, Relaxed);
        let thread = self.thread.take().context("ended twice")?;
        thread.join().ok().context("the thread of the imports ended")?
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn flow(access: &Access, first: u64, over: &AtomicBool) -> Result<f64> {
    let admin = access.connect().await?;
    let (begun, mut next) = (Instant::now(), first);
    while !over.load(Relaxed) {
        let sent = send(&admin, next, IN_FLOW).await?;
        let ended = until(&admin, &sent.id, |job| job.finish_time.is_some()).await?;
        ensure!(ended.done == i64::try_from(IN_FLOW)?, "not all was imported: {ended:?}");
        ensure!(ended.state() == JobState::Succeeded, "an import failed: {ended:?}");
        next += IN_FLOW;
    }
    Ok((next - first) as f64 / begun.elapsed().as_secs_f64())
}
