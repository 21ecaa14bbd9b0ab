//! A master, its replica, and one sentinel that makes the replica the master when that is gone.

use std::{fs, io, net::SocketAddr, path::Path};

use super::{Connection, Redis, process::Process, text};
use crate::support::{TIME_MAX, eventually};

/// The three, running; killed when dropped.
pub(crate) struct RedisSentinel {
    sentinel: Process,
    master_name: String,
    /// The master at the start.
    pub(crate) master: Redis,
    /// Its replica at the start.
    pub(crate) replica: Redis,
}

impl RedisSentinel {
    /// Starts them and waits until the sentinel knows both, so that it can replace the master.
    pub(crate) async fn start(name: &str) -> Self {
        let master = Redis::start(&format!("{name}-master")).await;
        let port = master.address().port().to_string();
        let of_master = ["--replicaof", "127.0.0.1", &port];
        let replica = Redis::start_with(&format!("{name}-replica"), &of_master).await;
        // the sentinel asks the master for its replicas when it starts, and not again for 10 s
        eventually("the replica follows the master", async || {
            master.command(&["INFO", "replication"]).contains("state=online").then_some(())
        })
        .await;
        let master_name = format!("master-{name}");
        let sentinel = Process::start(&format!("{name}-sentinel"), |folder, port| {
            let file = folder.join("sentinel.conf");
            fs::write(&file, settings(folder, port, &master_name, master.address())).unwrap();
            vec![text(file), "--sentinel".to_owned()]
        });
        let mut all = Self { sentinel, master_name, master, replica };
        let (at, expected) = (all.sentinel.address(), all.replica.address());
        let ready = || {
            let replicas = ask(at, &["SENTINEL", "REPLICAS", &all.master_name]);
            replicas.is_ok_and(|replicas| replicas.lines().any(|line| line == expected.to_string()))
        };
        all.sentinel.until("the sentinel knows master and replica", ready).await;
        all
    }

    /// Where the sentinel listens, as `127.0.0.1:26379`.
    pub(crate) fn sentinel_host(&self) -> String {
        self.sentinel.address().to_string()
    }

    /// What the sentinel calls the master.
    pub(crate) fn master_name(&self) -> &str {
        &self.master_name
    }

    /// Where the master is, as the sentinel tells clients.
    pub(crate) fn master_address(&self) -> SocketAddr {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.master_name];
        let answer = ask(self.sentinel.address(), &words).unwrap();
        answer.replace('\n', ":").parse().unwrap()
    }

    /// Ends the master of the start as a crash does; some seconds later the replica is the master.
    pub(crate) fn kill_master(&mut self) {
        self.master.kill();
    }
}

fn ask(sentinel: SocketAddr, words: &[&str]) -> io::Result<String> {
    Connection::open(sentinel, TIME_MAX)?.ask(words)
}

/// For a file, since in it a sentinel also keeps what it learns.
fn settings(folder: &Path, port: u16, name: &str, master: SocketAddr) -> String {
    let (folder, ip, master_port) = (folder.display(), master.ip(), master.port());
    format!(
        "port {port}\n\
         bind 127.0.0.1\n\
         dir \"{folder}\"\n\
         sentinel monitor {name} {ip} {master_port} 1\n\
         sentinel down-after-milliseconds {name} 500\n\
         sentinel failover-timeout {name} 5000\n"
    )
}
