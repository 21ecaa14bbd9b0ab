//! Settings: flags and environment variables, checked once.

pub mod audit;
pub mod database_url;
pub mod decisions;
pub mod doctor;
pub mod envoy;
mod invalid;
pub mod jobs;
pub mod limits;
pub mod notices;
mod parse;
pub mod peppers;
pub mod proxies;
pub mod telemetry;
pub mod tls;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::BoolishValueParser};

use self::{
    audit::AuditArgs,
    database_url::DatabaseUrl,
    decisions::DecisionArgs,
    doctor::DoctorArgs,
    envoy::EnvoyCommand,
    jobs::JobArgs,
    limits::LimitArgs,
    notices::NoticeArgs,
    parse::{Hidden, duration, filled, interval, text_or_file},
    peppers::{PepperArgs, SecretArgs},
    proxies::ProxyArgs,
    telemetry::TelemetryArgs,
    tls::TlsArgs,
};
use crate::{cli::ClientCommand, telemetry::LogFormat};

pub use invalid::InvalidSetting;

/// Decides whether an API key may do something.
///
/// Without a command: `keyward serve`, set by environment variables alone.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve decisions and administration until SIGTERM or SIGINT
    Serve(Box<ServeArgs>),
    /// Bring the database's schema to this version, and end
    Migrate(MigrateArgs),
    /// Make another root admin key, for when the first is lost, and print its token
    Bootstrap(BootstrapArgs),
    /// List, check or print the record of what was done
    Audit(Box<AuditArgs>),
    /// Show the secrets that stored keys are digested with, or end the use of one
    Pepper(PepperArgs),
    /// Look at a server's set-up by its own settings, and say what is wrong and what to do; changes nothing
    #[command(after_help = "Example, where the server runs: keyward doctor\n\n\
        Exit status: 0 all is well enough, 1 something fails")]
    Doctor(Box<DoctorArgs>),
    /// Look through an Envoy configuration, or print one to begin with
    #[command(subcommand)]
    Envoy(EnvoyCommand),
    /// What people do with a server that runs.
    #[command(flatten)]
    Client(ClientCommand),
}

/// Settings of `keyward serve`.
#[derive(Debug, Parser)]
#[command(name = "keyward")]
pub struct ServeArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What secrets are made with.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// How limits are enforced.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// How to serve proxies.
    #[command(flatten)]
    pub proxies: ProxyArgs,
    /// What is kept of decisions.
    #[command(flatten)]
    pub decisions: DecisionArgs,
    /// What to do in the background.
    #[command(flatten)]
    pub jobs: JobArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
    /// What a collector gets.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// Run the private PostgreSQL in a temporary folder that is removed at the end
    #[arg(long, env = "KEYWARD_EPHEMERAL", value_parser = BoolishValueParser::new())]
    pub ephemeral: bool,

    /// Refuse to start the private PostgreSQL: a database URL must be given
    #[arg(long, env = "KEYWARD_REQUIRE_DATABASE_URL", value_parser = BoolishValueParser::new())]
    pub require_database_url: bool,

    /// Leave the schema as it is and refuse to serve if it is not this version's
    #[arg(long, env = "KEYWARD_NO_MIGRATE", value_parser = BoolishValueParser::new())]
    pub no_migrate: bool,

    /// Where backends and Envoy ask: services `Authorize`, `Authorization` and health
    #[arg(
        long,
        env = "KEYWARD_AUTHORIZE_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:50051"
    )]
    pub authorize_listen: SocketAddr,

    /// Where operators ask: service `KeyAdmin`, health and reflection
    #[arg(
        long,
        env = "KEYWARD_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:50052"
    )]
    pub admin_listen: SocketAddr,

    /// Threads that decide, each with its share of the connections [default: one for each core]
    #[arg(long, env = "KEYWARD_AUTHORIZE_THREADS", value_name = "NUMBER")]
    pub authorize_threads: Option<NonZeroUsize>,

    /// Open connections on the authorize listener; more are closed at once
    #[arg(
        long,
        env = "KEYWARD_AUTHORIZE_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "10000"
    )]
    pub authorize_connections: NonZeroUsize,

    /// Open connections on the admin listener; more are closed at once
    #[arg(long, env = "KEYWARD_ADMIN_CONNECTIONS", value_name = "NUMBER", default_value = "500")]
    pub admin_connections: NonZeroUsize,

    /// How long decisions go on without word from the database; then they are UNAVAILABLE
    #[arg(long, env = "KEYWARD_MAX_STALENESS", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub max_staleness: Duration,

    /// How often to look for changes without being notified
    #[arg(long, env = "KEYWARD_POLL_INTERVAL", value_name = "TIME", default_value = "500ms", value_parser = interval)]
    pub poll_interval: Duration,

    /// How often to store when keys were last used; a crash loses what is newer
    #[arg(long, env = "KEYWARD_USAGE_FLUSH_INTERVAL", value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub usage_flush_interval: Duration,

    /// How long to go on serving after health says that this is going down
    #[arg(long, env = "KEYWARD_DRAIN_DELAY", value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long open requests may take to end; then they are cut off
    #[arg(long, env = "KEYWARD_DRAIN_TIMEOUT", value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub drain_timeout: Duration,

    /// Who is told of keys that expire.
    #[command(flatten)]
    pub notices: NoticeArgs,

    /// TLS on the listeners.
    #[command(flatten)]
    pub tls: TlsArgs,
}

