//! What can be known of the database and our role in it without changing anything.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::timeout};
use tokio_postgres::types::Type;

use crate::{
    model::time::Timestamp,
    store::{Parameter, Store, error::StoreError, row::field},
};

/// How long a notification may take to come back.
const NOTIFIED_TIME_MAX: Duration = Duration::from_secs(2);

/// What a role must be able to do that serves: a table for each row, and what besides reading it.
const RIGHTS: [(&str, &str); 32] = [
    ("audit_event", "insert"),
    ("audit_head", "insert,update"),
    ("catalogue", "insert,update"),
    ("change_log", "insert,delete"),
    ("customer", "insert,update,delete"),
    ("decision", "insert"),
    ("domain", "insert,update"),
    ("domain_user", "insert,update"),
    ("environment", "insert,update,delete"),
    ("job", "insert,update,delete"),
    ("job_error", "insert"),
    ("job_import", "insert,delete"),
    ("job_key", "insert,delete"),
    ("key", "insert,update,delete"),
    ("key_usage", "insert,update,delete"),
    ("log_head", "update"),
    // a second pepper raises what serves it
    ("migration", "update"),
    ("notice", "insert,update,delete"),
    ("notice_head", "update"),
    ("pepper", "insert,update"),
    ("permission_group", "insert,update"),
    ("quota", "insert,update,delete"),
    ("quota_batch", "insert,update,delete"),
    ("refusal", "insert,update,delete"),
    ("request", "insert,update,delete"),
    ("route_map", "insert,update"),
    ("template", "insert,update,delete"),
    ("usage_batch", "insert,update,delete"),
    ("usage_customer_hour", "insert,update,delete"),
    ("usage_hour", "insert,update,delete"),
    ("keep_decisions(interval)", "execute"),
    ("keyward", "usage"),
];

const SERVER: &str = "-- diagnosis.server
    SELECT current_setting('server_version') AS version, current_user::text AS role,
        current_setting('transaction_read_only')::bool AS read_only,
        clock_timestamp() AS clock";

const LACKING: &str = "-- diagnosis.lacking
    SELECT name || ' (' || string_agg(upper(wanted), ', ') || ')' AS lacking
    FROM unnest($1::text[], $2::text[]) AS rights (name, wanted)
    WHERE NOT CASE wanted
        WHEN 'usage' THEN has_schema_privilege(name, wanted)
        WHEN 'execute' THEN coalesce(
            has_function_privilege(to_regprocedure('keyward.' || name)::oid, wanted), true)
        ELSE coalesce(has_table_privilege(to_regclass('keyward.' || name)::oid, wanted), true)
    END
    GROUP BY name ORDER BY name";

/// Whoever migrates makes things in the schema and changes tables, which only their owner may.
const MAY_MIGRATE: &str = "-- diagnosis.may_migrate
    SELECT CASE WHEN schema.oid IS NULL
        THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege(schema.oid, 'CREATE') AND NOT EXISTS (
            SELECT FROM pg_class WHERE relnamespace = schema.oid AND relkind IN ('r', 'p')
                AND NOT pg_has_role(relowner, 'USAGE'))
        END AS may
    FROM (SELECT to_regnamespace('keyward')::oid AS oid) AS schema";

/// Without USAGE even the names in a schema cannot be looked up, so that no other statement can say this.
const ACCESS: &str = "-- diagnosis.access
    SELECT has_schema_privilege(oid, 'USAGE') AS open
    FROM pg_namespace WHERE nspname = 'keyward'";

const HEAD: &str = "-- diagnosis.head
    SELECT revision FROM keyward.log_head";

const BACKEND: &str = "-- diagnosis.backend
    SELECT pg_backend_pid() AS pid";

/// A partition has its day in its name.
const PARTITIONS: &str = r#"-- diagnosis.partitions
    SELECT count(*) AS count, coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::int8 AS bytes,
        coalesce(min(relname), '')::text AS first,
        count(*) FILTER (WHERE relname IN (
            to_char(now() AT TIME ZONE 'UTC', '"decision_"YYYYMMDD'),
            to_char((now() AT TIME ZONE 'UTC') + interval '1 day', '"decision_"YYYYMMDD')
        )) AS coming
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass('keyward.decision')"#;

