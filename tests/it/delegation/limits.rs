//! Limits: a delegated admin sets those of what is in its domains, and none of a domain itself.

use keyward::rpc::pb::{
    self, AdjustQuotaRequest, LimitOwner, adjust_quota_request::Adjustment,
    limit_owner::Thing as LimitedThing,
};

use super::{
    CEILED, ELSEWHERE, FOREIGN, GLOBAL, MANAGED, OWN, World, change, key_in, mask, question,
    update, user,
};
use crate::support::{client::create, limits::daily};

fn much() -> Vec<pb::Limit> {
    vec![daily("much", 9)]
}

fn customer(domain: &str, id: &str) -> pb::Customer {
    pb::Customer {
        domain: domain.into(),
        id: id.into(),
        display_name: id.into(),
        limits: much(),
        ..pb::Customer::default()
    }
}

fn owner(domain: &str, thing: Option<LimitedThing>) -> LimitOwner {
    LimitOwner { domain: domain.into(), thing }
}

fn adjustment(owner: &LimitOwner, validate_only: bool) -> AdjustQuotaRequest {
    AdjustQuotaRequest {
        owner: Some(owner.clone()),
        quota: "much".into(),
        adjustment: Some(Adjustment::AddCredits(5)),
        validate_only,
    }
}

impl World {
    /// Gives a domain limits, and makes in it a key, a user and a customer with limits.
    async fn limited(&mut self, domain: &str) -> [LimitOwner; 4] {
        let request = pb::UpdateDomainRequest {
            domain: Some(pb::Domain {
                name: domain.into(),
                limits: much(),
                ..pb::Domain::default()
            }),
            update_mask: mask(&["limits"]),
            validate_only: false,
        };
        self.root_access.update_domain(request).await.unwrap();
        let request =
            pb::CreateKeyRequest { limits: much(), ..key_in(domain, "Limited", &["systems.read"]) };
        let id = create(&mut self.root, request).await.key.id;
        self.root_user(pb::User { limits: much(), ..user(domain, "limited", &[], &[]) }).await;
        let request = pb::CreateCustomerRequest {
            customer: Some(customer(domain, "limited")),
            validate_only: false,
        };
        self.root_access.create_customer(request).await.unwrap();
        [
            owner("", Some(LimitedThing::KeyId(id))),
            owner(domain, Some(LimitedThing::User("limited".into()))),
            owner(domain, Some(LimitedThing::Customer("limited".into()))),
            owner(domain, None),
        ]
    }
}

/// How refusals name something that has limits.
fn noted(owner: &LimitOwner) -> String {
    let domain = &owner.domain;
    match &owner.thing {
        Some(LimitedThing::KeyId(id)) => format!("key {id} much"),
        Some(LimitedThing::User(id)) => format!("user {domain}/{id} much"),
        Some(LimitedThing::Customer(id)) => format!("customer {domain}/{id} much"),
        None => format!("domain {domain} much"),
    }
}

#[tokio::test]
async fn customers_and_quotas_of_other_domains_are_out_of_reach() {
    let mut world = World::start().await;
    let owners = world.limited(FOREIGN).await;
    let access = &world.access;
    let theirs = || Some(customer(FOREIGN, "limited"));
    let (domain, id) = (|| String::from(FOREIGN), || String::from("limited"));
    let get = pb::GetCustomerRequest { domain: domain(), id: id() };
    let list = pb::ListCustomersRequest { domain: domain(), ..Default::default() };
    let mut attempts = vec![
        question!("get", access, get_customer, get, ELSEWHERE),
        question!("list", access, list_customers, list, ELSEWHERE),
    ];
    for validate_only in [true, false] {
        let new =
            pb::CreateCustomerRequest { customer: Some(customer(FOREIGN, "new")), validate_only };
        let edit = pb::UpdateCustomerRequest {
            customer: theirs(),
            update_mask: mask(&["limits"]),
            validate_only,
        };
        let gone = pb::DeleteCustomerRequest {
            domain: domain(),
            id: id(),
            etag: String::new(),
            validate_only,
        };
        let (made, there) = ("rival/new", "rival/limited");
        attempts.extend([
            change!("make", access, create_customer, new, ELSEWHERE, "customers.create", made),
            change!("edit", access, update_customer, edit, ELSEWHERE, "customers.update", there),
            change!("delete", access, delete_customer, gone, ELSEWHERE, "customers.delete", there),
        ]);
    }
    for owner in owners {
        let asked = pb::GetQuotaUsageRequest { owner: Some(owner.clone()) };
        attempts.push(question!("get usage", access, get_quota_usage, asked, ELSEWHERE));
        for validate_only in [true, false] {
            let sent = adjustment(&owner, validate_only);
            // limits of domains are nobody's who has but some
            let reason = if owner.thing.is_none() { GLOBAL } else { ELSEWHERE };
            let (action, subject) = ("quotas.adjust", noted(&owner));
            attempts.push(change!("adjust", access, adjust_quota, sent, reason, action, subject));
        }
    }
    world.assert_refused(attempts).await;
}

