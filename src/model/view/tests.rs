use std::net::IpAddr;

use proptest::{prelude::*, sample::subsequence};

use super::*;

/// What a profile is stored as when every line has something in it.
const LINES: [&str; 13] = [
    "production",
    "lab",
    "systems users.read",
    "7",
    "1 2",
    "192.0.2.0/24 2001:db8::/32",
    "192.0.2.7",
    "c-1 C/2",
    "shop depot",
    "systems zones",
    "smooth:rate:10:1000000:20 monthly:quota:1000:month",
    "GET,HEAD /api",
    "=/status",
];

fn parse(lines: &[&str]) -> Result<StoredProfile, UnreadableRow> {
    StoredProfile::parse(&lines.join("\n"))
}

/// The same text again, with as many lines.
fn written(stored: &StoredProfile) -> String {
    let numbers =
        |numbers: &[i64]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let networks = |networks: &Networks| networks.iter().collect::<Vec<_>>().join(" ");
    let grants = |grants: &Grants| grants.iter().collect::<Vec<_>>().join(" ");
    let delegation = stored.delegation.as_ref();
    let domains = delegation
        .map(|bound| bound.domains().iter().map(DomainName::as_str).collect::<Vec<_>>().join(" "));
    let rules: Vec<String> = stored.route_rules.iter().map(ToString::to_string).collect();
    [
        stored.environment.to_string(),
        stored.domain.to_string(),
        grants(&stored.grants),
        stored.user.map(|uid| uid.to_string()).unwrap_or_default(),
        numbers(&stored.groups),
        networks(&stored.addresses.allowed),
        networks(&stored.addresses.denied),
        stored.customers.iter().collect::<Vec<_>>().join(" "),
        domains.unwrap_or_default(),
        delegation.map(|bound| grants(&bound.ceiling)).unwrap_or_default(),
        stored.limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        rules.join("\n"),
    ]
    .join("\n")
}

fn with_line(at: usize, text: &str) -> Result<StoredProfile, UnreadableRow> {
    let mut lines = LINES;
    lines[at] = text;
    parse(&lines)
}

#[test]
fn every_line_of_a_profile_is_read_into_its_place() {
    let stored = parse(&LINES).unwrap();
    assert_eq!(written(&stored), LINES.join("\n"));
    assert_eq!(stored.domain.as_str(), "lab");
    assert_eq!(stored.user, Some(7));
    assert_eq!(stored.groups, [1, 2]);
    let address = |text: &str| text.parse::<IpAddr>().ok();
    assert!(stored.addresses.allow(address("192.0.2.8")));
    assert!(!stored.addresses.allow(address("192.0.2.7")));
    assert!(stored.customers.allow("C/2") && !stored.customers.allow("c-2"));
    assert!(stored.delegation.unwrap().reaches(&DomainName::parse("depot").unwrap()));
    assert!(stored.route_rules.allow("GET", "/api/x") && !stored.route_rules.allow("GET", "/x"));
}

#[test]
fn a_line_that_is_empty_is_nothing() {
    let stored = parse(&["production", "lab", "", "", "", "", "", "", "", "", "", ""]).unwrap();
    assert!(stored.grants.is_empty() && stored.user.is_none() && stored.groups.is_empty());
    assert!(stored.addresses.is_empty() && stored.customers.is_empty());
    assert!(stored.delegation.is_none() && stored.route_rules.is_empty());
    assert!(stored.limits.is_empty());
    assert_eq!(written(&stored), "production\nlab\n\n\n\n\n\n\n\n\n\n");
}