impl ServeArgs {
    /// Refuses what would go stale between two looks, and a database that contradicts other settings.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.max_staleness < 2 * self.poll_interval {
            return Err(InvalidSetting::StaleByDesign);
        }
        if self.require_database_url && self.database.url()?.is_none() {
            return Err(InvalidSetting::NoDatabaseUrl);
        }
        if self.ephemeral {
            self.database.refuse_lasting()?;
        }
        Ok(())
    }
}

/// Settings of `keyward migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Settings of `keyward bootstrap`.
#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// What secrets are made with.
    #[command(flatten)]
    pub secret: SecretArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Where the data is.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// PostgreSQL to use, 15 or later, such as `postgresql://keyward@db/keyward`, with TLS that
    /// verifies the server `…?sslmode=verify-full&sslrootcert=FILE`; without it a private one is started
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<Hidden>,

    /// A file with that URL
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<OsString>,

    /// Connections to the database at most, but for one that follows changes
    #[arg(long, env = "KEYWARD_DATABASE_CONNECTIONS", value_name = "NUMBER", default_value = "8")]
    pub database_connections: NonZeroUsize,

    /// The private PostgreSQL's folder [default: /var/lib/keyward as root, else
    /// `$XDG_DATA_HOME/keyward` or ~/.local/share/keyward]
    #[arg(long, env = "KEYWARD_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<OsString>,

    /// The folder with PostgreSQL's programs `postgres` and `initdb`, if they are not found by
    /// themselves
    #[arg(long, env = "PGBIN", value_name = "FOLDER")]
    pub postgres_bin_dir: Option<OsString>,
}

/// How to log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// error, warn, info, debug or trace, also by part: warn,keyward=debug
    #[arg(long, env = "KEYWARD_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,

    /// How log lines look; they go to standard error
    #[arg(long, env = "KEYWARD_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

const URL: &str = "--database-url (DATABASE_URL)";
const URL_FILE: &str = "--database-url-file (DATABASE_URL_FILE)";
const DATA_DIR: &str = "--data-dir (KEYWARD_DATA_DIR)";
const EPHEMERAL: &str = "--ephemeral (KEYWARD_EPHEMERAL)";

impl DatabaseArgs {
    /// The database that was given, if one was.
    pub fn url(&self) -> Result<Option<DatabaseUrl>, InvalidSetting> {
        let given = (self.database_url.as_ref(), self.database_url_file.as_ref());
        let Some(text) = text_or_file(given, (URL, URL_FILE))? else {
            return Ok(None);
        };
        if filled(self.data_dir.as_ref()).is_some() {
            return Err(InvalidSetting::Both(DATA_DIR, URL));
        }
        DatabaseUrl::parse(&text).map(Some).map_err(InvalidSetting::DatabaseUrl)
    }

    /// Refuses what does not go together with a temporary folder.
    pub fn refuse_lasting(&self) -> Result<(), InvalidSetting> {
        if filled(self.data_dir.as_ref()).is_some() {
            return Err(InvalidSetting::Both(EPHEMERAL, DATA_DIR));
        }
        match self.url()? {
            Some(_) => Err(InvalidSetting::Both(EPHEMERAL, URL)),
            None => Ok(()),
        }
    }

    /// The folder of the private PostgreSQL.
    pub fn folder(&self) -> Result<PathBuf, InvalidSetting> {
        if let Some(folder) = filled(self.data_dir.as_ref()) {
            return Ok(folder.into());
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/keyward"));
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let data = match (set("XDG_DATA_HOME"), set("HOME")) {
            (Some(data), _) => PathBuf::from(data),
            (None, Some(home)) => PathBuf::from(home).join(".local/share"),
            (None, None) => return Err(InvalidSetting::NoDataDir),
        };
        Ok(data.join("keyward"))
    }

    /// The folder with PostgreSQL's programs.
    pub fn bin_dir(&self) -> Option<PathBuf> {
        filled(self.postgres_bin_dir.as_ref()).map(PathBuf::from)
    }
}
