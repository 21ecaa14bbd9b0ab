//! Limits of what keys share, and of templates.

use keyward::rpc::pb;

use super::{Thing, fresh, get_key, key, made};
use crate::support::{
    client::assert_invalid,
    limits::{daily, extreme, of_each_kind, rate, slots, span},
    operator::Site,
};

trait Limited: Thing {
    fn limits(&mut self) -> &mut Vec<pb::Limit>;
}

macro_rules! limited {
    ($($name:ident $thing:ident;)*) => {$(
        impl Limited for pb::$thing {
            fn limits(&mut self) -> &mut Vec<pb::Limit> {
                &mut self.limits
            }
        }

        #[tokio::test]
        async fn $name() {
            bounds::<pb::$thing>().await;
        }
    )*};
}

limited! {
    every_bound_of_a_limit_of_a_domain_is_taken_and_shown Domain;
    every_bound_of_a_limit_of_a_user_is_taken_and_shown User;
    every_bound_of_a_limit_of_a_template_is_taken_and_shown Template;
    every_bound_of_a_limit_of_a_customer_is_taken_and_shown Customer;
}

async fn bounds<T: Limited>() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut there = made(&site, T::whole(&site).await).await;
    let plain = vec![rate("plain", 90, span(60, 0), 0)];
    let shown_plain = vec![rate("plain", 90, span(60, 0), 90)];
    let same = extreme().into_iter().map(|limits| (limits.clone(), limits));
    for (limits, expected) in same.chain([(plain, shown_plain)]) {
        let mut new = T::whole(&site).await;
        new.limits().clone_from(&limits);
        let mut shown = made(&site, new).await;
        assert_eq!(*shown.limits(), expected);
        assert_eq!(shown.get(access).await.unwrap(), shown);
        there.limits().clone_from(&limits);
        let (mut shown, _) = there.update(access, &["limits"], false).await.unwrap();
        assert_eq!(*shown.limits(), expected);
        assert_eq!(shown.get(access).await.unwrap(), shown);
        there = shown;
    }
}

#[tokio::test]
async fn the_domain_of_admin_keys_has_no_limits() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let name = pb::Domain { name: "keyward".into(), ..pb::Domain::default() };
    let before = name.get(access).await.unwrap();
    for validate_only in [true, false] {
        let limited = pb::Domain { limits: vec![daily("all", 1)], ..name.clone() };
        let result = limited.update(access, &["limits"], validate_only).await;
        assert_invalid(result, &["domain.limits"]);
        name.update(access, &["limits"], validate_only).await.unwrap();
    }
    assert_eq!(name.get(access).await.unwrap().limits, before.limits);
    assert_eq!(before.limits, []);
}

/// A request for a key of a template with these limits.
async fn of_template(site: &Site, limits: Vec<pb::Limit>) -> pb::CreateKeyRequest {
    let template = pb::Template { limits, ..pb::Template::whole(site).await };
    let template = made(site, template).await.name;
    pb::CreateKeyRequest { template, ..pb::CreateKeyRequest::default() }
}

#[tokio::test]
async fn a_key_has_the_limits_of_its_template() {
    let site = Site::shared();
    let request = of_template(&site, of_each_kind()).await;
    let made = key(&site, request).await.key;
    assert_eq!(made.limits, of_each_kind());
    assert_eq!(get_key(&site, &made.id).await, made);
}

#[tokio::test]
async fn a_limit_of_the_key_stands_for_one_of_the_template_that_has_its_name() {
    let site = Site::shared();
    let request = of_template(&site, of_each_kind()).await;
    // of another kind, too
    let own = vec![slots("often", 3), daily("own", 5)];
    let request = pb::CreateKeyRequest { limits: own.clone(), ..request };
    let tried = pb::CreateKeyRequest { validate_only: true, ..request.clone() };
    let tried = site.admin().create_key(tried).await.unwrap().into_inner().key.unwrap();
    let made = key(&site, request).await.key;
    let [_, much, at_once] = of_each_kind().try_into().unwrap();
    let expected = [own, vec![much, at_once]].concat();
    assert_eq!(made.limits, expected);
    assert_eq!(tried.limits, expected);
    assert_eq!(get_key(&site, &made.id).await, made);
}

#[tokio::test]
async fn more_than_eight_limits_together_with_those_of_the_template_are_refused() {
    let site = Site::shared();
    let named = |names: std::ops::Range<i64>| -> Vec<_> {
        names.map(|number| daily(&format!("a{number}"), number)).collect()
    };
    let request = of_template(&site, named(0..5)).await;
    for (own, fits) in [
        (named(5..8), true),
        (named(5..9), false),
        // what is there twice counts once
        (named(0..8), true),
        (named(4..9), false),
        (named(2..8), true),
    ] {
        let request = pb::CreateKeyRequest { limits: own, ..request.clone() };
        for validate_only in [true, false] {
            let request = pb::CreateKeyRequest { validate_only, ..request.clone() };
            let result = site.admin().create_key(request).await;
            if fits {
                assert_eq!(result.unwrap().into_inner().key.unwrap().limits.len(), 8);
            } else {
                assert_invalid(result, &["limits"]);
            }
        }
    }
}

#[tokio::test]
async fn a_template_whose_limits_change_leaves_its_keys_as_they_are() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let request = of_template(&site, of_each_kind()).await;
    let before = key(&site, request.clone()).await.key;
    let none = pb::Template { name: request.template.clone(), ..pb::Template::default() };
    none.update(access, &["limits"], false).await.unwrap();
    assert_eq!(get_key(&site, &before.id).await, before);
    assert_eq!(key(&site, request).await.key.limits, []);
}

#[tokio::test]
async fn lists_show_limits() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = made(&site, pb::Domain::whole(&site).await).await;
    let name = &domain.name;
    let user = pb::User { domain: name.clone(), groups: vec![], ..pb::User::whole(&site).await };
    let user = made(&site, user).await;
    let customer = pb::Customer { domain: name.clone(), ..pb::Customer::whole(&site).await };
    let customer = made(&site, customer).await;
    let template = pb::Template { name: fresh("listed"), ..pb::Template::whole(&site).await };
    let template = made(&site, template).await;

    let request = pb::ListDomainsRequest { search: name.clone(), ..Default::default() };
    let found = access.list_domains(request).await.unwrap().into_inner().domains;
    assert!(found.contains(&domain));
    let request = pb::ListUsersRequest { domain: name.clone(), ..Default::default() };
    assert_eq!(access.list_users(request).await.unwrap().into_inner().users, [user]);
    let request = pb::ListCustomersRequest { domain: name.clone(), ..Default::default() };
    assert_eq!(access.list_customers(request).await.unwrap().into_inner().customers, [customer]);
    let request = pb::ListTemplatesRequest { search: template.name.clone(), ..Default::default() };
    let found = access.list_templates(request).await.unwrap().into_inner().templates;
    assert!(found.contains(&template));
}
