//! Templates.

use std::time::Duration;

use tonic::Status;

use super::{Violations, not_yet, required};
use crate::{
    admin::{
        Effect,
        things::{TemplatePatch, ThingTarget},
    },
    model::{
        name::{EnvironmentName, TemplateName},
        permission::Grants,
        record::ThingName,
        template::{InvalidLifetime, Lifetime, Template, TemplatePermissions},
    },
    rpc::{
        convert::{duration_from_pb, duration_to_pb, effect, limits::limits_to_pb, time_to_pb},
        pb,
    },
};

/// `CreateTemplate`.
pub(in crate::rpc) fn template_in(
    request: &pb::CreateTemplateRequest,
) -> Result<(Template, Effect), Status> {
    let mut violations = Violations::default();
    let sent = required(&mut violations, "template", request.template.as_ref());
    let template = sent.and_then(|sent| {
        let name = violations.required("template.name", &sent.name, TemplateName::parse);
        let display_name = violations.display_name("template", &sent.display_name);
        let description = violations.description("template", &sent.description);
        let required = grants(&mut violations, "required_permissions", &sent.required_permissions);
        let optional = grants(&mut violations, "optional_permissions", &sent.optional_permissions);
        let permissions = together(&mut violations, required, optional);
        let environment = environment(&mut violations, &sent.default_environment);
        let lifetime = lifetime(&mut violations, sent.default_lifetime);
        let limits = violations.limits("template.limits", &sent.limits);
        Some(Template {
            name: name?,
            display_name: display_name?,
            description: description?,
            permissions: permissions?,
            environment,
            lifetime,
            limits: limits?,
            record: not_yet(),
        })
    });
    violations.finish(template.map(|template| (template, effect(request.validate_only))))
}

fn grants(violations: &mut Violations, field: &str, texts: &[String]) -> Option<Grants> {
    violations.check_list(&format!("template.{field}"), Grants::parse(texts))
}

/// Both lists, if they fit each other.
fn together(
    violations: &mut Violations,
    required: Option<Grants>,
    optional: Option<Grants>,
) -> Option<TemplatePermissions> {
    let permissions = TemplatePermissions { required: required?, optional: optional? };
    match permissions.check() {
        Ok(()) => Some(permissions),
        Err((field, error)) => {
            violations.add(format!("template.{field}"), error.to_string());
            None
        }
    }
}

fn environment(violations: &mut Violations, name: &str) -> Option<EnvironmentName> {
    violations.optional("template.default_environment", name, EnvironmentName::parse)
}

fn lifetime(violations: &mut Violations, sent: Option<prost_types::Duration>) -> Option<Lifetime> {
    let span = duration_from_pb(sent?).unwrap_or(Duration::ZERO);
    let lifetime = Lifetime::parse(span).map_err(|error: InvalidLifetime| error.to_string());
    violations.check("template.default_lifetime", lifetime)
}

/// A template, outward.
pub(in crate::rpc) fn template_out(template: &Template) -> pb::Template {
    let TemplatePermissions { required, optional } = &template.permissions;
    pb::Template {
        name: template.name.to_string(),
        display_name: template.display_name.as_str().to_owned(),
        description: template.description.as_str().to_owned(),
        required_permissions: required.iter().map(str::to_owned).collect(),
        optional_permissions: optional.iter().map(str::to_owned).collect(),
        default_environment: template
            .environment
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        default_lifetime: template.lifetime.map(|lifetime| duration_to_pb(lifetime.span())),
        create_time: Some(time_to_pb(template.record.create_time)),
        update_time: Some(time_to_pb(template.record.update_time)),
        etag: template.record.etag(),
        limits: limits_to_pb(&template.limits),
    }
}

/// `UpdateTemplate`.
pub(in crate::rpc) fn template_patch(
    request: &pb::UpdateTemplateRequest,
) -> Result<(ThingTarget, TemplatePatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Template::default();
    let sent = request.template.as_ref().unwrap_or(&absent);
    let name = violations.required("template.name", &sent.name, TemplateName::parse);
    let etag = violations.etag("template.etag", &sent.etag);
    let mut patch = TemplatePatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        take_field(&mut violations, &mut patch, path, sent);
    }
    let target = name.map(|name| ThingTarget { name: ThingName::of_all(name.as_str()), etag });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}

/// Puts one field that the mask names into the patch.
fn take_field(
    violations: &mut Violations,
    patch: &mut TemplatePatch,
    field: &str,
    sent: &pb::Template,
) {
    match field {
        "display_name" => {
            patch.display_name = violations.display_name("template", &sent.display_name);
        }
        "description" => {
            patch.description = violations.description("template", &sent.description);
        }
        "required_permissions" => {
            patch.required = grants(violations, field, &sent.required_permissions);
        }
        "optional_permissions" => {
            patch.optional = grants(violations, field, &sent.optional_permissions);
        }
        "default_environment" => {
            patch.environment = Some(environment(violations, &sent.default_environment));
        }
        "default_lifetime" => {
            patch.lifetime = Some(lifetime(violations, sent.default_lifetime));
        }
        "limits" => patch.limits = violations.limits("template.limits", &sent.limits),
        _ => violations.unknown_path(
            field,
            "display_name, description, required_permissions, optional_permissions, \
             default_environment, default_lifetime, limits",
        ),
    }
}
