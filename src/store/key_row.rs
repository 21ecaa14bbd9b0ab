//! Keys as rows: what a key's columns hold, both ways.

use serde_json::Value as Json;
use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        address::{AddressRules, Networks},
        caller::Actor,
        customer::Customers,
        delegation::Delegation,
        key::{
            Key, KeyState, Retiring, Revocation, RevocationReason, Secret, Settings, Standing,
            Validity,
        },
        label::Labels,
        name::{DomainName, EnvironmentName, TemplateName},
        pepper::PepperId,
        route::RouteRules,
        secret::{Digest, Hint},
        text::{DisplayName, Prose},
        user::{UserId, UserRef},
    },
    store::{
        Parameter,
        error::StoreError,
        row::field,
        things::{grants, groups, limits, parsed},
    },
};

const TABLE: &str = "key";

/// The parameters of `keys.insert` and `keys.update`, in owned form.
pub(super) struct KeyParameters {
    permissions: Vec<String>,
    route_rules: Vec<String>,
    labels: Json,
    user: Option<i64>,
    groups: Vec<i64>,
    customers: Vec<String>,
    allowed_addresses: Vec<String>,
    denied_addresses: Vec<String>,
    delegated_domains: Option<Vec<String>>,
    ceiling: Option<Vec<String>>,
    limits: Vec<String>,
    pepper: String,
    retiring_pepper: Option<String>,
    revoke_reason: Option<&'static str>,
    revoked_by: Option<String>,
    created_by: String,
}

impl KeyParameters {
    pub(super) fn new(key: &Key) -> Self {
        let revocation = revocation(key);
        let settings = &key.settings;
        let delegation = settings.delegation.as_ref();
        Self {
            permissions: settings.grants.iter().map(String::from).collect(),
            route_rules: strings(settings.route_rules.iter()),
            labels: labels_json(&settings.labels),
            user: settings.user.as_ref().map(|user| user.uid),
            groups: settings.groups.iter().map(|group| group.uid).collect(),
            customers: strings(settings.customers.iter()),
            allowed_addresses: strings(settings.addresses.allowed.iter()),
            denied_addresses: strings(settings.addresses.denied.iter()),
            delegated_domains: delegation.map(|bound| strings(bound.domains().iter())),
            ceiling: delegation.map(|bound| strings(bound.ceiling.iter())),
            limits: strings(settings.limits.iter()),
            pepper: key.secret.pepper.to_string(),
            retiring_pepper: key.retiring.as_ref().map(|old| old.secret.pepper.to_string()),
            revoke_reason: revocation.map(|revocation| reason_text(revocation.reason)),
            revoked_by: revocation.map(|revocation| revocation.by.to_string()),
            created_by: key.created_by.to_string(),
        }
    }

