//! What the tests of the private cluster share: scratch folders, waiting, signals, and a second process that owns a server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use keyward::postgres::{Connection, Durability, Options, PostgresError, PrivatePostgres};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of one test, gone with it.
pub(crate) struct Scratch(pub PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keyward-pg-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a scratch folder");
        // The server runs as another user if the tests run as root.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an open folder");
        Self(path.canonicalize().expect("the real path"))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(super) fn options(data_dir: &Path) -> Options {
    Options {
        data_dir: data_dir.to_path_buf(),
        durability: Durability::Throwaway,
        max_connections: 20,
        bin_dir: std::env::var_os("PGBIN").filter(|dir| !dir.is_empty()).map(PathBuf::from),
    }
}

pub(super) fn start(data_dir: &Path) -> PrivatePostgres {
    PrivatePostgres::start(&options(data_dir)).expect("a server")
}

pub(super) fn refusal(options: &Options) -> (PostgresError, String) {
    let error = PrivatePostgres::start(options).expect_err("a refusal");
    let text = error.to_string();
    (error, text)
}

pub(super) fn sql(postgres: &PrivatePostgres, statement: &str) -> String {
    query(postgres.connection(), statement)
}

pub(super) fn query(connection: &Connection, statement: &str) -> String {
    let output = Command::new("psql")
        .args(["-XAtqw", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .arg(connection.url())
        .output()
        .expect("psql runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{statement}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "still waiting: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Alive and not a zombie.
pub(super) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            let (_, rest) = stat.rsplit_once(") ")?;
            Some(!rest.starts_with(['Z', 'X']))
        })
        .unwrap_or(false)
}

pub(super) fn kill(signal: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(sent.expect("sh runs").success(), "kill -{signal} {pid}");
}

pub(super) fn as_root() -> bool {
    fs::metadata("/proc/self").expect("proc").uid() == 0
}

/// Runs `command` as the user of the server.
pub(super) fn as_server(mut command: Command, cluster: &Path) -> Child {
    if as_root() {
        let owner = fs::metadata(cluster).expect("a cluster");
        command.uid(owner.uid()).gid(owner.gid());
    }
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.current_dir("/").spawn().expect("it runs")
}

/// Another process that starts a server: this test binary, asked to run [`helper`] only.
pub(super) struct Helper {
    pub process: Child,
}

impl Helper {
    pub(super) fn spawn(data_dir: &Path, durability: &str) -> Self {
        let process = Command::new(std::env::current_exe().expect("our own path"))
            // libtest knows the test by its path below the crate.
            .args(["--exact", helper_name(), "--nocapture"])
            .env("POSTGRES_HELPER_DATA", data_dir)
            .env("POSTGRES_HELPER_DURABILITY", durability)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper runs");
        Self { process }
    }

    pub(super) fn postmaster(&mut self) -> u32 {
        let output = self.process.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        // libtest prints the name of the test in front of it, on the same line.
        let pid = lines.find_map(|line| line.split_once("postmaster=")?.1.parse().ok());
        pid.expect("the helper says the pid")
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().expect("SIGKILL");
        self.process.wait().expect("its end");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn helper_name() -> &'static str {
    let path = concat!(module_path!(), "::helper");
    path.split_once("::").map_or(path, |(_, below)| below)
}

#[test]
#[expect(clippy::print_stdout, reason = "the other process reads it")]
fn helper() {
    let Some(data_dir) = std::env::var_os("POSTGRES_HELPER_DATA") else {
        return;
    };
    let mut options = options(Path::new(&data_dir));
    if std::env::var_os("POSTGRES_HELPER_DURABILITY").is_some_and(|word| word == "durable") {
        options.durability = Durability::Durable;
    }
    let postgres = PrivatePostgres::start(&options).expect("a server");
    println!("postmaster={}", postgres.pid());
    assert!(postgres.wait_exit().asked, "it is the helper that is killed");
}
