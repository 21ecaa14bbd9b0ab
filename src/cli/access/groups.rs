//! `keyward groups`: permission groups.

use clap::{Args, Subcommand};

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago,
    edits::{Mask, PermissionEdits},
    line, list, show_change, show_end, text, when,
};
use crate::{
    cli::{
        error::CliError,
        output::{Cell, Field, Fit, note, text::plain},
        pages::PageArgs,
        session::Session,
    },
    rpc::pb::{
        CreatePermissionGroupRequest, DeletePermissionGroupRequest, GetPermissionGroupRequest,
        ListPermissionGroupsRequest, PermissionGroup, UpdatePermissionGroupRequest,
    },
};

/// What to do with permission groups.
#[derive(Debug, Subcommand)]
pub enum GroupsCommand {
    /// List permission groups
    #[command(after_help = "Example: keyward groups list --domain acme")]
    List(ListArgs),
    /// Show all that is known of a permission group
    #[command(after_help = "Example: keyward groups show readers")]
    Show(Named),
    /// Make a permission group
    #[command(after_help = "Example: keyward groups create readers --permission systems.read")]
    Create(CreateArgs),
    /// Change a permission group: at once for every key and user that has it
    #[command(after_help = "Example: keyward groups update readers --add-permission systems.read")]
    Update(UpdateArgs),
    /// Remove a permission group
    #[command(after_help = "Example: keyward groups delete readers --dry-run")]
    Delete(DeleteArgs),
}

/// Settings of `keyward groups list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Groups of this domain [default: of all]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Groups with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A permission group.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "GROUP")]
    pub name: String,

    /// The domain that it belongs to [default: default]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,
}

/// Settings of `keyward groups create`.
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

    /// What it gives, which may be given several times
    #[arg(
        id = "permissions",
        long = "permission",
        short,
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub permissions: Vec<String>,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward groups update`.
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

    /// What it gives.
    #[command(flatten)]
    pub permissions: PermissionEdits,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description", "permissions"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward groups delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// Also if keys or users have it, which lose what it gives
    #[arg(long)]
    pub force: bool,

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

const COLUMNS: [Field<PermissionGroup>; 5] = [
    line!("Name", name),
    line!("Display name", display_name, Fit::Cut),
    line!("Domain", domain, Fit::Spare(1)),
    list!("Permissions", permissions, Fit::Cut),
    Field {
        name: "Changed",
        cell: |group, look| ago(group.update_time.as_ref(), look),
        fit: Fit::Spare(2),
    },
];

const LINES: [Field<PermissionGroup>; 9] = [
    line!("Name", name),
    line!("Domain", domain),
    line!("Display name", display_name),
    line!("Description", description),
    list!("Permissions", permissions),
    Field {
        name: "Permission names",
        cell: |group, _| Cell::pairs(&group.permission_names),
        fit: Fit::Whole,
    },
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

pub(in crate::cli) async fn run(
    session: &Session,
    command: &GroupsCommand,
) -> Result<(), CliError> {
    match command {
        GroupsCommand::List(args) => list(session, args).await,
        GroupsCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        GroupsCommand::Create(args) => create(session, args).await,
        GroupsCommand::Update(args) => update(session, args).await,
        GroupsCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request = ListPermissionGroupsRequest {
            page_size,
            page_token,
            domain: text(args.domain.as_ref()),
            search: text(args.search.as_ref()),
        };
        let ask = async |request| session.access().list_permission_groups(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.groups, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<PermissionGroup, CliError> {
    let request =
        GetPermissionGroupRequest { domain: text(named.domain.as_ref()), name: named.name.clone() };
    let ask = async |request| session.access().get_permission_group(request).await;
    Ok(session.ask(request, ask).await?.group.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let group = PermissionGroup {
        name: args.named.name.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.name).clone(),
        description: text(args.description.as_ref()),
        permissions: args.permissions.clone(),
        ..PermissionGroup::default()
    };
    let dry = args.change.dry_run;
    let request = CreatePermissionGroupRequest { group: Some(group), validate_only: dry };
    let send = async |request| session.access().create_permission_group(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.group.as_ref(), &LINES),
        ("The group was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let edits = args.permissions.edits();
    let mut etag = args.etag.text();
    let present =
        if edits.need_present() { get(session, &args.named).await? } else { <_>::default() };
    if etag.is_empty() {
        etag.clone_from(&present.etag);
    }
    let mut mask = Mask::new(&args.clear);
    let group = PermissionGroup {
        name: args.named.name.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        permissions: mask.field("permissions", edits.apply(&present.permissions)),
        etag,
        ..PermissionGroup::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request =
        UpdatePermissionGroupRequest { group: Some(group), update_mask, validate_only: dry };
    let send = async |request| session.access().update_permission_group(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.group.as_ref(), &LINES),
        ("The group was changed", dry, answer.revision),
    )
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let request = DeletePermissionGroupRequest {
        domain: text(args.named.domain.as_ref()),
        name: args.named.name.clone(),
        etag: args.etag.text(),
        force: args.force,
        validate_only: true,
    };
    let send = async |request| session.access().delete_permission_group(request).await;
    let would = session.change(request.clone(), send).await?;
    let (keys, users) = (would.affected_keys, would.affected_users);
    let effect = format!("{keys} key(s) and {users} user(s) have it and lose what it gives.");
    if args.change.dry_run {
        note(&effect);
        return show_end(session, &would, ("", true, 0));
    }
    let name = plain(&args.named.name);
    args.sure.ask(&format!("Delete the group {name}? {effect}"))?;
    let answer =
        session.change(DeletePermissionGroupRequest { validate_only: false, ..request }, send);
    let answer = answer.await?;
    let done = format!("The group {name} was deleted; {} key(s) had it", answer.affected_keys);
    show_end(session, &answer, (&done, false, answer.revision))
}
