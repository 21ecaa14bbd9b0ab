//! The audit: what an event shows of a change, the thing before and after, without secrets; what was
//! refused; lists of both; and whether the chain of events is whole.

pub mod list;
pub mod refusal;
pub mod verify;

use serde_json::{Value as Json, json};

use crate::{
    model::{
        key::{Key, Standing},
        time::Timestamp,
    },
    store::key_row::{labels_json, reason_text, standing_text},
};

/// A key as its audit events show it.
pub(super) fn snapshot(key: &Key) -> Json {
    let settings = &key.settings;
    let mut shown = json!({
        "domain": key.domain.as_str(),
        "environment": key.environment.as_str(),
        "display_name": settings.display_name.as_str(),
        "description": settings.description.as_str(),
        "permissions": settings.grants.iter().collect::<Vec<_>>(),
        "route_rules": settings.route_rules.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "labels": labels_json(&settings.labels),
        "user": settings.user.as_ref().map(|user| user.id.as_str()),
        "groups": settings.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        "customers": settings.customers.iter().collect::<Vec<_>>(),
        "allowed_addresses": texts(settings.addresses.allowed.iter()),
        "denied_addresses": texts(settings.addresses.denied.iter()),
        "managed_by": settings.managed_by.map(|manager| manager.to_string()),
        "limits": texts(settings.limits.iter()),
        "allow_self_regenerate": settings.self_regenerate,
        "not_before_micros": settings.validity.not_before.map(Timestamp::micros),
        "expire_micros": settings.validity.expire.map(Timestamp::micros),
        "standing": standing_text(&key.standing),
        "hint": key.secret.hint.as_str(),
        "deleted_micros": key.delete_time.map(Timestamp::micros),
        "version": key.version,
    });
    if let Some(members) = shown.as_object_mut() {
        if let Some(template) = &key.template {
            members.insert("template".into(), template.as_str().into());
        }
        if let Some(bound) = &settings.delegation {
            let domains = texts(bound.domains().iter());
            let ceiling = texts(bound.ceiling.iter());
            members.insert("delegation".into(), json!({ "domains": domains, "ceiling": ceiling }));
        }
        if let Standing::Revoked(revocation) = &key.standing {
            members.insert("revoke_reason".into(), reason_text(revocation.reason).into());
            members.insert("revoke_comment".into(), revocation.comment.as_str().into());
        }
        if let Some(retiring) = &key.retiring {
            members.insert("retiring_hint".into(), retiring.secret.hint.as_str().into());
            members.insert("retiring_expire_micros".into(), retiring.expire.micros().into());
        }
    }
    shown
}

fn texts<T: ToString>(items: impl Iterator<Item = T>) -> Vec<String> {
    items.map(|item| item.to_string()).collect()
}
