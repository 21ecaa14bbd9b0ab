//! The items of jobs: keys to be made, stored as they arrive and made in batches; keys to be changed.

use std::pin::pin;

use tokio_postgres::{
    Row,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use crate::{
    model::{
        group::GroupNames,
        id::KeyId,
        job::{ItemError, Job, JobId},
        key::Validity,
        label::Labels,
        limit::Limits,
        list::KeyFilter,
        name::{DomainName, EnvironmentName, GroupName},
        pepper::PepperId,
        permission::Grants,
        secret::{Digest, Hint},
        text::{DisplayName, Prose},
        time::Timestamp,
        user::UserId,
    },
    store::{
        Parameter, Store,
        error::StoreError,
        key_row::labels_json,
        keys::{self, FilterValues},
        row::field,
        things::parsed,
        write::WriteTx,
    },
};

const STAGE: &str = "-- items.stage
    COPY keyward.job_import (job_id, position, key_id, digest, pepper, other_digests, hint, display_name, description,
        permissions, labels, limits, user_id, groups, not_before_at, expire_at)
    FROM STDIN BINARY";

const STAGE_TYPES: [Type; 16] = [
    Type::UUID,
    Type::INT8,
    Type::UUID,
    Type::BYTEA,
    Type::TEXT,
    Type::BYTEA_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::JSONB,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
];

const NEXT: &str = "-- items.next
    SELECT position, key_id, digest, other_digests, display_name, permissions, user_id, groups
    FROM keyward.job_import WHERE job_id = $1 AND position > $2 ORDER BY position LIMIT $3";

/// Whichever secret of a key they are of.
const PRESENT: &str = "-- items.present
    SELECT digest FROM keyward.key WHERE digest = ANY ($1)
    UNION ALL SELECT retiring_digest FROM keyward.key WHERE retiring_digest = ANY ($1)";

const USERS: &str = "-- items.users
    SELECT id FROM keyward.domain_user
    WHERE domain = $1 AND id = ANY ($2) AND deleted_at IS NULL ORDER BY uid FOR SHARE";

/// Groups and users are locked by then. The items are done with, whatever became of them.
const MAKE: &str = "-- items.make
    WITH item AS (
        DELETE FROM keyward.job_import WHERE job_id = $1 AND position > $2 AND position <= $3
        RETURNING *
    )
    INSERT INTO keyward.key (id, domain, environment, display_name, description, permissions,
        route_rules, labels, not_before_at, expire_at, standing, digest, pepper, hint, created_by,
        created_at, updated_at, version, limits, user_uid, groups)
    SELECT item.key_id, $5, $6, item.display_name, item.description, item.permissions,
        '{}', item.labels, item.not_before_at, item.expire_at, 'active', item.digest,
        item.pepper, item.hint, $7, $8, $8, 1, item.limits,
        (SELECT t.uid FROM keyward.domain_user AS t
            WHERE t.domain = $5 AND t.id = item.user_id AND t.deleted_at IS NULL),
        ARRAY(SELECT g.uid FROM keyward.permission_group AS g
            WHERE g.domain = $5 AND g.name = ANY (item.groups) AND g.deleted_at IS NULL
            ORDER BY g.name)
    FROM item WHERE item.position = ANY ($4) ORDER BY item.position
    ON CONFLICT ON CONSTRAINT key_digest_unique DO NOTHING
    RETURNING id";

const FIND_DELETED: &str = "-- items.find_deleted
    INSERT INTO keyward.job_key (job_id, position, key_id)
    SELECT $1, row_number() OVER (ORDER BY id), id FROM keyward.key
    WHERE deleted_at < $2 AND domain <> 'keyward' AND ($3::text[] IS NULL OR domain = ANY ($3))
    LIMIT $4";

const COUNT_DELETED: &str = "-- items.count_deleted
    SELECT count(*) AS found FROM (SELECT FROM keyward.key
        WHERE deleted_at < $1 AND domain <> 'keyward'
            AND ($2::text[] IS NULL OR domain = ANY ($2))
        LIMIT $3) AS few";

const NEXT_KEYS: &str = "-- items.next_keys
    DELETE FROM keyward.job_key WHERE job_id = $1 AND position > $2 AND position <= $2 + $3
    RETURNING position, key_id";

const NOTE_ERRORS: &str = "-- items.note_errors
    INSERT INTO keyward.job_error (job_id, position, subject, message)
    SELECT $1, * FROM unnest($2::int8[], $3::text[], $4::text[])
    ON CONFLICT DO NOTHING";

/// A key that is to be made, without what all keys of its import have.
#[derive(Clone, Debug)]
pub struct ImportItem {
    /// Counts the items of the import, from 1.
    pub position: i64,
    /// What the key will be called.
    pub id: KeyId,
    /// Its token.
    pub digest: Digest,
    /// What that is keyed with.
    pub pepper: PepperId,
    /// The same token by other peppers.
    pub other_digests: Vec<Digest>,
    /// What lists show of it.
    pub hint: Hint,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What it may do.
    pub grants: Grants,
    /// Names and values.
    pub labels: Labels,
    /// How much it may be used.
    pub limits: Limits,
    /// Whom it acts for.
    pub user: Option<UserId>,
    /// What it may do besides.
    pub groups: GroupNames,
    /// When it may.
    pub validity: Validity,
}

/// What is asked of an item before a key is made of it.
#[derive(Clone, Debug)]
pub struct Staged {
    /// Counts the items of the import.
    pub position: i64,
    /// What the key will be called.
    pub id: KeyId,
    /// Its token.
    pub digest: Digest,
    /// The same token by other peppers, by which a key may have it already.
    pub other_digests: Vec<Digest>,
    /// For people.
    pub display_name: Box<str>,
    /// What it may do.
    pub grants: Grants,
    /// Whom it acts for.
    pub user: Option<UserId>,
    /// What it may do besides.
    pub groups: GroupNames,
}

/// Where keys are made and of which items.
#[derive(Debug)]
pub struct Imported<'a> {
    /// Their tenant.
    pub domain: &'a DomainName,
    /// Where they work.
    pub environment: &'a EnvironmentName,
    /// Who makes them.
    pub created_by: KeyId,
    /// The items that they are made of.
    pub positions: Vec<i64>,
    /// The last item that is done with.
    pub last: i64,
}

