//! `keyward environments`: parts of the world that keys work in.

use clap::{Args, Subcommand};

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago, edits::Mask, line, show_change, show_end, text, when,
};
use crate::{
    cli::{
        error::CliError,
        output::{Field, Fit, text::plain},
        pages::PageArgs,
        session::Session,
    },
    rpc::pb::{
        CreateEnvironmentRequest, DeleteEnvironmentRequest, Environment, GetEnvironmentRequest,
        ListEnvironmentsRequest, UpdateEnvironmentRequest,
    },
};

/// What to do with environments.
#[derive(Debug, Subcommand)]
pub enum EnvironmentsCommand {
    /// List environments
    #[command(after_help = "Example: keyward environments list")]
    List(ListArgs),
    /// Show all that is known of an environment
    #[command(after_help = "Example: keyward environments show staging")]
    Show(Named),
    /// Make an environment
    #[command(after_help = "Example: keyward environments create staging --tag stg")]
    Create(CreateArgs),
    /// Change an environment; a new tag is in tokens made from then on
    #[command(after_help = "Example: keyward environments update staging --display-name 'Staging'")]
    Update(UpdateArgs),
    /// Remove an environment that has no keys
    #[command(after_help = "Example: keyward environments delete staging --yes")]
    Delete(DeleteArgs),
}

/// Settings of `keyward environments list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Environments with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// An environment.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "ENVIRONMENT")]
    pub name: String,
}

/// Settings of `keyward environments create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// What people call it [default: its name]
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What tokens show of it, such as `prod`
    #[arg(long, value_name = "WORD")]
    pub tag: String,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward environments update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What tokens show of it, such as `prod`
    #[arg(long, value_name = "WORD")]
    pub tag: Option<String>,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward environments delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

const COLUMNS: [Field<Environment>; 4] = [
    line!("Name", name),
    line!("Tag", tag),
    line!("Display name", display_name, Fit::Cut),
    Field {
        name: "Changed",
        cell: |thing, look| ago(thing.update_time.as_ref(), look),
        fit: Fit::Spare(1),
    },
];

const LINES: [Field<Environment>; 7] = [
    line!("Name", name),
    line!("Tag", tag),
    line!("Display name", display_name),
    line!("Description", description),
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

pub(in crate::cli) async fn run(
    session: &Session,
    command: &EnvironmentsCommand,
) -> Result<(), CliError> {
    match command {
        EnvironmentsCommand::List(args) => list(session, args).await,
        EnvironmentsCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        EnvironmentsCommand::Create(args) => create(session, args).await,
        EnvironmentsCommand::Update(args) => update(session, args).await,
        EnvironmentsCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request =
            ListEnvironmentsRequest { page_size, page_token, search: text(args.search.as_ref()) };
        let ask = async |request| session.access().list_environments(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.environments, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<Environment, CliError> {
    let request = GetEnvironmentRequest { name: named.name.clone() };
    let ask = async |request| session.access().get_environment(request).await;
    Ok(session.ask(request, ask).await?.environment.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let environment = Environment {
        name: args.named.name.clone(),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.name).clone(),
        description: text(args.description.as_ref()),
        tag: args.tag.clone(),

        ..Environment::default()
    };
    let dry = args.change.dry_run;
    let request = CreateEnvironmentRequest { environment: Some(environment), validate_only: dry };
    let send = async |request| session.access().create_environment(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.environment.as_ref(), &LINES),
        ("The environment was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let mut mask = Mask::new(&args.clear);
    let environment = Environment {
        name: args.named.name.clone(),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        tag: mask.field("tag", args.tag.clone()),

        etag: args.etag.text(),
        ..Environment::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request = UpdateEnvironmentRequest {
        environment: Some(environment),
        update_mask,
        validate_only: dry,
    };
    let send = async |request| session.access().update_environment(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.environment.as_ref(), &LINES),
        ("The environment was changed", dry, answer.revision),
    )
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let (name, dry) = (plain(&args.named.name), args.change.dry_run);
    if !dry {
        args.sure.ask(&format!("Delete the environment {name} for good?"))?;
    }
    let request = DeleteEnvironmentRequest {
        name: args.named.name.clone(),
        etag: args.etag.text(),
        validate_only: dry,
    };
    let send = async |request| session.access().delete_environment(request).await;
    let answer = session.change(request, send).await?;
    show_end(
        session,
        &answer,
        (&format!("The environment {name} was deleted"), dry, answer.revision),
    )
}