    /// Runs a statement that takes these parameters in this order.
    pub(super) async fn execute(
        &self,
        key: &Key,
        tx: &tokio_postgres::Transaction<'_>,
        statement: &str,
    ) -> Result<u64, StoreError> {
        let settings = &key.settings;
        let revocation = revocation(key);
        let retiring = key.retiring.as_ref();
        let parameters: [Parameter<'_>; 38] = [
            (&key.id, Type::UUID),
            (&key.domain.as_str(), Type::TEXT),
            (&key.environment.as_str(), Type::TEXT),
            (&settings.display_name.as_str(), Type::TEXT),
            (&settings.description.as_str(), Type::TEXT),
            (&self.permissions, Type::TEXT_ARRAY),
            (&self.route_rules, Type::TEXT_ARRAY),
            (&self.labels, Type::JSONB),
            (&settings.validity.not_before, Type::TIMESTAMPTZ),
            (&settings.validity.expire, Type::TIMESTAMPTZ),
            (&standing_text(&key.standing), Type::TEXT),
            (&self.revoke_reason, Type::TEXT),
            (&revocation.map(|revocation| revocation.comment.as_str()), Type::TEXT),
            (&revocation.map(|revocation| revocation.time), Type::TIMESTAMPTZ),
            (&self.revoked_by, Type::TEXT),
            (&key.secret.digest, Type::BYTEA),
            (&key.secret.hint.as_str(), Type::TEXT),
            (&retiring.map(|retiring| retiring.secret.digest), Type::BYTEA),
            (&retiring.map(|retiring| retiring.secret.hint.as_str()), Type::TEXT),
            (&retiring.map(|retiring| retiring.expire), Type::TIMESTAMPTZ),
            (&self.created_by, Type::TEXT),
            (&key.create_time, Type::TIMESTAMPTZ),
            (&key.update_time, Type::TIMESTAMPTZ),
            (&key.delete_time, Type::TIMESTAMPTZ),
            (&key.version, Type::INT8),
            (&key.template.as_ref().map(TemplateName::as_str), Type::TEXT),
            (&self.user, Type::INT8),
            (&self.groups, Type::INT8_ARRAY),
            (&self.customers, Type::TEXT_ARRAY),
            (&self.allowed_addresses, Type::TEXT_ARRAY),
            (&self.denied_addresses, Type::TEXT_ARRAY),
            (&settings.managed_by, Type::UUID),
            (&settings.self_regenerate, Type::BOOL),
            (&self.delegated_domains, Type::TEXT_ARRAY),
            (&self.ceiling, Type::TEXT_ARRAY),
            (&self.limits, Type::TEXT_ARRAY),
            (&self.pepper, Type::TEXT),
            (&self.retiring_pepper, Type::TEXT),
        ];
        Ok(tx.execute_typed(statement, &parameters).await?)
    }
}

fn strings<T: ToString>(items: impl Iterator<Item = T>) -> Vec<String> {
    items.map(|item| item.to_string()).collect()
}

fn revocation(key: &Key) -> Option<&Revocation> {
    match &key.standing {
        Standing::Revoked(revocation) => Some(revocation),
        Standing::Active | Standing::Inactive => None,
    }
}

/// Labels as they are stored.
pub(super) fn labels_json(labels: &Labels) -> Json {
    labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect()
}

/// A state as a list is filtered by it.
pub(super) const fn state_text(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Inactive => "inactive",
        KeyState::Revoked => "revoked",
        KeyState::Expired => "expired",
        KeyState::Deleted => "deleted",
    }
}

/// A standing as it is stored.
pub(super) const fn standing_text(standing: &Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Inactive => "inactive",
        Standing::Revoked(_) => "revoked",
    }
}

/// A reason as it is stored.
pub(super) const fn reason_text(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Compromised => "compromised",
        RevocationReason::NoLongerUsed => "no_longer_used",
        RevocationReason::Superseded => "superseded",
        RevocationReason::Abuse => "abuse",
        RevocationReason::Other => "other",
    }
}

pub(super) fn reason_from_text(text: &str) -> Result<RevocationReason, StoreError> {
    match text {
        "compromised" => Ok(RevocationReason::Compromised),
        "no_longer_used" => Ok(RevocationReason::NoLongerUsed),
        "superseded" => Ok(RevocationReason::Superseded),
        "abuse" => Ok(RevocationReason::Abuse),
        "other" => Ok(RevocationReason::Other),
        _ => Err(StoreError::corrupt(TABLE, "revoke_reason", "unknown reason")),
    }
}

/// Reads a row with the columns that all statements on keys select.
pub(super) fn key_from_row(row: &Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: field(row, TABLE, "id")?,
        domain: parsed(row, TABLE, "domain", DomainName::parse)?,
        environment: parsed(row, TABLE, "environment", EnvironmentName::parse)?,
        template: field::<Option<&str>>(row, TABLE, "template")?.map(TemplateName::from_stored),
        settings: settings_from_row(row)?,
        standing: standing_from_row(row)?,
        secret: Secret {
            digest: field(row, TABLE, "digest")?,
            pepper: parsed(row, TABLE, "pepper", PepperId::parse)?,
            hint: Hint::from_stored(field(row, TABLE, "hint")?),
        },
        retiring: retiring_from_row(row)?,
        created_by: parsed(row, TABLE, "created_by", Actor::parse)?,
        create_time: field(row, TABLE, "created_at")?,
        update_time: field(row, TABLE, "updated_at")?,
        delete_time: field(row, TABLE, "deleted_at")?,
        last_used_time: field(row, "key_usage", "last_used_at")?,
        last_used_address: field(row, "key_usage", "last_used_address")?,
        version: field(row, TABLE, "version")?,
    })
}

