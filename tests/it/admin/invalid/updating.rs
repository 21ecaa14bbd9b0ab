//! `UpdateKey`.

use keyward::rpc::pb::{self, Key};
use prost_types::FieldMask;

use super::{
    super::{get, rich_key, update, updated},
    bad_labels, bad_names, bad_permissions, bad_proses, bad_rules, bad_times,
};
use crate::support::{
    client::{Admin, assert_invalid, create},
    operator::Site,
};

/// Spoils one field of `key`, puts its path into the mask, and expects to be told of `field`.
async fn refused(
    admin: &mut Admin,
    key: &Key,
    [path, field]: [&str; 2],
    spoil: impl FnOnce(&mut Key),
) {
    let mut key = key.clone();
    spoil(&mut key);
    assert_invalid(updated(admin, update(key, &[path])).await, &[field]);
}

#[tokio::test]
async fn update_refuses_bad_values() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Kept")).await.key;
    for name in bad_names() {
        let named = ["display_name", "key.display_name"];
        refused(&mut admin, &made, named, |key| key.display_name = name).await;
    }
    for text in bad_proses() {
        let named = ["description", "key.description"];
        refused(&mut admin, &made, named, |key| key.description = text).await;
    }
    for (list, at) in bad_permissions() {
        let named = ["permissions", &format!("key.permissions[{at}]")];
        refused(&mut admin, &made, named, |key| key.permissions = list).await;
    }
    for (list, at) in bad_rules() {
        let named = ["route_rules", &format!("key.route_rules[{at}]")];
        refused(&mut admin, &made, named, |key| key.route_rules = list).await;
    }
    for labels in bad_labels() {
        let named = ["labels", "key.labels"];
        refused(&mut admin, &made, named, |key| key.labels = labels).await;
    }
    for time in bad_times() {
        let time = Some(time);
        let named = ["expire_time", "key.expire_time"];
        refused(&mut admin, &made, named, |key| key.expire_time = time).await;
        let named = ["not_before_time", "key.not_before_time"];
        let start = |key: &mut Key| key.not_before_time = time;
        refused(&mut admin, &made, named, start).await;
    }
    assert_eq!(get(&mut admin, &made.id).await, made);
}

/// What is no path, or no path of a field that may change.
const BAD_PATHS: &str = " * id domain environment hint state created_by create_time update_time \
    last_used_time last_used_address delete_time revocation retiring_secret etag displayName key.display_name \
    Display_name labels.team expire_time.seconds display_name,description ä";

#[tokio::test]
async fn update_refuses_bad_paths_and_ids() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Kept")).await.key;
    for path in BAD_PATHS.split(' ') {
        refused(&mut admin, &made, [path, "update_mask"], |_| {}).await;
    }
    let (upper, padded) = (made.id.to_uppercase(), format!("{} ", made.id));
    for id in ["", "key_", "x", &made.id[4..], &upper, &padded] {
        let named = ["description", "key.id"];
        refused(&mut admin, &made, named, |key| key.id = id.into()).await;
    }
    // a good path beside a bad one changes nothing
    let key = Key { description: "Changed".into(), ..made.clone() };
    let result = updated(&mut admin, update(key, &["description", "id"])).await;
    assert_invalid(result, &["update_mask"]);
    assert_eq!(get(&mut admin, &made.id).await, made);
}

#[tokio::test]
async fn update_takes_a_mask_and_a_key() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Kept")).await.key;
    let request = |key: Option<Key>, update_mask| pb::UpdateKeyRequest {
        key,
        update_mask,
        validate_only: false,
    };
    let empty = Some(FieldMask { paths: vec![] });
    let some = Some(FieldMask { paths: vec!["description".into()] });
    for mask in [None, empty] {
        let result = updated(&mut admin, request(Some(made.clone()), mask)).await;
        assert_invalid(result, &["update_mask"]);
    }
    assert_invalid(updated(&mut admin, request(None, some)).await, &["key.id"]);
    assert_invalid(updated(&mut admin, request(None, None)).await, &["key.id", "update_mask"]);

    // the same path twice is the same path
    let key = Key { description: "Twice".into(), ..made };
    let twice = update(key, &["description", "description"]);
    assert_eq!(updated(&mut admin, twice).await.unwrap().key.description, "Twice");
}
