//! Lists: order, pages, search and filters.

use keyward::rpc::pb;
use tonic::Status;

use super::{Removable, Thing, made};
use crate::support::{
    client::{Access, assert_invalid},
    operator::Site,
};

/// What list requests of all kinds have, and some.
#[derive(Clone, Debug, Default)]
struct Asked {
    page_size: i32,
    page_token: String,
    search: String,
    domain: String,
    kind: i32,
    group: String,
}

type Page<T> = Result<(Vec<T>, String), Status>;

trait Listed: Thing {
    async fn page(access: &mut Access, asked: &Asked) -> Page<Self>;
    /// One of this name, in this domain if it is of one.
    fn named(domain: &str, name: &str, display_name: &str) -> Self;
    /// What it is sorted by.
    fn place(&self) -> (Vec<u8>, Vec<u8>);
}

macro_rules! listed {
    ($($thing:ident $things:ident $list:ident $List:ident [$($filter:ident)*]
        |$domain:ident, $name:ident| { $($field:ident: $value:expr),* }
        [$($place:ident),*];)*) => {$(
        impl Listed for pb::$thing {
            async fn page(access: &mut Access, asked: &Asked) -> Page<Self> {
                let Asked { page_size, page_token, search, .. } = asked.clone();
                $(let $filter = asked.$filter.clone();)*
                let request = pb::$List { page_size, page_token, search, $($filter),* };
                let response = access.$list(request).await?.into_inner();
                Ok((response.$things, response.next_page_token))
            }

            fn named($domain: &str, $name: &str, display_name: &str) -> Self {
                let _ = $domain;
                Self { display_name: display_name.into(), $($field: $value,)* ..Self::default() }
            }

            fn place(&self) -> (Vec<u8>, Vec<u8>) {
                let [.., one, other] = ["", $(self.$place.as_str()),*];
                (one.into(), other.into())
            }
        }
    )*};
}

listed! {
    Domain domains list_domains ListDomainsRequest []
        |domain, name| { name: name.into() } [name];
    Environment environments list_environments ListEnvironmentsRequest []
        |domain, name| { name: name.into(), tag: super::fresh_tag() } [name];
    User users list_users ListUsersRequest [domain kind group]
        |domain, name| { domain: domain.into(), id: name.into(), kind: 1 } [domain, id];
    PermissionGroup groups list_permission_groups ListPermissionGroupsRequest [domain]
        |domain, name| { domain: domain.into(), name: name.into() } [domain, name];
    Template templates list_templates ListTemplatesRequest []
        |domain, name| { name: name.into() } [name];
    Customer customers list_customers ListCustomersRequest [domain]
        |domain, name| { domain: domain.into(), id: name.into() } [domain, id];
}

/// All pages of a list, each of the size that is asked for, the last one perhaps shorter.
async fn all<T: Listed>(access: &mut Access, asked: &Asked) -> Vec<T> {
    let mut asked = asked.clone();
    let mut all = vec![];
    let size = usize::try_from(asked.page_size).unwrap();
    loop {
        let (page, next) = T::page(access, &asked).await.unwrap();
        assert!(size == 0 || page.len() == size || next.is_empty() && page.len() < size);
        all.extend(page);
        if next.is_empty() {
            return all;
        }
        asked.page_token = next;
    }
}

/// Names whose byte order is not that of dictionaries.
const NAMES: [&str; 8] = ["b", "a", "a-b", "ab", "a0", "a-", "aa", "z9"];
const MORE_IDS: [&str; 6] = ["B", "a.b", "a@b", "a_b", "Z", "0"];
const MORE_CUSTOMERS: [&str; 8] = ["B", "a/b", "/", "a,b", "*", "~", "\"\\\"", "%41"];

