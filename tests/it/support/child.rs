//! Servers of others as processes, which end with the tests, however those end.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    thread,
};

/// A process that is killed when dropped.
pub(crate) struct Server(Child);

impl Server {
    /// Starts a program; what it prints goes nowhere.
    pub(crate) fn start(program: &Path, arguments: &[String]) -> Self {
        Self(spawn(program, arguments))
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a program that is killed when the tests are, however they end.
///
/// The system kills it when the *thread* that started it ends, and a server may outlive its test's,
/// so a thread that stays starts them all. setpriv asks for it: here that would take `unsafe`.
pub(crate) fn spawn(program: &Path, arguments: &[String]) -> Child {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static ORDERS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                answer.send(command.spawn()).unwrap();
            }
        });
        orders
    });
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (answer, child) = mpsc::channel();
    ORDERS.send((command, answer)).unwrap();
    child.recv().unwrap().expect("setpriv of util-linux starts")
}

/// The first of these programs that PATH, or a folder of Debian's that PATH may lack, has.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let folders: Vec<_> = folders.collect();
    let mut found = names.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
    found.find(|file| file.exists())
}
