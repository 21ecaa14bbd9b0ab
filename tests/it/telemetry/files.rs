//! The dashboard and the alert rules ask for what the program really shows.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::Shown;
use crate::{
    support::{
        database::Database,
        http1::{ask, get},
        redis::Redis,
        server::Server,
    },
    tls::{
        authority::{Authority, Valid},
        flags,
    },
};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All expressions of the alert rules and of the dashboard.
fn expressions() -> Vec<String> {
    let rules = std::fs::read_to_string(file("deploy/prometheus/alerts.yaml")).unwrap();
    let rules = rules.replace("expr: >-\n         ", "expr:");
    let rules = rules.lines().filter_map(|line| line.trim().strip_prefix("expr:"));
    let mut all: Vec<String> = rules.map(|expression| expression.trim().to_owned()).collect();
    let dashboard = std::fs::read_to_string(file("deploy/grafana/keyward.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        all.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    all
}

/// The metrics that an expression asks for, with the labels that must have one value.
fn asked(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for prefix in ["keyward_", "process_"] {
        for (at, _) in expression.match_indices(prefix) {
            let rest = &expression[at..];
            let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
            let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
            let labels = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let labels = labels.map_or("", |(labels, _)| labels).split(',');
            let exact = labels.filter(|label| label.contains("=\"") && !label.contains('!'));
            found.push((rest[..end].to_owned(), exact.map(str::to_owned).collect()));
        }
    }
    found
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_is_shown_and_miss_nothing() {
    let redis = Redis::start("files").await;
    let authority = Authority::new("telemetry-files").await;
    let own = authority.issue("own", "IP:127.0.0.1", Valid::Now).await;
    let mut arguments = flags("admin", &own, None);
    arguments.extend(["--redis-url".into(), redis.url()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Server::start_with(&Database::new(), &arguments).await;
    let shown = Shown::when_counted(server.http).await;
    let names = shown.names();
    let mut used = BTreeSet::new();
    let expressions = expressions();
    assert!(expressions.len() > 40, "{expressions:#?}");
    for expression in &expressions {
        let asked = asked(expression);
        assert!(!asked.is_empty(), "{expression}");
        for (name, labels) in asked {
            assert!(names.contains(&name), "{name} is not shown: {expression}");
            for label in labels {
                // a code that was not there yet is not shown
                let known = shown.0.keys().any(|key| {
                    key.starts_with(&name) && (key.contains(&label) || label.starts_with("code="))
                });
                assert!(known, "{name} never has {label}: {expression}");
            }
            used.insert(name);
        }
    }
    let ours = names.iter().filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"));
    let unused: Vec<&String> = ours.filter(|name| !used.contains(*name)).collect();
    assert_eq!(unused, ["process_start_time_seconds"], "not on the dashboard");
}

fn promtool(words: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("promtool")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; scripts/ensure-promtool fetches it");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let redis = Redis::start("promtool").await;
    let server = Server::start_with(&Database::new(), &["--redis-url", &redis.url()]).await;
    let shown = ask(server.http, &get("/metrics", "")).await.body;
    let checked = promtool(&["check", "metrics"], &shown);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let checked = promtool(&["check", "metrics"], b"bad-name 1\n");
    assert!(!checked.status.success(), "promtool checks");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let rules = file("deploy/prometheus/alerts.yaml");
    let checked = promtool(&["check", "rules", rules.to_str().unwrap()], b"");
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && told.contains("SUCCESS: 23 rules found"), "{checked:?}");
}
