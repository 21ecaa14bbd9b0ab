//! `keyward audit verify` and `export` as they read the database itself, without a server.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::bail;
use serde_json::{Value as Json, json};

use crate::{
    app::{
        banner,
        commands::{run_with_store, shown},
    },
    cli::audit::RevisionArgs,
    config::audit::{AuditArgs, AuditCommand, VerifyArgs},
    model::{
        audit::{AuditFilter, AuditOrder, AuditPageRequest, Revisions},
        chain::KnownSeal,
        list::PageSize,
    },
    store::{
        Store,
        audit::{
            list::{AuditContent, AuditEvent},
            verify::{Progress, Verdict, Verification},
        },
    },
};

/// Runs `keyward audit`.
pub fn audit(args: &AuditArgs) -> anyhow::Result<()> {
    match &args.command {
        // a server is asked
        AuditCommand::List(_) => Ok(()),
        AuditCommand::Verify(args) => {
            run_with_store(&args.database, async |store| verify(store, args).await)
        }
        AuditCommand::Export(args) => {
            let revisions = args.revisions;
            run_with_store(&args.database, async |store| export(&store, revisions).await)
        }
    }
}

fn revisions(args: RevisionArgs) -> anyhow::Result<Revisions> {
    match Revisions::parse(args.revision_min, args.revision_max) {
        Ok(revisions) => Ok(revisions),
        Err(invalid) => bail!("--revision-min and --revision-max: {invalid}"),
    }
}

async fn verify(store: Store, args: &VerifyArgs) -> anyhow::Result<()> {
    let known = args.known_number.zip(args.known_hash);
    let known = known.map(|(number, hash)| KnownSeal { number, hash });
    let mut verification = Verification::begin(store, revisions(args.revisions)?, known).await?;
    let terminal = io::stderr().is_terminal();
    let verdict = loop {
        if let Some(verdict) = verification.advance().await? {
            break verdict;
        }
        if terminal {
            show(verification.progress())?;
        }
    };
    if terminal {
        writeln!(io::stderr())?;
    }
    conclude(&verdict)
}

fn show(Progress { verified, total }: Progress) -> io::Result<()> {
    let mut out = io::stderr().lock();
    write!(out, "\r{verified} of {total} events verified")?;
    out.flush()
}

fn conclude(Verdict { verified, last, fault }: &Verdict) -> anyhow::Result<()> {
    let (number, revision) = (last.name.number, last.name.revision);
    if let Some(fault) = fault {
        banner::say(&format!("BROKEN: {fault}"))?;
        bail!("the audit is broken after {verified} event(s) that are as they should be: {fault}");
    }
    banner::say(&format!(
        "The audit is whole: {verified} event(s). The last is number {number}, of revision \
         {revision}. Keep its hash elsewhere, for --known-number {number} --known-hash:\n{}",
        last.hash
    ))?;
    Ok(())
}

async fn export(store: &Store, args: RevisionArgs) -> anyhow::Result<()> {
    let filter = AuditFilter { revisions: revisions(args)?, ..AuditFilter::default() };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut after = None;
    loop {
        let order = AuditOrder::OldestFirst;
        let request = AuditPageRequest { order, size: PageSize::DEFAULT, after };
        let page = store.list_audit(&filter, &request).await?;
        for event in &page.events {
            writeln!(out, "{}", line(event))?;
        }
        after = page.next;
        if after.is_none() {
            out.flush()?;
            return Ok(());
        }
    }
}

/// An event as a line, with the names that its fields have in the service `Insight`.
fn line(event: &AuditEvent) -> Json {
    let mut line = json!({
        "time": shown(event.place.time),
        "actor": event.actor,
        "peer": event.peer,
        "action": event.action,
        "kind": event.kind,
        "subject": event.subject,
        "domain": event.domain,
        "request_id": event.request,
    });
    let rest = match &event.content {
        AuditContent::Changed { number, hash, before, after } => json!({
            "outcome": "changed",
            "revision": event.place.revision,
            "position": event.place.position,
            "number": number,
            "hash": hash.map(|hash| hash.to_string()),
            "before": before,
            "after": after,
        }),
        AuditContent::Refused { reason, times, last, last_subject } => json!({
            "outcome": "refused",
            "reason": reason,
            "times": times,
            "last_time": shown(*last),
            "last_subject": last_subject,
        }),
    };
    if let (Some(line), Json::Object(rest)) = (line.as_object_mut(), rest) {
        line.extend(rest);
    }
    line
}
