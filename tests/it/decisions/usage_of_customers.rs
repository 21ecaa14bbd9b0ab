//! How much is asked for on behalf of customers: of which it is counted, by whom it is read, that it is exact.

use keyward::rpc::pb::{
    AuthorizeRequest, CreateCustomerRequest, CreateKeyRequest, Customer, Delegation,
    DeleteCustomerRequest, Limit, Mode, QueryUsageRequest, Quota, QuotaPeriod, UsageCount,
    UsageStep, limit::Kind,
};
use tonic::Code;

use super::{
    reading,
    usage::{OFTEN, allowed, make_domain, of, of_customer, query, until_counted_of},
};
use crate::support::{
    client::{Made, assert_status, create, new_admin_key, new_key},
    operator::Site,
    server::Server,
};

/// Makes a customer; returns the revision.
async fn make_customer(site: &Site, domain: &str, id: &str, limits: Vec<Limit>) -> i64 {
    let customer = Customer {
        domain: domain.into(),
        id: id.into(),
        display_name: id.into(),
        limits,
        ..Customer::default()
    };
    let request = CreateCustomerRequest { customer: Some(customer), validate_only: false };
    site.server.access().create_customer(request).await.unwrap().into_inner().revision
}

/// Asks for a customer, with knowledge of a revision.
async fn ask(server: &Server, made: &Made, (customer, revision): (&str, i64)) -> bool {
    let min_revision = revision.max(made.revision);
    let request =
        AuthorizeRequest { customer: customer.into(), min_revision, ..reading(made, "/") };
    server.asker().ask(request).await.allowed
}

#[tokio::test]
async fn what_is_asked_for_a_customer_is_counted_if_it_is_a_known_one() {
    let site = Site::start(&OFTEN).await;
    let mut admin = site.admin();
    let any = create(&mut admin, new_key("Any")).await;
    let request = CreateKeyRequest { customers: vec!["other".into()], ..new_key("Of another") };
    let of_another = create(&mut admin, request).await;
    // of a hundred years, so that the test does not meet the end of its period
    let fixed_period = Some(prost_types::Duration { seconds: 3_153_600_000, nanos: 0 });
    let twice = Quota { limit: 2, period: QuotaPeriod::Fixed.into(), fixed_period };
    let twice = Limit { name: "twice".into(), kind: Some(Kind::Quota(twice)) };
    make_customer(&site, "default", "limited", vec![twice]).await;
    let revision = make_customer(&site, "default", "acme", Vec::new()).await;
    let mut asker = site.server.asker();
    let for_acme = || AuthorizeRequest { min_revision: revision, ..reading(&any, "/") };
    for request in [
        for_acme(),
        AuthorizeRequest { cost: Some(5), ..for_acme() },
        AuthorizeRequest { permission: "x".into(), ..for_acme() },
        AuthorizeRequest { key: of_another.token.clone(), ..for_acme() },
        // these count nothing for it
        AuthorizeRequest { mode: Mode::CheckOnly.into(), ..for_acme() },
        AuthorizeRequest { customer: "unknown".into(), ..for_acme() },
        AuthorizeRequest { customer: String::new(), ..for_acme() },
        AuthorizeRequest { key: "nonsense".into(), ..for_acme() },
    ] {
        asker.ask(request).await;
    }
    for _ in 0..3 {
        ask(&site.server, &any, ("limited", revision)).await;
    }
    let of_acme = UsageCount {
        allowed: 2,
        cost: 6,
        denied_forbidden: 1,
        denied_misplaced: 1,
        ..UsageCount::default()
    };
    let of_limited = UsageCount { denied_limited: 1, ..allowed(2) };
    for (customer, expected) in [("acme", of_acme), ("limited", of_limited)] {
        until_counted_of(&site.server, &of_customer("default", customer), expected).await;
    }
    let rows = "SELECT count(DISTINCT customer_uid) FROM keyward.usage_customer_hour";
    assert_eq!(site.database.number(rows).await, 2, "of nobody else");
}

#[tokio::test]
async fn counts_of_a_customer_add_up_over_keys_and_replicas() {
    let site = Site::start(&OFTEN).await;
    let other = Server::start_with(&site.database, &["--usage-flush-interval", "30m"]).await;
    let mut admin = site.admin();
    let keys = [create(&mut admin, new_key("One")).await, create(&mut admin, new_key("Two")).await];
    let revision = make_customer(&site, "default", "acme", Vec::new()).await;
    for made in &keys {
        for (server, times) in [(&site.server, 3), (&other, 5)] {
            for _ in 0..times {
                assert!(ask(server, made, ("acme", revision)).await);
            }
        }
    }
    until_counted_of(&site.server, &of_customer("default", "acme"), allowed(6)).await;
    other.stop().await;
    until_counted_of(&site.server, &of_customer("default", "acme"), allowed(16)).await;
    until_counted_of(&site.server, &of(&keys[0]), allowed(8)).await;
}

