//! `keyward templates`: recipes for keys.

use clap::{Args, Subcommand};
use prost_types::Duration;

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago, edits::Mask, line, list, show_change, show_end, text, when,
};
use crate::{
    cli::{
        error::CliError,
        keys::fields::limits,
        limits::spec::LimitFlags,
        output::time,
        output::{Cell, Field, Fit, text::plain},
        pages::PageArgs,
        read::span,
        session::Session,
    },
    rpc::pb::{
        CreateTemplateRequest, DeleteTemplateRequest, GetTemplateRequest, ListTemplatesRequest,
        Template, UpdateTemplateRequest,
    },
};

/// What to do with templates.
#[derive(Debug, Subcommand)]
pub enum TemplatesCommand {
    /// List templates
    #[command(after_help = "Example: keyward templates list")]
    List(ListArgs),
    /// Show all that is known of a template
    #[command(after_help = "Example: keyward templates show backend")]
    Show(Named),
    /// Make a template, by which `keyward keys create --template` makes keys
    #[command(
        after_help = "Example: keyward templates create backend --require systems.read --default-lifetime 90d"
    )]
    Create(CreateArgs),
    /// Change a template, for keys made from then on
    #[command(after_help = "Example: keyward templates update backend --default-lifetime 30d")]
    Update(UpdateArgs),
    /// Remove a template; keys that were made from it stay as they are
    #[command(after_help = "Example: keyward templates delete backend --yes")]
    Delete(DeleteArgs),
}

/// Settings of `keyward templates list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Templates with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A template.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "TEMPLATE")]
    pub name: String,
}

/// Settings of `keyward templates create`.
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

    /// What every key of it may do, which may be given several times
    #[arg(
        id = "required_permissions",
        long = "require",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub required: Vec<String>,

    /// What a key of it may do if that is asked for, which may be given several times
    #[arg(
        id = "optional_permissions",
        long = "optional",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub optional: Vec<String>,

    /// The environment of a key for which none is named
    #[arg(long, value_name = "NAME")]
    pub default_environment: Option<String>,

    /// When a key expires for which no time is given, counted from its creation, such as 90d
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub default_lifetime: Option<Duration>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward templates update`.
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

    /// What every key of it may do, which may be given several times; in place of those there are
    #[arg(
        id = "required_permissions",
        long = "require",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub required: Vec<String>,

    /// What a key of it may do if that is asked for, which may be given several times; in place of those there are
    #[arg(
        id = "optional_permissions",
        long = "optional",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub optional: Vec<String>,

    /// The environment of a key for which none is named
    #[arg(long, value_name = "NAME")]
    pub default_environment: Option<String>,

    /// When a key expires for which no time is given, counted from its creation, such as 90d
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub default_lifetime: Option<Duration>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description", "required-permissions", "optional-permissions", "default-environment", "default-lifetime", "limits"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward templates delete`.
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

const DAY_SECONDS: i64 = 86_400;

const COLUMNS: [Field<Template>; 6] = [
    line!("Name", name),
    line!("Display name", display_name, Fit::Cut),
    list!("Required", required_permissions, Fit::Cut),
    list!("Optional", optional_permissions, Fit::Spare(2)),
    Field { name: "Lifetime", cell: |template, _| lifetime(template), fit: Fit::Spare(1) },
    Field {
        name: "Changed",
        cell: |thing, look| ago(thing.update_time.as_ref(), look),
        fit: Fit::Spare(3),
    },
];

const LINES: [Field<Template>; 11] = [
    line!("Name", name),
    line!("Display name", display_name),
    line!("Description", description),
    list!("Required", required_permissions),
    list!("Optional", optional_permissions),
    line!("Environment", default_environment),
    Field { name: "Lifetime", cell: |template, _| lifetime(template), fit: Fit::Whole },
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Whole },
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

fn lifetime(template: &Template) -> Cell {
    let lifetime = template.default_lifetime.as_ref();
    lifetime.map_or_else(Cell::none, |lifetime| match (lifetime.seconds, lifetime.nanos) {
        (seconds, 0) if seconds % DAY_SECONDS == 0 => {
            Cell::text(format!("{} days", seconds / DAY_SECONDS))
        }
        _ => Cell::text(time::exact(lifetime)),
    })
}

/// Nothing if there is nothing in it.
fn some(given: &[String]) -> Option<Vec<String>> {
    Some(given.to_vec()).filter(|given| !given.is_empty())
}

pub(in crate::cli) async fn run(
    session: &Session,
    command: &TemplatesCommand,
) -> Result<(), CliError> {
    match command {
        TemplatesCommand::List(args) => list(session, args).await,
        TemplatesCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        TemplatesCommand::Create(args) => create(session, args).await,
        TemplatesCommand::Update(args) => update(session, args).await,
        TemplatesCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request =
            ListTemplatesRequest { page_size, page_token, search: text(args.search.as_ref()) };
        let ask = async |request| session.access().list_templates(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.templates, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<Template, CliError> {
    let request = GetTemplateRequest { name: named.name.clone() };
    let ask = async |request| session.access().get_template(request).await;
    Ok(session.ask(request, ask).await?.template.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let template = Template {
        name: args.named.name.clone(),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.name).clone(),
        description: text(args.description.as_ref()),
        required_permissions: args.required.clone(),
        optional_permissions: args.optional.clone(),
        default_environment: text(args.default_environment.as_ref()),
        default_lifetime: args.default_lifetime,
        limits: args.limits.all(),
        ..Template::default()
    };
    let dry = args.change.dry_run;
    let request = CreateTemplateRequest { template: Some(template), validate_only: dry };
    let send = async |request| session.access().create_template(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.template.as_ref(), &LINES),
        ("The template was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let mut mask = Mask::new(&args.clear);
    let template = Template {
        name: args.named.name.clone(),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        required_permissions: mask.field("required_permissions", some(&args.required)),
        optional_permissions: mask.field("optional_permissions", some(&args.optional)),
        default_environment: mask.field("default_environment", args.default_environment.clone()),
        default_lifetime: mask.field("default_lifetime", args.default_lifetime.map(Some)),
        limits: mask.field("limits", args.limits.given()),
        etag: args.etag.text(),
        ..Template::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request =
        UpdateTemplateRequest { template: Some(template), update_mask, validate_only: dry };
    let send = async |request| session.access().update_template(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.template.as_ref(), &LINES),
        ("The template was changed", dry, answer.revision),
    )
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let (name, dry) = (plain(&args.named.name), args.change.dry_run);
    if !dry {
        args.sure.ask(&format!("Delete the template {name}?"))?;
    }
    let request = DeleteTemplateRequest {
        name: args.named.name.clone(),
        etag: args.etag.text(),
        validate_only: dry,
    };
    let send = async |request| session.access().delete_template(request).await;
    let answer = session.change(request, send).await?;
    show_end(session, &answer, (&format!("The template {name} was deleted"), dry, answer.revision))
}
