//! Long texts page by page.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::error::CliError;

/// Shows a text by `$PAGER`, else by `less`, and waits until it has been read. Says whether there was such a
/// program. Must be called on a runtime.
pub fn show(text: &str) -> Result<bool, CliError> {
    let Some(mut command) = command() else {
        return Ok(false);
    };
    // Ctrl-C is for the pager from now on
    let _held = signal(SignalKind::interrupt());
    let Ok(mut pager) = command.stdin(Stdio::piped()).spawn() else {
        return Ok(false);
    };
    let failed = |source| CliError::io("the pager does not work", source);
    if let Some(mut input) = pager.stdin.take() {
        match input.write_all(text.as_bytes()) {
            // it was left before the end
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result.map_err(failed)?,
        }
    }
    let status = pager.wait().map_err(failed)?;
    // shells say 127 where there is no such program
    Ok(status.code() != Some(127))
}

fn command() -> Option<Command> {
    match std::env::var_os("PAGER") {
        Some(pager) if pager.is_empty() => None,
        Some(pager) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(pager);
            if std::env::var_os("LESS").is_none() {
                command.env("LESS", "FRX");
            }
            Some(command)
        }
        None => {
            let mut command = Command::new("less");
            command.arg("-FRX");
            Some(command)
        }
    }
}
