//! Listing.

mod filters;
mod pages;

use keyward::rpc::pb::{CreateKeyRequest, Key, KeyOrder, ListKeysRequest};

use super::{delete, get, in_seconds, labels, uuid};
use crate::support::{
    client::{Admin, create, new_admin_key, new_key},
    eventually,
    operator::Site,
};

/// A request for the keys of one test.
fn of(test: &str) -> ListKeysRequest {
    ListKeysRequest { labels: labels(&[("test", test)]), ..ListKeysRequest::default() }
}

/// A key of one test.
fn key_of(test: &str, name: &str) -> CreateKeyRequest {
    CreateKeyRequest { labels: labels(&[("test", test)]), ..new_key(name) }
}

/// All pages of a list, checked to be of the size that was asked for.
async fn list(admin: &mut Admin, mut request: ListKeysRequest) -> Vec<Key> {
    let size = usize::try_from(request.page_size).unwrap();
    let mut keys = Vec::new();
    loop {
        let page = admin.list_keys(request.clone()).await.unwrap().into_inner();
        keys.extend(page.keys.clone());
        if page.next_page_token.is_empty() {
            assert!(size == 0 || page.keys.len() <= size);
            return keys;
        }
        assert_eq!(page.keys.len(), if size == 0 { 50 } else { size });
        request.page_token = page.next_page_token;
    }
}

fn names(keys: &[Key]) -> Vec<&str> {
    keys.iter().map(|key| key.display_name.as_str()).collect()
}

/// Notes a use, as a replica that reports does.
async fn used(site: &Site, id: &str, seconds: i64) {
    let uuid = uuid(id);
    let statement = format!(
        "INSERT INTO keyward.key_usage VALUES ('{uuid}', to_timestamp({}))",
        in_seconds(seconds).seconds
    );
    site.database.connect().await.batch_execute(&statement).await.unwrap();
}

#[tokio::test]
async fn a_use_is_shown_to_the_second_once_it_is_reported() {
    let site = Site::start(&["--usage-flush-interval", "20ms"]).await;
    let mut admin = site.admin();
    let [used, unused] = ["Used", "Unused"].map(|name| key_of("uses", name));
    let used = create(&mut admin, used).await;
    let unused = create(&mut admin, unused).await;
    let begun = in_seconds(0).seconds;
    assert_eq!(site.server.asker().verdict(&used.token, unused.revision).await, "ALLOWED");
    let ended = in_seconds(0).seconds;
    let key = eventually("the use is reported", async || {
        let key = get(&mut admin, &used.key.id).await;
        key.last_used_time.is_some().then_some(key)
    })
    .await;
    let time = key.last_used_time.unwrap();
    assert!((begun..=ended).contains(&time.seconds) && time.nanos == 0, "{time:?}");
    // a use is no change
    assert_eq!(Key { last_used_time: None, ..key.clone() }, used.key);
    let request = ListKeysRequest { order: KeyOrder::LastUsedTime.into(), ..of("uses") };
    assert_eq!(list(&mut admin, request).await, [unused.key.clone(), key]);
}

#[tokio::test]
async fn a_key_that_was_never_used_counts_as_used_when_it_was_made() {
    let site = Site::start(&["--usage-flush-interval", "30m"]).await;
    let mut admin = site.admin();
    for name in ["Used of late", "Used long ago", "Made long ago", "Made of late"] {
        let made = create(&mut admin, key_of("idle", name)).await;
        match name {
            "Used of late" => used(&site, &made.key.id, -60).await,
            "Used long ago" => used(&site, &made.key.id, -7200).await,
            _ => {}
        }
    }
    let age = "UPDATE keyward.key SET created_at = created_at - interval '1 day'
        WHERE display_name <> 'Made of late'";
    site.database.connect().await.batch_execute(age).await.unwrap();
    let before = |seconds| ListKeysRequest {
        last_used_before: Some(in_seconds(seconds)),
        order: KeyOrder::DisplayName.into(),
        ..of("idle")
    };
    for (seconds, found) in [
        (-172_800, &[][..]),
        (-3600, &["Made long ago", "Used long ago"]),
        (-30, &["Made long ago", "Used long ago", "Used of late"]),
        (60, &["Made long ago", "Made of late", "Used long ago", "Used of late"]),
    ] {
        assert_eq!(names(&list(&mut admin, before(seconds)).await), found, "{seconds}");
    }
}

#[tokio::test]
async fn a_list_without_filters_has_keys_of_all_domains_but_deleted_ones() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    create(&mut admin, new_key("Ordinary")).await;
    create(&mut admin, new_admin_key("Admin", &[])).await;
    let gone = create(&mut admin, new_key("Gone")).await;
    delete(&mut admin, &gone.key.id, "Gone").await.unwrap();
    let found = list(&mut admin, ListKeysRequest::default()).await;
    assert_eq!(names(&found), ["Root admin key", "Ordinary", "Admin"]);
    let made = found.iter().map(|key| key.created_by.as_str());
    assert_eq!(made.filter(|maker| *maker == "bootstrap").count(), 1);
}
