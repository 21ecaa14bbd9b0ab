//! The golden table proves the order of the checks; the properties hold for any key and question.

use std::{fmt::Write, fs};

use proptest::{prelude::*, sample::subsequence};

use super::*;
use crate::model::fixture::{KeyBuilder, NOW, key, now_plus};

const GOLDEN: &str = include_str!("../../tests/golden/decisions.txt");

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::KeyMissing => "KEY_MISSING",
        Reason::KeyMalformed => "KEY_MALFORMED",
        Reason::KeyUnknown => "KEY_UNKNOWN",
        Reason::KeyInactive => "KEY_INACTIVE",
        Reason::KeyExpired => "KEY_EXPIRED",
        Reason::KeyNotYetValid => "KEY_NOT_YET_VALID",
        Reason::EnvironmentMismatch => "ENVIRONMENT_MISMATCH",
        Reason::RouteDenied => "ROUTE_DENIED",
        Reason::PermissionDenied => "PERMISSION_DENIED",
    }
}

fn shown(decision: Decision) -> String {
    match decision {
        Decision::Allow => "ALLOW".into(),
        Decision::Deny(reason) => format!("{} {}", reason.http_status(), reason_name(reason)),
    }
}

fn access<'a>(route: &'a str, method: &'a str, permission: &'a str) -> Ask<'a> {
    Ask::Access {
        route,
        method,
        permission: (!permission.is_empty()).then(|| Permission::parse(permission).unwrap()),
    }
}

const fn ask_here(ask: Ask<'_>) -> Question<'_> {
    Question { plane: Plane::Data, environment: "production", ask }
}

fn known(key: &KeyView, secret_end: Timestamp) -> Subject<'_> {
    Subject::Known { key, secret_end }
}

/// What the key of the first table is asked: it may read systems, below `/api`.
const ASKS: [(&str, [&str; 3]); 4] = [
    ("good", ["/api/systems", "GET", "systems.read"]),
    ("route wrong", ["/admin", "GET", "systems.read"]),
    ("permission wrong", ["/api/systems", "GET", "systems.write"]),
    ("both wrong", ["/admin", "GET", "systems.write"]),
];

fn asks() -> impl Iterator<Item = (&'static str, Ask<'static>)> {
    let accesses =
        ASKS.map(|(name, [route, method, needed])| (name, access(route, method, needed)));
    std::iter::once(("key only", Ask::Authentication)).chain(accesses)
}

fn head(text: &mut String, title: &str, columns: &str) {
    writeln!(text, "\n# {title}\n# {columns}").unwrap();
}

fn no_key_lines(text: &mut String) {
    head(text, "No key: nothing else is looked at.", "subject, plane, ask -> answer");
    let subjects = [
        ("missing", Subject::Missing),
        ("malformed", Subject::Malformed),
        ("unknown", Subject::Unknown),
    ];
    for (name, subject) in subjects {
        for plane in [Plane::Data, Plane::Admin] {
            for (ask_name, ask) in asks() {
                let question = Question { plane, ..ask_here(ask) };
                let answer = shown(decide(subject, &question, NOW));
                let plane = format!("{plane:?}").to_lowercase();
                writeln!(text, "{name:<9}  {plane:<5}  {ask_name:<16}  {answer}").unwrap();
            }
        }
    }
}

