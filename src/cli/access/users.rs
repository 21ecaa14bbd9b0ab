//! `keyward users`: whom keys act for.

use clap::{Args, Subcommand};

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago,
    edits::{GroupEdits, Mask, PermissionEdits},
    line, list, show_change, show_end, stopped, text, when,
};
use crate::{
    cli::{
        error::CliError,
        keys::fields::limits,
        keys::list::Kind,
        limits::spec::LimitFlags,
        output::{Cell, Field, Fit, text::plain},
        pages::PageArgs,
        session::Session,
    },
    rpc::pb::{
        CreateUserRequest, DeleteUserRequest, DisableUserRequest, EnableUserRequest,
        GetUserRequest, ListUsersRequest, UpdateUserRequest, User, UserKind,
    },
};

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List users
    #[command(after_help = "Example: keyward users list --group readers")]
    List(ListArgs),
    /// Show all that is known of a user
    #[command(after_help = "Example: keyward users show ada")]
    Show(Named),
    /// Make a user
    #[command(
        after_help = "Example: keyward users create ada --kind person --display-name 'Ada' --group readers"
    )]
    Create(CreateArgs),
    /// Change a user: what the keys of it may do changes at once
    #[command(after_help = "Example: keyward users update ada --add-group writers")]
    Update(UpdateArgs),
    /// Deny all keys of a user until it is enabled
    #[command(after_help = "Example: keyward users disable ada")]
    Disable(StopArgs),
    /// Let the keys of a user work again
    #[command(after_help = "Example: keyward users enable ada")]
    Enable(EnableArgs),
    /// Remove a user that no key acts for
    #[command(after_help = "Example: keyward users delete ada --yes")]
    Delete(DeleteArgs),
}

/// Settings of `keyward users list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Users of this domain [default: of all]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Users of this kind
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,

    /// Users that have this permission group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,

    /// Users with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A user.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its id
    #[arg(value_name = "USER")]
    pub id: String,

    /// The domain that it belongs to [default: default]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,
}

/// Settings of `keyward users create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// What people call it [default: its id]
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What it is
    #[arg(long, value_name = "KIND")]
    pub kind: Kind,

    /// What it may do, which may be given several times
    #[arg(
        id = "permissions",
        long = "permission",
        short,
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    pub permissions: Vec<String>,

    /// A permission group that it has, which may be given several times
    #[arg(id = "groups", long = "group", short, value_name = "GROUP", value_delimiter = ',')]
    pub groups: Vec<String>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward users update`.
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

    /// What it may do.
    #[command(flatten)]
    pub permissions: PermissionEdits,

    /// Its groups.
    #[command(flatten)]
    pub groups: GroupEdits,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description", "permissions", "groups", "limits"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward users disable`.
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

/// Settings of `keyward users enable`.
#[derive(Debug, Args)]
pub struct EnableArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,
}

/// Settings of `keyward users delete`.
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

const COLUMNS: [Field<User>; 9] = [
    line!("Id", id),
    line!("Name", display_name, Fit::Cut),
    Field { name: "Kind", cell: |user, _| Cell::text(kind(user)), fit: Fit::Spare(2) },
    Field { name: "State", cell: |thing, _| stopped(thing.disabled), fit: Fit::Whole },
    line!("Domain", domain, Fit::Spare(1)),
    list!("Groups", groups, Fit::Cut),
    list!("Permissions", permissions, Fit::Spare(3)),
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Spare(4) },
    Field {
        name: "Changed",
        cell: |thing, look| ago(thing.update_time.as_ref(), look),
        fit: Fit::Spare(5),
    },
];

const LINES: [Field<User>; 13] = [
    line!("Id", id),
    line!("Domain", domain),
    Field { name: "Kind", cell: |user, _| Cell::text(kind(user)), fit: Fit::Whole },
    line!("Name", display_name),
    line!("Description", description),
    Field { name: "State", cell: |thing, _| stopped(thing.disabled), fit: Fit::Whole },
    list!("Permissions", permissions),
    list!("Groups", groups),
    list!("Deleted groups", deleted_groups),
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Whole },
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

