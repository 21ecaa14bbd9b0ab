//! The keyward program: reads the settings, runs one command, says how it ended.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use keyward::{
    app::{self, commands, database::DatabaseError},
    config::{Cli, Command, InvalidSetting, LogArgs, ServeArgs},
    postgres::PostgresError,
    telemetry::{self, chain},
};
use tracing::error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As clap ends when it cannot read a flag.
const EXIT_USAGE: u8 = 2;
/// `EX_UNAVAILABLE` of sysexits.h: a program that this one needs is not installed.
const EXIT_NO_POSTGRES: u8 = 69;

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_else(|| {
        // without arguments, but with what the environment sets
        Command::Serve(Box::new(ServeArgs::parse_from(["keyward"])))
    });
    let LogArgs { log_level, log_format } = match &command {
        Command::Serve(args) => &args.log,
        Command::Migrate(args) => &args.log,
        Command::Bootstrap(args) => &args.log,
    };
    if let Err(invalid) = telemetry::start(log_level, *log_format) {
        Cli::command().error(ErrorKind::ValueValidation, chain(&invalid)).exit();
    }
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error!(error = format!("{failure:#}"), "failed");
            exit_code(&failure)
        }
    }
}

fn exit_code(failure: &anyhow::Error) -> ExitCode {
    match failure.downcast_ref() {
        Some(DatabaseError::Postgres(PostgresError::NoBinaries { .. })) => {
            ExitCode::from(EXIT_NO_POSTGRES)
        }
        Some(DatabaseError::Setting(_)) => ExitCode::from(EXIT_USAGE),
        _ if failure.is::<InvalidSetting>() => ExitCode::from(EXIT_USAGE),
        _ => ExitCode::FAILURE,
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => app::serve(args),
        Command::Migrate(args) => commands::migrate(args),
        Command::Bootstrap(args) => commands::bootstrap(args),
    }
}
