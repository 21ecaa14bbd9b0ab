//! `keyward authorize`: what a decision would be, and why.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{
    Ending,
    args::Common,
    error::{CliError, even_unread},
    output::{Cell, Field, Fit, Tone, time},
    prompt,
    read::{Secret, secret_file, secret_input},
    session::Session,
};
use crate::rpc::pb::{
    AuthorizeRequest, AuthorizeResponse, CheckOutcome, CheckResult, Explanation, LimitScope,
    LimitState, Mode, Reason,
};

/// What a request to decide about is, but for its key and environment.
#[derive(Debug, Args)]
pub struct AskedArgs {
    /// The permission that is needed, such as systems.read [default: what the route map says]
    #[arg(long, short, value_name = "PERMISSION")]
    pub permission: Option<String>,

    /// The path that is asked for, such as /api/v2/systems
    #[arg(long, short, value_name = "PATH")]
    pub route: Option<String>,

    /// The HTTP method of the request
    #[arg(long, short, value_name = "METHOD")]
    pub method: Option<String>,

    /// The customer that the request is for
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,

    /// The address of the client
    #[arg(long, value_name = "ADDRESS")]
    pub client_address: Option<String>,
}

impl AskedArgs {
    /// Whether nothing of it is given.
    pub(super) fn is_empty(&self) -> bool {
        let Self { permission, route, method, customer, client_address } = self;
        [permission, route, method, customer, client_address].into_iter().all(Option::is_none)
    }

    /// A request of it in an environment, still without a key.
    pub(super) fn request(&self, environment: String) -> AuthorizeRequest {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        AuthorizeRequest {
            environment,
            permission: text(&self.permission),
            route: text(&self.route),
            method: text(&self.method).to_uppercase(),
            customer: text(&self.customer),
            client_address: text(&self.client_address),
            ..AuthorizeRequest::default()
        }
    }
}

/// Settings of `keyward authorize`.
///
/// The key that is tried comes from --key-file, from the variable `KEYWARD_KEY`, from standard input, or is
/// asked for; it is never an argument. The admin key needs the permission keyward.keys.read.
#[derive(Debug, Args)]
pub struct AuthorizeArgs {
    /// Which server, and how to show its answer.
    #[command(flatten)]
    pub common: Common,

    /// The environment that asks
    #[arg(long, short, value_name = "NAME", default_value = "production")]
    pub environment: String,

    /// What is asked.
    #[command(flatten)]
    pub asked: AskedArgs,

    /// How much the request takes of limits
    #[arg(long, value_name = "NUMBER")]
    pub cost: Option<i64>,

    /// Decide with knowledge of this revision, as changes print it
    #[arg(long, value_name = "NUMBER", default_value = "0", hide_default_value = true)]
    pub min_revision: i64,

    /// Only ask whether the key is good
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["permission", "route", "method", "customer"])]
    pub authenticate_only: bool,

    /// A file with the key; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

pub(super) async fn run(session: &Session, args: &AuthorizeArgs) -> Result<Ending, CliError> {
    let key = match (&args.key_file, Secret::of_variable("KEYWARD_KEY")) {
        (Some(file), _) => secret_file("--key-file", file)?,
        (None, Some(key)) => key,
        (None, None) if prompt::is_possible() => prompt::secret("Key to try: ")?,
        (None, None) => secret_input("the key to try")?,
    };
    let mode = if args.authenticate_only { Mode::AuthenticateOnly } else { Mode::CheckOnly };
    let request = AuthorizeRequest {
        key: key.reveal().to_owned(),
        mode: mode.into(),
        min_revision: args.min_revision,
        explain: true,
        cost: args.cost,
        ..args.asked.request(args.environment.clone())
    };
    let ask = async |request| session.authorize().authorize(request).await;
    let answer = session.ask(request, ask).await?;
    even_unread(show(session, &answer))?;
    Ok(if answer.allowed { Ending::Done } else { Ending::Denied })
}

fn show(session: &Session, answer: &AuthorizeResponse) -> Result<(), CliError> {
    session.out.show(answer, &LINES)?;
    if session.out.is_for_people() {
        show_parts(session, answer)?;
    }
    Ok(())
}

