//! Real Envoys, of each version in `scripts/envoy-versions`.

mod bootstrap;

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use tokio::net::TcpStream;

pub(crate) use self::bootstrap::{Bootstrap, Listener, Protocol};
use super::{child, eventually, http1, log_folder};
use crate::postgres::support::Scratch;

/// What `scripts/ensure-envoy` fetches.
const VERSIONS: &str = include_str!("../../../scripts/envoy-versions");

static ENVOYS: AtomicU32 = AtomicU32::new(0);

/// A running Envoy; killed when dropped, or when the tests end.
pub(crate) struct Envoy {
    /// Such as `1.40.0`.
    pub(crate) version: &'static str,
    process: child::Server,
    folder: Scratch,
    log: PathBuf,
    listeners: HashMap<String, SocketAddr>,
}

impl Envoy {
    /// Starts one of each version with the same configuration, and waits until they listen.
    pub(crate) async fn start_all(bootstrap: &Bootstrap) -> Vec<Self> {
        Self::start_by(|access_log| bootstrap.json(access_log).to_string()).await
    }

    /// The same with a configuration as text, whose administration listener has port 0.
    pub(crate) async fn start_each(bootstrap: &str) -> Vec<Self> {
        Self::start_by(|_access_log| bootstrap.to_owned()).await
    }

    async fn start_by(bootstrap: impl Fn(&Path) -> String) -> Vec<Self> {
        let versions = VERSIONS.lines().filter_map(|line| line.split_whitespace().next());
        let mut envoys: Vec<_> =
            versions.map(|version| Self::launch(version, &bootstrap)).collect();
        assert!(envoys.len() > 1, "scripts/envoy-versions has several");
        for envoy in &mut envoys {
            envoy.until_listening().await;
        }
        envoys
    }

    fn launch(version: &'static str, bootstrap: impl Fn(&Path) -> String) -> Self {
        let number = ENVOYS.fetch_add(1, Relaxed);
        let folder = Scratch::new(&format!("envoy-{number}"));
        let log = log_folder().join(format!("envoy-{}-{number}.log", std::process::id()));
        let access_log = access_log(&log);
        let config = folder.0.join("bootstrap.yaml");
        fs::write(&config, bootstrap(&access_log)).unwrap();
        let admin = folder.0.join("admin");
        let words = [
            "--config-path",
            text(&config),
            "--admin-address-path",
            text(&admin),
            "--log-path",
            text(&log),
            // below this, headers are logged
            "--log-level",
            "info",
            "--file-flush-interval-msec",
            "20",
            "--concurrency",
            "1",
            "--disable-hot-restart",
        ];
        let words = words.map(str::to_owned);
        let process = child::Server::start(&program(version), &words);
        Self { version, process, folder, log, listeners: HashMap::new() }
    }

    async fn until_listening(&mut self) {
        let admin = self.folder.0.join("admin");
        self.listeners = eventually("Envoy listens", async || {
            if let Some(status) = self.process.ended() {
                panic!("Envoy {} ended with {status}:\n{}", self.version, self.complained());
            }
            // the file may be written only in part
            let admin: SocketAddr = fs::read_to_string(&admin).ok()?.trim().parse().ok()?;
            drop(TcpStream::connect(admin).await.ok()?);
            let ready = http1::exchange(admin, &http1::get("/ready", "")).await?;
            if (ready.status, &*ready.body) != (200, b"LIVE\n") {
                return None;
            }
            let listeners = http1::ask(admin, &http1::get("/listeners?format=json", "")).await;
            Some(listeners.json()["listener_statuses"].as_array()?.iter().map(listener).collect())
        })
        .await;
    }

    /// Where a listener listens.
    pub(crate) fn at(&self, listener: &str) -> SocketAddr {
        let found = self.listeners.get(listener);
        *found.unwrap_or_else(|| panic!("no listener {listener}: {:?}", self.listeners))
    }

    /// What it logged that is more than news.
    fn complained(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| !line.contains("][info][")).collect::<Vec<_>>().join("\n")
    }

    /// Waits for the line of the access log about the request with this `x-request-mark`, and
    /// returns it: the mark, the status, why, and the dynamic metadata of the filter as JSON.
    pub(crate) async fn access_line(&self, mark: &str) -> String {
        let begin = format!("{mark} ");
        eventually("the request is in the access log", async || {
            let log = fs::read_to_string(access_log(&self.log)).ok()?;
            let (whole, _) = log.rsplit_once('\n')?;
            whole.lines().find(|line| line.starts_with(&begin)).map(str::to_owned)
        })
        .await
    }
}

fn access_log(log: &Path) -> PathBuf {
    log.with_extension("access.log")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A listener's name and address in what the admin listener says.
fn listener(status: &serde_json::Value) -> (String, SocketAddr) {
    let address = &status["local_address"]["socket_address"];
    let port = address["port_value"].as_u64().and_then(|port| u16::try_from(port).ok());
    let host = address["address"].as_str().unwrap().parse().unwrap_or(Ipv4Addr::LOCALHOST.into());
    (status["name"].as_str().unwrap().to_owned(), SocketAddr::new(host, port.unwrap()))
}

fn program(version: &str) -> PathBuf {
    let folder = std::env::var_os("KEYWARD_TEST_ENVOYS").filter(|folder| !folder.is_empty());
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../envoy");
    let program = folder.map_or(beside, PathBuf::from).join(version).join("envoy");
    assert!(
        program.exists(),
        "Envoy {version} is needed for this test: scripts/ensure-envoy fetches it"
    );
    program
}
