//! The scenarios: one file for each. A new one is a file with a `run`, and a line in [`Scenario`].

mod batch;
mod envoy;
mod goal;
mod group;
mod import;
mod log;
mod mixed;
mod naive;
mod open;
mod outage;
mod redis;
mod revoke;
mod scale;
mod stream;
mod traces;
mod unary;
mod writes;

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    fill::KeyPlan,
    machine::Cores,
    programs::Folders,
    report::Report,
    rounds::Effort,
    site::{Settings, Site},
};

/// What to measure.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Scenario {
    /// Single calls of keyward, echo and `echo_stock`: 1, 8 and 64 connections with one call open on each,
    /// and 4 and 16 with 16. One core, 1,000,000 keys
    Unary,
    /// The two comparisons that count: on both cores keyward with `echo_stock` at 16 connections with 16
    /// open calls, on one core keyward with echo at 4 with 16. 1,000,000 keys with limits
    Goal,
    /// Batches of 100 on 4 connections with 4 open, with single calls of echo. One core, 1,000,000 keys
    Batch,
    /// 16 streams with 64 open messages, with single calls of echo. One core, 1,000,000 keys
    Stream,
    /// 80 % good requests, 10 % unknown keys, 10 % denied permissions. One core, 1,000,000 keys
    Mixed,
    /// Calls at half the rate that echo reaches, sent on time whatever the answers do; latencies are
    /// counted from when a call was due. One core, 1,000,000 keys
    Open,
    /// keyward with a service that asks the database about each call, and notes each use in it or not.
    /// Both cores, 1,000,000 keys
    Naive,
    /// What many keys cost: filling, starting, memory, and single calls. One core, 1,000,000 keys
    Scale,
    /// How soon a second replica denies a key that was revoked on the first one, with nothing else
    /// going on and with other changes. Both cores, 1,000,000 keys
    Revoke(revoke::Arguments),
    /// Admin writes of one replica by 1, 8 and 16 callers, with plain INSERTs of as many connections.
    /// Both cores, 1,000,000 keys
    Writes,
    /// Latencies at a fixed rate with PostgreSQL there, halted, and back with admin writes. One core,
    /// 1,000,000 keys
    Outage(outage::Arguments),
    /// How soon a second replica decides by an edited group that all keys have, and what decisions
    /// there take meanwhile. Both cores, 1,000,000 keys
    Group,
    /// Requests through an Envoy of one worker that asks nobody, a service that always allows, or
    /// keyward with limits. One core, 1,000,000 keys
    Envoy,
    /// keyward with all decisions logged and with none: calls at a fifth of the rate that it reaches without, sent
    /// on time whatever the answers do. One core, 1,000,000 keys
    Log,
    /// keyward with 1 % of the calls traced and with none: calls at a fifth of the rate that it reaches without, sent
    /// on time; with a collector that takes all, that hangs, and that is not there. One core, 1,000,000 keys
    Traces,
    /// Latencies at a fixed rate with imports of keys and without; then one large import whose server is
    /// killed when half is done, with a replica that follows. One core, 1,000,000 keys
    Import(import::Arguments),
    /// keyward with rate limits in the modes local, fast and exact, over a Redis. One core, 1,000,000
    /// keys
    Redis,
}

/// What was chosen by flags.
#[derive(Clone, Debug)]
pub struct Choices {
    pub cores: Option<Cores>,
    pub keys: Option<u64>,
    pub limits: bool,
    /// How long to measure, if that was said.
    pub seconds: Option<Duration>,
    pub effort: Effort,
    pub folders: Folders,
}

impl Scenario {
    /// Its name, for titles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Goal => "goal",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::Mixed => "mixed",
            Self::Open => "open",
            Self::Naive => "naive",
            Self::Scale => "scale",
            Self::Revoke(_) => "revoke",
            Self::Writes => "writes",
            Self::Outage(_) => "outage",
            Self::Group => "group",
            Self::Envoy => "envoy",
            Self::Log => "log",
            Self::Traces => "traces",
            Self::Import(_) => "import",
            Self::Redis => "redis",
        }
    }

    /// Measures.
    pub fn run(self, choices: &Choices) -> Result<Report> {
        match self {
            Self::Unary => unary::run(choices),
            Self::Goal => goal::run(choices),
            Self::Batch => batch::run(choices),
            Self::Stream => stream::run(choices),
            Self::Mixed => mixed::run(choices),
            Self::Open => open::run(choices),
            Self::Naive => naive::run(choices),
            Self::Scale => scale::run(choices),
            Self::Revoke(arguments) => revoke::run(choices, arguments),
            Self::Writes => writes::run(choices),
            Self::Outage(arguments) => outage::run(choices, arguments),
            Self::Group => group::run(choices),
            Self::Envoy => envoy::run(choices),
            Self::Log => log::run(choices),
            Self::Traces => traces::run(choices),
            Self::Import(arguments) => import::run(choices, arguments),
            Self::Redis => redis::run(choices),
        }
    }
}

impl Choices {
    /// A site without a database.
    pub fn site(&self, cores: Cores) -> Result<Site> {
        Site::new(Settings {
            keyward_folder: self.folders.keyward.clone(),
            stock_folder: self.folders.stock.clone(),
            envoy_folder: self.folders.envoy.clone(),
            cores: self.cores.unwrap_or(cores),
        })
    }

    /// A site with a database that has the keys.
    pub fn filled_site(&self, cores: Cores) -> Result<Site> {
        let mut site = self.site(cores)?;
        site.fill(self.plan())?;
        Ok(site)
    }

    /// The keys that are wanted.
    pub fn plan(&self) -> KeyPlan {
        KeyPlan { count: self.keys.unwrap_or(1_000_000), limits: self.limits, group: false }
    }
}
