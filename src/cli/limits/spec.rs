//! Limits by flags.

use clap::Args;

use crate::{
    cli::keys::limits::{concurrency, quota, rate},
    rpc::pb::Limit,
};

/// Limits by flags.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Limits; all of them are replaced")]
pub struct LimitFlags {
    /// So many in a time, such as api=100/1m, with a burst api=100/1m+20; may be given several times
    #[arg(long = "rate", value_name = "NAME=NUMBER/TIME", value_parser = rate)]
    pub rates: Vec<Limit>,

    /// So many in a period, such as calls=10000/month; may be given several times
    #[arg(long = "quota", value_name = "NAME=NUMBER/PERIOD", value_parser = quota)]
    pub quotas: Vec<Limit>,

    /// So many at a time, such as exports=5; may be given several times
    #[arg(long = "concurrency", value_name = "NAME=NUMBER", value_parser = concurrency)]
    pub slots: Vec<Limit>,
}

impl LimitFlags {
    /// All of them.
    pub fn all(&self) -> Vec<Limit> {
        [&self.rates, &self.quotas, &self.slots].into_iter().flatten().cloned().collect()
    }

    /// All of them, if there are any.
    pub fn given(&self) -> Option<Vec<Limit>> {
        Some(self.all()).filter(|limits| !limits.is_empty())
    }
}
