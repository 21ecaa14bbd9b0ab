//! All that is known of PostgreSQL: connections, statements, transactions, what can go wrong.
//!
//! Nothing is changed but through [`write::WriteTx`], whose `commit` alone writes the audit event,
//! takes the revision, writes the change log and notifies. Statements are sent unnamed and in one
//! round trip (`query_typed`), so that they work through PgBouncer in transaction mode.

pub mod audit;
pub mod error;
mod key_row;
pub mod keys;
pub mod log;
mod row;
pub mod schema;
pub mod usage;
pub mod write;

use std::{future::Future, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::{Config, NoTls};

use error::StoreError;

/// How long one admin operation may take in all before it counts as "the database is not there".
const OPERATION_TIME_MAX: Duration = Duration::from_secs(10);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
const ATTEMPTS_MAX: u32 = 3;
/// The lowest `server_version_num` that is supported.
const SERVER_VERSION_MIN: i32 = 150_000;

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    config: Config,
}

impl Store {
    /// A pool of at most `connections_max` connections. Connects when it is first needed.
    pub fn new(config: &Config, connections_max: usize) -> Result<Self, StoreError> {
        let mut config = config.clone();
        config
            .application_name("keyward")
            .connect_timeout(CONNECT_TIME_MAX)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(15));
        // verified: a connection that broke unseen is found here and not by the statement after it
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = Manager::from_config(config.clone(), NoTls, recycling);
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
        Ok(Self { pool, config })
    }

    /// How to connect, for those that need a connection of their own.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// A connection for one piece of work.
    pub async fn session(&self) -> Result<Session, StoreError> {
        Ok(Session { client: self.pool.get().await? })
    }

    /// Refuses a server that is too old.
    pub async fn check_version(&self) -> Result<(), StoreError> {
        const VERSION: &str = "-- store.version
            SELECT current_setting('server_version_num')::int4 AS version";
        self.read(async {
            let session = self.session().await?;
            let row = session.client.query_typed_one(VERSION, &[]).await?;
            let version = row::field(&row, "store", "version")?;
            if version < SERVER_VERSION_MIN {
                return Err(StoreError::ServerTooOld { version });
            }
            Ok(())
        })
        .await
    }

    /// Runs one read, bounded in time.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match tokio::time::timeout(OPERATION_TIME_MAX, work).await {
            Ok(result) => result,
            Err(elapsed) => Err(StoreError::Unavailable(elapsed.into())),
        }
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
                match work().await {
                    Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => attempt += 1,
                    result => return result,
                }
            }
        };
        match tokio::time::timeout(OPERATION_TIME_MAX, attempts).await {
            Ok(result) => result,
            Err(elapsed) => Err(StoreError::Unavailable(elapsed.into()).into()),
        }
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.pool.close();
    }
}

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
