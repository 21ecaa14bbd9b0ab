//! Customers: where they may be, and what of them is forgotten.

use keyward::rpc::pb;
use tonic::Code;

use super::{Removable, Thing, domain, fresh, get_key, key, key_of, made, present, texts};
use crate::support::{
    client::{assert_invalid, assert_status, may_read, verdict},
    limits::daily,
    operator::Site,
};

fn customer_of(domain: &str, limits: Vec<pb::Limit>) -> pb::Customer {
    pb::Customer {
        domain: domain.into(),
        id: fresh("customer"),
        display_name: "A customer".into(),
        limits,
        ..pb::Customer::default()
    }
}

#[tokio::test]
async fn the_domain_of_admin_keys_has_no_customers() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let customer = customer_of("keyward", vec![]);
    for validate_only in [true, false] {
        let result = customer.create(access, validate_only).await;
        assert_invalid(result, &["customer.domain"]);
    }
    assert_status(customer.get(access).await, Code::NotFound, "CUSTOMER_NOT_FOUND");
    let request = pb::ListCustomersRequest { domain: "keyward".into(), ..Default::default() };
    assert_eq!(access.list_customers(request).await.unwrap().into_inner().customers, []);
}

#[tokio::test]
async fn a_customer_of_no_domain_is_not_made() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let customer = customer_of("nowhere", vec![]);
    for validate_only in [true, false] {
        let result = customer.create(access, validate_only).await;
        assert_status(result, Code::NotFound, "DOMAIN_NOT_FOUND");
    }
    for result in [
        customer.get(access).await.map(drop),
        customer.update(access, &["description"], false).await.map(drop),
        customer.delete(access, false).await.map(drop),
    ] {
        assert_status(result, Code::NotFound, "CUSTOMER_NOT_FOUND");
    }
}

#[tokio::test]
async fn domains_keep_customers_of_the_same_id_apart() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let [one, other] = [domain(&site).await, domain(&site).await];
    let here = customer_of(&one, vec![daily("none", 0)]);
    let there = pb::Customer { domain: other.clone(), limits: vec![], ..here.clone() };
    let (here, there) = (made(&site, here).await, made(&site, there).await);
    assert_eq!(here.get(access).await.unwrap(), here);
    assert_eq!(there.get(access).await.unwrap(), there);
    for (domain, expected) in [(&one, "429 QUOTA_EXHAUSTED"), (&other, "ALLOWED")] {
        let request = pb::CreateKeyRequest { permissions: texts(&["systems"]), ..key_of(domain) };
        let made = key(&site, request).await;
        let request = pb::AuthorizeRequest { customer: here.id.clone(), ..may_read(&made.token) };
        assert_eq!(verdict(&site.server.asker().ask(request).await), expected);
    }
    there.delete(access, false).await.unwrap();
    assert_eq!(here.get(access).await.unwrap(), here);
}

#[tokio::test]
async fn deleting_a_customer_forgets_its_limits_and_leaves_keys_that_name_it() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let customer = made(&site, customer_of("default", vec![daily("none", 0)])).await;
    let request = pb::CreateKeyRequest {
        permissions: texts(&["systems"]),
        customers: vec![customer.id.clone()],
        ..key_of("default")
    };
    let made = key(&site, request).await;
    let wanted = pb::AuthorizeRequest { customer: customer.id.clone(), ..may_read(&made.token) };
    let mut asker = site.server.asker();
    assert_eq!(verdict(&asker.ask(wanted.clone()).await), "429 QUOTA_EXHAUSTED");

    let open = pb::Customer { limits: vec![], ..present(&customer) };
    let (_, min_revision) = open.update(access, &["limits"], false).await.unwrap();
    let known = pb::AuthorizeRequest { min_revision, ..wanted.clone() };
    assert_eq!(verdict(&asker.ask(known).await), "ALLOWED");
    let (_, min_revision) = present(&customer).update(access, &["limits"], false).await.unwrap();
    let known = pb::AuthorizeRequest { min_revision, ..wanted.clone() };
    assert_eq!(verdict(&asker.ask(known).await), "429 QUOTA_EXHAUSTED");

    let min_revision = present(&customer).delete(access, false).await.unwrap();
    let known = pb::AuthorizeRequest { min_revision, ..wanted };
    assert_eq!(verdict(&asker.ask(known).await), "ALLOWED");
    assert_eq!(get_key(&site, &made.key.id).await, made.key);
}
