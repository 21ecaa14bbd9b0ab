//! What restricts a key, and whom it acts for: `CreateKey` and `UpdateKey`.

use keyward::rpc::pb::{self, CreateKeyRequest, Delegation, Key};
use tonic_types::StatusExt;

use super::super::{delete, get, richest_key, texts, update, updated};
use crate::support::{
    client::{Admin, assert_invalid, create, new_admin_key, new_key},
    operator::Site,
};

/// Takes one field of a key into a request.
fn request_with(base: &CreateKeyRequest, path: &str, key: &Key) -> CreateKeyRequest {
    let mut request = base.clone();
    match path {
        "user" => request.user.clone_from(&key.user),
        "groups" => request.groups.clone_from(&key.groups),
        "customers" => request.customers.clone_from(&key.customers),
        "allowed_addresses" => request.allowed_addresses.clone_from(&key.allowed_addresses),
        "denied_addresses" => request.denied_addresses.clone_from(&key.denied_addresses),
        "route_rules" => request.route_rules.clone_from(&key.route_rules),
        "managed_by" => request.managed_by.clone_from(&key.managed_by),
        "delegation" => request.delegation.clone_from(&key.delegation),
        _ => panic!("{path}"),
    }
    request
}

/// Sees one field refused when a key is made and when it is changed, at the same place, for a reason
/// with these words.
async fn refused(
    admin: &mut Admin,
    (base, made): (&CreateKeyRequest, &Key),
    (path, key): (&str, Key),
    [field, words]: [&str; 2],
) {
    let says = |status: &tonic::Status| {
        let details = status.get_error_details();
        let told = details.bad_request().unwrap().field_violations[0].description.clone();
        assert!(told.contains(words), "{field}: {told:?} has no {words:?}");
    };
    for validate_only in [false, true] {
        let request = request_with(base, path, &key);
        let result = admin.create_key(CreateKeyRequest { validate_only, ..request }).await;
        says(result.as_ref().unwrap_err());
        assert_invalid(result, &[field]);
        let key = Key { id: made.id.clone(), ..key.clone() };
        let request = pb::UpdateKeyRequest { validate_only, ..update(key, &[path]) };
        let result = updated(admin, request).await;
        says(result.as_ref().unwrap_err());
        assert_invalid(result, &[&format!("key.{field}")]);
    }
    assert_eq!(get(admin, &made.id).await, *made);
}

fn with(change: impl FnOnce(&mut Key)) -> Key {
    let mut key = Key::default();
    change(&mut key);
    key
}

#[tokio::test]
async fn bad_users_groups_and_customers_are_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let base = richest_key(&site, "Kept").await;
    let made = create(&mut admin, base.clone()).await.key;
    let on = (&base, &made);
    for (user, words) in [
        ("nobody", "must be a user of the key's domain"),
        ("RICH", "must be a user of the key's domain"),
        ("a b", "128 characters"),
        ("ä", "128 characters"),
        (&"a".repeat(129), "128 characters"),
    ] {
        let key = with(|key| key.user = user.into());
        refused(&mut admin, on, ("user", key), ["user", words]).await;
    }
    let eleven: Vec<String> = (0..11).map(|number| format!("g{number}")).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    for (groups, at, words) in [
        (&["rich", "nothing"][..], 1, "must be a permission group of the domain"),
        (&["rich", "other", "rich"], 2, "given twice"),
        (&["Rich"], 0, "a-z"),
        (&["rich", ""], 1, "a-z"),
        (&eleven, 10, "10 at most"),
    ] {
        let key = with(|key| key.groups = texts(groups));
        let field = format!("groups[{at}]");
        refused(&mut admin, on, ("groups", key), [&field, words]).await;
    }
    let long = "a".repeat(129);
    let many: Vec<String> = (0..101).map(|number| format!("c{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (customers, at, words) in [
        (&[""][..], 0, "visible ASCII"),
        (&["a", "a b"], 1, "visible ASCII"),
        (&["ä"], 0, "visible ASCII"),
        (&["a\n"], 0, "visible ASCII"),
        (&[&long], 0, "visible ASCII"),
        (&["a", "b", "a"], 2, "given twice"),
        (&many, 100, "100 at most"),
    ] {
        let key = with(|key| key.customers = texts(customers));
        let field = format!("customers[{at}]");
        refused(&mut admin, on, ("customers", key), [&field, words]).await;
    }
}

