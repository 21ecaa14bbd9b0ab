//! How soon a key that was revoked on one replica is denied by another one.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::runtime::{Builder, Runtime};

use super::Choices;
use crate::{
    admin::{Admin, is_unavailable},
    changes::Changes,
    keys::request,
    load::{Target, probe::Probe},
    machine::Cores,
    program::Program,
    report::Report,
    signals,
};

/// What a revoked key is told.
const DENIED: u16 = 401;
/// So many other keys are changed again and again.
const CHANGED: u64 = 10_000;
/// How long other changes go on before it is measured.
const WARM: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Arguments {
    /// How many keys are revoked in each of the two parts
    #[arg(long, default_value = "300")]
    revoked: usize,
    /// How many other changes are made a second
    #[arg(long, default_value = "1000")]
    changes: f64,
}

/// What passed until another replica denied.
#[derive(Default)]
struct Seen {
    from_sending: Vec<Duration>,
    from_answer: Vec<Duration>,
    /// How often `RevokeKey` was UNAVAILABLE and was called again.
    repeated: u64,
}

pub fn run(choices: &Choices, arguments: Arguments) -> Result<Report> {
    let rounds = choices.effort.rounds.max(1);
    let at_once = arguments.revoked.div_ceil(rounds);
    let revoked = u64::try_from(2 * rounds * at_once)?;
    let plan = choices.plan();
    ensure!(plan.count >= revoked + CHANGED, "{} keys are needed", revoked + CHANGED);

    let mut site = choices.filled_site(Cores::Both)?;
    let token = site.root_token()?;
    let mut writer = site.start(Program::Keyward)?;
    let reader = site.start(Program::Keyward)?;
    let access = writer.admin(token)?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let admin = runtime.block_on(access.connect())?;

    let (mut quiet, mut busy) = (Seen::default(), Seen::default());
    let (mut made, mut failed, mut took) = (0, 0, Duration::ZERO);
    let mut number = 0;
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for _ in 0..at_once {
            quiet.add(&runtime, &admin, reader.target(), number)?;
            number += 1;
        }
        let changes = Changes::start(&access, revoked..revoked + CHANGED, arguments.changes);
        thread::sleep(WARM);
        for _ in 0..at_once {
            busy.add(&runtime, &admin, reader.target(), number)?;
            number += 1;
        }
        let flowed = changes.end()?;
        made += flowed.count;
        failed += flowed.failed;
        took += flowed.span;
    }
    let mut report = Report::default();
    report.facts.push(("changes, offered".into(), arguments.changes, "a second"));
    report.facts.push(("changes, made".into(), made as f64 / took.as_secs_f64(), "a second"));
    report.facts.push(("changes, UNAVAILABLE".into(), failed as f64, ""));
    for (name, seen) in [("nothing else changes", quiet), ("other changes", busy)] {
        let repeated = format!("{name}: RevokeKey UNAVAILABLE and repeated");
        report.facts.push((repeated, seen.repeated as f64, ""));
        report.add_spans(&format!("{name}: RevokeKey answered to denied"), seen.from_answer);
        report.add_spans(&format!("{name}: RevokeKey sent to denied"), seen.from_sending);
    }
    Ok(report)
}

impl Seen {
    /// Revokes one key and waits until it is denied by another replica, which is asked all the time.
    fn add(
        &mut self,
        runtime: &Runtime,
        admin: &Admin,
        replica: Target,
        number: u64,
    ) -> Result<()> {
        signals::check()?;
        let mut probe = Probe::open(replica, &request(number), DENIED)?;
        ensure!(probe.ask()?.is_continue(), "a key is denied before it is revoked");
        let (sent, answered, denied) = thread::scope(|scope| {
            let asking = scope.spawn(move || probe.wait());
            let sent = Instant::now();
            while let Err(error) = runtime.block_on(admin.revoke(number)) {
                ensure!(is_unavailable(&error), error);
                signals::check()?;
                self.repeated += 1;
            }
            let answered = Instant::now();
            let denied = asking.join().ok().context("the thread that asks ended")??;
            anyhow::Ok((sent, answered, denied))
        })?;
        self.from_sending.push(denied.saturating_duration_since(sent));
        self.from_answer.push(denied.saturating_duration_since(answered));
        Ok(())
    }
}
