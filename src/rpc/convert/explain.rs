//! Explanations: questions in, what checks came to out.

use tonic::Status;

use super::{AuthorizeParts, Violations, reason_to_pb};
use crate::{
    decide::{
        Check, Decision, Finding,
        explain::{Effective, EffectivePermissions, Explained, Explanation, SourceKind},
    },
    model::id::KeyId,
    rpc::pb,
};

/// `ExplainKey`.
pub(in crate::rpc) fn explain(
    request: &pb::ExplainKeyRequest,
) -> Result<(KeyId, Option<AuthorizeParts<'_>>), Status> {
    let mut violations = Violations::default();
    let id = violations.required("id", &request.id, KeyId::parse);
    if let Some(asked) = &request.request {
        if !asked.key.is_empty() {
            violations.add("request.key", "must be empty: `id` names the key");
        }
        if asked.min_revision != 0 {
            violations.add("request.min_revision", "must be absent: the database is asked");
        }
    }
    let id = violations.finish(id)?;
    let parts = request.request.as_ref();
    let parts =
        parts.map(|asked| AuthorizeParts::parse_in(&asked.into(), "request.")).transpose()?;
    Ok((id, parts))
}

/// What checks came to, outward.
pub(in crate::rpc) fn explanation_to_pb(explanation: &Explanation) -> pb::Explanation {
    let (allowed, reason) = match explanation.decision {
        Decision::Allow => (true, pb::Reason::Unspecified),
        Decision::Deny(reason) => (false, reason_to_pb(reason)),
    };
    pb::Explanation {
        checks: explanation.checks.iter().map(check_to_pb).collect(),
        allowed,
        reason: reason.into(),
        permission: explanation.needed.as_deref().unwrap_or_default().to_owned(),
    }
}

fn check_to_pb(explained: &Explained) -> pb::CheckResult {
    let check = match explained.check {
        Check::Key => pb::Check::Key,
        Check::KeyLive => pb::Check::KeyLive,
        Check::User => pb::Check::User,
        Check::Domain => pb::Check::Domain,
        Check::Environment => pb::Check::Environment,
        Check::Address => pb::Check::Address,
        Check::Customer => pb::Check::Customer,
        Check::Route => pb::Check::Route,
        Check::Permission => pb::Check::Permission,
        Check::Limits => pb::Check::Limits,
    };
    let (outcome, reason) = match explained.finding {
        Finding::Passed => (pb::CheckOutcome::Passed, pb::Reason::Unspecified),
        Finding::Failed(reason) => (pb::CheckOutcome::Failed, reason_to_pb(reason)),
        Finding::Skipped => (pb::CheckOutcome::Skipped, pb::Reason::Unspecified),
    };
    pb::CheckResult {
        check: check.into(),
        outcome: outcome.into(),
        reason: reason.into(),
        detail: explained.detail.clone(),
    }
}

/// What a key may do in all, outward.
pub(in crate::rpc) fn effective_to_pb(
    effective: &EffectivePermissions,
) -> Vec<pb::EffectivePermission> {
    effective.permissions.iter().map(permission_to_pb).collect()
}

fn permission_to_pb(effective: &Effective) -> pb::EffectivePermission {
    let sources = effective.sources.iter().map(|source| {
        let kind = match source.kind {
            SourceKind::Direct => pb::PermissionSourceKind::Direct,
            SourceKind::Group => pb::PermissionSourceKind::Group,
            SourceKind::User => pb::PermissionSourceKind::User,
            SourceKind::UserGroup => pb::PermissionSourceKind::UserGroup,
        };
        pb::PermissionSource {
            kind: kind.into(),
            name: source.name.to_string(),
            permission: source.grant.to_string(),
        }
    });
    pb::EffectivePermission {
        permission: effective.grant.as_str().to_owned(),
        sources: sources.collect(),
    }
}
