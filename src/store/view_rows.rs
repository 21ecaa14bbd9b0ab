//! What decisions need of the stored things: keys, domains, groups and users as replicas read them.

mod rows;

use std::{collections::HashSet, time::Duration};

use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::{
    Client, GenericClient, Row, binary_copy::BinaryCopyOutRow, binary_copy::BinaryCopyOutStream,
    types::Type,
};

use crate::{
    model::{
        id::KeyId,
        pepper::PepperId,
        shared::{CustomerRow, DomainRow, GroupRow, QuotaRow, UserRow},
        view::KeyRow,
    },
    store::{Parameter, error::StoreError, in_time, things::parsed},
};

use rows::{Copied, Queried, customer_row, domain_row, group_row, key_row, quota_row, user_row};

/// No statement takes longer, or the connection is taken for dead.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(5);
/// Things that are read with one statement.
const THINGS_MAX: usize = 10_000;

/// The columns that a [`KeyRow`] is made of, in the order of [`KEY_TYPES`]. Labels of a form that we
/// never write become text that cannot be read, so that they fail for their key and not for all; so
/// do groups that are null, which must not count as none. Most keys have nothing in the columns that the
/// CASE is about, and PostgreSQL sees that several times as quickly as it writes it down. Of peppers
/// that are retired nothing is said: nobody needs to have them.
macro_rules! key_row {
    () => {
        "SELECT id,
            environment || E'\\n' || domain || E'\\n' || array_to_string(permissions, ' ')
                || CASE WHEN user_uid IS NULL AND cardinality(groups) = 0
                    AND cardinality(allowed_addresses) = 0 AND cardinality(denied_addresses) = 0
                    AND cardinality(customers) = 0 AND delegated_domains IS NULL
                    AND ceiling IS NULL
                THEN E'\\n\\n\\n\\n\\n\\n\\n\\n'
                ELSE E'\\n' || coalesce(user_uid::text, '')
                    || E'\\n' || array_to_string(groups, ' ', '?')
                    || E'\\n' || array_to_string(allowed_addresses, ' ')
                    || E'\\n' || array_to_string(denied_addresses, ' ')
                    || E'\\n' || array_to_string(customers, ' ')
                    || E'\\n' || coalesce(array_to_string(delegated_domains, ' '), '')
                    || E'\\n' || coalesce(array_to_string(ceiling, ' '), '') || E'\\n' END
                || array_to_string(limits, ' ')
                || E'\\n' || array_to_string(route_rules, E'\\n') AS profile,
            CASE WHEN labels = '{}' THEN '' WHEN jsonb_typeof(labels) <> 'object' THEN '?' ELSE (
                SELECT string_agg(label.key || '=' || coalesce(label.value, E'\\t'), E'\\n'
                    ORDER BY label.key)
                FROM jsonb_each_text(labels) AS label) END AS labels,
            standing = 'active' AS active, not_before_at, expire_at, digest, retiring_digest,
            retiring_expire_at,
            CASE WHEN pepper = ANY (ARRAY(
                    SELECT p.id FROM keyward.pepper AS p WHERE p.retired_at IS NOT NULL))
                THEN NULL ELSE pepper END AS pepper,
            CASE WHEN retiring_expire_at <= now() OR retiring_pepper = ANY (ARRAY(
                    SELECT p.id FROM keyward.pepper AS p WHERE p.retired_at IS NOT NULL))
                THEN NULL ELSE retiring_pepper END AS retiring_pepper
        FROM keyward.key WHERE deleted_at IS NULL"
    };
}

const KEY_TYPES: [Type; 11] = [
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::BYTEA,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
    Type::TEXT,
    Type::TEXT,
];

macro_rules! group_row {
    () => {
        "SELECT uid, name, array_to_string(permissions, ' ') AS permissions
        FROM keyward.permission_group WHERE deleted_at IS NULL"
    };
}

const GROUP_TYPES: [Type; 3] = [Type::INT8, Type::TEXT, Type::TEXT];

macro_rules! user_row {
    () => {
        "SELECT uid, id, kind = 'person' AS person, disabled_at IS NULL AS enabled,
            array_to_string(permissions, ' ') AS permissions,
            array_to_string(groups, ' ', '?') AS groups,
            array_to_string(limits, ' ') AS limits, domain
        FROM keyward.domain_user WHERE deleted_at IS NULL"
    };
}

const USER_TYPES: [Type; 8] = [
    Type::INT8,
    Type::TEXT,
    Type::BOOL,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
];

macro_rules! domain_row {
    () => {
        "SELECT name, disabled_at IS NULL AS enabled,
            coalesce(array_to_string(entries, E'\\n'), '') AS route_map,
            array_to_string(limits, ' ') AS limits
        FROM keyward.domain LEFT JOIN keyward.route_map ON route_map.domain = domain.name
        WHERE true"
    };
}

const DOMAIN_TYPES: [Type; 4] = [Type::TEXT, Type::BOOL, Type::TEXT, Type::TEXT];

