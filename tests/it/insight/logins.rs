//! Logins and changes that were refused, and floods of them.

use futures_util::future::join_all;
use keyward::rpc::pb::{self, AuditEvent, AuditFilter, ListKeysRequest};
use tonic::Code;

use super::{list, site_with};
use crate::support::{
    client::{assert_status, create, new_admin_key, new_key},
    database::Cluster,
    eventually,
    operator::Site,
};

fn logins() -> AuditFilter {
    AuditFilter { action: "login.".into(), ..AuditFilter::default() }
}

/// Action, reason, subject and how often, sorted.
fn told(events: &[AuditEvent]) -> Vec<(String, String, String, i64)> {
    let told = |event: &AuditEvent| {
        (event.action.clone(), event.reason.clone(), event.subject.clone(), event.times)
    };
    let mut all: Vec<_> = events.iter().map(told).collect();
    all.sort();
    all
}

#[tokio::test]
async fn logins_that_failed_are_noted_by_where_they_came_from_and_why() {
    let (site, _) = site_with(0).await;
    let made = create(&mut site.admin(), new_admin_key("Stopped", &["keyward"])).await;
    let stopped = super::deactivate(&mut site.admin(), &made.key.id).await;
    site.knows(stopped).await;
    for token in ["", "nonsense", "nonsense", &made.token] {
        let listed = site.server.admin_as(token).list_keys(ListKeysRequest::default()).await;
        assert_status(
            listed.map(drop),
            Code::Unauthenticated,
            match token {
                "" => "KEY_MISSING",
                "nonsense" => "KEY_UNKNOWN",
                _ => "KEY_INACTIVE",
            },
        );
    }
    site.server.holder("nothing").who_am_i(pb::WhoAmIRequest {}).await.unwrap_err();
    site.server
        .insight_as("nothing")
        .list_audit_events(pb::ListAuditEventsRequest::default())
        .await
        .unwrap_err();
    let expected = [
        ("login.admin", "KEY_INACTIVE", made.key.id.as_str(), 1),
        ("login.admin", "KEY_MISSING", "", 1),
        ("login.admin", "KEY_UNKNOWN", "", 3),
        ("login.holder", "KEY_UNKNOWN", "", 1),
    ]
    .map(|(action, reason, subject, times)| (action.into(), reason.into(), subject.into(), times));
    let mut insight = site.server.insight();
    let events = eventually("the logins are stored", async || {
        let events = list(&mut insight, logins()).await;
        (told(&events) == expected).then_some(events)
    })
    .await;
    for event in events {
        assert_eq!((event.actor.as_str(), event.peer.as_str()), ("127.0.0.1/32", "127.0.0.1"));
        assert_eq!(event.outcome(), pb::AuditOutcome::Refused);
    }
}

#[tokio::test]
async fn a_flood_of_failed_logins_is_one_row_that_counts_all() {
    let (site, _) = site_with(0).await;
    let floods = (0..8).map(|_| site.server.admin_as("nonsense")).map(async |mut admin| {
        for _ in 0..100 {
            admin.list_keys(ListKeysRequest::default()).await.unwrap_err();
        }
    });
    join_all(floods).await;
    let mut insight = site.server.insight();
    let events = eventually("all logins are counted", async || {
        let events = list(&mut insight, logins()).await;
        (events.iter().map(|event| event.times).sum::<i64>() == 800).then_some(events)
    })
    .await;
    // throttled ones apart; and the hour may end meanwhile
    assert!(events.len() <= 4, "{events:?}");
}

/// Rows of an hour, by what their action begins with.
async fn rows(site: &Site, action: &str) -> i64 {
    let query = format!("SELECT count(*) FROM keyward.refusal WHERE action LIKE '{action}%'");
    site.database.number(&query).await
}

/// As many different ones as an hour has room for; the clock of the database is ours.
const FILL: &str = "INSERT INTO keyward.refusal
        (actor, action, reason, hour, times, first_at, first_subject, last_at, last_subject)
    SELECT '192.0.' || number / 256 || '.' || number % 256 || '/32', action, 'KEY_UNKNOWN', hour, 1,
        hour, '', hour, ''
    FROM generate_series(1, 1000) AS number, unnest('{login.admin, keys.revoke}'::text[]) AS action,
        generate_series(date_trunc('hour', now(), 'UTC'),
            date_trunc('hour', now(), 'UTC') + interval '1 hour', interval '1 hour') AS hour";

#[tokio::test]
async fn an_hour_has_its_fill_of_rows_and_counts_all_others_together() {
    let (site, made) = site_with(1).await;
    site.database.connect().await.batch_execute(FILL).await.unwrap();
    let reader = site.operator(&["keyward.keys.read"]).await;
    for token in ["nonsense", ""] {
        site.server.admin_as(token).list_keys(ListKeysRequest::default()).await.unwrap_err();
    }
    for _ in 0..3 {
        let id = made[0].key.id.clone();
        let request = pb::DeactivateKeyRequest { id, ..pb::DeactivateKeyRequest::default() };
        reader.admin.clone().deactivate_key(request).await.unwrap_err();
    }
    let others = AuditFilter { actor: "others".into(), ..AuditFilter::default() };
    let mut insight = site.server.insight();
    let found = eventually("both are stored", async || {
        let events = list(&mut insight, others.clone()).await;
        (events.len() >= 3).then_some(events)
    })
    .await;
    assert_eq!(
        told(&found),
        [
            ("keys.deactivate", "PERMISSION_MISSING", made[0].key.id.as_str(), 3),
            ("login.admin", "KEY_MISSING", "", 1),
            ("login.admin", "KEY_UNKNOWN", "", 1),
        ]
        .map(|(action, reason, subject, times)| {
            (action.into(), reason.into(), subject.into(), times)
        })
    );
    assert_eq!(rows(&site, "login.").await, 2002);
    assert_eq!(rows(&site, "keys.").await, 2001);
}

#[tokio::test]
async fn logins_that_fail_while_the_database_is_away_are_stored_later() {
    let cluster = Cluster::start("logins-down");
    let database = cluster.database();
    let server = crate::support::server::Server::start(&database).await;
    let site = Site { database, server };
    let pid = i32::try_from(cluster.pid()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    for _ in 0..5 {
        let mut admin = site.server.admin_as("nonsense");
        let listed = admin.list_keys(ListKeysRequest::default()).await;
        assert_status(listed, Code::Unauthenticated, "KEY_UNKNOWN");
    }
    site.server.until_logged("failed logins cannot be stored; keeping them").await;
    let cluster = cluster.restart();
    site.server.until_logged("failed logins are stored again").await;
    let sum = "SELECT coalesce(sum(times), 0)::bigint FROM keyward.refusal";
    assert_eq!(site.database.number(sum).await, 5);
    drop(cluster);
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_for_goes_when_something_is_noted() {
    let (site, _) = site_with(0).await;
    let old = "INSERT INTO keyward.refusal
            (actor, action, reason, hour, times, first_at, first_subject, last_at, last_subject)
        SELECT 'key', 'keys.revoke', 'OLD', at, 1, at, '', at, ''
        FROM unnest(ARRAY[now() - interval '401 days', now() - interval '399 days']) AS at";
    site.database.connect().await.batch_execute(old).await.unwrap();
    drop(create(&mut site.admin(), new_key("Unrelated")).await);
    let reader = site.operator(&["keyward.keys.read"]).await;
    reader.admin.clone().create_key(new_key("Refused")).await.unwrap_err();
    let kept = "SELECT count(*) FROM keyward.refusal WHERE reason = 'OLD'";
    assert_eq!(site.database.number(kept).await, 1);
}
