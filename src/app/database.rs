//! Which database: the one that was given, or the private one; and the pepper that goes with it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tokio_postgres::{Config, config::SslMode};
use tracing::{info, warn};

use crate::{
    config::{DatabaseArgs, InvalidSetting, database_url::DatabaseUrl, peppers::SecretArgs},
    model::{
        pepper::Peppers,
        secret::{NoRandomness, Pepper},
    },
    postgres::{Connection, Durability, Options, PostgresError, PrivatePostgres},
    store::Address,
};

/// Connections of the private server that are not ours: for `psql` and other commands.
const SPARE_CONNECTIONS: u32 = 20;
/// How long the private server may take to shut down before it is told more harshly.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
const PEPPER_FILE: &str = "pepper";

/// Why there is no database to use.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// A setting.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The private PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// What it says of how to connect.
    #[error("the private PostgreSQL's address cannot be used")]
    Address(#[source] tokio_postgres::Error),
    /// A folder for what is not to last.
    #[error("cannot make a folder in {path}")]
    Temporary {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The pepper beside it.
    #[error("cannot read the pepper in {path}, or make it as `keyward serve` does")]
    PepperFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A database to use.
#[derive(Debug)]
pub struct Database {
    /// How to connect.
    pub address: Address,
    /// What its digests are keyed with; `None` if nobody needs it.
    pub peppers: Option<Arc<Peppers>>,
    /// The private server, if this process runs it.
    pub private: Option<Private>,
}

/// A private server that this process runs.
#[derive(Debug)]
pub struct Private {
    /// The server.
    pub server: Arc<PrivatePostgres>,
    /// Dropped after the server, whose files are in it.
    _temporary: Option<Temporary>,
}

/// A folder that is removed when it is dropped.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    /// A new folder of a name that nobody can have taken on purpose.
    fn new() -> Result<Self, DatabaseError> {
        let folder = std::env::temp_dir();
        let failed = |source| DatabaseError::Temporary { path: folder.clone(), source };
        let mut random = [0; 8];
        fill(&mut random).map_err(failed)?;
        let path = folder.join(format!("keyward-ephemeral-{:016x}", u64::from_ne_bytes(random)));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            warn!(folder = %self.0.display(), %error, "cannot remove the temporary folder");
        }
    }
}

fn fill(random: &mut [u8]) -> io::Result<()> {
    SystemRandom::new()
        .fill(random)
        .map_err(|ring::error::Unspecified| io::Error::other(NoRandomness))
}

/// Whether a process needs the pepper.
#[derive(Clone, Copy, Debug)]
pub enum Needs<'a> {
    /// It does.
    Pepper(&'a SecretArgs),
    /// It never sees a key.
    NoPepper,
}

impl Database {
    /// Finds or starts the database. Blocks while the private one starts.
    pub fn open(
        args: &DatabaseArgs,
        needs: Needs<'_>,
        lifetime: Lifetime,
    ) -> Result<Self, DatabaseError> {
        let (given, mut others) = match needs {
            Needs::Pepper(secret) => {
                secret.pepper_files().iter().for_each(|path| warn_if_open(path));
                (secret.pepper()?, secret.other_peppers()?)
            }
            Needs::NoPepper => (None, Vec::new()),
        };
        if let Some(DatabaseUrl { config, tls }) = args.url()? {
            let address = Address { config, tls };
            return match (needs, given) {
                (Needs::Pepper(_), None) => Err(InvalidSetting::NoPepper.into()),
                (_, current) => {
                    Ok(Self { address, peppers: together(current, others)?, private: None })
                }
            };
        }
        let (folder, temporary) = match lifetime {
            Lifetime::Service | Lifetime::Command => (args.folder()?, None),
            Lifetime::Ephemeral => {
                args.refuse_lasting()?;
                let temporary = Temporary::new()?;
                (temporary.0.clone(), Some(temporary))
            }
        };
        let (connection, server) = attach_or_start(args, &folder, lifetime)?;
        let current = match (needs, given) {
            (Needs::NoPepper, _) => None,
            (Needs::Pepper(_), Some(pepper)) => Some(pepper),
            (Needs::Pepper(_), None) => {
                let current = pepper_in(&folder, lifetime)?;
                others.extend(other_peppers_in(&folder)?);
                Some(current)
            }
        };
        let mut config: Config = connection.url().parse().map_err(DatabaseError::Address)?;
        config.ssl_mode(SslMode::Disable); // it listens on a socket of this machine only
        Ok(Self {
            address: Address { config, tls: None },
            peppers: together(current, others)?,
            private: server
                .map(|server| Private { server: Arc::new(server), _temporary: temporary }),
        })
    }
}

