//! Making jobs: what they would do is counted first, and that number must be confirmed.

use clap::{Args, Subcommand};

use super::{fields::LINES, watch};
use crate::{
    cli::{
        Ending,
        error::CliError,
        keys::{change::Why, fields::COLUMNS, list::FilterArgs},
        output::{look, note},
        prompt,
        session::Session,
    },
    rpc::pb::{
        DeactivateKeysRequest, Job, Key, PurgeDeletedKeysRequest, RevocationReason,
        RevokeKeysRequest,
    },
};

/// What a job is to do.
#[derive(Debug, Subcommand)]
pub enum StartCommand {
    /// Revoke all keys that a filter finds
    #[command(after_help = "Examples:
  keyward jobs start revoke --user ada --reason compromised
  keyward jobs start revoke --label team=web --reason superseded --confirm 12")]
    Revoke(Box<RevokeArgs>),
    /// Deactivate all keys that a filter finds
    #[command(after_help = "Example: keyward jobs start deactivate --last-used-before 2026-01-01")]
    Deactivate(Box<DeactivateArgs>),
    /// Remove keys for good that were deleted long ago
    #[command(after_help = "Example: keyward jobs start purge --days 90")]
    Purge(PurgeArgs),
}

/// That this is meant, and what to do afterwards.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// How many keys it must be, as --dry-run counts them, in place of asking
    #[arg(long, value_name = "NUMBER", conflicts_with = "dry_run")]
    pub confirm: Option<i64>,

    /// Count the keys, and make nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Follow the job until it ends
    #[arg(long, conflicts_with = "dry_run")]
    pub watch: bool,
}

/// Settings of `keyward jobs start revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Which keys.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// Why
    #[arg(long, value_name = "WHY")]
    pub reason: Why,

    /// What to say of it, which is kept; needed with the reason `other`
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,

    /// That it is meant.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// Settings of `keyward jobs start deactivate`.
#[derive(Debug, Args)]
pub struct DeactivateArgs {
    /// Which keys.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// That it is meant.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// Settings of `keyward jobs start purge`.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Keys that were deleted so many days ago, or more
    #[arg(long, value_name = "NUMBER")]
    pub days: i32,

    /// Keys of this domain [default: of all]
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,

    /// That it is meant.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// What the server says to an attempt.
struct Answer {
    job: Option<Job>,
    count: i64,
    sample: Vec<Key>,
}

/// How many keys there must be; nothing: they are only counted.
type Expected = Option<i64>;

pub(super) async fn start(session: &Session, command: &StartCommand) -> Result<Ending, CliError> {
    match command {
        StartCommand::Revoke(args) => {
            let attempt = async |expected| revoke(session, args, expected).await;
            confirmed(session, (&args.confirm, "revoked"), attempt).await
        }
        StartCommand::Deactivate(args) => {
            let attempt = async |expected| deactivate(session, args, expected).await;
            confirmed(session, (&args.confirm, "deactivated"), attempt).await
        }
        StartCommand::Purge(args) => {
            let attempt = async |expected| purge(session, args, expected).await;
            confirmed(session, (&args.confirm, "removed for good"), attempt).await
        }
    }
}

async fn revoke(
    session: &Session,
    args: &RevokeArgs,
    expected: Expected,
) -> Result<Answer, CliError> {
    let request = RevokeKeysRequest {
        filter: Some(args.filter.request()),
        reason: RevocationReason::from(args.reason).into(),
        comment: args.comment.clone().unwrap_or_default(),
        validate_only: expected.is_none(),
        expected_count: expected.unwrap_or_default(),
    };
    let send = async |request| session.keys().revoke_keys(request).await;
    let answer = session.change(request, send).await?;
    Ok(Answer { job: answer.job, count: answer.count, sample: answer.sample })
}

async fn deactivate(
    session: &Session,
    args: &DeactivateArgs,
    expected: Expected,
) -> Result<Answer, CliError> {
    let request = DeactivateKeysRequest {
        filter: Some(args.filter.request()),
        validate_only: expected.is_none(),
        expected_count: expected.unwrap_or_default(),
    };
    let send = async |request| session.keys().deactivate_keys(request).await;
    let answer = session.change(request, send).await?;
    Ok(Answer { job: answer.job, count: answer.count, sample: answer.sample })
}

async fn purge(
    session: &Session,
    args: &PurgeArgs,
    expected: Expected,
) -> Result<Answer, CliError> {
    let request = PurgeDeletedKeysRequest {
        days: args.days,
        domain: args.domain.clone().unwrap_or_default(),
        validate_only: expected.is_none(),
        expected_count: expected.unwrap_or_default(),
    };
    let send = async |request| session.keys().purge_deleted_keys(request).await;
    let answer = session.change(request, send).await?;
    Ok(Answer { job: answer.job, count: answer.count, sample: Vec::new() })
}

async fn confirmed(
    session: &Session,
    (args, done): (&ConfirmArgs, &str),
    attempt: impl AsyncFn(Expected) -> Result<Answer, CliError>,
) -> Result<Ending, CliError> {
    let expected = match args.confirm {
        Some(expected) => expected,
        None => match ask(session, (args, done), &attempt(None).await?)? {
            Some(expected) => expected,
            None => return Ok(Ending::Done),
        },
    };
    let job = attempt(Some(expected)).await?.job.unwrap_or_default();
    if args.watch {
        return watch::until_ended(session, job).await;
    }
    session.out.show(&job, &LINES)?;
    note(&format!("`keyward jobs watch {}` follows it.", job.id));
    Ok(Ending::Done)
}

/// How many keys it is about, once that number was typed; nothing if there is nothing to do.
fn ask(
    session: &Session,
    (args, done): (&ConfirmArgs, &str),
    answer: &Answer,
) -> Result<Expected, CliError> {
    let count = answer.count;
    if args.dry_run {
        show(session, answer)?;
        note(&format!("{count} key(s) would be {done}; nothing was changed."));
        return Ok(None);
    }
    if count == 0 {
        note(&format!("No key is to be {done}."));
        return Ok(None);
    }
    if !prompt::is_possible() {
        return Err(CliError::usage(
            format!("{count} key(s) would be {done}, and nobody is there to confirm that number"),
            format!("--confirm {count} confirms it, --dry-run only counts"),
        ));
    }
    if session.out.is_for_people() {
        show(session, answer)?;
    }
    note(&format!("{count} key(s) will be {done}."));
    let typed = prompt::line("Type that number to go on: ")?;
    if typed.trim() == count.to_string() { Ok(Some(count)) } else { Err(CliError::Interrupted) }
}

/// The first of the keys.
fn show(session: &Session, answer: &Answer) -> Result<(), CliError> {
    if !session.out.is_for_people() {
        return session.out.raw(&serde_json::json!({ "count": answer.count.to_string() }));
    }
    if answer.sample.is_empty() {
        return Ok(());
    }
    // without a pager: Ctrl-C is to end the question that follows
    let (columns, look) = (COLUMNS.map(|field| (field.name, field.fit)), look());
    let cells = |key| COLUMNS.iter().map(|field| (field.cell)(key, look)).collect();
    let rows = answer.sample.iter().map(cells).collect();
    session.out.print(&session.out.table(&columns, rows))
}
