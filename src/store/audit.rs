//! What an audit event shows of a change: the thing before and after, without secrets.

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
        "not_before_micros": settings.validity.not_before.map(Timestamp::micros),
        "expire_micros": settings.validity.expire.map(Timestamp::micros),
        "standing": standing_text(&key.standing),
        "hint": key.secret.hint.as_str(),
        "deleted_micros": key.delete_time.map(Timestamp::micros),
        "version": key.version,
    });
    if let Some(members) = shown.as_object_mut() {
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
