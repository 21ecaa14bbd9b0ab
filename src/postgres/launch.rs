//! Owns how a Postgres program is started: as whom, with what around it, and that it dies when we do.
//! The only file of the crate with `unsafe` in it.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use super::error::PostgresError;
use super::identity::User;

/// A command that runs `program` as `user`, gets `on_our_death` when the **thread** that spawns it ends, and does not
/// feel a Ctrl-C meant for the service.
pub(super) fn command(program: &Path, user: Option<&User>, on_our_death: Signal) -> Command {
    let mut command = Command::new(program);
    command
        // Our environment may hold secrets and PG* variables; the server wants neither.
        .env_clear()
        .env("LC_ALL", "C")
        // Our working folder may be closed to the user of the server.
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    tie_to_us(&mut command, on_our_death);
    command
}

#[expect(unsafe_code, reason = "the death signal has to be asked for between fork and exec")]
fn tie_to_us(command: &mut Command, signal: Signal) {
    let us = getpid();
    // It runs after the change of user, which would clear the request.
    let ask = move || {
        set_parent_process_death_signal(Some(signal))?;
        // We may have died before the request was made; then no signal will come.
        if getppid() == Some(us) { Ok(()) } else { Err(io::Error::from(Errno::SRCH)) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two plain system calls
    // and builds an error from a number; it neither allocates nor locks.
    unsafe {
        command.pre_exec(ask);
    }
}

/// The error for a program that could not be started, telling the want of privileges from all else.
pub(super) fn refusal(program: &Path, user: Option<&User>, source: io::Error) -> PostgresError {
    match user {
        Some(user) if source.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            PostgresError::CannotDropPrivileges { user: user.name.clone(), source }
        }
        _ => PostgresError::Spawn { what: program.display().to_string(), source },
    }
}
