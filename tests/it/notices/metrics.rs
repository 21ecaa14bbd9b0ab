//! What metrics tell of keys that expire, of certificates and of jobs.

use keyward::rpc::pb::{DeactivateKeysRequest, ListKeysRequest};

use super::{DAY, ending, start};
use crate::{
    support::{database::Database, eventually, gate::Gate},
    telemetry::Shown,
    tls::{
        authority::{Authority, Valid},
        flags,
    },
};

fn fast() -> Vec<String> {
    ["--notice-interval", "20ms"].map(String::from).into()
}

#[tokio::test]
async fn keys_are_counted_by_how_soon_they_expire_without_a_receiver_too() {
    let database = Database::new();
    let server = start(&database, &fast()).await;
    for (name, days) in [("Day", 0), ("Week", 5), ("Month", 20), ("Year", 300)] {
        ending(&server, name, days * DAY + 3600).await;
    }
    let within = |span: &str| format!("keyward_keys_expiring{{within=\"{span}\"}}");
    let counts = async || {
        let shown = Shown::when_counted(server.http).await;
        let expiring = ["1d", "7d", "30d"].map(|span| shown.value(&within(span)).to_string());
        (expiring, shown.value("keyward_keys_expired").to_string())
    };
    let expected = (["1", "2", "3"].map(String::from), String::from("0"));
    eventually("keys are counted", async || (counts().await == expected).then_some(())).await;
    let end =
        "UPDATE keyward.key SET expire_at = now() - interval '1 hour' WHERE display_name = 'Day'";
    database.connect().await.batch_execute(end).await.unwrap();
    let expected = (["0", "1", "2"].map(String::from), String::from("1"));
    eventually("one has expired", async || (counts().await == expected).then_some(())).await;
    let notices = "SELECT count(*) FROM keyward.notice";
    assert_eq!(database.number(notices).await, 0, "without a receiver there are none");
}

#[tokio::test]
async fn jobs_and_their_items_are_counted() {
    let database = Database::new();
    let server = start(&database, &fast()).await;
    for name in ["One", "Two", "Three"] {
        ending(&server, name, DAY).await;
    }
    let filter = ListKeysRequest { domain: "default".into(), ..ListKeysRequest::default() };
    let request = DeactivateKeysRequest {
        filter: Some(filter),
        expected_count: 3,
        ..DeactivateKeysRequest::default()
    };
    server.admin().deactivate_keys(request).await.unwrap();
    let items = "keyward_job_items_total{kind=\"deactivate_keys\",outcome=\"done\"}";
    let ended = "keyward_jobs_ended_total{kind=\"deactivate_keys\",outcome=\"succeeded\"}";
    let last = "keyward_job_success_timestamp_seconds{kind=\"deactivate_keys\"}";
    let shown = eventually("the job is counted", async || {
        let shown = Shown::when_counted(server.http).await;
        (shown.value(last) > 1e9 && shown.value(ended) > 0.0).then_some(shown)
    })
    .await;
    assert_eq!([items, ended].map(|name| shown.value(name).to_string()), ["3", "1"]);
    let failed = "keyward_jobs_ended_total{kind=\"deactivate_keys\",outcome=\"failed\"}";
    assert_eq!(shown.value(failed).to_string(), "0");
    assert!(shown.value("keyward_jobs{state=\"succeeded\"}") >= 1.0);
}

#[tokio::test]
async fn the_end_of_a_certificate_is_shown_and_that_of_the_next_one_once_it_is_used() {
    let authority = Authority::new("notices-expiry").await;
    let first = authority.issue("first", "IP:127.0.0.1", Valid::Days(3)).await;
    let next = authority.issue("next", "IP:127.0.0.1", Valid::Days(20)).await;
    let own = first.copy(authority.folder());
    let mut all = flags("admin", &own, None);
    all.extend(["--tls-reload-interval", "50ms"].map(String::from));
    let server = start(&Database::new(), &all).await;
    let name = "keyward_certificate_expiry_seconds{listener=\"admin\"}";
    let shown = Shown::by(server.http).await;
    let now = super::in_seconds(0).seconds;
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "whole seconds")]
    let left = |end: f64| end as i64 - now;
    assert!((3 * DAY - 60..=3 * DAY).contains(&left(shown.value(name))), "{}", shown.value(name));
    let others = shown.0.keys().filter(|key| key.starts_with("keyward_certificate"));
    assert_eq!(others.count(), 1, "the others have no TLS");
    own.replace(&next);
    eventually("the next one is used", async || {
        (left(Shown::by(server.http).await.value(name)) > 19 * DAY).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_without_the_database_has_not_counted() {
    let database = Database::new();
    let (_gate, beyond) = Gate::new("notices-counts", &database);
    let server = crate::support::server::Server::launch(&beyond, &[]).await;
    let names = Shown::by(server.http).await.names();
    assert!(!names.contains("keyward_keys_expiring") && !names.contains("keyward_jobs"));
}
