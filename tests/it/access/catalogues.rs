//! Catalogues: kept whole, and what they keep out.

use std::collections::BTreeMap;

use keyward::rpc::pb;
use serde_json::{Value, json};
use tonic::Code;

use super::{
    Answer, Thing, domain, events, get_key, group_of, key, key_of, made, texts, update_key, user_of,
};
use crate::support::{
    client::{Access, assert_invalid, assert_status},
    operator::Site,
};

fn entry(name: &str) -> pb::CataloguePermission {
    pb::CataloguePermission {
        name: name.into(),
        display_name: format!("To {name}"),
        description: "Line one.\nLine two.".into(),
    }
}

fn catalogue(domain: &str, names: &[&str]) -> pb::Catalogue {
    let permissions = names.iter().map(|name| entry(name)).collect();
    pb::Catalogue { domain: domain.into(), permissions, etag: String::new() }
}

async fn set(
    access: &mut Access,
    catalogue: &pb::Catalogue,
    validate_only: bool,
) -> Answer<pb::Catalogue> {
    let catalogue = Some(catalogue.clone());
    let request = pb::UpdateCatalogueRequest { catalogue, validate_only };
    let response = access.update_catalogue(request).await?.into_inner();
    Ok((response.catalogue.unwrap(), response.revision))
}

async fn get(access: &mut Access, domain: &str) -> Result<pb::Catalogue, tonic::Status> {
    let request = pb::GetCatalogueRequest { domain: domain.into() };
    Ok(access.get_catalogue(request).await?.into_inner().catalogue.unwrap())
}

fn snapshot(catalogue: &pb::Catalogue, version: i64) -> Value {
    let shown = catalogue.permissions.iter().map(|entry| {
        json!({
            "name": entry.name,
            "display_name": entry.display_name,
            "description": entry.description,
        })
    });
    json!({ "permissions": shown.collect::<Vec<_>>(), "version": version })
}

#[tokio::test]
async fn a_catalogue_is_replaced_whole_and_leaves_a_trace_if_it_changes() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let empty = get(access, domain).await.unwrap();
    assert_eq!(empty, pb::Catalogue { etag: empty.etag.clone(), ..catalogue(domain, &[]) });
    assert_ne!(empty.etag, "");

    let wanted = catalogue(domain, &["systems", "doors.open", "a-b_c.d"]);
    let (shown, _) = set(access, &wanted, true).await.unwrap();
    assert_eq!(shown.permissions, wanted.permissions);
    assert_eq!(get(access, domain).await.unwrap(), empty);
    assert_eq!(events(&site, "catalogue", domain).await, []);

    let sent = pb::Catalogue { etag: empty.etag.clone(), ..wanted.clone() };
    let (first, revision) = set(access, &sent, false).await.unwrap();
    assert_eq!(first, pb::Catalogue { etag: first.etag.clone(), ..wanted.clone() });
    assert_ne!(first.etag, empty.etag);
    assert_eq!(get(access, domain).await.unwrap(), first);
    let action = String::from("catalogues.update");
    let change = |revision, before, after| (action.clone(), revision, Some(before), Some(after));
    let mut changes = vec![change(revision, snapshot(&empty, 1), snapshot(&first, 2))];
    assert_eq!(events(&site, "catalogue", domain).await, changes);

    let (again, _) = set(access, &wanted, false).await.unwrap();
    assert_eq!(again, first);
    for validate_only in [true, false] {
        let stale = set(access, &sent, validate_only).await;
        assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(events(&site, "catalogue", domain).await, changes);

    let fewer = catalogue(domain, &["a-b_c.d"]);
    let (second, revision) = set(access, &fewer, false).await.unwrap();
    assert_eq!(second.permissions, fewer.permissions);
    assert_eq!(get(access, domain).await.unwrap(), second);
    changes.push(change(revision, snapshot(&first, 2), snapshot(&second, 3)));
    let (none, revision) = set(access, &catalogue(domain, &[]), false).await.unwrap();
    assert_eq!(none.permissions, []);
    changes.push(change(revision, snapshot(&second, 3), snapshot(&none, 4)));
    assert_eq!(events(&site, "catalogue", domain).await, changes);
}

