//! Between protobuf and the nouns. The only validation of requests there is.

pub(super) mod access;
mod audit;
mod decision;
mod decisions;
mod explain;
mod import;
mod jobs;
mod key;
mod limits;
mod list;
mod request;
mod settings;
mod usage;

use std::{str::FromStr, time::Duration};

use tonic::Status;
use tonic_types::FieldViolation;

pub(super) use audit::{
    audit_event_to_pb, audit_export, audit_list, audit_page_to_pb, audit_verify, progress_to_pb,
};
pub(super) use decision::{AuthorizeParts, reason_to_pb, settlement};
pub(super) use decisions::{decision_list, decision_page_to_pb, decision_watch, shown_to_pb};
pub(super) use explain::{effective_to_pb, explain, explanation_to_pb};
pub(super) use import::{ItemReader, import_options};
pub(super) use jobs::{
    deactivate_keys, error_page_to_pb, job_errors, job_id, job_list, job_page_to_pb, job_to_pb,
    purge, revoke_keys,
};
pub(super) use key::{draft_to_pb, key_to_pb};
pub(super) use limits::{limits_to_pb, rule_to_pb, scope_to_pb};
pub(super) use list::{ListParts, page_to_pb};
pub(super) use request::{
    delete, lookup, parse_id, regenerate, regenerate_own, revoke, revoke_own, target,
};
pub(super) use settings::{create, update};
pub(super) use usage::{usage_query, usage_to_pb};

use crate::{
    admin::Effect,
    model::{group::Groups, time::Timestamp},
    rpc::status,
};

/// Collects what is wrong with a request, so that its caller learns all of it at once.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation::new(field, description));
    }

    /// The value, or a note of why there is none.
    fn check<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// The same for a list whose error tells the position.
    fn check_list<T, E: ToString>(
        &mut self,
        field: &str,
        result: Result<T, (usize, E)>,
    ) -> Option<T> {
        result.map_err(|(at, error)| self.add(format!("{field}[{at}]"), error.to_string())).ok()
    }

    /// A present text, parsed; an empty one is absent.
    fn optional<T, E: ToString>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.check(field, parse(text)) }
    }

    /// The same for a text that must be there.
    fn required<T, E: ToString>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.is_empty() {
            self.add(field, "is required");
            return None;
        }
        self.check(field, parse(text))
    }

    fn time(&mut self, field: &str, time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
        time.and_then(|time| self.check(field, time_from_pb(time)))
    }

    /// The value if nothing was wrong. Something that is missing was noted.
    fn finish<T>(self, value: Option<T>) -> Result<T, Status> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.into_status()),
        }
    }

    fn into_status(self) -> Status {
        status::invalid(self.0)
    }
}

const NOT_A_TIME: &str = "must be a time from year 1 to 9999 with nanos from 0 to 999999999";

fn time_from_pb(time: prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let micros = nanos.and_then(|nanos| {
        time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1000))
    });
    let time = micros.map(Timestamp::from_micros);
    time.filter(|time| (Timestamp::FIRST..=Timestamp::LAST).contains(time)).ok_or(NOT_A_TIME)
}

pub(super) fn time_to_pb(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0);
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

fn duration_to_pb(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

fn duration_from_pb(duration: prost_types::Duration) -> Option<Duration> {
    let whole = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(whole, nanos))
}

const fn effect(validate_only: bool) -> Effect {
    if validate_only { Effect::ValidateOnly } else { Effect::Apply }
}

/// The names of groups that are there.
fn group_names(groups: &Groups) -> Vec<String> {
    let there = groups.iter().filter(|group| !group.deleted);
    there.map(|group| group.name.to_string()).collect()
}

/// The names of groups that were deleted.
fn deleted_group_names(groups: &Groups) -> Vec<String> {
    let gone = groups.iter().filter(|group| group.deleted);
    gone.map(|group| group.name.to_string()).collect()
}

/// A number from its text, for tokens.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}