const LINES: [Field<AuthorizeResponse>; 8] = [
    Field { name: "Decision", cell: |answer, _| decision(answer), fit: Fit::Whole },
    Field { name: "Key", cell: |answer, _| Cell::text(&answer.key_id), fit: Fit::Whole },
    Field { name: "Domain", cell: |answer, _| Cell::text(&answer.domain), fit: Fit::Whole },
    Field { name: "User", cell: |answer, _| Cell::text(&answer.user), fit: Fit::Whole },
    Field { name: "Labels", cell: |answer, _| Cell::pairs(&answer.labels), fit: Fit::Whole },
    Field { name: "Permission", cell: |answer, _| needed(answer), fit: Fit::Whole },
    Field { name: "Retry after", cell: |answer, _| retry_after(answer), fit: Fit::Whole },
    Field {
        name: "Revision",
        cell: |answer, _| Cell::text(answer.revision.to_string()),
        fit: Fit::Whole,
    },
];

fn decision(answer: &AuthorizeResponse) -> Cell {
    let status = answer.http_status;
    if answer.allowed {
        return Cell::toned(format!("allowed ({status})"), Tone::Good);
    }
    Cell::toned(format!("denied ({status}): {}", words(answer.reason())), Tone::Bad)
}

fn words(reason: Reason) -> String {
    reason.as_str_name().trim_start_matches("REASON_").to_owned()
}

fn needed(answer: &AuthorizeResponse) -> Cell {
    Cell::text(answer.explanation.as_ref().map_or("", |explanation| &explanation.permission))
}

fn retry_after(answer: &AuthorizeResponse) -> Cell {
    Cell::text(answer.retry_after.as_ref().map(time::rough).unwrap_or_default())
}

fn show_parts(session: &Session, answer: &AuthorizeResponse) -> Result<(), CliError> {
    if let Some(explanation) = &answer.explanation {
        session.out.print(&checks(session, explanation))?;
    }
    if answer.limits.is_empty() {
        return Ok(());
    }
    let columns = [
        ("Limit", Fit::Cut),
        ("Of", Fit::Whole),
        ("Left", Fit::Whole),
        ("Most", Fit::Whole),
        ("All there in", Fit::Spare(1)),
    ];
    let table = session.out.table(&columns, answer.limits.iter().map(limit).collect());
    session.out.print(&format!("\n{table}"))
}

/// What each check came to, as a table below an empty line.
pub(super) fn checks(session: &Session, explanation: &Explanation) -> String {
    let columns = [("Check", Fit::Whole), ("Outcome", Fit::Whole), ("Why", Fit::Cut)];
    let rows = explanation.checks.iter().map(check).collect();
    format!("\n{}", session.out.table(&columns, rows))
}

fn check(check: &CheckResult) -> Vec<Cell> {
    let name = check.check().as_str_name().trim_start_matches("CHECK_").to_lowercase();
    let outcome = match check.outcome() {
        CheckOutcome::Passed => Cell::toned("passed", Tone::Good),
        CheckOutcome::Failed => Cell::toned("failed", Tone::Bad),
        CheckOutcome::Skipped => Cell::toned("skipped", Tone::Faint),
        CheckOutcome::Unspecified => Cell::none(),
    };
    let reason = match check.reason() {
        Reason::Unspecified => String::new(),
        reason => words(reason),
    };
    let parts = [reason, check.detail.clone()];
    let parts: Vec<_> = parts.iter().filter(|part| !part.is_empty()).collect();
    let why = parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(": ");
    vec![Cell::text(name.replace('_', " ")), outcome, Cell::text(why)]
}

fn limit(state: &LimitState) -> Vec<Cell> {
    let scope = match state.scope() {
        LimitScope::Key => "key",
        LimitScope::User => "user",
        LimitScope::Customer => "customer",
        LimitScope::Domain => "domain",
        LimitScope::Unspecified => "",
    };
    let tone = if state.exceeded { Tone::Bad } else { Tone::Usual };
    let reset = state.reset.as_ref().map(time::rough).unwrap_or_default();
    vec![
        Cell::text(&state.name),
        Cell::text(scope),
        Cell::toned(state.remaining.to_string(), tone),
        Cell::text(state.limit.to_string()),
        Cell::text(reset),
    ]
}
