//! Every metric is there, and moves when what it counts happens.

use keyward::{
    metrics::{Kind, table},
    rpc::pb::{AuthorizeRequest, BatchAuthorizeRequest, GetKeyRequest},
};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use super::Shown;
use crate::support::{
    client::{create, may_read, new_key},
    database::Database,
    eventually,
    gate::Gate,
    http1::{ask, get, request},
    redis::Redis,
    server::Server,
};

/// Waits until a value is one that is looked for, and says what it is.
async fn until(server: &Server, name: &str, is_it: impl Fn(f64) -> bool) -> f64 {
    eventually(name, async || {
        Some(Shown::by(server.http).await.value(name)).filter(|value| is_it(*value))
    })
    .await
}

/// Metrics that only another part of the program has, which is off here, or that are about several peppers.
const ELSEWHERE: [&str; 4] = [
    "keyward_redis_up",
    "keyward_limits_sync_age_seconds",
    "keyward_certificate_expiry_seconds",
    "keyward_pepper_secrets",
];

#[tokio::test]
async fn every_metric_of_the_table_is_there_and_no_other() {
    let server = Server::start(&Database::new()).await;
    let shown = Shown::when_counted(server.http).await.names();
    let mut known = std::collections::BTreeSet::new();
    for metric in table::ALL.iter().filter(|metric| !ELSEWHERE.contains(&metric.name)) {
        match metric.kind {
            Kind::Counter | Kind::Gauge => drop(known.insert(metric.name.to_owned())),
            Kind::Histogram => known
                .extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name))),
        }
    }
    assert_eq!(shown, known);
}

#[tokio::test]
async fn decisions_are_counted_by_way_and_reason_and_timed() {
    let server = Server::start(&Database::new()).await;
    let made = create(&mut server.admin(), new_key("Counted")).await;
    let mut asker = server.asker();
    assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
    let before = Shown::by(server.http).await;
    for _ in 0..3 {
        asker.ask(may_read(&made.token)).await;
    }
    asker.ask(AuthorizeRequest { permission: "games.play".into(), ..may_read(&made.token) }).await;
    asker.ask(may_read("")).await;
    let requests = vec![may_read(&made.token), may_read("")];
    asker.0.batch_authorize(BatchAuthorizeRequest { requests }).await.unwrap();
    let stream = tokio_stream::iter([may_read(&made.token)]);
    let mut answers = asker.0.stream_authorize(stream).await.unwrap().into_inner();
    while let Some(answer) = answers.next().await {
        answer.unwrap();
    }
    let lines = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n";
    ask(server.http, &get("/authorize?environment=production", lines)).await;
    let after = Shown::by(server.http).await;
    let more = |name: &str| after.value(name) - before.value(name);
    for (way, reason, count) in [
        ("authorize", "ALLOW", 3.0),
        ("authorize", "PERMISSION_DENIED", 1.0),
        ("authorize", "KEY_MISSING", 1.0),
        ("authorize", "KEY_UNKNOWN", 0.0),
        ("batch", "ALLOW", 1.0),
        ("batch", "KEY_MISSING", 1.0),
        ("stream", "ALLOW", 1.0),
        ("forward_auth", "KEY_MISSING", 1.0),
        ("ext_authz", "ALLOW", 0.0),
    ] {
        let name = format!("keyward_decisions_total{{way=\"{way}\",reason=\"{reason}\"}}");
        assert_eq!(more(&name).to_string(), count.to_string(), "{name}");
    }
    for (way, count) in [("authorize", 5.0), ("batch", 2.0), ("stream", 1.0), ("forward_auth", 1.0)]
    {
        let name = format!("keyward_decision_duration_seconds_count{{way=\"{way}\"}}");
        assert_eq!(more(&name).to_string(), count.to_string(), "{name}");
        let sum = format!("keyward_decision_duration_seconds_sum{{way=\"{way}\"}}");
        assert!(more(&sum) > 0.0, "{sum}");
    }
    let own = after.0.keys().filter(|name| name.contains(&made.key.id) || name.contains("Counted"));
    assert_eq!(own.count(), 0, "no key is in a label");
}

#[tokio::test]
async fn what_is_behind_or_loading_is_counted_as_unavailable() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("metrics-loading", &database);
    let server = Server::launch(&beyond, &[]).await;
    let mut asker = server.asker();
    asker.0.authorize(may_read("x")).await.unwrap_err();
    let shown = Shown::by(server.http).await;
    let loading = "keyward_decisions_unavailable_total{cause=\"loading\"}";
    assert!(shown.value(loading) >= 1.0);
    assert_eq!(shown.value("keyward_replica_ready").to_string(), "0");
    gate.open();
    server.until_serving().await;
    until(&server, "keyward_replica_ready", |ready| ready > 0.0).await;
    let future = AuthorizeRequest { min_revision: 1 << 40, ..may_read("x") };
    asker.0.authorize(future).await.unwrap_err();
    let behind = "keyward_decisions_unavailable_total{cause=\"behind\"}";
    assert_eq!(Shown::by(server.http).await.value(behind).to_string(), "1");
}

