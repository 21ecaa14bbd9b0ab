//! `CreateKey` and `UpdateKey`: the settings of keys, inward.

use tonic::Status;

use super::{Violations, effect, request::tagged};
use crate::{
    admin::{
        Effect, Target,
        create::{CreateKey, FromTemplate},
        update::Patch,
    },
    model::{
        address::{AddressRules, Networks},
        customer::Customers,
        delegation::Delegation,
        group::{GroupNames, Groups},
        id::KeyId,
        key::{Settings, Validity},
        name::{EnvironmentName, TemplateName},
        permission::Grants,
        route::RouteRules,
        text::{DisplayName, Prose},
        user::UserId,
    },
    rpc::pb,
};

const PATHS: &str = "display_name, description, permissions, route_rules, not_before_time, \
                     expire_time, labels, user, groups, customers, allowed_addresses, \
                     denied_addresses, managed_by, allow_self_regenerate, delegation, limits";

/// `CreateKey`.
pub(in crate::rpc) fn create(request: &pb::CreateKeyRequest) -> Result<CreateKey, Status> {
    let mut violations = Violations::default();
    let content = pb::CreateKeyRequest { request_id: String::new(), ..request.clone() };
    let named = violations.repeatable(&request.request_id, &tagged("create", &content));
    let domain = violations.domain("domain", &request.domain);
    let template = template(&mut violations, request);
    let environment = match (&template, request.environment.as_str()) {
        (Some(_), "") => None,
        (_, name) => violations.required("environment", name, EnvironmentName::parse),
    };
    let display_name = match (&template, request.display_name.as_str()) {
        (Some(_), "") => None,
        (_, name) => violations.required("display_name", name, DisplayName::parse),
    };
    let settings = settings(&mut violations, request);
    let user = violations.optional("user", &request.user, UserId::parse);
    let groups = violations.check_list("groups", GroupNames::parse(&request.groups));
    let command = match (domain, settings, groups) {
        (Some(domain), Some(settings), Some(groups)) => Some(CreateKey {
            domain,
            environment,
            display_name,
            settings,
            user,
            groups,
            template,
            request: named.filter(|_| !request.validate_only),
            effect: effect(request.validate_only),
        }),
        _ => None,
    };
    violations.finish(command)
}

fn template(violations: &mut Violations, request: &pb::CreateKeyRequest) -> Option<FromTemplate> {
    if request.template.is_empty() {
        if !request.with_optional.is_empty() {
            violations.add("with_optional", "is for keys of a template");
        }
        return None;
    }
    if !request.permissions.is_empty() {
        violations.add("permissions", "must be empty with a template, which says them");
    }
    let name = violations.check("template", TemplateName::parse(&request.template))?;
    Some(FromTemplate { name, with_optional: request.with_optional.clone() })
}

fn settings(violations: &mut Violations, request: &pb::CreateKeyRequest) -> Option<Settings> {
    // a key of a template is called as that is until it gets the template's display name
    let name = match request.display_name.as_str() {
        "" => &request.template,
        name => name,
    };
    let description = violations.check("description", Prose::parse(&request.description));
    let grants = violations.check_list("permissions", Grants::parse(&request.permissions));
    let rules = violations.check_list("route_rules", RouteRules::parse(&request.route_rules));
    let not_before = violations.time("not_before_time", request.not_before_time);
    let expire = violations.time("expire_time", request.expire_time);
    let validity = violations.check("expire_time", Validity::new(not_before, expire));
    let labels = violations.labels("labels", &request.labels);
    let customers = violations.check_list("customers", Customers::parse(&request.customers));
    let allowed = networks(violations, "allowed_addresses", &request.allowed_addresses);
    let denied = networks(violations, "denied_addresses", &request.denied_addresses);
    let managed_by = violations.optional("managed_by", &request.managed_by, KeyId::parse);
    let delegation = delegation(violations, "delegation", request.delegation.as_ref());
    let limits = violations.limits("limits", &request.limits);
    Some(Settings {
        display_name: DisplayName::parse(name).ok()?,
        description: description?,
        grants: grants?,
        route_rules: rules?,
        validity: validity?,
        labels: labels?,
        user: None,
        groups: Groups::default(),
        customers: customers?,
        addresses: AddressRules { allowed: allowed?, denied: denied? },
        managed_by,
        self_regenerate: request.allow_self_regenerate,
        delegation,
        limits: limits?,
    })
}

fn networks(violations: &mut Violations, field: &str, texts: &[String]) -> Option<Networks> {
    violations.check_list(field, Networks::parse(texts))
}

fn delegation(
    violations: &mut Violations,
    field: &str,
    sent: Option<&pb::Delegation>,
) -> Option<Delegation> {
    let sent = sent?;
    let ceiling = violations.check_list(&format!("{field}.ceiling"), Grants::parse(&sent.ceiling));
    let delegation = Delegation::new(&sent.domains, ceiling.clone().unwrap_or_default());
    violations.check_list(&format!("{field}.domains"), delegation).filter(|_| ceiling.is_some())
}

/// `UpdateKey`.
pub(in crate::rpc) fn update(
    request: &pb::UpdateKeyRequest,
) -> Result<(Target, Patch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Key::default();
    let key = request.key.as_ref().unwrap_or(&absent);
    let target = violations.target("key.", &key.id, &key.etag);
    let mut patch = Patch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        take_field(&mut violations, &mut patch, path, key);
    }
    let parts = target.map(|target| (target, patch, effect(request.validate_only)));
    violations.finish(parts)
}

/// Puts one field that the mask names into the patch.
fn take_field(violations: &mut Violations, patch: &mut Patch, field: &str, key: &pb::Key) {
    let at = format!("key.{}", field.chars().take(64).collect::<String>());
    match field {
        "display_name" => {
            patch.display_name = violations.required(&at, &key.display_name, DisplayName::parse);
        }
        "description" => {
            patch.description = violations.check(&at, Prose::parse(&key.description));
        }
        "permissions" => {
            patch.grants = violations.check_list(&at, Grants::parse(&key.permissions));
        }
        "route_rules" => {
            patch.route_rules = violations.check_list(&at, RouteRules::parse(&key.route_rules));
        }
        "not_before_time" => {
            patch.not_before = Some(violations.time(&at, key.not_before_time));
        }
        "expire_time" => patch.expire = Some(violations.time(&at, key.expire_time)),
        "labels" => patch.labels = violations.labels(&at, &key.labels),
        "user" => patch.user = Some(violations.optional(&at, &key.user, UserId::parse)),
        "groups" => patch.groups = violations.check_list(&at, GroupNames::parse(&key.groups)),
        "customers" => {
            patch.customers = violations.check_list(&at, Customers::parse(&key.customers));
        }
        "allowed_addresses" => {
            patch.allowed = networks(violations, &at, &key.allowed_addresses);
        }
        "denied_addresses" => patch.denied = networks(violations, &at, &key.denied_addresses),
        "managed_by" => {
            patch.managed_by = Some(violations.optional(&at, &key.managed_by, KeyId::parse));
        }
        "allow_self_regenerate" => patch.self_regenerate = Some(key.allow_self_regenerate),
        "delegation" => {
            patch.delegation = Some(delegation(violations, &at, key.delegation.as_ref()));
        }
        "limits" => patch.limits = violations.limits(&at, &key.limits),
        _ => violations.unknown_path(field, PATHS),
    }
}
