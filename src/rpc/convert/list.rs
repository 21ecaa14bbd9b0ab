//! `ListKeys`: filters, order and page tokens.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use tonic::Status;

use super::{Violations, access::optional_user_kind, key_to_pb, number};
use crate::{
    model::{
        caller::{Actor, Reach},
        catalogue::Catalogue,
        customer::Customers,
        id::KeyId,
        key::KeyState,
        label::Labels,
        list::{Cursor, KeyFilter, KeyOrder, KeyPage, PageRequest, PageSize, Place},
        name::{DomainName, EnvironmentName, GroupName},
        text::{DisplayName, SearchText},
        time::Timestamp,
        user::UserId,
    },
    rpc::pb,
};

/// Clients take messages of 4 MiB unless told otherwise.
pub(super) const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;
const TOKEN_BYTES_MAX: usize = 1024;
const FOREIGN_TOKEN: &str = "must be the next_page_token of a page with the same filters and order";

/// A parsed request.
#[derive(Debug)]
pub(in crate::rpc) struct ListParts {
    pub(in crate::rpc) filter: KeyFilter,
    pub(in crate::rpc) page: PageRequest,
}

impl ListParts {
    /// Reads a request. `reach` is what its caller may see.
    pub(in crate::rpc) fn parse(
        request: &pb::ListKeysRequest,
        reach: Reach,
    ) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let filter = filter(&mut violations, request, reach);
        let size = violations.check("page_size", PageSize::parse(request.page_size));
        let order = order(&mut violations, request.order);
        let token = request.page_token.as_str();
        let after = match order {
            Some(order) if !token.is_empty() => {
                let cursor = cursor_from_token(token, checksum(request), order);
                violations.check("page_token", cursor.ok_or(FOREIGN_TOKEN))
            }
            _ => None,
        };
        let parts = match (filter, size, order) {
            (Some(filter), Some(size), Some(order)) => {
                let descending = request.descending;
                Some(Self { filter, page: PageRequest { order, descending, size, after } })
            }
            _ => None,
        };
        violations.finish(parts)
    }
}

fn filter(
    violations: &mut Violations,
    request: &pb::ListKeysRequest,
    reach: Reach,
) -> Option<KeyFilter> {
    let domain = violations.optional("domain", &request.domain, DomainName::parse);
    let environment =
        violations.optional("environment", &request.environment, EnvironmentName::parse);
    let created_by = violations.optional("created_by", &request.created_by, Actor::parse);
    let search = violations.optional("search", &request.search, SearchText::parse);
    let last_used_before = violations.time("last_used_before", request.last_used_before);
    let expires_before = violations.time("expires_before", request.expires_before);
    let expires_after = violations.time("expires_after", request.expires_after);
    let retiring_before = violations.time("retiring_before", request.retiring_before);
    let labels = request.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = violations.check("labels", Labels::parse(labels));
    let states = states(violations, &request.states);
    let user = violations.optional("user", &request.user, UserId::parse);
    let user_kind = optional_user_kind(violations, "user_kind", request.user_kind);
    let group = violations.optional("group", &request.group, GroupName::parse);
    let managed_by = violations.optional("managed_by", &request.managed_by, KeyId::parse);
    let customer = violations.optional("customer", &request.customer, |text| {
        Customers::parse(&[text]).map(|_customers| Box::from(text)).map_err(|(_, error)| error)
    });
    Some(KeyFilter {
        domain,
        environment,
        states,
        created_by,
        labels: labels?,
        search,
        last_used_before,
        expires_before,
        expires_after,
        retiring_before,
        show_deleted: request.show_deleted,
        user,
        user_kind,
        group,
        customer,
        managed_by,
        reach,
    })
}

