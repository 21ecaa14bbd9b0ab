//! The schema: its migrations and whether it fits this program.

use ring::digest;
use tokio_postgres::{Row, types::Type};

use crate::store::{Parameter, Store, error::StoreError, row::field};

/// One step of the schema.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    /// Programs that know the schema of this version can run on the one that this step makes, so
    /// that old and new replicas serve side by side while new ones are rolled out.
    serves_from: i32,
}

/// Every migration in its order; forward only. What has landed is never edited.
const MIGRATIONS: [Migration; 9] = [
    Migration {
        version: 1,
        name: "keys",
        sql: include_str!("migrations/0001_keys.sql"),
        serves_from: 1,
    },
    Migration {
        version: 2,
        name: "access",
        sql: include_str!("migrations/0002_access.sql"),
        // older ones know nothing of what restricts keys by then, and would allow too much
        serves_from: 2,
    },
    Migration {
        version: 3,
        name: "limits",
        sql: include_str!("migrations/0003_limits.sql"),
        // older ones know of no limits, and there are none before the first is set
        serves_from: 2,
    },
    Migration {
        version: 4,
        name: "audit",
        sql: include_str!("migrations/0004_audit.sql"),
        // the chain of older ones' events is the work of a trigger
        serves_from: 2,
    },
    Migration {
        version: 5,
        name: "decisions",
        sql: include_str!("migrations/0005_decisions.sql"),
        // what is new, older ones leave alone
        serves_from: 2,
    },
    Migration {
        version: 6,
        name: "jobs",
        sql: include_str!("migrations/0006_jobs.sql"),
        // older ones make no jobs, and of what jobs do they see the keys
        serves_from: 2,
    },
    Migration {
        version: 7,
        name: "notices",
        sql: include_str!("migrations/0007_notices.sql"),
        // older ones make no notices
        serves_from: 2,
    },
    Migration {
        version: 8,
        name: "peppers",
        sql: include_str!("migrations/0008_peppers.sql"),
        // with one pepper all is as before; who brings a second one raises this (`store/peppers`)
        serves_from: 2,
    },
    Migration {
        version: 9,
        name: "usage",
        sql: include_str!("migrations/0009_usage.sql"),
        // what is new, older ones leave alone
        serves_from: 2,
    },
];

/// Another starter may hold the lock while it migrates; one that vanished is not waited for. The
/// steps themselves take as long as they take.
const BOUNDS: &str = "-- schema.bounds
    SET LOCAL lock_timeout = '10s';
    SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// Any number that no other program takes.
const LOCK: &str = "-- schema.lock
    SELECT pg_advisory_xact_lock(7161820034571)";

const BASE: &str = "-- schema.base
    CREATE SCHEMA IF NOT EXISTS keyward;
    CREATE TABLE IF NOT EXISTS keyward.migration (
        version integer CONSTRAINT migration_pkey PRIMARY KEY,
        name text NOT NULL,
        checksum bytea NOT NULL,
        -- the oldest version whose programs can run on this one
        serves_from integer NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

const BASE_EXISTS: &str = "-- schema.base_exists
    SELECT to_regclass('keyward.migration') IS NOT NULL AS found";

const APPLIED: &str = "-- schema.applied
    SELECT version, checksum, serves_from FROM keyward.migration ORDER BY version";

const RECORD: &str = "-- schema.record
    INSERT INTO keyward.migration (version, name, checksum, serves_from)
    VALUES ($1, $2, $3, $4)";

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
        let tx = session.begin(BOUNDS).await?;
        tx.query_typed(LOCK, &[]).await?;
        let row = tx.query_typed_one(BASE_EXISTS, &[]).await?;
        if !field::<bool>(&row, "migration", "found")? {
            tx.batch_execute(BASE).await?; // takes a right that a role may lack once this is done
        }
        let known = check(&tx.query_typed(APPLIED, &[]).await?)?;
        let mut applied = 0;
        for migration in MIGRATIONS.iter().skip(known) {
            tx.batch_execute(migration.sql).await?;
            let row: [Parameter<'_>; 4] = [
                (&migration.version, Type::INT4),
                (&migration.name, Type::TEXT),
                (&checksum(migration.sql), Type::BYTEA),
                (&migration.serves_from, Type::INT4),
            ];
            tx.execute_typed(RECORD, &row).await?;
            applied += 1;
        }
        tx.commit().await?;
        Ok(Migrated { version: last_version(), applied })
    }

    /// Checks that the schema is this program's, for who must not change it.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let rows = self.run(BASE_EXISTS, &[]).await?;
        let found = rows.first().map_or(Ok(false), |row| field(row, "migration", "found"))?;
        let known = if found { check(&self.run(APPLIED, &[]).await?)? } else { 0 };
        if known < MIGRATIONS.len() {
            return Err(StoreError::MissingMigrations(MIGRATIONS.len() - known));
        }
        Ok(())
    }
}

fn last_version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// How many of our migrations the rows show, which must be ours in our order; later ones must say
/// that they serve us.
fn check(rows: &[Row]) -> Result<usize, StoreError> {
    for (row, migration) in rows.iter().zip(&MIGRATIONS) {
        let stored_version: i32 = field(row, "migration", "version")?;
        let stored_checksum: Vec<u8> = field(row, "migration", "checksum")?;
        let Migration { version, name, sql, .. } = migration;
        if stored_version != *version || stored_checksum != checksum(sql) {
            return Err(StoreError::Schema(format!(
                "migration {version} ({name}) is not the one that this program has"
            )));
        }
    }
    for row in rows.iter().skip(MIGRATIONS.len()) {
        let serves_from: i32 = field(row, "migration", "serves_from")?;
        if serves_from > last_version() {
            return Err(StoreError::Schema(format!(
                "its version {} is for programs of schema version {serves_from} and later, and \
                 this one is of {}; use a newer keyward",
                field::<i32>(row, "migration", "version")?,
                last_version()
            )));
        }
    }
    Ok(rows.len().min(MIGRATIONS.len()))
}

fn checksum(sql: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, sql.as_bytes()).as_ref().to_vec()
}
