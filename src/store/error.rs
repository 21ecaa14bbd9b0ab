//! What can go wrong with the database, by what a caller can do about it.

use std::{error::Error, io};

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::{model::pepper::PepperId, store::MayBeConflict};

type Source = Box<dyn Error + Send + Sync>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, or not answering in time. Whether a commit took place is not known.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
    /// Lost against other transactions, several times.
    #[error("the transaction lost against another one")]
    Conflict(#[source] tokio_postgres::Error),
    /// A constraint of the schema, by its name.
    #[error("the constraint {name} does not hold")]
    Constraint {
        /// Its name.
        name: Box<str>,
    },
    /// A stored value that cannot be read.
    #[error("{table}.{column} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// The change log is not what this process knew.
    #[error("the change log does not continue from revision {applied}: {what}")]
    Discontinuity {
        /// The last revision that was applied.
        applied: i64,
        /// What was found.
        what: &'static str,
        /// What could not be read, if it was that.
        source: Option<Box<Self>>,
    },
    /// The schema is newer than this program, or was edited.
    #[error("the database's schema does not fit this program: {0}")]
    Schema(String),
    /// The schema is older than this program.
    #[error(
        "the database's schema does not fit this program: {0} migration(s) are missing; run `keyward \
         migrate`"
    )]
    MissingMigrations(usize),
    /// A pepper that digests are keyed with was not given.
    #[error(
        "the pepper {id} is needed and was not given: {secrets} token(s) are digested with it and would \
         be unknown; give it by KEYWARD_PEPPER_FILE or KEYWARD_PEPPER, or beside a new one by \
         KEYWARD_OTHER_PEPPER_FILES"
    )]
    MissingPepper {
        /// Which.
        id: PepperId,
        /// How many tokens; none if it is only what others make new ones with.
        secrets: i64,
    },
    /// A pepper that was retired was given to make new digests with.
    #[error(
        "the pepper {id} was retired, and no new keys may be digested with it; give the one by \
         KEYWARD_PEPPER_FILE or KEYWARD_PEPPER that keys move to, as `keyward pepper status` shows"
    )]
    RetiredPepper {
        /// Which.
        id: PepperId,
    },
    /// Too old a server.
    #[error("the database's server_version_num is {version}; PostgreSQL 15 or later is needed")]
    ServerTooOld {
        /// What it is.
        version: i32,
    },
    /// Anything else that a statement was refused for.
    #[error("the database refused a statement")]
    Refused(#[source] tokio_postgres::Error),
}

impl StoreError {
    /// A value that cannot be read.
    pub(crate) fn corrupt(
        table: &'static str,
        column: &'static str,
        source: impl Into<Source>,
    ) -> Self {
        Self::Corrupt { table, column, source: source.into() }
    }

    /// What was asked takes longer than anybody is to wait.
    pub(super) fn too_slow() -> Self {
        Self::Unavailable("what was asked takes too long".into())
    }
}

impl MayBeConflict for StoreError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return if is_of_connection(&error) {
                Self::Unavailable(error.into())
            } else {
                Self::Refused(error) // a value or a setting of ours
            };
        };
        if let Some(name) = refusal.constraint() {
            return Self::Constraint { name: name.into() };
        }
        let state = refusal.code();
        if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(state) {
            return Self::Conflict(error);
        }
        // classes: 08 connection, 53 resources, 57 operator (shutdown, cancelled by a timeout),
        // 58 system; 55P03 lock timeout; 25006 a standby
        let class = state.code().get(..2).unwrap_or_default();
        let passing = ["08", "53", "57", "58"].contains(&class)
            || [SqlState::LOCK_NOT_AVAILABLE, SqlState::READ_ONLY_SQL_TRANSACTION].contains(state);
        if passing { Self::Unavailable(error.into()) } else { Self::Refused(error) }
    }
}

/// Whether an error is not the server's word but tells that there is no talking to it. The driver
/// tells these kinds apart by their texts alone.
fn is_of_connection(error: &tokio_postgres::Error) -> bool {
    let io = error.source().is_some_and(<dyn Error>::is::<io::Error>);
    let text = error.to_string();
    let texts = [
        "timeout waiting for server",
        "unexpected message from server",
        "error performing TLS handshake",
    ];
    io || error.is_closed() || texts.iter().any(|known| text.starts_with(known))
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(other.into()),
        }
    }
}
