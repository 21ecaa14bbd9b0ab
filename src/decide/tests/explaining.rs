//! What is explained, compared with what is decided and permitted.

use super::*;
use crate::{
    decide::explain::{EffectivePermissions, Explanation, SourceKind, effective, explain},
    model::permission::Grant,
};

fn explained(case: &Case) -> Explanation {
    explain(known(&case.key(), case.secret_end()), &case.question(), NOW)
}

fn grant(text: &str) -> Grant {
    Grant::parse(text).unwrap()
}

fn texts(found: &EffectivePermissions) -> Vec<&str> {
    found.permissions.iter().map(|one| one.grant.as_str()).collect()
}

/// The kinds, names and grants of the sources of one permission.
fn sources(found: &EffectivePermissions, at: usize) -> Vec<(SourceKind, &str, &str)> {
    let sources = found.permissions[at].sources.iter();
    sources.map(|source| (source.kind, &*source.name, &*source.grant)).collect()
}

/// All permissions of up to three words out of few, so that wild words meet all others.
fn permissions() -> impl Strategy<Value = String> {
    prop::collection::vec("(systems|users|read|write|own)", 1..=3).prop_map(|words| words.join("."))
}

proptest! {
    #[test]
    fn an_explanation_has_every_check_once_in_order_and_the_same_decision(case in cases()) {
        let explanation = explained(&case);
        prop_assert_eq!(explanation.decision, case.decide());
        let checks: Vec<Check> = explanation.checks.iter().map(|one| one.check).collect();
        prop_assert_eq!(&checks[..9], CHECKS);
        prop_assert_eq!(&checks[9..], [Check::Limits]);
        let first = explanation.checks.iter().find_map(|one| match one.finding {
            Finding::Failed(reason) => Some(reason),
            Finding::Passed | Finding::Skipped => None,
        });
        let decision = first.map_or(Decision::Allow, Decision::Deny);
        prop_assert_eq!(decision, case.decide());
        prop_assert!(explanation.checks.iter().all(|one| !one.detail.is_empty()));
    }

    #[test]
    fn what_is_not_asked_for_is_skipped_and_so_is_what_does_not_restrict(case in cases()) {
        let explanation = explained(&case);
        let skipped = |check: Check| {
            let found = explanation.checks.iter().find(|one| one.check == check);
            found.unwrap().finding == Finding::Skipped
        };
        prop_assert!(!skipped(Check::Key) && !skipped(Check::KeyLive) && !skipped(Check::Domain));
        prop_assert_eq!(skipped(Check::User), case.person.is_none());
        prop_assert_eq!(skipped(Check::Environment), case.listener == Listener::Holder);
        let no_addresses = case.allowed.is_empty() && case.denied.is_empty();
        prop_assert_eq!(skipped(Check::Address), no_addresses);
        let unasked = case.asked.is_none();
        prop_assert_eq!(skipped(Check::Customer), unasked || case.customers.is_empty());
        let mapped = case.asked.is_some_and(|asked| asked.needed.is_empty());
        prop_assert_eq!(skipped(Check::Route), unasked || (case.rules.is_empty() && !mapped));
        prop_assert_eq!(skipped(Check::Permission), unasked);
    }

    #[test]
    fn the_permission_that_is_needed_decides_alone_once_all_else_holds(case in live_cases()) {
        let explanation = explained(&case);
        let Some(asked) = case.asked else {
            prop_assert_eq!(explanation.needed, None);
            return Ok(());
        };
        if !asked.needed.is_empty() {
            prop_assert_eq!(explanation.needed.as_deref(), Some(asked.needed));
        }
        let needed = explanation.needed.as_deref().map(|text| Permission::parse(text).unwrap());
        let permitted = needed.is_some_and(|needed| case.key().profile.permits(needed));
        let found = explanation.checks[8].finding;
        let expected =
            if permitted { Finding::Passed } else { Finding::Failed(Reason::PermissionDenied) };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_is_listed_as_effective_is_exactly_what_is_permitted(
        case in cases(), needed in permissions(),
    ) {
        let profile = case.key().profile;
        let found = effective(&profile);
        prop_assert!(!found.truncated);
        let needed = Permission::parse(&needed).unwrap();
        let listed = found.permissions.iter().any(|one| one.grant.covers(needed));
        prop_assert_eq!(listed, profile.permits(needed));
    }

    #[test]
    fn every_source_of_an_effective_permission_covers_it_and_all_that_must_are_there(case in cases()) {
        let profile = case.key().profile;
        let found = effective(&profile);
        let of_user = |kind| matches!(kind, SourceKind::User | SourceKind::UserGroup);
        for (at, one) in found.permissions.iter().enumerate() {
            for source in &one.sources {
                prop_assert!(grant(&source.grant).covers_grant(&one.grant), "{:?}", one);
            }
            let by_user = one.sources.iter().any(|source| of_user(source.kind));
            let by_key = one.sources.iter().any(|source| !of_user(source.kind));
            prop_assert_eq!(by_user, case.person.is_some());
            prop_assert_eq!(by_key, profile.has_grants());
            let again = found.permissions.iter().skip(at + 1).any(|other| other.grant == one.grant);
            prop_assert!(!again, "{:?} is listed twice", one);
        }
    }
}

#[test]
fn without_a_key_nothing_but_that_is_explained() {
    let case = Question {
        plane: Plane::Data("production"),
        client: None,
        ask: Ask::Access(Access {
            customer: "",
            route: "/api",
            method: "GET",
            permission: needed("systems.read"),
        }),
    };
    for (subject, reason) in [
        (Subject::Missing, Reason::KeyMissing),
        (Subject::Malformed, Reason::KeyMalformed),
        (Subject::Several, Reason::KeyAmbiguous),
        (Subject::Unknown, Reason::KeyUnknown),
    ] {
        let explanation = explain(subject, &case, NOW);
        assert_eq!(explanation.decision, Decision::Deny(reason));
        let checks: Vec<_> =
            explanation.checks.iter().map(|one| (one.check, one.finding)).collect();
        assert_eq!(checks, [(Check::Key, Finding::Failed(reason))]);
        assert_eq!(explanation.needed, None);
    }
}

#[test]
fn what_follows_the_first_failure_is_explained_too() {
    let key = key().inactive().customers(&["c-1"]).grants(&["users"]).build();
    let access =
        Access { customer: "c-2", route: "", method: "", permission: needed("systems.read") };
    let question =
        Question { plane: Plane::Data("staging"), client: None, ask: Ask::Access(access) };
    let explanation = explain(known(&key, now_plus(1)), &question, NOW);
    let findings: Vec<Finding> = explanation.checks.iter().map(|one| one.finding).collect();
    assert_eq!(
        findings,
        [
            Finding::Passed,
            Finding::Failed(Reason::KeyInactive),
            Finding::Skipped,
            Finding::Passed,
            Finding::Failed(Reason::EnvironmentMismatch),
            Finding::Skipped,
            Finding::Failed(Reason::CustomerDenied),
            Finding::Skipped,
            Finding::Failed(Reason::PermissionDenied),
            Finding::Skipped,
        ]
    );
    let details: Vec<&str> = explanation.checks.iter().map(|one| &*one.detail).collect();
    assert_eq!(details[1..4], ["deactivated or revoked", "acts for nobody", "default"]);
    assert_eq!(
        details[4..6],
        ["is of production, asked for staging", "no client address was given"]
    );
    assert_eq!(details[6], "asked for c-2");
    assert_eq!(details[8], "needs systems.read");
}

#[test]
fn details_tell_user_address_route_and_what_the_map_says() {
    let key = key()
        .user(user(&["*"], &[]))
        .allowed(&["192.0.2.0/24"])
        .route_map(&["* /api systems.{action}"])
        .build();
    let told = |route: &'static str| {
        let access = Access { customer: "", route, method: "GET", permission: None };
        let client = "192.0.2.7".parse().ok();
        let plane = Plane::Data("production");
        let question = Question { plane, client, ask: Ask::Access(access) };
        let explanation = explain(known(&key, now_plus(1)), &question, NOW);
        let details: Vec<String> = explanation.checks.into_iter().map(|one| one.detail).collect();
        (details, explanation.needed)
    };
    let (details, needed) = told("/api");
    assert_eq!(details[2], "acts for alice");
    assert_eq!(details[5], "asked for 192.0.2.7");
    assert_eq!(details[6], "no customer was named");
    assert_eq!(details[7], "asked for \"GET\" \"/api\"");
    assert_eq!((&*details[8], needed.as_deref()), ("needs systems.read", Some("systems.read")));
    let (details, needed) = told("/other");
    assert_eq!((&*details[8], needed), ("the route map does not have this route", None));
    let (details, needed) = told("/api//x");
    assert_eq!((&*details[7], needed), ("the path has two readings", None));
    let (details, needed) = told("");
    assert_eq!((&*details[7], needed), ("asked for \"GET\" \"\"", None));
}

