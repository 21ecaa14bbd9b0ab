//! Settings of `keyward doctor`.

use clap::{Args, ValueEnum};

use super::ServeArgs;

/// Settings of `keyward doctor`: those of `keyward serve`, whose set-up is looked at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print what was found
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub output: DoctorFormat,

    /// The settings of the server.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Table,
    /// An array of objects with check, level (ok, warn, fail), found and help
    Json,
}
