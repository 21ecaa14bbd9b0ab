//! What of the audit comes as a stream: all its events, and whether they are whole.

use tonic::{Request, Streaming};

use crate::{
    cli::{
        Ending,
        args::Format,
        error::{CliError, Doubt, even_unread},
        output::{Tone, messages, progress::Progress, yaml},
        session::Session,
    },
    rpc::pb::{
        AuditFilter, AuditVerdict, ExportAuditEventsRequest, ExportAuditEventsResponse,
        VerifyAuditRequest, VerifyAuditResponse,
    },
};

/// Prints events as they come, the oldest first: in lines of JSON, or in documents of YAML.
pub(super) async fn export(session: &Session, filter: &AuditFilter) -> Result<Ending, CliError> {
    let refused = |status| session.refused(status, Doubt::Nothing);
    let request = Request::new(ExportAuditEventsRequest { filter: Some(filter.clone()) });
    let answer = session.insight().export_audit_events(request).await.map_err(refused)?;
    let mut events: Streaming<ExportAuditEventsResponse> = answer.into_inner();
    while let Some(answer) = events.message().await.map_err(refused)? {
        let event = answer.event.unwrap_or_default();
        let text = match session.out.format {
            Format::Table | Format::Json => messages::json_line(&event)? + "\n",
            Format::Yaml => format!("---\n{}", yaml::document(&messages::value(&event)?)),
        };
        session.out.print(&text)?;
    }
    Ok(Ending::Done)
}

/// Says whether the audit is whole.
pub(super) async fn verify(
    session: &Session,
    request: &VerifyAuditRequest,
) -> Result<Ending, CliError> {
    let refused = |status| session.refused(status, Doubt::Nothing);
    let request = Request::new(request.clone());
    let answer = session.insight().verify_audit(request).await.map_err(refused)?;
    let mut answers: Streaming<VerifyAuditResponse> = answer.into_inner();
    let mut progress = Progress::begin("events verified", None);
    while let Some(answer) = answers.message().await.map_err(refused)? {
        progress.show(answer.verified, Some(answer.total));
        if let Some(verdict) = &answer.verdict {
            progress.end();
            even_unread(conclude(session, &answer, verdict))?;
            return Ok(if verdict.intact { Ending::Done } else { Ending::Denied });
        }
    }
    Err(CliError::failed("the server ended without a verdict", "try again"))
}

fn conclude(
    session: &Session,
    answer: &VerifyAuditResponse,
    verdict: &AuditVerdict,
) -> Result<(), CliError> {
    if !session.out.is_for_people() {
        return session.out.value(answer);
    }
    let AuditVerdict { last_number: number, last_revision: revision, last_hash: hash, .. } =
        verdict;
    let verified = answer.verified;
    let Some(fault) = verdict.fault.as_ref().filter(|_| !verdict.intact) else {
        return session.out.print(&format!(
            "The audit is whole: {verified} event(s). The last is number {number}, of revision \
             {revision}. Keep its hash elsewhere, for --known-number {number} --known-hash:\n{hash}\n"
        ));
    };
    let broken = session.out.style("BROKEN", Tone::Bad);
    let what = session.out.style(&fault.description, Tone::Usual);
    session
        .out
        .print(&format!("{broken}: {what}; {verified} event(s) before are as they should be\n"))
}
