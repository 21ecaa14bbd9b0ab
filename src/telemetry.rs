//! Logs: where they go and how they look.

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

/// Sends logs to standard error from now on.
pub fn start(level: &str, format: LogFormat) -> Result<(), InvalidLogLevel> {
    let filter = EnvFilter::builder().parse(level).map_err(InvalidLogLevel)?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
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
