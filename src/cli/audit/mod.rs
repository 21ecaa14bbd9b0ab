//! `keyward audit`, as a server answers it: what was done and refused, and whether that record is whole.

pub mod stream;

use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::{
    Ending,
    access::line,
    args::Common,
    error::CliError,
    output::{Cell, Field, Fit, Tone, time},
    pages::PageArgs,
    read::past,
    session::Session,
};
use crate::rpc::pb::{
    AuditEvent, AuditFilter, AuditOutcome, ListAuditEventsRequest, VerifyAuditRequest,
};

/// What a server is asked about the audit, and which one.
#[derive(Debug)]
pub struct AuditQuestion {
    /// Which server, and how to show its answer.
    pub common: Common,
    /// What it is asked.
    pub subject: AuditSubject,
}

/// What a server is asked about the audit.
#[derive(Debug)]
pub enum AuditSubject {
    /// The newest events, a page or some.
    List {
        /// Which events.
        filter: Box<AuditFilter>,
        /// How many.
        page: PageArgs,
    },
    /// Whether it is whole.
    Verify(VerifyAuditRequest),
    /// All events.
    Export(Box<AuditFilter>),
}

impl AuditSubject {
    /// Whether these changes are whole, or all since an event whose number and hash somebody has kept.
    pub fn verify(revisions: RevisionArgs, known: Option<(i64, String)>) -> Self {
        let RevisionArgs { revision_min, revision_max } = revisions;
        let (known_number, known_hash) = known.unwrap_or_default();
        Self::Verify(VerifyAuditRequest { revision_min, revision_max, known_number, known_hash })
    }
}

/// Settings of `keyward audit list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Which changes.
    #[command(flatten)]
    pub revisions: RevisionArgs,
    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Which changes.
#[derive(Clone, Copy, Debug, Args)]
pub struct RevisionArgs {
    /// Only changes from this revision on
    #[arg(long, value_name = "REVISION", default_value = "0", hide_default_value = true)]
    pub revision_min: i64,

    /// Only changes up to this revision
    #[arg(long, value_name = "REVISION", default_value = "0", hide_default_value = true)]
    pub revision_max: i64,
}

/// Which events; each of these narrows.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter, by a server only")]
pub struct FilterArgs {
    /// About things of this kind: key, domain, environment, user, group, `route_map`, catalogue, template,
    /// customer or quota
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,

    /// About this: the id of a key, `DOMAIN` or `DOMAIN/NAME`
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,

    /// By this admin key, or of a login by this network
    #[arg(long, value_name = "ID")]
    pub actor: Option<String>,

    /// Of actions that begin so, such as keys. or keys.revoke
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,

    /// About what belongs to this domain
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Changes, or attempts that were refused
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<Outcome>,

    /// From when on: a date, or how long ago such as 7d
    #[arg(id = "start_time", long = "since", value_name = "TIME", value_parser = past)]
    pub since: Option<Timestamp>,

    /// Until when: a date, or how long ago
    #[arg(id = "end_time", long = "until", value_name = "TIME", value_parser = past)]
    pub until: Option<Timestamp>,

    /// Of the request that its caller, or whose job, is called so
    #[arg(long, value_name = "ID")]
    pub request_id: Option<String>,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Outcome {
    /// It changed something
    Changed,
    /// It was refused
    Refused,
}

impl From<Outcome> for AuditOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Changed => Self::Changed,
            Outcome::Refused => Self::Refused,
        }
    }
}

impl FilterArgs {
    /// The filter of a request.
    pub fn filter(&self, revisions: RevisionArgs) -> AuditFilter {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        AuditFilter {
            kind: text(&self.kind),
            subject: text(&self.subject),
            actor: text(&self.actor),
            action: text(&self.action),
            domain: text(&self.domain),
            outcome: self.outcome.map_or(AuditOutcome::Unspecified, AuditOutcome::from).into(),
            start_time: self.since,
            end_time: self.until,
            revision_min: revisions.revision_min,
            revision_max: revisions.revision_max,
            request_id: text(&self.request_id),
        }
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        let all = RevisionArgs { revision_min: 0, revision_max: 0 };
        self.filter(all) == AuditFilter::default()
    }
}

const COLUMNS: [Field<AuditEvent>; 9] = [
    Field { name: "Time", cell: |event, _| instant(event), fit: Fit::Whole },
    Field { name: "Action", cell: |event, _| action(event), fit: Fit::Whole },
    line!("Subject", subject, Fit::Cut),
    line!("Actor", actor, Fit::Cut),
    Field { name: "Refused for", cell: |event, _| refused(event), fit: Fit::Spare(1) },
    Field { name: "Revision", cell: |event, _| revision(event), fit: Fit::Spare(2) },
    line!("Domain", domain, Fit::Spare(4)),
    line!("From", peer, Fit::Spare(3)),
    line!("Request", request_id, Fit::Wide),
];

fn instant(event: &AuditEvent) -> Cell {
    let text = event.time.as_ref().map(time::absolute).unwrap_or_default();
    Cell::text(text.trim_end_matches(" UTC"))
}

fn action(event: &AuditEvent) -> Cell {
    match event.outcome() {
        AuditOutcome::Refused => Cell::toned(&event.action, Tone::Bad),
        AuditOutcome::Changed | AuditOutcome::Unspecified => Cell::text(&event.action),
    }
}

fn refused(event: &AuditEvent) -> Cell {
    match event.times {
        0 | 1 => Cell::text(&event.reason),
        times => Cell::text(format!("{} ({times} times)", event.reason)),
    }
}

fn revision(event: &AuditEvent) -> Cell {
    if event.revision == 0 { Cell::none() } else { Cell::text(event.revision.to_string()) }
}

pub(super) async fn run(session: &Session, subject: &AuditSubject) -> Result<Ending, CliError> {
    match subject {
        AuditSubject::List { filter, page } => list(session, filter, page).await,
        AuditSubject::Verify(request) => stream::verify(session, request).await,
        AuditSubject::Export(filter) => stream::export(session, filter).await,
    }
}

async fn list(
    session: &Session,
    filter: &AuditFilter,
    page: &PageArgs,
) -> Result<Ending, CliError> {
    let events = async |page_size, page_token| {
        let request =
            ListAuditEventsRequest { filter: Some(filter.clone()), page_size, page_token };
        let ask = async |request| session.insight().list_audit_events(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.events, answer.next_page_token))
    };
    page.collect(events).await?.show(session, &COLUMNS)?;
    Ok(Ending::Done)
}
