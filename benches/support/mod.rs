//! What benches share: servers of this build, and how figures are shown.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tonic::{Request, transport::Channel};

const PEPPER: &str = "a pepper for benches, of 32 bytes";
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// A folder for what servers write.
pub fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("keyward-bench-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    folder
}

/// The token of the root key that a server has printed at its first start.
pub fn root_token(folder: &Path, name: &str) -> String {
    let printed = fs::read_to_string(folder.join(format!("{name}.out"))).unwrap();
    let token = printed.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
    token.unwrap().to_owned()
}

/// A server, ended when it is dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub authorize: String,
    pub admin: String,
}

impl Server {
    pub fn start(folder: &Path, name: &str, database: Option<&str>, args: &[&str]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(["serve", "--authorize-listen", "127.0.0.1:0"]);
        command.args(["--admin-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"]);
        command.args(["--log-format", "json"]);
        command.args(args);
        match database {
            Some(url) => command.env("DATABASE_URL", url),
            None => command.env_remove("DATABASE_URL").arg("--ephemeral"),
        };
        let child = command
            .env("KEYWARD_PEPPER", PEPPER)
            .stdout(fs::File::create(folder.join(format!("{name}.out"))).unwrap())
            .stderr(fs::File::create(&log).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { child, log, authorize: String::new(), admin: String::new() };
        server.logged("loaded all keys", "took_ms");
        server.authorize = server.logged("listening", "authorize");
        server.admin = server.logged("listening", "admin");
        server
    }

    /// A field of a line of the log, once the line is there.
    pub fn logged(&mut self, message: &str, field: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < START_TIME_MAX {
            let text = fs::read_to_string(&self.log).unwrap();
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let mut found = lines.filter(|line: &serde_json::Value| line["message"] == message);
            if let Some(line) = found.next() {
                let value = &line[field];
                return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended:\n{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("not logged in time: {message}");
    }

    pub fn memory_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.child.wait());
    }
}

pub fn connect(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

pub fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[place]
}

pub fn show(name: &str, sorted: &[u64], unit: &str) {
    println!(
        "{name:<44} n {:>7}  p50 {:>6}  p99 {:>6}  p99.9 {:>6}  max {:>6} {unit}",
        sorted.len(),
        quantile(sorted, 0.5),
        quantile(sorted, 0.99),
        quantile(sorted, 0.999),
        sorted[sorted.len() - 1],
    );
}