fn kind(user: &User) -> &'static str {
    match user.kind() {
        UserKind::Person => "person",
        UserKind::Service => "service",
        UserKind::Unspecified => "",
    }
}

pub(in crate::cli) async fn run(session: &Session, command: &UsersCommand) -> Result<(), CliError> {
    match command {
        UsersCommand::List(args) => list(session, args).await,
        UsersCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        UsersCommand::Create(args) => create(session, args).await,
        UsersCommand::Update(args) => update(session, args).await,
        UsersCommand::Disable(args) => disable(session, args).await,
        UsersCommand::Enable(args) => enable(session, args).await,
        UsersCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request = ListUsersRequest {
            page_size,
            page_token,
            domain: text(args.domain.as_ref()),
            kind: args.kind.map_or(UserKind::Unspecified, UserKind::from).into(),
            group: text(args.group.as_ref()),
            search: text(args.search.as_ref()),
        };
        let ask = async |request| session.access().list_users(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.users, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<User, CliError> {
    let request = GetUserRequest { domain: text(named.domain.as_ref()), id: named.id.clone() };
    let ask = async |request| session.access().get_user(request).await;
    Ok(session.ask(request, ask).await?.user.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let user = User {
        id: args.named.id.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.id).clone(),
        description: text(args.description.as_ref()),
        kind: UserKind::from(args.kind).into(),
        permissions: args.permissions.clone(),
        groups: args.groups.clone(),
        limits: args.limits.all(),
        ..User::default()
    };
    let dry = args.change.dry_run;
    let request = CreateUserRequest { user: Some(user), validate_only: dry };
    let send = async |request| session.access().create_user(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.user.as_ref(), &LINES),
        ("The user was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let edits = (args.permissions.edits(), args.groups.edits());

    let mut etag = args.etag.text();
    let needs_present = edits.0.need_present() || edits.1.need_present();
    let present = if needs_present { get(session, &args.named).await? } else { User::default() };
    if etag.is_empty() {
        etag.clone_from(&present.etag);
    }

    let mut mask = Mask::new(&args.clear);
    let user = User {
        id: args.named.id.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        permissions: mask.field("permissions", edits.0.apply(&present.permissions)),
        groups: mask.field("groups", edits.1.apply(&present.groups)),
        limits: mask.field("limits", args.limits.given()),
        etag,
        ..User::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request = UpdateUserRequest { user: Some(user), update_mask, validate_only: dry };
    let send = async |request| session.access().update_user(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.user.as_ref(), &LINES),
        ("The user was changed", dry, answer.revision),
    )
}

async fn disable(session: &Session, args: &StopArgs) -> Result<(), CliError> {
    let name = plain(&args.named.id);
    args.sure.ask(&format!("Deny all keys of user {name} until it is enabled?"))?;
    let request = DisableUserRequest {
        domain: text(args.named.domain.as_ref()),
        id: args.named.id.clone(),
        etag: args.etag.text(),
    };
    let send = async |request| session.access().disable_user(request).await;
    let answer = session.change(request, send).await?;
    let done = ("All its keys are denied", false, answer.revision);
    show_change(session, &answer, (answer.user.as_ref(), &LINES), done)
}

async fn enable(session: &Session, args: &EnableArgs) -> Result<(), CliError> {
    let request = EnableUserRequest {
        domain: text(args.named.domain.as_ref()),
        id: args.named.id.clone(),
        etag: args.etag.text(),
    };
    let send = async |request| session.access().enable_user(request).await;
    let answer = session.change(request, send).await?;
    let done = ("Its keys work again, each as it did", false, answer.revision);
    show_change(session, &answer, (answer.user.as_ref(), &LINES), done)
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let (name, dry) = (plain(&args.named.id), args.change.dry_run);
    if !dry {
        args.sure.ask(&format!("Delete the user {name}?"))?;
    }
    let request = DeleteUserRequest {
        domain: text(args.named.domain.as_ref()),
        id: args.named.id.clone(),
        etag: args.etag.text(),
        validate_only: dry,
    };
    let send = async |request| session.access().delete_user(request).await;
    let answer = session.change(request, send).await?;
    show_end(session, &answer, (&format!("The user {name} was deleted"), dry, answer.revision))
}