#[test]
fn a_line_that_cannot_be_read_is_told_by_its_kind() {
    type Told = fn(&UnreadableRow) -> bool;
    let cases: [(usize, &str, Told); 24] = [
        (1, "", |e| matches!(e, UnreadableRow::Domain(_))),
        (1, "lab shop", |e| matches!(e, UnreadableRow::Domain(_))),
        (2, "systems Users", |e| matches!(e, UnreadableRow::Grants(_))),
        (2, "systems systems", |e| matches!(e, UnreadableRow::Grants(_))),
        (3, "alice", |e| matches!(e, UnreadableRow::Uid)),
        (3, "7 8", |e| matches!(e, UnreadableRow::Uid)),
        (3, "7.0", |e| matches!(e, UnreadableRow::Uid)),
        (4, "1 x", |e| matches!(e, UnreadableRow::Uid)),
        (4, "1,2", |e| matches!(e, UnreadableRow::Uid)),
        (4, "9223372036854775808", |e| matches!(e, UnreadableRow::Uid)),
        (5, "192.0.2.0/33", |e| matches!(e, UnreadableRow::Addresses(_))),
        (5, "192.0.2.7/24", |e| matches!(e, UnreadableRow::Addresses(_))),
        (6, "everywhere", |e| matches!(e, UnreadableRow::Addresses(_))),
        (7, "c-1 c-1", |e| matches!(e, UnreadableRow::Customers(_))),
        (7, "\u{e9}", |e| matches!(e, UnreadableRow::Customers(_))),
        (8, "shop shop", |e| matches!(e, UnreadableRow::Delegation(_))),
        (8, "keyward", |e| matches!(e, UnreadableRow::Delegation(_))),
        (8, "", |e| matches!(e, UnreadableRow::Delegation(InvalidDelegation::Number))),
        (9, "systems Zones", |e| matches!(e, UnreadableRow::Grants(_))),
        (10, "smooth:rate:10:1000000", |e| matches!(e, UnreadableRow::Limits(_))),
        (10, "a:concurrency:1 a:concurrency:2", |e| matches!(e, UnreadableRow::Limits(_))),
        (11, "/api/", |e| matches!(e, UnreadableRow::RouteRules(_))),
        (11, "get /api", |e| matches!(e, UnreadableRow::RouteRules(_))),
        (12, "GET,HEAD /api", |e| matches!(e, UnreadableRow::RouteRules(_))),
    ];
    for (at, text, told) in cases {
        let error = with_line(at, text).unwrap_err();
        assert!(told(&error), "line {at} {text:?}: {error}");
    }
}

#[test]
fn a_bound_admin_key_may_have_a_ceiling_that_lets_nothing_through() {
    let stored = with_line(9, "").unwrap();
    let bound = stored.delegation.unwrap();
    assert!(bound.ceiling.is_empty());
    assert_eq!(bound.domains().len(), 2);
}

#[test]
fn what_cannot_be_read_says_where_for_the_log() {
    for (at, text, words) in [
        (1, "No", "domain: "),
        (2, "No", "permissions: "),
        (3, "No", "the uid of a user or group"),
        (5, "No", "addresses: "),
        (7, "\u{e9}", "customers: "),
        (8, "No", "delegation: "),
        (10, "No", "limits: "),
        (11, "No", "route_rules: "),
    ] {
        let told = with_line(at, text).unwrap_err().to_string();
        assert!(told.starts_with(words), "{told}");
    }
}

fn some<const N: usize>(of: [&'static str; N]) -> impl Strategy<Value = String> {
    subsequence(of.to_vec(), 0..=N).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_written(
        grants in some(["systems", "*.read", "public"]),
        user in prop::option::of(any::<i64>()),
        groups in prop::collection::vec(any::<i64>(), 0..3),
        allowed in some(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]),
        denied in some(["0.0.0.0/0", "::1"]),
        customers in some(["c-1", "*", "=/x"]),
        bound in prop::option::of((some(["shop", "depot"]), some(["systems", "zones"]))),
        limits in some(["smooth:rate:10:1000000:20", "a:quota:0:86400", "b:concurrency:3"]),
        rules in subsequence(vec!["/", "=/a", "GET /b"], 0..=3),
    ) {
        let (domains, ceiling) = bound.filter(|(domains, _)| !domains.is_empty()).unwrap_or_default();
        let user = user.map(|uid| uid.to_string()).unwrap_or_default();
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let text = [
            "production", "lab", &grants, &user, &groups.join(" "), &allowed, &denied, &customers, &domains,
            &ceiling, &limits, &rules.join("\n"),
        ].join("\n");
        prop_assert_eq!(written(&StoredProfile::parse(&text).unwrap()), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 ./*=\n]{0,60}") {
        drop(StoredProfile::parse(&text));
    }
}
