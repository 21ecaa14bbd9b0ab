//! Keys: reading one, reading pages, and the statements of their changes.

use tokio_postgres::types::Type;

use crate::{
    model::{
        id::KeyId,
        key::{Key, KeyState},
        list::{Cursor, KeyFilter, KeyOrder, KeyPage, PageRequest, Place},
        name::{DomainName, EnvironmentName, GroupName},
        secret::Digest,
        text::SearchText,
        time::Timestamp,
        user::UserId,
    },
    store::{
        Parameter, Store,
        error::StoreError,
        key_row::{key_from_row, labels_json, state_text},
        row::field,
        things::{group_columns, kind_text},
    },
};

/// The columns that [`key_from_row`] reads.
macro_rules! columns {
    () => {
        concat!(
            "k.id, k.domain, k.environment, k.display_name, k.description, k.permissions,
             k.route_rules, k.labels, k.not_before_at, k.expire_at, k.standing, k.revoke_reason,
             k.revoke_comment, k.revoked_at, k.revoked_by, k.digest, k.hint, k.retiring_digest,
             coalesce(k.pepper, (SELECT id FROM keyward.pepper WHERE is_first)) AS pepper,
             coalesce(k.retiring_pepper, (SELECT id FROM keyward.pepper WHERE is_first))
                AS retiring_pepper, k.retiring_hint, k.retiring_expire_at, k.created_by, k.created_at, k.updated_at,
             k.deleted_at, k.version, k.customers, k.allowed_addresses, k.denied_addresses,
             k.managed_by, k.self_regenerate, k.delegated_domains, k.ceiling, k.template,
             k.limits, k.user_uid, t.id AS user_id, u.last_used_at,
             u.last_used_address, ",
            group_columns!("k"),
            " FROM keyward.key AS k LEFT JOIN keyward.key_usage AS u ON u.key_id = k.id
                LEFT JOIN keyward.domain_user AS t ON t.uid = k.user_uid"
        )
    };
}

pub(super) const GET: &str = concat!("-- keys.get\nSELECT ", columns!(), " WHERE k.id = $1");

/// Keeps others from changing the key, not from reading it so too.
pub(super) const SHARE: &str =
    concat!("-- keys.share\nSELECT ", columns!(), " WHERE k.id = $1 FOR SHARE OF k");

/// `OF k`: uses are noted meanwhile.
pub(super) const LOCK: &str =
    concat!("-- keys.lock\nSELECT ", columns!(), " WHERE k.id = $1 FOR UPDATE OF k");

/// In the order of their ids, so that two who lock several do not wait for each other.
pub(super) const LOCK_MANY: &str = concat!(
    "-- keys.lock_many\nSELECT ",
    columns!(),
    " WHERE k.id = ANY ($1) ORDER BY k.id FOR UPDATE OF k"
);

/// With what is stored of their use.
pub(super) const PURGE: &str = "-- keys.purge
    WITH used AS (
        DELETE FROM keyward.key_usage WHERE key_id = ANY ($1)
    ), quotas AS (
        DELETE FROM keyward.quota WHERE owner = ANY ($2)
    ), asked AS (
        DELETE FROM keyward.request WHERE key_id = ANY ($1)
    )
    DELETE FROM keyward.key WHERE id = ANY ($1)";

const GET_BY_DIGESTS: &str = concat!(
    "-- keys.get_by_digests\nSELECT ",
    columns!(),
    " WHERE k.digest = ANY ($1)
        OR k.retiring_digest = ANY ($1) AND k.retiring_expire_at > $2
    LIMIT 1"
);

/// What [`filter_parameters`] are for. `$13` to `$15` are free.
macro_rules! filter {
    () => {
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
        AND ($11::timestamptz IS NULL OR coalesce(u.last_used_at, k.created_at) < $11)
        AND ($12::timestamptz IS NULL OR k.expire_at < $12)
        AND ($16::text[] IS NULL OR k.domain = ANY ($16))
        AND ($17::text IS NULL OR k.user_uid = ANY (ARRAY(
            SELECT uid FROM keyward.domain_user WHERE id = $17)))
        AND ($18::text IS NULL OR t.kind = $18)
        AND ($19::text IS NULL OR k.groups <> '{}' AND k.groups && ARRAY(
            SELECT g.uid FROM keyward.permission_group AS g
            WHERE g.name = $19 AND g.deleted_at IS NULL))
        AND ($20::text IS NULL OR $20 = ANY (k.customers))
        AND ($21::uuid IS NULL OR k.managed_by = $21)
        AND ($22::timestamptz IS NULL OR k.expire_at >= $22)
        AND ($23::timestamptz IS NULL
            OR k.retiring_expire_at > $6 AND k.retiring_expire_at < $23)"
    };
}

