//! What a server is asked besides keys and decisions: a command for each noun.

use clap::Subcommand;

use super::{
    EXIT_CODES, Ending,
    access::{
        customers::{self, CustomersCommand},
        domains::{self, DomainsCommand},
        environments::{self, EnvironmentsCommand},
        groups::{self, GroupsCommand},
        templates::{self, TemplatesCommand},
        users::{self, UsersCommand},
    },
    args::{Common, On},
    decisions::{self, DecisionsCommand},
    error::CliError,
    jobs::{self, JobsCommand},
    limits::{self, LimitsCommand},
    session::Session,
    usage::{self, UsageArgs},
    with_session,
};

/// What a server is asked.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Make, look at, change and remove permission groups
    #[command(after_help = EXIT_CODES)]
    Groups(Box<On<GroupsCommand>>),
    /// Make, look at, change, stop and remove users, whom keys act for
    #[command(after_help = EXIT_CODES)]
    Users(Box<On<UsersCommand>>),
    /// Make, look at, change and stop domains; their route maps and catalogues
    #[command(after_help = EXIT_CODES)]
    Domains(Box<On<DomainsCommand>>),
    /// Make, look at, change and remove environments
    #[command(after_help = EXIT_CODES)]
    Environments(Box<On<EnvironmentsCommand>>),
    /// Say, see and forget what customers may use
    #[command(after_help = EXIT_CODES)]
    Customers(Box<On<CustomersCommand>>),
    /// Make, look at, change and remove templates for keys
    #[command(after_help = EXIT_CODES)]
    Templates(Box<On<TemplatesCommand>>),
    /// Show, set and remove limits; reset quotas and add credits
    #[command(after_help = EXIT_CODES)]
    Limits(Box<On<LimitsCommand>>),
    /// Follow, end and begin what is done to many keys in the background
    #[command(after_help = EXIT_CODES)]
    Jobs(Box<On<JobsCommand>>),
    /// Show how much keys were used
    #[command(after_help = usage::EXAMPLES)]
    Usage(Box<UsageArgs>),
    /// Show what was decided
    #[command(after_help = EXIT_CODES)]
    Decisions(Box<On<DecisionsCommand>>),
}

pub(super) fn run(command: &ServerCommand) -> Result<Ending, CliError> {
    use ServerCommand as It;
    match command {
        It::Groups(on) => ask(&on.common, async |on_it| groups::run(on_it, &on.command).await),
        It::Users(on) => ask(&on.common, async |on_it| users::run(on_it, &on.command).await),
        It::Domains(on) => ask(&on.common, async |on_it| domains::run(on_it, &on.command).await),
        It::Environments(on) => {
            ask(&on.common, async |on_it| environments::run(on_it, &on.command).await)
        }
        It::Customers(on) => {
            ask(&on.common, async |on_it| customers::run(on_it, &on.command).await)
        }
        It::Templates(on) => {
            ask(&on.common, async |on_it| templates::run(on_it, &on.command).await)
        }
        It::Limits(on) => ask(&on.common, async |on_it| limits::run(on_it, &on.command).await),
        It::Jobs(on) => with_session(&on.common, async |on_it| jobs::run(on_it, &on.command).await),
        It::Usage(args) => ask(&args.common, async |on_it| usage::run(on_it, args).await),
        It::Decisions(on) => {
            with_session(&on.common, async |on_it| decisions::run(on_it, &on.command).await)
        }
    }
}

/// Asks a server what can only succeed or fail.
fn ask(
    common: &Common,
    work: impl AsyncFnOnce(&Session) -> Result<(), CliError>,
) -> Result<Ending, CliError> {
    with_session(common, async |session| work(session).await.map(|()| Ending::Done))
}
