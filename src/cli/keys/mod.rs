//! `keyward keys`: making, looking at, changing and ending API keys.

pub mod change;
pub mod create;
pub mod explain;
pub mod export;
pub mod fields;
pub mod find;
pub mod import;
pub(super) mod limits;
pub mod list;
pub mod settings;
pub mod update;

use clap::{Args, Subcommand};

use self::{
    change::{DeleteArgs, RevokeArgs, TargetArgs},
    create::{CreateArgs, RegenerateArgs},
    explain::ExplainArgs,
    export::ExportArgs,
    import::ImportArgs,
    list::ListArgs,
    update::UpdateArgs,
};
use super::{Ending, error::CliError, session::Session};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and print its token
    Create(Box<CreateArgs>),
    /// List keys, filtered
    List(Box<ListArgs>),
    /// Show all that is known of a key
    Show(Named),
    /// Change the settings that are given, and no others
    Update(Box<UpdateArgs>),
    /// Give a key a new token, and print that
    Regenerate(RegenerateArgs),
    /// Make a deactivated or revoked key work again
    Activate(TargetArgs),
    /// Stop a key for a while
    Deactivate(TargetArgs),
    /// Stop a key and all its tokens for good
    Revoke(RevokeArgs),
    /// Hide a key and stop it
    Delete(DeleteArgs),
    /// Bring a deleted key back
    Undelete(TargetArgs),
    /// Say what a key may do, and why
    Explain(ExplainArgs),
    /// Make many keys of what another system knows of them
    Import(Box<ImportArgs>),
    /// Print keys as lines of JSON
    Export(Box<ExportArgs>),
}

/// A key.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its id, or its whole name if no other key has that
    #[arg(value_name = "KEY")]
    pub id: String,
}

pub(super) async fn run(session: &Session, command: &KeysCommand) -> Result<Ending, CliError> {
    match command {
        KeysCommand::Create(args) => create::create(session, args).await?,
        KeysCommand::Update(args) => update::update(session, args).await?,
        KeysCommand::Regenerate(args) => create::regenerate(session, args).await?,
        KeysCommand::Activate(args) => change::activate(session, args).await?,
        KeysCommand::Deactivate(args) => change::deactivate(session, args).await?,
        KeysCommand::Revoke(args) => change::revoke(session, args).await?,
        KeysCommand::Delete(args) => change::delete(session, args).await?,
        KeysCommand::Undelete(args) => change::undelete(session, args).await?,
        KeysCommand::Explain(args) => explain::explain(session, args).await?,
        KeysCommand::Import(args) => import::import(session, args).await?,
        KeysCommand::Export(args) => export::export(session, args).await?,
        KeysCommand::List(args) => list::list(session, args).await?,
        KeysCommand::Show(named) => find::show(session, named).await?,
    }
    Ok(Ending::Done)
}
