//! Keys: reading one, reading pages, and the statements of their changes.

use serde_json::Value as Json;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    model::{
        caller::Actor,
        environment::{DomainName, EnvironmentName},
        id::KeyId,
        key::{
            Key, KeyState, Retiring, Revocation, RevocationReason, Secret, Settings, Standing,
            Validity,
        },
        label::Labels,
        list::{Cursor, KeyFilter, KeyOrder, KeyPage, PageRequest, Place},
        permission::Grants,
        route::RouteRules,
        secret::{Digest, Hint},
        text::{DisplayName, Prose, SearchText},
        time::Timestamp,
    },
    store::{Store, error::StoreError, row::field},
};

const TABLE: &str = "key";

/// The columns that [`key_from_row`] reads.
macro_rules! columns {
    () => {
        "k.id, k.domain, k.environment, k.display_name, k.description, k.permissions,
         k.route_rules, k.labels, k.not_before_at, k.expire_at, k.standing, k.revoke_reason,
         k.revoke_comment, k.revoked_at, k.revoked_by, k.digest, k.hint, k.retiring_digest,
         k.retiring_hint, k.retiring_expire_at, k.created_by, k.created_at, k.updated_at,
         k.deleted_at, k.version, u.last_used_at
         FROM keyward.key AS k LEFT JOIN keyward.key_usage AS u ON u.key_id = k.id"
    };
}

const GET: &str = concat!("-- keys.get\nSELECT ", columns!(), " WHERE k.id = $1");

/// `OF k`: uses are noted meanwhile.
pub(super) const LOCK: &str = concat!(
    "-- keys.lock\nSELECT ",
    columns!(),
    " WHERE k.id = $1 FOR UPDATE OF k"
);

const GET_BY_DIGEST: &str = concat!(
    "-- keys.get_by_digest\nSELECT ",
    columns!(),
    " WHERE k.digest = $1 OR k.retiring_digest = $1 AND k.retiring_expire_at > $2"
);

/// `{place}` and `{after}` are filled in from [`KeyOrder`].
const LIST: &str = concat!(
    "-- keys.list\nSELECT ",
    columns!(),
    " WHERE ($1::text IS NULL OR k.domain = $1)
        AND ($2::bool OR k.domain = 'keyward')
        AND ($3::bool OR k.domain <> 'keyward')
        AND ($4::text IS NULL OR k.environment = $4)
        AND ($5::text[] IS NULL OR CASE
            WHEN k.deleted_at IS NOT NULL THEN 'deleted'
            WHEN k.standing <> 'active' THEN k.standing
            WHEN k.expire_at <= $6 THEN 'expired'
            ELSE 'active' END = ANY ($5))
        AND ($7::bool OR k.deleted_at IS NULL)
        AND ($8::text IS NULL OR k.created_by = $8)
        AND k.labels @> $9::jsonb
        AND ($10::text IS NULL OR position(lower($10) IN lower(k.display_name)) > 0
            OR position(lower($10) IN lower(k.hint)) > 0)
        AND ($11::timestamptz IS NULL OR u.last_used_at IS NULL OR u.last_used_at < $11)
        AND ($12::timestamptz IS NULL OR k.expire_at < $12)
        AND ($13::uuid IS NULL OR ({place}, k.id) {after} ($14, $13))
    ORDER BY {place} {direction}, k.id {direction}
    LIMIT $15"
);

pub(super) const INSERT: &str = "-- keys.insert
    INSERT INTO keyward.key (
        id, domain, environment, display_name, description, permissions, route_rules, labels,
        not_before_at, expire_at, standing, revoke_reason, revoke_comment, revoked_at, revoked_by,
        digest, hint, retiring_digest, retiring_hint, retiring_expire_at, created_by, created_at,
        updated_at, deleted_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25)";

/// All that may change, by the same parameters as [`INSERT`]; the last three `IS NOT NULL` only
/// give a type to parameters that never change.
pub(super) const UPDATE: &str = "-- keys.update
    UPDATE keyward.key SET
        display_name = $4, description = $5, permissions = $6, route_rules = $7, labels = $8,
        not_before_at = $9, expire_at = $10, standing = $11, revoke_reason = $12,
        revoke_comment = $13, revoked_at = $14, revoked_by = $15, digest = $16, hint = $17,
        retiring_digest = $18, retiring_hint = $19, retiring_expire_at = $20, updated_at = $23,
        deleted_at = $24, version = $25
    WHERE id = $1 AND domain = $2 AND environment = $3 AND created_by = $21 AND created_at = $22";

