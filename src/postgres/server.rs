//! Owns the running server process: the thread it hangs on, its signals, its end.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// What is known of the server's end.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Status(ExitStatus),
    /// Something else in this process collected the status.
    Unknown,
}

#[derive(Debug, Default)]
struct State {
    end: Option<End>,
    asked: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment, so a panic elsewhere cannot have left it half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub pid: Pid,
    shared: Arc<Shared>,
}

impl Server {
    /// Spawns from a thread of its own that stays until the server is gone: the death signal follows the thread that
    /// forks, not the process, so a caller's thread that ends would take the server with it.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            match command.spawn() {
                Ok(child) => {
                    // The log's file is in the command; the server has its own copy.
                    drop(command);
                    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                    if let Some(pid) = pid
                        && tell.send(Ok(pid)).is_ok()
                    {
                        watch(child, pid, &theirs);
                    }
                }
                Err(error) => {
                    // The receiver waits below for exactly this.
                    tell.send(Err(error)).ok();
                }
            }
        })?;
        let pid = told.recv().map_err(|mpsc::RecvError| io::Error::other("its thread ended"))??;
        Ok(Self { pid, shared })
    }

    /// Waits until the server is gone or `limit` is over.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Option<End> {
        let until = limit.map(Deadline::after);
        let mut state = self.shared.state();
        loop {
            if state.end.is_some() {
                return state.end;
            }
            let Some(until) = until else {
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.left();
            if left.is_zero() {
                return None;
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether [`Server::stop`] was called.
    pub(super) fn asked(&self) -> bool {
        self.shared.state().asked
    }

    /// A fast shutdown, then harsher words. `None` if even SIGKILL has not ended it yet.
    pub(super) fn stop(&self, patience: Duration) -> Option<End> {
        let last = Duration::from_secs(5);
        let ways = [(Signal::INT, patience), (Signal::QUIT, last), (Signal::KILL, last)];
        ways.into_iter().find_map(|(signal, patience)| {
            self.signal(signal);
            self.wait(Some(patience))
        })
    }

    fn signal(&self, signal: Signal) {
        let mut state = self.shared.state();
        state.asked = true;
        // Its pid is only collected under this lock, so it cannot be somebody else's by now.
        if state.end.is_none() {
            // The one possible error, that it is gone, shows in the wait that follows.
            kill_process(self.pid, signal).ok();
        }
    }
}

fn watch(mut child: Child, pid: Pid, shared: &Shared) {
    // NOWAIT leaves the pid taken until the lock is held, see `signal`.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
    let mut state = shared.state();
    state.end = Some(child.wait().map_or(End::Unknown, End::Status));
    drop(state);
    shared.changed.notify_all();
}
