//! The audit: filters and pages in, events and verdicts out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde_json::Value as Json;
use tonic::Status;

use super::{Violations, list::PAGE_BYTES_MAX, number, time_to_pb};
use crate::{
    model::{
        audit::{
            AuditFilter, AuditOrder, AuditOutcome, AuditPageRequest, AuditPlace, FilterText,
            Revisions,
        },
        chain::{ChainHash, Fault, KnownSeal, Wrong},
        list::PageSize,
        name::DomainName,
        record::Kind,
        text::RequestId,
        time::Timestamp,
    },
    rpc::pb::{self, audit_fault},
    store::audit::{
        list::{AuditContent, AuditEvent, AuditPage},
        verify::{Progress, Verdict},
    },
};

const TOKEN_BYTES_MAX: usize = 256;
const FOREIGN_TOKEN: &str = "must be the next_page_token of a page with the same filter";
const UNKNOWN_KIND: &str = "must be one of key, domain, environment, user, group, route_map, \
                            catalogue, template, customer, quota, job";

/// `ListAuditEvents`.
pub(in crate::rpc) fn audit_list(
    request: &pb::ListAuditEventsRequest,
) -> Result<(AuditFilter, AuditPageRequest), Status> {
    let mut violations = Violations::default();
    let filter = filter(&mut violations, request.filter.as_ref());
    let size = violations.check("page_size", PageSize::parse(request.page_size));
    let after = violations.optional("page_token", &request.page_token, |token| {
        place_from_token(token, checksum(request)).ok_or(FOREIGN_TOKEN)
    });
    let page = size.map(|size| AuditPageRequest { order: AuditOrder::NewestFirst, size, after });
    violations.finish(filter.zip(page))
}

/// `ExportAuditEvents`.
pub(in crate::rpc) fn audit_export(
    request: &pb::ExportAuditEventsRequest,
) -> Result<AuditFilter, Status> {
    let mut violations = Violations::default();
    let filter = filter(&mut violations, request.filter.as_ref());
    violations.finish(filter)
}

/// `VerifyAudit`.
pub(in crate::rpc) fn audit_verify(
    request: &pb::VerifyAuditRequest,
) -> Result<(Revisions, Option<KnownSeal>), Status> {
    let mut violations = Violations::default();
    let revisions = Revisions::parse(request.revision_min, request.revision_max);
    let revisions = violations.check("revision_min", revisions);
    let known = match (request.known_number, request.known_hash.as_str()) {
        (0, "") => None,
        (number, hash) => {
            if number < 1 {
                violations.add("known_number", "is required with known_hash, and from 1 on");
            }
            if revisions.is_some_and(|revisions| !revisions.are_all()) {
                violations.add("known_number", "must be absent with revisions");
            }
            let hash = violations.required("known_hash", hash, ChainHash::parse);
            hash.map(|hash| KnownSeal { number, hash })
        }
    };
    violations.finish(revisions.map(|revisions| (revisions, known)))
}

fn filter(violations: &mut Violations, sent: Option<&pb::AuditFilter>) -> Option<AuditFilter> {
    let none = pb::AuditFilter::default();
    let sent = sent.unwrap_or(&none);
    let kind = |text: &str| Kind::parse(text).ok_or(UNKNOWN_KIND);
    let revisions = Revisions::parse(sent.revision_min, sent.revision_max);
    let domain = violations.optional("filter.domain", &sent.domain, DomainName::parse);
    Some(AuditFilter {
        kind: violations.optional("filter.kind", &sent.kind, kind),
        subject: violations.optional("filter.subject", &sent.subject, FilterText::parse),
        actor: violations.optional("filter.actor", &sent.actor, FilterText::parse),
        action: violations.optional("filter.action", &sent.action, FilterText::parse),
        domains: domain.map(|domain| vec![domain]),
        outcome: outcome(violations, sent.outcome),
        start: violations.time("filter.start_time", sent.start_time),
        end: violations.time("filter.end_time", sent.end_time),
        request: violations.optional("filter.request_id", &sent.request_id, RequestId::parse),
        revisions: violations.check("filter.revision_min", revisions)?,
    })
}

fn outcome(violations: &mut Violations, outcome: i32) -> Option<AuditOutcome> {
    match pb::AuditOutcome::try_from(outcome) {
        Ok(pb::AuditOutcome::Unspecified) => None,
        Ok(pb::AuditOutcome::Changed) => Some(AuditOutcome::Changed),
        Ok(pb::AuditOutcome::Refused) => Some(AuditOutcome::Refused),
        Err(_unknown) => {
            violations.add("filter.outcome", "is not an outcome that this server knows");
            None
        }
    }
}

/// Tells requests with other filters apart: their pages do not continue each other.
fn checksum(request: &pb::ListAuditEventsRequest) -> u32 {
    let filter = request.filter.as_ref().map(Message::encode_to_vec);
    crc32fast::hash(&filter.unwrap_or_default())
}

