//! The one place where a gRPC status is made: which code, which reason, which details.
//!
//! Each carries `google.rpc.ErrorInfo` of domain `keyward`; its reason is what programs match on.

use std::{collections::HashMap, time::Duration};

use prost::{DecodeError, EncodeError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};
use tracing::{error, warn};

use crate::{
    admin::{AdminError, denial::Denial},
    decide::Reason,
    journal::tail::TooManyWatchers,
    limiter::shared::Away,
    model::{key::Refusal, record::Kind},
    proxy::refusal::Meaning,
    replica::lease::NotReady,
    store::error::StoreError,
    telemetry::chain,
};

const DOMAIN: &str = "keyward";
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How much is said in detail and, cut off if need be, as the message. Both travel in trailers, of which proxies
/// take 8 KiB: the details in base64, which makes four bytes of three, and the message once more
/// with up to three bytes for one.
const VIOLATIONS_BYTES_MAX: usize = 4096;
const MESSAGE_BYTES_MAX: usize = 512;

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

fn plain(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn passing(reason: &str, message: impl Into<String>) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// Fields of a request that are wrong; those that do not fit are left out.
pub(super) fn invalid(mut violations: Vec<FieldViolation>) -> Status {
    let mut bytes = 0;
    violations.retain(|one| {
        bytes += one.field.len() + one.description.len();
        bytes <= VIOLATIONS_BYTES_MAX
    });
    let texts = violations.iter().map(|one| format!("{}: {}", one.field, one.description));
    let mut message = texts.collect::<Vec<_>>().join("; ");
    while message.len() > MESSAGE_BYTES_MAX {
        message.pop();
    }
    let mut details = details("INVALID_FIELD");
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// One field of a request that is wrong.
pub(super) fn invalid_field(field: impl Into<String>, description: &'static str) -> Status {
    invalid(vec![FieldViolation::new(field, description)])
}

/// A message that is not protobuf, or has a string that is not UTF-8.
pub(super) fn undecodable(error: &DecodeError) -> Status {
    // "failed to decode Protobuf message: Inner.field: Outer.field: what is wrong"
    let text = error.to_string();
    let text = text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&text);
    let mut fields = Vec::new();
    let mut rest = text;
    while let Some((place, after)) = rest.split_once(": ") {
        let Some((_message, field)) = place.split_once('.') else {
            break;
        };
        fields.push(field);
        rest = after;
    }
    fields.reverse();
    invalid(vec![FieldViolation::new(fields.join("."), rest)])
}

/// Whether an answer is the error of a message that is longer than its method takes; no other error has its
/// code.
pub(super) fn is_too_large<B>(answer: &http::Response<B>) -> bool {
    Status::from_header_map(answer.headers())
        .is_some_and(|status| status.code() == Code::OutOfRange)
}

/// An answer that does not fit its buffer, which grows as needed.
pub(super) fn unencodable(error: &EncodeError) -> Status {
    internal(&chain(error))
}

/// This replica cannot know the answer now.
pub(super) fn not_ready(not_ready: NotReady) -> Status {
    match not_ready {
        NotReady::Loading => passing("REPLICA_NOT_READY", "the keys are not loaded yet"),
        NotReady::Stale { age } => passing(
            "REPLICA_STALE",
            format!("the keys are as of {} s ago, which is too old", age.as_secs()),
        ),
        NotReady::LacksPepper => passing(
            "PEPPER_MISSING",
            "this replica lacks a pepper that keys need; another one may know the key",
        ),
        NotReady::Behind { reached } => passing(
            "REVISION_NOT_REACHED",
            format!("this replica is at revision {reached}, before min_revision"),
        ),
    }
}

/// This process is going down.
pub(super) fn draining() -> Status {
    passing("DRAINING", "this server is shutting down; connect again")
}

/// A caller asks more often than the limits of its key, or failed tries, let it.
pub(super) fn too_often(reason: Reason, retry_after: Option<Duration>) -> Status {
    let message = match reason {
        Reason::FailuresThrottled => {
            "too many tries from your address have failed; try again later"
        }
        _ => "the limits of the key are used up; try again later",
    };
    let mut details = details(reason.name());
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// No reservation of this name is open.
pub(super) fn no_reservation() -> Status {
    let message = "no such reservation is open: it is over or settled, or another replica without \
                   Redis made it";
    plain(Code::NotFound, "RESERVATION_NOT_FOUND", message)
}

/// Reservations are where nobody answers.
pub(super) fn limits_away(away: &Away) -> Status {
    warn!(error = chain(away), "a reservation could not be settled");
    passing("LIMITS_UNAVAILABLE", "reservations cannot be reached now; try again")
}

/// As many watch as may.
pub(super) fn too_many_watchers(full: &TooManyWatchers) -> Status {
    plain(Code::ResourceExhausted, "TOO_MANY_WATCHERS", full.to_string())
}

/// A service or method that is not here, as tonic says it.
pub(super) fn no_such_method() -> Status {
    Status::unimplemented("")
}

/// A request that took too long, as tonic says it.
pub(super) fn timed_out() -> Status {
    Status::cancelled("Timeout expired")
}

/// Somebody whom we ask took too long.
pub(super) fn too_slow() -> Status {
    Status::deadline_exceeded("no answer in time")
}

/// A call that is for the other listener.
pub(super) fn not_here() -> Status {
    plain(Code::Unimplemented, "OTHER_LISTENER", "is for the authorize listener")
}

/// No randomness for the id of a reservation.
pub(super) fn no_randomness() -> Status {
    internal("the system has no randomness")
}

/// No key, or not one that is good for this service.
pub(super) fn unauthenticated(reason: Reason) -> Status {
    let name = reason.name();
    let message = match reason {
        Reason::KeyMissing => "send a key as metadata `authorization: Bearer <token>`",
        _ => "the key is not good here",
    };
    plain(Code::Unauthenticated, name, message)
}

/// Why an operator's call failed.
pub(super) fn admin(error: AdminError) -> Status {
    match error {
        AdminError::Denied(denial) => denied(&denial),
        AdminError::CallerStopped => unauthenticated(Reason::KeyInactive),
        AdminError::CallerChanged => passing("REPLICA_STALE", error.to_string()),
        AdminError::UnknownKey(_) | AdminError::UnknownToken => {
            plain(Code::NotFound, "KEY_NOT_FOUND", error.to_string())
        }
        AdminError::NotFound { kind, .. } => {
            plain(Code::NotFound, &format!("{}_NOT_FOUND", noun(kind)), error.to_string())
        }
        AdminError::Exists { kind, .. } => {
            plain(Code::AlreadyExists, &format!("{}_EXISTS", noun(kind)), error.to_string())
        }
        AdminError::Protected { kind, .. } => {
            let reason = format!("{}_PROTECTED", noun(kind));
            plain(Code::FailedPrecondition, &reason, error.to_string())
        }
        AdminError::InUse { kind, message, details } => {
            let reason = format!("{}_IN_USE", noun(kind));
            let info = details.into_iter().map(|(name, text)| (name.to_owned(), text));
            let info: HashMap<_, _> = info.collect();
            let details = ErrorDetails::with_error_info(reason, DOMAIN, info);
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        AdminError::StaleEtag { .. } => plain(Code::Aborted, "ETAG_MISMATCH", error.to_string()),
        AdminError::Refused(refusal) => refused(refusal),
        AdminError::Invalid { field, message } => {
            invalid(vec![FieldViolation::new(field, message)])
        }
        AdminError::TooManyKeys { .. } => {
            plain(Code::FailedPrecondition, "TOO_MANY_KEYS", error.to_string())
        }
        AdminError::CountMismatch { .. } => {
            plain(Code::FailedPrecondition, "COUNT_MISMATCH", error.to_string())
        }
        AdminError::JobEnded => plain(Code::FailedPrecondition, "JOB_ENDED", error.to_string()),
        AdminError::StillReceiving => plain(Code::Aborted, "CONFLICT", error.to_string()),
        AdminError::NoRandomness(error) => internal(&chain(&error)),
        AdminError::Store(error) => store(&error),
    }
}

/// What reasons call a kind; a domain's route map and catalogue are there if the domain is.
const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Key => "KEY",
        Kind::Domain | Kind::RouteMap | Kind::Catalogue => "DOMAIN",
        Kind::Environment => "ENVIRONMENT",
        Kind::User => "USER",
        Kind::Group => "GROUP",
        Kind::Template => "TEMPLATE",
        Kind::Customer => "CUSTOMER",
        Kind::Quota => "QUOTA",
        Kind::Job => "JOB",
        Kind::Pepper => "PEPPER",
    }
}

/// What the caller may not, in words and for programs.
fn denied(denial: &Denial) -> Status {
    let permission = denial.permission().map(|name| (String::from("permission"), name));
    let info: HashMap<_, _> = permission.into_iter().collect();
    let details = ErrorDetails::with_error_info(denial.reason(), DOMAIN, info);
    Status::with_error_details(Code::PermissionDenied, denial.to_string(), details)
}

fn refused(refusal: Refusal) -> Status {
    let (code, reason) = match refusal {
        Refusal::Deleted => (Code::FailedPrecondition, "KEY_DELETED"),
        Refusal::NotDeleted => (Code::AlreadyExists, "KEY_NOT_DELETED"),
        Refusal::Revoked => (Code::FailedPrecondition, "KEY_REVOKED"),
        Refusal::NotActive => (Code::FailedPrecondition, "KEY_NOT_ACTIVE"),
        Refusal::UserGone => (Code::FailedPrecondition, "USER_NOT_FOUND"),
    };
    plain(code, reason, refusal.to_string())
}

fn store(error: &StoreError) -> Status {
    match error {
        StoreError::Unavailable(_) => {
            warn!(error = chain(error), "an admin call found no database");
            passing("DATABASE_UNAVAILABLE", "the database is not available; try again")
        }
        StoreError::Conflict(_) => {
            plain(Code::Aborted, "CONFLICT", "lost against concurrent changes; try again")
        }
        StoreError::Constraint { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Discontinuity { .. }
        | StoreError::Schema(_)
        | StoreError::MissingMigrations(_)
        | StoreError::MissingPepper { .. }
        | StoreError::RetiredPepper { .. }
        | StoreError::ServerTooOld { .. }
        | StoreError::Refused(_) => internal(&chain(error)),
    }
}

/// What Envoy looks at: success lets a request pass, and nothing else does. The code of a refusal is never
/// that of success.
pub(super) fn of_check(refused: Option<Meaning>) -> u8 {
    refused.map_or(0, Meaning::grpc_code)
}

/// Something that must not be: the caller gets an id, the log the words.
fn internal(words: &str) -> Status {
    let error_id = crate::clock::boot().nanos();
    error!(error_id, error = words, "an internal error");
    plain(Code::Internal, "INTERNAL", format!("internal error {error_id}; the log has its cause"))
}

#[cfg(test)]
mod tests;
