//! The command line: the real program against a real server.

mod asked;
mod contexts;
mod doctor;
mod each;
mod import;
mod insight;
mod keys;
mod lost;
mod nouns;
mod refused;
mod shown;
mod terminal;

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use serde_json::Value;

use crate::support::{
    operator::Site,
    program::{Ended, program, run_fed},
};

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// Somebody with a home folder, a server and an admin key.
struct User {
    home: PathBuf,
    server: String,
    token: String,
}

impl User {
    /// One with the root admin key of a site.
    fn of(site: &Site) -> Self {
        Self::with(site.server.admin, &site.database.root_token)
    }

    /// One with another admin key.
    fn with(server: SocketAddr, token: &str) -> Self {
        let number = FOLDERS.fetch_add(1, Relaxed);
        let name = format!("cli-{}-{number}", std::process::id());
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir(&home).unwrap();
        Self { home, server: server.to_string(), token: token.to_owned() }
    }

    /// The program with these arguments, without a server or key.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.env("XDG_CONFIG_HOME", &self.home);
        command
    }

    /// The program with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("KEYWARD_SERVER", &self.server).env("KEYWARD_TOKEN", &self.token);
        command
    }

    /// Runs it with this on standard input.
    async fn feed(&self, arguments: &[&str], input: &str) -> Ended {
        run_fed(self.command(arguments), input).await
    }

    /// Runs it with nothing on standard input.
    async fn run(&self, arguments: &[&str]) -> Ended {
        self.feed(arguments, "").await
    }

    /// Runs it, and it must succeed.
    async fn good(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, 0, "{arguments:?} {ended:?}");
        ended
    }

    /// What it prints as JSON.
    async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--output", "json"]].concat();
        serde_json::from_str(&self.good(&arguments).await.printed).unwrap()
    }

    /// Makes a key that may read systems, and returns its id and token.
    async fn make(&self, name: &str) -> (String, String) {
        let arguments = ["keys", "create", name, "--permission", "systems.read"];
        let made = self.json(&arguments).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["token"]))
    }

    /// Writes a file into the home folder.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.join(name);
        fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    /// Where contexts are remembered.
    fn contexts(&self) -> PathBuf {
        self.home.join("keyward/config.json")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.home));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A program that is not waited for by itself.
fn piped(command: &mut Command) -> std::process::Child {
    let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    pipes.spawn().unwrap()
}
