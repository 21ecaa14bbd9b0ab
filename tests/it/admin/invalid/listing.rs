//! `ListKeys`.

use keyward::rpc::pb::{KeyState, ListKeysRequest};

use super::{bad_labels, bad_lines, bad_times};
use crate::support::{
    client::{Admin, assert_invalid},
    operator::Site,
};

async fn refused(admin: &mut Admin, field: &str, spoil: impl FnOnce(&mut ListKeysRequest)) {
    let mut request = ListKeysRequest::default();
    spoil(&mut request);
    assert_invalid(admin.list_keys(request).await, &[field]);
}

#[tokio::test]
async fn list_refuses_bad_texts() {
    let site = Site::shared();
    let mut admin = site.admin();
    for name in ["Default", "a b", " ", "ä", &"a".repeat(64)] {
        refused(&mut admin, "domain", |r| r.domain = name.into()).await;
        refused(&mut admin, "environment", |r| r.environment = name.into()).await;
    }
    for maker in ["root", "key_", " ", "Bootstrap"] {
        refused(&mut admin, "created_by", |r| r.created_by = maker.into()).await;
    }
    for id in ["x", "key_", "bootstrap", " "] {
        refused(&mut admin, "managed_by", |r| r.managed_by = id.into()).await;
    }
    let long = "a".repeat(129);
    for text in ["a b", " ", "ä", "a\n", &long] {
        refused(&mut admin, "user", |r| r.user = text.into()).await;
        refused(&mut admin, "customer", |r| r.customer = text.into()).await;
        refused(&mut admin, "group", |r| r.group = text.into()).await;
    }
    for kind in [3, -1, i32::MAX] {
        refused(&mut admin, "user_kind", |r| r.user_kind = kind).await;
    }
    for labels in bad_labels() {
        refused(&mut admin, "labels", |r| r.labels = labels).await;
    }
    for search in bad_lines(100) {
        refused(&mut admin, "search", |r| r.search = search).await;
    }
}

#[tokio::test]
async fn list_refuses_bad_numbers_and_times() {
    let site = Site::shared();
    let mut admin = site.admin();
    for size in [-1, i32::MIN] {
        refused(&mut admin, "page_size", |r| r.page_size = size).await;
    }
    for state in [0, 6, -1, i32::MAX] {
        refused(&mut admin, "states[0]", |r| r.states = vec![state]).await;
        let states = vec![KeyState::Active.into(), state];
        refused(&mut admin, "states[1]", |r| r.states = states).await;
    }
    for order in [5, -1, i32::MAX] {
        refused(&mut admin, "order", |r| r.order = order).await;
    }
    for time in bad_times() {
        let used = |r: &mut ListKeysRequest| r.last_used_before = Some(time);
        refused(&mut admin, "last_used_before", used).await;
        let time = Some(time);
        refused(&mut admin, "expires_before", |r| r.expires_before = time).await;
        refused(&mut admin, "expires_after", |r| r.expires_after = time).await;
        refused(&mut admin, "retiring_before", |r| r.retiring_before = time).await;
    }
}

#[tokio::test]
async fn list_tells_all_violations_at_once() {
    let site = Site::shared();
    let request = ListKeysRequest {
        page_size: -1,
        domain: "?".into(),
        states: vec![0, 1, 77],
        search: "\0".into(),
        order: 9,
        ..ListKeysRequest::default()
    };
    let fields = ["domain", "search", "states[0]", "states[2]", "page_size", "order"];
    assert_invalid(site.admin().list_keys(request).await, &fields);
}
