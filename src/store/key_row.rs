//! Keys as rows: what a key's columns hold, both ways.

use serde_json::Value as Json;
use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        caller::Actor,
        environment::{DomainName, EnvironmentName},
        key::{
            Key, KeyState, Retiring, Revocation, RevocationReason, Secret, Settings, Standing,
            Validity,
        },
        label::Labels,
        permission::Grants,
        route::RouteRules,
        secret::{Digest, Hint},
        text::{DisplayName, Prose},
    },
    store::{Parameter, error::StoreError, row::field},
};

const TABLE: &str = "key";

/// The parameters of `keys.insert` and `keys.update`, in owned form.
pub(super) struct KeyParameters {
    permissions: Vec<String>,
    route_rules: Vec<String>,
    labels: Json,
    revoke_reason: Option<&'static str>,
    revoked_by: Option<String>,
    created_by: String,
}

impl KeyParameters {
    pub(super) fn new(key: &Key) -> Self {
        let revocation = revocation(key);
        Self {
            permissions: key.settings.grants.iter().map(String::from).collect(),
            route_rules: key.settings.route_rules.iter().map(ToString::to_string).collect(),
            labels: labels_json(&key.settings.labels),
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
        let parameters: [Parameter<'_>; 25] = [
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
        ];
        Ok(tx.execute_typed(statement, &parameters).await?)
    }
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

fn reason_from_text(text: &str) -> Result<RevocationReason, StoreError> {
    match text {
        "compromised" => Ok(RevocationReason::Compromised),
        "no_longer_used" => Ok(RevocationReason::NoLongerUsed),
        "superseded" => Ok(RevocationReason::Superseded),
        "abuse" => Ok(RevocationReason::Abuse),
        "other" => Ok(RevocationReason::Other),
        _ => Err(StoreError::corrupt(TABLE, "revoke_reason", "unknown reason")),
    }
}

/// Reads a column and what it must be.
fn parsed<'a, T, P, E>(
    row: &'a Row,
    column: &'static str,
    parse: impl Fn(P) -> Result<T, E>,
) -> Result<T, StoreError>
where
    P: tokio_postgres::types::FromSql<'a>,
    E: std::error::Error + Send + Sync + 'static,
{
    parse(field(row, TABLE, column)?).map_err(|error| StoreError::corrupt(TABLE, column, error))
}

/// Reads a row with the columns that all statements on keys select.
pub(super) fn key_from_row(row: &Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: field(row, TABLE, "id")?,
        domain: parsed(row, "domain", DomainName::parse)?,
        environment: parsed(row, "environment", EnvironmentName::parse)?,
        settings: settings_from_row(row)?,
        standing: standing_from_row(row)?,
        secret: Secret {
            digest: field(row, TABLE, "digest")?,
            hint: Hint::from_stored(field(row, TABLE, "hint")?),
        },
        retiring: retiring_from_row(row)?,
        created_by: parsed(row, "created_by", Actor::parse)?,
        create_time: field(row, TABLE, "created_at")?,
        update_time: field(row, TABLE, "updated_at")?,
        delete_time: field(row, TABLE, "deleted_at")?,
        last_used_time: field(row, "key_usage", "last_used_at")?,
        version: field(row, TABLE, "version")?,
    })
}

fn settings_from_row(row: &Row) -> Result<Settings, StoreError> {
    let labels: Json = field(row, TABLE, "labels")?;
    let pairs = labels.as_object().into_iter().flatten();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    Ok(Settings {
        display_name: parsed(row, "display_name", DisplayName::parse)?,
        description: parsed(row, "description", Prose::parse)?,
        grants: parsed(row, "permissions", |texts: Vec<&str>| {
            Grants::parse(&texts).map_err(|(_, error)| error)
        })?,
        route_rules: parsed(row, "route_rules", |texts: Vec<&str>| {
            RouteRules::parse(&texts).map_err(|(_, error)| error)
        })?,
        validity: Validity {
            not_before: field(row, TABLE, "not_before_at")?,
            expire: field(row, TABLE, "expire_at")?,
        },
        labels: Labels::parse(pairs).map_err(|e| StoreError::corrupt(TABLE, "labels", e))?,
    })
}

fn standing_from_row(row: &Row) -> Result<Standing, StoreError> {
    match field(row, TABLE, "standing")? {
        "active" => Ok(Standing::Active),
        "inactive" => Ok(Standing::Inactive),
        "revoked" => Ok(Standing::Revoked(Revocation {
            reason: reason_from_text(field(row, TABLE, "revoke_reason")?)?,
            comment: parsed(row, "revoke_comment", Prose::parse)?,
            time: field(row, TABLE, "revoked_at")?,
            by: parsed(row, "revoked_by", Actor::parse)?,
        })),
        _ => Err(StoreError::corrupt(TABLE, "standing", "unknown standing")),
    }
}

fn retiring_from_row(row: &Row) -> Result<Option<Retiring>, StoreError> {
    let digest: Option<Digest> = field(row, TABLE, "retiring_digest")?;
    digest
        .map(|digest| {
            let hint = Hint::from_stored(field(row, TABLE, "retiring_hint")?);
            let expire = field(row, TABLE, "retiring_expire_at")?;
            Ok(Retiring { secret: Secret { digest, hint }, expire })
        })
        .transpose()
}
