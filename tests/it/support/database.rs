//! Databases: one PostgreSQL for all tests of the process, a fresh database for each.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use keyward::postgres::{Durability, Options, PrivatePostgres};
use rustix::fs::{FlockOperation, flock, statvfs};
use tokio_postgres::{Client, Config, NoTls, config::Host};

use super::KEYWARD;

/// The pepper of all test databases.
pub(crate) const PEPPER: &str = "a pepper for tests, 32 bytes and some more";
const TEMPLATE: &str = "keyward_template";
const PREFIX: &str = "keyward-test-";
const SHM: &str = "/dev/shm";
/// Databases are some 8 MB each and stay until the next run, to be searched for tokens.
const SHM_BYTES_MIN: u64 = 4 << 30;

/// A PostgreSQL server and the root admin key that its template has.
pub(crate) struct Cluster {
    server: PrivatePostgres,
    /// The token of a root admin key that every database has.
    pub(crate) root_token: String,
    databases: AtomicU32,
}

/// The server that tests share.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        sweep();
        Cluster::start("shared")
    })
}

impl Cluster {
    /// Starts a server of one's own, for tests that do it harm.
    pub(crate) fn start(name: &str) -> Self {
        let folder = base().join(format!("{PREFIX}{}-{name}", std::process::id()));
        let server = start_server(&folder);
        let url = url(&server, TEMPLATE);
        psql(&url_of(&server, "keyward"), &format!("CREATE DATABASE {TEMPLATE}"));
        keyward(&url, &["migrate"]);
        let shown = keyward(&url, &["bootstrap"]);
        let root_token = shown
            .lines()
            .find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="))
            .expect("bootstrap shows a token")
            .to_owned();
        Self { server, root_token, databases: AtomicU32::new(0) }
    }

    /// A fresh database, migrated, with the root admin key in it.
    pub(crate) fn database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY");
        psql(&url_of(&self.server, "keyward"), &create);
        Database { url: url(&self.server, &name), root_token: self.root_token.clone() }
    }

    /// A database with nothing in it.
    fn empty_database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Relaxed));
        psql(&url_of(&self.server, "keyward"), &format!("CREATE DATABASE {name}"));
        Database { url: url(&self.server, &name), root_token: String::new() }
    }

    /// The id of the server's first process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Where the server's files are.
    pub(crate) fn folder(&self) -> PathBuf {
        self.server.connection().socket_dir.parent().expect("below the data folder").to_owned()
    }

    /// Starts the server again after it was killed.
    pub(crate) fn restart(self) -> Self {
        let folder = self.folder();
        let Self { server, root_token, databases } = self;
        drop(server);
        Self { server: start_server(&folder), root_token, databases }
    }
}

fn start_server(folder: &Path) -> PrivatePostgres {
    let bin_dir = std::env::var_os("PGBIN").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let options = Options {
        data_dir: folder.to_owned(),
        durability: Durability::Throwaway,
        max_connections: 300,
        bin_dir,
    };
    PrivatePostgres::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

/// A database of one test.
pub(crate) struct Database {
    /// How to connect.
    pub(crate) url: String,
    /// The token of its root admin key.
    pub(crate) root_token: String,
}

impl Database {
    /// A fresh database on the shared server.
    pub(crate) fn new() -> Self {
        shared().database()
    }

    /// A database on the shared server with nothing in it.
    pub(crate) fn empty() -> Self {
        shared().empty_database()
    }

    /// What a backup of it is restored to, on the shared server. Nobody may be connected to it.
    pub(crate) fn restored(&self) -> Self {
        let cluster = shared();
        let config: Config = self.url.parse().unwrap();
        let source = config.get_dbname().unwrap();
        let name = format!("test_{}", cluster.databases.fetch_add(1, Relaxed));
        let create = format!("CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY");
        psql(&url_of(&cluster.server, "keyward"), &create);
        Self { url: url(&cluster.server, &name), root_token: self.root_token.clone() }
    }

    /// Its server's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        let config: Config = self.url.parse().unwrap();
        match (config.get_hosts(), config.get_ports()) {
            ([Host::Unix(folder)], [port]) => folder.join(format!(".s.PGSQL.{port}")),
            other => panic!("{other:?}"),
        }
    }

    /// The same database by way of another socket folder, with the same port in the socket's name.
    pub(crate) fn by_way_of(&self, folder: &Path) -> Self {
        let config: Config = self.url.parse().unwrap();
        let (name, user) = (config.get_dbname().unwrap(), config.get_user().unwrap());
        let (folder, port) = (folder.display(), config.get_ports()[0]);
        Self {
            url: format!("postgresql:///{name}?host={folder}&port={port}&user={user}"),
            root_token: self.root_token.clone(),
        }
    }

    /// A connection to look behind the scenes with.
    pub(crate) async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// One number that a query gives.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let row = self.connect().await.query_one(query, &[]).await.unwrap();
        row.try_get(0).unwrap()
    }
}

fn url_of(server: &PrivatePostgres, database: &str) -> String {
    url(server, database)
}

fn url(server: &PrivatePostgres, database: &str) -> String {
    let connection = server.connection();
    let (folder, port, user) = (connection.socket_dir.display(), connection.port, &connection.user);
    format!("postgresql:///{database}?host={folder}&port={port}&user={user}")
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Runs one statement from outside of any runtime of a test.
fn psql(url: &str, statement: &str) {
    let (url, statement) = (url.to_owned(), statement.to_owned());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = connect(&url).await;
            client.batch_execute(&statement).await.unwrap();
        });
    };
    std::thread::spawn(run).join().unwrap();
}

/// Runs a command of the program to its end and returns what it printed.
pub(crate) fn keyward(url: &str, arguments: &[&str]) -> String {
    let output = Command::new(KEYWARD)
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("KEYWARD_PEPPER", PEPPER)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Memory if there is enough, else the folder for temporary files.
fn base() -> PathBuf {
    let shm = statvfs(SHM).is_ok_and(|shm| shm.f_bavail * shm.f_frsize >= SHM_BYTES_MIN);
    if shm { PathBuf::from(SHM) } else { std::env::temp_dir() }
}

/// Removes what runs before this one left: folders that no process holds any more.
fn sweep() {
    let folders = fs::read_dir(base()).unwrap().flatten();
    for folder in folders.filter(|e| e.file_name().to_string_lossy().starts_with(PREFIX)) {
        let lock = File::open(folder.path().join("owner.lock"));
        let free = lock.map(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok());
        if free.unwrap_or(true) {
            drop(fs::remove_dir_all(folder.path()));
        }
    }
}
