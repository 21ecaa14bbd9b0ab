//! How much keys are used: what is counted, by whom it is read, and that it is exact.

use keyward::rpc::pb::{
    AuthorizeRequest, CreateDomainRequest, CreateKeyRequest, CreateUserRequest, Delegation, Domain,
    Mode, QueryUsageRequest, QueryUsageResponse, UsageCount, UsageStep, User, UserKind,
};
use prost_types::Timestamp;
use tonic::{Code, Status};

use super::reading;
use crate::support::{
    client::{
        Insight, Made, assert_invalid, assert_not_permitted, assert_status, create, may_read,
        new_admin_key, new_key,
    },
    database::Database,
    eventually,
    gate::Gate,
    operator::Site,
    server::Server,
};

pub(super) const OFTEN: [&str; 2] = ["--usage-flush-interval", "20ms"];

pub(super) async fn query(
    insight: &mut Insight,
    request: QueryUsageRequest,
) -> Result<QueryUsageResponse, Status> {
    insight.query_usage(request).await.map(tonic::Response::into_inner)
}

pub(super) fn of(made: &Made) -> QueryUsageRequest {
    QueryUsageRequest { key_id: made.key.id.clone(), ..QueryUsageRequest::default() }
}

pub(super) fn of_customer(domain: &str, customer: &str) -> QueryUsageRequest {
    let (domain, customer) = (domain.into(), customer.into());
    QueryUsageRequest { domain, customer, ..QueryUsageRequest::default() }
}

/// Waits until so much of a key is stored.
async fn until_counted(server: &Server, made: &Made, expected: UsageCount) {
    until_counted_of(server, &of(made), expected).await;
}

/// Waits until so much is the answer.
pub(super) async fn until_counted_of(
    server: &Server,
    question: &QueryUsageRequest,
    expected: UsageCount,
) {
    let mut last = None;
    let mut insight = server.insight();
    eventually("the counts are stored", async || {
        let answer = query(&mut insight, question.clone()).await.unwrap();
        let total = answer.total.unwrap();
        assert!(total.allowed <= expected.allowed, "{total:?}");
        last = Some(total);
        (last == Some(expected)).then_some(())
    })
    .await;
}

pub(super) fn allowed(times: i64) -> UsageCount {
    UsageCount { allowed: times, cost: times, ..UsageCount::default() }
}

pub(super) async fn make_domain(site: &Site, name: &str) {
    let domain = Domain { name: name.into(), display_name: name.into(), ..Domain::default() };
    let request = CreateDomainRequest { domain: Some(domain), validate_only: false };
    site.server.access().create_domain(request).await.unwrap();
}

#[tokio::test]
async fn what_is_allowed_and_denied_is_counted_by_class_with_its_cost() {
    let site = Site::start(&OFTEN).await;
    let request = CreateKeyRequest { denied_addresses: vec!["192.0.2.9".into()], ..new_key("Key") };
    let made = create(&mut site.admin(), request).await;
    let mut asker = site.server.asker();
    let ask = || reading(&made, "/");
    for request in [
        ask(),
        AuthorizeRequest { cost: Some(5), ..ask() },
        AuthorizeRequest { cost: Some(0), ..ask() },
        AuthorizeRequest { mode: Mode::CheckOnly.into(), ..ask() },
        AuthorizeRequest { mode: Mode::CheckOnly.into(), permission: "x".into(), ..ask() },
        AuthorizeRequest { permission: "x".into(), ..ask() },
        AuthorizeRequest { environment: "staging".into(), ..ask() },
        AuthorizeRequest { client_address: "192.0.2.9".into(), ..ask() },
        AuthorizeRequest { key: "nonsense".into(), ..ask() },
    ] {
        asker.ask(request).await;
    }
    let expected = UsageCount {
        allowed: 3,
        cost: 6,
        denied_forbidden: 1,
        denied_misplaced: 2,
        ..UsageCount::default()
    };
    until_counted(&site.server, &made, expected).await;
    let answer = query(&mut site.server.insight(), of(&made)).await.unwrap();
    assert_eq!(answer.rows.iter().map(|row| row.count).collect::<Vec<_>>(), [Some(expected)]);
    let start = answer.rows[0].start_time.unwrap().seconds;
    assert_eq!(start % (24 * 60 * 60), 0, "a day of UTC");
}

