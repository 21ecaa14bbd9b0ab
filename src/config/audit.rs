//! Settings of `keyward audit`.

use clap::{Args, Subcommand};

use super::{DatabaseArgs, InvalidSetting, LogArgs, URL, parse::filled};
use crate::{
    cli::{
        ClientCommand,
        args::Common,
        audit::{AuditQuestion, AuditSubject, FilterArgs, ListArgs, RevisionArgs},
    },
    model::chain::ChainHash,
};

/// Settings of `keyward audit`.
///
/// A server is asked, as by all other commands. `verify` and `export` read the database itself, without a
/// server, where one is given: by --database-url, --database-url-file, --data-dir or their variables. That
/// needs no admin key, and does not trust a server.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Which server, and how to show its answer.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List changes and refused attempts, the newest first, from a server
    #[command(after_help = "Examples:
  keyward audit list --since 7d --actor key_01jd2v3w4x5y6z7a8b9c0d1e2f
  keyward audit list --action keys.revoke --outcome refused --wide")]
    List(Box<ListArgs>),
    /// Check that no event was edited, removed, added or moved in the database; ends with status 1 if
    /// one was
    #[command(after_help = "Examples:
  keyward audit verify
  keyward audit verify --database-url-file /etc/keyward/database-url")]
    Verify(VerifyArgs),
    /// Print all events as lines of JSON, the oldest first
    #[command(after_help = "Examples:
  keyward audit export --since 2026-01-01 > audit.jsonl
  keyward audit export --database-url-file /etc/keyward/database-url > audit.jsonl")]
    Export(Box<ExportArgs>),
}

impl AuditArgs {
    /// How to log; a client does not.
    pub fn log(&self) -> Option<&LogArgs> {
        match &self.command {
            AuditCommand::List(_) => None,
            AuditCommand::Verify(args) => Some(&args.log),
            AuditCommand::Export(args) => Some(&args.log),
        }
    }

    /// What a server is to be asked; nothing if the database itself is to be read.
    pub fn question(&self) -> Result<Option<ClientCommand>, InvalidSetting> {
        let subject = match &self.command {
            AuditCommand::List(args) => {
                let filter = args.filter.filter(args.revisions);
                Some(AuditSubject::List { filter: filter.into(), page: args.page.clone() })
            }
            AuditCommand::Verify(args) if self.is_direct(&args.database)? => None,
            AuditCommand::Verify(args) => {
                let hash = args.known_hash.map(|hash| hash.to_string());
                let known = args.known_number.zip(hash);
                Some(AuditSubject::verify(args.revisions, known))
            }
            AuditCommand::Export(args) if self.is_direct(&args.database)? => {
                if !args.filter.is_empty() {
                    return Err(InvalidSetting::Both("a filter but revisions", URL));
                }
                None
            }
            AuditCommand::Export(args) => {
                Some(AuditSubject::Export(args.filter.filter(args.revisions).into()))
            }
        };
        let common = self.common.clone();
        Ok(subject.map(|subject| ClientCommand::Audit(AuditQuestion { common, subject }.into())))
    }

    /// Whether the database itself is to be read.
    fn is_direct(&self, database: &DatabaseArgs) -> Result<bool, InvalidSetting> {
        let url_file = filled(database.database_url_file.as_ref());
        let folder = filled(database.data_dir.as_ref());
        let is_direct = database.database_url.as_ref().is_some_and(|url| !url.is_empty())
            || url_file.is_some()
            || folder.is_some();
        let connection = &self.common.connection;
        if is_direct && (connection.server.is_some() || connection.context.is_some()) {
            let server = "--server (KEYWARD_SERVER) or --context (KEYWARD_CONTEXT)";
            return Err(InvalidSetting::Both(server, "a database, as by DATABASE_URL,"));
        }
        Ok(is_direct)
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
    /// Which of them.
    #[command(flatten)]
    pub filter: FilterArgs,
}
