//! The table of which error becomes which status. Goal: programs can match on code and reason for
//! good, and nothing internal leaks.

use std::{io, time::Duration};

use prost::Message;

use super::*;
use crate::{
    model::{
        caller::{Action, Noun, Right},
        id::KeyId,
        pepper::PepperId,
        record::ThingName,
        secret::NoRandomness,
    },
    rpc::pb,
};

fn key_id() -> KeyId {
    KeyId::from_bytes([0; 16])
}

fn unavailable() -> StoreError {
    StoreError::Unavailable(io::Error::other("10.0.0.7 refused").into())
}

const KINDS: [Kind; 12] = [
    Kind::Key,
    Kind::Domain,
    Kind::Environment,
    Kind::User,
    Kind::Group,
    Kind::RouteMap,
    Kind::Catalogue,
    Kind::Template,
    Kind::Customer,
    Kind::Quota,
    Kind::Job,
    Kind::Pepper,
];

fn denials() -> Vec<(&'static str, Denial)> {
    let right = Right { noun: Noun::Keys, action: Action::Read };
    let grant = || "systems.read".into();
    vec![
        ("not permitted", Denial::NotPermitted { right }),
        ("not delegated", Denial::NotDelegated),
        ("delegated", Denial::Delegated),
        ("ceiling", Denial::ExceedsCeiling { grant: grant() }),
        ("outranks", Denial::OutranksCaller { grant: grant() }),
        ("outlives", Denial::OutlivesCaller),
        ("managed", Denial::ManagedByAnother { manager: key_id() }),
        ("self regenerate", Denial::NoSelfRegenerate),
        ("address", Denial::Address),
    ]
}

fn thing(name: &str) -> ThingName {
    ThingName::of_all(name)
}

fn in_use(by: &[&str]) -> AdminError {
    let details = if by.is_empty() { Vec::new() } else { vec![("keys", by.join(","))] };
    AdminError::InUse { kind: Kind::Group, message: "2 keys have it".into(), details }
}

fn statuses() -> Vec<(&'static str, Status)> {
    let corrupt = StoreError::corrupt("key", "standing", "unknown standing");
    let constraint = StoreError::Constraint { name: "key_digest_unique".into() };
    let discontinuity = StoreError::Discontinuity { applied: 7, what: "gap", source: None };
    let schema = StoreError::Schema("too new".into());
    let old = StoreError::ServerTooOld { version: 1 };
    let invalid = AdminError::Invalid { field: "domain".into(), message: "must be".into() };
    let kind = Kind::Domain;
    let denied = denials().into_iter().map(|(name, denial)| (name, admin(denial.into())));
    let others = [
        ("caller stopped", admin(AdminError::CallerStopped)),
        ("caller changed", admin(AdminError::CallerChanged)),
        ("unknown key", admin(AdminError::UnknownKey(key_id()))),
        ("unknown token", admin(AdminError::UnknownToken)),
        ("protected", admin(AdminError::Protected { kind, name: thing("keyward") })),
        ("in use", admin(in_use(&["key_1", "key_2"]))),
        ("stale etag", admin(AdminError::StaleEtag { present: "v2".into() })),
        ("deleted", admin(Refusal::Deleted.into())),
        ("not deleted", admin(Refusal::NotDeleted.into())),
        ("revoked", admin(Refusal::Revoked.into())),
        ("not active", admin(Refusal::NotActive.into())),
        ("user gone", admin(Refusal::UserGone.into())),
        ("invalid", admin(invalid)),
        ("too many", admin(AdminError::TooManyKeys { max: 7 })),
        ("other count", admin(AdminError::CountMismatch { found: 7 })),
        ("job ended", admin(AdminError::JobEnded)),
        ("still receiving", admin(AdminError::StillReceiving)),
        ("no randomness", admin(NoRandomness.into())),
        ("database away", admin(unavailable().into())),
        ("corrupt", admin(corrupt.into())),
        ("constraint", admin(constraint.into())),
        ("discontinuity", admin(discontinuity.into())),
        ("schema", admin(schema.into())),
        (
            "missing pepper",
            admin(
                StoreError::MissingPepper { id: PepperId::of_verifier(&[1; 32]), secrets: 1 }
                    .into(),
            ),
        ),
        (
            "retired pepper",
            admin(StoreError::RetiredPepper { id: PepperId::of_verifier(&[1; 32]) }.into()),
        ),
        ("old server", admin(old.into())),
        ("loading", not_ready(NotReady::Loading)),
        ("stale", not_ready(NotReady::Stale { age: Duration::from_secs(7) })),
        ("behind", not_ready(NotReady::Behind { reached: 7 })),
        ("lacks pepper", not_ready(NotReady::LacksPepper)),
        ("draining", draining()),
        ("no key", unauthenticated(Reason::KeyMissing)),
        ("unknown admin", unauthenticated(Reason::KeyUnknown)),
        ("expired admin", unauthenticated(Reason::KeyExpired)),
        ("disabled domain", unauthenticated(Reason::DomainDisabled)),
        ("too often", too_often(Reason::RateLimited, Some(Duration::from_secs(3)))),
        ("too costly", too_often(Reason::QuotaExhausted, None)),
        ("failures", too_often(Reason::FailuresThrottled, Some(Duration::from_secs(1)))),
        ("no reservation", no_reservation()),
        ("too many watchers", too_many_watchers(&TooManyWatchers)),
        ("limits away", limits_away(&Away::Late)),
        ("other listener", not_here()),
    ];
    denied.chain(others).collect()
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
            "not delegated: PermissionDenied DOMAIN_NOT_DELEGATED",
            "delegated: PermissionDenied DELEGATED",
            "ceiling: PermissionDenied EXCEEDS_CEILING",
            "outranks: PermissionDenied OUTRANKS_CALLER",
            "outlives: PermissionDenied OUTLIVES_CALLER",
            "managed: PermissionDenied MANAGED_BY_ANOTHER",
            "self regenerate: PermissionDenied SELF_REGENERATE_NOT_ALLOWED",
            "address: PermissionDenied ADDRESS_DENIED",
            "caller stopped: Unauthenticated KEY_INACTIVE",
            "caller changed: Unavailable REPLICA_STALE retry",
            "unknown key: NotFound KEY_NOT_FOUND",
            "unknown token: NotFound KEY_NOT_FOUND",
            "protected: FailedPrecondition DOMAIN_PROTECTED",
            "in use: FailedPrecondition GROUP_IN_USE",
            "stale etag: Aborted ETAG_MISMATCH",
            "deleted: FailedPrecondition KEY_DELETED",
            "not deleted: AlreadyExists KEY_NOT_DELETED",
            "revoked: FailedPrecondition KEY_REVOKED",
            "not active: FailedPrecondition KEY_NOT_ACTIVE",
            "user gone: FailedPrecondition USER_NOT_FOUND",
            "invalid: InvalidArgument INVALID_FIELD",
            "too many: FailedPrecondition TOO_MANY_KEYS",
            "other count: FailedPrecondition COUNT_MISMATCH",
            "job ended: FailedPrecondition JOB_ENDED",
            "still receiving: Aborted CONFLICT",
            "no randomness: Internal INTERNAL",
            "database away: Unavailable DATABASE_UNAVAILABLE retry",
            "corrupt: Internal INTERNAL",
            "constraint: Internal INTERNAL",
            "discontinuity: Internal INTERNAL",
            "schema: Internal INTERNAL",
            "missing pepper: Internal INTERNAL",
            "retired pepper: Internal INTERNAL",
            "old server: Internal INTERNAL",
            "loading: Unavailable REPLICA_NOT_READY retry",
            "stale: Unavailable REPLICA_STALE retry",
            "behind: Unavailable REVISION_NOT_REACHED retry",
            "lacks pepper: Unavailable PEPPER_MISSING retry",
            "draining: Unavailable DRAINING retry",
            "no key: Unauthenticated KEY_MISSING",
            "unknown admin: Unauthenticated KEY_UNKNOWN",
            "expired admin: Unauthenticated KEY_EXPIRED",
            "disabled domain: Unauthenticated DOMAIN_DISABLED",
            "too often: ResourceExhausted RATE_LIMITED retry",
            "too costly: ResourceExhausted QUOTA_EXHAUSTED",
            "failures: ResourceExhausted FAILURES_THROTTLED retry",
            "no reservation: NotFound RESERVATION_NOT_FOUND",
            "too many watchers: ResourceExhausted TOO_MANY_WATCHERS",
            "limits away: Unavailable LIMITS_UNAVAILABLE retry",
            "other listener: Unimplemented OTHER_LISTENER",
        ]
    );
}

