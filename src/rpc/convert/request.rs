//! `KeyAdmin`: commands in.

use std::time::Duration;

use prost::Message;
use tonic::Status;

use super::{Violations, duration_from_pb};
use crate::{
    admin::{Target, regenerate::RegenerateKey},
    model::{
        id::KeyId,
        key::RevocationReason,
        label::Labels,
        text::{Prose, RequestId},
    },
    rpc::pb,
    store::write::RepeatableRequest,
};

const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The id of a key in a field `id`.
pub(in crate::rpc) fn parse_id(id: &str) -> Result<KeyId, Status> {
    let mut violations = Violations::default();
    let id = violations.required("id", id, KeyId::parse);
    violations.finish(id)
}

impl Violations {
    pub(super) fn target(&mut self, field: &str, id: &str, etag: &str) -> Option<Target> {
        let id = self.required(&format!("{field}id"), id, KeyId::parse);
        let etag = self.etag(&format!("{field}etag"), etag);
        id.map(|id| Target { id, etag })
    }

    /// A name for the request, if it has one. `content` is all else that it says.
    pub(super) fn repeatable(&mut self, id: &str, content: &[u8]) -> Option<RepeatableRequest> {
        let id = self.optional("request_id", id, RequestId::parse)?;
        Some(RepeatableRequest::new(id, content))
    }

    pub(super) fn labels<'a>(
        &mut self,
        field: &str,
        labels: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Option<Labels> {
        let pairs = labels.into_iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.check(field, Labels::parse(pairs))
    }
}

/// A key and its etag, in fields `id` and `etag`.
pub(in crate::rpc) fn target(id: &str, etag: &str) -> Result<Target, Status> {
    let mut violations = Violations::default();
    let target = violations.target("", id, etag);
    violations.finish(target)
}

/// The bytes of a message, told apart from those of another kind of message.
pub(super) fn tagged(kind: &str, message: &impl Message) -> Vec<u8> {
    let mut bytes = kind.as_bytes().to_vec();
    bytes.push(0);
    bytes.extend(message.encode_to_vec());
    bytes
}

/// `RegenerateKey`.
pub(in crate::rpc) fn regenerate(
    request: &pb::RegenerateKeyRequest,
) -> Result<RegenerateKey, Status> {
    let mut violations = Violations::default();
    let content = pb::RegenerateKeyRequest { request_id: String::new(), ..request.clone() };
    let named = violations.repeatable(&request.request_id, &tagged("regenerate", &content));
    let target = violations.target("", &request.id, &request.etag);
    let overlap = overlap(&mut violations, request.overlap);
    let command = match (target, overlap) {
        (Some(target), Some(overlap)) => Some(RegenerateKey { target, overlap, request: named }),
        _ => None,
    };
    violations.finish(command)
}

/// How long an old token works on; absent: not at all.
fn overlap(violations: &mut Violations, sent: Option<prost_types::Duration>) -> Option<Duration> {
    let Some(sent) = sent else { return Some(Duration::ZERO) };
    let overlap = duration_from_pb(sent).filter(|overlap| *overlap <= OVERLAP_MAX);
    violations.check("overlap", overlap.ok_or("must be from 0 to 30 days"))
}

/// `RegenerateMyKey`.
pub(in crate::rpc) fn regenerate_own(
    request: &pb::RegenerateMyKeyRequest,
) -> Result<(Duration, Option<RepeatableRequest>), Status> {
    let mut violations = Violations::default();
    let content = pb::RegenerateMyKeyRequest { request_id: String::new(), ..request.clone() };
    let named = violations.repeatable(&request.request_id, &tagged("self_regenerate", &content));
    let overlap = overlap(&mut violations, request.overlap);
    violations.finish(overlap.map(|overlap| (overlap, named)))
}

/// `RevokeKey`.
pub(in crate::rpc) fn revoke(
    request: &pb::RevokeKeyRequest,
) -> Result<(Target, RevocationReason, Prose), Status> {
    let mut violations = Violations::default();
    let target = violations.target("", &request.id, &request.etag);
    let why = why(&mut violations, request.reason, &request.comment);
    let parts = target.zip(why).map(|(target, (reason, comment))| (target, reason, comment));
    violations.finish(parts)
}

/// `RevokeMyKey`.
pub(in crate::rpc) fn revoke_own(
    request: &pb::RevokeMyKeyRequest,
) -> Result<(RevocationReason, Prose), Status> {
    let mut violations = Violations::default();
    let why = why(&mut violations, request.reason, &request.comment);
    violations.finish(why)
}

/// Why a key is revoked.
pub(super) fn why(
    violations: &mut Violations,
    reason: i32,
    comment: &str,
) -> Option<(RevocationReason, Prose)> {
    let prose = violations.check("comment", Prose::parse(comment));
    let reason = match pb::RevocationReason::try_from(reason) {
        Ok(pb::RevocationReason::Compromised) => Some(RevocationReason::Compromised),
        Ok(pb::RevocationReason::NoLongerUsed) => Some(RevocationReason::NoLongerUsed),
        Ok(pb::RevocationReason::Superseded) => Some(RevocationReason::Superseded),
        Ok(pb::RevocationReason::Abuse) => Some(RevocationReason::Abuse),
        Ok(pb::RevocationReason::Other) => Some(RevocationReason::Other),
        Ok(pb::RevocationReason::Unspecified) | Err(_) => {
            violations.add("reason", "is required: one of the reasons that this server knows");
            None
        }
    };
    if reason == Some(RevocationReason::Other) && comment.trim().is_empty() {
        violations.add("comment", "is required with reason OTHER");
    }
    reason.zip(prose)
}

/// `DeleteKey`.
pub(in crate::rpc) fn delete(request: &pb::DeleteKeyRequest) -> Result<Target, Status> {
    let mut violations = Violations::default();
    let target = violations.target("", &request.id, &request.etag);
    if request.confirm.is_empty() {
        violations.add("confirm", "is required: the key's display name");
    }
    violations.finish(target)
}

/// `LookupKey`.
pub(in crate::rpc) fn lookup(request: &pb::LookupKeyRequest) -> Result<&str, Status> {
    let mut violations = Violations::default();
    if request.token.is_empty() {
        violations.add("token", "is required");
    }
    violations.finish(Some(request.token.as_str()))
}
