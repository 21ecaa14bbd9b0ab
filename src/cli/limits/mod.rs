//! `keyward limits`: what a key, a user, a customer or a domain may use, and what it has used.

pub mod owner;
pub mod spec;

use clap::{Args, Subcommand};
use serde_json::json;

use self::{
    owner::{Owned, Owner, OwnerArgs},
    spec::LimitFlags,
};
use super::{
    access::{ChangeArgs, SureArgs, tell},
    error::CliError,
    keys::fields::limit as limit_text,
    output::{Cell, Field, Fit, Look, Tone, look, messages, note},
    session::Session,
};
use crate::rpc::pb::{
    AdjustQuotaRequest, GetQuotaUsageRequest, Limit, QuotaUsage, adjust_quota_request::Adjustment,
};

/// What to do with limits.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Show limits, and of quotas what is used and left now
    #[command(after_help = "Examples:
  keyward limits show --key key_01jd2v3w4x5y6z7a8b9c0d1e2f
  keyward limits show --user ada --domain acme
  keyward limits show --domain acme")]
    Show(OwnerArgs),
    /// Set limits; others of other names stay
    #[command(after_help = "Example: keyward limits set --user ada --quota calls=10000/month")]
    Set(SetArgs),
    /// Remove limits by their names
    #[command(after_help = "Example: keyward limits remove --user ada calls")]
    Remove(RemoveArgs),
    /// Say what was used of a quota, or add credits
    #[command(after_help = "Examples:
  keyward limits adjust --user ada calls --reset
  keyward limits adjust --customer acme-inc calls --add-credits 5000")]
    Adjust(AdjustArgs),
}

