//! Owns the private Postgres cluster: a real server, started from installed binaries on a data folder of ours,
//! reachable through a socket only, gone when we are gone. It blocks; call it from a thread that may.
//!
//! In the data folder: `pg/` (the cluster), `run/` (its socket), `postgres.log`, `owner.lock`.

mod cluster;
mod connection;
mod discover;
mod error;
mod identity;
mod launch;
mod lock;
mod log;
mod pidfile;
mod ready;
mod server;
mod sockets;

use std::fmt;
use std::fs::File;
use std::path::{self, Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;

pub use connection::Connection;
pub use error::PostgresError;

use discover::Binaries;
use identity::User;
use lock::OwnerLock;
use log::ServerLog;
use server::{End, Server};

/// The role that the service connects as; it owns the cluster.
const USER: &str = "keyward";
/// The database that the service uses.
const DATABASE: &str = "keyward";
/// How long a server that nobody stopped may take when its owner goes out of scope.
const PATIENCE_ON_DROP: Duration = Duration::from_secs(20);

/// Whether what is written has to outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Postgres's own care, for a service.
    Durable,
    /// No care at all, for tests: a power cut loses the cluster.
    Throwaway,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder; made if it is missing, together with the folders above it.
    pub data_dir: PathBuf,
    /// Whether what is written has to outlive a power cut.
    pub durability: Durability,
    /// The server's `max_connections`.
    pub max_connections: u32,
    /// The folder of the binaries (`PGBIN`); without it they are searched for.
    pub bin_dir: Option<PathBuf>,
}

/// What a start found and did, for the caller's log.
#[derive(Debug, Clone)]
pub struct Started {
    /// The cluster is new.
    pub first_start: bool,
    /// The last server was not shut down; this one replayed its log.
    pub recovered: bool,
    /// A `postmaster.pid` of a dead server was in the way and was put right.
    pub stale_pid_file: bool,
    /// A server of an earlier run was still there and was shut down first.
    pub ended_orphan: Option<u32>,
    /// The user that the server runs as, when it is not ours.
    pub runs_as: Option<String>,
    /// Where the binaries were found.
    pub bin_dir: PathBuf,
    /// The server's version, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
}

/// How the server ended.
#[derive(Debug, Clone)]
pub struct ExitDescription {
    /// It was told to, by [`PrivatePostgres::stop`]. Anything else is a reason to give up.
    pub asked: bool,
    /// Its exit status, if this process was the one to collect it.
    pub status: Option<ExitStatus>,
    /// The last lines of its log.
    pub log_tail: String,
    pid: u32,
    gone: bool,
}

impl fmt::Display for ExitDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid;
        match (self.status, self.gone) {
            (_, false) => write!(f, "PostgreSQL (pid {pid}) does not end, not even by SIGKILL")?,
            (Some(status), true) => write!(f, "PostgreSQL (pid {pid}) ended: {status}")?,
            (None, true) => write!(f, "PostgreSQL (pid {pid}) ended")?,
        }
        if !self.asked && !self.log_tail.is_empty() {
            write!(f, "; its last lines:\n{}", self.log_tail)?;
        }
        Ok(())
    }
}

/// A running private server. It is shut down when this is dropped, and when this process dies, however it dies.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Server,
    connection: Connection,
    data_dir: PathBuf,
    log: ServerLog,
    started: Started,
    // Last, so that the folder is ours until all else is gone.
    _lock: OwnerLock,
}

impl PrivatePostgres {
    /// Starts the server on the data folder of `options`, which it makes if needed, and returns when sessions can be
    /// opened. The thread that calls may end; the server does not hang on it.
    ///
    /// # Errors
    /// When there is no server in the end; the error says why and what to do. Data that exist are never touched.
    pub fn start(options: &Options) -> Result<Self, PostgresError> {
        let wanted = path::absolute(&options.data_dir)
            .map_err(PostgresError::file("find", &options.data_dir))?;
        let data_dir = identity::make_data_dir(&wanted)?;
        let lock = OwnerLock::take(&data_dir)?;
        let cluster = data_dir.join("pg");
        let user = identity::choose(&cluster)?;
        let user = user.as_ref();
        let major = cluster::major(&cluster)?;
        let binaries = discover::discover(
            options.bin_dir.as_deref(),
            major.map(|major| (cluster.as_path(), major)),
        )?;
        if let Some(user) = user {
            identity::open_way(&data_dir, user)?;
            identity::check_way(&binaries.dir, &binaries.dir, user)?;
        }
        let first_start = major.is_none();
        if first_start {
            cluster::create(&cluster, &binaries, user, options.durability)?;
        }
        // It may be a link to another disk, and processes are known by the real path.
        let cluster = cluster.canonicalize().map_err(PostgresError::file("open", &cluster))?;
        let healed = pidfile::heal(&cluster, user)?;
        let started = Started {
            first_start,
            recovered: cluster::needs_recovery(&cluster),
            stale_pid_file: healed.stale_pid_file,
            ended_orphan: healed.orphan.map(number),
            runs_as: user.map(|user| user.name.clone()),
            bin_dir: binaries.dir.clone(),
            version: binaries.version.clone(),
        };
        let connection = Connection::of_ours(sockets::make(&data_dir, user)?);
        let (log, log_file) = ServerLog::open(&data_dir)?;
        let program = binaries.program("postgres");
        let command = command(&binaries, user, &cluster, &connection, options, log_file)?;
        let server =
            Server::spawn(command).map_err(|source| launch::refusal(&program, user, source))?;
        // From here on dropping it stops the server, also when it does not get ready.
        let running = Self { server, connection, data_dir, log, started, _lock: lock };
        match ready::wait(&running.server, &cluster, &running.connection) {
            Ok(()) => Ok(running),
            Err(problem) => Err(running.not_ready(problem)),
        }
    }

