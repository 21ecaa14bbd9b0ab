//! Measures decisions a second beside a bare service of the same messages, and what else is promised of
//! speed. `--help` says what each scenario measures; CONTRIBUTING.md says how to read the results.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

mod admin;
mod changes;
mod collector;
mod envoy;
mod fill;
mod halted;
mod imports;
mod keys;
mod load;
mod machine;
mod plot;
mod program;
mod programs;
mod redis;
mod report;
mod rounds;
mod scenarios;
mod signals;
mod site;
mod tokens;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::{
    machine::{Cores, description},
    programs::Builds,
    report::Outputs,
    rounds::Effort,
    scenarios::{Choices, Scenario},
};

/// Measures Keyward beside bare services of the same messages, over a private PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "keyward-bench", max_term_width = 100)]
struct Arguments {
    /// What to measure
    #[command(subcommand)]
    scenario: Scenario,

    /// Where servers run [default: what the scenario says]
    #[arg(long, global = true)]
    cores: Option<Cores>,
    /// How many keys there are [default: what the scenario says]
    #[arg(long, global = true)]
    keys: Option<u64>,
    /// Give each key a rate limit of its own, which never denies
    #[arg(long, global = true)]
    limits: bool,
    /// How often each variant is measured
    #[arg(long, global = true, default_value = "5")]
    rounds: usize,
    /// How long each time, after half a second of warming up [default: 2, but for outage]
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// Start servers anew in each round, instead of leaving them idle between
    #[arg(long, global = true)]
    fresh: bool,
    #[command(flatten)]
    builds: Builds,
    #[command(flatten)]
    outputs: Outputs,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    signals::watch()?;
    let machine = description();
    let choices = Choices {
        cores: arguments.cores,
        keys: arguments.keys,
        limits: arguments.limits,
        seconds: arguments.seconds.map(Duration::from_secs_f64),
        effort: Effort {
            rounds: arguments.rounds,
            span: Duration::from_secs_f64(arguments.seconds.unwrap_or(2.0)),
            fresh: arguments.fresh,
        },
        folders: arguments.builds.build()?,
    };
    let report = arguments.scenario.run(&choices)?;
    arguments.outputs.write(arguments.scenario.name(), &machine, &report)
}
