//! One question that is asked again and again, to learn when its answer changes.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyward::rpc::pb::AuthorizeRequest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Call, Target, connection::Connection, pool::Pool};
use crate::signals;

/// How long an answer may take, and how long it may be another one than is waited for.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// A connection that asks one question.
#[derive(Debug)]
pub struct Probe {
    connection: Connection,
    pool: Pool,
}

impl Probe {
    /// Connects. It is to be told of answers with this `http_status`.
    pub fn open(target: Target, question: &AuthorizeRequest, awaited: u16) -> Result<Self> {
        let mut pool = Pool::default();
        pool.push(question, awaited);
        Self::of_pool(target, Call::Unary, pool)
    }

    /// Connects. It is to be told of answers that this pool, which has one question, expects.
    pub fn of_pool(target: Target, call: Call, pool: Pool) -> Result<Self> {
        let connection = Connection::open(target.address, call)?;
        Ok(Self { connection, pool })
    }

    /// Asks once. Breaks if the answer is the awaited one.
    pub fn ask(&mut self) -> Result<ControlFlow<()>> {
        let begun = Instant::now();
        let mut done = Vec::new();
        self.connection.offer(0);
        while done.is_empty() {
            ensure!(begun.elapsed() < WAIT_TIME_MAX, "no answer in {WAIT_TIME_MAX:?}");
            let mut wanted = PollFlags::IN;
            wanted.set(PollFlags::OUT, !self.connection.send(&mut self.pool)?);
            let timeout = Timespec { tv_sec: 1, tv_nsec: 0 };
            poll(&mut [PollFd::new(&self.connection.socket, wanted)], Some(&timeout))?;
            self.connection.receive(&self.pool, &mut done)?;
        }
        let is_awaited = done.iter().all(|done| !done.bad);
        Ok(if is_awaited { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Asks until the answer is the awaited one; says when it was there.
    pub fn wait(&mut self) -> Result<Instant> {
        let begun = Instant::now();
        while self.ask()?.is_continue() {
            signals::check()?;
            ensure!(
                begun.elapsed() < WAIT_TIME_MAX,
                "the answer is the same for {WAIT_TIME_MAX:?}"
            );
        }
        Ok(Instant::now())
    }
}