/// The server, and who we are there.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// As it tells it.
    pub version: String,
    /// Our role.
    pub role: String,
    /// Whether nothing can be written: a standby, or set so.
    pub read_only: bool,
    /// Its clock.
    pub clock: Timestamp,
}

/// Whether our role can look into the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// There is no schema yet.
    Absent,
    /// It lacks USAGE on it.
    Closed,
    /// It can.
    Open,
}

/// Where the decision log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// How many days it has.
    pub count: i64,
    /// What they take on the disk, with indexes.
    pub bytes: i64,
    /// The name of the first.
    pub first: String,
    /// How many of today and tomorrow are there.
    pub coming: i64,
}

impl Store {
    /// The server, and who we are there.
    pub async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        let rows = self.run(SERVER, &[]).await?;
        let row = rows.first().ok_or_else(StoreError::too_slow)?;
        Ok(ServerFacts {
            version: field(row, "server", "version")?,
            role: field(row, "server", "role")?,
            read_only: field(row, "server", "read_only")?,
            clock: field(row, "server", "clock")?,
        })
    }

    /// Whether our role can look into the schema: what is to be asked before anything in it.
    pub async fn schema_access(&self) -> Result<Access, StoreError> {
        let rows = self.run(ACCESS, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(Access::Absent);
        };
        Ok(if field(row, "schema", "open")? { Access::Open } else { Access::Closed })
    }

    /// What our role may not do although it must to serve, each as `key (INSERT, UPDATE)`. What is not
    /// there is not told.
    pub async fn lacking_rights(&self) -> Result<Vec<String>, StoreError> {
        let (mut names, mut wanted) = (Vec::new(), Vec::new());
        for (name, rights) in RIGHTS {
            let is_table = !rights.contains("usage") && !rights.contains("execute");
            let select = is_table.then_some("select");
            for right in select.into_iter().chain(rights.split(',')).filter(|it| !it.is_empty()) {
                names.push(name);
                wanted.push(right);
            }
        }
        let lists: [Parameter<'_>; 2] = [(&names, Type::TEXT_ARRAY), (&wanted, Type::TEXT_ARRAY)];
        let rows = self.run(LACKING, &lists).await?;
        rows.iter().map(|row| field(row, "rights", "lacking")).collect()
    }

    /// Whether our role may change the schema.
    pub async fn may_migrate(&self) -> Result<bool, StoreError> {
        let rows = self.run(MAY_MIGRATE, &[]).await?;
        rows.first().map_or(Ok(false), |row| field(row, "rights", "may"))
    }

    /// The last revision.
    pub async fn last_revision(&self) -> Result<i64, StoreError> {
        let rows = self.run(HEAD, &[]).await?;
        rows.first().map_or(Ok(0), |row| field(row, "log_head", "revision"))
    }

    /// Whether connections share one of the server's by turns, as with PgBouncer in transaction mode: two
    /// that are open at once have the same one then. Needs two connections.
    pub async fn shares_connections(&self) -> Result<bool, StoreError> {
        let (first, second) = (self.session().await?, self.session().await?);
        let mut pids = [0, 0];
        for (session, pid) in [first, second].iter().zip(&mut pids) {
            let row = session.client.query_typed_one(BACKEND, &[]).await?;
            *pid = field::<i32>(&row, "backend", "pid")?;
        }
        let [first, second] = pids;
        Ok(first == second)
    }

    /// Whether notifications arrive.
    pub async fn is_notified(&self) -> Result<bool, StoreError> {
        let wake = Arc::new(Notify::new());
        let (reader, driver) = self.log_reader(Arc::clone(&wake)).await?;
        let probe = async {
            reader.listen().await?;
            self.probe().await?;
            Ok(timeout(NOTIFIED_TIME_MAX, wake.notified()).await.is_ok())
        };
        tokio::select! {
            biased;
            notified = probe => notified,
            () = driver => Ok(false),
        }
    }

    /// Where the decision log is kept.
    pub async fn partitions(&self) -> Result<Partitions, StoreError> {
        let rows = self.run(PARTITIONS, &[]).await?;
        let row = rows.first().ok_or_else(StoreError::too_slow)?;
        Ok(Partitions {
            count: field(row, "partitions", "count")?,
            bytes: field(row, "partitions", "bytes")?,
            first: field(row, "partitions", "first")?,
            coming: field(row, "partitions", "coming")?,
        })
    }
}