/// `{place}` and `{after}` are filled in from [`KeyOrder`].
const LIST: &str = concat!(
    "-- keys.list\nSELECT ",
    columns!(),
    filter!(),
    "
        AND ($13::uuid IS NULL OR ({place}, k.id) {after} ($14, $13))
    ORDER BY {place} {direction}, k.id {direction}
    LIMIT $15"
);

/// What a filter finds, noted for job `$13`, but for key `$14`; `$15` at most.
pub(super) const FIND: &str = concat!(
    "-- keys.find
    INSERT INTO keyward.job_key (job_id, position, key_id)
    SELECT $13, row_number() OVER (ORDER BY k.id), k.id
    FROM keyward.key AS k LEFT JOIN keyward.key_usage AS u ON u.key_id = k.id
        LEFT JOIN keyward.domain_user AS t ON t.uid = k.user_uid",
    filter!(),
    " AND k.id <> $14 LIMIT $15"
);

/// How many a filter finds, but for key `$14`; `$15` at most. `$13` is not looked at.
pub(super) const COUNT: &str = concat!(
    "-- keys.count
    SELECT count(*) AS found FROM (
        SELECT FROM keyward.key AS k LEFT JOIN keyward.key_usage AS u ON u.key_id = k.id
            LEFT JOIN keyward.domain_user AS t ON t.uid = k.user_uid",
    filter!(),
    " AND k.id <> $14 LIMIT $15) AS few"
);

pub(super) const INSERT: &str = "-- keys.insert
    INSERT INTO keyward.key (
        id, domain, environment, display_name, description, permissions, route_rules, labels,
        not_before_at, expire_at, standing, revoke_reason, revoke_comment, revoked_at, revoked_by,
        digest, hint, retiring_digest, retiring_hint, retiring_expire_at, created_by, created_at,
        updated_at, deleted_at, version, template, user_uid, groups, customers, allowed_addresses,
        denied_addresses, managed_by, self_regenerate, delegated_domains, ceiling,
        limits, pepper, retiring_pepper)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36,
        $37, $38)";

/// All that may change, by the same parameters as [`INSERT`]. What never changes is compared, which
/// also gives those parameters a use.
pub(super) const UPDATE: &str = "-- keys.update
    UPDATE keyward.key SET
        display_name = $4, description = $5, permissions = $6, route_rules = $7, labels = $8,
        not_before_at = $9, expire_at = $10, standing = $11, revoke_reason = $12,
        revoke_comment = $13, revoked_at = $14, revoked_by = $15, digest = $16, hint = $17,
        retiring_digest = $18, retiring_hint = $19, retiring_expire_at = $20, updated_at = $23,
        deleted_at = $24, version = $25, user_uid = $27, groups = $28, customers = $29,
        allowed_addresses = $30, denied_addresses = $31, managed_by = $32, self_regenerate = $33,
        delegated_domains = $34, ceiling = $35, limits = $36, pepper = $37, retiring_pepper = $38
    WHERE id = $1 AND domain = $2 AND environment = $3 AND created_by = $21 AND created_at = $22
        AND template IS NOT DISTINCT FROM $26";

pub(super) const ADMIN_EXISTS: &str = "-- keys.admin_exists
    SELECT EXISTS (SELECT FROM keyward.key WHERE domain = 'keyward') AS found";

impl Store {
    /// Whether there has ever been an admin key.
    pub async fn admin_exists(&self) -> Result<bool, StoreError> {
        let rows = self.run(ADMIN_EXISTS, &[]).await?;
        rows.first().map_or(Ok(false), |row| field(row, "key", "found"))
    }

