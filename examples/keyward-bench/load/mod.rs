//! The generator: one thread that asks over HTTP/2 connections of its own framing, so that it costs
//! little beside the server that it measures, and checks every answer.

mod answer;
pub mod blocks;
mod connection;
mod message;
pub mod pool;
pub mod probe;
mod wire;

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use rustix::{
    event::{Timespec, epoll},
    fd::OwnedFd,
    time::{ClockId, clock_gettime},
};

use self::{
    blocks::HeaderBlocks,
    connection::{Connection, Done},
    pool::Pool,
};
use crate::{
    machine::{Cpu, cpu_of_all, cpu_of_process},
    signals,
};

/// How long what is open at the end may take to be answered.
const REST_TIME_MAX: Duration = Duration::from_secs(5);
const LATENCY_NANOS_MAX: u64 = 60_000_000_000;

/// What a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One decision.
    Unary,
    /// So many decisions.
    Batch(usize),
    /// One decision by a message on a stream that stays open, one stream a connection.
    Stream,
    /// A browser's request without a body, to a proxy that asks for one decision.
    Get,
}

impl Call {
    fn blocks(self, authority: &str) -> HeaderBlocks {
        let path = match self {
            Self::Unary => "/keyward.v1.Authorize/Authorize",
            Self::Batch(_) => "/keyward.v1.Authorize/BatchAuthorize",
            Self::Stream => "/keyward.v1.Authorize/StreamAuthorize",
            Self::Get => return HeaderBlocks::of_browser(authority),
        };
        HeaderBlocks::of_grpc(path, authority)
    }

    /// How many decisions one call is.
    pub const fn decisions(self) -> usize {
        match self {
            Self::Unary | Self::Stream | Self::Get => 1,
            Self::Batch(count) => count,
        }
    }
}

/// When the next call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// When one was answered: so many are always open on each connection.
    Closed(usize),
    /// So many calls a second over all connections, answered or not.
    Open(f64),
}

/// A load, to be run against servers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    connections: usize,
    pace: Pace,
    call: Call,
    warm: Duration,
    span: Duration,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub address: SocketAddr,
    /// The process whose CPU time counts as the server's.
    pub pid: u32,
    /// Another one that it asks about each call, whose CPU time counts too.
    pub asked: Option<u32>,
}

/// What a run measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub span: Duration,
    /// Calls, or messages of streams.
    pub calls: u64,
    pub decisions: u64,
    /// Answers that were not as expected; warming up counts too.
    pub bad: u64,
    /// In nanoseconds. With a closed loop from when a call was made, with an open one from when it was
    /// due.
    pub latency: Histogram<u64>,
    /// With that of the process that the server asks.
    pub server_cpu: Duration,
    /// Of the process that the server asks, if it asks one.
    pub asked_cpu: Option<Duration>,
    pub generator_cpu: Duration,
    /// How many cores other processes took; PostgreSQL is one of them.
    pub other_cores: f64,
}

impl Load {
    /// A closed loop: so many calls are always open on each of so many connections.
    pub const fn closed(connections: usize, in_flight: usize) -> Self {
        Self {
            connections,
            pace: Pace::Closed(in_flight),
            call: Call::Unary,
            warm: Duration::from_millis(500),
            span: Duration::from_secs(2),
        }
    }

    /// An open loop: so many calls a second, spread evenly over so many connections.
    pub const fn open(connections: usize, calls_a_second: f64) -> Self {
        Self { pace: Pace::Open(calls_a_second), ..Self::closed(connections, 1) }
    }

    /// With other calls.
    pub const fn calling(self, call: Call) -> Self {
        Self { call, ..self }
    }

    /// Warmed up for so long before.
    pub const fn warming(self, warm: Duration) -> Self {
        Self { warm, ..self }
    }

    /// Measured for so long.
    pub const fn lasting(self, span: Duration) -> Self {
        Self { span, ..self }
    }

    /// Runs it. An error says why a connection broke or what was not answered.
    pub fn run(&self, target: Target, pool: &mut Pool) -> Result<Measured> {
        ensure!(pool.len() > 0, "there is nothing to ask");
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        Running::start(*self, target)?.run(pool)
    }
}

/// What was used of the CPU so far.
struct Used {
    server: Duration,
    asked: Option<Duration>,
    generator: Duration,
    all: Cpu,
}

impl Used {
    fn now(target: Target) -> Result<Self> {
        let own = clock_gettime(ClockId::ThreadCPUTime);
        let generator =
            Duration::new(u64::try_from(own.tv_sec)?, u32::try_from(own.tv_nsec).unwrap_or(0));
        let (server, asked) =
            (cpu_of_process(target.pid)?, target.asked.map(cpu_of_process).transpose()?);
        Ok(Self { server, asked, generator, all: cpu_of_all()? })
    }
}

/// A load while it runs. Times are nanoseconds since it began.
struct Running {
    load: Load,
    target: Target,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Which of them wait for room in their sockets.
    blocked: Vec<bool>,
    begun: Instant,
    /// What is measured.
    span: Range<u64>,
    /// When the next call is due, with an open loop.
    next_due: f64,
    next_connection: usize,
    latency: Histogram<u64>,
    calls: u64,
    bad: u64,
}