#[tokio::test]
async fn counts_are_exact_over_replicas_restarts_and_a_database_that_comes_and_goes() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("counts", &database);
    gate.open();
    let (one, other) = (
        Server::start_with(&beyond, &OFTEN).await,
        Server::start_with(&database, &["--usage-flush-interval", "30m"]).await,
    );
    let made = create(&mut one.admin(), new_key("Key")).await;
    let decide = async |server: &Server, times: usize| {
        for _ in 0..times {
            assert!(server.asker().ask(reading(&made, "/")).await.allowed);
        }
    };
    decide(&one, 30).await;
    decide(&other, 7).await;
    until_counted(&one, &made, allowed(30)).await;
    gate.shut();
    decide(&one, 30).await;
    one.until_logged("last uses cannot be stored").await;
    gate.open();
    until_counted(&one, &made, allowed(60)).await;
    // what it stores when it is told to end
    other.stop().await;
    until_counted(&one, &made, allowed(67)).await;
    // dropped: killed, after all was flushed
    drop(one);
    let after = Server::start_with(&database, &OFTEN).await;
    decide(&after, 1).await;
    until_counted(&after, &made, allowed(68)).await;
}

#[tokio::test]
async fn a_batch_that_is_sent_again_counts_once() {
    let site = Site::start(&OFTEN).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    let client = site.database.connect().await;
    // the first batch is written and its answer lost: its connection ends before COMMIT is answered
    let losing = "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON keyward.usage_hour
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()";
    client.batch_execute(losing).await.unwrap();
    for _ in 0..5 {
        asker.ask(reading(&made, "/")).await;
    }
    site.server.until_logged("last uses cannot be stored").await;
    client.batch_execute("DROP TRIGGER lose ON keyward.usage_hour").await.unwrap();
    until_counted(&site.server, &made, allowed(5)).await;
}

#[tokio::test]
async fn hours_days_and_months_add_up_and_pages_have_each_once() {
    let site = Site::start(&["--usage-flush-interval", "30m"]).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let client = site.database.connect().await;
    let rows = "INSERT INTO keyward.usage_hour
        SELECT id, '2026-01-31 00:00Z'::timestamptz + n * interval '1 hour', domain, NULL,
            n, 1, 0, 0, 0, 2 * n
        FROM keyward.key, generate_series(0, 47) AS n WHERE display_name = 'Key'";
    client.batch_execute(rows).await.unwrap();
    let mut insight = site.server.insight();
    let sum = |numbers: std::ops::Range<i64>| UsageCount {
        allowed: numbers.clone().sum(),
        denied_stopped: numbers.clone().count().try_into().unwrap(),
        cost: 2 * numbers.sum::<i64>(),
        ..UsageCount::default()
    };
    for (step, sums) in [
        (UsageStep::Hour, (0..48).map(|hour| sum(hour..hour + 1)).collect::<Vec<_>>()),
        (UsageStep::Day, vec![sum(0..24), sum(24..48)]),
        (UsageStep::Unspecified, vec![sum(0..24), sum(24..48)]),
        (UsageStep::Month, vec![sum(0..24), sum(24..48)]),
    ] {
        for page_size in [1, 7, 100] {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let request =
                    QueryUsageRequest { step: step.into(), page_size, page_token, ..of(&made) };
                let page = query(&mut insight, request).await.unwrap();
                assert_eq!(page.total, Some(sum(0..48)), "of all pages");
                found.extend(page.rows.into_iter().map(|row| row.count.unwrap()));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(found, sums, "{step:?} in pages of {page_size}");
        }
    }
    // from the hour that a time is in to before another one: 2026-01-31 10:30 to 2026-01-31 12:30
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let (start_time, end_time) = (at(1_769_855_400), at(1_769_862_600));
    let request = QueryUsageRequest { start_time, end_time, ..of(&made) };
    assert_eq!(query(&mut insight, request).await.unwrap().total, Some(sum(10..13)));
}

