//! Quotas: whose they are decides what reading and adjusting them takes.

use keyward::rpc::pb::{
    self, AdjustQuotaRequest, GetQuotaUsageRequest, LimitOwner, adjust_quota_request::Adjustment,
    limit_owner::Thing as LimitedThing,
};
use tonic::{Code, Status};

use super::{Thing, key, key_of, made, quotas::used};
use crate::support::{
    client::{Access, assert_not_permitted, assert_outranks, assert_status, create, new_admin_key},
    limits::daily,
    operator::Site,
};

async fn get(access: &mut Access, owner: &LimitOwner) -> Result<(), Status> {
    let owner = Some(owner.clone());
    access.get_quota_usage(GetQuotaUsageRequest { owner }).await.map(drop)
}

async fn adjust(
    access: &mut Access,
    owner: &LimitOwner,
    validate_only: bool,
) -> Result<(), Status> {
    let request = AdjustQuotaRequest {
        owner: Some(owner.clone()),
        quota: "much".into(),
        adjustment: Some(Adjustment::Used(1)),
        validate_only,
    };
    access.adjust_quota(request).await.map(drop)
}

/// Something of each kind with a quota, and the noun of the permissions on it.
async fn owners(site: &Site) -> [(LimitOwner, &'static str); 5] {
    let limits = vec![daily("much", 9)];
    let ordinary = pb::CreateKeyRequest { limits: limits.clone(), ..key_of("default") };
    let ordinary = key(site, ordinary).await.key.id;
    let admin = pb::CreateKeyRequest { limits, ..new_admin_key("Limited", &[]) };
    let admin = key(site, admin).await.key.id;
    let domain = made(site, pb::Domain::whole(site).await).await.name;
    let user = made(site, pb::User::whole(site).await).await;
    let customer = made(site, pb::Customer::whole(site).await).await;
    let owner = |domain, thing| LimitOwner { domain, thing };
    [
        (owner(String::new(), Some(LimitedThing::KeyId(ordinary))), "keys"),
        (owner(String::new(), Some(LimitedThing::KeyId(admin))), "admins"),
        (owner(domain, None), "domains"),
        (owner(user.domain, Some(LimitedThing::User(user.id))), "users"),
        (owner(customer.domain, Some(LimitedThing::Customer(customer.id))), "customers"),
    ]
}

/// A client with all permissions on things that have limits but for this one.
async fn all_but(site: &Site, left_out: &str) -> Access {
    let mut all = vec![];
    for noun in ["keys", "admins", "domains", "users", "customers"] {
        for verb in ["read", "write", "delete", "revoke"] {
            all.push(format!("keyward.{noun}.{verb}"));
        }
    }
    let no_revoke = ["domains", "users", "customers"].map(|noun| format!("keyward.{noun}.revoke"));
    all.retain(|permission| permission != left_out && !no_revoke.contains(permission));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    site.server.access_as(&site.operator(&all).await.made.token)
}

#[tokio::test]
async fn quotas_take_exactly_the_permission_that_is_needed_for_what_has_them() {
    let site = Site::shared();
    for (owner, noun) in owners(&site).await {
        let [read, write] = ["read", "write"].map(|verb| format!("keyward.{noun}.{verb}"));
        assert_not_permitted(get(&mut all_but(&site, &read).await, &owner).await, &read);
        let without = &mut all_but(&site, &write).await;
        for validate_only in [true, false] {
            assert_not_permitted(adjust(without, &owner, validate_only).await, &write);
        }
        assert_eq!(used(&site, &owner).await, [0], "{noun}");

        let reader = site.operator(&[&read]).await.made.token;
        let reader = &mut site.server.access_as(&reader);
        get(reader, &owner).await.unwrap();
        // who writes no keys at all is not told whose this one is
        let named = if noun == "admins" { "keyward.keys.write" } else { &write };
        assert_not_permitted(adjust(reader, &owner, false).await, named);
        let writer = site.operator(&[&write]).await.made.token;
        let writer = &mut site.server.access_as(&writer);
        let named = if noun == "admins" { "keyward.keys.read" } else { &read };
        assert_not_permitted(get(writer, &owner).await, named);
        adjust(writer, &owner, true).await.unwrap();
        assert_eq!(used(&site, &owner).await, [0], "{noun}");
        adjust(writer, &owner, false).await.unwrap();
        assert_eq!(used(&site, &owner).await, [1], "{noun}");
    }
}

#[tokio::test]
async fn who_has_no_right_to_it_does_not_learn_whether_a_thing_is_there() {
    let site = Site::shared();
    let token = site.operator(&["keyward.groups"]).await.made.token;
    let nobody = &mut site.server.access_as(&token);
    let owner = |thing| LimitOwner { domain: String::new(), thing: Some(thing) };
    for (owner, noun) in [
        (owner(LimitedThing::KeyId("key_00000000000000000000000000".into())), "keys"),
        (owner(LimitedThing::User("nobody".into())), "users"),
        (owner(LimitedThing::Customer("nobody".into())), "customers"),
        (LimitOwner { domain: "nowhere".into(), thing: None }, "domains"),
    ] {
        assert_not_permitted(get(nobody, &owner).await, &format!("keyward.{noun}.read"));
        let refused = adjust(nobody, &owner, false).await;
        assert_not_permitted(refused, &format!("keyward.{noun}.write"));
    }
}

#[tokio::test]
async fn the_quota_of_a_key_with_a_manager_is_adjusted_by_that_one_alone() {
    let site = Site::shared();
    let manager = site.operator(&["keyward.keys"]).await.made;
    let request = pb::CreateKeyRequest {
        limits: vec![daily("much", 9)],
        managed_by: manager.key.id.clone(),
        ..key_of("default")
    };
    let id = create(&mut site.server.admin_as(&manager.token), request).await.key.id;
    let owner = LimitOwner { domain: String::new(), thing: Some(LimitedThing::KeyId(id)) };
    let root = &mut site.server.access();
    get(root, &owner).await.unwrap();
    for validate_only in [true, false] {
        let refused = adjust(root, &owner, validate_only).await;
        assert_status(refused, Code::PermissionDenied, "MANAGED_BY_ANOTHER");
    }
    assert_eq!(used(&site, &owner).await, [0]);
    adjust(&mut site.server.access_as(&manager.token), &owner, false).await.unwrap();
    assert_eq!(used(&site, &owner).await, [1]);
}

#[tokio::test]
async fn nobody_adjusts_the_quota_of_an_admin_key_that_may_do_more() {
    let site = Site::shared();
    let limits = vec![daily("much", 9)];
    let above = pb::CreateKeyRequest { limits, ..new_admin_key("Above", &["keyward.domains"]) };
    let id = key(&site, above).await.key.id;
    let owner = LimitOwner { domain: String::new(), thing: Some(LimitedThing::KeyId(id)) };
    let token = site.operator(&["keyward.admins"]).await.made.token;
    let below = &mut site.server.access_as(&token);
    get(below, &owner).await.unwrap();
    assert_outranks(adjust(below, &owner, true).await);
    assert_outranks(adjust(below, &owner, false).await);
    assert_eq!(used(&site, &owner).await, [0]);
}

#[tokio::test]
async fn a_refused_adjustment_is_noted_with_who_tried() {
    let site = Site::shared();
    let reader = site.operator(&["keyward.customers.read"]).await.made;
    let customer = made(&site, pb::Customer::whole(&site).await).await;
    let thing = Some(LimitedThing::Customer(customer.id.clone()));
    let owner = LimitOwner { domain: String::new(), thing };
    let refused = adjust(&mut site.server.access_as(&reader.token), &owner, false).await;
    assert_not_permitted(refused, "keyward.customers.write");
    let query = "SELECT action, first_subject FROM keyward.refusal WHERE actor = $1";
    let database = site.database.connect().await;
    let row = database.query_one(query, &[&reader.key.id]).await.unwrap();
    let noted: (String, String) = (row.get("action"), row.get("first_subject"));
    let subject = format!("customer default/{} much", customer.id);
    assert_eq!(noted, ("quotas.adjust".into(), subject));
}