impl Running {
    fn start(load: Load, target: Target) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..load.connections {
            let connection = Connection::open(target.address, load.call)?;
            let data = epoll::EventData::new_u64(u64::try_from(number)?);
            epoll::add(&epoll, &connection.socket, data, epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        let warm = nanos(load.warm);
        Ok(Self {
            load,
            target,
            epoll,
            blocked: vec![false; connections.len()],
            connections,
            begun: Instant::now(),
            span: warm..warm + nanos(load.span),
            next_due: 0.0,
            next_connection: 0,
            latency: Histogram::new_with_bounds(1, LATENCY_NANOS_MAX, 3)?,
            calls: 0,
            bad: 0,
        })
    }

    fn run(mut self, pool: &mut Pool) -> Result<Measured> {
        if let Pace::Closed(in_flight) = self.load.pace {
            for number in 0..self.connections.len() {
                (0..in_flight).for_each(|_| self.connections[number].offer(0));
                self.send(number, pool)?;
            }
        }
        self.until(self.span.start, pool)?;
        let (before, from) = (Used::now(self.target)?, Instant::now());
        self.until(self.span.end, pool)?;
        let (after, span) = (Used::now(self.target)?, from.elapsed());
        self.finish(pool)?;
        let asked_cpu =
            after.asked.zip(before.asked).map(|(after, before)| after.saturating_sub(before));
        let server_cpu = after.server.saturating_sub(before.server) + asked_cpu.unwrap_or_default();
        let generator_cpu = after.generator.saturating_sub(before.generator);
        let others = (after.all - before.all).saturating_sub(server_cpu + generator_cpu);
        Ok(Measured {
            span,
            calls: self.calls,
            decisions: self.calls * u64::try_from(self.load.call.decisions())?,
            bad: self.bad,
            latency: self.latency,
            server_cpu,
            asked_cpu,
            generator_cpu,
            other_cores: others.as_secs_f64() / span.as_secs_f64(),
        })
    }

    fn now(&self) -> u64 {
        nanos(self.begun.elapsed())
    }

    /// Asks and takes answers until then.
    fn until(&mut self, end: u64, pool: &mut Pool) -> Result<()> {
        let mut done = Vec::new();
        let mut now = self.now();
        while now < end {
            signals::check()?;
            let mut wake = end;
            if let Pace::Open(rate) = self.load.pace {
                self.offer_due(now.min(end), rate, pool)?;
                wake = end.min(self.next_due as u64);
            }
            self.turn(wake.saturating_sub(self.now()), pool, &mut done)?;
            now = self.now();
        }
        Ok(())
    }

    /// Makes all calls that are due.
    fn offer_due(&mut self, now: u64, rate: f64, pool: &mut Pool) -> Result<()> {
        while (self.next_due as u64) <= now {
            let number = self.next_connection;
            self.connections[number].offer(self.next_due as u64);
            self.send(number, pool)?;
            self.next_connection = (number + 1) % self.connections.len();
            self.next_due += 1e9 / rate;
        }
        Ok(())
    }

    /// Waits for so long at most and takes what has arrived; with a closed loop asks again.
    fn turn(&mut self, time_max: u64, pool: &mut Pool, done: &mut Vec<Done>) -> Result<()> {
        let mut events = [const { EMPTY }; 64];
        let timeout = Timespec {
            tv_sec: i64::try_from(time_max / 1_000_000_000)?,
            tv_nsec: i64::try_from(time_max % 1_000_000_000)?,
        };
        let (ready, _) = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout)) {
            Ok(count) => events.split_at(count),
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in ready {
            let number = usize::try_from(event.data.u64())?;
            self.connections[number].receive(pool, done)?;
            let now = self.now();
            for done in done.drain(..) {
                self.count(done, now);
                if matches!(self.load.pace, Pace::Closed(_)) && now < self.span.end {
                    self.connections[number].offer(now);
                }
            }
            self.send(number, pool)?;
        }
        Ok(())
    }

    fn count(&mut self, done: Done, now: u64) {
        self.bad += u64::from(done.bad);
        let counts = match self.load.pace {
            Pace::Closed(_) => self.span.contains(&now),
            Pace::Open(_) => self.span.contains(&done.due),
        };
        if counts {
            self.calls += 1;
            self.latency.saturating_record(now.saturating_sub(done.due).max(1));
        }
    }

    /// Sends, and has the socket watched for room if it took not all.
    fn send(&mut self, number: usize, pool: &mut Pool) -> Result<()> {
        let blocked = !self.connections[number].send(pool)?;
        if blocked != self.blocked[number] {
            self.blocked[number] = blocked;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, blocked);
            let data = epoll::EventData::new_u64(u64::try_from(number)?);
            epoll::modify(&self.epoll, &self.connections[number].socket, data, flags)?;
        }
        Ok(())
    }

    /// Takes the rest of the answers, and ends the streams.
    fn finish(&mut self, pool: &mut Pool) -> Result<()> {
        let last = self.now() + nanos(REST_TIME_MAX);
        let mut done = Vec::new();
        let mut ending = false;
        loop {
            let rest: usize = self.connections.iter().map(Connection::unanswered).sum();
            if rest == 0 && !ending {
                ending = true;
                for number in 0..self.connections.len() {
                    self.connections[number].end_stream();
                    self.send(number, pool)?;
                }
            }
            if ending && self.connections.iter().all(Connection::has_ended) {
                return Ok(());
            }
            ensure!(
                self.now() < last,
                "{rest} calls are not answered {REST_TIME_MAX:?} after the end"
            );
            self.turn(10_000_000, pool, &mut done)?;
        }
    }
}

const EMPTY: epoll::Event =
    epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
