//! Orders and pages.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keyward::rpc::pb::{CreateKeyRequest, Key, KeyOrder, KeyState, ListKeysRequest};
use prost::Message;

use super::{
    super::{in_seconds, labels, micros},
    key_of, list, names, of, used,
};
use crate::support::{
    client::{assert_invalid, create},
    operator::Site,
};

/// What a key is sorted by, before its id.
fn place(key: &Key, order: KeyOrder) -> (i64, Vec<u8>) {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().map(micros);
    match order {
        KeyOrder::Unspecified | KeyOrder::CreateTime => (time(&key.create_time).unwrap(), vec![]),
        KeyOrder::DisplayName => (0, key.display_name.clone().into_bytes()),
        KeyOrder::LastUsedTime => (time(&key.last_used_time).unwrap_or(i64::MIN), vec![]),
        KeyOrder::ExpireTime => (time(&key.expire_time).unwrap_or(i64::MAX), vec![]),
    }
}

const ORDERS: [KeyOrder; 5] = [
    KeyOrder::Unspecified,
    KeyOrder::CreateTime,
    KeyOrder::DisplayName,
    KeyOrder::LastUsedTime,
    KeyOrder::ExpireTime,
];

#[tokio::test]
async fn every_order_is_total_in_both_directions_and_in_pages_of_any_size() {
    let site = Site::shared();
    let mut admin = site.admin();
    let test = "orders";
    let (near, far) = (Some(in_seconds(100)), Some(in_seconds(200)));
    for (name, expire_time, last_use) in [
        ("b", None, None),
        ("a", near, Some(-50)),
        ("B", far, None),
        ("ä", near, Some(-50)),
        ("b", None, Some(-10)),
        ("Z z", far, Some(-50)),
        ("a b", near, None),
    ] {
        let request = CreateKeyRequest { expire_time, ..key_of(test, name) };
        let id = create(&mut admin, request).await.key.id;
        if let Some(seconds) = last_use {
            used(&site, &id, seconds).await;
        }
    }
    let tie = "UPDATE keyward.key SET created_at = (SELECT max(created_at) FROM keyward.key
            WHERE labels->>'test' = 'orders')
        WHERE labels->>'test' = 'orders' AND display_name IN ('b', 'a b')";
    site.database.connect().await.batch_execute(tie).await.unwrap();
    let mut expected = list(&mut admin, of(test)).await;
    assert_eq!(expected.len(), 7);
    for order in ORDERS {
        expected.sort_by_cached_key(|key| (place(key, order), key.id.clone()));
        for descending in [false, true] {
            for page_size in [1, 2, 3, 7, 8, 1000] {
                let request =
                    ListKeysRequest { order: order.into(), descending, page_size, ..of(test) };
                let found = list(&mut admin, request).await;
                assert_eq!(found, expected, "{order:?} {descending} {page_size}");
            }
            expected.reverse();
        }
    }
}

#[tokio::test]
async fn pages_are_whole_while_keys_are_made() {
    let site = Site::shared();
    let mut admin = site.admin();
    for order in [KeyOrder::CreateTime, KeyOrder::DisplayName, KeyOrder::ExpireTime] {
        for descending in [false, true] {
            let test = format!("growing-{order:?}-{descending}").to_lowercase();
            let mut there = Vec::new();
            for number in 0..9 {
                let name = format!("{}", number * 5 % 9);
                there.push(create(&mut admin, key_of(&test, &name)).await.key.id);
            }
            let mut request =
                ListKeysRequest { order: order.into(), descending, page_size: 2, ..of(&test) };
            let mut found = Vec::new();
            loop {
                let page = admin.list_keys(request.clone()).await.unwrap().into_inner();
                found.extend(page.keys.into_iter().map(|key| key.id));
                request.page_token = page.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
                // one before all, one in between, one after all; ten rounds end it in any case
                for name in ["!", "4.5", "~"].iter().take(if found.len() > 30 { 0 } else { 3 }) {
                    create(&mut admin, key_of(&test, name)).await;
                }
            }
            let distinct: BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "{test}: twice");
            let missing: Vec<_> = there.iter().filter(|id| !distinct.contains(id)).collect();
            assert_eq!(missing, [""; 0], "{test}: missing");
        }
    }
}

#[tokio::test]
async fn a_page_has_fifty_keys_unless_told_and_a_thousand_at_most() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let model = create(&mut admin, key_of("many", "Model")).await.key;
    let copies = "INSERT INTO keyward.key (id, domain, environment, display_name, description,
            permissions, route_rules, labels, standing, digest, hint, created_by, created_at,
            updated_at, version)
        SELECT gen_random_uuid(), domain, environment, display_name, description, permissions,
            route_rules, labels, standing, sha256(number::text::bytea), hint, created_by,
            created_at, updated_at, version
        FROM keyward.key, generate_series(1, 1001) AS number WHERE display_name = 'Model'";
    site.database.connect().await.batch_execute(copies).await.unwrap();
    assert_eq!(model.display_name, "Model");
    for (page_size, expected) in [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (i32::MAX, 1000)] {
        let request = ListKeysRequest { page_size, ..of("many") };
        let page = admin.list_keys(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.keys.len(), expected);
        let request = ListKeysRequest { page_token: page.next_page_token, ..request };
        let next = admin.list_keys(request).await.unwrap().into_inner();
        assert_eq!(next.keys.len(), expected.min(1002 - expected));
    }
}

