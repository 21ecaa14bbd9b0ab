//! How soon an edit of a permission group that a million keys have is seen by decisions on another
//! replica, and what decisions there take meanwhile. Run with `cargo bench --bench group_edit`.
//!
//! Two servers run on one private PostgreSQL. The keys are put into the database by SQL before the
//! second server starts, so that it loads them as after any start.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use keyward::rpc::pb::{
    AuthorizeRequest, CreateKeyRequest, CreatePermissionGroupRequest, PermissionGroup,
    UpdatePermissionGroupRequest, access_admin_client::AccessAdminClient,
    authorize_client::AuthorizeClient, key_admin_client::KeyAdminClient,
};
use tonic::{Request, transport::Channel};

const KEYS: u32 = 1_000_000;
const EDITS: usize = 100;
const ASKERS: usize = 4;
const PEPPER: &str = "a pepper for benches, of 32 bytes";
const START_TIME_MAX: Duration = Duration::from_secs(120);

const FILL: &str = "-- group_edit.fill
    INSERT INTO keyward.key (id, domain, environment, display_name, description, permissions,
        route_rules, labels, standing, digest, hint, created_by, created_at, updated_at, version,
        groups)
    SELECT gen_random_uuid(), 'default', 'production', 'Key ' || n, '', '{}', '{}', '{}', 'active',
        sha256(n::text::bytea), 'kw_prod_…', 'bootstrap', now(), now(), 1, ARRAY[
            (SELECT uid FROM keyward.permission_group WHERE name = 'staff')]
    FROM generate_series(1, $1::int) AS n";

/// A server, ended when it is dropped.
struct Server {
    child: Child,
    log: PathBuf,
    authorize: String,
    admin: String,
}

impl Server {
    fn start(folder: &Path, name: &str, database: Option<&str>) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(["serve", "--authorize-listen", "127.0.0.1:0"]);
        command.args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"]);
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
    fn logged(&mut self, message: &str, field: &str) -> String {
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

    fn memory_mib(&self) -> u64 {
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

fn connect(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// What one asker saw: what each question took, in microseconds.
async fn ask_on(
    mut client: AuthorizeClient<Channel>,
    question: AuthorizeRequest,
    over: Arc<AtomicBool>,
) -> Vec<u64> {
    let mut took = Vec::new();
    while !over.load(Relaxed) {
        let begun = Instant::now();
        client.authorize(question.clone()).await.unwrap();
        took.push(u64::try_from(begun.elapsed().as_micros()).unwrap());
    }
    took
}

/// Asks with several connections while `work` goes on.
async fn asked_during(
    address: &str,
    question: &AuthorizeRequest,
    work: impl Future<Output = ()>,
) -> Vec<u64> {
    let over = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let client = AuthorizeClient::new(connect(address));
            tokio::spawn(ask_on(client, question.clone(), Arc::clone(&over)))
        })
        .collect();
    work.await;
    over.store(true, Relaxed);
    let mut took = Vec::new();
    for asker in askers {
        took.extend(asker.await.unwrap());
    }
    took.sort_unstable();
    took
}

fn quantile(sorted: &[u64], share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[place]
}

fn show(name: &str, sorted: &[u64], unit: &str) {
    println!(
        "{name:<44} n {:>7}  p50 {:>6}  p99 {:>6}  p99.9 {:>6}  max {:>6} {unit}",
        sorted.len(),
        quantile(sorted, 0.5),
        quantile(sorted, 0.99),
        quantile(sorted, 0.999),
        sorted[sorted.len() - 1],
    );
}

/// Gives the group other permissions, again and again, and waits each time until the other replica
/// decides by them. What each took, in microseconds: from sending the edit, and from its answer.
async fn edit(
    writer: &Server,
    reader: &Server,
    token: &str,
    question: &AuthorizeRequest,
) -> [Vec<u64>; 2] {
    let mut access = AccessAdminClient::new(connect(&writer.admin));
    let mut asker = AuthorizeClient::new(connect(&reader.authorize));
    let mut seen = [Vec::new(), Vec::new()];
    for number in 0..EDITS {
        let allowed = number % 2 == 1;
        let permission = if allowed { "systems.read" } else { "users.read" };
        let group = PermissionGroup {
            name: "staff".into(),
            permissions: vec![permission.into()],
            ..PermissionGroup::default()
        };
        let paths = vec![String::from("permissions")];
        let update = UpdatePermissionGroupRequest {
            group: Some(group),
            update_mask: Some(prost_types::FieldMask { paths }),
            validate_only: false,
        };
        let sent = Instant::now();
        access.update_permission_group(with_token(token, update)).await.unwrap();
        let answered = Instant::now();
        while asker.authorize(question.clone()).await.unwrap().into_inner().allowed != allowed {}
        for (list, since) in seen.iter_mut().zip([sent, answered]) {
            list.push(u64::try_from(since.elapsed().as_micros()).unwrap());
        }
    }
    seen.each_mut().map(|list| {
        list.sort_unstable();
        std::mem::take(list)
    })
}

#[tokio::main]
async fn main() {
    let folder = std::env::temp_dir().join(format!("keyward-bench-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let mut writer = Server::start(&folder, "writer", None);
    let url = writer.logged("started the private PostgreSQL", "url");
    let printed = fs::read_to_string(folder.join("writer.out")).unwrap();
    let token = printed.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
    let token = token.unwrap().to_owned();

    let group = PermissionGroup {
        name: "staff".into(),
        display_name: "Staff".into(),
        permissions: vec!["systems.read".into()],
        ..PermissionGroup::default()
    };
    let request = CreatePermissionGroupRequest { group: Some(group), validate_only: false };
    let mut access = AccessAdminClient::new(connect(&writer.admin));
    access.create_permission_group(with_token(&token, request)).await.unwrap();
    let request = CreateKeyRequest {
        environment: "production".into(),
        display_name: "Asked for".into(),
        groups: vec!["staff".into()],
        ..CreateKeyRequest::default()
    };
    let mut keys_admin = KeyAdminClient::new(connect(&writer.admin));
    let made = keys_admin.create_key(with_token(&token, request)).await;
    let key = made.unwrap().into_inner().token;
    let (database, driver) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    let keys = i32::try_from(KEYS).unwrap();
    database.execute(FILL, &[&keys]).await.unwrap();

    let mut reader = Server::start(&folder, "reader", Some(&url));
    println!(
        "{} keys loaded in {} ms, {} MiB in all",
        reader.logged("loaded all keys", "keys"),
        reader.logged("loaded all keys", "took_ms"),
        reader.memory_mib(),
    );
    let question = AuthorizeRequest {
        key,
        environment: "production".into(),
        permission: "systems.read".into(),
        ..AuthorizeRequest::default()
    };
    let pause = tokio::time::sleep(Duration::from_secs(3));
    let quiet = asked_during(&reader.authorize, &question, pause).await;
    let mut seen = [Vec::new(), Vec::new()];
    let editing = async { seen = edit(&writer, &reader, &token, &question).await };
    let busy = asked_during(&reader.authorize, &question, editing).await;
    show("Authorize, nothing changes", &quiet, "µs");
    show("Authorize, the group is edited all the time", &busy, "µs");
    show("edit sent to seen on the other replica", &seen[0], "µs");
    show("edit answered to seen on the other replica", &seen[1], "µs");
    drop((reader, writer));
    fs::remove_dir_all(&folder).unwrap();
}
