//! Owns what can keep a private Postgres from starting, each told with its remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no private Postgres. Every message says what is wrong and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Nothing usable is installed where discovery looks.
    #[error(
        "no PostgreSQL server binaries (postgres beside initdb, version {minimum} or newer) were found; looked in {looked}{rejected}. \
         Install them with `apt-get install postgresql`, or let `make run` do it; or name their folder with PGBIN=; \
         or use a server of your own with DATABASE_URL=",
        minimum = super::discover::MINIMUM_MAJOR
    )]
    NoBinaries {
        /// The folders that were tried, in order.
        looked: String,
        /// What was found there and why it does not do; empty when nothing was.
        rejected: String,
    },
    /// The cluster on disk belongs to a major version that is not installed.
    #[error(
        "{path} holds a cluster of PostgreSQL {data}, but the installed server is {installed}. Nothing was changed. \
         Install PostgreSQL {data} (or name its folder with PGBIN=), or move the data to {installed} with pg_upgrade \
         or with pg_dumpall and a new data folder"
    )]
    MajorMismatch {
        /// The cluster.
        path: PathBuf,
        /// The major version that wrote it.
        data: u32,
        /// The major versions at hand.
        installed: String,
    },
    /// The cluster's folder is there, but it is not a cluster.
    #[error(
        "{path} is not a whole PostgreSQL cluster: {problem}. It is left as it is, since it may hold data: restore it from a backup, \
         or move it away to start with an empty one"
    )]
    NotACluster {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        problem: String,
    },
    /// Another process owns the data folder.
    #[error(
        "the data folder {path} is in use by {owner}. Stop that process, or choose another folder with --data-dir"
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// `pid N`, or words for a process that has not written its pid.
        owner: String,
    },
    /// A server left over from an earlier run will not end.
    #[error(
        "an earlier server (pid {pid}) still works in {path} and does not end. Look at that process, end it, then start again"
    )]
    LeftoverStays {
        /// The process that stays.
        pid: i32,
        /// The cluster.
        path: PathBuf,
    },
    /// A folder on the way cannot be entered by the user the server runs as.
    #[error(
        "PostgreSQL does not run as root, so it would run as `{user}`, who may not enter {blocked} on the way to {path}. \
         Choose a place below folders that everyone may enter, such as /var/lib/keyward (--data-dir, PGBIN=), or `chmod o+x {blocked}`"
    )]
    NotReachable {
        /// The user the server would run as.
        user: String,
        /// The folder that stops it.
        blocked: PathBuf,
        /// Where it had to go.
        path: PathBuf,
    },
    /// We are root and may not become anybody else.
    #[error(
        "PostgreSQL does not run as root, and this process may not change to the user `{user}` ({source}). \
         Start keyward as an ordinary user, or give it CAP_SETUID, CAP_SETGID and CAP_CHOWN, or use a server of your own with DATABASE_URL="
    )]
    CannotDropPrivileges {
        /// The user it tried to become.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// We are root and there is nobody to become.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody` to run it as. \
         Start keyward as an ordinary user, or add one with `useradd --system postgres`"
    )]
    NobodyToRunAs,
    /// initdb wants its user to have a name.
    #[error(
        "the user id {uid} has no name in /etc/passwd, and initdb refuses to work for such a user. \
         Start keyward as a user that has one, or use a server of your own with DATABASE_URL="
    )]
    NamelessUser {
        /// The user id.
        uid: u32,
    },
    /// The new cluster could not be made.
    #[error(
        "{step} failed, so there is no cluster yet ({status}). Mend what its last lines name and start again; nothing needs clearing away:\n{tail}"
    )]
    InitFailed {
        /// The command that failed.
        step: &'static str,
        /// How it ended.
        status: String,
        /// Its last lines.
        tail: String,
    },
    /// The server came up badly or not at all.
    #[error(
        "PostgreSQL did not get ready: {problem}. Mend what the last lines of {log} name and start again:\n{tail}"
    )]
    NotReady {
        /// How it failed.
        problem: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines of this start.
        tail: String,
    },
    /// No room left.
    #[error(
        "the disk that holds {path} is full (or the quota is used up). Free some space, or choose another folder with --data-dir"
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// No socket path is short enough.
    #[error(
        "a socket below {path} would have a name longer than the {limit} bytes the system allows, and the short folder {instead} cannot be used ({problem}). \
         Choose a shorter --data-dir, or clear {instead} away",
        limit = super::sockets::LONGEST_SOCKET
    )]
    SocketPathTooLong {
        /// The data folder.
        path: PathBuf,
        /// The stand-in that was tried.
        instead: PathBuf,
        /// Why that does not do.
        problem: String,
    },
    /// The file system said no.
    #[error(
        "cannot {action} {path}: {source}. Check who owns it and that its disk is writable, or choose another folder with --data-dir"
    )]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program or a thread could not be started.
    #[error(
        "cannot start {what}: {source}. Check that it may be executed and that the limits on processes and memory leave room"
    )]
    Spawn {
        /// What should have been started.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl PostgresError {
    /// For `map_err`: turns an [`io::Error`] about a file into the error that names the file.
    pub(super) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> PostgresError {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                PostgresError::DiskFull { path }
            }
            _ => PostgresError::File { action, path, source },
        }
    }
}

/// Postgres reports a full disk only in words.
pub(super) fn tells_of_full_disk(text: &str) -> bool {
    // The last is its hint after a write that was cut short.
    ["No space left on device", "Disk quota exceeded", "Check free disk space"]
        .iter()
        .any(|words| text.contains(words))
}