macro_rules! customer_row {
    () => {
        "SELECT domain, id, array_to_string(limits, ' ') AS limits, uid FROM keyward.customer"
    };
}

const CUSTOMER_TYPES: [Type; 4] = [Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8];

macro_rules! quota_row {
    () => {
        "SELECT owner, name, start_at, used, credits, period, generation
        FROM keyward.quota"
    };
}

const QUOTA_TYPES: [Type; 7] =
    [Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8, Type::INT8, Type::TEXT, Type::INT8];

const KEYS: &str = concat!("-- view_rows.keys\n", key_row!(), " AND id = ANY ($1)");
const GROUPS: &str = concat!("-- view_rows.groups\n", group_row!(), " AND uid = ANY ($1)");
const USERS: &str = concat!("-- view_rows.users\n", user_row!(), " AND uid = ANY ($1)");
const DOMAINS: &str = concat!("-- view_rows.domains\n", domain_row!(), " AND name = ANY ($1)");
const CUSTOMERS: &str = concat!(
    "-- view_rows.customers\n",
    customer_row!(),
    " WHERE (domain, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
);
const QUOTAS: &str = concat!(
    "-- view_rows.quotas\n",
    quota_row!(),
    " WHERE (owner, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
);

const RETIRED: &str = "-- view_rows.retired
    SELECT id FROM keyward.pepper WHERE id = ANY ($1) AND retired_at IS NOT NULL";

const ALL_KEYS: &str = concat!("-- view_rows.all_keys\nCOPY (", key_row!(), ") TO STDOUT BINARY");
const ALL_GROUPS: &str =
    concat!("-- view_rows.all_groups\nCOPY (", group_row!(), ") TO STDOUT BINARY");
const ALL_USERS: &str =
    concat!("-- view_rows.all_users\nCOPY (", user_row!(), ") TO STDOUT BINARY");
const ALL_DOMAINS: &str =
    concat!("-- view_rows.all_domains\nCOPY (", domain_row!(), ") TO STDOUT BINARY");

const ALL_CUSTOMERS: &str =
    concat!("-- view_rows.all_customers\nCOPY (", customer_row!(), ") TO STDOUT BINARY");
const ALL_QUOTAS: &str =
    concat!("-- view_rows.all_quotas\nCOPY (", quota_row!(), ") TO STDOUT BINARY");

