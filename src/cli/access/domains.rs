//! `keyward domains`: tenants, their catalogues and route maps.

use clap::{Args, Subcommand};

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago,
    edits::Mask,
    line,
    routes::{self, CatalogueCommand, RoutesCommand},
    show_change, stopped, text, when,
};
use crate::{
    cli::{
        error::CliError,
        keys::fields::limits,
        limits::spec::LimitFlags,
        output::{Field, Fit, text::plain},
        pages::PageArgs,
        session::Session,
    },
    rpc::pb::{
        CreateDomainRequest, DisableDomainRequest, Domain, EnableDomainRequest, GetDomainRequest,
        ListDomainsRequest, UpdateDomainRequest,
    },
};

/// What to do with domains.
#[derive(Debug, Subcommand)]
pub enum DomainsCommand {
    /// List domains
    #[command(after_help = "Example: keyward domains list")]
    List(ListArgs),
    /// Show all that is known of a domain
    #[command(after_help = "Example: keyward domains show acme")]
    Show(Named),
    /// Make a domain
    #[command(after_help = "Example: keyward domains create acme --display-name 'Acme Inc.'")]
    Create(CreateArgs),
    /// Change a domain
    #[command(after_help = "Example: keyward domains update acme --rate all=1000/1s")]
    Update(UpdateArgs),
    /// Deny all keys of a domain until it is enabled
    #[command(after_help = "Example: keyward domains disable acme")]
    Disable(StopArgs),
    /// Let the keys of a domain work again
    #[command(after_help = "Example: keyward domains enable acme")]
    Enable(EnableArgs),
    /// See or replace the route map: which permission each route needs
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// See or replace the catalogue of permissions
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
}

/// Settings of `keyward domains list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Domains with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A domain.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "DOMAIN")]
    pub name: String,
}

/// Settings of `keyward domains create`.
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

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward domains update`.
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

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description", "limits"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward domains disable`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,
}

/// Settings of `keyward domains enable`.
#[derive(Debug, Args)]
pub struct EnableArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,
}

const COLUMNS: [Field<Domain>; 5] = [
    line!("Name", name),
    line!("Display name", display_name, Fit::Cut),
    Field { name: "State", cell: |thing, _| stopped(thing.disabled), fit: Fit::Whole },
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Spare(2) },
    Field {
        name: "Changed",
        cell: |thing, look| ago(thing.update_time.as_ref(), look),
        fit: Fit::Spare(1),
    },
];

const LINES: [Field<Domain>; 8] = [
    line!("Name", name),
    line!("Display name", display_name),
    line!("Description", description),
    Field { name: "State", cell: |thing, _| stopped(thing.disabled), fit: Fit::Whole },
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Whole },
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

pub(in crate::cli) async fn run(
    session: &Session,
    command: &DomainsCommand,
) -> Result<(), CliError> {
    match command {
        DomainsCommand::List(args) => list(session, args).await,
        DomainsCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        DomainsCommand::Create(args) => create(session, args).await,
        DomainsCommand::Update(args) => update(session, args).await,
        DomainsCommand::Disable(args) => disable(session, args).await,
        DomainsCommand::Enable(args) => enable(session, args).await,
        DomainsCommand::Routes(command) => routes::route_map(session, command).await,
        DomainsCommand::Catalogue(command) => routes::catalogue(session, command).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request =
            ListDomainsRequest { page_size, page_token, search: text(args.search.as_ref()) };
        let ask = async |request| session.access().list_domains(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.domains, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<Domain, CliError> {
    let request = GetDomainRequest { name: named.name.clone() };
    let ask = async |request| session.access().get_domain(request).await;
    Ok(session.ask(request, ask).await?.domain.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let domain = Domain {
        name: args.named.name.clone(),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.name).clone(),
        description: text(args.description.as_ref()),
        limits: args.limits.all(),
        ..Domain::default()
    };
    let dry = args.change.dry_run;
    let request = CreateDomainRequest { domain: Some(domain), validate_only: dry };
    let send = async |request| session.access().create_domain(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.domain.as_ref(), &LINES),
        ("The domain was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let mut mask = Mask::new(&args.clear);
    let domain = Domain {
        name: args.named.name.clone(),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        limits: mask.field("limits", args.limits.given()),
        etag: args.etag.text(),
        ..Domain::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request = UpdateDomainRequest { domain: Some(domain), update_mask, validate_only: dry };
    let send = async |request| session.access().update_domain(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.domain.as_ref(), &LINES),
        ("The domain was changed", dry, answer.revision),
    )
}

async fn disable(session: &Session, args: &StopArgs) -> Result<(), CliError> {
    let name = plain(&args.named.name);
    args.sure.ask(&format!("Deny all keys of domain {name} until it is enabled?"))?;
    let request = DisableDomainRequest { name: args.named.name.clone(), etag: args.etag.text() };
    let send = async |request| session.access().disable_domain(request).await;
    let answer = session.change(request, send).await?;
    let done = ("All its keys are denied", false, answer.revision);
    show_change(session, &answer, (answer.domain.as_ref(), &LINES), done)
}

async fn enable(session: &Session, args: &EnableArgs) -> Result<(), CliError> {
    let request = EnableDomainRequest { name: args.named.name.clone(), etag: args.etag.text() };
    let send = async |request| session.access().enable_domain(request).await;
    let answer = session.change(request, send).await?;
    let done = ("Its keys work again, each as it did", false, answer.revision);
    show_change(session, &answer, (answer.domain.as_ref(), &LINES), done)
}