/// What the private server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// A service, which runs its own server.
    Service,
    /// A service that leaves nothing behind.
    Ephemeral,
    /// A command, which uses the server of a running service if there is one.
    Command,
}

fn attach_or_start(
    args: &DatabaseArgs,
    folder: &Path,
    lifetime: Lifetime,
) -> Result<(Connection, Option<PrivatePostgres>), DatabaseError> {
    if lifetime == Lifetime::Command
        && let Some(connection) = PrivatePostgres::attach(folder)
    {
        return Ok((connection, None));
    }
    let options = Options {
        data_dir: folder.to_owned(),
        durability: match lifetime {
            Lifetime::Service | Lifetime::Command => Durability::Durable,
            Lifetime::Ephemeral => Durability::Throwaway,
        },
        max_connections: u32::try_from(args.database_connections.get())
            .unwrap_or(u32::MAX)
            .saturating_add(SPARE_CONNECTIONS),
        bin_dir: args.bin_dir(),
    };
    let server = PrivatePostgres::start(&options)?;
    let started = server.started();
    info!(
        folder = %folder.display(),
        version = started.version,
        runs_as = started.runs_as,
        first_start = started.first_start,
        recovered = started.recovered,
        url = server.connection().url(),
        "started the private PostgreSQL"
    );
    if let Some(pid) = started.ended_orphan {
        warn!(pid, "a PostgreSQL of an earlier run was still there and was shut down first");
    }
    Ok((server.connection().clone(), Some(server)))
}

/// The current pepper and the others.
pub(super) fn together(
    current: Option<Pepper>,
    others: Vec<Pepper>,
) -> Result<Option<Arc<Peppers>>, InvalidSetting> {
    let peppers = current.map(|current| Peppers::new(current, others)).transpose();
    peppers.map(|peppers| peppers.map(Arc::new)).map_err(InvalidSetting::Peppers)
}

/// Warns of a file that any user of this machine may read. Not refused: a secret that is mounted into a
/// container is often readable by all there, where nobody else is.
fn warn_if_open(path: &Path) {
    // one that is not there is refused when it is read
    let open = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0);
    if open {
        warn!(path = %path.display(), "all users of this machine may read this pepper; chmod 0600 it");
    }
}

/// Those of the private server's folder, which must be there, and these.
pub(super) fn peppers_in(
    folder: &Path,
    mut others: Vec<Pepper>,
) -> Result<Option<Arc<Peppers>>, DatabaseError> {
    let current = pepper_in(folder, Lifetime::Command)?;
    others.extend(other_peppers_in(folder)?);
    Ok(together(Some(current), others)?)
}

/// The other peppers in the private server's folder: `pepper.` and anything after it.
fn other_peppers_in(folder: &Path) -> Result<Vec<Pepper>, DatabaseError> {
    let failed = |path: &Path, source| DatabaseError::PepperFile { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        if path.file_stem().is_some_and(|stem| stem == PEPPER_FILE) && path.extension().is_some() {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: &PathBuf| {
        warn_if_open(path);
        let bytes = fs::read(path).map_err(|error| failed(path, error))?;
        Pepper::parse(&bytes).map_err(|error| failed(path, io::Error::other(error)))
    };
    paths.iter().map(read).collect()
}

/// The pepper in the private server's folder. Only a service makes one, since only one service can
/// have the folder.
fn pepper_in(folder: &Path, lifetime: Lifetime) -> Result<Pepper, DatabaseError> {
    let path = folder.join(PEPPER_FILE);
    let failed = |source| DatabaseError::PepperFile { path: path.clone(), source };
    match fs::read(&path) {
        Ok(bytes) => Pepper::parse(&bytes).map_err(|error| failed(io::Error::other(error))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && lifetime != Lifetime::Command => {
            let mut random = [0; 32];
            fill(&mut random).map_err(failed)?;
            let text = STANDARD.encode(random);
            write_secret(folder, &path, text.as_bytes()).map_err(failed)?;
            Pepper::parse(text.as_bytes()).map_err(|error| failed(io::Error::other(error)))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that is whole or not there, whatever happens: without its pepper a database is lost.
fn write_secret(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    // not `pepper.…`, which would be another pepper
    let unfinished = folder.join(".unfinished");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(folder)?.sync_all()
}

impl Private {
    /// Shuts the server down and removes what is temporary.
    pub fn stop(self) {
        let end = self.server.stop(STOP_TIME_MAX);
        info!(%end, "stopped the private PostgreSQL");
    }
}
