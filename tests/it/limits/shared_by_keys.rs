//! Limits of users, customers and domains, which their keys share; and limits that templates give.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use keyward::rpc::pb::{self, AuthorizeRequest, CreateKeyRequest, Limit};
use prost_types::FieldMask;

use super::{ask, daily, key_with, knows, left, look, made, use_once, use_up};
use crate::support::{
    client::{may_read, new_key, verdict},
    operator::Site,
    server::Server,
};

fn fresh(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("limited-{word}-{}", COUNT.fetch_add(1, Relaxed))
}

fn mask(path: &str) -> FieldMask {
    FieldMask { paths: vec![path.into()] }
}

/// A domain with these limits.
pub(super) async fn domain(server: &Server, limits: &[Limit]) -> String {
    let name = fresh("domain");
    let domain = pb::Domain {
        name: name.clone(),
        display_name: "Tenant".into(),
        limits: limits.to_vec(),
        ..pb::Domain::default()
    };
    let request = pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
    server.access().create_domain(request).await.unwrap();
    name
}

fn user_of(domain: &str, id: &str, limits: &[Limit]) -> pb::User {
    pb::User {
        domain: domain.into(),
        id: id.into(),
        kind: pb::UserKind::Person.into(),
        display_name: "User".into(),
        permissions: vec!["systems.read".into()],
        limits: limits.to_vec(),
        ..pb::User::default()
    }
}

/// A user of a domain with these limits.
pub(super) async fn user(server: &Server, domain: &str, limits: &[Limit]) -> String {
    let id = fresh("user");
    let user = Some(user_of(domain, &id, limits));
    let request = pb::CreateUserRequest { user, validate_only: false };
    server.access().create_user(request).await.unwrap();
    id
}

/// A customer of a domain with these limits.
pub(super) async fn customer(server: &Server, domain: &str, limits: &[Limit]) -> String {
    let id = format!("{}/eu", fresh("customer"));
    let customer = pb::Customer {
        domain: domain.into(),
        id: id.clone(),
        display_name: "Customer".into(),
        limits: limits.to_vec(),
        ..pb::Customer::default()
    };
    let request = pb::CreateCustomerRequest { customer: Some(customer), validate_only: false };
    let made = server.access().create_customer(request).await.unwrap().into_inner();
    knows(server, made.revision).await;
    id
}

fn key_of_user(user: &str) -> CreateKeyRequest {
    CreateKeyRequest { user: user.into(), ..new_key("Of a user") }
}

pub(super) fn for_customer(token: &str, customer: &str) -> AuthorizeRequest {
    AuthorizeRequest { customer: customer.into(), ..may_read(token) }
}

#[tokio::test]
async fn the_keys_of_a_user_share_its_limits() {
    let site = Site::shared();
    let server = &site.server;
    let ida = user(server, "", &[daily("calls", 3)]).await;
    let one = made(server, key_of_user(&ida)).await;
    let other = made(server, key_of_user(&ida)).await;
    let stranger = made(server, new_key("Of nobody")).await;
    use_up(server, &one.token, 2).await;
    use_up(server, &other.token, 1).await;
    for token in [&one.token, &other.token] {
        let response = ask(server, may_read(token)).await;
        assert_eq!(verdict(&response), "429 RATE_LIMITED");
        assert_eq!(left(&response), ["user calls 0!"]);
    }
    assert_eq!(look(server, &stranger.token).await, [""; 0]);

    let request = pb::UpdateUserRequest {
        user: Some(user_of("", &ida, &[daily("calls", 4)])),
        update_mask: Some(mask("limits")),
        validate_only: false,
    };
    let changed = server.access().update_user(request).await.unwrap().into_inner();
    knows(server, changed.revision).await;
    assert_eq!(look(server, &other.token).await, ["user calls 1"]);
}

#[tokio::test]
async fn the_keys_of_a_domain_share_its_limits() {
    let site = Site::shared();
    let server = &site.server;
    let tenant = domain(server, &[daily("calls", 2)]).await;
    let other_tenant = domain(server, &[daily("calls", 2)]).await;
    let of = |domain: &str| CreateKeyRequest { domain: domain.into(), ..new_key("Of a domain") };
    let one = made(server, of(&tenant)).await;
    let other = made(server, of(&tenant)).await;
    let stranger = made(server, of(&other_tenant)).await;
    use_up(server, &one.token, 2).await;
    let response = ask(server, may_read(&other.token)).await;
    assert_eq!(verdict(&response), "429 RATE_LIMITED");
    assert_eq!(left(&response), ["domain calls 0!"]);
    assert_eq!(look(server, &stranger.token).await, ["domain calls 2"]);

    let changed = pb::Domain {
        name: tenant.clone(),
        limits: vec![daily("calls", 3)],
        ..pb::Domain::default()
    };
    let request = pb::UpdateDomainRequest {
        domain: Some(changed),
        update_mask: Some(mask("limits")),
        validate_only: false,
    };
    let changed = server.access().update_domain(request).await.unwrap().into_inner();
    knows(server, changed.revision).await;
    assert_eq!(look(server, &other.token).await, ["domain calls 1"]);
}

