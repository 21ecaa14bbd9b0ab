//! What decisions take while PostgreSQL hangs, and while it is written to.

use std::time::Duration;

use anyhow::Result;

use super::Choices;
use crate::{
    admin::Access,
    changes::{Changes, Made},
    halted::Halted,
    keys::{Answers, Mix, pool},
    load::{Load, Measured, Target, pool::Pool},
    machine::Cores,
    program::Program,
    report::{Report, Row},
    rounds::{REQUESTS_MAX, check, note},
};

const QUIET: &str = "quiet";
/// What writes do to latencies beside the bare service is what PostgreSQL and the writers take of the
/// generator's core, and the admin API of the server's.
const ECHO_QUIET: &str = "echo, quiet";
const CONNECTIONS: usize = 16;
const SHORT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(600);
/// So many keys, which nobody asks for, are changed again and again.
const CHANGED: u64 = 10_000;
/// How much longer than the outage answers may be old.
const STALENESS_REST: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Arguments {
    /// How many decisions are asked for a second
    #[arg(long, default_value = "20000")]
    rate: f64,
    /// How many admin writes are made a second
    #[arg(long, default_value = "1000")]
    writes: f64,
    /// How long PostgreSQL is halted at the end [default: --seconds, or else 10 minutes]. What is
    /// measured in rounds before lasts --seconds, or else 10 of them
    #[arg(long)]
    minutes: Option<f64>,
}

/// A server under the load, and what disturbs it.
struct Asked<'a> {
    target: Target,
    pool: Pool,
    load: Load,
    access: &'a Access,
    /// Which keys are written.
    written: std::ops::Range<u64>,
    writes: f64,
}

pub fn run(choices: &Choices, arguments: Arguments) -> Result<Report> {
    let short = choices.seconds.unwrap_or(SHORT);
    let long = arguments.minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    let long = long.or(choices.seconds).unwrap_or(LONG);
    let mut site = choices.filled_site(Cores::One)?;
    let keys = site.plan.count;
    anyhow::ensure!(keys > CHANGED, "more than {CHANGED} keys are needed");
    let staleness = format!("--max-staleness={}s", (long + short + STALENESS_REST).as_secs());
    let token = site.root_token()?;
    let mut server = site.start_with(Program::Keyward, &[staleness])?;
    let access = server.admin(token)?;
    // the last keys are written, all others are asked for
    let asked = keys - CHANGED;
    let pool = |answers| pool(asked, asked.min(REQUESTS_MAX), Mix::Good, answers);
    let of = |target, answers| Asked {
        target,
        pool: pool(answers),
        load: Load::open(CONNECTIONS, arguments.rate),
        access: &access,
        written: asked..keys,
        writes: arguments.writes,
    };
    let echo = site.start(Program::Echo { limits: choices.limits })?;
    let mut control = of(echo.target(), Answers::AllAllowed);
    let mut asked = of(server.target(), Answers::Decided);
    let postmaster = site.postgres()?.pid();
    let mut rows = [
        Row::new(QUIET, None),
        Row::new("PostgreSQL halted", Some(QUIET)),
        Row::new("admin writes", Some(QUIET)),
        Row::new(ECHO_QUIET, None),
        Row::new("echo, keyward has admin writes", Some(ECHO_QUIET)),
        Row::new(&format!("PostgreSQL halted for {long:?}"), None),
        Row::new("admin writes after that", None),
    ];
    let [quiet, halted, written, echo_quiet, echo_written, long_halted, written_after] = &mut rows;
    let mut made = Vec::new();
    for round in 0..choices.effort.rounds {
        eprintln!("round {} of {}", round + 1, choices.effort.rounds);
        asked.note(quiet, short)?;
        asked.note_halted(halted, short, postmaster)?;
        // what was left over from the outage is not counted to the writes
        asked.run(short.min(SHORT))?;
        made.push(asked.note_written(written, short)?);
        control.note(echo_quiet, short)?;
        made.push(control.note_written(echo_written, short)?);
    }
    eprintln!("halted for {long:?}");
    asked.note_halted(long_halted, long, postmaster)?;
    let made_after = asked.note_written(written_after, short)?;

    let mut report = Report { rows: rows.into(), ..Report::default() };
    add_facts(&mut report, &made, &made_after);
    report.facts.push(("offered".into(), arguments.rate, "decisions a second"));
    report.facts.push(("admin writes, offered".into(), arguments.writes, "a second"));
    Ok(report)
}

impl Asked<'_> {
    fn run(&mut self, span: Duration) -> Result<Measured> {
        self.load.lasting(span).run(self.target, &mut self.pool)
    }

    fn note(&mut self, row: &mut Row, span: Duration) -> Result<()> {
        let measured = self.run(span)?;
        check(&row.name, &measured)?;
        note(row, &measured)
    }

    fn note_halted(&mut self, row: &mut Row, span: Duration, postmaster: u32) -> Result<()> {
        let halted = Halted::postgres(postmaster)?;
        self.note(row, span)?;
        drop(halted);
        Ok(())
    }

    fn note_written(&mut self, row: &mut Row, span: Duration) -> Result<Made> {
        let changes = Changes::start(self.access, self.written.clone(), self.writes);
        self.note(row, span)?;
        changes.end()
    }
}

/// How often was written, and how the single long outage was to what was quiet.
fn add_facts(report: &mut Report, made: &[Made], made_after: &Made) {
    let mut fact = |name: String, value, unit| report.facts.push((name, value, unit));
    let count: u64 = made.iter().map(|made| made.count).sum();
    let failed: u64 = made.iter().chain([made_after]).map(|made| made.failed).sum();
    let span: Duration = made.iter().map(|made| made.span).sum();
    fact("admin writes, made".into(), count as f64 / span.as_secs_f64(), "a second");
    fact("admin writes after the long outage, made".into(), made_after.rate(), "a second");
    fact("admin writes, UNAVAILABLE".into(), failed as f64, "");
    let p99 = made_after.latency.value_at_quantile(0.99) as f64 / 1e6;
    fact("an admin write after the long outage, p99".into(), p99, "ms");
    let p99 = |row: &Row| row.summary("p99_us").map(|summary| summary.median);
    let quiet = report.row(QUIET).and_then(p99);
    let ratios: Vec<(String, f64)> = report.rows[5..]
        .iter()
        .filter_map(|row| Some((format!("{}: p99 to quiet", row.name), p99(row)? / quiet?)))
        .collect();
    report.facts.extend(ratios.into_iter().map(|(name, ratio)| (name, ratio, "")));
}