/// What a cross product is made of: a name for the column, and what it does to the key.
type Choice = (&'static str, fn(KeyBuilder) -> KeyBuilder);

/// With how many microseconds there are until the secret ends.
const SECRETS: [(Choice, i64); 3] = [
    (("current", |key| key), i64::MAX),
    (("overlap over", |key| key), 0),
    (("other plane's", KeyBuilder::of_admins), i64::MAX),
];
const STANDINGS: [Choice; 2] = [("active", |key| key), ("stopped", KeyBuilder::inactive)];
const TIMES: [Choice; 4] = [
    ("valid", |key| key),
    ("expired", KeyBuilder::expired),
    ("early", KeyBuilder::not_yet_valid),
    ("expired+early", |key| key.expired().not_yet_valid()),
];
const ENVIRONMENTS: [Choice; 2] =
    [("same", |key| key), ("other", |key| key.environment("staging"))];

fn cross_product_lines(text: &mut String) {
    head(
        text,
        "A known key: every combination of what each check can find, so that the order shows.",
        "secret, standing, time, environment, ask -> answer",
    );
    for ((secret, on_plane), end) in SECRETS {
        for (standing, standing_of) in STANDINGS {
            for (time, time_of) in TIMES {
                for (environment, environment_of) in ENVIRONMENTS {
                    let key = key().grants(&["systems.read"]).route_rules(&["/api"]);
                    let key = environment_of(time_of(standing_of(on_plane(key)))).build();
                    let end = Timestamp::from_micros(NOW.micros().saturating_add(end));
                    for (ask_name, ask) in asks() {
                        let answer = shown(decide(known(&key, end), &ask_here(ask), NOW));
                        writeln!(
                            text,
                            "{secret:<13}  {standing:<7}  {time:<13}  {environment:<5}  {ask_name:<16}  {answer}"
                        )
                        .unwrap();
                    }
                }
            }
        }
    }
}

fn plane_lines(text: &mut String) {
    head(text, "Admin keys open the admin services and nothing else.", "key, plane -> answer");
    for (name, builder) in [("ordinary", key()), ("admin", key().of_admins())] {
        for plane in [Plane::Data, Plane::Admin] {
            let key = builder.build();
            let question = Question { plane, ..ask_here(Ask::Authentication) };
            let answer = shown(decide(known(&key, now_plus(1)), &question, NOW));
            let plane = format!("{plane:?}").to_lowercase();
            writeln!(text, "{name:<8}  {plane:<5}  {answer}").unwrap();
        }
    }
}

fn instant_lines(text: &mut String) {
    head(
        text,
        "Instants, in microseconds from now: an end is the first instant that is denied.",
        "what, when -> answer",
    );
    for micros in [-1, 0, 1] {
        let at = now_plus(micros);
        let ends = [
            ("key begins", key().valid_from(at).build(), Timestamp::DISTANT_FUTURE),
            ("key ends", key().expires_at(at).build(), Timestamp::DISTANT_FUTURE),
            ("secret ends", key().build(), at),
        ];
        for (name, key, end) in ends {
            let answer = shown(decide(known(&key, end), &ask_here(Ask::Authentication), NOW));
            writeln!(text, "{name:<11}  {micros:>2}  {answer}").unwrap();
        }
    }
}

fn access_lines(text: &mut String) {
    head(
        text,
        "What is asked, against what the key has; `-` is nothing.",
        "grants; rules; method, route, permission -> answer",
    );
    let grants: [&[&str]; 4] = [&[], &["systems"], &["*.read"], &["public"]];
    let rules: [&[&str]; 3] = [&[], &["/"], &["GET,HEAD /api", "=/status"]];
    let requests = [
        ["", "", ""],
        ["", "", "systems.read"],
        ["GET", "/api/systems", ""],
        ["GET", "/api/systems", "systems.read"],
        ["POST", "/api/systems", "systems.write"],
        ["", "/status", "users.read"],
        ["GET", "/api//systems", "systems.read"],
        ["GET", "/api/%2e%2e/x", "systems.read"],
    ];
    let or_dash = |text: &str| String::from(if text.is_empty() { "-" } else { text });
    for grants in grants {
        for rules in rules {
            let key = key().grants(grants).route_rules(rules).build();
            for [method, route, needed] in requests {
                let question = ask_here(access(route, method, needed));
                let answer = shown(decide(known(&key, now_plus(1)), &question, NOW));
                writeln!(
                    text,
                    "{:<7}  {:<24}  {:<4}  {:<13}  {:<13}  {answer}",
                    or_dash(&grants.join(" ")),
                    or_dash(&rules.join("; ")),
                    or_dash(method),
                    or_dash(route),
                    or_dash(needed),
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn decisions_are_those_of_the_golden_table() {
    let mut text = String::from("# Every line is a case and its answer: HTTP status and reason.\n");
    no_key_lines(&mut text);
    plane_lines(&mut text);
    instant_lines(&mut text);
    access_lines(&mut text);
    cross_product_lines(&mut text);
    if text == GOLDEN {
        return;
    }
    let rewritten = std::env::current_exe().unwrap().with_file_name("decisions.txt");
    fs::write(&rewritten, &text).unwrap();
    let pairs = text.lines().zip(GOLDEN.lines().chain(std::iter::repeat("nothing")));
    let first = pairs.enumerate().find(|(_, (now, golden))| now != golden);
    let (line, (now, golden)) = first.unwrap_or((text.lines().count(), ("nothing", "more lines")));
    panic!(
        "tests/golden/decisions.txt, line {}:\n  golden: {golden}\n  now:    {now}\n\
         If all that differs is meant to: cp {} tests/golden/decisions.txt",
        line + 1,
        rewritten.display()
    );
}

#[test]
fn every_reason_is_in_the_golden_table() {
    for reason in [
        Reason::KeyMissing,
        Reason::KeyMalformed,
        Reason::KeyUnknown,
        Reason::KeyInactive,
        Reason::KeyExpired,
        Reason::KeyNotYetValid,
        Reason::EnvironmentMismatch,
        Reason::RouteDenied,
        Reason::PermissionDenied,
    ] {
        let answer = format!(" {}", shown(Decision::Deny(reason)));
        assert!(GOLDEN.lines().any(|line| line.ends_with(&answer)), "{answer}");
    }
}

const ENVIRONMENT_NAMES: [&str; 2] = ["production", "staging"];
const GRANTS: [&str; 6] = ["*", "*.read", "systems", "systems.read", "users.write", "public.read"];
const RULES: [&str; 6] = ["/", "/api", "GET /api", "=/api/systems", "POST,PUT /api/users", "=/"];
const ROUTES: [&str; 6] = ["", "/", "/api", "/api/systems", "/api/users/7", "/api/../users"];
const METHODS: [&str; 3] = ["", "GET", "POST"];
const NEEDED: [&str; 5] = ["", "systems", "systems.read", "users.write", "users.read.own"];

/// A key and a question out of few values, so that everything meets everything.
#[derive(Clone, Debug)]
struct Case {
    key: KeyBuilder,
    admin: bool,
    alive: bool,
    environment: &'static str,
    secret_end: Timestamp,
    plane: Plane,
    asked_environment: &'static str,
    /// `None`: authentication only.
    access: Option<[&'static str; 3]>,
}

impl Case {
    fn question(&self) -> Question<'_> {
        let ask = match self.access {
            Some([route, method, needed]) => access(route, method, needed),
            None => Ask::Authentication,
        };
        Question { plane: self.plane, environment: self.asked_environment, ask }
    }

    fn decide_for(&self, key: &KeyBuilder) -> Decision {
        decide(known(&key.build(), self.secret_end), &self.question(), NOW)
    }

    fn decide(&self) -> Decision {
        self.decide_for(&self.key)
    }
}

/// Any state of a key; half of all keys are good in each respect, or few would be allowed anything.
fn keys() -> impl Strategy<Value = (KeyBuilder, bool, bool)> {
    let mostly = || prop::bool::weighted(0.8);
    let start = prop_oneof![3 => Just(None), 1 => (-1_i64..=1).prop_map(Some)];
    let end = prop_oneof![3 => Just(None), 1 => (-1_i64..=1).prop_map(Some)];
    let plain = (prop::bool::ANY, mostly(), start, end);
    plain.prop_map(|(admin, active, start, end)| {
        let mut builder = key();
        if admin {
            builder = builder.of_admins();
        }
        if !active {
            builder = builder.inactive();
        }
        if let Some(start) = start {
            builder = builder.valid_from(now_plus(start));
        }
        if let Some(end) = end {
            builder = builder.expires_at(now_plus(end));
        }
        let begun = start.is_none_or(|start| start <= 0);
        let over = end.is_some_and(|end| end <= 0);
        (builder, admin, active && begun && !over)
    })
}

fn lists<const N: usize>(of: [&'static str; N]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of.to_vec(), 0..=N)
}

fn cases() -> impl Strategy<Value = Case> {
    let environment = || prop::sample::select(&ENVIRONMENT_NAMES[..]);
    let asked = (
        prop::sample::select(&ROUTES[..]),
        prop::sample::select(&METHODS[..]),
        prop::sample::select(&NEEDED[..]),
    );
    let question = (
        prop_oneof![Just(Plane::Data), Just(Plane::Admin)],
        environment(),
        prop_oneof![
            1 => Just(None),
            3 => asked.prop_map(|(route, method, needed)| Some([route, method, needed])),
        ],
    );
    let secret_end =
        prop_oneof![3 => Just(Timestamp::DISTANT_FUTURE), 1 => (-1_i64..=1).prop_map(now_plus)];
    let key = (keys(), lists(GRANTS), lists(RULES), environment());
    (key, secret_end, question).prop_map(
        |(((key, admin, alive), grants, rules, environment), secret_end, question)| {
            let (plane, asked_environment, access) = question;
            Case {
                key: key.grants(&grants).route_rules(&rules).environment(environment),
                admin,
                alive,
                environment,
                secret_end,
                plane,
                asked_environment,
                access,
            }
        },
    )
}

/// A case whose first checks all hold: those of grants and rules decide.
fn live_cases() -> impl Strategy<Value = Case> {
    cases().prop_map(|case| Case {
        key: key().environment(case.environment),
        admin: false,
        alive: true,
        secret_end: Timestamp::DISTANT_FUTURE,
        plane: Plane::Data,
        asked_environment: case.environment,
        ..case
    })
}

proptest! {
    #[test]
    fn an_inactive_expired_or_not_yet_valid_key_is_never_allowed(case in cases()) {
        prop_assume!(!case.alive);
        prop_assert_ne!(case.decide(), Decision::Allow);
    }

    #[test]
    fn a_key_of_another_environment_is_never_allowed(case in cases()) {
        prop_assume!(case.environment != case.asked_environment);
        prop_assert_ne!(case.decide(), Decision::Allow);
    }

    #[test]
    fn a_secret_whose_overlap_is_over_is_unknown_whatever_else_holds(case in cases()) {
        let case = Case { secret_end: NOW, ..case };
        prop_assert_eq!(case.decide(), Decision::Deny(Reason::KeyUnknown));
    }

    #[test]
    fn a_key_of_the_other_plane_is_unknown_whatever_else_holds(case in cases()) {
        let plane = if case.admin { Plane::Data } else { Plane::Admin };
        let case = Case { plane, ..case };
        prop_assert_eq!(case.decide(), Decision::Deny(Reason::KeyUnknown));
    }

    #[test]
    fn the_same_arguments_give_the_same_answer(case in cases()) {
        let (key, question) = (case.key.build(), case.question());
        let first = decide(known(&key, case.secret_end), &question, NOW);
        key.last_used.advance(NOW);
        let again = decide(known(&key, case.secret_end), &question, NOW);
        prop_assert_eq!((first, first), (again, case.decide()));
    }

    #[test]
    fn one_more_grant_changes_nothing_but_a_denied_permission(
        case in live_cases(), fewer in lists(GRANTS), more in prop::sample::select(&GRANTS[..]), rules in lists(RULES),
    ) {
        prop_assume!(!fewer.contains(&more));
        let key = case.key.clone().route_rules(&rules);
        let before = case.decide_for(&key.clone().grants(&fewer));
        let after = case.decide_for(&key.grants(&[fewer, vec![more]].concat()));
        let opened = (before, after) == (Decision::Deny(Reason::PermissionDenied), Decision::Allow);
        prop_assert!(before == after || opened, "{:?} {:?}", before, after);
    }

    #[test]
    fn one_more_rule_beside_others_changes_nothing_but_a_denied_route(
        case in live_cases(), fewer in lists(RULES), more in prop::sample::select(&RULES[..]), grants in lists(GRANTS),
    ) {
        prop_assume!(!fewer.is_empty() && !fewer.contains(&more));
        let key = case.key.clone().grants(&grants);
        let before = case.decide_for(&key.clone().route_rules(&fewer));
        let after = case.decide_for(&key.route_rules(&[fewer, vec![more]].concat()));
        let opened = before == Decision::Deny(Reason::RouteDenied);
        prop_assert!(before == after || opened, "{:?} {:?}", before, after);
    }

    #[test]
    fn no_rule_list_allows_what_a_key_without_rules_may_not(
        case in live_cases(), grants in lists(GRANTS), rules in lists(RULES),
    ) {
        let key = case.key.clone().grants(&grants);
        let free = case.decide_for(&key.clone());
        let restricted = case.decide_for(&key.route_rules(&rules));
        prop_assert!(restricted == free || restricted == Decision::Deny(Reason::RouteDenied));
    }

    #[test]
    fn a_key_without_grants_is_allowed_nothing_but_to_say_who_it_is(case in cases()) {
        prop_assume!(case.access.is_some());
        prop_assert_ne!(case.decide_for(&case.key.clone().grants(&[])), Decision::Allow);
    }

    #[test]
    fn a_request_without_a_permission_is_never_allowed(case in cases()) {
        let access = case.access.map(|[route, method, _]| [route, method, ""]);
        prop_assume!(access.is_some());
        prop_assert_ne!(Case { access, ..case }.decide(), Decision::Allow);
    }

    #[test]
    fn a_request_without_a_route_is_never_allowed_where_rules_restrict(case in cases(), rules in lists(RULES)) {
        let access = case.access.map(|[_, method, needed]| ["", method, needed]);
        prop_assume!(access.is_some() && !rules.is_empty());
        let key = case.key.clone().route_rules(&rules);
        prop_assert_ne!(Case { access, ..case }.decide_for(&key), Decision::Allow);
    }

    #[test]
    fn whether_a_key_is_good_here_does_not_depend_on_what_it_may_do(case in cases(), grants in lists(GRANTS), rules in lists(RULES)) {
        let case = Case { access: None, ..case };
        prop_assert_eq!(case.decide_for(&case.key.clone().grants(&grants).route_rules(&rules)), case.decide());
    }
}

#[test]
fn what_a_live_key_may_do_here_it_is_allowed() {
    let key = key().grants(&["systems.read"]).route_rules(&["GET /api"]).build();
    let question = ask_here(access("/api/systems", "GET", "systems.read"));
    assert_eq!(decide(known(&key, now_plus(1)), &question, NOW), Decision::Allow);
}
