//! Rounds: every variant is measured in each, in another order, so that what changes on the machine
//! meets all of them. Ratios are made within a round.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    keys::{Answers, Mix, pool},
    load::{Load, Measured, pool::Pool},
    program::Program,
    report::{Report, Row},
    site::{Server, Site},
};

/// More keys than this are not asked for in one pool.
pub const REQUESTS_MAX: u64 = 1_000_000;
/// From here on a run was not alone on the machine.
const OTHER_CORES_MAX: f64 = 0.25;

/// A server under a load.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name in the report.
    pub name: String,
    /// The name of the variant that it is compared with.
    pub baseline: Option<String>,
    pub program: Program,
    pub load: Load,
    pub mix: Mix,
}

impl Variant {
    /// A variant that is compared with nothing.
    pub fn new(name: impl Into<String>, program: Program, load: Load) -> Self {
        Self { name: name.into(), baseline: None, program, load, mix: Mix::Good }
    }

    /// Compared with another one.
    pub fn against(self, baseline: impl Into<String>) -> Self {
        Self { baseline: Some(baseline.into()), ..self }
    }

    /// Asking something else.
    pub fn asking(self, mix: Mix) -> Self {
        Self { mix, ..self }
    }

    /// What its server is expected to say.
    const fn answers(&self) -> Answers {
        match self.program {
            Program::Keyward
            | Program::KeywardSharing(_)
            | Program::KeywardLogging(_)
            | Program::KeywardTracing(_)
            | Program::Naive { .. } => Answers::Decided,
            Program::Echo { .. } | Program::EchoStock { .. } => Answers::AllAllowed,
            Program::Envoy(_) => Answers::Proxy,
        }
    }
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    pub span: Duration,
    /// Start servers anew in each round, instead of leaving them idle between.
    pub fresh: bool,
}

/// Servers that run, and what they are asked.
#[derive(Default)]
struct Fleet {
    servers: Vec<(Program, Server)>,
    pools: Vec<((Mix, Answers), Pool)>,
}

/// Measures all variants.
pub fn run(site: &mut Site, effort: Effort, variants: &[Variant]) -> Result<Report> {
    let mut report = Report::default();
    report.rows.extend(
        variants.iter().map(|variant| Row::new(&variant.name, variant.baseline.as_deref())),
    );
    let mut fleet = Fleet::default();
    for round in 0..effort.rounds {
        eprintln!("round {} of {}", round + 1, effort.rounds);
        for turn in 0..variants.len() {
            let at = (round + turn) % variants.len();
            let measured = fleet.measure(site, &variants[at], effort.span)?;
            note(&mut report.rows[at], &measured)?;
        }
        if effort.fresh {
            fleet.servers.clear();
        }
    }
    Ok(report)
}

/// Measures one variant, on a server of its own.
pub fn measure_once(site: &mut Site, variant: &Variant, span: Duration) -> Result<Measured> {
    Fleet::default().measure(site, variant, span)
}

impl Fleet {
    fn measure(&mut self, site: &mut Site, variant: &Variant, span: Duration) -> Result<Measured> {
        let server = self.servers.iter().position(|(program, _)| *program == variant.program);
        let server = server.map_or_else(
            || {
                let started = site.start(variant.program)?;
                self.servers.push((variant.program, started));
                anyhow::Ok(self.servers.len() - 1)
            },
            Ok,
        )?;
        let wanted = (variant.mix, variant.answers());
        let at = self.pools.iter().position(|(made, _)| *made == wanted).unwrap_or_else(|| {
            let keys = site.plan.count.max(1);
            let made = pool(keys, keys.clamp(1000, REQUESTS_MAX), wanted.0, wanted.1);
            self.pools.push((wanted, made));
            self.pools.len() - 1
        });
        let target = self.servers[server].1.target();
        let measured = variant.load.lasting(span).run(target, &mut self.pools[at].1)?;
        check(&variant.name, &measured)?;
        if measured.other_cores > OTHER_CORES_MAX {
            eprintln!("  {}: others took {:.2} cores", variant.name, measured.other_cores);
        }
        Ok(measured)
    }
}

/// Refuses what was measured of a server that gave other answers than expected.
pub fn check(name: &str, measured: &Measured) -> Result<()> {
    let Measured { bad, calls, .. } = measured;
    ensure!(*bad == 0, "{name}: {bad} answers of {calls} were not as expected");
    Ok(())
}

/// Adds what was measured in one round to a row.
pub fn note(row: &mut Row, measured: &Measured) -> Result<()> {
    ensure!(measured.decisions > 0, "{}: nothing was answered", row.name);
    let decisions = measured.decisions as f64;
    let micros = |span: Duration| span.as_secs_f64() * 1e6 / decisions;
    let latency = |share: f64| measured.latency.value_at_quantile(share) as f64 / 1000.0;
    row.add("rate", decisions / measured.span.as_secs_f64());
    row.add("cpu_us", micros(measured.server_cpu));
    if let Some(asked) = measured.asked_cpu {
        row.add("asked_cpu_us", micros(asked));
    }
    row.add("p50_us", latency(0.5));
    row.add("p90_us", latency(0.9));
    row.add("p99_us", latency(0.99));
    row.add("p999_us", latency(0.999));
    row.add("max_us", measured.latency.max() as f64 / 1000.0);
    row.add("generator_us", micros(measured.generator_cpu));
    row.add("other_cores", measured.other_cores);
    Ok(())
}
