//! Faults, done to real processes: kills, stops, shutdowns, under load.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use keyward::rpc::pb::{
    CreateKeyRequest, ListKeysRequest, UpdateKeyRequest, key_admin_client::KeyAdminClient,
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::{
    KEYWARD,
    client::{Admin, Asker, assert_status, create, may_read, new_key, verdict},
    database::{Cluster, Database},
    eventually,
    server::Server,
    wire::Connection,
};

/// Asks without a pause until told to stop; every answer must be that the key may.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    workers: JoinSet<()>,
}

impl Load {
    fn start(server: &Server, token: &str, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let mut set = JoinSet::new();
        for _ in 0..workers {
            let (Asker(mut client), token) = (server.asker(), token.to_owned());
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            set.spawn(async move {
                while !stop.load(Relaxed) {
                    let answer = client.authorize(may_read(&token)).await.unwrap();
                    assert_eq!(verdict(answer.get_ref()), "ALLOWED");
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        Self { stop, answered, workers: set }
    }

    /// Waits until so many more were answered.
    async fn goes_on_for(&self, requests: u64) {
        let until = self.answered.load(Relaxed) + requests;
        eventually("requests are answered", async || {
            (self.answered.load(Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Ends; panics if any request failed.
    async fn end(mut self) {
        self.stop.store(true, Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
    }
}

/// Waits until a key that was just made is allowed: the follower may still be connecting again.
async fn known(server: &Server, token: &str) {
    eventually("the new key is known", async || {
        (server.asker().verdict(token, 0).await == "ALLOWED").then_some(())
    })
    .await;
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// The processes whose parent is this one.
pub(crate) fn children(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let statuses = processes.filter_map(|process| {
        let number = process.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_to_string(process.path().join("status")).ok()?))
    });
    let line = format!("PPid:\t{parent}");
    statuses
        .filter(|(_, status)| status.lines().any(|found| found == line))
        .map(|(number, _)| pid(number))
        .collect()
}

#[tokio::test]
async fn decisions_go_on_while_postgresql_is_killed_and_all_recovers_by_itself() {
    let cluster = Cluster::start("killed");
    let database = cluster.database();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Loaded")).await;
    server.asker().verdict(&made.token, made.revision).await;
    let load = Load::start(&server, &made.token, 4);
    load.goes_on_for(200).await;

    // a backend that its postmaster leaves behind may still serve what it is at
    let backends = children(cluster.pid());
    kill_process(pid(cluster.pid()), Signal::KILL).unwrap();
    for backend in backends {
        kill_process(backend, Signal::KILL).ok();
    }
    let refused = server.admin().create_key(new_key("Meanwhile")).await;
    let status = assert_status(refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert!(tonic_types::StatusExt::get_error_details(&status).retry_info().is_some());
    load.goes_on_for(500).await;
    eventually("the data grows old", async || {
        let answer = server.asker().ask(may_read(&made.token)).await;
        answer.data_age.filter(|age| age.seconds >= 1)
    })
    .await;

    let cluster = cluster.restart();
    let after = eventually("changes are possible again", async || {
        server.admin().create_key(new_key("After")).await.ok()
    })
    .await
    .into_inner();
    known(&server, &after.token).await;
    eventually("the data is fresh again", async || {
        let answer = server.asker().ask(may_read(&made.token)).await;
        answer.data_age.filter(|age| age.seconds == 0)
    })
    .await;
    load.end().await;
    drop(cluster);
}

#[tokio::test]
async fn decisions_go_on_while_postgresql_hangs() {
    let cluster = Cluster::start("hanging");
    let database = cluster.database();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Loaded")).await;
    let load = Load::start(&server, &made.token, 2);

    let mut processes = children(cluster.pid());
    processes.push(pid(cluster.pid()));
    for process in &processes {
        kill_process(*process, Signal::STOP).unwrap();
    }
    let refused = server.admin().create_key(new_key("Meanwhile")).await;
    assert_status(refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    load.goes_on_for(500).await;
    for process in &processes {
        kill_process(*process, Signal::CONT).unwrap();
    }
    let after = eventually("changes are possible again", async || {
        server.admin().create_key(new_key("After")).await.ok()
    })
    .await
    .into_inner();
    known(&server, &after.token).await;
    load.end().await;
}

/// Every unary call that was sent is answered; a connection may refuse to take more.
#[tokio::test]
async fn a_shutdown_under_load_answers_every_request_that_it_took() {
    let database = Database::new();
    let mut server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Loaded")).await;
    server.asker().verdict(&made.token, made.revision).await;

    let answered = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        workers.spawn(ask_until_refused(
            server.authorize,
            made.token.clone(),
            Arc::clone(&answered),
        ));
    }
    eventually("the load is on", async || (answered.load(Relaxed) > 500).then_some(())).await;
    server.signal(Signal::TERM);
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    assert!(server.ended().await.success());
    assert!(server.log_line("\"message\":\"ended\"").is_some());
}

/// Keeps several requests in flight on one connection until it takes no more.
async fn ask_until_refused(at: SocketAddr, token: String, answered: Arc<AtomicU64>) {
    let mut connection = Connection::open(at).await;
    let mut flying = JoinSet::new();
    while let Some(answer) =
        connection.call("/keyward.v1.Authorize/Authorize", &may_read(&token)).await
    {
        let answered = Arc::clone(&answered);
        flying.spawn(async move {
            assert!(answer.await.expect("a request that was sent is answered").allowed);
            answered.fetch_add(1, Relaxed);
        });
        if flying.len() >= 8 {
            flying.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(answer) = flying.join_next().await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_stream_is_told_of_the_shutdown_after_its_answers() {
    let database = Database::new();
    let mut server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Streamed")).await;
    let Asker(mut client) = server.asker();
    let (send, requests) = tokio::sync::mpsc::channel(8);
    send.send(may_read(&made.token)).await.unwrap();
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let mut answers = client.stream_authorize(requests).await.unwrap().into_inner();
    assert_eq!(verdict(&answers.message().await.unwrap().unwrap()), "ALLOWED");
    server.signal(Signal::TERM);
    assert_status(answers.message().await, Code::Unavailable, "DRAINING");
    assert!(server.ended().await.success());
}

fn private(folder: &Path) -> Command {
    let mut command = Command::new(KEYWARD);
    command.args(["serve", "--data-dir"]).arg(folder);
    command
}

/// The id of the private PostgreSQL that runs in this folder.
fn postmaster(folder: &Path) -> u32 {
    let file = fs::read_to_string(folder.join("pg/postmaster.pid")).unwrap();
    file.lines().next().unwrap().parse().unwrap()
}

fn create_named(number: usize) -> CreateKeyRequest {
    CreateKeyRequest {
        request_id: format!("request-{number}"),
        ..new_key(&format!("Key {number}"))
    }
}

/// Kills the program with its private PostgreSQL in the middle of creating keys, several times over
/// one folder. What was acknowledged must be there; what was not must be there whole or not at all,
/// and asking again must lead to exactly one key.
#[tokio::test]
async fn a_kill_in_the_middle_of_writes_loses_nothing_and_halves_nothing() {
    let folder = std::env::temp_dir().join(format!("keyward-test-writes-{}", std::process::id()));
    let mut token = String::new();
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for round in 0..3 {
        let mut server = Server::spawn(private(&folder), token.clone()).await;
        server.until_serving().await;
        if round == 0 {
            token = server.root_token_from_print();
        }
        let postgres = postmaster(&folder);
        let numbers = round * 1000..;
        let acknowledged = create_until_killed(&mut server, &token, numbers).await;
        assert!(acknowledged.len() >= 20);
        tokens.extend(acknowledged);
        eventually("no orphan is left", async || {
            test_kill_process(pid(postgres)).is_err().then_some(())
        })
        .await;
    }

    let mut server = Server::spawn(private(&folder), token.clone()).await;
    server.until_serving().await;
    let mut admin = server.admin_as(&token);
    for (number, token) in &tokens {
        assert_eq!(server.asker().verdict(token, 0).await, "ALLOWED", "key {number}");
    }
    // asking again, for what was acknowledged and for what may not have been
    let last = tokens.iter().map(|(number, _)| *number).max().unwrap();
    for number in (0..=last + 8).filter(|number| number % 1000 < 40) {
        admin.create_key(create_named(number)).await.unwrap();
    }
    let mut names = all_names(&mut admin).await;
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a request led to two keys");

    let run = folder.join("run");
    let url = format!("postgresql:///keyward?host={}&port=5432&user=keyward", run.display());
    let database = Database { url, root_token: token };
    let broken = "SELECT count(*) FROM keyward.log_head AS head
        WHERE head.revision <> (SELECT count(DISTINCT revision) FROM keyward.change_log)
        OR head.revision <> (SELECT count(DISTINCT revision) FROM keyward.audit_event)
        OR head.revision <> (SELECT count(*) FROM keyward.key)";
    assert_eq!(database.number(broken).await, 0, "log, audit and keys agree");
    server.signal(Signal::TERM);
    assert!(server.ended().await.success());
    fs::remove_dir_all(&folder).unwrap();
}

/// The names of all keys.
async fn all_names(admin: &mut Admin) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListKeysRequest { page_token, page_size: 100, ..ListKeysRequest::default() };
        let page = admin.list_keys(request).await.unwrap().into_inner();
        names.extend(page.keys.into_iter().map(|key| key.display_name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

/// Creates keys on several connections at once, kills the server, and returns what was acknowledged.
async fn create_until_killed(
    server: &mut Server,
    token: &str,
    mut numbers: impl Iterator<Item = usize>,
) -> Vec<(usize, String)> {
    let made = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let (mut admin, made) = (server.admin_as(token), Arc::clone(&made));
        let numbers: Vec<usize> = numbers.by_ref().take(200).collect();
        workers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in numbers {
                match admin.create_key(create_named(number)).await {
                    Ok(answer) => acknowledged.push((number, answer.into_inner().token)),
                    Err(_killed) => break,
                }
                made.fetch_add(1, Relaxed);
            }
            acknowledged
        });
    }
    eventually("keys are made", async || (made.load(Relaxed) >= 30).then_some(())).await;
    server.signal(Signal::KILL);
    let mut all = Vec::new();
    while let Some(acknowledged) = workers.join_next().await {
        all.extend(acknowledged.unwrap());
    }
    server.ended().await;
    all
}

#[tokio::test]
async fn the_service_ends_when_its_private_postgresql_does() {
    let folder = std::env::temp_dir().join(format!("keyward-test-end-{}", std::process::id()));
    let mut server = Server::spawn(private(&folder), String::new()).await;
    server.until_serving().await;
    kill_process(pid(postmaster(&folder)), Signal::KILL).unwrap();
    assert_eq!(server.ended().await.code(), Some(1));
    assert!(server.logged().contains("the private PostgreSQL ended"));
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn of_many_concurrent_updates_with_one_etag_one_succeeds() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Contested")).await;
    let mut updates = JoinSet::new();
    for number in 0..8 {
        let mut admin: KeyAdminClient<_> = server.admin();
        let mut key = made.key.clone();
        key.description = format!("version {number}");
        let paths = vec!["description".to_owned()];
        let request = UpdateKeyRequest {
            key: Some(key),
            update_mask: Some(prost_types::FieldMask { paths }),
            validate_only: false,
        };
        updates.spawn(async move { admin.update_key(request).await });
    }
    let mut succeeded = 0;
    while let Some(result) = updates.join_next().await {
        match result.unwrap() {
            Ok(_) => succeeded += 1,
            refused => drop(assert_status(refused, Code::Aborted, "ETAG_MISMATCH")),
        }
    }
    assert_eq!(succeeded, 1);
    let events = "SELECT count(*) FROM keyward.audit_event WHERE action = 'keys.update'";
    assert_eq!(database.number(events).await, 1);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_no_transaction_behind() {
    let database = Database::new();
    let server = Server::start(&database).await;
    for number in 0..20 {
        let mut admin = server.admin();
        let request = new_key(&format!("Abandoned {number}"));
        let abandoned =
            tokio::time::timeout(Duration::from_millis(number), admin.create_key(request)).await;
        drop(abandoned);
    }
    create(&mut server.admin(), new_key("After")).await;
    let idle = "SELECT count(*) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND datname = current_database()";
    eventually("no transaction stays open", async || {
        (database.number(idle).await == 0).then_some(())
    })
    .await;
}
