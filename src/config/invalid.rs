//! Why settings cannot be used.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::database_url::InvalidUrl;
use crate::{
    limiter::shared::server::InvalidServer,
    model::{pepper::InvalidPeppers, secret::InvalidPepper},
    notices::signature::InvalidSecrets,
    tls::InvalidTls,
};

/// A setting that cannot be used.
#[derive(Debug, Error)]
pub enum InvalidSetting {
    /// Two that exclude each other.
    #[error("{0} and {1} cannot both be given")]
    Both(&'static str, &'static str),
    /// Staleness that a healthy replica reaches.
    #[error(
        "--max-staleness (KEYWARD_MAX_STALENESS) must be at least twice --poll-interval (KEYWARD_POLL_INTERVAL)"
    )]
    StaleByDesign,
    /// A file that cannot be read.
    #[error("{setting}: cannot read {path}")]
    File {
        /// Its name.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One that is nothing without another one.
    #[error("{0} needs {1}")]
    Needs(&'static str, &'static str),
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] InvalidTls),
    /// A database URL that cannot be used.
    #[error("--database-url (DATABASE_URL)")]
    DatabaseUrl(#[source] InvalidUrl),
    /// No database where one is required.
    #[error(
        "--require-database-url (KEYWARD_REQUIRE_DATABASE_URL) is set: give --database-url (DATABASE_URL) or --database-url-file (DATABASE_URL_FILE)"
    )]
    NoDatabaseUrl,
    /// A pepper that is too short.
    #[error("--pepper (KEYWARD_PEPPER) or --pepper-file (KEYWARD_PEPPER_FILE)")]
    Pepper(#[source] InvalidPepper),
    /// Another pepper that is too short.
    #[error("--other-pepper-file (KEYWARD_OTHER_PEPPER_FILES): {path}")]
    OtherPepper {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidPepper,
    },
    /// Peppers that do not go together.
    #[error("--other-pepper-file (KEYWARD_OTHER_PEPPER_FILES)")]
    Peppers(#[source] InvalidPeppers),
    /// No pepper for a database of one's own.
    #[error(
        "a pepper is needed with a database URL: give --pepper-file (KEYWARD_PEPPER_FILE) or KEYWARD_PEPPER, the same for all that share the database; make one with `openssl rand -base64 32`"
    )]
    NoPepper,
    /// A URL of a receiver that cannot be used. It is not shown, since it may have a secret in it.
    #[error(
        "--notice-url (KEYWARD_NOTICE_URL) must be like https://hooks.example.org/keyward, without user, password and fragment"
    )]
    NoticeUrl,
    /// What notices cannot be signed with.
    #[error("--notice-secret-file (KEYWARD_NOTICE_SECRET_FILE)")]
    NoticeSecret(#[source] InvalidSecrets),
    /// A Redis URL of another form.
    #[error("--redis-url (REDIS_URL) or --redis-url-file (REDIS_URL_FILE)")]
    RedisUrl(#[source] InvalidServer),
    /// Replicas that cannot hear of each other.
    #[error(
        "--limit-sharing (KEYWARD_LIMIT_SHARING) fast and exact need --redis-url (REDIS_URL) or --redis-url-file (REDIS_URL_FILE)"
    )]
    NoRedisUrl,
    /// A Redis that nothing would use.
    #[error(
        "--limit-sharing (KEYWARD_LIMIT_SHARING) is local, which uses no Redis: leave out --redis-url (REDIS_URL) and --redis-url-file (REDIS_URL_FILE)"
    )]
    UnusedRedis,
    /// Nowhere to put the data.
    #[error(
        "--data-dir (KEYWARD_DATA_DIR): give a folder; neither XDG_DATA_HOME nor HOME says where data may be put"
    )]
    NoDataDir,
}