#[tokio::test]
async fn without_the_database_contact_ages_the_mode_is_lost_and_flushes_fail() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("metrics-away", &database);
    gate.open();
    let server = Server::start_with(&beyond, &["--usage-flush-interval", "20ms"]).await;
    let mode = |name: &str| format!("keyward_replica_follow_mode{{mode=\"{name}\"}}");
    until(&server, &mode("notify"), |on| on > 0.0).await;
    let used = create(&mut server.admin(), new_key("Used")).await;
    let mut asker = server.asker();
    asker.verdict(&used.token, used.revision).await;
    let flushed = "keyward_flush_timestamp_seconds{queue=\"usage\"}";
    until(&server, flushed, |at| at > 1e9).await;
    gate.shut();
    until(&server, &mode("lost"), |on| on > 0.0).await;
    let age = until(&server, "keyward_replica_contact_age_seconds", |age| age > 0.5).await;
    until(&server, "keyward_replica_contact_age_seconds", |older| older > age).await;
    until(&server, "keyward_replica_losses_total", |losses| losses >= 1.0).await;
    // a key is noted once in a second
    eventually("the use waits", async || {
        asker.verdict(&used.token, 0).await;
        let shown = Shown::by(server.http).await;
        let waits = shown.value("keyward_queue_length{queue=\"usage\"}") >= 1.0;
        let failed = shown.value("keyward_flush_failures_total{queue=\"usage\"}") >= 1.0;
        (waits && failed).then_some(())
    })
    .await;
    gate.open();
    until(&server, &mode("lost"), |on| on < 1.0).await;
    until(&server, "keyward_replica_contact_age_seconds", |age| age < 0.5).await;
    until(&server, "keyward_queue_length{queue=\"usage\"}", |length| length < 1.0).await;
}

#[tokio::test]
async fn a_change_moves_revision_keys_and_admin_calls() {
    let server = Server::start(&Database::new()).await;
    let before = Shown::by(server.http).await;
    let mut admin = server.admin();
    let made = create(&mut admin, new_key("New")).await;
    admin.get_key(GetKeyRequest { id: "nonsense".into() }).await.unwrap_err();
    server.admin_as("").get_key(GetKeyRequest { id: made.key.id }).await.unwrap_err();
    let revision = made.revision.to_string();
    until(&server, "keyward_replica_revision", |now| now.to_string() == revision).await;
    let after = Shown::by(server.http).await;
    assert_eq!(after.value("keyward_replica_head_revision").to_string(), revision);
    let more = |name: &str| after.value(name) - before.0.get(name).copied().unwrap_or(0.0);
    assert_eq!(more("keyward_replica_keys").to_string(), "1");
    for (rpc, code) in
        [("CreateKey", "OK"), ("GetKey", "INVALID_ARGUMENT"), ("GetKey", "UNAUTHENTICATED")]
    {
        let name = format!("keyward_admin_calls_total{{rpc=\"KeyAdmin/{rpc}\",code=\"{code}\"}}");
        assert_eq!(more(&name).to_string(), "1", "{name}");
    }
    assert_eq!(more("keyward_admin_call_duration_seconds_count").to_string(), "3");
    let version = format!("keyward_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(after.value(&version).to_string(), "1");
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
        assert!(after.value(name) > 0.0, "{name}");
    }
}

#[tokio::test]
async fn connections_are_counted_and_those_that_are_too_many_too() {
    let server = Server::start_with(&Database::new(), &["--authorize-connections", "2"]).await;
    let open = "keyward_connections{listener=\"authorize\"}";
    let max = Shown::by(server.http).await.value("keyward_connections_max{listener=\"authorize\"}");
    assert_eq!(max.to_string(), "2");
    until(&server, open, |count| count < 1.0).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(server.authorize).await.unwrap());
    }
    until(&server, open, |count| count > 1.0).await;
    let refused = "keyward_connections_refused_total{listener=\"authorize\"}";
    until(&server, refused, |count| count.to_string() == "1").await;
    drop(held);
    until(&server, open, |count| count < 1.0).await;
}

#[tokio::test]
async fn redis_is_up_or_not_and_decisions_without_it_are_degraded() {
    let mut redis = Redis::start("metrics").await;
    let arguments = ["--redis-url", &redis.url(), "--limit-sharing", "fast"];
    let server = Server::start_with(&Database::new(), &arguments).await;
    until(&server, "keyward_redis_up", |up| up > 0.0).await;
    until(&server, "keyward_limits_sync_age_seconds", |age| age < 5.0).await;
    let shown = Shown::by(server.http).await;
    assert_eq!(shown.value("keyward_limits_sharing{mode=\"fast\"}").to_string(), "1");
    let limits = vec![crate::support::limits::daily("many", 1_000_000)];
    let limited = keyward::rpc::pb::CreateKeyRequest { limits, ..new_key("Limited") };
    let made = create(&mut server.admin(), limited).await;
    redis.kill();
    until(&server, "keyward_redis_up", |up| up < 1.0).await;
    server.asker().verdict(&made.token, made.revision).await;
    until(&server, "keyward_decisions_degraded_total", |count| count >= 1.0).await;
    let age = Shown::by(server.http).await.value("keyward_limits_sync_age_seconds");
    until(&server, "keyward_limits_sync_age_seconds", |older| older > age).await;
    redis.restart().await;
    until(&server, "keyward_redis_up", |up| up > 0.0).await;
}

#[tokio::test]
async fn openmetrics_is_sent_to_who_accepts_it_and_nothing_may_be_posted() {
    let server = Server::start(&Database::new()).await;
    let plain = ask(server.http, &get("/metrics", "Accept: */*\r\n")).await;
    assert_eq!(plain.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let open = ask(server.http, &get("/metrics", accept)).await;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.field("content-type"), media_type);
    assert!(open.body.ends_with(b"\n# EOF\n"));
    assert_eq!(ask(server.http, &request("POST", "/metrics", "")).await.status, 405);
}
