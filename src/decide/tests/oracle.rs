//! A decision in the most naive way, to compare with: loops over texts, and none of the matchers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;

fn naive(case: &Case) -> Decision {
    match naive_reason(case) {
        None => Decision::Allow,
        Some(reason) => Decision::Deny(reason),
    }
}

fn naive_reason(case: &Case) -> Option<Reason> {
    if case.listener == Listener::Data && case.admin {
        return Some(Reason::KeyUnknown);
    }
    if case.listener == Listener::Admin && !case.admin {
        return Some(Reason::KeyUnknown);
    }
    if case.secret_end == Some(0) || case.secret_end == Some(-1) {
        return Some(Reason::KeyUnknown);
    }
    if !case.active {
        return Some(Reason::KeyInactive);
    }
    if case.end == Some(0) || case.end == Some(-1) {
        return Some(Reason::KeyExpired);
    }
    if case.start == Some(1) {
        return Some(Reason::KeyNotYetValid);
    }
    if let Some(Person { enabled: false, .. }) = case.person {
        return Some(Reason::UserDisabled);
    }
    if !case.domain_enabled {
        return Some(Reason::DomainDisabled);
    }
    if case.listener == Listener::Data && case.environment != case.asked_environment {
        return Some(Reason::EnvironmentMismatch);
    }
    if case.listener == Listener::Admin && case.environment != "production" {
        return Some(Reason::EnvironmentMismatch);
    }
    if !address_passes(case) {
        return Some(Reason::AddressDenied);
    }
    let asked = case.asked?;
    if !case.customers.is_empty() && !case.customers.contains(&asked.customer) {
        return Some(Reason::CustomerDenied);
    }
    if !route_passes(case, asked) {
        return Some(Reason::RouteDenied);
    }
    let needed = if asked.needed.is_empty() {
        match mapped(case, asked) {
            None => return Some(Reason::PermissionDenied),
            Some(needed) => needed,
        }
    } else {
        asked.needed.to_string()
    };
    let own = all_grants(&case.grants, &case.groups);
    let has_own = !case.grants.is_empty() || !case.groups.is_empty();
    let by_own = own.iter().any(|grant| covers(grant, &needed));
    let permitted = match &case.person {
        None => by_own,
        Some(person) => {
            let theirs = all_grants(&person.grants, &person.groups);
            let by_user = theirs.iter().any(|grant| covers(grant, &needed));
            if has_own { by_own && by_user } else { by_user }
        }
    };
    if permitted { None } else { Some(Reason::PermissionDenied) }
}

fn all_grants(grants: &[&str], groups: &[Vec<&str>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for grant in grants {
        all.push((*grant).to_string());
    }
    for group in groups {
        for grant in group {
            all.push((*grant).to_string());
        }
    }
    all
}

fn covers(grant: &str, needed: &str) -> bool {
    let grant = grant.replace("public", "*");
    let grant: Vec<&str> = grant.split('.').collect();
    let needed: Vec<&str> = needed.split('.').collect();
    for at in 0..grant.len() {
        if at >= needed.len() {
            return false;
        }
        if grant[at] != "*" && grant[at] != needed[at] {
            return false;
        }
    }
    true
}

fn address_passes(case: &Case) -> bool {
    if case.allowed.is_empty() && case.denied.is_empty() {
        return true;
    }
    if case.client.is_empty() {
        return false;
    }
    let mut allowed = case.allowed.is_empty();
    for network in &case.allowed {
        if is_inside(case.client, network) {
            allowed = true;
        }
    }
    for network in &case.denied {
        if is_inside(case.client, network) {
            allowed = false;
        }
    }
    allowed
}

/// Whether it is an IPv6 address, and its bits.
fn bits(address: &str) -> (bool, u128) {
    match address.parse::<IpAddr>().unwrap() {
        IpAddr::V4(address) => (false, u128::from(u32::from(address))),
        IpAddr::V6(address) => match mapped_v4(address) {
            Some(address) => (false, u128::from(u32::from(address))),
            None => (true, u128::from(address)),
        },
    }
}

fn mapped_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    if bytes[..10] == [0; 10] && bytes[10..12] == [255, 255] {
        Some(Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]))
    } else {
        None
    }
}

