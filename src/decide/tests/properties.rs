//! What holds for any key and question.

use super::*;

/// A case with other grants, all else the same; so it is below.
fn with_grants(case: &Case, grants: Vec<&'static str>) -> Case {
    Case { grants, ..case.clone() }
}

fn with_rules(case: &Case, rules: Vec<&'static str>) -> Case {
    Case { rules, ..case.clone() }
}

fn with_person(case: &Case, person: Option<Person>) -> Case {
    Case { person, ..case.clone() }
}

fn asking(case: Case, change: impl Fn(Asked) -> Asked) -> Case {
    Case { asked: case.asked.map(change), ..case }
}

fn one_grant() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&GRANTS[..])
}

proptest! {
    #[test]
    fn an_inactive_expired_or_not_yet_valid_key_is_never_allowed(case in cases()) {
        prop_assume!(!case.is_live());
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn a_key_of_another_environment_is_never_allowed_but_to_its_holder(case in cases()) {
        let asked = match case.listener {
            Listener::Data => case.asked_environment,
            Listener::Admin => "production",
            Listener::Holder => case.environment,
        };
        prop_assume!(case.environment != asked);
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn a_secret_whose_overlap_is_over_is_unknown_whatever_else_holds(case in cases(), end in -1..=0_i64) {
        let case = Case { secret_end: Some(end), ..case };
        prop_assert_eq!(case.decide(), Decision::Deny(Reason::KeyUnknown));
    }

    #[test]
    fn a_key_of_the_other_plane_is_unknown_whatever_else_holds(case in cases()) {
        let listener = if case.admin { Listener::Data } else { Listener::Admin };
        let case = Case { listener, ..case };
        prop_assert_eq!(case.decide(), Decision::Deny(Reason::KeyUnknown));
    }

    #[test]
    fn the_same_arguments_give_the_same_answer(case in cases()) {
        let (key, question) = (case.key(), case.question());
        let first = decide(known(&key, case.secret_end()), &question, NOW);
        key.last_used.advance(NOW);
        let again = decide(known(&key, case.secret_end()), &question, NOW);
        prop_assert_eq!((first, first), (again, case.decide()));
    }

    #[test]
    fn a_disabled_user_or_domain_denies_with_its_reason_once_the_key_is_live(
        case in cases(), person in persons(),
    ) {
        let person = Some(Person { enabled: false, ..person });
        let of_disabled = Case { person, ..case.clone() };
        prop_assert!(!of_disabled.is_allowed());
        let expected = Decision::Deny(Reason::UserDisabled);
        prop_assert_eq!(of_disabled.decide() == expected, case.is_live());
        let person = case.person.clone().map(|person| Person { enabled: true, ..person });
        let in_disabled = Case { domain_enabled: false, person, ..case.clone() };
        prop_assert!(!in_disabled.is_allowed());
        let expected = Decision::Deny(Reason::DomainDisabled);
        prop_assert_eq!(in_disabled.decide() == expected, case.is_live());
    }

    #[test]
    fn one_more_grant_changes_nothing_but_a_denied_permission(
        case in live_cases(), fewer in lists(GRANTS), more in one_grant(),
    ) {
        // the first grant of a key ends that it has all of its user's
        prop_assume!(!fewer.contains(&more) && (case.person.is_none() || !fewer.is_empty()));
        let before = with_grants(&case, fewer.clone()).decide();
        let after = with_grants(&case, [fewer, vec![more]].concat()).decide();
        let opened = (before, after) == (Decision::Deny(Reason::PermissionDenied), Decision::Allow);
        prop_assert!(before == after || opened, "{:?} {:?}", before, after);
    }

    #[test]
    fn what_a_group_or_the_user_gets_besides_never_denies_what_was_allowed(
        case in live_cases(), given in subsequence(GRANTS.to_vec(), 0..=2), more in one_grant(),
        to_user: bool,
    ) {
        prop_assume!(!given.contains(&more));
        let with = |given: Vec<&'static str>| {
            let mut case = case.clone();
            match &mut case.person {
                Some(person) if to_user => person.groups.push(given),
                _ => case.groups.push(given),
            }
            case.decide()
        };
        let (before, after) = (with(given.clone()), with([given.clone(), vec![more]].concat()));
        let opened = (before, after) == (Decision::Deny(Reason::PermissionDenied), Decision::Allow);
        prop_assert!(before == after || opened, "{:?} {:?}", before, after);
    }

    #[test]
    fn a_user_never_widens_what_a_key_with_grants_of_its_own_may(case in live_cases(), person in persons()) {
        let alone = with_person(&case, None);
        let person = Person { enabled: true, ..person };
        let together = with_person(&case, Some(person.clone()));
        let owned = !case.grants.is_empty() || !case.groups.is_empty();
        let users = Person { grants: Vec::new(), groups: vec![], ..person.clone() };
        let as_user = Case {
            grants: person.grants.clone(), groups: person.groups.clone(), person: None, ..case
        };
        prop_assert!(!together.is_allowed() || !owned || alone.is_allowed());
        prop_assert!(!together.is_allowed() || as_user.is_allowed());
        // and it takes nothing but what it lacks
        let both = alone.is_allowed() && as_user.is_allowed();
        prop_assert!(!both || together.is_allowed());
        let nobody = with_person(&together, Some(users));
        prop_assert!(together.asked.is_none() || !nobody.is_allowed());
    }

    #[test]
    fn a_key_without_anything_of_its_own_has_exactly_what_its_user_has(
        case in live_cases(), person in persons(),
    ) {
        let person = Person { enabled: true, ..person };
        let as_user = Case {
            grants: person.grants.clone(), groups: person.groups.clone(), person: None, ..case.clone()
        };
        let of_user = Case { grants: vec![], groups: vec![], person: Some(person), ..case };
        prop_assert_eq!(of_user.decide(), as_user.decide());
    }

    #[test]
    fn a_key_whose_only_group_gives_nothing_is_not_one_without_anything_of_its_own(
        case in live_cases(), person in persons(), gone in 1..3_usize,
    ) {
        prop_assume!(case.asked.is_some());
        let person = Some(Person { enabled: true, ..person });
        let case = Case { grants: vec![], groups: vec![vec![]; gone], person, ..case };
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn one_more_denied_address_never_allows_what_was_denied(
        case in live_cases(), fewer in lists(NETWORKS), more in prop::sample::select(&NETWORKS[..]),
    ) {
        prop_assume!(!fewer.contains(&more));
        let with = |denied| Case { denied, ..case.clone() }.decide();
        let (before, after) = (with(fewer.clone()), with([fewer, vec![more]].concat()));
        prop_assert!(before == after || after == Decision::Deny(Reason::AddressDenied));
    }

    #[test]
    fn lists_of_addresses_and_customers_only_narrow_what_a_key_without_them_may(case in live_cases()) {
        let everywhere = Case { allowed: vec![], denied: vec![], ..case.clone() }.decide();
        let here = case.decide();
        prop_assert!(here == everywhere || here == Decision::Deny(Reason::AddressDenied));
        let for_all = Case { customers: vec![], ..case.clone() }.decide();
        let narrowed = match here {
            Decision::Deny(Reason::CustomerDenied) => for_all != Decision::Deny(Reason::AddressDenied),
            _ => here == for_all,
        };
        prop_assert!(narrowed, "{:?} {:?}", here, for_all);
    }

    #[test]
    fn one_more_allowed_address_or_customer_beside_others_denies_nothing(
        case in live_cases(), network in prop::sample::select(&NETWORKS[..]),
        customer in prop::sample::select(&CUSTOMERS[..]),
    ) {
        let mut wider = case.clone();
        if !wider.allowed.is_empty() && !wider.allowed.contains(&network) {
            wider.allowed.push(network);
        }
        if !wider.customers.is_empty() && !wider.customers.contains(&customer) {
            wider.customers.push(customer);
        }
        prop_assert!(!case.is_allowed() || wider.is_allowed());
    }

    #[test]
    fn a_client_that_nobody_knows_is_denied_wherever_addresses_restrict(case in live_cases()) {
        let case = Case { client: "", ..case };
        let expected = !case.allowed.is_empty() || !case.denied.is_empty();
        prop_assert_eq!(case.decide() == Decision::Deny(Reason::AddressDenied), expected);
    }

    #[test]
    fn one_more_rule_beside_others_changes_nothing_but_a_denied_route(
        case in live_cases(), fewer in lists(RULES), more in prop::sample::select(&RULES[..]),
    ) {
        prop_assume!(!fewer.is_empty() && !fewer.contains(&more));
        let before = with_rules(&case, fewer.clone()).decide();
        let after = with_rules(&case, [fewer, vec![more]].concat()).decide();
        let opened = before == Decision::Deny(Reason::RouteDenied);
        prop_assert!(before == after || opened, "{:?} {:?}", before, after);
    }

    #[test]
    fn no_rule_list_allows_what_a_key_without_rules_may_not(case in live_cases(), rules in lists(RULES)) {
        let free = with_rules(&case, vec![]).decide();
        let restricted = with_rules(&case, rules).decide();
        prop_assert!(restricted == free || restricted == Decision::Deny(Reason::RouteDenied));
    }

    #[test]
    fn a_key_without_grants_is_allowed_nothing_but_to_say_who_it_is(case in cases()) {
        prop_assume!(case.asked.is_some());
        let case = Case { grants: vec![], groups: vec![], person: None, ..case };
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn a_request_without_a_permission_that_no_route_map_has_is_never_allowed(case in cases()) {
        prop_assume!(case.asked.is_some());
        let case = Case { route_map: vec![], ..case };
        let case = asking(case, |asked| Asked { needed: "", ..asked });
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn a_request_without_a_permission_needs_what_the_route_map_says(
        case in live_cases(), asked in asked(), needed in prop::sample::select(&["systems.read", "users.write"][..]),
    ) {
        let line = format!("* /** {needed}");
        let route = if asked.route.is_empty() { "/" } else { asked.route };
        let readable = Path::parse(route).is_ok();
        let case = Case { asked: Some(Asked { route, needed, ..asked }), ..case };
        let by_name = case.decide();
        let mapped = asking(case, |asked| Asked { needed: "", ..asked });
        let key = Case { route_map: vec![], ..mapped.clone() }.key();
        key.profile.domain.facts.change(crate::model::shared::DomainFacts {
            enabled: true,
            limits: None,
            route_map: crate::model::route_map::RouteMap::parse(&[line]).unwrap(),
        });
        key.profile.domain.facts.settle();
        let by_map = decide(known(&key, mapped.secret_end()), &mapped.question(), NOW);
        let earlier = matches!(
            by_name, Decision::Deny(Reason::AddressDenied | Reason::CustomerDenied)
        );
        let expected = if readable || earlier { by_name } else { Decision::Deny(Reason::RouteDenied) };
        prop_assert_eq!(by_map, expected);
    }

    #[test]
    fn a_request_without_a_route_is_never_allowed_where_rules_restrict(case in cases(), rules in lists(RULES)) {
        prop_assume!(case.asked.is_some() && !rules.is_empty());
        let case = asking(with_rules(&case, rules), |asked| Asked { route: "", ..asked });
        prop_assert!(!case.is_allowed());
    }

    #[test]
    fn whether_a_key_is_good_here_does_not_depend_on_what_it_may_do(case in cases(), other in cases()) {
        let case = Case { asked: None, ..case };
        let person = case.person.clone().map(|person| {
            let Person { grants, groups, .. } = other.person.clone().unwrap_or_else(|| person.clone());
            Person { grants, groups, ..person }
        });
        let changed = Case {
            person,
            grants: other.grants,
            groups: other.groups,
            rules: other.rules,
            customers: other.customers,
            route_map: other.route_map,
            ..case.clone()
        };
        prop_assert_eq!(changed.decide(), case.decide());
    }
}

#[test]
fn what_a_live_key_may_do_here_it_is_allowed() {
    let key = key().grants(&["systems.read"]).route_rules(&["GET /api"]).build();
    let access = Access {
        customer: "",
        route: "/api/systems",
        method: "GET",
        permission: needed("systems.read"),
    };
    let plane = Plane::Data("production");
    let question = Question { plane, client: None, ask: Ask::Access(access) };
    assert_eq!(decide(known(&key, now_plus(1)), &question, NOW), Decision::Allow);
}
