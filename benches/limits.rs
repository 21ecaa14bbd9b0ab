//! Limits under load: three replicas on one Redis, a Redis that fails, and a flood of bad keys. Run with
//! `cargo bench --bench limits`, or one part with `-- sharing`, `-- faults` or `-- flood`.
//!
//! Load is open-loop: calls are sent on time, whether or not those before them were answered, and what
//! each took is counted from when it was to be sent.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

mod support;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use keyward::rpc::pb::{
    AuthorizeRequest, BatchAuthorizeRequest, CreateKeyRequest, Limit, RateLimit, Reason,
    authorize_client::AuthorizeClient, key_admin_client::KeyAdminClient, limit,
};
use support::{Server, connect, quantile, root_token, show, with_token};
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// What the limit allows each second, and at once.
const LIMIT: u64 = 1000;
const BURST: u64 = 100;
/// Calls each second to each of three replicas: three times the limit together.
const OFFERED: u64 = 1000;
const REPLICAS: usize = 3;

/// A Redis server, ended when it is dropped.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(port: Option<u16>) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.unwrap_or_else(free);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("redis-server is needed ({error}): scripts/ensure-redis")
            });
        Self { child, port }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Three replicas over one database and one Redis, and a key with one limit.
struct Site {
    servers: Vec<Server>,
    key: String,
}

impl Site {
    async fn start(folder: &Path, mode: &str, redis: &Redis) -> Self {
        let url = format!("redis://127.0.0.1:{}", redis.port);
        let args = ["--limit-sharing", mode, "--redis-url", &url, "--replicas", "3"];
        let mut first = Server::start(folder, &format!("{mode}-0"), None, &args);
        let database = first.logged("started the private PostgreSQL", "url");
        let token = root_token(folder, &format!("{mode}-0"));
        let rate = RateLimit {
            limit: i64::try_from(LIMIT).unwrap(),
            period: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            burst: i64::try_from(BURST).unwrap(),
        };
        let key = new_key(&first, &token, Some(rate)).await;
        let start = |number: usize| {
            Server::start(folder, &format!("{mode}-{number}"), Some(&database), &args)
        };
        let others: Vec<Server> = (1..REPLICAS).map(start).collect();
        let servers = std::iter::once(first).chain(others).collect();
        Self { servers, key }
    }
}

async fn new_key(server: &Server, token: &str, rate: Option<RateLimit>) -> String {
    let limit = |rate| Limit { name: "smooth".into(), kind: Some(limit::Kind::Rate(rate)) };
    let request = CreateKeyRequest {
        environment: "production".into(),
        display_name: "Asked for".into(),
        permissions: vec!["*".into()],
        limits: rate.map(limit).into_iter().collect(),
        ..CreateKeyRequest::default()
    };
    let mut admin = KeyAdminClient::new(connect(&server.admin));
    admin.create_key(with_token(token, request)).await.unwrap().into_inner().token
}

fn question(key: &str, client_address: &str) -> AuthorizeRequest {
    AuthorizeRequest {
        key: key.to_owned(),
        environment: "production".into(),
        permission: "systems.read".into(),
        client_address: client_address.to_owned(),
        ..AuthorizeRequest::default()
    }
}

/// One answered call.
#[derive(Clone, Copy)]
struct Answer {
    /// When it was sent, since the beginning.
    at: Duration,
    /// What it took from when it was to be sent, in microseconds.
    took: u64,
    allowed: bool,
    degraded: bool,
}

/// Offers so many calls a second to each of these, for so long; says what came of each. The end is left
/// out, so that parts that follow each other make one whole.
async fn offer(servers: &[String], key: &str, a_second: u64, span: Duration) -> Vec<Answer> {
    let begun = Instant::now();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mut offering = JoinSet::new();
    for address in servers {
        let client = AuthorizeClient::new(connect(address));
        let offer =
            offer_one(client, question(key, ""), a_second, (begun, span), Arc::clone(&answers));
        offering.spawn(offer);
    }
    offering.join_all().await;
    std::mem::take(&mut *answers.lock().unwrap())
}