fn is_inside(client: &str, network: &str) -> bool {
    let (start, prefix) = network.split_once('/').unwrap_or((network, ""));
    let (long, start_bits) = bits(start);
    let (client_long, client_bits) = bits(client);
    if long != client_long {
        return false;
    }
    let width: u32 = if long { 128 } else { 32 };
    let written: u32 = if prefix.is_empty() { 1000 } else { prefix.parse().unwrap() };
    let prefix = if prefix.is_empty() {
        width
    } else if !long && start.contains(':') {
        written - 96
    } else {
        written
    };
    for bit in 0..prefix {
        let mask = 1_u128 << (width - 1 - bit);
        if start_bits & mask != client_bits & mask {
            return false;
        }
    }
    true
}

/// Of the routes that the cases ask for.
fn is_ambiguous(route: &str) -> bool {
    !route.starts_with('/') || route.contains("//") || route.contains("..")
}

fn route_passes(case: &Case, asked: Asked) -> bool {
    let must_be_read = !case.rules.is_empty() || asked.needed.is_empty();
    if must_be_read && is_ambiguous(asked.route) {
        return false;
    }
    if case.rules.is_empty() {
        return true;
    }
    for rule in &case.rules {
        let (methods, target) = rule.split_once(' ').unwrap_or(("", rule));
        let method_fits = methods.is_empty() || methods.split(',').any(|one| one == asked.method);
        let path_fits = if let Some(exact) = target.strip_prefix('=') {
            asked.route == exact
        } else {
            let wanted: Vec<&str> = target.split('/').filter(|word| !word.is_empty()).collect();
            let given: Vec<&str> = asked.route.split('/').skip(1).collect();
            given.len() >= wanted.len() && given[..wanted.len()] == wanted[..]
        };
        if method_fits && path_fits {
            return true;
        }
    }
    false
}

/// How specific an entry is: less is more, segment by segment and then by method.
type Rank = (Vec<u8>, u8);

fn mapped(case: &Case, asked: Asked) -> Option<String> {
    let mut best: Option<(Rank, String)> = None;
    for line in &case.route_map {
        let parts: Vec<&str> = line.split(' ').collect();
        let named = parts[0] != "*";
        if named && !parts[0].split(',').any(|one| one == asked.method) {
            continue;
        }
        let Some(ranks) = template_ranks(parts[1], asked.route) else { continue };
        let rank = (ranks, u8::from(!named));
        let reads = ["GET", "HEAD", "OPTIONS"].contains(&asked.method);
        let needed = parts[2].replace("{action}", if reads { "read" } else { "write" });
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, needed));
        }
    }
    best.map(|(_, needed)| needed)
}

fn template_ranks(template: &str, route: &str) -> Option<Vec<u8>> {
    let wanted: Vec<&str> = template.split('/').skip(1).collect();
    let given: Vec<&str> = route.split('/').skip(1).collect();
    let mut ranks = Vec::new();
    for at in 0..wanted.len() {
        if wanted[at] == "**" {
            ranks.push(2);
            return Some(ranks);
        }
        if at >= given.len() {
            return None;
        }
        if wanted[at].starts_with('{') {
            if given[at].is_empty() {
                return None;
            }
            ranks.push(1);
        } else if wanted[at] == given[at] {
            ranks.push(0);
        } else {
            return None;
        }
    }
    if wanted.len() == given.len() { Some(ranks) } else { None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_decision_is_what_the_naive_way_comes_to(case in cases()) {
        prop_assert_eq!(case.decide(), naive(&case));
    }

    #[test]
    fn so_is_the_one_about_a_live_key(case in live_cases()) {
        prop_assert_eq!(case.decide(), naive(&case));
    }
}

#[test]
fn the_cases_come_to_every_reason_that_a_known_key_can_have() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut found: Vec<Decision> = Vec::new();
    for _ in 0..4000 {
        let case = cases().new_tree(&mut runner).unwrap().current();
        let decision = case.decide();
        if !found.contains(&decision) {
            found.push(decision);
        }
    }
    for reason in &REASONS[3..] {
        assert!(found.contains(&Decision::Deny(*reason)), "{reason:?}");
    }
    assert!(found.contains(&Decision::Allow));
}