#[test]
fn what_a_key_alone_may_is_listed_with_all_that_gives_it() {
    let key = key()
        .grants(&["systems.read", "users"])
        .group(group("readers", &["*.read", "users"]))
        .build();
    let found = effective(&key.profile);
    assert_eq!(texts(&found), ["systems.read", "users", "*.read"]);
    assert_eq!(sources(&found, 0), [(SourceKind::Direct, "", "systems.read")]);
    let both = [(SourceKind::Direct, "", "users"), (SourceKind::Group, "readers", "users")];
    assert_eq!(sources(&found, 1), both);
}

#[test]
fn what_a_key_and_its_user_both_have_is_listed_with_both() {
    let with_user = |builder: KeyBuilder| {
        let key = builder.user(user(&["systems"], &["*.read"])).build();
        effective(&key.profile)
    };
    let found = with_user(key().grants(&["systems.read", "users"]));
    assert_eq!(texts(&found), ["systems.read", "users.read"]);
    let expected = [
        (SourceKind::Direct, "", "systems.read"),
        (SourceKind::User, "alice", "systems"),
        (SourceKind::UserGroup, "staff", "*.read"),
    ];
    assert_eq!(sources(&found, 0), expected);
    let found = with_user(key().grants(&[]));
    assert_eq!(texts(&found), ["systems", "*.read"]);
    assert_eq!(sources(&found, 0), [(SourceKind::User, "alice", "systems")]);
    assert_eq!(sources(&found, 1), [(SourceKind::UserGroup, "staff", "*.read")]);
    let found = with_user(key().grants(&[]).group(group("gone", &[])));
    assert_eq!(texts(&found), Vec::<&str>::new());
}