    /// A key by its id, deleted or not.
    pub async fn get_key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        let rows = self.run(GET, &[(&id, Type::UUID)]).await?;
        rows.first().map(key_from_row).transpose()
    }

    /// The key that a token opens, or would if it were live. The token is stored in one of these forms.
    pub async fn get_key_by_digests(
        &self,
        digests: &[Digest],
        now: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&digests, Type::BYTEA_ARRAY), (&now, Type::TIMESTAMPTZ)];
        let rows = self.run(GET_BY_DIGESTS, &parameters).await?;
        rows.first().map(key_from_row).transpose()
    }

    /// A page of keys.
    pub async fn list_keys(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<KeyPage, StoreError> {
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
        let size = i64::from(page.size.items());
        let after = page.after.as_ref().map(|cursor| cursor.id);
        // one more tells whether there is a next page
        let more = size + 1;
        let values = FilterValues::new(filter, now);
        let parameters = values.with([(&after, Type::UUID), place, (&more, Type::INT8)]);
        let rows = self.run(&list_statement(page), &parameters).await?;
        let mut keys = rows.iter().map(key_from_row).collect::<Result<Vec<_>, _>>()?;
        let more = keys.len() > usize::from(page.size.items());
        keys.truncate(usize::from(page.size.items()));
        let next = keys
            .last()
            .filter(|_| more)
            .map(|key| Cursor { place: page.order.place(key), id: key.id });
        Ok(KeyPage { keys, next })
    }
}

/// What a filter says, as the statements that have it take it.
pub(super) struct FilterValues<'a> {
    filter: &'a KeyFilter,
    domain: Option<&'a str>,
    environment: Option<&'a str>,
    states: Option<Vec<&'static str>>,
    now: Timestamp,
    deleted: bool,
    created_by: Option<String>,
    labels: serde_json::Value,
    search: Option<&'a str>,
    domains: Option<Vec<&'a str>>,
    user: Option<&'a str>,
    user_kind: Option<&'static str>,
    group: Option<&'a str>,
    customer: Option<&'a str>,
}

impl<'a> FilterValues<'a> {
    pub(super) fn new(filter: &'a KeyFilter, now: Timestamp) -> Self {
        let states: Vec<&str> = filter.states.iter().map(|state| state_text(*state)).collect();
        let domains = filter.reach.domains.as_ref();
        Self {
            filter,
            domain: filter.domain.as_ref().map(DomainName::as_str),
            environment: filter.environment.as_ref().map(EnvironmentName::as_str),
            states: (!states.is_empty()).then_some(states),
            now,
            deleted: filter.show_deleted || filter.states.contains(&KeyState::Deleted),
            created_by: filter.created_by.map(|actor| actor.to_string()),
            labels: labels_json(&filter.labels),
            search: filter.search.as_ref().map(SearchText::as_str),
            domains: domains.map(|names| names.iter().map(DomainName::as_str).collect()),
            user: filter.user.as_ref().map(UserId::as_str),
            user_kind: filter.user_kind.map(kind_text),
            group: filter.group.as_ref().map(GroupName::as_str),
            customer: filter.customer.as_deref(),
        }
    }

    /// All parameters; `own` are `$13` to `$15`.
    pub(super) fn with<'b>(&'b self, own: [Parameter<'b>; 3]) -> [Parameter<'b>; 23] {
        let [first, second, third] = own;
        [
            (&self.domain, Type::TEXT),
            (&self.filter.reach.keys, Type::BOOL),
            (&self.filter.reach.admins, Type::BOOL),
            (&self.environment, Type::TEXT),
            (&self.states, Type::TEXT_ARRAY),
            (&self.now, Type::TIMESTAMPTZ),
            (&self.deleted, Type::BOOL),
            (&self.created_by, Type::TEXT),
            (&self.labels, Type::JSONB),
            (&self.search, Type::TEXT),
            (&self.filter.last_used_before, Type::TIMESTAMPTZ),
            (&self.filter.expires_before, Type::TIMESTAMPTZ),
            first,
            second,
            third,
            (&self.domains, Type::TEXT_ARRAY),
            (&self.user, Type::TEXT),
            (&self.user_kind, Type::TEXT),
            (&self.group, Type::TEXT),
            (&self.customer, Type::TEXT),
            (&self.filter.managed_by, Type::UUID),
            (&self.filter.expires_after, Type::TIMESTAMPTZ),
            (&self.filter.retiring_before, Type::TIMESTAMPTZ),
        ]
    }
}

fn list_statement(page: &PageRequest) -> String {
    let place = match page.order {
        KeyOrder::CreateTime => "k.created_at",
        KeyOrder::DisplayName => "k.display_name COLLATE \"C\"",
        KeyOrder::LastUsedTime => "coalesce(u.last_used_at, '-infinity')",
        KeyOrder::ExpireTime => "coalesce(k.expire_at, 'infinity')",
    };
    let (direction, after) = if page.descending { ("DESC", "<") } else { ("ASC", ">") };
    LIST.replace("{place}", place).replace("{direction}", direction).replace("{after}", after)
}