#[tokio::test]
async fn a_batch_of_customers_that_is_sent_again_counts_once() {
    let site = Site::start(&OFTEN).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let revision = make_customer(&site, "default", "acme", Vec::new()).await;
    let client = site.database.connect().await;
    // the batch is written and its answer lost: its connection ends before COMMIT is answered
    let losing = "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER lose AFTER INSERT ON keyward.usage_customer_hour
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose()";
    client.batch_execute(losing).await.unwrap();
    for _ in 0..5 {
        assert!(ask(&site.server, &made, ("acme", revision)).await);
    }
    site.server.until_logged("last uses cannot be stored").await;
    client.batch_execute("DROP TRIGGER lose ON keyward.usage_customer_hour").await.unwrap();
    until_counted_of(&site.server, &of_customer("default", "acme"), allowed(5)).await;
    until_counted_of(&site.server, &of(&made), allowed(5)).await;
}

#[tokio::test]
async fn hours_days_and_months_of_a_customer_add_up() {
    let site = Site::start(&["--usage-flush-interval", "30m"]).await;
    make_customer(&site, "default", "acme", Vec::new()).await;
    make_customer(&site, "default", "other", Vec::new()).await;
    let rows = "INSERT INTO keyward.usage_customer_hour
        SELECT uid, '2026-01-31 00:00Z'::timestamptz + n * interval '1 hour', 1, 0, 0, 0, 0, 1
        FROM keyward.customer, generate_series(0, 47) AS n WHERE id = 'acme'";
    site.database.connect().await.batch_execute(rows).await.unwrap();
    let mut insight = site.server.insight();
    for (step, sums) in [
        (UsageStep::Hour, vec![1; 48]),
        (UsageStep::Day, vec![24, 24]),
        (UsageStep::Month, vec![24, 24]),
    ] {
        let request = QueryUsageRequest { step: step.into(), ..of_customer("default", "acme") };
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = QueryUsageRequest { page_size: 7, page_token, ..request.clone() };
            let page = query(&mut insight, request).await.unwrap();
            assert_eq!(page.total, Some(allowed(48)), "of all pages");
            found.extend(page.rows.into_iter().map(|row| row.count.unwrap()));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, sums.into_iter().map(allowed).collect::<Vec<_>>(), "{step:?}");
    }
    let answer = query(&mut insight, of_customer("default", "other")).await.unwrap();
    assert_eq!((answer.rows, answer.total), (Vec::new(), Some(allowed(0))));
}

#[tokio::test]
async fn what_was_counted_of_a_customer_goes_with_it_and_does_not_come_back_with_its_id() {
    let site = Site::start(&OFTEN).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let revision = make_customer(&site, "default", "acme", Vec::new()).await;
    assert!(ask(&site.server, &made, ("acme", revision)).await);
    let of_acme = of_customer("default", "acme");
    until_counted_of(&site.server, &of_acme, allowed(1)).await;
    let request = DeleteCustomerRequest {
        domain: "default".into(),
        id: "acme".into(),
        ..DeleteCustomerRequest::default()
    };
    let deleted = site.server.access().delete_customer(request).await.unwrap().into_inner();
    let result = query(&mut site.server.insight(), of_acme.clone()).await;
    assert_status(result, Code::NotFound, "CUSTOMER_NOT_FOUND");
    let rows = "SELECT count(*) FROM keyward.usage_customer_hour";
    assert_eq!(site.database.number(rows).await, 0);
    assert!(ask(&site.server, &made, ("acme", deleted.revision)).await);
    let revision = make_customer(&site, "default", "acme", Vec::new()).await;
    for _ in 0..2 {
        assert!(ask(&site.server, &made, ("acme", revision)).await);
    }
    until_counted_of(&site.server, &of_acme, allowed(2)).await;
    until_counted_of(&site.server, &of(&made), allowed(4)).await;
}

#[tokio::test]
async fn a_delegated_admin_reads_of_customers_of_its_domains() {
    let site = Site::start(&OFTEN).await;
    let mut admin = site.admin();
    for (domain, times) in [("acme", 2), ("rival", 1)] {
        make_domain(&site, domain).await;
        let request = CreateKeyRequest { domain: domain.into(), ..new_key("Key") };
        let made = create(&mut admin, request).await;
        // an id that both domains have
        let revision = make_customer(&site, domain, "eu", Vec::new()).await;
        for _ in 0..times {
            assert!(ask(&site.server, &made, ("eu", revision)).await);
        }
        until_counted_of(&site.server, &of_customer(domain, "eu"), allowed(times)).await;
    }
    let request = CreateKeyRequest {
        delegation: Some(Delegation { domains: vec!["acme".into()], ..Delegation::default() }),
        ..new_admin_key("Delegated", &["keyward.usage.read"])
    };
    let delegated = create(&mut admin, request).await;
    site.knows(delegated.revision).await;
    let mut bound = site.server.insight_as(&delegated.token);
    let answer = query(&mut bound, of_customer("acme", "eu")).await.unwrap();
    assert_eq!(answer.total, Some(allowed(2)));
    let result = query(&mut bound, of_customer("rival", "eu")).await;
    assert_status(result, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
}
