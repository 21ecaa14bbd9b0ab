//! All that is known of PostgreSQL: connections, statements, transactions, what can go wrong.
//!
//! Nothing is changed but through [`write::WriteTx`], whose `commit` alone writes the audit event,
//! takes the revision, writes the change log and notifies. Statements are sent unnamed and in one
//! round trip (`query_typed`), so that they work through PgBouncer in transaction mode.

pub mod audit;
mod census;
pub mod decisions;
pub mod diagnosis;
pub mod error;
mod explained;
pub mod jobs;
mod key_row;
mod keys;
pub mod log;
pub mod notices;
pub mod peppers;
pub mod quota;
pub mod references;
mod row;
pub mod schema;
pub mod things;
mod tls;
mod usage;
pub mod usage_hours;
pub mod view_rows;
pub mod write;

use std::{future::Future, sync::Arc, time::Duration};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Status, Timeouts,
};
use tokio_postgres::{
    Client, Config, IsolationLevel, Row, Transaction,
    types::{ToSql, Type},
};

use crate::telemetry::trace;
use error::StoreError;

use self::tls::Tls;
use crate::tls::outgoing::OutgoingTls;

/// How long one admin operation may take in all before it counts as "the database is not there".
const OPERATION_TIME_MAX: Duration = Duration::from_secs(10);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
const ATTEMPTS_MAX: u32 = 3;
/// What a span is called of one try of a transaction.
const TRANSACTION: &str = "database transaction";
/// The lowest `server_version_num` that is supported.
const SERVER_VERSION_MIN: i32 = 150_000;

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    /// How to connect, for what needs a connection of its own.
    address: Address,
}

/// Where the database is, and how to reach it.
#[derive(Clone, Debug)]
pub struct Address {
    /// The server; whether TLS is wanted and must be.
    pub config: Config,
    /// TLS to it. Without, `config` must not ask for any.
    pub tls: Option<Arc<OutgoingTls>>,
}

impl Store {
    /// A pool of at most `connections_max` connections. Connects when it is first needed.
    pub fn new(address: &Address, connections_max: usize) -> Result<Self, StoreError> {
        let Address { mut config, tls } = address.clone();
        config
            .application_name("keyward")
            .connect_timeout(CONNECT_TIME_MAX)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15));
        // verified: a connection that broke unseen is found here and not by the statement after it
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = Manager::from_config(config.clone(), Tls(tls.clone()), recycling);
        let pool = Pool::builder(manager)
            .max_size(connections_max)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(CONNECT_TIME_MAX),
                create: Some(CONNECT_TIME_MAX),
                recycle: Some(CONNECT_TIME_MAX),
            })
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self { pool, address: Address { config, tls } })
    }

    /// A connection for one piece of work.
    pub async fn session(&self) -> Result<Session, StoreError> {
        Ok(Session { client: self.pool.get().await? })
    }

    /// How the pool is.
    pub fn pool(&self) -> Status {
        self.pool.status()
    }

    /// Refuses a server that is too old.
    pub async fn check_version(&self) -> Result<(), StoreError> {
        const VERSION: &str = "-- store.version
            SELECT current_setting('server_version_num')::int4 AS version";
        let rows = self.run(VERSION, &[]).await?;
        let version = rows.first().map_or(Ok(0), |row| row::field(row, "store", "version"))?;
        if version < SERVER_VERSION_MIN {
            return Err(StoreError::ServerTooOld { version });
        }
        Ok(())
    }

    /// Runs one statement in a transaction of its own, bounded in time on both sides.
    async fn run(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let work = async {
            let mut session = self.session().await?;
            let tx = session.begin(BOUNDS).await?;
            let rows = tx.query_typed(statement, parameters).await?;
            tx.commit().await?;
            Ok(rows)
        };
        in_time(OPERATION_TIME_MAX, trace::part(TRANSACTION, Box::pin(work))).await?
    }

    /// Runs one transaction, again if it lost against another one, bounded in time.
    pub async fn retry<T, E, W, F>(&self, work: W) -> Result<T, E>
    where
        E: From<StoreError> + MayBeConflict,
        W: Fn() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let attempts = async {
            let mut attempt = 1;
            loop {
                match trace::part(TRANSACTION, Box::pin(work())).await {
                    Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => attempt += 1,
                    result => return result,
                }
            }
        };
        in_time(OPERATION_TIME_MAX, attempts).await?
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Work that is given up when its time is over: the database is not there then.
async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, StoreError> {
    let result = tokio::time::timeout(limit, work).await;
    result.map_err(|elapsed| StoreError::Unavailable(elapsed.into()))
}

/// A parameter of a statement and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// An error that may mean: lost against another transaction, try again.
pub trait MayBeConflict {
    /// Whether trying again can help.
    fn is_conflict(&self) -> bool;
}

/// A connection of the pool, for one piece of work.
#[derive(Debug)]
pub struct Session {
    client: Object,
}

/// What hangs would hold up others, or go on after its caller gave up: the server ends it. Durable
/// even where the database's default is not: a reader must not follow a change that a crash undoes.
const BOUNDS: &str = "-- store.bounds
    SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = '8s';
    SET LOCAL idle_in_transaction_session_timeout = '8s';
    SET LOCAL synchronous_commit = 'on'";

impl Session {
    /// Begins a transaction with these bounds, whatever the server's defaults are.
    async fn begin(&mut self, bounds: &str) -> Result<Transaction<'_>, StoreError> {
        let client: &mut Client = &mut self.client;
        let builder = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
        let tx = builder.start().await?;
        tx.batch_execute(bounds).await?;
        Ok(tx)
    }
}