/// What a reader does with what it reads.
pub trait Sink: Send {
    /// A key's present content.
    fn put(&mut self, row: &KeyRow<'_>);
    /// A key that is no more.
    fn remove(&mut self, id: KeyId);
    /// A pepper that nobody has to have any more.
    fn retire_pepper(&mut self, id: PepperId);
    /// A domain's present content.
    fn put_domain(&mut self, row: &DomainRow<'_>);
    /// A group's present content.
    fn put_group(&mut self, row: &GroupRow<'_>);
    /// A group that is no more.
    fn remove_group(&mut self, uid: i64);
    /// A user's present content.
    fn put_user(&mut self, row: &UserRow<'_>);
    /// A user that is no more.
    fn remove_user(&mut self, uid: i64);
    /// A customer's present content.
    fn put_customer(&mut self, row: &CustomerRow<'_>);
    /// A customer that is no more.
    fn remove_customer(&mut self, domain: &str, id: &str);
    /// What was used of a quota.
    fn put_quota(&mut self, row: &QuotaRow<'_>);
}

/// Things that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) keys: Vec<KeyId>,
    pub(super) domains: Vec<String>,
    pub(super) groups: Vec<i64>,
    pub(super) users: Vec<i64>,
    /// Domains and ids.
    pub(super) customers: Vec<(String, String)>,
    /// Owners and names.
    pub(super) quotas: Vec<(String, String)>,
    pub(super) peppers: Vec<PepperId>,
}

impl Changed {
    pub(super) fn dedup(&mut self) {
        self.keys.sort_unstable();
        self.keys.dedup();
        self.domains.sort_unstable();
        self.domains.dedup();
        self.groups.sort_unstable();
        self.groups.dedup();
        self.users.sort_unstable();
        self.users.dedup();
        self.customers.sort_unstable();
        self.customers.dedup();
        self.quotas.sort_unstable();
        self.quotas.dedup();
        self.peppers.sort_unstable();
        self.peppers.dedup();
    }
}

/// Reads all that there is. What keys share comes first.
pub(super) async fn all(client: &Client, sink: &mut dyn Sink) -> Result<(), StoreError> {
    copy(client, ALL_DOMAINS, &DOMAIN_TYPES, |row| {
        sink.put_domain(&domain_row(&Copied(row, "domain"))?);
        Ok(())
    })
    .await?;
    copy(client, ALL_GROUPS, &GROUP_TYPES, |row| {
        sink.put_group(&group_row(&Copied(row, "permission_group"))?);
        Ok(())
    })
    .await?;
    copy(client, ALL_USERS, &USER_TYPES, |row| {
        sink.put_user(&user_row(&Copied(row, "domain_user"))?);
        Ok(())
    })
    .await?;
    copy(client, ALL_KEYS, &KEY_TYPES, |row| {
        sink.put(&key_row(&Copied(row, "key"))?);
        Ok(())
    })
    .await?;
    copy(client, ALL_CUSTOMERS, &CUSTOMER_TYPES, |row| {
        sink.put_customer(&customer_row(&Copied(row, "customer"))?);
        Ok(())
    })
    .await?;
    // when all that has quotas is there
    copy(client, ALL_QUOTAS, &QUOTA_TYPES, |row| {
        sink.put_quota(&quota_row(&Copied(row, "quota"))?);
        Ok(())
    })
    .await
}

async fn copy(
    client: &Client,
    statement: &str,
    types: &[Type],
    mut take: impl FnMut(&BinaryCopyOutRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let rows = BinaryCopyOutStream::new(client.copy_out(statement).await?, types);
    pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

/// Reads what changed. What keys share comes first.
pub(super) async fn changed(
    client: &impl GenericClient,
    changed: &Changed,
    sink: &mut dyn Sink,
) -> Result<(), StoreError> {
    for names in changed.domains.chunks(THINGS_MAX) {
        let names: [Parameter<'_>; 1] = [(&names, Type::TEXT_ARRAY)];
        for row in read(client, DOMAINS, &names).await? {
            sink.put_domain(&domain_row(&Queried(&row, "domain"))?);
        }
    }
    for uids in changed.groups.chunks(THINGS_MAX) {
        let mut gone: HashSet<i64> = uids.iter().copied().collect();
        for row in read(client, GROUPS, &[(&uids, Type::INT8_ARRAY)]).await? {
            let row = Queried(&row, "permission_group");
            let row = group_row(&row)?;
            gone.remove(&row.uid);
            sink.put_group(&row);
        }
        for uid in gone {
            sink.remove_group(uid);
        }
    }
    for uids in changed.users.chunks(THINGS_MAX) {
        let mut gone: HashSet<i64> = uids.iter().copied().collect();
        for row in read(client, USERS, &[(&uids, Type::INT8_ARRAY)]).await? {
            let row = Queried(&row, "domain_user");
            let row = user_row(&row)?;
            gone.remove(&row.uid);
            sink.put_user(&row);
        }
        for uid in gone {
            sink.remove_user(uid);
        }
    }
    for ids in changed.keys.chunks(THINGS_MAX) {
        let mut gone: HashSet<KeyId> = ids.iter().copied().collect();
        for row in read(client, KEYS, &[(&ids, Type::UUID_ARRAY)]).await? {
            let row = Queried(&row, "key");
            let row = key_row(&row)?;
            gone.remove(&row.id);
            sink.put(&row);
        }
        for id in gone {
            sink.remove(id);
        }
    }
    for places in changed.customers.chunks(THINGS_MAX) {
        let mut gone: HashSet<(&str, &str)> =
            places.iter().map(|(domain, id)| (&**domain, &**id)).collect();
        for row in pairs(client, CUSTOMERS, places).await? {
            let row = Queried(&row, "customer");
            let row = customer_row(&row)?;
            gone.retain(|place| *place != (row.domain, row.id));
            sink.put_customer(&row);
        }
        for (domain, id) in gone {
            sink.remove_customer(domain, id);
        }
    }
    for places in changed.quotas.chunks(THINGS_MAX) {
        for row in pairs(client, QUOTAS, places).await? {
            sink.put_quota(&quota_row(&Queried(&row, "quota"))?);
        }
    }
    retired(client, &changed.peppers, sink).await
}

/// Reads which of these peppers are retired.
async fn retired(
    client: &impl GenericClient,
    peppers: &[PepperId],
    sink: &mut dyn Sink,
) -> Result<(), StoreError> {
    if peppers.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = peppers.iter().map(ToString::to_string).collect();
    for row in read(client, RETIRED, &[(&ids, Type::TEXT_ARRAY)]).await? {
        sink.retire_pepper(parsed(&row, "pepper", "id", PepperId::parse)?);
    }
    Ok(())
}

/// Rows that are found by two texts.
async fn pairs(
    client: &impl GenericClient,
    statement: &str,
    places: &[(String, String)],
) -> Result<Vec<Row>, StoreError> {
    let (first, second): (Vec<&str>, Vec<&str>) =
        places.iter().map(|(first, second)| (&**first, &**second)).unzip();
    let parameters: [Parameter<'_>; 2] = [(&first, Type::TEXT_ARRAY), (&second, Type::TEXT_ARRAY)];
    read(client, statement, &parameters).await
}

async fn read(
    client: &impl GenericClient,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, StoreError> {
    Ok(in_time(STATEMENT_TIME_MAX, client.query_typed(statement, parameters)).await??)
}
