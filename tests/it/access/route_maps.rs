//! Route maps: kept whole, and what they decide.

use keyward::rpc::pb;
use serde_json::json;
use tonic::{Code, Status};

use super::{Answer, domain, events, key, key_of, texts};
use crate::support::{
    client::{Access, assert_invalid, assert_status, verdict},
    operator::Site,
};

fn entry(methods: &[&str], path_template: &str, permission: &str) -> pb::RouteMapEntry {
    pb::RouteMapEntry {
        methods: texts(methods),
        path_template: path_template.into(),
        permission: permission.into(),
    }
}

fn map(domain: &str, entries: Vec<pb::RouteMapEntry>) -> pb::RouteMap {
    pb::RouteMap { domain: domain.into(), entries, etag: String::new() }
}

async fn set(access: &mut Access, map: &pb::RouteMap, validate_only: bool) -> Answer<pb::RouteMap> {
    let request = pb::UpdateRouteMapRequest { route_map: Some(map.clone()), validate_only };
    let response = access.update_route_map(request).await?.into_inner();
    Ok((response.route_map.unwrap(), response.revision))
}

async fn get(access: &mut Access, domain: &str) -> Result<pb::RouteMap, Status> {
    let request = pb::GetRouteMapRequest { domain: domain.into() };
    Ok(access.get_route_map(request).await?.into_inner().route_map.unwrap())
}

#[tokio::test]
async fn a_route_map_is_replaced_whole_and_leaves_a_trace_if_it_changes() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let empty = get(access, domain).await.unwrap();
    assert_eq!(empty, pb::RouteMap { etag: empty.etag.clone(), ..map(domain, vec![]) });
    let entries = vec![
        entry(&["GET", "HEAD"], "/api/systems/{id}", "systems.{action}"),
        entry(&[], "/files/**", "files.read"),
        entry(&["DELETE"], "/", "root"),
    ];
    let wanted = map(domain, entries.clone());
    let (shown, _) = set(access, &wanted, true).await.unwrap();
    assert_eq!(shown.entries, entries);
    assert_eq!(get(access, domain).await.unwrap(), empty);
    assert_eq!(events(&site, "route_map", domain).await, []);

    let sent = pb::RouteMap { etag: empty.etag.clone(), ..wanted.clone() };
    let (first, revision) = set(access, &sent, false).await.unwrap();
    assert_eq!(first, pb::RouteMap { etag: first.etag.clone(), ..wanted.clone() });
    assert_ne!(first.etag, empty.etag);
    assert_eq!(get(access, domain).await.unwrap(), first);
    let action = String::from("route_maps.update");
    let before = json!({ "entries": [], "version": 1 });
    let lines =
        ["GET,HEAD /api/systems/{id} systems.{action}", "* /files/** files.read", "DELETE / root"];
    let after = json!({ "entries": lines, "version": 2 });
    let mut changes = vec![(action.clone(), revision, Some(before), Some(after.clone()))];
    assert_eq!(events(&site, "route_map", domain).await, changes);

    // `*` says what no methods say
    let mut same = wanted.clone();
    same.entries[1].methods = texts(&["*"]);
    assert_eq!(set(access, &same, false).await.unwrap().0, first);
    for validate_only in [true, false] {
        let stale = set(access, &sent, validate_only).await;
        assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
    }
    assert_eq!(events(&site, "route_map", domain).await, changes);

    let (none, revision) = set(access, &map(domain, vec![]), false).await.unwrap();
    assert_eq!(none.entries, []);
    let now = json!({ "entries": [], "version": 3 });
    changes.push((action, revision, Some(after), Some(now)));
    assert_eq!(events(&site, "route_map", domain).await, changes);
}

#[tokio::test]
async fn entries_that_cannot_be_are_told_each_by_its_position() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let eleven = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"];
    let segments = "/a".repeat(33);
    let long = format!("/{}", "a".repeat(512));
    for bad in [
        entry(&["get"], "/a", "a"),
        entry(&["GET", "GET"], "/a", "a"),
        entry(&["GET", "*"], "/a", "a"),
        entry(&[""], "/a", "a"),
        entry(&eleven, "/a", "a"),
        entry(&[], "", "a"),
        entry(&[], "a", "a"),
        entry(&[], "/a//b", "a"),
        entry(&[], "/a/../b", "a"),
        entry(&[], "/a/**/b", "a"),
        entry(&[], "/a*", "a"),
        entry(&[], "/{A}", "a"),
        entry(&[], "/{}", "a"),
        entry(&[], "/a?b", "a"),
        entry(&[], "/größe", "a"),
        entry(&[], &segments, "a"),
        entry(&[], &long, "a"),
        entry(&[], "/a", ""),
        entry(&[], "/a", "*"),
        entry(&[], "/a", "A"),
        entry(&[], "/a", "a.{actions}"),
        entry(&[], "/a", &"a".repeat(201)),
    ] {
        let bad = map(domain, vec![entry(&[], "/fine", "a"), bad]);
        assert_invalid(set(access, &bad, false).await, &["route_map.entries[1]"]);
    }
    for (one, other) in [
        (entry(&[], "/a/{b}", "a"), entry(&[], "/a/{c}", "b")),
        (entry(&["GET", "PUT"], "/a", "a"), entry(&["PUT"], "/a", "b")),
        (entry(&[], "/a/**", "a"), entry(&[], "/a/**", "a")),
    ] {
        let twice = map(domain, vec![one, entry(&[], "/fine", "a"), other]);
        assert_invalid(set(access, &twice, false).await, &["route_map.entries[2]"]);
    }
    let fine = entry(&[], "/fine", "a");
    let mut worst = map("A", vec![fine.clone(), entry(&[], "", ""), fine.clone()]);
    worst.etag = "x".repeat(65);
    let told =
        ["route_map.domain", "route_map.etag", "route_map.entries[1]", "route_map.entries[2]"];
    assert_invalid(set(access, &worst, false).await, &told);

    let many: Vec<_> = (0..1001).map(|at| entry(&[], &format!("/{at}"), "a")).collect();
    let too_many = map(domain, many.clone());
    assert_invalid(set(access, &too_many, false).await, &["route_map.entries[1000]"]);
    assert_eq!(get(access, domain).await.unwrap().entries, []);
    let most = map(domain, many[..1000].to_vec());
    assert_eq!(set(access, &most, false).await.unwrap().0.entries, most.entries);
    let widest = [
        entry(&eleven[..10], &"/a".repeat(32), "a"),
        entry(&[], &format!("/{}", "a".repeat(511)), &"a".repeat(200)),
    ];
    set(access, &map(domain, widest.into()), false).await.unwrap();
}

