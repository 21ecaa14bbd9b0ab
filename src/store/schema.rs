//! The schema: its migrations and whether it fits this program.

use ring::digest;
use tokio_postgres::types::Type;

use crate::{
    model::secret::Pepper,
    store::{Store, error::StoreError, row::field},
};

/// Every migration in its order; forward only. What has landed is never edited.
const MIGRATIONS: [(i32, &str, &str); 1] = [(1, "keys", include_str!("migrations/0001_keys.sql"))];

/// Any number that no other program takes.
const LOCK: &str = "-- schema.lock
    SELECT pg_advisory_xact_lock(7161820034571)";

const BASE: &str = "-- schema.base
    CREATE SCHEMA IF NOT EXISTS keyward;
    CREATE TABLE IF NOT EXISTS keyward.migration (
        version integer CONSTRAINT migration_pkey PRIMARY KEY,
        name text NOT NULL,
        checksum bytea NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

const BASE_EXISTS: &str = "-- schema.base_exists
    SELECT to_regclass('keyward.migration') IS NOT NULL AS found";

const APPLIED: &str = "-- schema.applied
    SELECT version, checksum FROM keyward.migration ORDER BY version";

const RECORD: &str = "-- schema.record
    INSERT INTO keyward.migration (version, name, checksum) VALUES ($1, $2, $3)";

const PEPPER_VERIFIER: &str = "-- schema.pepper_verifier
    SELECT verifier FROM keyward.pepper";

const SET_PEPPER_VERIFIER: &str = "-- schema.set_pepper_verifier
    INSERT INTO keyward.pepper (verifier) VALUES ($1) ON CONFLICT DO NOTHING";

/// What a migration run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version that the schema has now.
    pub version: i32,
    /// How many migrations were applied.
    pub applied: usize,
}

impl Store {
    /// Brings the schema to this program's version, in one transaction. Of several that try at once,
    /// one does it.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        let mut session = self.session().await?;
        let tx = session.client.transaction().await?;
        tx.query_typed(LOCK, &[]).await?;
        tx.batch_execute(BASE).await?;
        let known = check(&tx.query_typed(APPLIED, &[]).await?)?;
        let mut applied = 0;
        for (version, name, sql) in MIGRATIONS.iter().skip(known) {
            tx.batch_execute(sql).await?;
            let checksum = checksum(sql);
            let row: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
                (version, Type::INT4),
                (name, Type::TEXT),
                (&checksum, Type::BYTEA),
            ];
            tx.execute_typed(RECORD, &row).await?;
            applied += 1;
        }
        tx.commit().await?;
        Ok(Migrated {
            version: MIGRATIONS.last().map_or(0, |(version, ..)| *version),
            applied,
        })
    }

    /// Checks that the schema is this program's, for who must not change it.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let session = self.session().await?;
        let row = session.client.query_typed_one(BASE_EXISTS, &[]).await?;
        let found: bool = field(&row, "migration", "found")?;
        let known = if found {
            check(&session.client.query_typed(APPLIED, &[]).await?)?
        } else {
            0
        };
        if known < MIGRATIONS.len() {
            let missing = MIGRATIONS.len() - known;
            return Err(StoreError::Schema(format!(
                "{missing} migration(s) are missing; run `keyward migrate`"
            )));
        }
        Ok(())
    }

    /// Whether the digests in the database are keyed with this pepper. The first one that asks
    /// settles it.
    pub async fn recognise_pepper(&self, pepper: &Pepper) -> Result<bool, StoreError> {
        let session = self.session().await?;
        let verifier = pepper.verifier().to_vec();
        session
            .client
            .execute_typed(SET_PEPPER_VERIFIER, &[(&verifier, Type::BYTEA)])
            .await?;
        let row = session.client.query_typed_one(PEPPER_VERIFIER, &[]).await?;
        let stored: Vec<u8> = field(&row, "pepper", "verifier")?;
        Ok(stored == verifier)
    }
}

/// How many of our migrations the rows show, which must be ours in our order.
fn check(rows: &[tokio_postgres::Row]) -> Result<usize, StoreError> {
    if rows.len() > MIGRATIONS.len() {
        return Err(StoreError::Schema(format!(
            "it has {} migrations and this program knows {}; use a newer keyward",
            rows.len(),
            MIGRATIONS.len()
        )));
    }
    for (row, (version, name, sql)) in rows.iter().zip(MIGRATIONS) {
        let stored_version: i32 = field(row, "migration", "version")?;
        let stored_checksum: Vec<u8> = field(row, "migration", "checksum")?;
        if stored_version != version || stored_checksum != checksum(sql) {
            return Err(StoreError::Schema(format!(
                "migration {version} ({name}) is not the one that this program has"
            )));
        }
    }
    Ok(rows.len())
}

fn checksum(sql: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, sql.as_bytes())
        .as_ref()
        .to_vec()
}
