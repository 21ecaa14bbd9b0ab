//! Who may ask, what is wrong with a request, and what is said without a database.

use keyward::rpc::pb::{
    CreateDomainRequest, CreateKeyRequest, DecisionFilter, Delegation, Domain, ListDecisionsRequest,
};
use prost_types::Timestamp;
use tonic::{Code, Status};

use super::{ALL, list_by, reading, until_listed, watch};
use crate::support::{
    client::{
        Insight, assert_invalid, assert_not_permitted, assert_status, create, new_admin_key,
        new_key,
    },
    database::Database,
    gate::Gate,
    operator::Site,
    server::Server,
};

/// What each call says to a filter.
async fn every_call(insight: &mut Insight, filter: &DecisionFilter) -> Vec<Result<(), Status>> {
    vec![
        list_by(insight, filter.clone(), 0).await.map(drop),
        watch(insight, filter.clone()).await.map(drop),
    ]
}

#[tokio::test]
async fn only_who_may_read_decisions_is_answered() {
    let site = Site::shared();
    let filter = DecisionFilter { user: "nobody".into(), ..DecisionFilter::default() };
    for result in every_call(&mut site.server.insight_as(""), &filter).await {
        assert_status(result, Code::Unauthenticated, "KEY_MISSING");
    }
    let others = site.operator(&["keyward.keys", "keyward.audit"]).await;
    for result in every_call(&mut site.server.insight_as(&others.made.token), &filter).await {
        assert_not_permitted(result, "keyward.decisions.read");
    }
    let reader = site.operator(&["keyward.decisions.read"]).await;
    for result in every_call(&mut site.server.insight_as(&reader.made.token), &filter).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_delegated_admin_reads_of_its_domains_only() {
    let site = Site::start(&ALL).await;
    let (mut admin, mut access) = (site.admin(), site.server.access());
    let mut asker = site.server.asker();
    for name in ["acme", "rival"] {
        let domain = Domain { name: name.into(), display_name: name.into(), ..Domain::default() };
        let request = CreateDomainRequest { domain: Some(domain), validate_only: false };
        access.create_domain(request).await.unwrap();
    }
    let request = CreateKeyRequest {
        delegation: Some(Delegation { domains: vec!["acme".into()], ..Delegation::default() }),
        ..new_admin_key("Delegated", &["keyward.decisions.read"])
    };
    let delegated = create(&mut admin, request).await;
    site.knows(delegated.revision).await;
    let mut insight = site.server.insight_as(&delegated.token);
    let mut shown = watch(&mut insight, DecisionFilter::default()).await.unwrap();
    for name in ["rival", "acme"] {
        let request = CreateKeyRequest { domain: name.into(), ..new_key("Key") };
        let made = create(&mut admin, request).await;
        asker.ask(reading(&made, "/")).await;
    }
    until_listed(
        &site.server,
        DecisionFilter { customer: "acme".into(), ..DecisionFilter::default() },
        2,
    )
    .await;
    let listed = list_by(&mut insight, DecisionFilter::default(), 0).await.unwrap();
    assert_eq!(listed.iter().map(|one| &*one.domain).collect::<Vec<_>>(), ["acme"]);
    let shown = shown.message().await.unwrap().unwrap().decisions;
    assert_eq!(shown, listed);
    let rival = DecisionFilter { domain: "rival".into(), ..DecisionFilter::default() };
    for result in every_call(&mut insight, &rival).await {
        assert_status(result, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_a_request_is_told() {
    let site = Site::shared();
    let mut insight = site.server.insight();
    let too_late = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let filter = DecisionFilter {
        domain: "Not a name".into(),
        key_id: "key_1".into(),
        user: "x".repeat(401),
        customer: "\u{7}".into(),
        environment: "\u{7}".into(),
        route_prefix: "\u{7}".into(),
        verdict: 9,
        reason: 99,
        address: "192.0.2".into(),
        decision_id: "dec_1".into(),
        start_time: too_late,
        end_time: too_late,
    };
    let mut fields = vec![
        "filter.domain",
        "filter.user",
        "filter.customer",
        "filter.environment",
        "filter.route_prefix",
        "filter.key_id",
        "filter.verdict",
        "filter.reason",
        "filter.address",
        "filter.decision_id",
        "filter.start_time",
        "filter.end_time",
    ];
    assert_invalid(watch(&mut insight, filter.clone()).await, &fields);
    let request =
        ListDecisionsRequest { filter: Some(filter), page_size: -1, page_token: "nonsense".into() };
    fields.extend(["page_size", "page_token"]);
    assert_invalid(insight.list_decisions(request).await, &fields);
}

#[tokio::test]
async fn a_list_is_unavailable_without_a_database() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("decisions", &database);
    gate.open();
    let server = Server::start_with(&beyond, &ALL).await;
    gate.shut();
    let result = list_by(&mut server.insight(), DecisionFilter::default(), 0).await;
    assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
}