impl WriteTx<'_> {
    /// Stores items of an import.
    pub async fn stage(&self, job: JobId, items: &[ImportItem]) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut rows = pin!(BinaryCopyInWriter::new(self.copy_in(STAGE).await?, &STAGE_TYPES));
        let job = job.stored();
        for item in items {
            let permissions: Vec<&str> = item.grants.iter().collect();
            let limits: Vec<String> = item.limits.iter().map(ToString::to_string).collect();
            let groups: Vec<&str> = item.groups.iter().map(GroupName::as_str).collect();
            let user = item.user.as_ref().map(UserId::as_str);
            let labels = labels_json(&item.labels);
            let pepper = item.pepper.to_string();
            let row: [&(dyn ToSql + Sync); 16] = [
                &job,
                &item.position,
                &item.id,
                &item.digest,
                &pepper,
                &item.other_digests,
                &item.hint.as_str(),
                &item.display_name.as_str(),
                &item.description.as_str(),
                &permissions,
                &labels,
                &limits,
                &user,
                &groups,
                &item.validity.not_before,
                &item.validity.expire,
            ];
            rows.as_mut().write(&row).await?;
        }
        rows.finish().await?;
        Ok(())
    }

    /// The next items of an import.
    pub async fn next_items(&self, job: &Job, items_max: i64) -> Result<Vec<Staged>, StoreError> {
        let place: [Parameter<'_>; 3] =
            [(&job.id.stored(), Type::UUID), (&job.reached, Type::INT8), (&items_max, Type::INT8)];
        self.query(NEXT, &place).await?.iter().map(staged_from_row).collect()
    }

    /// Which of these digests a key has already.
    pub async fn digests_present(&self, digests: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        let rows = self.query(PRESENT, &[(&digests, Type::BYTEA_ARRAY)]).await?;
        rows.iter().map(|row| field(row, "key", "digest")).collect()
    }

    /// Which of these users there are; nobody deletes them until the end.
    pub async fn users_there(
        &self,
        domain: &DomainName,
        ids: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        let names: [Parameter<'_>; 2] = [(&domain.as_str(), Type::TEXT), (&ids, Type::TEXT_ARRAY)];
        let rows = self.query(USERS, &names).await?;
        rows.iter().map(|row| field(row, "domain_user", "id")).collect()
    }

    /// Makes keys of items, and forgets these and all before them. Returns the keys that were made:
    /// another one may have come to have a digest meanwhile.
    pub async fn make_keys(
        &mut self,
        job: &Job,
        imported: &Imported<'_>,
    ) -> Result<Vec<KeyId>, StoreError> {
        let time = self.time();
        let parameters: [Parameter<'_>; 8] = [
            (&job.id.stored(), Type::UUID),
            (&job.reached, Type::INT8),
            (&imported.last, Type::INT8),
            (&imported.positions, Type::INT8_ARRAY),
            (&imported.domain.as_str(), Type::TEXT),
            (&imported.environment.as_str(), Type::TEXT),
            (&imported.created_by.to_string(), Type::TEXT),
            (&time, Type::TIMESTAMPTZ),
        ];
        let rows = self.query(MAKE, &parameters).await?;
        let made: Vec<KeyId> =
            rows.iter().map(|row| field(row, "key", "id")).collect::<Result<_, _>>()?;
        if !made.is_empty() {
            self.note_made(job, &made);
        }
        Ok(made)
    }

    /// Notes for a job which keys a filter finds now, but one; says how many.
    pub async fn find_keys(
        &self,
        job: JobId,
        (filter, but): (&KeyFilter, KeyId),
        keys_max: i64,
    ) -> Result<i64, StoreError> {
        let values = FilterValues::new(filter, self.time());
        let (job, but) = (Some(job.stored()), Some(but));
        let parameters =
            values.with([(&job, Type::UUID), (&but, Type::UUID), (&keys_max, Type::INT8)]);
        Ok(i64::try_from(self.execute(keys::FIND, &parameters).await?).unwrap_or(i64::MAX))
    }

    /// The same for keys that were deleted long ago, of all or some domains.
    pub async fn find_deleted(
        &self,
        job: JobId,
        (before, domains): (Timestamp, Option<&[DomainName]>),
        keys_max: i64,
    ) -> Result<i64, StoreError> {
        let domains: Option<Vec<&str>> =
            domains.map(|names| names.iter().map(DomainName::as_str).collect());
        let parameters: [Parameter<'_>; 4] = [
            (&job.stored(), Type::UUID),
            (&before, Type::TIMESTAMPTZ),
            (&domains, Type::TEXT_ARRAY),
            (&keys_max, Type::INT8),
        ];
        Ok(i64::try_from(self.execute(FIND_DELETED, &parameters).await?).unwrap_or(i64::MAX))
    }

    /// The next keys that are noted for a job, which are forgotten: their positions and ids.
    pub async fn next_keys(
        &self,
        job: &Job,
        keys_max: i64,
    ) -> Result<Vec<(i64, KeyId)>, StoreError> {
        let place: [Parameter<'_>; 3] =
            [(&job.id.stored(), Type::UUID), (&job.reached, Type::INT8), (&keys_max, Type::INT8)];
        let rows = self.query(NEXT_KEYS, &place).await?;
        let read = rows
            .iter()
            .map(|row| Ok((field(row, "job_key", "position")?, field(row, "job_key", "key_id")?)));
        read.collect()
    }

    /// Keeps what is wrong with items.
    pub async fn note_errors(&self, job: JobId, errors: &[ItemError]) -> Result<(), StoreError> {
        if errors.is_empty() {
            return Ok(());
        }
        let positions: Vec<i64> = errors.iter().map(|error| error.position).collect();
        let subjects: Vec<&str> = errors.iter().map(|error| &*error.subject).collect();
        let messages: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
        let parameters: [Parameter<'_>; 4] = [
            (&job.stored(), Type::UUID),
            (&positions, Type::INT8_ARRAY),
            (&subjects, Type::TEXT_ARRAY),
            (&messages, Type::TEXT_ARRAY),
        ];
        self.query(NOTE_ERRORS, &parameters).await?;
        Ok(())
    }
}

impl Store {
    /// How many keys a filter finds, but one.
    pub async fn count_keys(
        &self,
        (filter, but): (&KeyFilter, KeyId),
        keys_max: i64,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let values = FilterValues::new(filter, now);
        let (none, but) = (None::<KeyId>, Some(but));
        let parameters =
            values.with([(&none, Type::UUID), (&but, Type::UUID), (&keys_max, Type::INT8)]);
        let rows = self.run(keys::COUNT, &parameters).await?;
        rows.first().map_or(Ok(0), |row| field(row, "key", "found"))
    }

    /// How many keys were deleted long ago.
    pub async fn count_deleted(
        &self,
        (before, domains): (Timestamp, Option<&[DomainName]>),
        keys_max: i64,
    ) -> Result<i64, StoreError> {
        let domains: Option<Vec<&str>> =
            domains.map(|names| names.iter().map(DomainName::as_str).collect());
        let parameters: [Parameter<'_>; 3] =
            [(&before, Type::TIMESTAMPTZ), (&domains, Type::TEXT_ARRAY), (&keys_max, Type::INT8)];
        let rows = self.run(COUNT_DELETED, &parameters).await?;
        rows.first().map_or(Ok(0), |row| field(row, "key", "found"))
    }
}

fn staged_from_row(row: &Row) -> Result<Staged, StoreError> {
    const TABLE: &str = "job_import";
    let user: Option<&str> = field(row, TABLE, "user_id")?;
    let user = user.map(UserId::parse).transpose();
    Ok(Staged {
        position: field(row, TABLE, "position")?,
        id: field(row, TABLE, "key_id")?,
        digest: field(row, TABLE, "digest")?,
        other_digests: field(row, TABLE, "other_digests")?,
        display_name: field::<&str>(row, TABLE, "display_name")?.into(),
        grants: crate::store::things::grants(row, TABLE, "permissions")?,
        user: user.map_err(|error| StoreError::corrupt(TABLE, "user_id", error))?,
        groups: parsed(row, TABLE, "groups", |names: Vec<&str>| {
            GroupNames::parse(&names).map_err(|(_, error)| error)
        })?,
    })
}
