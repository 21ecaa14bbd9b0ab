//! Keys, outward.

use super::{
    access::permission_names, deleted_group_names, group_names, limits::limits_to_pb, time_to_pb,
};
use crate::{
    model::{
        catalogue::Catalogue,
        delegation::Delegation,
        key::{Key, KeyState, Retiring, Revocation, RevocationReason, Standing},
        time::Timestamp,
    },
    rpc::pb,
};

/// A key as it is at `now`, with what a catalogue calls its permissions.
pub(in crate::rpc) fn key_to_pb(
    key: &Key,
    catalogue: Option<&Catalogue>,
    now: Timestamp,
) -> pb::Key {
    let settings = &key.settings;
    let labels = settings.labels.iter();
    pb::Key {
        id: key.id.to_string(),
        domain: key.domain.to_string(),
        environment: key.environment.to_string(),
        display_name: settings.display_name.as_str().to_owned(),
        description: settings.description.as_str().to_owned(),
        permissions: settings.grants.iter().map(str::to_owned).collect(),
        route_rules: settings.route_rules.iter().map(ToString::to_string).collect(),
        not_before_time: settings.validity.not_before.map(time_to_pb),
        expire_time: settings.validity.expire.map(time_to_pb),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        hint: key.secret.hint.as_str().to_owned(),
        state: state_to_pb(key.state(now)).into(),
        created_by: key.created_by.to_string(),
        create_time: Some(time_to_pb(key.create_time)),
        update_time: Some(time_to_pb(key.update_time)),
        last_used_time: key.last_used_time.map(time_to_pb),
        last_used_address: key
            .last_used_address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        delete_time: key.delete_time.map(time_to_pb),
        revocation: match &key.standing {
            Standing::Revoked(revocation) => Some(revocation_to_pb(revocation)),
            Standing::Active | Standing::Inactive => None,
        },
        retiring_secret: key
            .retiring
            .as_ref()
            .filter(|retiring| retiring.expire > now)
            .map(retiring_to_pb),
        etag: key.etag(),
        user: settings.user.as_ref().map(|user| user.id.to_string()).unwrap_or_default(),
        groups: group_names(&settings.groups),
        deleted_groups: deleted_group_names(&settings.groups),
        customers: settings.customers.iter().map(str::to_owned).collect(),
        allowed_addresses: settings.addresses.allowed.iter().collect(),
        denied_addresses: settings.addresses.denied.iter().collect(),
        managed_by: settings.managed_by.map(|manager| manager.to_string()).unwrap_or_default(),
        allow_self_regenerate: settings.self_regenerate,
        delegation: settings.delegation.as_ref().map(delegation_to_pb),
        limits: limits_to_pb(&settings.limits),
        template: key.template.as_ref().map(ToString::to_string).unwrap_or_default(),
        permission_names: permission_names(&settings.grants, catalogue),
    }
}

fn delegation_to_pb(delegation: &Delegation) -> pb::Delegation {
    pb::Delegation {
        domains: delegation.domains().iter().map(ToString::to_string).collect(),
        ceiling: delegation.ceiling.iter().map(str::to_owned).collect(),
    }
}

/// A key that was not made: without what it would be given then.
pub(in crate::rpc) fn draft_to_pb(key: &Key, now: Timestamp) -> pb::Key {
    pb::Key { id: String::new(), etag: String::new(), ..key_to_pb(key, None, now) }
}

const fn state_to_pb(state: KeyState) -> pb::KeyState {
    match state {
        KeyState::Active => pb::KeyState::Active,
        KeyState::Inactive => pb::KeyState::Inactive,
        KeyState::Revoked => pb::KeyState::Revoked,
        KeyState::Expired => pb::KeyState::Expired,
        KeyState::Deleted => pb::KeyState::Deleted,
    }
}

fn revocation_to_pb(revocation: &Revocation) -> pb::Revocation {
    let reason = match revocation.reason {
        RevocationReason::Compromised => pb::RevocationReason::Compromised,
        RevocationReason::NoLongerUsed => pb::RevocationReason::NoLongerUsed,
        RevocationReason::Superseded => pb::RevocationReason::Superseded,
        RevocationReason::Abuse => pb::RevocationReason::Abuse,
        RevocationReason::Other => pb::RevocationReason::Other,
    };
    pb::Revocation {
        reason: reason.into(),
        comment: revocation.comment.as_str().to_owned(),
        revoke_time: Some(time_to_pb(revocation.time)),
        revoked_by: revocation.by.to_string(),
    }
}

fn retiring_to_pb(retiring: &Retiring) -> pb::RetiringSecret {
    pb::RetiringSecret {
        hint: retiring.secret.hint.as_str().to_owned(),
        expire_time: Some(time_to_pb(retiring.expire)),
    }
}
