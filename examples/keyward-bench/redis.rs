//! A Redis of the bench's own.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

const START_TIME_MAX: Duration = Duration::from_secs(10);

/// A Redis on loopback that keeps nothing, ended when it is dropped.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts it and waits until it can be reached.
    pub fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server is needed: scripts/ensure-redis")?;
        let mut redis = Self { child, port };
        let begun = Instant::now();
        while let Err(error) = TcpStream::connect(("127.0.0.1", port)) {
            ensure!(redis.child.try_wait()?.is_none(), "redis-server ended");
            ensure!(begun.elapsed() < START_TIME_MAX, "redis-server does not listen: {error}");
            thread::sleep(Duration::from_millis(2));
        }
        Ok(redis)
    }

    /// As `--redis-url` wants it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
