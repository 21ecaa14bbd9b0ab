//! The commands of `keyward envoy`: they read a file or nothing, print, and end.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Context;
use thiserror::Error;

use crate::{
    app::banner,
    config::envoy::{CheckArgs, CheckOutput, EnvoyCommand, ExampleArgs},
    envoy::{self, Unreadable, example, finding},
};

/// What makes `keyward envoy check` end with 2.
#[derive(Debug, Error)]
pub enum CheckError {
    /// No such file, or it may not be read.
    #[error("{file} cannot be read")]
    File {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a configuration of Envoy.
    #[error("{file}")]
    Content {
        /// Its name.
        file: String,
        /// Why.
        #[source]
        source: Unreadable,
    },
}

/// What a command has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to object to.
    Good,
    /// Errors or warnings, which are printed.
    Bad,
}

/// Runs `keyward envoy`.
pub fn run(command: &EnvoyCommand) -> anyhow::Result<Outcome> {
    match command {
        EnvoyCommand::Check(args) => check(args),
        EnvoyCommand::Example(args) => show_example(args),
    }
}

fn show_example(args: &ExampleArgs) -> anyhow::Result<Outcome> {
    banner::say(example::render(&args.choices()).trim_end())?;
    Ok(Outcome::Good)
}

fn check(args: &CheckArgs) -> anyhow::Result<Outcome> {
    let is_standard_input = args.file.as_os_str() == "-";
    let file = if is_standard_input {
        String::from("standard input")
    } else {
        args.file.display().to_string()
    };
    let read = if is_standard_input { text_of(io::stdin().lock()) } else { open(&args.file) };
    let text = read.map_err(|source| CheckError::File { file: file.clone(), source })?;
    let findings = envoy::check(&text, args.ext_authz.as_deref())
        .map_err(|source| CheckError::Content { file: file.clone(), source })?;
    let shown = match args.output {
        CheckOutput::Text => finding::Text { file: &file, findings: &findings }.to_string(),
        CheckOutput::Json => finding::to_json(&file, &findings),
    };
    banner::say(&shown).context("what was found cannot be printed")?;
    Ok(if finding::is_bad(&findings) { Outcome::Bad } else { Outcome::Good })
}

fn open(path: &Path) -> io::Result<String> {
    text_of(File::open(path)?)
}

/// One byte more than may be is read at most, so that what is too large is known to be.
fn text_of(from: impl Read) -> io::Result<String> {
    let most = u64::try_from(envoy::BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > envoy::BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