fn settings_from_row(row: &Row) -> Result<Settings, StoreError> {
    let labels: Json = field(row, TABLE, "labels")?;
    let pairs = labels.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    Ok(Settings {
        display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
        description: parsed(row, TABLE, "description", Prose::parse)?,
        grants: grants(row, TABLE, "permissions")?,
        route_rules: parsed(row, TABLE, "route_rules", |texts: Vec<&str>| {
            RouteRules::parse(&texts).map_err(|(_, error)| error)
        })?,
        validity: Validity {
            not_before: field(row, TABLE, "not_before_at")?,
            expire: field(row, TABLE, "expire_at")?,
        },
        labels: Labels::parse(pairs).map_err(|e| StoreError::corrupt(TABLE, "labels", e))?,
        user: user_from_row(row)?,
        groups: groups(row, TABLE)?,
        customers: parsed(row, TABLE, "customers", |texts: Vec<&str>| {
            Customers::parse(&texts).map_err(|(_, error)| error)
        })?,
        addresses: AddressRules {
            allowed: networks(row, "allowed_addresses")?,
            denied: networks(row, "denied_addresses")?,
        },
        managed_by: field(row, TABLE, "managed_by")?,
        self_regenerate: field(row, TABLE, "self_regenerate")?,
        delegation: delegation_from_row(row)?,
        limits: limits(row, TABLE)?,
    })
}

fn networks(row: &Row, column: &'static str) -> Result<Networks, StoreError> {
    parsed(row, TABLE, column, |texts: Vec<&str>| {
        Networks::parse(&texts).map_err(|(_, error)| error)
    })
}

fn user_from_row(row: &Row) -> Result<Option<UserRef>, StoreError> {
    let uid: Option<i64> = field(row, TABLE, "user_uid")?;
    uid.map(|uid| Ok(UserRef { uid, id: parsed(row, "domain_user", "user_id", UserId::parse)? }))
        .transpose()
}

fn delegation_from_row(row: &Row) -> Result<Option<Delegation>, StoreError> {
    let domains: Option<Vec<&str>> = field(row, TABLE, "delegated_domains")?;
    let delegation = domains.map(|domains| {
        Delegation::new(&domains, grants(row, TABLE, "ceiling")?)
            .map_err(|(_, error)| StoreError::corrupt(TABLE, "delegated_domains", error))
    });
    delegation.transpose()
}

fn standing_from_row(row: &Row) -> Result<Standing, StoreError> {
    match field(row, TABLE, "standing")? {
        "active" => Ok(Standing::Active),
        "inactive" => Ok(Standing::Inactive),
        "revoked" => Ok(Standing::Revoked(Revocation {
            reason: reason_from_text(field(row, TABLE, "revoke_reason")?)?,
            comment: parsed(row, TABLE, "revoke_comment", Prose::parse)?,
            time: field(row, TABLE, "revoked_at")?,
            by: parsed(row, TABLE, "revoked_by", Actor::parse)?,
        })),
        _ => Err(StoreError::corrupt(TABLE, "standing", "unknown standing")),
    }
}

fn retiring_from_row(row: &Row) -> Result<Option<Retiring>, StoreError> {
    let digest: Option<Digest> = field(row, TABLE, "retiring_digest")?;
    digest
        .map(|digest| {
            let hint = Hint::from_stored(field(row, TABLE, "retiring_hint")?);
            let pepper = parsed(row, TABLE, "retiring_pepper", PepperId::parse)?;
            let expire = field(row, TABLE, "retiring_expire_at")?;
            Ok(Retiring { secret: Secret { digest, pepper, hint }, expire })
        })
        .transpose()
}
