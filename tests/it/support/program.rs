//! The program as a command that ends by itself.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
};

use super::{KEYWARD, eventually};

/// The program with these arguments, and an environment in which nothing else is set for it.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(KEYWARD);
    command.args(arguments).env_clear();
    for kept in ["PATH", "PGBIN", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    anywhere(&mut command);
    command
}

/// Lets a command listen where nobody else does, unless its arguments say where.
pub(crate) fn anywhere(command: &mut Command) {
    for listener in ["AUTHORIZE", "ADMIN", "HTTP"].map(|it| format!("KEYWARD_{it}_LISTEN")) {
        command.env(listener, "127.0.0.1:0");
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; -1 after a signal.
    pub(crate) code: i32,
    pub(crate) printed: String,
    pub(crate) complained: String,
}

impl Ended {
    /// Asserts that it refused with this code, and with all of these words.
    pub(crate) fn assert_refusal(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.complained.contains(word), "{word:?} not in {self:?}");
        }
    }
}

/// Runs a command to its end, which must come by itself.
pub(crate) async fn run(mut command: Command) -> Ended {
    command.stdin(Stdio::null());
    end_of(command, |_| {}).await
}

/// The same with a text on standard input, which must fit into a pipe.
pub(crate) async fn run_fed(mut command: Command, input: &str) -> Ended {
    command.stdin(Stdio::piped());
    // who does not read it may have ended
    let feed = |child: &mut Child| drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    end_of(command, feed).await
}

async fn end_of(mut command: Command, begin: impl FnOnce(&mut Child)) -> Ended {
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(pipes.spawn().unwrap());
    begin(&mut running.0);
    let (printed, complained) = (all(running.0.stdout.take()), all(running.0.stderr.take()));
    let status = eventually("the command ends", async || running.0.try_wait().unwrap()).await;
    Ended {
        code: status.code().unwrap_or(-1),
        printed: printed.join().unwrap(),
        complained: complained.join().unwrap(),
    }
}

/// Reads while the command runs, since a pipe does not hold much.
fn all(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut pipe = pipe.unwrap();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
