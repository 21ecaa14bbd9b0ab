//! Settings of `keyward audit`.

use clap::{Args, Subcommand};

use super::{DatabaseArgs, LogArgs};
use crate::model::chain::ChainHash;

/// Settings of `keyward audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no event was edited, removed, added or moved in the database; ends with status 1 if
    /// one was
    Verify(VerifyArgs),
    /// Print all events as lines of JSON, the oldest first
    Export(ExportArgs),
}

impl AuditArgs {
    /// How to log.
    pub const fn log(&self) -> &LogArgs {
        match &self.command {
            AuditCommand::Verify(args) => &args.log,
            AuditCommand::Export(args) => &args.log,
        }
    }
}

/// Settings of `keyward audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Which events.
    #[command(flatten)]
    pub revisions: RevisionArgs,

    /// The number of the event that an earlier verification ended with: its hash must still be the same
    #[arg(long, value_name = "NUMBER", requires = "known_hash", value_parser = clap::value_parser!(i64).range(1..), conflicts_with_all = ["revision_min", "revision_max"])]
    pub known_number: Option<i64>,

    /// The hash that it had, as that verification printed it
    #[arg(long, value_name = "HASH", requires = "known_number", value_parser = ChainHash::parse)]
    pub known_hash: Option<ChainHash>,
}

/// Settings of `keyward audit export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Which events.
    #[command(flatten)]
    pub revisions: RevisionArgs,
}

/// Which events.
#[derive(Clone, Copy, Debug, Args)]
pub struct RevisionArgs {
    /// Only changes from this revision on
    #[arg(long, value_name = "REVISION", default_value = "0", hide_default_value = true)]
    pub revision_min: i64,

    /// Only changes up to this revision
    #[arg(long, value_name = "REVISION", default_value = "0", hide_default_value = true)]
    pub revision_max: i64,
}