fn token(place: &AuditPlace, checksum: u32) -> String {
    let AuditPlace { time, revision, position } = place;
    URL_SAFE_NO_PAD.encode(format!("1 {checksum} {} {revision} {position}", time.micros()))
}

fn place_from_token(token: &str, checksum: u32) -> Option<AuditPlace> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(5, ' ');
    let (version, sum) = (parts.next()?, parts.next()?);
    let time = Timestamp::from_micros(number(parts.next()?)?);
    let place =
        AuditPlace { time, revision: number(parts.next()?)?, position: number(parts.next()?)? };
    let known = (Timestamp::FIRST..=Timestamp::LAST).contains(&time);
    (version == "1" && number(sum) == Some(checksum) && known).then_some(place)
}

/// A page, cut where it grows too large for a client to read.
pub(in crate::rpc) fn audit_page_to_pb(
    page: &AuditPage,
    request: &pb::ListAuditEventsRequest,
) -> pb::ListAuditEventsResponse {
    let mut next = page.next;
    let mut events = Vec::with_capacity(page.events.len());
    let mut bytes = 0;
    for event in &page.events {
        let one = audit_event_to_pb(event);
        bytes += one.encoded_len();
        events.push(one);
        if bytes > PAGE_BYTES_MAX && events.len() < page.events.len() {
            next = Some(event.place);
            break;
        }
    }
    let next_page_token = next.map(|place| token(&place, checksum(request))).unwrap_or_default();
    pb::ListAuditEventsResponse { events, next_page_token }
}

/// An event, outward.
pub(in crate::rpc) fn audit_event_to_pb(event: &AuditEvent) -> pb::AuditEvent {
    let common = pb::AuditEvent {
        time: Some(time_to_pb(event.place.time)),
        actor: event.actor.clone(),
        peer: event.peer.clone().unwrap_or_default(),
        action: event.action.clone(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        domain: event.domain.clone().unwrap_or_default(),
        request_id: event.request.clone(),
        ..pb::AuditEvent::default()
    };
    match &event.content {
        AuditContent::Changed { number, hash, before, after } => pb::AuditEvent {
            outcome: pb::AuditOutcome::Changed.into(),
            revision: event.place.revision,
            position: event.place.position,
            number: *number,
            hash: hash.map(|hash| hash.to_string()).unwrap_or_default(),
            before: before.as_ref().map(struct_to_pb),
            after: after.as_ref().map(struct_to_pb),
            ..common
        },
        AuditContent::Refused { reason, times, last, last_subject } => pb::AuditEvent {
            outcome: pb::AuditOutcome::Refused.into(),
            reason: reason.clone(),
            times: *times,
            last_time: Some(time_to_pb(*last)),
            last_subject: last_subject.clone(),
            ..common
        },
    }
}

fn struct_to_pb(shown: &Json) -> prost_types::Struct {
    let members = shown.as_object().into_iter().flatten();
    let fields = members.map(|(name, value)| (name.clone(), value_to_pb(value)));
    prost_types::Struct { fields: fields.collect() }
}

fn value_to_pb(value: &Json) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(bool) => Kind::BoolValue(*bool),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => {
            let values = items.iter().map(value_to_pb).collect();
            Kind::ListValue(prost_types::ListValue { values })
        }
        Json::Object(_) => Kind::StructValue(struct_to_pb(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// How far a verification has come, outward.
pub(in crate::rpc) fn progress_to_pb(
    progress: Progress,
    verdict: Option<&Verdict>,
) -> pb::VerifyAuditResponse {
    pb::VerifyAuditResponse {
        verified: progress.verified,
        total: progress.total,
        verdict: verdict.map(verdict_to_pb),
    }
}

fn verdict_to_pb(verdict: &Verdict) -> pb::AuditVerdict {
    pb::AuditVerdict {
        intact: verdict.fault.is_none(),
        last_number: verdict.last.name.number,
        last_revision: verdict.last.name.revision,
        last_hash: verdict.last.hash.to_string(),
        fault: verdict.fault.as_ref().map(fault_to_pb),
    }
}

fn fault_to_pb(fault: &Fault) -> pb::AuditFault {
    let (kind, missing) = match fault.wrong {
        Wrong::Edited => (audit_fault::Kind::Edited, 0),
        Wrong::OutOfOrder => (audit_fault::Kind::OutOfOrder, 0),
        Wrong::Missing { count } => (audit_fault::Kind::Missing, count),
        Wrong::Foreign => (audit_fault::Kind::Foreign, 0),
        Wrong::Rewritten => (audit_fault::Kind::Rewritten, 0),
        Wrong::Head => (audit_fault::Kind::Head, 0),
    };
    pb::AuditFault {
        kind: kind.into(),
        number: fault.event.number,
        revision: fault.event.revision,
        position: fault.event.position,
        missing,
        description: fault.to_string(),
    }
}