async fn pages<T: Listed>() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    for domain in ["x-1", "x"] {
        let domain = pb::Domain::named("", domain, "Domain");
        made(&site, domain).await;
    }
    let there = all::<T>(access, &Asked::default()).await.len();
    let of_domains = ["user", "group", "customer"].contains(&T::FIELD);
    let domains = if of_domains { &["x-1", "default", "x"][..] } else { &[""] };
    let more = match T::FIELD {
        "user" => &MORE_IDS[..],
        "customer" => &MORE_CUSTOMERS,
        _ => &[],
    };
    let mut things = vec![];
    for domain in domains {
        for (at, name) in NAMES.iter().chain(more).enumerate() {
            let display_name = ["Käse & Co", "100% _of a\\b", "Ärger", "plain"][at % 4];
            things.push(made(&site, T::named(domain, name, display_name)).await);
        }
    }
    let mut expected = all::<T>(access, &Asked { page_size: 1000, ..Asked::default() }).await;
    assert_eq!(expected.len(), there + things.len());
    for thing in &things {
        assert!(expected.contains(thing));
    }
    assert!(expected.is_sorted_by_key(Listed::place));
    for size in 0..=expected.len() + 1 {
        let page_size = i32::try_from(size).unwrap();
        let asked = Asked { page_size, ..Asked::default() };
        assert_eq!(all::<T>(access, &asked).await, expected, "{size}");
    }
    if of_domains {
        for domain in ["x", "x-1", "default", "keyward", "nowhere"] {
            let asked = Asked { page_size: 3, domain: domain.into(), ..Asked::default() };
            let of_it = expected.iter().filter(|thing| thing.place().0 == domain.as_bytes());
            assert_eq!(all::<T>(access, &asked).await, of_it.cloned().collect::<Vec<_>>());
        }
    }
    searches(access, &expected).await;
    other_tokens::<T>(access).await;

    // a page does not shift when things are made meanwhile
    let asked = Asked { page_size: 2, ..Asked::default() };
    let (first, next) = T::page(access, &asked).await.unwrap();
    let new = made(&site, T::named("default", "a1", "New")).await;
    expected.push(new);
    expected.sort_by_key(Listed::place);
    let rest = all::<T>(access, &Asked { page_token: next, ..asked }).await;
    let last = first.last().unwrap().place();
    let behind = expected.iter().filter(|thing| thing.place() > last);
    assert_eq!(rest, behind.cloned().collect::<Vec<_>>());
}

/// Searches for parts of names and display names, whatever their case and whatever they contain.
async fn searches<T: Listed>(access: &mut Access, things: &[T]) {
    let shown = |thing: &T, text: &str| {
        let place = String::from_utf8(thing.place().1).unwrap();
        let mut shown = vec![place, display_name(thing)];
        shown.retain(|shown| shown.to_lowercase().contains(&text.to_lowercase()));
        !shown.is_empty()
    };
    for text in [
        "a", "A-", "A0", "käse", "0% _", "%", "_", "\\", "a\\b", "pLAin", " & ", "z9", "nothing",
        "x-", "DOMAIN",
    ] {
        let expected: Vec<_> = things.iter().filter(|thing| shown(thing, text)).cloned().collect();
        let asked = Asked { search: text.into(), page_size: 2, ..Asked::default() };
        assert_eq!(all::<T>(access, &asked).await, expected, "{text:?}");
    }
}

fn display_name<T: Thing>(thing: &T) -> String {
    thing.snapshot()["display_name"].as_str().unwrap().to_owned()
}

/// A token continues the list that it came from, and no other.
async fn other_tokens<T: Listed>(access: &mut Access) {
    let plain = Asked { page_size: 1, ..Asked::default() };
    let searching = Asked { search: "a".into(), ..plain.clone() };
    let other = Asked { search: "b".into(), ..plain.clone() };
    let mut tokens = vec![];
    for asked in [&plain, &searching, &other] {
        tokens.push(T::page(access, asked).await.unwrap().1);
    }
    for (at, asked) in [plain, searching, other].into_iter().enumerate() {
        for (from, token) in tokens.iter().enumerate() {
            assert_ne!(token, "");
            let asked = Asked { page_token: token.clone(), ..asked.clone() };
            let result = T::page(access, &asked).await;
            if from == at {
                assert_eq!(result.unwrap().0.len(), 1);
            } else {
                assert_invalid(result, &["page_token"]);
            }
            for broken in [format!("{token}A"), token[1..].into(), token.to_uppercase()] {
                let asked = Asked { page_token: broken, ..asked.clone() };
                assert_invalid(T::page(access, &asked).await, &["page_token"]);
            }
        }
    }
}

macro_rules! for_kinds {
    ($($name:ident $thing:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            pages::<pb::$thing>().await;
        }
    )*};
}

for_kinds! {
    domains_are_listed_by_name_in_pages_of_any_size Domain;
    environments_are_listed_by_name_in_pages_of_any_size Environment;
    users_are_listed_by_domain_and_id_in_pages_of_any_size User;
    groups_are_listed_by_domain_and_name_in_pages_of_any_size PermissionGroup;
    templates_are_listed_by_name_in_pages_of_any_size Template;
    customers_are_listed_by_domain_and_id_in_pages_of_any_size Customer;
}