#[tokio::test]
async fn a_catalogue_takes_permissions_without_wildcards_once_each() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let at = |position: usize, part: &str| format!("catalogue.permissions[{position}]{part}");
    for name in ["", "*", "a.*", "A", "a..b", "a b", "public.admin", &"a".repeat(201)] {
        let mut bad = catalogue(domain, &["fine", name]);
        bad.permissions[1].display_name = "Fine".into();
        assert_invalid(set(access, &bad, false).await, &[&at(1, ".name")]);
    }
    for text in ["", " a", "a\nb", &"é".repeat(101)] {
        let mut bad = catalogue(domain, &["a"]);
        bad.permissions[0].display_name = text.into();
        assert_invalid(set(access, &bad, false).await, &[&at(0, ".display_name")]);
    }
    let mut bad = catalogue(domain, &["a"]);
    bad.permissions[0].description = "é".repeat(1001);
    assert_invalid(set(access, &bad, false).await, &[&at(0, ".description")]);
    assert_invalid(set(access, &catalogue(domain, &["a", "b", "a"]), false).await, &[&at(2, "")]);
    assert_invalid(set(access, &catalogue("A", &[]), false).await, &["catalogue.domain"]);

    // everything at once, each by its own position
    let mut worst = catalogue("A", &["A", "b", "A", "b"]);
    worst.permissions[0].display_name = String::new();
    worst.permissions[0].description = "\0".into();
    worst.etag = "x".repeat(65);
    let told = [
        "catalogue.domain",
        "catalogue.etag",
        &at(0, ".display_name"),
        &at(0, ".description"),
        &at(0, ".name"),
        &at(2, ".name"),
        &at(3, ""),
    ];
    assert_invalid(set(access, &worst, false).await, &told);

    let names: Vec<_> = (0..1001).map(|number| format!("word{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let too_many = catalogue(domain, &names);
    assert_invalid(set(access, &too_many, false).await, &[&at(1000, "")]);
    assert_eq!(get(access, domain).await.unwrap().permissions, []);
    let most = catalogue(domain, &names[..1000]);
    assert_eq!(set(access, &most, false).await.unwrap().0.permissions, most.permissions);
}

#[tokio::test]
async fn only_domains_of_keys_have_a_catalogue() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let of_admins = catalogue("keyward", &["a"]);
    assert_invalid(set(access, &of_admins, false).await, &["catalogue.domain"]);
    assert_eq!(get(access, "keyward").await.unwrap().permissions, []);
    let nowhere = catalogue("nowhere", &["a"]);
    assert_status(set(access, &nowhere, false).await, Code::NotFound, "DOMAIN_NOT_FOUND");
    assert_status(get(access, "nowhere").await, Code::NotFound, "DOMAIN_NOT_FOUND");
    // an empty name is that of the default domain
    assert_eq!(get(access, "").await.unwrap().domain, "default");
    let tried = set(access, &catalogue("", &["a"]), true).await.unwrap().0;
    assert_eq!(tried.domain, "default");
}

