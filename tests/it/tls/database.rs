//! A PostgreSQL of one's own that listens on a port and has TLS.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use keyward::postgres::{Durability, Options, PrivatePostgres};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use super::authority::Pair;
use crate::{
    postgres::support::Scratch,
    support::{
        database::{Database, keyward},
        eventually,
    },
};

/// The password of its user `keyward`.
const PASSWORD: &str = "a-password-for-tests";
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(super) struct Postgres {
    child: Child,
    address: SocketAddr,
    root_token: String,
    folder: Scratch,
}

/// Who may come in over the port.
pub(super) enum Door<'a> {
    /// Whoever has the password; there is no TLS.
    Plain,
    /// Whoever has the password, with TLS or without.
    Any,
    /// Whoever has the password and comes with TLS.
    Tls,
    /// Whoever has the password and a certificate of these authorities.
    Certificate(&'a Path),
}

impl Postgres {
    /// Makes a server with a migrated database, then starts it again with this certificate.
    pub(super) async fn start(name: &str, own: &Pair, door: Door<'_>) -> Self {
        let folder = Scratch::new(&format!("tls-postgres-{name}"));
        let bin_dir = std::env::var_os("PGBIN").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let options = Options {
            data_dir: folder.data(),
            durability: Durability::Throwaway,
            max_connections: 50,
            bin_dir,
        };
        let private = PrivatePostgres::start(&options).unwrap_or_else(|error| panic!("{error}"));
        let url = private.connection().url();
        keyward(&url, &["migrate"]);
        let shown = keyward(&url, &["bootstrap"]);
        let token = shown.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
        let root_token = token.unwrap().to_owned();
        set_password(&url).await;
        let program = private.started().bin_dir.join("postgres");
        private.stop(STOP_TIME_MAX);
        drop(private);

        let cluster = folder.data().join("pg");
        let address = free_address();
        place_files(&cluster, own, &door);
        let child = command(&program, &cluster, address).spawn().unwrap();
        let mut server = Self { child, address, root_token, folder };
        server.until_it_listens().await;
        server
    }

    async fn until_it_listens(&mut self) {
        eventually("PostgreSQL listens", async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("PostgreSQL ended with {status}");
            }
            TcpStream::connect(self.address).await.ok()
        })
        .await;
    }

    /// Its database, at this host, with these settings in the URL.
    pub(super) fn database(&self, host: &str, settings: &str) -> Database {
        let port = self.address.port();
        Database {
            url: format!("postgresql://keyward:{PASSWORD}@{host}:{port}/keyward?{settings}"),
            root_token: self.root_token.clone(),
        }
    }

    /// Its database by a way that has nothing to do with TLS.
    pub(super) fn behind_the_scenes(&self) -> Database {
        let (folder, port) = (self.folder.data().join("pg"), self.address.port());
        Database {
            url: format!(
                "postgresql:///keyward?host={}&port={port}&user=keyward",
                folder.display()
            ),
            root_token: self.root_token.clone(),
        }
    }

    /// Takes another certificate for connections that are made from now on.
    pub(super) fn replace(&self, own: &Pair) {
        let cluster = self.folder.data().join("pg");
        place_certificate(&cluster, own);
        let reload = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status();
        assert!(reload.unwrap().success());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
async fn set_password(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let set = format!(
        "SET password_encryption = 'scram-sha-256'; ALTER ROLE keyward PASSWORD '{PASSWORD}'"
    );
    client.batch_execute(&set).await.unwrap();
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Puts files where the server reads them; its key must be its own and nobody else's.
fn place_files(cluster: &Path, own: &Pair, door: &Door<'_>) {
    place_certificate(cluster, own);
    let (line, authorities) = match door {
        Door::Any | Door::Plain => ("host all all 127.0.0.1/32 scram-sha-256\n", None),
        Door::Tls => ("hostssl all all 127.0.0.1/32 scram-sha-256\n", None),
        Door::Certificate(authorities) => {
            ("hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n", Some(authorities))
        }
    };
    let hba = format!("local all all trust\n{line}");
    place(cluster, "pg_hba.conf", hba.as_bytes());
    let authorities = authorities.map(|file| fs::read(file).unwrap()).unwrap_or_default();
    place(cluster, "authorities.pem", &authorities);
    let ca = if authorities.is_empty() { "" } else { "authorities.pem" };
    let ssl = if matches!(door, Door::Plain) { "off" } else { "on" };
    let settings = format!(
        "ssl = {ssl}\nssl_cert_file = 'own.pem'\nssl_key_file = 'own.key'\nssl_ca_file = '{ca}'\n"
    );
    place(cluster, "postgresql.auto.conf", settings.as_bytes());
}

fn place_certificate(cluster: &Path, own: &Pair) {
    place(cluster, "own.pem", &fs::read(&own.certificate).unwrap());
    place(cluster, "own.key", &fs::read(&own.key).unwrap());
}

fn place(cluster: &Path, name: &str, bytes: &[u8]) {
    let owner = fs::metadata(cluster).unwrap();
    let file = cluster.join(name);
    drop(fs::remove_file(&file));
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// The server, killed when the thread of its test ends, however that is.
fn command(program: &Path, cluster: &Path, address: SocketAddr) -> Command {
    let owner = fs::metadata(cluster).unwrap();
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        let [user, group] = [owner.uid(), owner.gid()];
        command.args([format!("--reuid={user}"), format!("--regid={group}")]);
        command.arg("--clear-groups");
    }
    command.args(["--pdeathsig", "KILL"]).arg(program).arg("-D").arg(cluster);
    for setting in [
        &format!("listen_addresses={}", address.ip()),
        &format!("port={}", address.port()),
        &format!("unix_socket_directories={}", cluster.display()),
        "fsync=off",
        "max_connections=50",
        "dynamic_shared_memory_type=mmap",
    ] {
        command.args(["-c", setting]);
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
