//! The table of which error becomes which status. Goal: programs can match on code and reason for
//! good, and nothing internal leaks.

use std::{io, time::Duration};

use prost::Message;

use super::*;
use crate::{
    model::{id::KeyId, secret::NoRandomness},
    rpc::pb,
};

fn key_id() -> KeyId {
    KeyId::from_bytes([0; 16])
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(io::Error::other("10.0.0.7 refused").into())
}

fn statuses() -> Vec<(&'static str, Status)> {
    let corrupt = StoreError::corrupt("key", "standing", "unknown standing");
    let constraint = StoreError::Constraint { name: "key_digest_unique".into() };
    let discontinuity = StoreError::Discontinuity { applied: 7, what: "gap" };
    let schema = StoreError::Schema("too new".into());
    let old = StoreError::ServerTooOld { version: 1 };
    vec![
        ("not permitted", admin(AdminError::NotPermitted { permission: "keyward.keys.read" })),
        ("outlives", admin(AdminError::OutlivesCaller)),
        ("caller stopped", admin(AdminError::CallerStopped)),
        ("caller changed", admin(AdminError::CallerChanged)),
        ("outranks", admin(AdminError::OutranksCaller { grant: "keyward".into() })),
        ("unknown key", admin(AdminError::UnknownKey(key_id()))),
        ("unknown token", admin(AdminError::UnknownToken)),
        ("stale etag", admin(AdminError::StaleEtag { present: "v2".into() })),
        ("deleted", admin(Refusal::Deleted.into())),
        ("not deleted", admin(Refusal::NotDeleted.into())),
        ("revoked", admin(Refusal::Revoked.into())),
        ("not active", admin(Refusal::NotActive.into())),
        ("invalid", admin(AdminError::Invalid { field: "domain", message: "must be" })),
        ("no randomness", admin(NoRandomness.into())),
        ("database away", admin(unavailable().into())),
        ("corrupt", admin(corrupt.into())),
        ("constraint", admin(constraint.into())),
        ("discontinuity", admin(discontinuity.into())),
        ("schema", admin(schema.into())),
        ("old server", admin(old.into())),
        ("loading", not_ready(NotReady::Loading)),
        ("stale", not_ready(NotReady::Stale { age: Duration::from_secs(7) })),
        ("behind", not_ready(NotReady::Behind { reached: 7 })),
        ("draining", draining()),
        ("no key", unauthenticated(Reason::KeyMissing)),
        ("unknown admin", unauthenticated(Reason::KeyUnknown)),
        ("expired admin", unauthenticated(Reason::KeyExpired)),
    ]
}

#[test]
fn every_error_has_its_code_and_reason() {
    let found: Vec<String> = statuses()
        .into_iter()
        .map(|(name, status)| {
            let details = status.get_error_details();
            let info = details.error_info().expect("every status has ErrorInfo");
            assert_eq!(info.domain, "keyward");
            let retry = if details.retry_info().is_some() { " retry" } else { "" };
            format!("{name}: {:?} {}{retry}", status.code(), info.reason)
        })
        .collect();
    assert_eq!(
        found,
        [
            "not permitted: PermissionDenied PERMISSION_MISSING",
            "outlives: PermissionDenied OUTLIVES_CALLER",
            "caller stopped: Unauthenticated KEY_INACTIVE",
            "caller changed: Unavailable REPLICA_STALE retry",
            "outranks: PermissionDenied OUTRANKS_CALLER",
            "unknown key: NotFound KEY_NOT_FOUND",
            "unknown token: NotFound KEY_NOT_FOUND",
            "stale etag: Aborted ETAG_MISMATCH",
            "deleted: FailedPrecondition KEY_DELETED",
            "not deleted: AlreadyExists KEY_NOT_DELETED",
            "revoked: FailedPrecondition KEY_REVOKED",
            "not active: FailedPrecondition KEY_NOT_ACTIVE",
            "invalid: InvalidArgument INVALID_FIELD",
            "no randomness: Internal INTERNAL",
            "database away: Unavailable DATABASE_UNAVAILABLE retry",
            "corrupt: Internal INTERNAL",
            "constraint: Internal INTERNAL",
            "discontinuity: Internal INTERNAL",
            "schema: Internal INTERNAL",
            "old server: Internal INTERNAL",
            "loading: Unavailable REPLICA_NOT_READY retry",
            "stale: Unavailable REPLICA_STALE retry",
            "behind: Unavailable REVISION_NOT_REACHED retry",
            "draining: Unavailable DRAINING retry",
            "no key: Unauthenticated KEY_MISSING",
            "unknown admin: Unauthenticated KEY_UNKNOWN",
            "expired admin: Unauthenticated KEY_EXPIRED",
        ]
    );
}

#[test]
fn what_is_internal_stays_inside() {
    for (name, status) in statuses() {
        for words in ["10.0.0.7", "standing", "digest", "gap", "too new"] {
            assert!(!status.message().contains(words), "{name}: {}", status.message());
        }
    }
}

#[test]
fn an_undecodable_string_is_named_by_its_whole_path() {
    // UpdateKeyRequest.key (field 1) { display_name (field 4): one byte that is not UTF-8 }
    let bytes: [u8; 5] = [0x0a, 3, 0x22, 1, 0xff];
    let error = pb::UpdateKeyRequest::decode(bytes.as_slice()).expect_err("not UTF-8");
    let status = undecodable(&error);
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let violations = &details.bad_request().expect("names the field").field_violations;
    assert_eq!(violations[0].field, "key.display_name");
    assert!(violations[0].description.contains("UTF-8"), "{violations:?}");
}

#[test]
fn no_more_violations_are_told_than_a_header_holds() {
    let many =
        (0..1000).map(|at| FieldViolation::new(format!("permissions[{at}]"), "x".repeat(50)));
    let status = invalid(many.collect());
    assert!(status.details().len() + status.message().len() < 8 * 1024);
}