    /// The server that another process runs on `data_dir`, if there is one that takes sessions and we may see it.
    #[must_use]
    pub fn attach(data_dir: &Path) -> Option<Connection> {
        let cluster = data_dir.join("pg").canonicalize().ok()?;
        let file = pidfile::read(&cluster)?;
        if !file.ready || !pidfile::works_in(file.pid, &cluster) {
            return None;
        }
        Some(Connection { port: file.port?, ..Connection::of_ours(file.socket_dir?) })
    }

    /// How to reach the server.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the start found and did.
    #[must_use]
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// The process id of the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        number(self.server.pid)
    }

    /// Blocks until the server is gone, for whatever reason: [`ExitDescription::asked`] tells a stop from a death.
    #[must_use]
    pub fn wait_exit(&self) -> ExitDescription {
        let end = self.server.wait(None);
        self.describe(end)
    }

    /// Shuts the server down: sessions are ended and a checkpoint is written, in `patience`; then less and less
    /// politely. Returns when it is gone. A second call finds it so.
    #[expect(clippy::must_use_candidate, reason = "most callers only want it gone")]
    pub fn stop(&self, patience: Duration) -> ExitDescription {
        let end = self.server.stop(patience);
        self.describe(end)
    }

    fn describe(&self, end: Option<End>) -> ExitDescription {
        let status = match end {
            Some(End::Status(status)) => Some(status),
            Some(End::Unknown) | None => None,
        };
        ExitDescription {
            asked: self.server.asked(),
            status,
            log_tail: self.log.tail(),
            pid: self.pid(),
            gone: end.is_some(),
        }
    }

    fn not_ready(&self, problem: String) -> PostgresError {
        let tail = self.log.tail();
        if error::tells_of_full_disk(&tail) {
            return PostgresError::DiskFull { path: self.data_dir.clone() };
        }
        PostgresError::NotReady { problem, log: self.log.path.clone(), tail }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.server.stop(PATIENCE_ON_DROP);
        sockets::forget(&self.connection.socket_dir, &self.data_dir);
    }
}

fn number(pid: rustix::process::Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

fn command(
    binaries: &Binaries,
    user: Option<&User>,
    cluster: &Path,
    connection: &Connection,
    options: &Options,
    log: File,
) -> Result<Command, PostgresError> {
    let throwaway = options.durability == Durability::Throwaway;
    // A service's data are shut down in order; a test's cluster has only to be gone soon.
    let on_our_death = if throwaway { Signal::QUIT } else { Signal::INT };
    let mut command = launch::command(&binaries.program("postgres"), user, on_our_death);
    command.arg("-D").arg(cluster).arg("-k").arg(&connection.socket_dir);
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("port={}", connection.port),
        format!("max_connections={}", options.max_connections),
        // The service's statements are short; compiling them only adds spikes.
        "jit=off".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        // On since 15, and all that a healthy server would write.
        "log_checkpoints=off".to_owned(),
    ];
    if throwaway {
        let careless = [
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "autovacuum=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "checkpoint_timeout=1h",
            "dynamic_shared_memory_type=mmap", // in the folder, so that a kill leaves nothing elsewhere
        ];
        settings.extend(careless.map(str::to_owned));
    }
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    let copy = log
        .try_clone()
        .map_err(|source| PostgresError::Spawn { what: "the server's log".to_owned(), source })?;
    command.stdout(Stdio::from(copy)).stderr(Stdio::from(log));
    Ok(command)
}
