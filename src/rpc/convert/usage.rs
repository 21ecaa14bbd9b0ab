//! `QueryUsage`: questions in, rows out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use tonic::Status;

use super::{Violations, number, time_to_pb};
use crate::{
    model::{
        customer::CustomerId,
        id::KeyId,
        list::PageSize,
        name::DomainName,
        time::Timestamp,
        usage::{Span, Step, UsageOf},
        user::UserId,
    },
    rpc::pb,
    store::usage_hours::{UsageQuery, UsageSum, UsageTable},
};

const TOKEN_BYTES_MAX: usize = 256;
const FOREIGN_TOKEN: &str = "must be the next_page_token of a page of the same question";

/// `QueryUsage`.
pub(in crate::rpc) fn usage_query(request: &pb::QueryUsageRequest) -> Result<UsageQuery, Status> {
    let mut violations = Violations::default();
    let of = usage_of(&mut violations, request);
    let step = step(&mut violations, request.step);
    let start = violations.time("start_time", request.start_time);
    let end = violations.time("end_time", request.end_time);
    let span = violations.check("end_time", Span::parse(start, end));
    let size = violations.check("page_size", PageSize::parse(request.page_size));
    let after = violations.optional("page_token", &request.page_token, |token| {
        time_from_token(token, checksum(request)).ok_or(FOREIGN_TOKEN)
    });
    let query = || {
        let rows = size?.items();
        Some(UsageQuery { of, domains: None, span: span?, step: step?, after, rows })
    };
    let query = query();
    violations.finish(query)
}

fn usage_of(violations: &mut Violations, request: &pb::QueryUsageRequest) -> UsageOf {
    let key = violations.optional("key_id", &request.key_id, KeyId::parse);
    let domain = violations.optional("domain", &request.domain, DomainName::parse);
    let user = violations.optional("user", &request.user, UserId::parse);
    let customer = violations.optional("customer", &request.customer, CustomerId::parse);
    if !request.key_id.is_empty() && !request.domain.is_empty() {
        violations.add("domain", "must be empty with key_id");
    }
    if !request.user.is_empty() && request.domain.is_empty() {
        violations.add("domain", "is required with user");
    }
    if !request.customer.is_empty() && request.domain.is_empty() {
        violations.add("domain", "is required with customer");
    }
    if !request.customer.is_empty() && !request.user.is_empty() {
        violations.add("customer", "must be empty with user");
    }
    match (key, domain) {
        (Some(key), _) => UsageOf::Key(key),
        (None, Some(domain)) => match (user, customer) {
            (Some(user), _) => UsageOf::User(domain, user),
            (None, Some(customer)) => UsageOf::Customer(domain, customer),
            (None, None) => UsageOf::Domain(domain),
        },
        (None, None) => UsageOf::All,
    }
}

fn step(violations: &mut Violations, step: i32) -> Option<Step> {
    match pb::UsageStep::try_from(step) {
        Ok(pb::UsageStep::Hour) => Some(Step::Hour),
        Ok(pb::UsageStep::Unspecified | pb::UsageStep::Day) => Some(Step::Day),
        Ok(pb::UsageStep::Month) => Some(Step::Month),
        Err(_unknown) => {
            violations.add("step", "is not a step that this server knows");
            None
        }
    }
}

/// Tells other questions apart: their pages do not continue each other.
fn checksum(request: &pb::QueryUsageRequest) -> u32 {
    let page_token = String::new();
    let question = pb::QueryUsageRequest { page_size: 0, page_token, ..request.clone() };
    crc32fast::hash(&question.encode_to_vec())
}

fn time_from_token(token: &str, checksum: u32) -> Option<Timestamp> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(3, ' ');
    let (version, sum) = (parts.next()?, parts.next()?);
    let time = Timestamp::from_micros(number(parts.next()?)?);
    let known = (Timestamp::FIRST..=Timestamp::LAST).contains(&time);
    (version == "1" && number(sum) == Some(checksum) && known).then_some(time)
}

/// An answer, outward.
pub(in crate::rpc) fn usage_to_pb(
    table: &UsageTable,
    request: &pb::QueryUsageRequest,
) -> pb::QueryUsageResponse {
    let rows = table.steps.iter().map(|(start, sum)| pb::UsageRow {
        start_time: Some(time_to_pb(*start)),
        count: Some(sum_to_pb(sum)),
    });
    let next = table.steps.last().filter(|_| table.more).map(|(start, _)| {
        URL_SAFE_NO_PAD.encode(format!("1 {} {}", checksum(request), start.micros()))
    });
    pb::QueryUsageResponse {
        rows: rows.collect(),
        next_page_token: next.unwrap_or_default(),
        total: Some(sum_to_pb(&table.total)),
    }
}

const fn sum_to_pb(sum: &UsageSum) -> pb::UsageCount {
    let [stopped, misplaced, forbidden, limited] = sum.denied;
    pb::UsageCount {
        allowed: sum.allowed,
        denied_stopped: stopped,
        denied_misplaced: misplaced,
        denied_forbidden: forbidden,
        denied_limited: limited,
        cost: sum.cost,
    }
}