fn states(violations: &mut Violations, numbers: &[i32]) -> Vec<KeyState> {
    let mut states = Vec::new();
    for (at, state) in numbers.iter().enumerate() {
        let state = match pb::KeyState::try_from(*state) {
            Ok(pb::KeyState::Active) => KeyState::Active,
            Ok(pb::KeyState::Inactive) => KeyState::Inactive,
            Ok(pb::KeyState::Revoked) => KeyState::Revoked,
            Ok(pb::KeyState::Expired) => KeyState::Expired,
            Ok(pb::KeyState::Deleted) => KeyState::Deleted,
            Ok(pb::KeyState::Unspecified) | Err(_) => {
                violations.add(format!("states[{at}]"), "is not a state that a key can have");
                continue;
            }
        };
        if !states.contains(&state) {
            states.push(state);
        }
    }
    states
}

fn order(violations: &mut Violations, order: i32) -> Option<KeyOrder> {
    match pb::KeyOrder::try_from(order) {
        Ok(pb::KeyOrder::Unspecified | pb::KeyOrder::CreateTime) => Some(KeyOrder::CreateTime),
        Ok(pb::KeyOrder::DisplayName) => Some(KeyOrder::DisplayName),
        Ok(pb::KeyOrder::LastUsedTime) => Some(KeyOrder::LastUsedTime),
        Ok(pb::KeyOrder::ExpireTime) => Some(KeyOrder::ExpireTime),
        Err(_unknown) => {
            violations.add("order", "is not an order that this server knows");
            None
        }
    }
}

/// Tells requests with other filters apart: their pages do not continue each other.
fn checksum(request: &pb::ListKeysRequest) -> u32 {
    let filters =
        pb::ListKeysRequest { page_size: 0, page_token: String::new(), ..request.clone() };
    crc32fast::hash(&filters.encode_to_vec())
}

/// A page, cut where it grows too large for a client to read.
pub(in crate::rpc) fn page_to_pb(
    (page, catalogues): (KeyPage, &HashMap<DomainName, Catalogue>),
    order: KeyOrder,
    request: &pb::ListKeysRequest,
    now: Timestamp,
) -> pb::ListKeysResponse {
    let KeyPage { keys, mut next } = page;
    let mut shown = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for key in &keys {
        let one = key_to_pb(key, catalogues.get(&key.domain), now);
        bytes += one.encoded_len();
        shown.push(one);
        if bytes > PAGE_BYTES_MAX && shown.len() < keys.len() {
            next = Some(Cursor { place: order.place(key), id: key.id });
            break;
        }
    }
    let next = next.map(|cursor| cursor_to_token(&cursor, request));
    pb::ListKeysResponse { keys: shown, next_page_token: next.unwrap_or_default() }
}

/// Where the page after this one begins, as its caller is to send it back.
fn cursor_to_token(cursor: &Cursor, request: &pb::ListKeysRequest) -> String {
    let place = match &cursor.place {
        Place::Time(time) => time.micros().to_string(),
        Place::Name(name) => name.to_string(),
    };
    URL_SAFE_NO_PAD.encode(format!("1 {} {} {place}", checksum(request), cursor.id))
}

fn cursor_from_token(token: &str, checksum: u32, order: KeyOrder) -> Option<Cursor> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(4, ' ');
    let (version, sum) = (parts.next()?, parts.next()?);
    let (id, place) = (KeyId::parse(parts.next()?).ok()?, parts.next()?);
    if version != "1" || number(sum) != Some(checksum) {
        return None;
    }
    let place = match order {
        KeyOrder::DisplayName => Place::Name(DisplayName::parse(place).ok()?.as_str().into()),
        KeyOrder::CreateTime | KeyOrder::LastUsedTime | KeyOrder::ExpireTime => {
            Place::Time(place_time(Timestamp::from_micros(number(place)?))?)
        }
    };
    Some(Cursor { place, id })
}

/// A time that a key can be sorted by; the database knows no others.
fn place_time(time: Timestamp) -> Option<Timestamp> {
    let known = (Timestamp::FIRST..=Timestamp::LAST).contains(&time)
        || [Timestamp::DISTANT_PAST, Timestamp::DISTANT_FUTURE].contains(&time);
    known.then_some(time)
}
