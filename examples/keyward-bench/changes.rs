//! A flow of admin changes beside what is measured, sent on time whatever the answers do.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{runtime::Builder, sync::Semaphore, task::JoinSet, time::sleep_until};

use crate::{
    admin::{Access, Admin, is_unavailable},
    signals,
};

const CONNECTIONS: usize = 4;
/// Calls that are open at once; when so many are, those that are due wait, and fewer are made.
const OPEN_MAX: usize = 64;

/// Changes that go on until they are ended.
#[derive(Debug)]
pub struct Changes {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Result<Made>>>,
}

/// What was really changed.
#[derive(Clone, Debug)]
pub struct Made {
    pub count: u64,
    /// How many were not, because the database was UNAVAILABLE to them.
    pub failed: u64,
    /// Until the last was answered.
    pub span: Duration,
    /// In nanoseconds, from when each was due.
    pub latency: Histogram<u64>,
}

impl Made {
    /// How many were made each second.
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.span.as_secs_f64()
    }
}

impl Changes {
    /// Begins to change keys of these numbers, one after the other, so often a second. There must be
    /// more of them than can be open at once, so that no two calls meet on one key.
    pub fn start(access: &Access, keys: Range<u64>, a_second: f64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (access, watched) = (access.clone(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(flow(&access, keys, a_second, &watched))
        });
        Self { over, thread: Some(thread) }
    }

    /// Ends them and waits for what is open. An error says why one was not made.
    pub fn end(mut self) -> Result<Made> {
        self.over.store(true, Relaxed);
        let thread = self.thread.take().context("ended twice")?;
        thread.join().ok().context("the thread of the changes ended")?
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn flow(access: &Access, keys: Range<u64>, a_second: f64, over: &AtomicBool) -> Result<Made> {
    let mut admins = Vec::new();
    for _ in 0..CONNECTIONS {
        admins.push(access.connect().await?);
    }
    let room = Arc::new(Semaphore::new(OPEN_MAX));
    let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
    let mut calls = JoinSet::new();
    let begun = Instant::now();
    let (mut number, mut failed) = (0, 0);
    while !over.load(Relaxed) {
        signals::check()?;
        let due = begun + Duration::from_secs_f64(number as f64 / a_second);
        sleep_until(due.into()).await;
        let permit = Arc::clone(&room).acquire_owned().await?;
        let admin = admins[number as usize % CONNECTIONS].clone();
        let keys = keys.clone();
        calls.spawn(async move {
            let changed = change(&admin, keys, number).await;
            drop(permit);
            changed.map(|()| due.elapsed())
        });
        number += 1;
        while let Some(done) = calls.try_join_next() {
            failed += note(&mut latency, done?)?;
        }
    }
    while let Some(done) = calls.join_next().await {
        failed += note(&mut latency, done?)?;
    }
    Ok(Made { count: number - failed, failed, span: begun.elapsed(), latency })
}

/// Notes what a change took; says how many failed, which is one or none.
fn note(latency: &mut Histogram<u64>, changed: Result<Duration>) -> Result<u64> {
    match changed {
        Ok(span) => {
            latency.saturating_record(u64::try_from(span.as_nanos())?);
            Ok(0)
        }
        Err(error) if is_unavailable(&error) => Ok(1),
        Err(error) => Err(error),
    }
}

/// The change of this number: each time all keys are through, it is the next kind of change.
async fn change(admin: &Admin, keys: Range<u64>, number: u64) -> Result<()> {
    let (count, first) = (keys.end - keys.start, keys.start);
    let key = first + number % count;
    match number / count % 3 {
        0 => admin.rename(key, format!("Renamed {number}")).await,
        1 => admin.deactivate(key).await,
        _ => admin.activate(key).await,
    }
}
