//! One redis-server as a process: its port, its folder, its end.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Child,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::text;
use crate::{
    postgres::support::Scratch,
    support::{child, eventually},
};

/// A redis-server, as a server or as a sentinel; killed when dropped.
pub(super) struct Process {
    child: Child,
    arguments: Vec<String>,
    port: u16,
    folder: Scratch,
}

impl Process {
    /// Starts one with these arguments, which are told its folder and its port.
    pub(super) fn start(name: &str, arguments: impl FnOnce(&Path, u16) -> Vec<String>) -> Self {
        let folder = Scratch::new(&format!("redis-{name}"));
        let port = free_port();
        let mut arguments = arguments(&folder.0, port);
        arguments.extend(["--logfile".to_owned(), text(log(&folder.0))]);
        Self { child: spawn(&arguments), arguments, port, folder }
    }

    /// Waits until it is ready; it must not end before.
    pub(super) async fn until(&mut self, what: &str, ready: impl Fn() -> bool) {
        eventually(what, async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("redis-server ended with {status}:\n{}", self.logged());
            }
            ready().then_some(())
        })
        .await;
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// All that it has logged, if it came that far.
    pub(super) fn logged(&self) -> String {
        fs::read_to_string(log(&self.folder.0)).unwrap_or_default()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.arguments);
    }

    pub(super) fn pause(&self) {
        let pid = self.signal(Signal::STOP);
        // the signal is sent before it has its effect
        let news = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(pid), news).unwrap().unwrap();
        assert!(status.stopped(), "it ended before it was halted:\n{}", self.logged());
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> Pid {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        pid
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn spawn(arguments: &[String]) -> Child {
    let program = child::find(&["redis-server", "valkey-server"]);
    let program = program.expect("Redis is needed for this test: apt-get install -y redis-server");
    child::spawn(&program, arguments)
}

/// A port that nobody listens on, nor on the one 10000 above it, where a cluster's nodes speak.
///
/// All lie below those that the system gives to connections, so that it is still free when a killed
/// server comes back to it. Test runs beside this one begin elsewhere.
pub(in crate::support) fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 10_000;
    const BUS: u16 = 10_000;
    const EACH_RUN: u32 = 50;
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let run = std::process::id() % (u32::from(COUNT) / EACH_RUN);
        AtomicU16::new(u16::try_from(run * EACH_RUN).unwrap())
    });
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let ports = (0..COUNT).map(|_| FIRST + NEXT.fetch_add(1, Relaxed) % COUNT);
    let mut found = ports.filter(|&port| free(port) && free(port + BUS));
    found.next().expect("some port is free")
}
