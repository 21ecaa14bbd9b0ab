//! Flags that all commands have which ask a server.

use std::{ffi::OsString, path::Path, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

/// Subcommands that ask a server, and how they do it.
#[derive(Debug, Args)]
pub struct On<T: Subcommand> {
    /// How.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: T,
}

/// Which server, and how to show what it answers.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Which server.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// How answers are shown.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which server is asked, as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ConnectionArgs {
    /// Which of the servers that `keyward login` has remembered [default: the chosen one]
    #[arg(long, env = "KEYWARD_CONTEXT", value_name = "NAME", global = true)]
    pub context: Option<String>,

    /// The server's admin listener, such as `https://keyward.example.org:50052`. Without a scheme it is https,
    /// but for this machine http [default: that of the context, else port 50052 of this machine]
    #[arg(long, env = "KEYWARD_SERVER", value_name = "URL", global = true)]
    pub server: Option<String>,

    /// A file with the token of an admin key, for which `KEYWARD_TOKEN` is another place
    #[arg(long, env = "KEYWARD_TOKEN_FILE", value_name = "FILE", global = true)]
    pub token_file: Option<OsString>,

    /// Authorities in PEM that the server's certificate must be from [default: those of the system]
    #[arg(long, env = "KEYWARD_CA", value_name = "FILE", global = true)]
    pub ca: Option<OsString>,

    /// A certificate in PEM to show to the server
    #[arg(long, env = "KEYWARD_CLIENT_CERT", value_name = "FILE", global = true)]
    pub client_cert: Option<OsString>,

    /// The key of that certificate in PEM
    #[arg(long, env = "KEYWARD_CLIENT_KEY", value_name = "FILE", global = true)]
    pub client_key: Option<OsString>,

    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = timeout, global = true)]
    pub timeout: Duration,
}

/// A variable that is set to nothing is as good as one that is not set.
impl ConnectionArgs {
    /// The name of the context that was given.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref().filter(|name| !name.is_empty())
    }

    /// The address that was given.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref().filter(|server| !server.is_empty())
    }

    /// The file with the token.
    pub fn token_file(&self) -> Option<&Path> {
        file(self.token_file.as_ref())
    }

    /// The file with authorities.
    pub fn ca(&self) -> Option<&Path> {
        file(self.ca.as_ref())
    }

    /// The files of our own certificate and of its key.
    pub fn own(&self) -> (Option<&Path>, Option<&Path>) {
        (file(self.client_cert.as_ref()), file(self.client_key.as_ref()))
    }
}

fn file(name: Option<&OsString>) -> Option<&Path> {
    name.filter(|name| !name.is_empty()).map(Path::new)
}

/// How answers are shown.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How to print what was asked for
    #[arg(long, short, value_name = "FORMAT", default_value = "table", global = true)]
    pub output: Format,

    /// No colours; the variable `NO_COLOR` does the same
    #[arg(long, global = true)]
    pub no_color: bool,

    /// All columns, at their full width
    #[arg(long, global = true)]
    pub wide: bool,

    /// Do not show long tables by `$PAGER` or `less`
    #[arg(long, global = true)]
    pub no_pager: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// The JSON form of the protobuf messages
    Json,
    /// The same in YAML
    Yaml,
}

const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);

fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() && time <= TIMEOUT_MAX => Ok(time),
        _ => Err("must be a time such as 500ms, 5s or 1m, an hour at most".to_owned()),
    }
}
