//! One redis-server as a process: its port, its folder, its end.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::text;
use crate::{postgres::support::Scratch, support::eventually};

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

/// Starts a redis-server that is killed when the tests are, however they end.
///
/// The system kills it when the *thread* that started it ends, and a server may outlive its test's,
/// so a thread that stays starts them all. setpriv asks for it: here that would take `unsafe`.
fn spawn(arguments: &[String]) -> Child {
    type Order = (Command, mpsc::Sender<Child>);
    static ORDERS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                answer.send(command.spawn().unwrap()).unwrap();
            }
        });
        orders
    });
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (answer, child) = mpsc::channel();
    ORDERS.send((command, answer)).unwrap();
    child.recv().expect("setpriv of util-linux starts")
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let programs = ["redis-server", "valkey-server"];
    let mut found = programs.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
    found
        .find(|file| file.exists())
        .expect("Redis is needed for this test: apt-get install -y redis-server")
}

/// A port that nobody listens on, nor on the one 10000 above it, where a cluster's nodes speak.
///
/// All lie below those that the system gives to connections, so that it is still free when a killed
/// server comes back to it. Test runs beside this one begin elsewhere.
fn free_port() -> u16 {
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
