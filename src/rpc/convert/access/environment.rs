//! Environments.

use tonic::Status;

use super::{Violations, not_yet, required};
use crate::{
    admin::{
        Effect,
        things::{EnvironmentPatch, ThingTarget},
    },
    model::{
        environment::{Environment, EnvironmentTag},
        name::EnvironmentName,
        record::ThingName,
    },
    rpc::{
        convert::{effect, time_to_pb},
        pb,
    },
};

/// `CreateEnvironment`.
pub(in crate::rpc) fn environment_in(
    request: &pb::CreateEnvironmentRequest,
) -> Result<(Environment, Effect), Status> {
    let mut violations = Violations::default();
    let sent = required(&mut violations, "environment", request.environment.as_ref());
    let environment = sent.and_then(|sent| {
        let name = violations.required("environment.name", &sent.name, EnvironmentName::parse);
        let tag = violations.required("environment.tag", &sent.tag, EnvironmentTag::parse);
        let display_name = violations.display_name("environment", &sent.display_name);
        let description = violations.description("environment", &sent.description);
        Some(Environment {
            name: name?,
            tag: tag?,
            display_name: display_name?,
            description: description?,
            record: not_yet(),
        })
    });
    violations.finish(environment.map(|made| (made, effect(request.validate_only))))
}

/// An environment, outward.
pub(in crate::rpc) fn environment_out(environment: &Environment) -> pb::Environment {
    pb::Environment {
        name: environment.name.to_string(),
        tag: environment.tag.as_str().to_owned(),
        display_name: environment.display_name.as_str().to_owned(),
        description: environment.description.as_str().to_owned(),
        create_time: Some(time_to_pb(environment.record.create_time)),
        update_time: Some(time_to_pb(environment.record.update_time)),
        etag: environment.record.etag(),
    }
}

/// `UpdateEnvironment`.
pub(in crate::rpc) fn environment_patch(
    request: &pb::UpdateEnvironmentRequest,
) -> Result<(ThingTarget, EnvironmentPatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Environment::default();
    let sent = request.environment.as_ref().unwrap_or(&absent);
    let name = violations.required("environment.name", &sent.name, EnvironmentName::parse);
    let etag = violations.etag("environment.etag", &sent.etag);
    let mut patch = EnvironmentPatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        match path.as_str() {
            "tag" => {
                patch.tag =
                    violations.required("environment.tag", &sent.tag, EnvironmentTag::parse);
            }
            "display_name" => {
                patch.display_name = violations.display_name("environment", &sent.display_name);
            }
            "description" => {
                patch.description = violations.description("environment", &sent.description);
            }
            _ => violations.unknown_path(path, "tag, display_name, description"),
        }
    }
    let target = name.map(|name| ThingTarget { name: ThingName::of_all(name.as_str()), etag });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}
