//! The keyward program: reads the settings, runs one command, says how it ended.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, error::ErrorKind};
use keyward::{
    app::{
        self, commands,
        database::DatabaseError,
        doctor,
        envoy::{self, CheckError, Outcome},
    },
    cli::{self, Described},
    config::{Cli, Command, InvalidSetting, LogArgs, ServeArgs},
    postgres::PostgresError,
    telemetry::{self, Levels, LogFormat, chain},
};
use tracing::error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As clap ends when it cannot read a flag.
const EXIT_USAGE: u8 = 2;
/// `EX_UNAVAILABLE` of sysexits.h: a program that this one needs is not installed.
const EXIT_NO_POSTGRES: u8 = 69;

fn main() -> ExitCode {
    let (cli, described) = read();
    let command = cli.command.unwrap_or_else(|| {
        // without arguments, but with what the environment sets
        Command::Serve(Box::new(ServeArgs::parse_from(["keyward"])))
    });
    let command = match command {
        Command::Client(command) => return cli::run(&command, described),
        Command::Audit(args) => match args.question() {
            Ok(Some(command)) => return cli::run(&command, described),
            Ok(None) => Command::Audit(args),
            Err(invalid) => {
                Cli::command().error(ErrorKind::ArgumentConflict, chain(&invalid)).exit();
            }
        },
        command => command,
    };
    let (log_level, log_format) = match &command {
        Command::Serve(args) => log_of(&args.log),
        Command::Migrate(args) => log_of(&args.log),
        Command::Bootstrap(args) => log_of(&args.log),
        Command::Audit(args) => args.log().map_or(("error", LogFormat::Text), log_of),
        Command::Pepper(args) => log_of(args.log()),
        // says why it fails, and nothing else
        Command::Doctor(_) | Command::Envoy(_) | Command::Client(_) => ("error", LogFormat::Text),
    };
    let levels = match telemetry::start(log_level, log_format) {
        Ok(levels) => levels,
        Err(invalid) => {
            Cli::command().error(ErrorKind::ValueValidation, chain(&invalid)).exit();
        }
    };
    match run(&command, levels) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(failure) => {
            error!(error = format!("{failure:#}"), "failed");
            exit_code(&failure)
        }
    }
}

/// The command line, and what of it was called.
fn read() -> (Cli, Described) {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut path = Vec::new();
    let mut rest = &matches;
    while let Some((name, deeper)) = rest.subcommand() {
        path.push(name.to_owned());
        rest = deeper;
    }
    (cli, Described { root: Cli::command(), path })
}

fn exit_code(failure: &anyhow::Error) -> ExitCode {
    match failure.downcast_ref() {
        Some(DatabaseError::Postgres(PostgresError::NoBinaries { .. })) => {
            ExitCode::from(EXIT_NO_POSTGRES)
        }
        Some(DatabaseError::Setting(_)) => ExitCode::from(EXIT_USAGE),
        _ if failure.is::<InvalidSetting>() || failure.is::<CheckError>() => {
            ExitCode::from(EXIT_USAGE)
        }
        _ => ExitCode::FAILURE,
    }
}

fn run(command: &Command, levels: Levels) -> anyhow::Result<Outcome> {
    match command {
        Command::Serve(args) => app::serve(args, levels)?,
        Command::Migrate(args) => commands::migrate(args)?,
        Command::Bootstrap(args) => commands::bootstrap(args)?,
        Command::Audit(args) => app::audit::audit(args)?,
        Command::Pepper(args) => app::peppers::pepper(args)?,
        Command::Doctor(args) => return doctor::doctor(args),
        Command::Envoy(command) => return envoy::run(command),
        // ran and ended without logs
        Command::Client(_) => {}
    }
    Ok(Outcome::Good)
}

fn log_of(log: &LogArgs) -> (&str, LogFormat) {
    (&log.log_level, log.log_format)
}