#[tokio::test]
async fn usage_is_that_of_a_key_a_user_a_domain_or_all_that_the_caller_reaches() {
    let site = Site::start(&OFTEN).await;
    make_domain(&site, "acme").await;
    make_domain(&site, "rival").await;
    let user = User {
        id: "ida".into(),
        domain: "acme".into(),
        kind: UserKind::Person.into(),
        display_name: "Ida".into(),
        permissions: vec!["systems".into()],
        ..User::default()
    };
    let request = CreateUserRequest { user: Some(user), ..CreateUserRequest::default() };
    site.server.access().create_user(request).await.unwrap();
    let mut admin = site.admin();
    let in_acme = || CreateKeyRequest { domain: "acme".into(), ..new_key("Key") };
    let hers = create(&mut admin, CreateKeyRequest { user: "ida".into(), ..in_acme() }).await;
    let of_acme = create(&mut admin, in_acme()).await;
    let request = CreateKeyRequest { domain: "rival".into(), ..new_key("Key") };
    let of_rival = create(&mut admin, request).await;
    for (made, times) in [(&hers, 1), (&of_acme, 2), (&of_rival, 4)] {
        for _ in 0..times {
            assert!(site.server.asker().ask(reading(made, "/")).await.allowed);
        }
        until_counted(&site.server, made, allowed(times)).await;
    }
    let request = CreateKeyRequest {
        delegation: Some(Delegation { domains: vec!["acme".into()], ..Delegation::default() }),
        ..new_admin_key("Delegated", &["keyward.usage.read"])
    };
    let delegated = create(&mut admin, request).await;
    site.knows(delegated.revision).await;
    let mut bound = site.server.insight_as(&delegated.token);
    let in_domain =
        |name: &str| QueryUsageRequest { domain: name.into(), ..QueryUsageRequest::default() };
    for (request, times) in [
        (of(&hers), 1),
        (QueryUsageRequest { user: "ida".into(), ..in_domain("acme") }, 1),
        (in_domain("acme"), 3),
        (QueryUsageRequest::default(), 3),
    ] {
        let answer = query(&mut bound, request.clone()).await.unwrap();
        assert_eq!(answer.total, Some(allowed(times)), "{request:?}");
    }
    for request in [of(&of_rival), in_domain("rival")] {
        let result = query(&mut bound, request).await;
        assert_status(result, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
    }
    let answer = query(&mut site.server.insight(), in_domain("rival")).await.unwrap();
    assert_eq!(answer.total, Some(allowed(4)));
}

#[tokio::test]
async fn who_may_not_or_asks_for_what_is_not_there_is_told_so() {
    let site = Site::shared();
    let mut insight = site.server.insight();
    let others = site.operator(&["keyward.keys", "keyward.decisions"]).await;
    let mut other = site.server.insight_as(&others.made.token);
    let result = query(&mut other, QueryUsageRequest::default()).await;
    assert_not_permitted(result, "keyward.usage.read");
    let result = query(&mut site.server.insight_as(""), QueryUsageRequest::default()).await;
    assert_status(result, Code::Unauthenticated, "KEY_MISSING");
    let none = QueryUsageRequest::default;
    let nobody = "key_00000000000000000000000000".to_owned();
    for (request, reason) in [
        (QueryUsageRequest { key_id: nobody, ..none() }, "KEY_NOT_FOUND"),
        (QueryUsageRequest { domain: "nowhere".into(), ..none() }, "DOMAIN_NOT_FOUND"),
        (
            QueryUsageRequest { domain: "default".into(), user: "nobody".into(), ..none() },
            "USER_NOT_FOUND",
        ),
        (
            QueryUsageRequest { domain: "default".into(), customer: "nobody".into(), ..none() },
            "CUSTOMER_NOT_FOUND",
        ),
    ] {
        assert_status(query(&mut insight, request).await, Code::NotFound, reason);
    }
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let wrong = QueryUsageRequest {
        key_id: "key_1".into(),
        domain: "Not a name".into(),
        user: "not an id".into(),
        step: 9,
        start_time: at(10),
        end_time: at(10),
        page_size: -1,
        page_token: "nonsense".into(),
        customer: "not an id".into(),
    };
    let fields = [
        "key_id",
        "domain",
        "user",
        "customer",
        "domain",
        "customer",
        "step",
        "end_time",
        "page_size",
        "page_token",
    ];
    assert_invalid(query(&mut insight, wrong).await, &fields);
    for alone in [
        QueryUsageRequest { user: "ida".into(), ..none() },
        QueryUsageRequest { customer: "acme".into(), ..none() },
    ] {
        assert_invalid(query(&mut insight, alone).await, &["domain"]);
    }
}

#[tokio::test]
async fn usage_is_unavailable_without_a_database_and_counts_older_than_the_retention_go() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("usage-hours", &database);
    gate.open();
    let old = "INSERT INTO keyward.usage_hour SELECT id, now() - n * interval '10 hours', domain,
        NULL, 1, 0, 0, 0, 0, 1 FROM keyward.key, generate_series(1, 9) AS n;
        INSERT INTO keyward.usage_customer_hour SELECT 1, now() - n * interval '10 hours',
        1, 0, 0, 0, 0, 1 FROM generate_series(1, 9) AS n";
    database.connect().await.batch_execute(old).await.unwrap();
    let server =
        Server::start_with(&beyond, &[OFTEN[0], OFTEN[1], "--usage-retention", "1d"]).await;
    let kept = "SELECT count(*) FROM keyward.usage_hour WHERE hour_at < now() - interval '1 hour'";
    eventually("what is old is forgotten", async || {
        (database.number(kept).await == 2).then_some(())
    })
    .await;
    eventually("what is old of customers is forgotten", async || {
        (database.number(&kept.replace("usage_hour", "usage_customer_hour")).await == 2)
            .then_some(())
    })
    .await;
    server.asker().ask(may_read("")).await;
    gate.shut();
    for request in [QueryUsageRequest::default(), of_customer("default", "acme")] {
        let result = query(&mut server.insight(), request).await;
        assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
    }
}
