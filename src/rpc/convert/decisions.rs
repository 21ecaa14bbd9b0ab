//! The decision log: filters and pages in, decisions out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ipnet::IpNet;
use prost::Message;
use std::net::IpAddr;
use tonic::Status;

use super::{Violations, list::PAGE_BYTES_MAX, number, time_to_pb};
use crate::{
    model::{
        audit::FilterText,
        decision::{DecisionFilter, DecisionId, Entry, Page, Verdict, Way},
        id::KeyId,
        list::PageSize,
        name::DomainName,
        time::Timestamp,
    },
    rpc::pb,
    store::decisions::{DecisionPage, DecisionPlace},
};

const TOKEN_BYTES_MAX: usize = 256;
const FOREIGN_TOKEN: &str = "must be the next_page_token of a page with the same filter";
/// What the names of reasons begin with on the wire.
const REASON: &str = "REASON_";

/// What page of decisions is asked for.
pub(in crate::rpc) type DecisionPageRequest = (PageSize, Option<DecisionPlace>);

/// `ListDecisions`.
pub(in crate::rpc) fn decision_list(
    request: &pb::ListDecisionsRequest,
) -> Result<(DecisionFilter, DecisionPageRequest), Status> {
    let mut violations = Violations::default();
    let filter = filter(&mut violations, request.filter.as_ref());
    let size = violations.check("page_size", PageSize::parse(request.page_size));
    let after = violations.optional("page_token", &request.page_token, |token| {
        place_from_token(token, checksum(request)).ok_or(FOREIGN_TOKEN)
    });
    violations.finish(size.map(|size| (filter, (size, after))))
}

/// `WatchDecisions`.
pub(in crate::rpc) fn decision_watch(
    request: &pb::WatchDecisionsRequest,
) -> Result<DecisionFilter, Status> {
    let mut violations = Violations::default();
    let filter = filter(&mut violations, request.filter.as_ref());
    violations.finish(Some(filter))
}

fn filter(violations: &mut Violations, sent: Option<&pb::DecisionFilter>) -> DecisionFilter {
    let none = pb::DecisionFilter::default();
    let sent = sent.unwrap_or(&none);
    let domain = violations.optional("filter.domain", &sent.domain, DomainName::parse);
    let mut text = |name: &str, text: &str| violations.optional(name, text, FilterText::parse);
    let user = text("filter.user", &sent.user);
    let customer = text("filter.customer", &sent.customer);
    let environment = text("filter.environment", &sent.environment);
    let route_prefix = text("filter.route_prefix", &sent.route_prefix);
    DecisionFilter {
        domains: domain.map(|domain| vec![domain]),
        key: violations.optional("filter.key_id", &sent.key_id, KeyId::parse),
        user,
        customer,
        environment,
        verdict: verdict(violations, sent.verdict),
        reason: reason(violations, sent.reason),
        route_prefix,
        network: violations.optional("filter.address", &sent.address, network),
        id: violations.optional("filter.decision_id", &sent.decision_id, DecisionId::parse),
        start: violations.time("filter.start_time", sent.start_time),
        end: violations.time("filter.end_time", sent.end_time),
    }
}

fn verdict(violations: &mut Violations, verdict: i32) -> Option<Verdict> {
    match pb::Verdict::try_from(verdict) {
        Ok(pb::Verdict::Unspecified) => None,
        Ok(pb::Verdict::Allowed) => Some(Verdict::Allowed),
        Ok(pb::Verdict::Denied) => Some(Verdict::Denied),
        Err(_unknown) => {
            violations.add("filter.verdict", "is not a verdict that this server knows");
            None
        }
    }
}

fn reason(violations: &mut Violations, reason: i32) -> Option<Box<str>> {
    match pb::Reason::try_from(reason) {
        Ok(pb::Reason::Unspecified) => None,
        Ok(reason) => reason.as_str_name().strip_prefix(REASON).map(Into::into),
        Err(_unknown) => {
            violations.add("filter.reason", "is not a reason that this server knows");
            None
        }
    }
}

fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    let network = address.or_else(|_of_network| text.parse::<IpNet>());
    network.map(|network| network.trunc()).or(Err("must be an address or a network"))
}

/// Tells requests with other filters apart: their pages do not continue each other.
fn checksum(request: &pb::ListDecisionsRequest) -> u32 {
    let filter = request.filter.as_ref().map(Message::encode_to_vec);
    crc32fast::hash(&filter.unwrap_or_default())
}

fn token(place: &DecisionPlace, checksum: u32) -> String {
    let DecisionPlace { time, id } = place;
    URL_SAFE_NO_PAD.encode(format!("1 {checksum} {} {} {}", time.micros(), id.thread, id.count))
}

fn place_from_token(token: &str, checksum: u32) -> Option<DecisionPlace> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(5, ' ');
    let (version, sum) = (parts.next()?, parts.next()?);
    let time = Timestamp::from_micros(number(parts.next()?)?);
    let id = DecisionId { thread: number(parts.next()?)?, count: number(parts.next()?)? };
    let known = (Timestamp::FIRST..=Timestamp::LAST).contains(&time);
    (version == "1" && number(sum) == Some(checksum) && known).then_some(DecisionPlace { time, id })
}

/// A page, cut where it grows too large for a client to read.
pub(in crate::rpc) fn decision_page_to_pb(
    page: &DecisionPage,
    request: &pb::ListDecisionsRequest,
) -> pb::ListDecisionsResponse {
    let mut next = page.next;
    let mut decisions = Vec::with_capacity(page.decisions.len());
    let mut bytes = 0;
    for entry in page.decisions.entries() {
        let one = entry_to_pb(&entry);
        bytes += one.encoded_len();
        decisions.push(one);
        if bytes > PAGE_BYTES_MAX && decisions.len() < page.decisions.len() {
            next = Some(DecisionPlace { time: entry.time, id: entry.id });
            break;
        }
    }
    let next_page_token = next.map(|place| token(&place, checksum(request))).unwrap_or_default();
    pb::ListDecisionsResponse { decisions, next_page_token }
}

/// What of a page a filter shows.
pub(in crate::rpc) fn shown_to_pb(page: &Page, filter: &DecisionFilter) -> Vec<pb::LoggedDecision> {
    let shown = page.entries().filter(|entry| filter.shows(entry));
    shown.map(|entry| entry_to_pb(&entry)).collect()
}

fn entry_to_pb(entry: &Entry<'_>) -> pb::LoggedDecision {
    let reason = pb::Reason::from_str_name(&format!("{REASON}{}", entry.reason));
    pb::LoggedDecision {
        time: Some(time_to_pb(entry.time)),
        decision_id: entry.id.to_string(),
        allowed: entry.is_allowed(),
        reason: reason.unwrap_or_default().into(),
        key_id: entry.key.map(|key| key.to_string()).unwrap_or_default(),
        domain: entry.domain.to_owned(),
        environment: entry.environment.to_owned(),
        user: entry.user.to_owned(),
        customer: entry.customer.to_owned(),
        method: entry.method.to_owned(),
        route: entry.route.to_owned(),
        permission: entry.permission.to_owned(),
        address: entry.address.map(|address| address.to_string()).unwrap_or_default(),
        way: way_to_pb(entry.way).into(),
        limit: entry.limit.to_owned(),
        revision: entry.revision,
    }
}

const fn way_to_pb(way: Way) -> pb::DecisionWay {
    match way {
        Way::Authorize => pb::DecisionWay::Authorize,
        Way::Batch => pb::DecisionWay::Batch,
        Way::Stream => pb::DecisionWay::Stream,
        Way::ExtAuthz => pb::DecisionWay::ExtAuthz,
        Way::ForwardAuth => pb::DecisionWay::ForwardAuth,
    }
}
