//! Who may ask, what is wrong with a request, and what is said without a database.

use std::time::Duration;

use keyward::rpc::pb::{
    AuditFilter, CreateKeyRequest, Delegation, ListAuditEventsRequest, VerifyAuditRequest,
};
use prost_types::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{export, list, list_by, verify};
use crate::support::{
    client::{
        Insight, assert_invalid, assert_not_permitted, assert_status, create, new_admin_key,
        new_key,
    },
    database::Cluster,
    eventually,
    operator::{NO_USES, Site},
    server::Server,
};

/// What each call says to a filter; `VerifyAudit` has none.
async fn every_call(insight: &mut Insight, filter: &AuditFilter) -> Vec<Result<(), Status>> {
    vec![
        list_by(insight, filter.clone(), 0).await.map(drop),
        export(insight, filter.clone()).await.map(drop),
        verify(insight, VerifyAuditRequest::default()).await.map(drop),
    ]
}

#[tokio::test]
async fn only_who_may_read_the_audit_is_answered() {
    let site = Site::shared();
    let key = create(&mut site.admin(), new_key("Ordinary")).await;
    let filter = AuditFilter { subject: key.key.id.clone(), ..AuditFilter::default() };
    for result in every_call(&mut site.server.insight_as(""), &filter).await {
        assert_status(result, Code::Unauthenticated, "KEY_MISSING");
    }
    site.knows(key.revision).await;
    for result in every_call(&mut site.server.insight_as(&key.token), &filter).await {
        assert_status(result, Code::Unauthenticated, "KEY_UNKNOWN");
    }
    let others = site.operator(&["keyward.keys", "keyward.admins", "keyward.audits"]).await;
    for result in every_call(&mut site.server.insight_as(&others.made.token), &filter).await {
        assert_not_permitted(result, "keyward.audit.read");
    }
    let reader = site.operator(&["keyward.audit.read"]).await;
    for result in every_call(&mut site.server.insight_as(&reader.made.token), &filter).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_delegated_admin_reads_of_its_domains_only() {
    let site = Site::start(&NO_USES).await;
    let (mut admin, mut access) = (site.admin(), site.server.access());
    for name in ["acme", "rival"] {
        let domain = keyward::rpc::pb::Domain {
            name: name.into(),
            display_name: name.into(),
            ..keyward::rpc::pb::Domain::default()
        };
        let request =
            keyward::rpc::pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
        access.create_domain(request).await.unwrap();
        let request = CreateKeyRequest { domain: name.into(), ..new_key("Key") };
        drop(create(&mut admin, request).await);
    }
    let bound = Delegation { domains: vec!["acme".into()], ceiling: vec!["systems".into()] };
    let request = CreateKeyRequest {
        delegation: Some(bound),
        ..new_admin_key("Clerk", &["keyward.audit", "keyward.keys.read"])
    };
    let clerk = create(&mut admin, request).await;
    site.knows(clerk.revision).await;
    // refused: in its own domain, and elsewhere
    for domain in ["acme", "rival"] {
        let request = CreateKeyRequest { domain: domain.into(), ..new_key("Refused") };
        site.server.admin_as(&clerk.token).create_key(request).await.unwrap_err();
    }
    let mut insight = site.server.insight_as(&clerk.token);
    let seen = list(&mut insight, AuditFilter::default()).await;
    let told = |event: &keyward::rpc::pb::AuditEvent| {
        assert_eq!(event.domain, "acme");
        event.action.clone()
    };
    let actions: Vec<_> = seen.iter().map(told).collect();
    assert_eq!(actions, ["keys.create", "domains.create"], "a mixed row is of no domain: {seen:?}");
    assert_eq!(export(&mut insight, AuditFilter::default()).await.unwrap().len(), 2);
    let foreign = AuditFilter { domain: "rival".into(), ..AuditFilter::default() };
    let refused = list_by(&mut insight, foreign.clone(), 0).await;
    assert_status(refused, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
    assert_status(
        export(&mut insight, foreign).await,
        Code::PermissionDenied,
        "DOMAIN_NOT_DELEGATED",
    );
    let refused = verify(&mut insight, VerifyAuditRequest::default()).await;
    assert_status(refused, Code::PermissionDenied, "DELEGATED");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_filter_is_named() {
    let site = Site::shared();
    let mut insight = site.server.insight();
    let never = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let wrong = AuditFilter {
        kind: "token".into(),
        subject: "a\nb".into(),
        actor: "a".repeat(401),
        action: "\0".into(),
        domain: "Not a domain".into(),
        outcome: 7,
        start_time: never,
        end_time: never,
        revision_min: 4,
        revision_max: 3,
        request_id: "not one".into(),
    };
    let fields = [
        "filter.domain",
        "filter.kind",
        "filter.subject",
        "filter.actor",
        "filter.action",
        "filter.outcome",
        "filter.start_time",
        "filter.end_time",
        "filter.request_id",
        "filter.revision_min",
    ];
    assert_invalid(export(&mut insight, wrong.clone()).await, &fields);
    let request = ListAuditEventsRequest {
        filter: Some(wrong),
        page_size: -1,
        page_token: "of another filter".into(),
    };
    let all = [&fields[..], &["page_size", "page_token"]].concat();
    assert_invalid(insight.list_audit_events(request).await, &all);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_verification_is_named() {
    let site = Site::shared();
    let mut insight = site.server.insight();
    let request = VerifyAuditRequest::default;
    let hash = "0".repeat(64);
    for (request, fields) in [
        (VerifyAuditRequest { revision_min: -1, ..request() }, &["revision_min"][..]),
        (VerifyAuditRequest { revision_min: 2, revision_max: 1, ..request() }, &["revision_min"]),
        (VerifyAuditRequest { known_number: 1, ..request() }, &["known_hash"]),
        (VerifyAuditRequest { known_hash: hash.clone(), ..request() }, &["known_number"]),
        (
            VerifyAuditRequest { known_number: -1, known_hash: "0F".into(), ..request() },
            &["known_number", "known_hash"],
        ),
        (
            VerifyAuditRequest {
                known_number: 1,
                known_hash: hash.clone(),
                revision_max: 1,
                ..request()
            },
            &["known_number"],
        ),
    ] {
        assert_invalid(verify(&mut insight, request).await, fields);
    }
}

#[tokio::test]
async fn without_a_database_calls_say_so_soon_and_recover_by_themselves() {
    let cluster = Cluster::start("insight-down");
    let site = {
        let database = cluster.database();
        let server = Server::start_with(&database, &NO_USES).await;
        Site { database, server }
    };
    let pid = i32::try_from(cluster.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let mut insight = site.server.insight();
    eventually("a call finds no database", async || {
        list_by(&mut insight, AuditFilter::default(), 0).await.err()
    })
    .await;
    let every = AuditFilter::default();
    let calls = timeout(Duration::from_secs(45), every_call(&mut insight, &every));
    for result in calls.await.expect("all calls are answered soon") {
        assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
    }
    let cluster = cluster.restart();
    eventually("the calls recover", async || {
        let outcomes = every_call(&mut insight, &AuditFilter::default()).await;
        outcomes.iter().all(Result::is_ok).then_some(())
    })
    .await;
    drop(cluster);
}
