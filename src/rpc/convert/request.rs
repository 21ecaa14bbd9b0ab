//! `KeyAdmin`: commands in.

use std::time::Duration;

use prost::Message;
use tonic::Status;

use super::Violations;
use crate::{
    admin::{Effect, Target, create::CreateKey, regenerate::RegenerateKey, update::Patch},
    model::{
        environment::{DomainName, EnvironmentName},
        id::KeyId,
        key::{RevocationReason, Settings, Validity},
        label::Labels,
        permission::Grants,
        route::RouteRules,
        text::{DisplayName, Prose, RequestId},
    },
    rpc::pb,
    store::write::RepeatableRequest,
};

const ETAG_BYTES_MAX: usize = 64;
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The id of a key in a field `id`.
pub(in crate::rpc) fn parse_id(id: &str) -> Result<KeyId, Status> {
    let mut violations = Violations::default();
    let id = violations.required("id", id, KeyId::parse);
    violations.finish(id)
}

impl Violations {
    fn target(&mut self, field: &str, id: &str, etag: &str) -> Option<Target> {
        let id = self.required(&format!("{field}id"), id, KeyId::parse);
        if etag.len() > ETAG_BYTES_MAX {
            self.add(format!("{field}etag"), "must be an etag that a key was returned with");
        }
        let etag = (!etag.is_empty()).then(|| etag.into());
        id.map(|id| Target { id, etag })
    }

    /// A name for the request, if it has one. `content` is all else that it says.
    fn repeatable(&mut self, id: &str, content: &[u8]) -> Option<RepeatableRequest> {
        let id = self.optional("request_id", id, RequestId::parse)?;
        Some(RepeatableRequest::new(id, content))
    }

