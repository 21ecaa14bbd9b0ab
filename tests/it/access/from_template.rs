//! Keys that are made from a template.

use keyward::rpc::pb;
use prost_types::{Duration, Timestamp};

use super::{Removable, Thing, fresh, get_key, key, made, present, texts};
use crate::support::{
    client::{assert_invalid, create},
    operator::Site,
};

/// A request for a key of this template that says nothing else.
fn of(template: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest { template: template.into(), ..pb::CreateKeyRequest::default() }
}

/// A template without defaults.
async fn bare(site: &Site) -> pb::Template {
    let template = pb::Template {
        default_environment: String::new(),
        default_lifetime: None,
        ..pb::Template::whole(site).await
    };
    made(site, template).await
}

#[tokio::test]
async fn a_template_fills_in_what_is_absent() {
    let site = Site::shared();
    let template = made(&site, pb::Template::whole(&site).await).await;
    let made = key(&site, of(&template.name)).await.key;
    assert_eq!(made.display_name, template.display_name);
    assert_eq!(made.description, "");
    assert_eq!(made.environment, "staging");
    assert_eq!(made.permissions, ["doors.open", "doors.read"]);
    assert_eq!(made.template, template.name);
    let created = made.create_time.unwrap();
    let end = Timestamp { seconds: created.seconds + 3600, ..created };
    assert_eq!(made.expire_time, Some(end));
    assert_eq!(get_key(&site, &made.id).await, made);
}

#[tokio::test]
async fn what_is_given_beside_a_template_counts() {
    let site = Site::shared();
    let template = made(&site, pb::Template::whole(&site).await).await;
    let end = Timestamp { seconds: 4_102_444_800, nanos: 0 };
    let request = pb::CreateKeyRequest {
        environment: "development".into(),
        display_name: "My own".into(),
        description: "Mine.".into(),
        expire_time: Some(end),
        with_optional: texts(&["doors.write"]),
        customers: texts(&["acme"]),
        ..of(&template.name)
    };
    let made = key(&site, request).await.key;
    let shown = [&made.environment, &made.display_name, &made.description];
    assert_eq!(shown, ["development", "My own", "Mine."]);
    assert_eq!(made.expire_time, Some(end));
    assert_eq!(made.permissions, ["doors.open", "doors.read", "doors.write"]);
    assert_eq!(made.customers, ["acme"]);
    assert_eq!(get_key(&site, &made.id).await, made);
}

#[tokio::test]
async fn a_shipped_template_makes_keys_that_work() {
    let site = Site::shared();
    let request = |name| pb::CreateKeyRequest { environment: "production".into(), ..of(name) };
    let panel = key(&site, request("booking-panel")).await;
    assert_eq!(panel.key.permissions, ["users.read", "systems.read", "control"]);
    assert_eq!((panel.key.display_name.as_str(), panel.key.expire_time), ("Booking panel", None));
    assert_eq!(super::verdict(&site, &panel.token, panel.revision).await, "ALLOWED");
    let request = pb::CreateKeyRequest {
        with_optional: texts(&["metadata.read", "zones.read"]),
        ..request("booking-panel")
    };
    let panel = key(&site, request).await;
    let all = ["users.read", "systems.read", "control", "metadata.read", "zones.read"];
    assert_eq!(panel.key.permissions, all);
    let mut kiosk = of("map-kiosk");
    kiosk.environment = "production".into();
    let kiosk = key(&site, kiosk).await;
    assert_eq!(kiosk.key.permissions, ["public.read"]);
    assert_eq!(super::verdict(&site, &kiosk.token, kiosk.revision).await, "ALLOWED");
}