async fn offer_one(
    client: AuthorizeClient<Channel>,
    question: AuthorizeRequest,
    a_second: u64,
    (begun, span): (Instant, Duration),
    answers: Arc<Mutex<Vec<Answer>>>,
) {
    let mut calls = JoinSet::new();
    let pace = Duration::from_secs(1) / u32::try_from(a_second).unwrap();
    let mut due = begun;
    while due < begun + span {
        tokio::time::sleep_until(due.into()).await;
        // what is late is sent at once
        while due <= Instant::now() && due < begun + span {
            let (mut client, question, answers) =
                (client.clone(), question.clone(), Arc::clone(&answers));
            let at = due;
            calls.spawn(async move {
                let answer = client.authorize(question).await.unwrap().into_inner();
                let took = u64::try_from(at.elapsed().as_micros()).unwrap();
                let (allowed, degraded) = (answer.allowed, answer.limits_degraded);
                let answer = Answer { at: at - begun, took, allowed, degraded };
                answers.lock().unwrap().push(answer);
            });
            due += pace;
        }
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
}

fn took(answers: &[Answer]) -> Vec<u64> {
    let mut took: Vec<u64> = answers.iter().map(|answer| answer.took).collect();
    took.sort_unstable();
    took
}

/// Three times the limit for a minute, in both modes.
async fn sharing(folder: &Path) {
    const SPAN: Duration = Duration::from_secs(60);
    for mode in ["exact", "fast"] {
        let redis = Redis::start(None);
        let site = Site::start(folder, mode, &redis).await;
        let addresses: Vec<String> =
            site.servers.iter().map(|server| server.authorize.clone()).collect();
        tokio::time::sleep(Duration::from_secs(2)).await; // all replicas have counted each other
        let answers = offer(&addresses, &site.key, OFFERED, SPAN).await;
        let admitted = answers.iter().filter(|answer| answer.allowed).count() as f64;
        let degraded = answers.iter().filter(|answer| answer.degraded).count();
        let limit = (LIMIT * SPAN.as_secs() + BURST) as f64;
        println!(
            "{mode}: offered {}, admitted {admitted}, the limit and burst {limit}: {:+.2} %, \
             decided by a share {degraded}",
            answers.len(),
            100.0 * (admitted / limit - 1.0),
        );
        if mode == "fast" {
            // what two replicas admit before they hear of each other: a burst, and the rate for the
            // interval and an answer's time
            let bound = (REPLICAS - 1) as f64 * (BURST as f64 + LIMIT as f64 * 0.11);
            println!("fast: documented bound {:+.2} %", 100.0 * bound / limit);
        }
        show(&format!("Authorize, {mode}"), &took(&answers), "µs");
    }
}

/// Redis killed, restarted, halted and resumed while three times the limit is offered.
async fn faults(folder: &Path) {
    const PHASE: Duration = Duration::from_secs(10);
    for mode in ["exact", "fast"] {
        let mut redis = Redis::start(None);
        let folder = folder.join(format!("faults-{mode}"));
        fs::create_dir(&folder).unwrap();
        let site = Site::start(&folder, mode, &redis).await;
        let addresses: Vec<String> =
            site.servers.iter().map(|server| server.authorize.clone()).collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let phases = ["there", "killed", "restarted", "halted", "resumed"];
        let load = offer(&addresses, &site.key, OFFERED, PHASE * 5);
        let acting = async {
            for phase in &phases[1..] {
                tokio::time::sleep(PHASE).await;
                match *phase {
                    "killed" => redis.signal("-KILL"),
                    "restarted" => {
                        redis.child.wait().unwrap();
                        redis = Redis::start(Some(redis.port));
                    }
                    "halted" => redis.signal("-STOP"),
                    _ => redis.signal("-CONT"),
                }
            }
        };
        let (answers, ()) = tokio::join!(load, acting);
        for (number, phase) in phases.iter().enumerate() {
            let start = PHASE * u32::try_from(number).unwrap();
            let here: Vec<Answer> = answers
                .iter()
                .copied()
                .filter(|answer| (start..start + PHASE).contains(&answer.at))
                .collect();
            show_phase(&format!("{mode}, Redis {phase}"), &here, start);
        }
    }
}

fn show_phase(name: &str, answers: &[Answer], start: Duration) {
    let seconds: Vec<usize> = (0..10)
        .map(|second| {
            let from = start + Duration::from_secs(second);
            let within = from..from + Duration::from_secs(1);
            answers.iter().filter(|answer| answer.allowed && within.contains(&answer.at)).count()
        })
        .collect();
    let degraded = answers.iter().filter(|answer| answer.degraded).count();
    println!(
        "{name:<24} admitted each second {seconds:?}, by a share {:.1} %",
        100.0 * degraded as f64 / answers.len() as f64
    );
    show("", &took(answers), "µs");
}

/// A million distinct bad keys from a hundred thousand addresses, beside good calls.
async fn flood(folder: &Path) {
    const BAD_KEYS: u32 = 1_000_000;
    const ADDRESSES: u32 = 100_000;
    const BATCH: u32 = 100;
    let server = Server::start(folder, "flood", None, &[]);
    let token = root_token(folder, "flood");
    let key = new_key(&server, &token, None).await;
    let addresses = [server.authorize.clone()];
    let quiet_span = Duration::from_secs(20);
    drop(offer(&addresses, &key, 2000, Duration::from_secs(2)).await); // all is warm
    let memory = server.memory_mib();
    let quiet = offer(&addresses, &key, 2000, quiet_span).await;
    let flooded = offer(&addresses, &key, 2000, quiet_span);
    let flooding = async {
        let mut client = AuthorizeClient::new(connect(&server.authorize));
        let begun = Instant::now();
        let mut reasons = std::collections::BTreeMap::new();
        for batch in 0..BAD_KEYS / BATCH {
            let requests = (0..BATCH).map(|number| {
                let number = batch * BATCH + number;
                let address = std::net::Ipv4Addr::from_bits((10 << 24) | (number % ADDRESSES));
                question(&format!("sk_{number:024}"), &address.to_string())
            });
            let request = BatchAuthorizeRequest { requests: requests.collect() };
            let answers = client.batch_authorize(request).await.unwrap().into_inner();
            for answer in answers.responses {
                *reasons.entry(answer.reason().as_str_name()).or_insert(0_u32) += 1;
            }
            // spread over the time of the good calls
            let due = quiet_span.mul_f64(f64::from(batch) / f64::from(BAD_KEYS / BATCH));
            tokio::time::sleep_until((begun + due).into()).await;
        }
        (reasons, begun.elapsed())
    };
    let (flooded, (reasons, lasted)) = tokio::join!(flooded, flooding);
    println!(
        "a flood of {BAD_KEYS} bad keys from {ADDRESSES} addresses in {lasted:.1?}: {reasons:?}"
    );
    println!("memory before {memory} MiB, after {} MiB", server.memory_mib());
    let (quiet, flooded) = (took(&quiet), took(&flooded));
    show("good calls, quiet", &quiet, "µs");
    show("good calls, flooded", &flooded, "µs");
    let ratio = |share| quantile(&flooded, share) as f64 / quantile(&quiet, share) as f64;
    println!(
        "flooded to quiet: p50 {:.2}, p90 {:.2}, p99 {:.2}",
        ratio(0.5),
        ratio(0.9),
        ratio(0.99)
    );
    throttled(&server).await;
}

/// What a throttled try costs against one that is looked at.
async fn throttled(server: &Server) {
    let mut client = AuthorizeClient::new(connect(&server.authorize));
    let mut spans = [Duration::ZERO; 2];
    let mut reasons = [Reason::Unspecified; 2];
    for round in 0..200_u32 {
        for (place, address) in
            [format!("10.200.0.{}", round % 250), "10.201.0.1".into()].iter().enumerate()
        {
            let requests =
                (0..1000).map(|number| question(&format!("sk_{round}_{number}"), address));
            let request = BatchAuthorizeRequest {
                requests: requests.take(if place == 0 { 50 } else { 1000 }).collect(),
            };
            let count = u32::try_from(request.requests.len()).unwrap();
            let begun = Instant::now();
            let answers = client.batch_authorize(request).await.unwrap().into_inner();
            spans[place] += begun.elapsed() / count;
            reasons[place] = answers.responses.last().unwrap().reason();
        }
    }
    println!(
        "a try in a batch: {:?} {:.2?}, {:?} {:.2?}",
        reasons[0],
        spans[0] / 200,
        reasons[1],
        spans[1] / 200
    );
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    let folder = support::folder();
    if is_wanted("sharing") {
        sharing(&folder).await;
    }
    if is_wanted("faults") {
        faults(&folder).await;
    }
    if is_wanted("flood") {
        flood(&folder).await;
    }
    fs::remove_dir_all(&folder).unwrap();
}
