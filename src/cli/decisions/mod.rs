//! `keyward decisions`: what was decided, and what is being decided.

mod fields;
mod follow;

use clap::{Args, Subcommand, ValueEnum};
use prost_types::Timestamp;

use self::fields::COLUMNS;
use super::{
    Ending,
    error::CliError,
    keys::{
        Named,
        find::{self, Among},
    },
    pages::PageArgs,
    read::past,
    session::Session,
};
use crate::rpc::pb::{DecisionFilter, ListDecisionsRequest, Reason, Verdict};

/// What to do with decisions.
#[derive(Debug, Subcommand)]
pub enum DecisionsCommand {
    /// List decisions that were logged, the newest first; or with --follow show them as they are made
    ///
    /// --follow shows what one replica decides from now on, until Ctrl-C, which ends it with status 130.
    /// Which decisions are logged is a setting of the server: denials, if nothing is set.
    #[command(after_help = "Examples:
  keyward decisions list --since 1h --verdict denied
  keyward decisions list --follow --domain acme --reason permission-denied")]
    List(Box<ListArgs>),
}

/// Settings of `keyward decisions list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// Show decisions as they are made
    #[arg(long, short, conflicts_with_all = ["start_time", "end_time", "limit"])]
    pub follow: bool,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Which decisions; each of these narrows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filter")]
pub struct FilterArgs {
    /// Of keys of this domain
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Of this key, by its id or its whole name
    #[arg(id = "key_id", long = "key", value_name = "KEY")]
    pub key: Option<String>,

    /// Of keys of this user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// For this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,

    /// Asked for in this environment
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,

    /// With this verdict
    #[arg(long, value_name = "VERDICT")]
    pub verdict: Option<Outcome>,

    /// Denied for this reason, such as permission-denied
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<Reason>,

    /// For routes that begin so
    #[arg(id = "route_prefix", long = "route", value_name = "PREFIX")]
    pub route: Option<String>,

    /// From this address, or a network such as 192.0.2.0/24
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<String>,

    /// The one of this id
    #[arg(id = "decision_id", long = "decision", value_name = "ID")]
    pub decision: Option<String>,

    /// From when on: a date, or how long ago such as 1h
    #[arg(id = "start_time", long = "since", value_name = "TIME", value_parser = past)]
    pub since: Option<Timestamp>,

    /// Until when: a date, or how long ago
    #[arg(id = "end_time", long = "until", value_name = "TIME", value_parser = past)]
    pub until: Option<Timestamp>,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// It was allowed
    Allowed,
    /// It was denied
    Denied,
}

fn reason(text: &str) -> Result<Reason, String> {
    let name = format!("REASON_{}", text.to_uppercase().replace('-', "_"));
    Reason::from_str_name(&name)
        .filter(|reason| *reason != Reason::Unspecified)
        .ok_or_else(|| "must be a reason such as key-unknown or permission-denied".to_owned())
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Allowed => Self::Allowed,
            Outcome::Denied => Self::Denied,
        }
    }
}

pub(super) async fn run(session: &Session, command: &DecisionsCommand) -> Result<Ending, CliError> {
    let DecisionsCommand::List(args) = command;
    let filter = filter(session, &args.filter).await?;
    if args.follow {
        return follow::follow(session, filter).await;
    }
    let page = async |page_size, page_token| {
        let request = ListDecisionsRequest { filter: Some(filter.clone()), page_size, page_token };
        let ask = async |request| session.insight().list_decisions(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.decisions, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)?;
    Ok(Ending::Done)
}

async fn filter(session: &Session, args: &FilterArgs) -> Result<DecisionFilter, CliError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let key_id = match &args.key {
        Some(key) => find::id(session, &Named { id: key.clone() }, Among::Present).await?,
        None => String::new(),
    };
    Ok(DecisionFilter {
        domain: text(&args.domain),
        key_id,
        user: text(&args.user),
        customer: text(&args.customer),
        environment: text(&args.environment),
        verdict: args.verdict.map_or(Verdict::Unspecified, Verdict::from).into(),
        reason: args.reason.unwrap_or_default().into(),
        route_prefix: text(&args.route),
        address: text(&args.address),
        decision_id: text(&args.decision),
        start_time: args.since,
        end_time: args.until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_as_it_is_shown() {
        assert_eq!(reason("permission-denied"), Ok(Reason::PermissionDenied));
        assert_eq!(reason("KEY_UNKNOWN"), Ok(Reason::KeyUnknown));
        assert!(reason("unspecified").is_err() && reason("x").is_err());
    }
}