#[tokio::test]
async fn bad_addresses_are_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let base = richest_key(&site, "Kept").await;
    let made = create(&mut admin, base.clone()).await.key;
    let many: Vec<String> = (0..101).map(|number| format!("192.0.2.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (list, at, words) in [
        (&["192.0.2.7/24"][..], 0, "192.0.2.0/24 is the network"),
        (&["::/0", "2001:db8::7/32"], 1, "2001:db8::/32 is the network"),
        (&["::ffff:192.0.2.7/120"], 0, "192.0.2.0/24 is the network"),
        (&["192.0.2.7", "192.0.2.7"], 1, "given twice"),
        (&["192.0.2.7", "192.0.2.7/32"], 1, "given twice"),
        (&["192.0.2.7", "::ffff:192.0.2.7"], 1, "given twice"),
        (&["2001:db8::7", "2001:DB8:0::7/128"], 1, "given twice"),
        (&[""], 0, "an address or a network"),
        (&["localhost"], 0, "an address or a network"),
        (&["192.0.2.0/33"], 0, "an address or a network"),
        (&["192.0.2.0/024"], 0, "an address or a network"),
        (&["192.0.2.0/-1"], 0, "an address or a network"),
        (&["192.0.2.0/"], 0, "an address or a network"),
        (&["192.0.2"], 0, "an address or a network"),
        (&["192.0.2.07"], 0, "an address or a network"),
        (&["192.0.2.0/255.255.255.0"], 0, "an address or a network"),
        (&["2001:db8::/129"], 0, "an address or a network"),
        (&["fe80::1%eth0"], 0, "an address or a network"),
        (&["192.0.2.0-192.0.2.9"], 0, "an address or a network"),
        (&[" 192.0.2.7"], 0, "an address or a network"),
        (&many, 100, "100 at most"),
    ] {
        for path in ["allowed_addresses", "denied_addresses"] {
            let key = Key {
                allowed_addresses: texts(list),
                denied_addresses: texts(list),
                ..Key::default()
            };
            let field = format!("{path}[{at}]");
            refused(&mut admin, (&base, &made), (path, key), [&field, words]).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_for_keys_of_a_kind_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let base = richest_key(&site, "Kept").await;
    let made = create(&mut admin, base.clone()).await.key;
    let delegation = Some(Delegation { domains: texts(&["default"]), ceiling: vec![] });
    let key = with(|key| key.delegation = delegation);
    let said = ["delegation", "is for admin keys"];
    refused(&mut admin, (&base, &made), ("delegation", key), said).await;

    let base = new_admin_key("Admin", &["keyward.keys.read"]);
    let made = create(&mut admin, base.clone()).await.key;
    let on = (&base, &made);
    let key = Key {
        user: "rich".into(),
        groups: texts(&["rich"]),
        customers: texts(&["c-1"]),
        route_rules: texts(&["/a"]),
        ..Key::default()
    };
    for (path, field, words) in [
        ("user", "user", "must be a user of the key's domain"),
        ("groups", "groups[0]", "must be a permission group of the domain"),
        ("customers", "customers", "must be empty"),
        ("route_rules", "route_rules", "must be empty"),
    ] {
        refused(&mut admin, on, (path, key.clone()), [field, words]).await;
    }
}

#[tokio::test]
async fn bad_delegations_are_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let base = new_admin_key("Admin", &["keyward.keys.read"]);
    let made = create(&mut admin, base.clone()).await.key;
    let many: Vec<String> = (0..101).map(|number| format!("d{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (domains, ceiling, field, words) in [
        (&[][..], &["a"][..], "domains[0]", "1 to 100 domains"),
        (&["keyward"], &[], "domains[0]", "must not be keyward"),
        (&["default", "default"], &[], "domains[1]", "given twice"),
        (&["default", "no-such"], &[], "domains[1]", "must be a domain that exists"),
        (&["default", "No"], &[], "domains[1]", "a-z"),
        (&many, &[], "domains[100]", "1 to 100 domains"),
        (&["default"], &["a", "A"], "ceiling[1]", "a-z"),
        (&["default"], &["a", "a"], "ceiling[1]", "given twice"),
    ] {
        let delegation = Delegation { domains: texts(domains), ceiling: texts(ceiling) };
        let key = with(|key| key.delegation = Some(delegation));
        let field = format!("delegation.{field}");
        refused(&mut admin, (&base, &made), ("delegation", key), [&field, words]).await;
    }
}

#[tokio::test]
async fn a_manager_must_be_an_admin_key() {
    let site = Site::shared();
    let mut admin = site.admin();
    let base = richest_key(&site, "Kept").await;
    let made = create(&mut admin, base.clone()).await.key;
    let gone = create(&mut admin, new_admin_key("Gone", &[])).await.key;
    delete(&mut admin, &gone.id, "Gone").await.unwrap();
    let manager = create(&mut admin, new_admin_key("Manager", &[])).await.key;
    let unknown = "key_00000000000000000000000000";
    for id in ["x", "root", "bootstrap", "key_", unknown, &made.id, &gone.id, &manager.id] {
        let request = CreateKeyRequest { managed_by: id.into(), ..base.clone() };
        assert_invalid(admin.create_key(request).await, &["managed_by"]);
        if id == manager.id {
            continue; // to make a key for another manager is refused, to hand one over is not
        }
        let key = Key { id: made.id.clone(), managed_by: id.into(), ..Key::default() };
        let result = updated(&mut admin, update(key, &["managed_by"])).await;
        assert_invalid(result, &["key.managed_by"]);
    }
    assert_eq!(get(&mut admin, &made.id).await, made);
}

#[tokio::test]
async fn the_bounds_of_what_restricts_a_key_are_taken() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut access = site.server.access();
    let names: Vec<String> = (0..10).map(|number| format!("bound-{number}")).collect();
    for name in &names {
        let group = pb::PermissionGroup {
            name: name.clone(),
            display_name: "Group".into(),
            ..pb::PermissionGroup::default()
        };
        let group = Some(group);
        let request = pb::CreatePermissionGroupRequest { group, validate_only: false };
        access.create_permission_group(request).await.unwrap();
    }
    let id = format!("A.b_c@d+e:f-{}", "9".repeat(116));
    let user = pb::User {
        id: id.clone(),
        kind: pb::UserKind::Service.into(),
        display_name: "User".into(),
        ..pb::User::default()
    };
    let request = pb::CreateUserRequest { user: Some(user), validate_only: false };
    access.create_user(request).await.unwrap();
    let widest = CreateKeyRequest {
        user: id,
        groups: names,
        customers: (0..100).map(|number| format!("{number:~>128}")).collect(),
        allowed_addresses: (1..101).map(|number| format!("2001:db8::{number}")).collect(),
        denied_addresses: (0..100).map(|number| format!("192.0.2.{number}")).collect(),
        ..new_key("Widest")
    };
    let made = create(&mut admin, widest.clone()).await.key;
    for key in [made.clone(), get(&mut admin, &made.id).await] {
        let kept = CreateKeyRequest {
            user: key.user,
            groups: key.groups,
            customers: key.customers,
            allowed_addresses: key.allowed_addresses,
            denied_addresses: key.denied_addresses,
            ..new_key("Widest")
        };
        assert_eq!(kept, widest);
    }
    // networks are kept in one form
    let request = CreateKeyRequest {
        allowed_addresses: texts(&["192.0.2.7/32", "::ffff:198.51.100.0/120", "2001:DB8:0::/32"]),
        ..new_key("Networks")
    };
    let made = create(&mut admin, request).await.key;
    assert_eq!(made.allowed_addresses, ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]);
}
