//! What shells need to complete the command line.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use clap_complete::{Shell as Dialect, generate};

use super::error::CliError;

/// Settings of `keyward completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// In ~/.bashrc: `source <(keyward completions bash)`
    Bash,
    /// In ~/.zshrc, after compinit: `source <(keyward completions zsh)`
    Zsh,
    /// `keyward completions fish > ~/.config/fish/completions/keyward.fish`
    Fish,
}

pub(super) fn print(args: &CompletionsArgs, root: &mut clap::Command) -> Result<(), CliError> {
    let dialect = match args.shell {
        Shell::Bash => Dialect::Bash,
        Shell::Zsh => Dialect::Zsh,
        Shell::Fish => Dialect::Fish,
    };
    let mut script = Vec::new();
    generate(dialect, root, "keyward", &mut script);
    let mut out = io::stdout().lock();
    let written = out.write_all(&script).and_then(|()| out.flush());
    written.map_err(|source| CliError::io("standard output cannot be written", source))
}