#[tokio::test]
async fn a_page_token_goes_with_its_filters_and_order() {
    let site = Site::shared();
    let mut admin = site.admin();
    for name in ["one", "two", "three"] {
        create(&mut admin, key_of("bound", name)).await;
    }
    let first = ListKeysRequest { page_size: 1, ..of("bound") };
    let page = admin.list_keys(first.clone()).await.unwrap().into_inner();
    let second = ListKeysRequest { page_token: page.next_page_token, ..first };
    let larger = ListKeysRequest { page_size: 2, ..second.clone() };
    let found = admin.list_keys(larger).await.unwrap().into_inner();
    assert_eq!(names(&found.keys), ["two", "three"]);

    let others: [fn(&mut ListKeysRequest); 12] = [
        |r| r.domain = "default".into(),
        |r| r.environment = "production".into(),
        |r| r.states = vec![KeyState::Active.into()],
        |r| r.created_by = "bootstrap".into(),
        |r| r.labels = labels(&[]),
        |r| r.search = "t".into(),
        |r| r.last_used_before = Some(in_seconds(0)),
        |r| r.expires_before = Some(in_seconds(0)),
        |r| r.show_deleted = true,
        |r| r.order = KeyOrder::DisplayName.into(),
        |r| r.order = KeyOrder::ExpireTime.into(),
        |r| r.descending = true,
    ];
    for change in others {
        let mut other = second.clone();
        change(&mut other);
        assert_invalid(admin.list_keys(other).await, &["page_token"]);
    }
}

#[tokio::test]
async fn a_page_token_that_was_not_given_out_is_refused() {
    let site = Site::shared();
    let mut admin = site.admin();
    for name in ["one", "two"] {
        create(&mut admin, key_of("forged", name)).await;
    }
    for (order, places) in [
        (KeyOrder::CreateTime, ["", "x", "1 2", "9223372036854775806", "-9223372036854775807"]),
        (KeyOrder::ExpireTime, ["", "x", "1 2", "9223371331200000000", "99999999999999999999"]),
        (KeyOrder::DisplayName, ["", "\0", "a\nb", " a", "\u{7f}"]),
    ] {
        let first = ListKeysRequest { page_size: 1, order: order.into(), ..of("forged") };
        let page = admin.list_keys(first.clone()).await.unwrap().into_inner();
        let token = page.next_page_token;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&token).unwrap()).unwrap();
        let parts: Vec<_> = text.splitn(4, ' ').collect();
        let mut forged = vec![
            "x".into(),
            "!".into(),
            format!("{token}A"),
            token[1..].to_owned(),
            token.repeat(20),
            URL_SAFE_NO_PAD.encode(b"1 2 3 4"),
            URL_SAFE_NO_PAD.encode([0xff, 0xfe]),
            URL_SAFE_NO_PAD.encode(text.replacen('1', "2", 1)),
        ];
        let moved = places.map(|place| {
            let [version, sum, id] = [parts[0], parts[1], parts[2]];
            URL_SAFE_NO_PAD.encode(format!("{version} {sum} {id} {place}"))
        });
        forged.extend(moved);
        for page_token in forged {
            let told = URL_SAFE_NO_PAD.decode(&page_token);
            let request = ListKeysRequest { page_token, ..first.clone() };
            let result = admin.list_keys(request).await;
            let status = result.as_ref().err();
            assert!(status.is_some(), "accepted: {told:?}");
            assert_eq!(
                status.map(tonic::Status::code),
                Some(tonic::Code::InvalidArgument),
                "{told:?}"
            );
            assert_invalid(result, &["page_token"]);
        }
    }
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_to_be_read_and_the_next_goes_on() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let route_rules = (0..100).map(|number| format!("/{number}/{}", "r".repeat(500))).collect();
    create(&mut admin, CreateKeyRequest { route_rules, ..key_of("large", "Model") }).await;
    // names in another order than times
    let copies = "INSERT INTO keyward.key (id, domain, environment, display_name, description,
            permissions, route_rules, labels, standing, digest, hint, created_by, created_at,
            updated_at, version)
        SELECT gen_random_uuid(), domain, environment, 'Copy ' || number * 7 % 139, description,
            permissions, route_rules, labels, standing, sha256(number::text::bytea), hint,
            created_by, created_at + number * interval '1s', updated_at, version
        FROM keyward.key, generate_series(1, 138) AS number WHERE display_name = 'Model'";
    site.database.connect().await.batch_execute(copies).await.unwrap();
    for (order, descending) in [(KeyOrder::CreateTime, false), (KeyOrder::DisplayName, true)] {
        let request = ListKeysRequest { order: order.into(), descending, ..of("large") };
        let mut expected =
            list(&mut admin, ListKeysRequest { page_size: 7, ..request.clone() }).await;
        let mut next = ListKeysRequest { page_size: 1000, ..request };
        let mut sizes = Vec::new();
        while !expected.is_empty() {
            let page = admin.list_keys(next.clone()).await.unwrap().into_inner();
            sizes.push(page.encoded_len() >> 20);
            assert_eq!(page.keys, expected.drain(..page.keys.len()).collect::<Vec<_>>());
            assert_eq!(page.next_page_token.is_empty(), expected.is_empty());
            next.page_token = page.next_page_token;
        }
        assert_eq!(sizes, [3, 3, 0], "MiB, in {order:?}");
    }
}
