//! Templates: what is shipped, and what fits in one.

use keyward::rpc::pb;
use tonic::Code;

use super::{Removable, Thing, made, texts};
use crate::support::{
    client::{assert_invalid, assert_status},
    operator::Site,
};

#[tokio::test]
async fn two_templates_are_shipped() {
    let site = Site::start(&[]).await;
    let mut access = site.server.access();
    let found = access.list_templates(pb::ListTemplatesRequest::default()).await.unwrap();
    let pb::ListTemplatesResponse { templates, next_page_token } = found.into_inner();
    assert_eq!(next_page_token, "");
    let [panel, kiosk] = templates.as_slice() else { panic!("{templates:?}") };
    let expected = pb::Template {
        name: "booking-panel".into(),
        display_name: "Booking panel".into(),
        description: "For a panel that shows and books systems: reads users and systems and \
                      controls them."
            .into(),
        required_permissions: texts(&["users.read", "systems.read", "control"]),
        optional_permissions: texts(&["zones.read", "metadata.read"]),
        create_time: panel.create_time,
        update_time: panel.update_time,
        etag: panel.etag.clone(),
        ..pb::Template::default()
    };
    assert_eq!(*panel, expected);
    let expected = pb::Template {
        name: "map-kiosk".into(),
        display_name: "Map kiosk".into(),
        description: "For a screen in a public place: reads everything and changes nothing.".into(),
        required_permissions: texts(&["public.read"]),
        create_time: kiosk.create_time,
        update_time: kiosk.update_time,
        etag: kiosk.etag.clone(),
        ..pb::Template::default()
    };
    assert_eq!(*kiosk, expected);
    // they are like any other
    kiosk.delete(&mut access, false).await.unwrap();
    let renamed = pb::Template { display_name: "Panel".into(), ..panel.clone() };
    let renamed = renamed.update(&mut access, &["display_name"], false).await.unwrap().0;
    assert_eq!(renamed.display_name, "Panel");
}

#[tokio::test]
async fn both_lists_together_are_100_at_most_and_have_nothing_twice() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let many: Vec<_> = (0..101).map(|number| format!("word{number}")).collect();
    let there = made(&site, pb::Template::whole(&site).await).await;
    let new = pb::Template::whole(&site).await;
    for (required, optional, told) in [
        (texts(&["a", "b"]), texts(&["c", "a"]), "optional_permissions[1]"),
        (many[..60].to_vec(), many[60..].to_vec(), "optional_permissions[40]"),
        (many[..100].to_vec(), many[100..].to_vec(), "optional_permissions[0]"),
    ] {
        let told = &format!("template.{told}");
        let with = |template: &pb::Template| pb::Template {
            required_permissions: required.clone(),
            optional_permissions: optional.clone(),
            ..template.clone()
        };
        assert_invalid(with(&new).create(access, true).await, &[told]);
        assert_invalid(with(&new).create(access, false).await, &[told]);
        let paths = ["required_permissions", "optional_permissions"];
        assert_invalid(with(&there).update(access, &paths, false).await, &[told]);
    }
    // against what is there already
    let optional = texts(&["doors.write", "doors.open"]);
    let update = pb::Template { optional_permissions: optional, ..there.clone() };
    let result = update.update(access, &["optional_permissions"], false).await;
    assert_invalid(result, &["template.optional_permissions[1]"]);
    let update = pb::Template { required_permissions: texts(&["doors.write"]), ..there.clone() };
    let result = update.update(access, &["required_permissions"], false).await;
    assert_invalid(result, &["template.optional_permissions[0]"]);
    assert_eq!(there.get(access).await.unwrap(), there);
    assert_status(new.get(access).await, Code::NotFound, "TEMPLATE_NOT_FOUND");
    // both at once may change places
    let swapped = pb::Template {
        required_permissions: there.optional_permissions.clone(),
        optional_permissions: there.required_permissions.clone(),
        ..there.clone()
    };
    let paths = ["required_permissions", "optional_permissions"];
    let shown = swapped.update(access, &paths, false).await.unwrap().0;
    assert_eq!(shown.required_permissions, there.optional_permissions);
}

#[tokio::test]
async fn a_template_names_an_environment_that_exists() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let there = made(&site, pb::Template::whole(&site).await).await;
    let nowhere = |template: &pb::Template| pb::Template {
        default_environment: "nowhere".into(),
        ..template.clone()
    };
    let new = pb::Template::whole(&site).await;
    for validate_only in [true, false] {
        let made = nowhere(&new).create(access, validate_only).await;
        assert_invalid(made, &["template.default_environment"]);
        let moved = nowhere(&there).update(access, &["default_environment"], validate_only).await;
        assert_invalid(moved, &["template.default_environment"]);
    }
    // absent values are cleared
    let cleared = pb::Template { default_lifetime: None, ..there.clone() };
    let shown = cleared.update(access, &["default_lifetime"], false).await.unwrap().0;
    assert_eq!(shown.default_lifetime, None);
    assert_eq!(shown.get(access).await.unwrap(), shown);
    let bare = pb::Template {
        name: super::fresh("template"),
        display_name: "Bare".into(),
        ..pb::Template::default()
    };
    let bare = made(&site, bare).await;
    assert_eq!(bare.get(access).await.unwrap(), bare);
}
