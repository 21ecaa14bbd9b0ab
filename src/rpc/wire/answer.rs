//! Writes answers straight from decisions.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    io::Write as _,
};

use prost::Message;

use super::write::Writer;
use crate::{
    authorize::Outcome,
    decide::Decision,
    model::{
        decision::DecisionId,
        meter::{Fit, Gauge, Reading},
        reservation::ReservationId,
        time::Timestamp,
    },
    rpc::{
        convert::{explanation_to_pb, reason_to_pb, rule_to_pb, scope_to_pb, time_to_pb},
        pb,
    },
};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// What was decided.
    pub outcome: Outcome,
    /// What the decision is called in logs.
    pub id: DecisionId,
}

impl Answer {
    /// The answer of this decision, which is the next one of this thread.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, id: next_id() }
    }

    /// Writes it as an `AuthorizeResponse`.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        write_answer(self, &mut Writer(buffer));
    }

    /// Writes it as the next one of a `BatchAuthorizeResponse`.
    pub fn write_next(&self, buffer: &mut Vec<u8>) {
        Writer(buffer).nested(1, |inner| write_answer(self, inner));
    }
}

fn write_answer(answer: &Answer, writer: &mut Writer<'_>) {
    let outcome = &answer.outcome;
    let (allowed, http_status, reason) = match outcome.decision {
        Decision::Allow => (true, 200, pb::Reason::Unspecified),
        Decision::Deny(reason) => (false, reason.http_status(), reason_to_pb(reason)),
    };
    writer.fact(1, allowed);
    writer.number(2, i64::from(http_status));
    writer.number(3, i64::from(i32::from(reason)));
    if let Some(key) = &outcome.key {
        writer.bytes(4, &key.id.text());
        writer.text(5, key.profile.domain.name.as_str());
        for (name, value) in key.labels.iter() {
            writer.nested(6, |entry| {
                entry.text(1, name);
                entry.text(2, value);
            });
        }
    }
    writer.number(7, outcome.knowledge.revision);
    writer.duration(8, outcome.knowledge.age);
    writer.nested(9, |inner| write_id(answer.id, inner.0));
    if let Some(user) = outcome.key.as_ref().and_then(|key| key.profile.user.as_ref()) {
        user.facts.of_latest(|facts| writer.text(10, &facts.id));
    }
    if let Some(explanation) = outcome.explanation.as_deref() {
        writer.bytes(11, &explanation_to_pb(explanation).encode_to_vec());
    }
    if let Some(verdict) = &outcome.verdict {
        for (gauge, reading) in verdict.readings() {
            writer.nested(12, |inner| write_reading(&gauge, reading, inner));
        }
    }
    if let Some(retry_after) = outcome.retry_after {
        writer.duration(13, retry_after);
    }
    writer.fact(14, outcome.verdict.as_ref().is_some_and(|verdict| verdict.degraded));
    if let Some((id, end)) = outcome.reservation {
        writer.nested(15, |inner| write_reservation(id, end, inner));
    }
}

/// The state of a limit, as a `LimitState`.
fn write_reading(gauge: &Gauge<'_>, reading: &Reading, writer: &mut Writer<'_>) {
    let (kind, limit) = rule_to_pb(&gauge.limit.rule);
    writer.text(1, gauge.limit.name.as_str());
    writer.number(2, i64::from(i32::from(scope_to_pb(gauge.scope))));
    writer.number(3, i64::from(i32::from(kind)));
    writer.number(4, limit);
    if let Some(window) = reading.window {
        writer.duration(5, window);
    }
    writer.number(6, reading.remaining);
    writer.duration(7, reading.reset);
    writer.fact(8, reading.fit != Fit::Fits);
    writer.fact(9, reading.fit == Fit::TooCostly);
}

/// What was reserved, as a `Reservation`.
fn write_reservation(id: ReservationId, end: Timestamp, writer: &mut Writer<'_>) {
    // a buffer that grows takes whatever is written
    writer.nested(1, |inner| write!(inner.0, "{id}").unwrap_or_default());
    let end = time_to_pb(end);
    writer.instant(2, end.seconds, i64::from(end.nanos));
}

/// The id of the next decision of this thread.
pub(super) fn next_id() -> DecisionId {
    thread_local! {
        static THREAD: u64 = RandomState::new().hash_one(std::thread::current().id());
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    let count = COUNT.replace(COUNT.get().wrapping_add(1));
    DecisionId { thread: THREAD.with(|thread| *thread), count }
}

/// Writes an id as it is shown: `dec_`, sixteen digits of the thread, and the count without leading zeros.
fn write_id(id: DecisionId, buffer: &mut Vec<u8>) {
    let digits = id.count.checked_ilog2().map_or(1, |bits| bits / 4 + 1);
    buffer.extend_from_slice(b"dec_");
    buffer.extend((0..16).rev().map(|place| hex_digit(id.thread, place)));
    buffer.extend((0..digits).rev().map(|place| hex_digit(id.count, place)));
}

/// The hexadecimal digit at a place, counted from the last.
fn hex_digit(number: u64, place: u32) -> u8 {
    let digit = usize::try_from(number >> (4 * place) & 0xf).unwrap_or(0);
    HEX_DIGITS.get(digit).copied().unwrap_or(b'0')
}