#[tokio::test]
async fn what_does_not_fit_a_template_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let template = bare(&site).await.name;
    let staged = |name: &str| pb::CreateKeyRequest { environment: "staging".into(), ..of(name) };
    for (request, told) in [
        (of(&template), "environment"),
        (staged("nothing-like-it"), "template"),
        (pb::CreateKeyRequest { display_name: "Given".into(), ..staged("A") }, "template"),
        (
            pb::CreateKeyRequest { permissions: texts(&["doors.open"]), ..staged(&template) },
            "permissions",
        ),
        (
            pb::CreateKeyRequest { with_optional: texts(&["doors"]), ..staged(&template) },
            "with_optional[0]",
        ),
        (
            // required, not optional
            pb::CreateKeyRequest {
                with_optional: texts(&["doors.write", "doors.open"]),
                ..staged(&template)
            },
            "with_optional[1]",
        ),
        (
            pb::CreateKeyRequest {
                with_optional: texts(&["doors.write", "doors.write"]),
                ..staged(&template)
            },
            "with_optional[1]",
        ),
        (pb::CreateKeyRequest { environment: "nowhere".into(), ..of(&template) }, "environment"),
        (
            // of admins, who are of production
            pb::CreateKeyRequest { domain: "keyward".into(), ..staged(&template) },
            "environment",
        ),
    ] {
        for validate_only in [true, false] {
            let request = pb::CreateKeyRequest { validate_only, ..request.clone() };
            assert_invalid(admin.create_key(request).await, &[told]);
        }
    }
    // without a template there is nothing to choose from
    let request = pb::CreateKeyRequest {
        with_optional: texts(&["doors.write"]),
        display_name: "None".into(),
        ..staged("")
    };
    assert_invalid(admin.create_key(request).await, &["with_optional"]);
}

#[tokio::test]
async fn a_lifetime_that_ends_before_the_key_begins_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    let template = made(&site, pb::Template::whole(&site).await).await;
    let begin = Some(Timestamp { seconds: 4_102_444_800, nanos: 0 });
    let request = pb::CreateKeyRequest { not_before_time: begin, ..of(&template.name) };
    assert_invalid(admin.create_key(request).await, &["not_before_time"]);
}

#[tokio::test]
async fn a_template_gives_nothing_that_the_catalogue_does_not_have() {
    let site = Site::shared();
    let domain = super::domain(&site).await;
    let known = pb::CataloguePermission {
        name: "doors.open".into(),
        display_name: "Open".into(),
        ..pb::CataloguePermission::default()
    };
    let catalogue =
        pb::Catalogue { domain: domain.clone(), permissions: vec![known], etag: String::new() };
    let request = pb::UpdateCatalogueRequest { catalogue: Some(catalogue), validate_only: false };
    site.server.access().update_catalogue(request).await.unwrap();
    let template = bare(&site).await.name;
    let request = pb::CreateKeyRequest { domain, environment: "staging".into(), ..of(&template) };
    let result = site.admin().create_key(request).await;
    assert_invalid(result, &["permissions[1]"]);
}

#[tokio::test]
async fn a_template_that_changes_or_goes_leaves_its_keys_as_they_are() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let template = made(&site, pb::Template::whole(&site).await).await;
    let before = key(&site, of(&template.name)).await.key;
    let changed = pb::Template {
        required_permissions: texts(&["gates"]),
        default_environment: "production".into(),
        default_lifetime: Some(Duration { seconds: 60, nanos: 0 }),
        etag: String::new(),
        ..template.clone()
    };
    let paths = ["required_permissions", "default_environment", "default_lifetime"];
    changed.update(access, &paths, false).await.unwrap();
    let after = key(&site, of(&template.name)).await.key;
    assert_eq!(
        (after.permissions.clone(), after.environment.as_str()),
        (texts(&["gates"]), "production")
    );
    assert_eq!(get_key(&site, &before.id).await, before);
    present(&template).delete(access, false).await.unwrap();
    assert_eq!(get_key(&site, &before.id).await, before);
    assert_eq!(get_key(&site, &after.id).await, after);
    let result = site.admin().create_key(of(&template.name)).await;
    assert_invalid(result, &["template"]);
}

#[tokio::test]
async fn a_repeated_request_for_a_key_of_a_template_gets_the_key_that_was_made() {
    let site = Site::shared();
    let template = made(&site, pb::Template::whole(&site).await).await;
    let request = pb::CreateKeyRequest { request_id: fresh("request"), ..of(&template.name) };
    let first = create(&mut site.admin(), request.clone()).await.key;
    present(&template).delete(&mut site.server.access(), false).await.unwrap();
    let again = site.admin().create_key(request).await.unwrap().into_inner();
    assert_eq!((again.key.unwrap(), again.token.as_str()), (first, ""));
}