#[tokio::test]
async fn only_domains_of_keys_have_a_route_map() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let entries = vec![entry(&[], "/a", "a")];
    let of_admins = map("keyward", entries.clone());
    assert_invalid(set(access, &of_admins, false).await, &["route_map.domain"]);
    assert_eq!(get(access, "keyward").await.unwrap().entries, []);
    let nowhere = map("nowhere", entries.clone());
    assert_status(set(access, &nowhere, false).await, Code::NotFound, "DOMAIN_NOT_FOUND");
    assert_status(get(access, "nowhere").await, Code::NotFound, "DOMAIN_NOT_FOUND");
    assert_eq!(get(access, "").await.unwrap().domain, "default");
    assert_eq!(set(access, &map("", entries), true).await.unwrap().0.domain, "default");
}

#[tokio::test]
async fn a_route_map_asks_for_what_the_catalogue_has() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let domain = &domain(&site).await;
    let old = entry(&[], "/old", "old.read");
    set(access, &map(domain, vec![old.clone()]), false).await.unwrap();
    let known = ["systems", "doors.read"].map(|name| pb::CataloguePermission {
        name: name.into(),
        display_name: name.into(),
        ..pb::CataloguePermission::default()
    });
    let catalogue =
        pb::Catalogue { domain: domain.clone(), permissions: known.into(), etag: String::new() };
    let request = pb::UpdateCatalogueRequest { catalogue: Some(catalogue), validate_only: false };
    access.update_catalogue(request).await.unwrap();

    let first = entry(&[], "/first", "systems.read");
    for outside in ["new.read", "doors.{action}", "old.write", "old"] {
        let entries = vec![first.clone(), old.clone(), entry(&[], "/new", outside)];
        let result = set(access, &map(domain, entries), false).await;
        assert_invalid(result, &["route_map.entries[2].permission"]);
    }
    // what was there stays, wherever it stands
    let entries = vec![
        entry(&[], "/new", "systems.{action}"),
        entry(&["GET"], "/doors", "doors.read"),
        old.clone(),
    ];
    let kept = set(access, &map(domain, entries.clone()), false).await.unwrap().0;
    assert_eq!(kept.entries, entries);
    // it is another one if its path is
    let moved = vec![entry(&[], "/moved", "old.read")];
    let result = set(access, &map(domain, moved), false).await;
    assert_invalid(result, &["route_map.entries[0].permission"]);
}

#[tokio::test]
async fn a_route_map_decides_for_the_keys_of_its_domain_at_once() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let [domain, other] = [domain(&site).await, domain(&site).await];
    let request = |domain: &str| {
        let permissions = texts(&["systems.read"]);
        pb::CreateKeyRequest { permissions, ..key_of(domain) }
    };
    let mapped = key(&site, request(&domain)).await;
    let unmapped = key(&site, request(&other)).await;
    let entries = vec![entry(&[], "/api/systems/{id}", "systems.{action}")];
    let (_, revision) = set(access, &map(&domain, entries), false).await.unwrap();
    let ask = async |token: &str, method: &str, min_revision| {
        let request = pb::AuthorizeRequest {
            key: token.into(),
            environment: "production".into(),
            route: "/api/systems/7".into(),
            method: method.into(),
            min_revision,
            ..pb::AuthorizeRequest::default()
        };
        verdict(&site.server.asker().ask(request).await)
    };
    assert_eq!(ask(&mapped.token, "GET", revision).await, "ALLOWED");
    assert_eq!(ask(&mapped.token, "PUT", revision).await, "403 PERMISSION_DENIED");
    assert_eq!(ask(&unmapped.token, "GET", revision).await, "403 PERMISSION_DENIED");
    let (_, revision) = set(access, &map(&domain, vec![]), false).await.unwrap();
    assert_eq!(ask(&mapped.token, "GET", revision).await, "403 PERMISSION_DENIED");
}