/// Grants that no other list of another name has in common.
fn many(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}{n}")).collect()
}

fn slices(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn a_thousand_permissions_are_listed_and_that_there_are_more_is_told() {
    let own = many("own", 100);
    let with_groups = |groups: usize| {
        let mut builder = key().grants(&slices(&own));
        for number in 0..groups {
            let given = many(&format!("group{number}x"), 100);
            builder = builder.group(group("many", &slices(&given)));
        }
        effective(&builder.build().profile)
    };
    let found = with_groups(9);
    assert_eq!((found.permissions.len(), found.truncated), (1000, false));
    let found = with_groups(10);
    assert_eq!((found.permissions.len(), found.truncated), (1000, true));
    assert!(found.permissions.iter().all(|one| one.sources.len() == 1));
}

#[test]
fn no_more_than_a_thousand_are_listed_of_what_key_and_user_both_have() {
    let starts: Vec<String> = many("a", 100).iter().map(|word| format!("{word}.*")).collect();
    let ends: Vec<String> = many("b", 100).iter().map(|word| format!("*.{word}")).collect();
    let key = key().grants(&slices(&starts)).user(user(&slices(&ends), &[])).build();
    let found = effective(&key.profile);
    assert_eq!((found.permissions.len(), found.truncated), (1000, true));
    assert_eq!(found.permissions[999].sources.len(), 2);
}
