//! What of a decision is logged, and which ones a list shows.

use keyward::rpc::pb::{
    AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, DecisionFilter, DecisionWay,
    LoggedDecision, Reason, Verdict,
};

use super::{ALL, list_by, of_key, on_route, reading, until_listed};
use crate::support::{
    client::{create, may_read, new_key},
    http1,
    operator::Site,
};

#[tokio::test]
async fn a_decision_is_listed_with_what_was_asked_and_what_came_of_it() {
    let site = Site::start(&ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    let allowed = asker.ask(reading(&made, "/systems/1?key=secret")).await;
    let denied =
        AuthorizeRequest { permission: "games.play".into(), ..reading(&made, "/systems/1") };
    let denied = asker.ask(denied).await;
    assert!(allowed.allowed && !denied.allowed);
    let unknown =
        asker.ask(AuthorizeRequest { key: "nonsense".into(), ..reading(&made, "/") }).await;

    let listed = until_listed(&site.server, DecisionFilter::default(), 3).await;
    let decision = |answer: &AuthorizeResponse| LoggedDecision {
        time: None,
        decision_id: answer.decision_id.clone(),
        allowed: answer.allowed,
        reason: answer.reason,
        key_id: made.key.id.clone(),
        domain: "default".into(),
        environment: "production".into(),
        user: String::new(),
        customer: "acme".into(),
        method: "GET".into(),
        route: "/systems/1".into(),
        permission: "systems.read".into(),
        address: "192.0.2.7".into(),
        way: DecisionWay::Authorize.into(),
        limit: String::new(),
        revision: answer.revision,
    };
    let expected = [
        LoggedDecision {
            key_id: String::new(),
            domain: String::new(),
            route: "/".into(),
            reason: Reason::KeyUnknown.into(),
            ..decision(&unknown)
        },
        LoggedDecision { permission: "games.play".into(), ..decision(&denied) },
        decision(&allowed),
    ];
    let created = made.key.create_time.unwrap().seconds;
    assert!(listed.iter().all(|one| one.time.unwrap().seconds >= created));
    let listed = listed.into_iter().map(|one| LoggedDecision { time: None, ..one });
    assert_eq!(listed.collect::<Vec<_>>(), expected, "the newest first");
}

#[tokio::test]
async fn a_filter_shows_what_has_all_that_it_names() {
    let site = Site::start(&ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    let first = asker.ask(reading(&made, "/systems/1")).await;
    let second = AuthorizeRequest {
        customer: "other".into(),
        client_address: "2001:db8::1".into(),
        ..reading(&made, "/games")
    };
    asker.ask(second).await;
    let staging = AuthorizeRequest { environment: "staging".into(), ..reading(&made, "/systems") };
    asker.ask(staging).await;
    until_listed(&site.server, DecisionFilter::default(), 3).await;
    let none = DecisionFilter::default;
    let mut insight = site.server.insight();
    for (filter, count) in [
        (of_key(&made), 3),
        (on_route("/systems"), 2),
        (on_route("/systems/"), 1),
        (DecisionFilter { domain: "default".into(), ..none() }, 3),
        (DecisionFilter { domain: "keyward".into(), ..none() }, 0),
        (DecisionFilter { user: "ida".into(), ..none() }, 0),
        (DecisionFilter { customer: "other".into(), ..none() }, 1),
        (DecisionFilter { environment: "staging".into(), ..none() }, 1),
        (DecisionFilter { verdict: Verdict::Allowed.into(), ..none() }, 2),
        (DecisionFilter { verdict: Verdict::Denied.into(), ..none() }, 1),
        (DecisionFilter { reason: Reason::EnvironmentMismatch.into(), ..none() }, 1),
        (DecisionFilter { reason: Reason::KeyUnknown.into(), ..none() }, 0),
        (DecisionFilter { address: "192.0.2.0/24".into(), ..none() }, 2),
        (DecisionFilter { address: "2001:db8::1".into(), ..none() }, 1),
        (DecisionFilter { decision_id: first.decision_id, ..none() }, 1),
        (DecisionFilter { start_time: made.key.create_time, ..none() }, 3),
        (DecisionFilter { end_time: made.key.create_time, ..none() }, 0),
        (DecisionFilter { customer: "other".into(), ..on_route("/systems") }, 0),
    ] {
        let listed = list_by(&mut insight, filter.clone(), 0).await.unwrap();
        assert_eq!(listed.len(), count, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_have_every_decision_once_also_those_of_days_ago() {
    let site = Site::start(&ALL).await;
    let client = site.database.connect().await;
    let rows = "INSERT INTO keyward.decision
        SELECT now() - n * interval '20 minutes', gen_random_uuid(), 'KEY_UNKNOWN', NULL, '',
            'production', '', '', 'GET', '/' || n, '', '', NULL, 'batch', 1
        FROM generate_series(1, 60) AS n";
    client.batch_execute(rows).await.unwrap();
    let all: Vec<String> = (1..=60).map(|number| format!("/{number}")).collect();
    for page_size in [1, 7, 60, 100] {
        let listed = list_by(&mut site.server.insight(), DecisionFilter::default(), page_size)
            .await
            .unwrap();
        let routes: Vec<_> = listed.into_iter().map(|one| one.route).collect();
        assert_eq!(routes, all, "in pages of {page_size}");
    }
}

#[tokio::test]
async fn denials_are_logged_if_nothing_is_set_and_allowed_ones_of_some_keys() {
    let site = Site::start(&[]).await;
    let (plain, watched) = (
        create(&mut site.admin(), new_key("Plain")).await,
        create(&mut site.admin(), new_key("Watched")).await,
    );
    let Site { database, server } = site;
    let ask = async |server: &crate::support::server::Server| {
        let mut asker = server.asker();
        for made in [&plain, &watched] {
            assert!(asker.ask(reading(made, "/allowed")).await.allowed);
        }
        let denied = AuthorizeRequest { permission: "x".into(), ..reading(&plain, "/denied") };
        assert!(!asker.ask(denied).await.allowed);
    };
    ask(&server).await;
    let listed = until_listed(&server, DecisionFilter::default(), 1).await;
    assert_eq!(listed[0].route, "/denied");
    server.stop().await;

    let keys = ["--decision-log-keys", &watched.key.id];
    let server = crate::support::server::Server::start_with(&database, &keys).await;
    ask(&server).await;
    let listed = until_listed(&server, DecisionFilter::default(), 3).await;
    assert_eq!([&*listed[0].route, &*listed[1].key_id], ["/denied", &*watched.key.id]);
    server.stop().await;

    let off = ["--decision-log", "off"];
    let server = crate::support::server::Server::start_with(&database, &off).await;
    ask(&server).await;
    server.stop().await;
    assert_eq!(super::stored(&database).await, 3, "nothing more, also at the end");
}

#[tokio::test]
async fn routes_and_addresses_are_masked_if_that_is_set() {
    let masked = ["--decision-log-mask-routes", "1", "--decision-log-mask-addresses"];
    let site = Site::start(&[&ALL[..], &masked].concat()).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    site.server.asker().ask(reading(&made, "/systems/1?key=x")).await;
    let listed = until_listed(&site.server, of_key(&made), 1).await;
    assert_eq!([&*listed[0].route, &*listed[0].address], ["/systems/*", "192.0.2.0"]);
}

#[tokio::test]
async fn every_way_of_asking_is_logged_and_what_operators_try_is_not() {
    let site = Site::start(&ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    asker.ask(reading(&made, "/one")).await;
    let batch = BatchAuthorizeRequest { requests: vec![reading(&made, "/batch"); 3] };
    asker.0.batch_authorize(batch).await.unwrap();
    let requests = futures_util::stream::iter([reading(&made, "/stream")]);
    let mut answers = asker.0.stream_authorize(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().unwrap().allowed);
    let root = site.database.root_token.clone();
    let tried = AuthorizeRequest { explain: true, ..may_read(&made.token) };
    site.server.explainer_as(&root).authorize(tried).await.unwrap();
    let asking = http1::get(
        "/authorize?environment=production&permission=systems.read",
        &format!(
            "x-forwarded-method: GET\r\nx-forwarded-uri: /forward\r\nx-api-key: {}\r\n",
            made.token
        ),
    );
    http1::ask(site.server.http, &asking).await;
    let listed = until_listed(&site.server, of_key(&made), 6).await;
    let mut ways: Vec<_> = listed.iter().map(|one| (one.way(), &*one.route)).collect();
    ways.sort_unstable();
    ways.dedup();
    let expected = [
        (DecisionWay::Authorize, "/one"),
        (DecisionWay::Batch, "/batch"),
        (DecisionWay::Stream, "/stream"),
        (DecisionWay::ForwardAuth, "/forward"),
    ];
    assert_eq!(ways, expected);
}
