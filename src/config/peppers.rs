//! Settings of what secrets are made with, and of `keyward pepper`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{
    DatabaseArgs, InvalidSetting, LogArgs,
    parse::{Hidden, filled, read, text_or_file},
};
use crate::model::{
    pepper::PepperId,
    secret::{Brand, Pepper},
};

const PEPPER: &str = "--pepper (KEYWARD_PEPPER)";
const PEPPER_FILE: &str = "--pepper-file (KEYWARD_PEPPER_FILE)";
const OTHER_PEPPER_FILE: &str = "--other-pepper-file (KEYWARD_OTHER_PEPPER_FILES)";

/// What secrets are made with.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// The secret that stored keys are digested with, at least 32 bytes, the same for all that
    /// share a database; for the private PostgreSQL one is made in its folder. Give it as a
    /// variable or a file: the command line can be seen by others
    #[arg(long, env = "KEYWARD_PEPPER", value_name = "TEXT", hide_env_values = true)]
    pub pepper: Option<Hidden>,

    /// A file with that secret
    #[arg(long, env = "KEYWARD_PEPPER_FILE", value_name = "FILE")]
    pub pepper_file: Option<OsString>,

    /// A file with another pepper that stored keys may still be digested with, or will be soon, while one
    /// takes the place of another; may be given four times, in the variable with commas between. The
    /// private PostgreSQL's folder has its own as `pepper.*`
    #[arg(long, env = "KEYWARD_OTHER_PEPPER_FILES", value_name = "FILE", value_delimiter = ',')]
    pub other_pepper_file: Vec<OsString>,

    /// What tokens begin with: 1 to 7 characters of a-z and 0-9. Tokens with another brand stay good
    #[arg(long, env = "KEYWARD_BRAND", value_name = "WORD", default_value = "kw", value_parser = Brand::parse)]
    pub brand: Brand,
}

impl SecretArgs {
    /// The pepper that was given, if one was.
    pub fn pepper(&self) -> Result<Option<Pepper>, InvalidSetting> {
        let given = (self.pepper.as_ref(), self.pepper_file.as_ref());
        let Some(text) = text_or_file(given, (PEPPER, PEPPER_FILE))? else {
            return Ok(None);
        };
        Pepper::parse(text.as_bytes()).map(Some).map_err(InvalidSetting::Pepper)
    }

    /// The other peppers that were given.
    pub fn other_peppers(&self) -> Result<Vec<Pepper>, InvalidSetting> {
        let pepper_of = |path: &Path| {
            let text = read(OTHER_PEPPER_FILE, path)?;
            let pepper = Pepper::parse(text.as_bytes());
            pepper.map_err(|source| InvalidSetting::OtherPepper { path: path.to_owned(), source })
        };
        self.other_files().map(pepper_of).collect()
    }

    /// The files that peppers were given by.
    pub fn pepper_files(&self) -> Vec<PathBuf> {
        let current = filled(self.pepper_file.as_ref()).map(Path::new);
        current.into_iter().chain(self.other_files()).map(Path::to_owned).collect()
    }

    fn other_files(&self) -> impl Iterator<Item = &Path> {
        // a variable that is set to nothing is one empty name
        self.other_pepper_file.iter().map(Path::new).filter(|path| !path.as_os_str().is_empty())
    }
}

/// Settings of `keyward pepper`.
#[derive(Debug, Args)]
pub struct PepperArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PepperCommand,
}

/// What to do with peppers.
#[derive(Debug, Subcommand)]
pub enum PepperCommand {
    /// Show which peppers the database knows, and how many keys need each
    Status(StatusArgs),
    /// End the use of a pepper that nothing needs any more
    Retire(RetireArgs),
}

impl PepperArgs {
    /// How to log.
    pub const fn log(&self) -> &LogArgs {
        match &self.command {
            PepperCommand::Status(args) => &args.log,
            PepperCommand::Retire(args) => &args.log,
        }
    }
}

/// Settings of `keyward pepper status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Settings of `keyward pepper retire`.
#[derive(Debug, Args)]
pub struct RetireArgs {
    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,

    /// Which, as `keyward pepper status` shows it
    #[arg(value_name = "ID", value_parser = PepperId::parse)]
    pub id: PepperId,

    /// Retire it although keys need it, as when it is lost: they are not revoked, but unknown wherever
    /// the pepper is not given any more
    #[arg(long)]
    pub force: bool,
}
