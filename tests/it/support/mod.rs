//! What the tests stand on: databases, servers, clients, waiting.

pub(crate) mod caddy;
pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod envoy;
pub(crate) mod gate;
pub(crate) mod http1;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod nginx;
pub(crate) mod operator;
pub(crate) mod pgbouncer;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod server;
pub(crate) mod upstream;
pub(crate) mod wire;

use std::{path::PathBuf, time::Duration};

use tokio::time::{sleep, timeout};

/// How long anything may take that is waited for; generous, since a pass never takes it.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(30);

/// Waits until `probe` finds something, and returns it. Panics with `what` when it never does.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = timeout(TIME_MAX, async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {TIME_MAX:?}: {what}"))
}

/// The program under test.
pub(crate) const KEYWARD: &str = env!("CARGO_BIN_EXE_keyward");

/// Where the servers of all tests log; searched for tokens after the run.
pub(crate) fn log_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("logs");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