    fn labels<'a>(
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

/// `CreateKey`.
pub(in crate::rpc) fn create(request: &pb::CreateKeyRequest) -> Result<CreateKey, Status> {
    let mut violations = Violations::default();
    let content = pb::CreateKeyRequest { request_id: String::new(), ..request.clone() };
    let named = violations.repeatable(&request.request_id, &tagged("create", &content));
    let domain = match request.domain.as_str() {
        "" => Some(DomainName::from_stored(DomainName::DEFAULT)),
        name => violations.check("domain", DomainName::parse(name)),
    };
    let environment =
        violations.required("environment", &request.environment, EnvironmentName::parse);
    let settings = settings(&mut violations, request);
    let command = match (domain, environment, settings) {
        (Some(domain), Some(environment), Some(settings)) => Some(CreateKey {
            domain,
            environment,
            settings,
            request: named.filter(|_| !request.validate_only),
            effect: effect(request.validate_only),
        }),
        _ => None,
    };
    violations.finish(command)
}

fn settings(violations: &mut Violations, request: &pb::CreateKeyRequest) -> Option<Settings> {
    let display_name =
        violations.required("display_name", &request.display_name, DisplayName::parse);
    let description = violations.check("description", Prose::parse(&request.description));
    let grants = violations.check_list("permissions", Grants::parse(&request.permissions));
    let rules = violations.check_list("route_rules", RouteRules::parse(&request.route_rules));
    let not_before = violations.time("not_before_time", request.not_before_time);
    let expire = violations.time("expire_time", request.expire_time);
    let validity = violations.check("expire_time", Validity::new(not_before, expire));
    let labels = violations.labels("labels", &request.labels);
    Some(Settings {
        display_name: display_name?,
        description: description?,
        grants: grants?,
        route_rules: rules?,
        validity: validity?,
        labels: labels?,
    })
}

const fn effect(validate_only: bool) -> Effect {
    if validate_only { Effect::ValidateOnly } else { Effect::Apply }
}

/// The bytes of a message, told apart from those of another kind of message.
fn tagged(kind: &str, message: &impl Message) -> Vec<u8> {
    let mut bytes = kind.as_bytes().to_vec();
    bytes.push(0);
    bytes.extend(message.encode_to_vec());
    bytes
}

/// `UpdateKey`.
pub(in crate::rpc) fn update(
    request: &pb::UpdateKeyRequest,
) -> Result<(Target, Patch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Key::default();
    let key = request.key.as_ref().unwrap_or(&absent);
    let target = violations.target("key.", &key.id, &key.etag);
    let paths = request.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() {
        violations.add("update_mask", "is required: it names the fields to change");
    }
    let mut patch = Patch::default();
    for path in paths {
        take_field(&mut violations, &mut patch, path, key);
    }
    let parts = target.map(|target| (target, patch, effect(request.validate_only)));
    violations.finish(parts)
}

/// Puts one field that the mask names into the patch.
fn take_field(violations: &mut Violations, patch: &mut Patch, field: &str, key: &pb::Key) {
    match field {
        "display_name" => {
            patch.display_name =
                violations.required("key.display_name", &key.display_name, DisplayName::parse);
        }
        "description" => {
            patch.description = violations.check("key.description", Prose::parse(&key.description));
        }
        "permissions" => {
            patch.grants =
                violations.check_list("key.permissions", Grants::parse(&key.permissions));
        }
        "route_rules" => {
            patch.route_rules =
                violations.check_list("key.route_rules", RouteRules::parse(&key.route_rules));
        }
        "not_before_time" => {
            patch.not_before = Some(violations.time("key.not_before_time", key.not_before_time));
        }
        "expire_time" => {
            patch.expire = Some(violations.time("key.expire_time", key.expire_time));
        }
        "labels" => patch.labels = violations.labels("key.labels", &key.labels),
        _ => violations.add(
            "update_mask",
            format!(
                "has the path {:?}; must be of display_name, description, permissions, \
                 route_rules, not_before_time, expire_time, labels",
                field.chars().take(64).collect::<String>()
            ),
        ),
    }
}

/// `RegenerateKey`.
pub(in crate::rpc) fn regenerate(
    request: &pb::RegenerateKeyRequest,
) -> Result<RegenerateKey, Status> {
    let mut violations = Violations::default();
    let content = pb::RegenerateKeyRequest { request_id: String::new(), ..request.clone() };
    let named = violations.repeatable(&request.request_id, &tagged("regenerate", &content));
    let target = violations.target("", &request.id, &request.etag);
    let overlap = match request.overlap {
        None => Some(Duration::ZERO),
        Some(overlap) => violations.check("overlap", overlap_from_pb(overlap)),
    };
    let command = match (target, overlap) {
        (Some(target), Some(overlap)) => Some(RegenerateKey { target, overlap, request: named }),
        _ => None,
    };
    violations.finish(command)
}

fn overlap_from_pb(overlap: prost_types::Duration) -> Result<Duration, &'static str> {
    let whole = u64::try_from(overlap.seconds).ok();
    let nanos = u32::try_from(overlap.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let overlap = whole.zip(nanos).map(|(whole, nanos)| Duration::new(whole, nanos));
    overlap.filter(|overlap| *overlap <= OVERLAP_MAX).ok_or("must be from 0 to 30 days")
}

/// `RevokeKey`.
pub(in crate::rpc) fn revoke(
    request: &pb::RevokeKeyRequest,
) -> Result<(Target, RevocationReason, Prose), Status> {
    let mut violations = Violations::default();
    let target = violations.target("", &request.id, &request.etag);
    let comment = violations.check("comment", Prose::parse(&request.comment));
    let reason = match pb::RevocationReason::try_from(request.reason) {
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
    if reason == Some(RevocationReason::Other) && request.comment.trim().is_empty() {
        violations.add("comment", "is required with reason OTHER");
    }
    let parts = match (target, reason, comment) {
        (Some(target), Some(reason), Some(comment)) => Some((target, reason, comment)),
        _ => None,
    };
    violations.finish(parts)
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