#[tokio::test]
async fn a_customers_limits_count_where_the_request_names_it() {
    let site = Site::shared();
    let server = &site.server;
    let acme = customer(server, "", &[daily("calls", 3)]).await;
    let unrestricted = made(server, new_key("For all customers")).await;
    let restricted =
        CreateKeyRequest { customers: vec![acme.clone()], ..new_key("For one customer") };
    let restricted = made(server, restricted).await;

    for (token, remaining) in
        [(&unrestricted.token, 2), (&restricted.token, 1), (&unrestricted.token, 0)]
    {
        let response = ask(server, for_customer(token, &acme)).await;
        assert_eq!(verdict(&response), "ALLOWED");
        assert_eq!(left(&response), [format!("customer calls {remaining}")]);
    }
    for token in [&unrestricted.token, &restricted.token] {
        let response = ask(server, for_customer(token, &acme)).await;
        assert_eq!(verdict(&response), "429 RATE_LIMITED");
        assert_eq!(left(&response), ["customer calls 0!"]);
    }
    for other in ["", "another-one"] {
        let response = ask(server, for_customer(&unrestricted.token, other)).await;
        assert_eq!((verdict(&response), left(&response)), ("ALLOWED".into(), vec![]), "{other:?}");
    }
    let denied = ask(server, for_customer(&restricted.token, "another-one")).await;
    assert_eq!(verdict(&denied), "403 CUSTOMER_DENIED");
}

#[tokio::test]
async fn a_customer_of_another_domain_has_limits_of_its_own() {
    let site = Site::shared();
    let server = &site.server;
    let tenant = domain(server, &[]).await;
    let acme = customer(server, &tenant, &[daily("calls", 1)]).await;
    let of_default = made(server, new_key("Elsewhere")).await;
    let response = ask(server, for_customer(&of_default.token, &acme)).await;
    assert_eq!((verdict(&response), left(&response)), ("ALLOWED".into(), vec![]));
    let request = CreateKeyRequest { domain: tenant, ..new_key("Of the tenant") };
    let of_tenant = made(server, request).await;
    let response = ask(server, for_customer(&of_tenant.token, &acme)).await;
    assert_eq!(left(&response), ["customer calls 0"]);
}

#[tokio::test]
async fn a_customer_that_is_deleted_is_not_limited() {
    let site = Site::shared();
    let server = &site.server;
    let acme = customer(server, "", &[daily("calls", 1)]).await;
    let any = made(server, new_key("Any")).await;
    assert_eq!(verdict(&ask(server, for_customer(&any.token, &acme)).await), "ALLOWED");
    let denied = ask(server, for_customer(&any.token, &acme)).await;
    assert_eq!(verdict(&denied), "429 RATE_LIMITED");
    let request = pb::DeleteCustomerRequest { id: acme.clone(), ..Default::default() };
    let deleted = server.access().delete_customer(request).await.unwrap().into_inner();
    knows(server, deleted.revision).await;
    let response = ask(server, for_customer(&any.token, &acme)).await;
    assert_eq!((verdict(&response), left(&response)), ("ALLOWED".into(), vec![]));
}

#[tokio::test]
async fn all_limits_that_apply_hold_together_and_one_name_may_be_in_each_scope() {
    let site = Site::shared();
    let server = &site.server;
    let tenant = domain(server, &[daily("calls", 9)]).await;
    let ida = user(server, &tenant, &[daily("calls", 2)]).await;
    let acme = customer(server, &tenant, &[daily("calls", 7)]).await;
    let request = CreateKeyRequest {
        domain: tenant,
        user: ida,
        ..key_with(&[daily("calls", 4), daily("more", 5)])
    };
    let key = made(server, request).await;
    for _ in 0..2 {
        assert_eq!(verdict(&ask(server, for_customer(&key.token, &acme)).await), "ALLOWED");
    }
    let denied = ask(server, for_customer(&key.token, &acme)).await;
    assert_eq!(verdict(&denied), "429 RATE_LIMITED");
    let expected =
        ["key calls 2", "key more 3", "user calls 0!", "customer calls 5", "domain calls 7"];
    assert_eq!(left(&denied), expected);
}

#[tokio::test]
async fn each_key_of_a_template_has_its_limits_for_itself() {
    let site = Site::shared();
    let server = &site.server;
    let template = pb::Template {
        name: fresh("template"),
        display_name: "Panel".into(),
        required_permissions: vec!["systems.read".into()],
        default_environment: "production".into(),
        limits: vec![daily("calls", 2), daily("more", 5)],
        ..pb::Template::default()
    };
    let name = template.name.clone();
    let request = pb::CreateTemplateRequest { template: Some(template), validate_only: false };
    server.access().create_template(request).await.unwrap();
    let of = |limits: &[Limit]| CreateKeyRequest {
        template: name.clone(),
        limits: limits.to_vec(),
        ..CreateKeyRequest::default()
    };
    let one = made(server, of(&[])).await;
    let other = made(server, of(&[daily("calls", 9)])).await;
    use_up(server, &one.token, 2).await;
    assert_eq!(use_once(server, &one.token).await, "429 RATE_LIMITED");
    assert_eq!(look(server, &one.token).await, ["key calls 0", "key more 3"]);
    assert_eq!(look(server, &other.token).await, ["key calls 9", "key more 5"]);
}