/// Settings of `keyward limits set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Whose.
    #[command(flatten)]
    pub owner: OwnerArgs,

    /// Which.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward limits remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Their names
    #[arg(value_name = "LIMIT", required = true)]
    pub names: Vec<String>,

    /// Whose.
    #[command(flatten)]
    pub owner: OwnerArgs,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward limits adjust`.
#[derive(Debug, Args)]
pub struct AdjustArgs {
    /// The quota's name
    #[arg(value_name = "QUOTA")]
    pub quota: String,

    /// Whose.
    #[command(flatten)]
    pub owner: OwnerArgs,

    /// How it is adjusted.
    #[command(flatten)]
    pub how: HowArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// How a quota is adjusted.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct HowArgs {
    /// Nothing was used in the running period
    #[arg(long)]
    pub reset: bool,

    /// So much was used in the running period
    #[arg(long, value_name = "NUMBER")]
    pub used: Option<i64>,

    /// Add so many credits, or take them away with a minus
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub add_credits: Option<i64>,
}

/// A limit, and what is used of it if it is a quota.
struct Line {
    limit: Limit,
    usage: Option<QuotaUsage>,
}

const COLUMNS: [(&str, Fit); 6] = [
    ("Limit", Fit::Cut),
    ("Used", Fit::Whole),
    ("Left", Fit::Whole),
    ("Credits", Fit::Spare(2)),
    ("Begins anew", Fit::Spare(1)),
    ("Since", Fit::Wide),
];

const QUOTA: [Field<QuotaUsage>; 5] = [
    Field { name: "Quota", cell: |usage, _| Cell::text(&usage.name), fit: Fit::Whole },
    Field { name: "Used", cell: |usage, _| number(usage.used), fit: Fit::Whole },
    Field { name: "Credits", cell: |usage, _| number(usage.credits), fit: Fit::Whole },
    Field { name: "Left", cell: |usage, _| left(usage), fit: Fit::Whole },
    Field {
        name: "Begins anew",
        cell: |usage, look| Cell::when(usage.reset_time.as_ref(), look),
        fit: Fit::Whole,
    },
];

fn number(number: i64) -> Cell {
    Cell::text(number.to_string())
}

fn left(usage: &QuotaUsage) -> Cell {
    let tone = if usage.remaining == 0 { Tone::Bad } else { Tone::Usual };
    Cell::toned(usage.remaining.to_string(), tone)
}

impl Line {
    fn cells(&self, look: Look) -> Vec<Cell> {
        let usage = self.usage.as_ref();
        let or_none = |cell: Option<Cell>| cell.unwrap_or_else(Cell::none);
        let reset = usage.and_then(|usage| usage.reset_time.as_ref());
        let since = usage.and_then(|usage| usage.start_time.as_ref());
        vec![
            Cell::text(limit_text(&self.limit)),
            or_none(usage.map(|usage| number(usage.used))),
            or_none(usage.map(left)),
            or_none(usage.map(|usage| number(usage.credits))),
            Cell::ago(reset, "–", look),
            Cell::ago(since, "–", look),
        ]
    }
}

pub(super) async fn run(session: &Session, command: &LimitsCommand) -> Result<(), CliError> {
    match command {
        LimitsCommand::Show(args) => show(session, args).await,
        LimitsCommand::Set(args) => set(session, args).await,
        LimitsCommand::Remove(args) => remove(session, args).await,
        LimitsCommand::Adjust(args) => adjust(session, args).await,
    }
}

async fn show(session: &Session, args: &OwnerArgs) -> Result<(), CliError> {
    let owner = Owner::find(session, args).await?;
    let limits = owner.get(session).await?.limits;
    let request = GetQuotaUsageRequest { owner: Some(owner.pb()) };
    let ask = async |request| session.access().get_quota_usage(request).await;
    let quotas = session.ask(request, ask).await?.quotas;
    if !session.out.is_for_people() {
        let limits = limits.iter().map(messages::value).collect::<Result<Vec<_>, _>>()?;
        let quotas = quotas.iter().map(messages::value).collect::<Result<Vec<_>, _>>()?;
        return session.out.raw(&json!({ "limits": limits, "quotas": quotas }));
    }
    if limits.is_empty() {
        note("It has no limits of its own.");
        return Ok(());
    }
    let of = |limit: &Limit| quotas.iter().find(|usage| usage.name == limit.name).cloned();
    let lines = limits.into_iter().map(|limit| Line { usage: of(&limit), limit });
    let look = look();
    let rows = lines.map(|line| line.cells(look)).collect();
    session.out.print(&session.out.table(&COLUMNS, rows))
}

async fn set(session: &Session, args: &SetArgs) -> Result<(), CliError> {
    let Some(given) = args.limits.given() else {
        return Err(CliError::usage(
            "no limit is given",
            "give --rate, --quota or --concurrency; `keyward limits remove` takes limits away",
        ));
    };
    let owner = Owner::find(session, &args.owner).await?;
    let Owned { mut limits, etag } = owner.get(session).await?;
    for new in given {
        match limits.iter_mut().find(|limit| limit.name == new.name) {
            Some(limit) => *limit = new,
            None => limits.push(new),
        }
    }
    replace(session, &owner, Owned { limits, etag }, &args.change).await
}

async fn remove(session: &Session, args: &RemoveArgs) -> Result<(), CliError> {
    let owner = Owner::find(session, &args.owner).await?;
    let Owned { mut limits, etag } = owner.get(session).await?;
    for name in &args.names {
        let had = limits.len();
        limits.retain(|limit| limit.name != *name);
        if limits.len() == had {
            return Err(CliError::not_found(
                format!("there is no limit {name:?}"),
                "`keyward limits show` lists them",
            ));
        }
    }
    if !args.change.dry_run {
        args.sure.ask(&format!("Remove {}? What was used is forgotten.", args.names.join(", ")))?;
    }
    replace(session, &owner, Owned { limits, etag }, &args.change).await
}

/// Sets all limits, if nobody changed the thing since it was read.
async fn replace(
    session: &Session,
    owner: &Owner,
    new: Owned,
    change: &ChangeArgs,
) -> Result<(), CliError> {
    let (limits, revision) = owner.set(session, new, change.dry_run).await?;
    if session.out.is_for_people() {
        let texts: Vec<String> = limits.iter().map(limit_text).collect();
        let texts = if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
        tell(&format!("The limits are now: {texts}"), change.dry_run, revision);
        return Ok(());
    }
    let limits = limits.iter().map(messages::value).collect::<Result<Vec<_>, _>>()?;
    session.out.raw(&json!({ "limits": limits, "revision": revision.to_string() }))
}

async fn adjust(session: &Session, args: &AdjustArgs) -> Result<(), CliError> {
    let owner = Owner::find(session, &args.owner).await?;
    let adjustment = match (args.how.add_credits, args.how.used) {
        (Some(credits), _) => Adjustment::AddCredits(credits),
        (None, used) => Adjustment::Used(used.unwrap_or(0)),
    };
    let dry = args.change.dry_run;
    let request = AdjustQuotaRequest {
        owner: Some(owner.pb()),
        quota: args.quota.clone(),
        adjustment: Some(adjustment),
        validate_only: dry,
    };
    let send = async |request| session.access().adjust_quota(request).await;
    let answer = session.change(request, send).await?;
    if session.out.is_for_people() {
        session.out.show(&answer.quota.unwrap_or_default(), &QUOTA)?;
        tell("The quota was adjusted", dry, answer.revision);
        return Ok(());
    }
    session.out.value(&answer)
}