#[tokio::test]
async fn what_is_outside_of_a_catalogue_is_given_to_nobody() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut admin = site.admin();
    let domain = &domain(&site).await;
    // given before there was a catalogue
    let old = ["old.read", "systems.read"];
    let mut old_group = made(&site, group_of(domain, &old)).await;
    let mut old_user = made(&site, user_of(domain, &old)).await;
    let request = pb::CreateKeyRequest { permissions: texts(&old), ..key_of(domain) };
    let old_key = key(&site, request).await;
    set(access, &catalogue(domain, &["systems", "doors.open"]), false).await.unwrap();

    for (given, outside) in [
        (["systems", "systems.read"], None),
        (["systems.write", "doors.open"], None),
        (["*", "*.read"], None),
        (["public", "public.read"], None),
        (["doors", "*.open"], None),
        (["doors.*", "systems.*"], None),
        (["systems", "door"], Some(1)),
        (["doors.close", "systems"], Some(0)),
        (["doors.read", "systems.admin"], Some(0)),
        (["doors.open", "systems.read.all"], Some(1)),
        (["doors.open", "*.close"], Some(1)),
        (["old.read", "systems"], Some(0)),
    ] {
        let told = |prefix: &str| outside.map(|at| format!("{prefix}permissions[{at}]"));
        let check = |result: Result<(), tonic::Status>, prefix: &str| match told(prefix) {
            Some(field) => assert_invalid(result, &[&field]),
            None => assert!(result.is_ok(), "{given:?}: {result:?}"),
        };
        let group = group_of(domain, &given);
        check(group.create(access, false).await.map(drop), "group.");
        old_group.permissions = texts(&given);
        check(old_group.update(access, &["permissions"], true).await.map(drop), "group.");
        let user = user_of(domain, &given);
        check(user.create(access, false).await.map(drop), "user.");
        old_user.permissions = texts(&given);
        check(old_user.update(access, &["permissions"], true).await.map(drop), "user.");
        let request = pb::CreateKeyRequest { permissions: texts(&given), ..key_of(domain) };
        check(admin.create_key(request).await.map(drop), "");
        let update = pb::UpdateKeyRequest {
            key: Some(pb::Key { permissions: texts(&given), ..old_key.key.clone() }),
            update_mask: Some(super::mask(&["permissions"])),
            validate_only: true,
        };
        check(admin.update_key(update).await.map(drop), "key.");
    }

    // what was given stays, and does not keep other fields from changing
    old_group.permissions = texts(&old);
    old_group.display_name = "Still there".into();
    let group = old_group.update(access, &["display_name", "permissions"], false).await.unwrap().0;
    assert_eq!((group.permissions, group.display_name.as_str()), (texts(&old), "Still there"));
    old_user.permissions = texts(&old);
    old_user.display_name = "Still there".into();
    let user = old_user.update(access, &["display_name", "permissions"], false).await.unwrap().0;
    assert_eq!((user.permissions, user.display_name.as_str()), (texts(&old), "Still there"));
    let renamed = pb::Key { display_name: "Still there".into(), ..old_key.key.clone() };
    let revision = update_key(&mut admin, &renamed, "display_name").await.unwrap();
    assert_eq!(get_key(&site, &old_key.key.id).await.permissions, old);
    assert_eq!(super::verdict(&site, &old_key.token, revision).await, "ALLOWED");
}

#[tokio::test]
async fn a_catalogue_of_one_domain_is_none_of_another() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let [one, other] = [domain(&site).await, domain(&site).await];
    set(access, &catalogue(&one, &["systems"]), false).await.unwrap();
    made(&site, group_of(&other, &["doors.open"])).await;
    let result = group_of(&one, &["doors.open"]).create(access, false).await;
    assert_invalid(result, &["group.permissions[0]"]);
}

#[tokio::test]
async fn gets_and_lists_show_what_a_catalogue_calls_permissions() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let given = ["systems", "doors.open", "*.read"];
    let group = made(&site, group_of(domain, &given)).await;
    let user = made(&site, user_of(domain, &given)).await;
    let request = pb::CreateKeyRequest { permissions: texts(&given), ..key_of(domain) };
    let made_key = key(&site, request).await.key;
    let none = BTreeMap::new();
    assert_eq!(
        [&group.permission_names, &user.permission_names, &made_key.permission_names],
        [&none; 3]
    );
    assert_eq!(group.get(access).await.unwrap(), group);

    set(access, &catalogue(domain, &["systems", "systems.read", "zones"]), false).await.unwrap();
    let names = BTreeMap::from([("systems".into(), "To systems".into())]);
    let group = pb::PermissionGroup { permission_names: names.clone(), ..group };
    let user = pb::User { permission_names: names.clone(), ..user };
    let made_key = pb::Key { permission_names: names, ..made_key };
    assert_eq!(group.get(access).await.unwrap(), group);
    assert_eq!(user.get(access).await.unwrap(), user);
    assert_eq!(get_key(&site, &made_key.id).await, made_key);
    let of_domain = domain.clone();
    let request = pb::ListPermissionGroupsRequest { domain: of_domain, ..Default::default() };
    let listed = access.list_permission_groups(request).await.unwrap().into_inner();
    assert_eq!(listed.groups, [group]);
    let request = pb::ListUsersRequest { domain: domain.clone(), ..Default::default() };
    assert_eq!(access.list_users(request).await.unwrap().into_inner().users, [user]);
    let request = pb::ListKeysRequest { domain: domain.clone(), ..Default::default() };
    let listed = site.admin().list_keys(request).await.unwrap().into_inner();
    assert_eq!(listed.keys, [made_key]);
}