#[tokio::test]
async fn limits_of_a_domain_are_not_those_of_who_is_bound_to_it() {
    let mut world = World::start().await;
    let [.., domain] = world.limited(OWN).await;
    let access = &world.access;
    let mut attempts = vec![];
    for limits in [vec![], vec![daily("much", 10)], vec![daily("more", 9)]] {
        for validate_only in [true, false] {
            let limited =
                pb::Domain { name: OWN.into(), limits: limits.clone(), ..pb::Domain::default() };
            let request = pb::UpdateDomainRequest {
                domain: Some(limited),
                update_mask: mask(&["limits", "description"]),
                validate_only,
            };
            let action = "domains.update";
            attempts.push(change!("edit", access, update_domain, request, GLOBAL, action, OWN));
        }
    }
    for validate_only in [true, false] {
        let sent = adjustment(&domain, validate_only);
        let (action, subject) = ("quotas.adjust", "domain acme much");
        attempts.push(change!("adjust", access, adjust_quota, sent, GLOBAL, action, subject));
    }
    // templates are everybody's
    let template = Some(pb::Template {
        name: "booking-panel".into(),
        limits: much(),
        ..pb::Template::default()
    });
    let update_mask = mask(&["limits"]);
    let request = pb::UpdateTemplateRequest { template, update_mask, validate_only: false };
    let (action, subject) = ("templates.update", "booking-panel");
    attempts.push(change!("template", access, update_template, request, GLOBAL, action, subject));
    world.assert_refused(attempts).await;

    // what it may: to read them, and to change all else
    let request = pb::GetQuotaUsageRequest { owner: Some(domain) };
    let told = world.access.get_quota_usage(request).await.unwrap().into_inner().quotas;
    assert_eq!(told.len(), 1);
    let described = pb::Domain {
        name: OWN.into(),
        description: "Ours.".into(),
        limits: much(),
        ..pb::Domain::default()
    };
    let request = pb::UpdateDomainRequest {
        domain: Some(described),
        update_mask: mask(&["limits", "description"]),
        validate_only: false,
    };
    let shown = world.access.update_domain(request).await.unwrap().into_inner().domain.unwrap();
    assert_eq!((shown.description.as_str(), shown.limits), ("Ours.", much()));
}

#[tokio::test]
async fn it_limits_what_is_in_its_domains() {
    let mut world = World::start().await;
    let owners = world.limited(OWN).await;
    let (mut access, mut keys) = (world.access.clone(), world.keys.clone());
    let request =
        pb::CreateCustomerRequest { customer: Some(customer(OWN, "new")), validate_only: false };
    let new = access.create_customer(request).await.unwrap().into_inner().customer.unwrap();
    let request = pb::ListCustomersRequest::default();
    world.limited(FOREIGN).await;
    let all = access.list_customers(request).await.unwrap().into_inner().customers;
    let ids: Vec<_> = all.iter().map(|it| (it.domain.as_str(), it.id.as_str())).collect();
    assert_eq!(ids, [(OWN, "limited"), (OWN, "new")]);
    let request = pb::UpdateCustomerRequest {
        customer: Some(pb::Customer { limits: vec![], ..new.clone() }),
        update_mask: mask(&["limits"]),
        validate_only: false,
    };
    access.update_customer(request).await.unwrap();
    let request =
        pb::DeleteCustomerRequest { domain: OWN.into(), id: "new".into(), ..Default::default() };
    access.delete_customer(request).await.unwrap();
    for owner in &owners[..3] {
        let shown = access.adjust_quota(adjustment(owner, false)).await.unwrap().into_inner();
        assert_eq!(shown.quota.unwrap().credits, 5);
    }
    let request = pb::CreateKeyRequest { limits: much(), ..key_in(OWN, "New", &["systems.read"]) };
    let made = create(&mut keys, request).await.key;
    let none = update(&made.id, pb::Key::default(), &["limits"]);
    let shown = keys.update_key(none).await.unwrap().into_inner().key.unwrap();
    assert_eq!(shown.limits, []);
    assert_eq!(world.all_refusals().await, 0);
}

#[tokio::test]
async fn the_quota_of_a_key_that_another_manages_is_not_adjusted() {
    let mut world = World::start().await;
    let request = pb::CreateKeyRequest {
        limits: much(),
        managed_by: world.root_id.clone(),
        ..key_in(OWN, "Managed", &["systems.read"])
    };
    let id = create(&mut world.root, request).await.key.id;
    let owner = owner("", Some(LimitedThing::KeyId(id)));
    let (sent, subject) = (adjustment(&owner, false), noted(&owner));
    let access = &world.access;
    let attempt = change!("adjust", access, adjust_quota, sent, MANAGED, "quotas.adjust", subject);
    world.assert_refused(vec![attempt]).await;
}

#[tokio::test]
async fn what_may_more_than_the_ceiling_keeps_its_quotas() {
    let mut world = World::start().await;
    let request = pb::CreateKeyRequest { limits: much(), ..key_in(OWN, "Strong", &["control"]) };
    let strong = create(&mut world.root, request).await.key.id;
    let request = pb::CreateKeyRequest {
        limits: much(),
        user: "boss".into(),
        ..key_in(OWN, "The boss's", &[])
    };
    let of_boss = create(&mut world.root, request).await.key.id;
    for id in ["boss", "heir"] {
        let request = pb::UpdateUserRequest {
            user: Some(pb::User { limits: much(), ..user(OWN, id, &[], &[]) }),
            update_mask: mask(&["limits"]),
            validate_only: false,
        };
        world.root_access.update_user(request).await.unwrap();
    }
    let user = |id: &str| owner(OWN, Some(LimitedThing::User(id.into())));
    let key = |id: String| owner("", Some(LimitedThing::KeyId(id)));
    let mut attempts = vec![];
    for owner in [key(strong), key(of_boss), user("boss"), user("heir")] {
        for validate_only in [true, false] {
            let sent = adjustment(&owner, validate_only);
            let (action, subject) = ("quotas.adjust", noted(&owner));
            let access = &world.access;
            attempts.push(change!("adjust", access, adjust_quota, sent, CEILED, action, subject));
        }
    }
    world.assert_refused(attempts).await;
}
