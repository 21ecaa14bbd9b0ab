//! `keyward usage`: how much keys were used, as a plot.

mod plot;

use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::{
    args::Common,
    error::CliError,
    keys::{
        Named,
        find::{self, Among},
    },
    output::{note, time},
    read::past,
    session::Session,
};
use crate::rpc::pb::{QueryUsageRequest, QueryUsageResponse, UsageRow, UsageStep};

const PAGE_ROWS: i32 = 1000;
/// Ten years of hours.
const ROWS_MAX: usize = 100_000;

pub(super) const EXAMPLES: &str = "Examples:
  keyward usage --since 7d
  keyward usage --key key_01jd2v3w4x5y6z7a8b9c0d1e2f --step hour --since 24h
  keyward usage --domain acme --user ada --step month --output json
  keyward usage --domain acme --customer acme-inc

Hours, days and months are those of UTC. Of customers those are counted that Keyward knows.";

/// Settings of `keyward usage`.
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Which server, and how to show its answer.
    #[command(flatten)]
    pub common: Common,

    /// Of this key, by its id or its whole name [default: of all keys]
    #[arg(id = "key_id", long = "key", value_name = "KEY", conflicts_with_all = ["domain", "user"])]
    pub key: Option<String>,

    /// Of all keys of this domain
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Of all keys of this user, whose domain is `default` if none is given
    #[arg(long, short, value_name = "ID")]
    pub user: Option<String>,

    /// Of all requests for this customer, whose domain is `default` if none is given
    #[arg(long, value_name = "ID", conflicts_with_all = ["key_id", "user"])]
    pub customer: Option<String>,

    /// How much time one line stands for
    #[arg(long, value_name = "STEP", default_value = "day")]
    pub step: Step,

    /// From when on: a date, or how long ago
    #[arg(id = "start_time", long = "since", value_name = "TIME", default_value = "30d", value_parser = past)]
    pub since: Timestamp,

    /// Until when: a date, or how long ago [default: now]
    #[arg(id = "end_time", long = "until", value_name = "TIME", value_parser = past)]
    pub until: Option<Timestamp>,
}

/// How much time one line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// An hour
    Hour,
    /// A day
    Day,
    /// A month
    Month,
}

impl From<Step> for UsageStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Hour => Self::Hour,
            Step::Day => Self::Day,
            Step::Month => Self::Month,
        }
    }
}

pub(super) async fn run(session: &Session, args: &UsageArgs) -> Result<(), CliError> {
    let answer = all(session, request(session, args).await?).await?;
    if !session.out.is_for_people() {
        return session.out.value(&answer);
    }
    if answer.rows.is_empty() {
        note(&format!("Nothing was counted since {}.", time::absolute(&args.since)));
        return Ok(());
    }
    session.out.page(&plot::draw(session, &answer, args.step))
}

async fn request(session: &Session, args: &UsageArgs) -> Result<QueryUsageRequest, CliError> {
    let key_id = match &args.key {
        Some(key) => find::id(session, &Named { id: key.clone() }, Among::Present).await?,
        None => String::new(),
    };
    let user = args.user.clone().unwrap_or_default();
    let customer = args.customer.clone().unwrap_or_default();
    let usual = if user.is_empty() && customer.is_empty() { "" } else { "default" };
    Ok(QueryUsageRequest {
        key_id,
        domain: args.domain.clone().unwrap_or_else(|| usual.to_owned()),
        user,
        customer,
        step: UsageStep::from(args.step).into(),
        start_time: Some(args.since),
        end_time: args.until,
        page_size: PAGE_ROWS,
        page_token: String::new(),
    })
}

/// All pages in one answer.
async fn all(
    session: &Session,
    mut request: QueryUsageRequest,
) -> Result<QueryUsageResponse, CliError> {
    let mut rows: Vec<UsageRow> = Vec::new();
    loop {
        let ask = async |request| session.insight().query_usage(request).await;
        let page = session.ask(request.clone(), ask).await?;
        rows.extend(page.rows);
        let is_last = page.next_page_token.is_empty() || rows.len() >= ROWS_MAX;
        if is_last {
            let next_page_token = page.next_page_token;
            return Ok(QueryUsageResponse { rows, next_page_token, total: page.total });
        }
        request.page_token = page.next_page_token;
    }
}
