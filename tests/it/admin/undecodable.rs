//! Messages that no generated client sends.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::get;
use crate::support::{
    client::{assert_invalid, create, new_key},
    operator::Site,
    raw::{call, field},
    server::connect,
};

/// Not UTF-8: a start of a sequence that does not go on.
const BROKEN: &[u8] = b"br\xc3ken";

async fn send(site: &Site, method: &str, bytes: Vec<u8>) -> Result<(), Status> {
    let channel = connect(site.server.admin);
    call(channel, &site.database.root_token, method, bytes).await.map(drop)
}

#[tokio::test]
async fn a_text_that_is_not_utf8_is_named() {
    let site = Site::shared();
    for (method, number, name) in [
        ("CreateKey", 1, "domain"),
        ("CreateKey", 2, "environment"),
        ("CreateKey", 3, "display_name"),
        ("CreateKey", 4, "description"),
        ("CreateKey", 5, "permissions"),
        ("CreateKey", 6, "route_rules"),
        ("CreateKey", 10, "request_id"),
        ("GetKey", 1, "id"),
        ("ListKeys", 2, "page_token"),
        ("ListKeys", 3, "domain"),
        ("ListKeys", 4, "environment"),
        ("ListKeys", 6, "created_by"),
        ("ListKeys", 8, "search"),
        ("RegenerateKey", 1, "id"),
        ("RegenerateKey", 3, "etag"),
        ("RegenerateKey", 4, "request_id"),
        ("ActivateKey", 1, "id"),
        ("ActivateKey", 2, "etag"),
        ("DeactivateKey", 1, "id"),
        ("DeactivateKey", 2, "etag"),
        ("RevokeKey", 1, "id"),
        ("RevokeKey", 3, "comment"),
        ("RevokeKey", 4, "etag"),
        ("DeleteKey", 1, "id"),
        ("DeleteKey", 2, "confirm"),
        ("DeleteKey", 3, "etag"),
        ("UndeleteKey", 1, "id"),
        ("UndeleteKey", 2, "etag"),
        ("LookupKey", 1, "token"),
    ] {
        assert_invalid(send(&site, method, field(number, BROKEN)).await, &[name]);
    }
}

#[tokio::test]
async fn a_text_within_another_message_is_named_by_its_path() {
    let site = Site::shared();
    for (number, name) in [
        (1, "key.id"),
        (4, "key.display_name"),
        (5, "key.description"),
        (6, "key.permissions"),
        (7, "key.route_rules"),
    ] {
        let key = field(1, &field(number, BROKEN));
        assert_invalid(send(&site, "UpdateKey", key).await, &[name]);
    }
    let mask = field(2, &field(1, BROKEN));
    assert_invalid(send(&site, "UpdateKey", mask).await, &["update_mask.paths"]);
    for broken in [[field(1, BROKEN), field(2, b"b")], [field(1, b"a"), field(2, BROKEN)]] {
        let entry = broken.concat();
        assert_invalid(send(&site, "CreateKey", field(9, &entry)).await, &["labels"]);
        assert_invalid(send(&site, "ListKeys", field(7, &entry)).await, &["labels"]);
        let key = field(1, &field(10, &entry));
        assert_invalid(send(&site, "UpdateKey", key).await, &["key.labels"]);
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_invalid() {
    let site = Site::shared();
    for bytes in [
        vec![0xff],
        vec![0x0a],
        vec![0x0a, 0x7f, b'x'],
        vec![0x0b],
        vec![0x00, 0x00],
        b"{\"display_name\": \"JSON\"}".to_vec(),
        vec![0xff; 100],
    ] {
        let status = send(&site, "CreateKey", bytes.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bytes:x?}: {status:?}");
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_FIELD", "keyward"));
    }
}

/// What protobuf says of a field that comes twice: of a text the last counts, as of a map's entry
/// with the same key; lists grow; fields that nobody knows are passed over.
#[tokio::test]
async fn of_what_comes_twice_the_last_counts() {
    let site = Site::shared();
    let entry = |value: &str| field(9, &[field(1, b"name"), field(2, value.as_bytes())].concat());
    let bytes = [
        field(2, b"nowhere"),
        field(2, b"production"),
        field(3, b"First"),
        entry("first"),
        field(5, b"systems.read"),
        entry("last"),
        field(3, b"Last"),
        field(5, b"systems.write"),
        // field 1500, whose tag takes two bytes
        [&[0xe2, 0x5d, 18][..], b"of a later version"].concat(),
    ];
    let channel = connect(site.server.admin);
    let made = call(channel, &site.database.root_token, "CreateKey", bytes.concat()).await;
    let key = made.unwrap().key.unwrap();
    assert_eq!(key.display_name, "Last");
    assert_eq!(key.permissions, ["systems.read", "systems.write"]);
    assert_eq!(key.labels, super::labels(&[("name", "last")]));
    assert_eq!(get(&mut site.admin(), &key.id).await, key);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_next_one_answered() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut request = new_key("Large");
    request.description = "a".repeat(300_000);
    let status = admin.create_key(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    create(&mut admin, new_key("Small")).await;
}