#[tokio::test]
async fn a_page_has_50_if_nothing_is_said_and_1000_at_most() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    let many = "INSERT INTO keyward.permission_group
            (domain, name, display_name, description, permissions, created_at, updated_at, version)
        SELECT 'default', 'group-' || to_char(n, 'FM0000'), 'A group', '', '{}', now(), now(), 1
        FROM generate_series(1, 1001) AS n";
    site.database.connect().await.batch_execute(many).await.unwrap();
    for (page_size, expected) in
        [(0, 50), (50, 50), (999, 999), (1000, 1000), (1001, 1000), (i32::MAX, 1000)]
    {
        let asked = Asked { page_size, ..Asked::default() };
        let (page, next) = pb::PermissionGroup::page(access, &asked).await.unwrap();
        assert_eq!(page.len(), expected);
        assert_ne!(next, "");
        assert_eq!(page.last().unwrap().name, format!("group-{expected:04}"));
    }
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_for_a_client() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    let large = "INSERT INTO keyward.domain_user (domain, id, kind, display_name, description,
            permissions, groups, created_at, updated_at, version)
        SELECT 'default', to_char(n, 'FM0000'), 'person', 'A user', '',
            ARRAY(SELECT m || repeat('a', 190) FROM generate_series(100, 199) AS m),
            '{}', now(), now(), 1
        FROM generate_series(1, 400) AS n";
    site.database.connect().await.batch_execute(large).await.unwrap();
    let mut asked = Asked { page_size: 1000, ..Asked::default() };
    let mut found = vec![];
    loop {
        let (page, next) = pb::User::page(access, &asked).await.unwrap();
        assert!(page.len() < 200, "of 20 KB each");
        found.extend(page.into_iter().map(|user| user.id));
        asked.page_token = next;
        if asked.page_token.is_empty() {
            break;
        }
        assert!(found.len() > 100);
    }
    let expected: Vec<_> = (1..=400).map(|number| format!("{number:04}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn users_are_found_by_kind_and_group_and_both() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    for domain in ["one", "other"] {
        made(&site, pb::Domain::named("", domain, "Domain")).await;
        for group in ["red", "blue"] {
            made(&site, pb::PermissionGroup::named(domain, group, "Group")).await;
        }
    }
    let mut users = vec![];
    for domain in ["one", "other"] {
        for kind in [1, 2] {
            for (at, groups) in
                [&[][..], &["red"], &["blue"], &["blue", "red"]].into_iter().enumerate()
            {
                let user = pb::User::named(domain, &format!("user-{kind}-{at}"), "User");
                let groups = super::texts(groups);
                users.push(made(&site, pb::User { kind, groups, ..user }).await);
            }
        }
    }
    for domain in ["", "one", "other", "default"] {
        for kind in [0, 1, 2] {
            for group in ["", "red", "blue", "green"] {
                let asked = Asked {
                    page_size: 3,
                    domain: domain.into(),
                    kind,
                    group: group.into(),
                    ..Asked::default()
                };
                let shown = |user: &&pb::User| {
                    (domain.is_empty() || user.domain == domain)
                        && (kind == 0 || user.kind == kind)
                        && (group.is_empty() || user.groups.iter().any(|name| name == group))
                };
                let expected: Vec<_> = users.iter().filter(shown).cloned().collect();
                assert_eq!(all::<pb::User>(access, &asked).await, expected, "{asked:?}");
                // its tokens are for these filters alone
                let (_, page_token) = pb::User::page(access, &asked).await.unwrap();
                if !page_token.is_empty() {
                    let asked = |domain: &str, kind, group: &str| Asked {
                        page_token: page_token.clone(),
                        domain: domain.into(),
                        kind,
                        group: group.into(),
                        ..Asked::default()
                    };
                    let kinds = asked(domain, (kind + 1) % 3, group);
                    let groups = asked(domain, kind, "yellow");
                    for other in [asked("yellow", kind, group), kinds, groups] {
                        assert_invalid(pb::User::page(access, &other).await, &["page_token"]);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_what_was_removed_meanwhile() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    let mut groups = vec![];
    for name in ["a", "b", "c", "d"] {
        groups.push(made(&site, pb::PermissionGroup::named("default", name, "Group")).await);
    }
    let asked = Asked { page_size: 2, ..Asked::default() };
    let (_, page_token) = pb::PermissionGroup::page(access, &asked).await.unwrap();
    for gone in [1, 2] {
        groups[gone].delete(access, false).await.unwrap();
    }
    let asked = Asked { page_token, ..asked };
    assert_eq!(all::<pb::PermissionGroup>(access, &asked).await, groups[3..]);
}
