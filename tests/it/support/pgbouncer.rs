//! A real PgBouncer in transaction mode, through which no notification arrives.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{database::Database, eventually};
use crate::postgres::support::Scratch;

/// A running PgBouncer; ended when dropped.
pub(crate) struct PgBouncer {
    child: Child,
    folder: Scratch,
}

impl PgBouncer {
    /// Starts one in front of a database's server, and says how the database is reached through it.
    pub(crate) async fn start(name: &str, database: &Database) -> (Self, Database) {
        let folder = Scratch::new(&format!("bouncer-{name}"));
        let socket = database.socket();
        let servers = socket.parent().unwrap();
        let config = folder.0.join("pgbouncer.ini");
        fs::write(&config, settings(&folder.0, servers)).unwrap();
        let mut command = Command::new(binary());
        command.arg(&config).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // it refuses to be root, and needs the socket: so it runs as the server's user
        let owner = fs::metadata(servers).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&folder.0, Some(owner.uid()), Some(owner.gid())).unwrap();
            command.uid(owner.uid()).gid(owner.gid());
        }
        let child = command.spawn().unwrap();
        let mut bouncer = Self { child, folder };
        let reached = bouncer.folder.0.join(socket.file_name().unwrap());
        eventually("PgBouncer listens", async || {
            if let Some(status) = bouncer.child.try_wait().unwrap() {
                let log = fs::read_to_string(bouncer.folder.0.join("log"));
                panic!("PgBouncer ended with {status}: {log:?}");
            }
            reached.exists().then_some(())
        })
        .await;
        let beyond = database.by_way_of(&bouncer.folder.0);
        (bouncer, beyond)
    }
}

fn settings(folder: &Path, servers: &Path) -> String {
    let (folder, servers) = (folder.display(), servers.display());
    format!(
        "[databases]\n\
         * = host={servers} port=5432 user=keyward\n\
         [pgbouncer]\n\
         pool_mode = transaction\n\
         unix_socket_dir = {folder}\n\
         listen_port = 5432\n\
         auth_type = any\n\
         logfile = {folder}/log\n"
    )
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut found = folders.map(|folder| folder.join("pgbouncer"));
    found
        .find(|file| file.exists())
        .expect("PgBouncer is needed for this test: apt-get install -y pgbouncer")
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