impl Store {
    /// A key by its id, deleted or not.
    pub async fn get_key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        self.read(async {
            let session = self.session().await?;
            let row = session
                .client
                .query_typed_opt(GET, &[(&id, Type::UUID)])
                .await?;
            row.as_ref().map(key_from_row).transpose()
        })
        .await
    }

    /// The key that a token opens, or would if it were live.
    pub async fn get_key_by_digest(
        &self,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        self.read(async {
            let session = self.session().await?;
            let parameters: [Parameter<'_>; 2] =
                [(&digest, Type::BYTEA), (&now, Type::TIMESTAMPTZ)];
            let row = session
                .client
                .query_typed_opt(GET_BY_DIGEST, &parameters)
                .await?;
            row.as_ref().map(key_from_row).transpose()
        })
        .await
    }

    /// A page of keys.
    pub async fn list_keys(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<KeyPage, StoreError> {
        self.read(self.list(filter, page, now)).await
    }

    async fn list(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<KeyPage, StoreError> {
        let states: Vec<&str> = filter
            .states
            .iter()
            .map(|state| state_text(*state))
            .collect();
        let states = (!states.is_empty()).then_some(states);
        let deleted = filter.show_deleted || filter.states.contains(&KeyState::Deleted);
        let created_by = filter.created_by.map(|actor| actor.to_string());
        let (time, name) = match page.after.as_ref().map(|cursor| &cursor.place) {
            Some(Place::Time(time)) => (Some(*time), None),
            Some(Place::Name(name)) => (None, Some(&**name)),
            None => (None, None),
        };
        let place: Parameter<'_> = match page.order {
            KeyOrder::DisplayName => (&name, Type::TEXT),
            KeyOrder::CreateTime | KeyOrder::LastUsedTime | KeyOrder::ExpireTime => {
                (&time, Type::TIMESTAMPTZ)
            }
        };
        let size = i64::from(page.size.keys());
        let parameters: [Parameter<'_>; 15] = [
            (&filter.domain.as_ref().map(DomainName::as_str), Type::TEXT),
            (&filter.reach.keys, Type::BOOL),
            (&filter.reach.admins, Type::BOOL),
            (
                &filter.environment.as_ref().map(EnvironmentName::as_str),
                Type::TEXT,
            ),
            (&states, Type::TEXT_ARRAY),
            (&now, Type::TIMESTAMPTZ),
            (&deleted, Type::BOOL),
            (&created_by, Type::TEXT),
            (&labels_json(&filter.labels), Type::JSONB),
            (&filter.search.as_ref().map(SearchText::as_str), Type::TEXT),
            (&filter.last_used_before, Type::TIMESTAMPTZ),
            (&filter.expires_before, Type::TIMESTAMPTZ),
            (&page.after.as_ref().map(|cursor| cursor.id), Type::UUID),
            place,
            (&(size + 1), Type::INT8), // one more tells whether there is a next page
        ];
        let session = self.session().await?;
        let rows = session
            .client
            .query_typed(&list_statement(page), &parameters)
            .await?;
        let mut keys = rows
            .iter()
            .map(key_from_row)
            .collect::<Result<Vec<_>, _>>()?;
        let more = keys.len() > usize::from(page.size.keys());
        keys.truncate(usize::from(page.size.keys()));
        let next = keys.last().filter(|_| more).map(|key| Cursor {
            place: page.order.place(key),
            id: key.id,
        });
        Ok(KeyPage { keys, next })
    }
}

/// A parameter of a statement and its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

fn list_statement(page: &PageRequest) -> String {
    let place = match page.order {
        KeyOrder::CreateTime => "k.created_at",
        KeyOrder::DisplayName => "k.display_name COLLATE \"C\"",
        KeyOrder::LastUsedTime => "coalesce(u.last_used_at, '-infinity')",
        KeyOrder::ExpireTime => "coalesce(k.expire_at, 'infinity')",
    };
    let (direction, after) = if page.descending {
        ("DESC", "<")
    } else {
        ("ASC", ">")
    };
    LIST.replace("{place}", place)
        .replace("{direction}", direction)
        .replace("{after}", after)
}

/// The parameters of [`INSERT`] and [`UPDATE`], in owned form.
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
            route_rules: key
                .settings
                .route_rules
                .iter()
                .map(ToString::to_string)
                .collect(),
            labels: labels_json(&key.settings.labels),
            revoke_reason: revocation.map(|revocation| reason_text(revocation.reason)),
            revoked_by: revocation.map(|revocation| revocation.by.to_string()),
            created_by: key.created_by.to_string(),
        }
    }

    /// Runs `use_them` with the parameters in the order of [`INSERT`].
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
            (
                &revocation.map(|revocation| revocation.comment.as_str()),
                Type::TEXT,
            ),
            (
                &revocation.map(|revocation| revocation.time),
                Type::TIMESTAMPTZ,
            ),
            (&self.revoked_by, Type::TEXT),
            (&key.secret.digest, Type::BYTEA),
            (&key.secret.hint.as_str(), Type::TEXT),
            (
                &retiring.map(|retiring| retiring.secret.digest),
                Type::BYTEA,
            ),
            (
                &retiring.map(|retiring| retiring.secret.hint.as_str()),
                Type::TEXT,
            ),
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
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect()
}

const fn state_text(state: KeyState) -> &'static str {
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
        _ => Err(StoreError::corrupt(
            TABLE,
            "revoke_reason",
            "unknown reason",
        )),
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

/// Reads a row with the columns of [`columns`].
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
            Ok(Retiring {
                secret: Secret { digest, hint },
                expire,
            })
        })
        .transpose()
}
