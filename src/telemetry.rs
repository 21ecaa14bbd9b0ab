//! Logs: where they go and how they look. In [`trace`] spans of requests that callers trace.

pub mod trace;

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A log level that says nothing.
#[derive(Debug, Error)]
#[error(
    "--log-level (KEYWARD_LOG_LEVEL): must be error, warn, info, debug or trace, or target=level pairs"
)]
pub struct InvalidLogLevel(#[source] ParseError);

/// What is logged, to be changed at run time.
pub struct Levels {
    /// As it was set.
    pub usual: String,
    change: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Levels").field("usual", &self.usual).finish_non_exhaustive()
    }
}

impl Levels {
    /// Logs this from now on.
    pub fn set(&self, level: &str) -> Result<(), InvalidLogLevel> {
        (self.change)(filter(level)?);
        Ok(())
    }
}

fn filter(level: &str) -> Result<EnvFilter, InvalidLogLevel> {
    EnvFilter::builder().parse(level).map_err(InvalidLogLevel)
}

/// Whether logs can have this level. Changes nothing.
pub fn check_level(level: &str) -> Result<(), InvalidLogLevel> {
    filter(level).map(drop)
}

/// Sends logs to standard error from now on.
pub fn start(level: &str, format: LogFormat) -> Result<Levels, InvalidLogLevel> {
    let lines = fmt().with_env_filter(filter(level)?).with_writer(io::stderr);
    // a change fails only where nothing is logged any more
    let change: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Box::new(move |filter| handle.reload(filter).unwrap_or_default())
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Box::new(move |filter| handle.reload(filter).unwrap_or_default())
        }
    };
    Ok(Levels { usual: level.to_owned(), change })
}

/// An error with all its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
