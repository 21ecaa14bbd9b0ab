//! The command line for people: a client of a server's admin listener.
//!
//! Of the server it knows the protobuf messages and nothing else. What it prints to standard output is what
//! was asked for; everything else goes to standard error. A secret is never an argument, is printed where it
//! is made, and nowhere else.
//!
//! To add a command: an enum of its subcommands, a variant of [`ClientCommand`] with [`On`] around it, a line
//! in `on_server`, a line in [`output::messages`] for each message that it shows, and lists of
//! [`output::Field`] that say how people see them. [`session::Session`] sends the calls.

pub mod access;
pub mod args;
pub mod audit;
pub mod authorize;
pub mod completions;
pub mod connection;
pub mod contexts;
pub mod decisions;
pub mod error;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod login;
pub mod output;
pub mod pages;
pub mod problem;
pub mod prompt;
pub mod read;
pub mod server;
pub mod session;
pub mod usage;

use std::{future::Future, process::ExitCode};

use clap::Subcommand;
use tokio::runtime::{Builder, Runtime};

use self::{
    args::{Common, On},
    audit::AuditQuestion,
    authorize::AuthorizeArgs,
    completions::CompletionsArgs,
    error::CliError,
    keys::KeysCommand,
    login::{ContextsCommand, LoginArgs, LogoutArgs},
    server::ServerCommand,
    session::Session,
};

/// Ends the help of every command of this room.
pub const EXIT_CODES: &str = "Exit status: 0 done or allowed, 1 denied or failed, 2 wrong usage or value, \
     3 not found, 4 not permitted, 5 server not available, 6 refused by the present state, \
     130 interrupted";

/// What people do with a server that runs.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Remember a server and an admin key for it
    #[command(after_help = EXIT_CODES)]
    Login(LoginArgs),
    /// Forget a server and its admin key
    #[command(after_help = EXIT_CODES)]
    Logout(LogoutArgs),
    /// See and choose the servers that `login` has remembered
    #[command(subcommand)]
    Contexts(ContextsCommand),
    /// Make, look at, change and end API keys
    #[command(after_help = EXIT_CODES)]
    Keys(On<KeysCommand>),
    /// What `keyward audit` asks a server; it reads databases, too, and is told apart elsewhere.
    #[command(skip)]
    Audit(Box<AuditQuestion>),
    /// What else a server is asked.
    #[command(flatten)]
    Server(ServerCommand),
    /// Try a decision: may a key do something? Nothing is counted or taken from limits
    #[command(after_help = EXIT_CODES)]
    Authorize(Box<AuthorizeArgs>),
    /// Print what a shell needs to complete this command line
    Completions(CompletionsArgs),
}

/// The command line as it is described to people, and what of it was called.
#[derive(Debug)]
pub struct Described {
    /// All of it.
    pub root: clap::Command,
    /// The names of the commands that were given, from the outermost.
    pub path: Vec<String>,
}

/// How a command ends that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is done.
    Done,
    /// What was asked about is denied.
    Denied,
    /// Ctrl-C ended what goes on until then.
    Interrupted,
}

/// Runs one command to its end.
pub fn run(command: &ClientCommand, mut described: Described) -> ExitCode {
    match dispatch(command, &mut described) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Denied) => ExitCode::FAILURE,
        Ok(Ending::Interrupted) => ExitCode::from(CliError::Interrupted.exit_code()),
        Err(error) => {
            problem::tell(&error, &described);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(command: &ClientCommand, described: &mut Described) -> Result<Ending, CliError> {
    match command {
        ClientCommand::Login(args) => login::login(args, &runtime()?).map(done),
        ClientCommand::Logout(args) => login::logout(args).map(done),
        ClientCommand::Contexts(command) => login::contexts(command).map(done),
        ClientCommand::Completions(args) => completions::print(args, &mut described.root).map(done),
        ClientCommand::Keys(_) | ClientCommand::Authorize(_) => on_server(command),
        ClientCommand::Audit(question) => {
            let subject = &question.subject;
            with_session(&question.common, async |session| audit::run(session, subject).await)
        }
        ClientCommand::Server(command) => server::run(command),
    }
}

/// The commands that ask a server.
fn on_server(command: &ClientCommand) -> Result<Ending, CliError> {
    match command {
        ClientCommand::Keys(on) => {
            with_session(&on.common, async |session| keys::run(session, &on.command).await)
        }
        ClientCommand::Authorize(args) => {
            with_session(&args.common, async |session| authorize::run(session, args).await)
        }
        ClientCommand::Login(_)
        | ClientCommand::Logout(_)
        | ClientCommand::Contexts(_)
        | ClientCommand::Audit(_)
        | ClientCommand::Server(_)
        | ClientCommand::Completions(_) => Ok(Ending::Done),
    }
}

fn with_session(
    common: &Common,
    work: impl AsyncFnOnce(&Session) -> Result<Ending, CliError>,
) -> Result<Ending, CliError> {
    let runtime = runtime()?;
    finish(runtime, async {
        let session = Session::open(common)?;
        work(&session).await
    })
}

/// Does not wait for what may still be reading standard input.
fn finish<T>(runtime: Runtime, work: impl Future<Output = T>) -> T {
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

fn runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::io("this program cannot start its runtime", source))
}

const fn done((): ()) -> Ending {
    Ending::Done
}
