//! Who refers to what: asked while a change is under way, of what it keeps from changing.

use tokio_postgres::types::Type;

use crate::{
    model::{
        group::{GroupNames, Groups, PermissionGroup},
        id::KeyId,
        name::{DomainName, EnvironmentName, GroupName},
    },
    store::{Parameter, error::StoreError, row::field, things::Stored, write::WriteTx},
};

macro_rules! group_columns {
    () => {
        "SELECT t.uid, t.domain, t.name, t.display_name, t.description, t.permissions,
            t.created_at, t.updated_at, t.version
        FROM keyward.permission_group AS t WHERE t.deleted_at IS NULL"
    };
}

/// In the order of their uids, so that two who lock several do not wait for each other.
const GROUPS_BY_NAME: &str = concat!(
    "-- references.groups_by_name\n",
    group_columns!(),
    " AND t.domain = $1 AND t.name = ANY ($2) ORDER BY t.uid FOR SHARE"
);

const GROUPS_BY_UID: &str = concat!(
    "-- references.groups_by_uid\n",
    group_columns!(),
    " AND t.uid = ANY ($1) ORDER BY t.uid FOR SHARE"
);

const KEYS_OF_USER: &str = "-- references.keys_of_user
    SELECT id, count(*) OVER () AS keys FROM keyward.key
    WHERE user_uid = $1 AND deleted_at IS NULL
    ORDER BY id LIMIT $2";

const USES_OF_GROUP: &str = "-- references.uses_of_group
    WITH has AS (
        SELECT uid FROM keyward.domain_user
        WHERE groups <> '{}' AND groups @> ARRAY[$1] AND deleted_at IS NULL
    )
    SELECT (SELECT count(*) FROM has) AS users,
        (SELECT count(*) FROM keyward.key
            WHERE groups <> '{}' AND groups @> ARRAY[$1] AND deleted_at IS NULL)
        + (SELECT count(*) FROM keyward.key JOIN has ON has.uid = key.user_uid
            WHERE NOT key.groups @> ARRAY[$1] AND key.deleted_at IS NULL) AS keys";

const USES_OF_ENVIRONMENT: &str = "-- references.uses_of_environment
    SELECT (SELECT count(*) FROM keyward.key WHERE environment = $1) AS keys,
        (SELECT count(*) FROM keyward.key
            WHERE environment = $1 AND deleted_at IS NOT NULL) AS deleted_keys,
        (SELECT count(*) FROM keyward.template WHERE environment = $1) AS templates";

const DOMAINS_THERE: &str = "-- references.domains_there
    SELECT name FROM keyward.domain WHERE name = ANY ($1)";

const USER_THERE: &str = "-- references.user_there
    SELECT uid FROM keyward.domain_user WHERE uid = $1 AND deleted_at IS NULL FOR SHARE";

/// What keeps an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvironmentUses {
    /// Its keys, deleted or not.
    pub keys: i64,
    /// Those of them that are deleted.
    pub deleted_keys: i64,
    /// Templates that name it.
    pub templates: i64,
}

/// Who has a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupUses {
    /// Keys, themselves or through their user.
    pub keys: i64,
    /// Users.
    pub users: i64,
}

/// Whom keys act for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysOfUser {
    /// The first of them.
    pub first: Vec<KeyId>,
    /// How many there are.
    pub keys: i64,
}

impl WriteTx<'_> {
    /// The groups of these names, which nobody changes until the end; those that are not there are
    /// missing.
    pub async fn groups_by_name(
        &self,
        domain: &DomainName,
        names: &GroupNames,
    ) -> Result<Vec<PermissionGroup>, StoreError> {
        let names: Vec<&str> = names.iter().map(GroupName::as_str).collect();
        let parameters: [Parameter<'_>; 2] =
            [(&domain.as_str(), Type::TEXT), (&names, Type::TEXT_ARRAY)];
        let rows = self.query(GROUPS_BY_NAME, &parameters).await?;
        rows.iter().map(PermissionGroup::from_row).collect()
    }

    /// The groups that a key or a user has, without those that were deleted.
    pub async fn groups_of(&self, groups: &Groups) -> Result<Vec<PermissionGroup>, StoreError> {
        let uids: Vec<i64> = groups.iter().map(|group| group.uid).collect();
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query(GROUPS_BY_UID, &[(&uids, Type::INT8_ARRAY)]).await?;
        rows.iter().map(PermissionGroup::from_row).collect()
    }

    /// The keys that act for a user: the first few of them, and how many.
    pub async fn keys_of_user(&self, uid: i64, few: i64) -> Result<KeysOfUser, StoreError> {
        let parameters: [Parameter<'_>; 2] = [(&uid, Type::INT8), (&few, Type::INT8)];
        let rows = self.query(KEYS_OF_USER, &parameters).await?;
        let first = rows.iter().map(|row| field(row, "key", "id")).collect::<Result<_, _>>()?;
        let keys = rows.first().map_or(Ok(0), |row| field(row, "key", "keys"))?;
        Ok(KeysOfUser { first, keys })
    }

    /// Who has a group.
    pub async fn uses_of_group(&self, uid: i64) -> Result<GroupUses, StoreError> {
        let rows = self.query(USES_OF_GROUP, &[(&uid, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Ok(GroupUses::default()) };
        Ok(GroupUses { keys: field(row, "key", "keys")?, users: field(row, "key", "users")? })
    }

    /// What keeps an environment from being removed.
    pub async fn uses_of_environment(
        &self,
        name: &EnvironmentName,
    ) -> Result<EnvironmentUses, StoreError> {
        let name: [Parameter<'_>; 1] = [(&name.as_str(), Type::TEXT)];
        let rows = self.query(USES_OF_ENVIRONMENT, &name).await?;
        let count = |column| rows.first().map_or(Ok(0), |row| field(row, "key", column));
        Ok(EnvironmentUses {
            keys: count("keys")?,
            deleted_keys: count("deleted_keys")?,
            templates: count("templates")?,
        })
    }

    /// The position of the first domain that is not there.
    pub async fn first_unknown_domain(
        &self,
        domains: &[DomainName],
    ) -> Result<Option<usize>, StoreError> {
        let names: Vec<&str> = domains.iter().map(DomainName::as_str).collect();
        let rows = self.query(DOMAINS_THERE, &[(&names, Type::TEXT_ARRAY)]).await?;
        let there: Vec<&str> =
            rows.iter().map(|row| field(row, "domain", "name")).collect::<Result<_, _>>()?;
        Ok(names.iter().position(|name| !there.contains(name)))
    }

    /// Whether a user was not deleted; nobody deletes it until the end.
    pub async fn user_is_there(&self, uid: i64) -> Result<bool, StoreError> {
        Ok(!self.query(USER_THERE, &[(&uid, Type::INT8)]).await?.is_empty())
    }
}