#[test]
fn a_thing_that_is_missing_there_or_needed_is_named_by_its_kind() {
    let reason = |error| {
        let status = admin(error);
        let details = status.get_error_details();
        format!("{:?} {}", status.code(), details.error_info().expect("a reason").reason)
    };
    let nouns = [
        "KEY",
        "DOMAIN",
        "ENVIRONMENT",
        "USER",
        "GROUP",
        "DOMAIN",
        "DOMAIN",
        "TEMPLATE",
        "CUSTOMER",
        "QUOTA",
    ];
    for (kind, noun) in KINDS.into_iter().zip(nouns) {
        let name = || thing("it");
        let missing = reason(AdminError::NotFound { kind, name: name() });
        assert_eq!(missing, format!("NotFound {noun}_NOT_FOUND"));
        let there = reason(AdminError::Exists { kind, name: name() });
        assert_eq!(there, format!("AlreadyExists {noun}_EXISTS"));
        let needed = reason(AdminError::Protected { kind, name: name() });
        assert_eq!(needed, format!("FailedPrecondition {noun}_PROTECTED"));
        let used = AdminError::InUse { kind, message: String::new(), details: Vec::new() };
        assert_eq!(reason(used), format!("FailedPrecondition {noun}_IN_USE"));
    }
}

#[test]
fn a_denial_tells_the_permission_that_it_is_about() {
    let told: Vec<Option<String>> = denials()
        .into_iter()
        .map(|(_, denial)| {
            let status = admin(denial.into());
            let details = status.get_error_details();
            details.error_info().expect("a reason").metadata.get("permission").cloned()
        })
        .collect();
    let systems = || Some("systems.read".into());
    let own = Some("keyward.keys.read".into());
    assert_eq!(told, [own, None, None, systems(), systems(), None, None, None, None]);
}

#[test]
fn who_uses_a_thing_is_told_for_programs_if_it_is_known() {
    for (by, expected) in [(&[][..], None), (&["key_1", "key_2"], Some("key_1,key_2"))] {
        let status = admin(in_use(by));
        assert_eq!(status.message(), "2 keys have it");
        let details = status.get_error_details();
        let metadata = &details.error_info().expect("a reason").metadata;
        assert_eq!(metadata.get("keys").map(String::as_str), expected);
    }
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
