//! The golden table, which proves the order of the checks.

use std::{fmt::Write, fs};

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/decisions.txt");

fn shown(decision: Decision) -> String {
    match decision {
        Decision::Allow => "ALLOW".into(),
        Decision::Deny(reason) => format!("{} {}", reason.http_status(), reason.name()),
    }
}

fn plain_access<'a>(route: &'a str, method: &'a str, permission: &'a str) -> Access<'a> {
    Access { customer: "", route, method, permission: needed(permission) }
}

fn access<'a>(route: &'a str, method: &'a str, permission: &'a str) -> Ask<'a> {
    Ask::Access(plain_access(route, method, permission))
}

const fn ask_here(ask: Ask<'_>) -> Question<'_> {
    Question { plane: PLANES[0], client: None, ask }
}

const PLANES: [Plane<'_>; 3] = [Plane::Data("production"), Plane::Admin, Plane::Holder];

const fn plane_name(plane: Plane<'_>) -> &'static str {
    match plane {
        Plane::Data(_) => "data",
        Plane::Admin => "admin",
        Plane::Holder => "holder",
    }
}

fn asked_on(plane: Plane<'_>, key: &KeyView, ask: Ask<'_>) -> String {
    let question = Question { plane, ..ask_here(ask) };
    shown(decide(known(key, now_plus(1)), &question, NOW))
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
        ("several", Subject::Several),
        ("unknown", Subject::Unknown),
    ];
    for (name, subject) in subjects {
        for plane in PLANES {
            for (ask_name, ask) in asks() {
                let question = Question { plane, ..ask_here(ask) };
                let answer = shown(decide(subject, &question, NOW));
                let plane = plane_name(plane);
                writeln!(text, "{name:<9}  {plane:<6}  {ask_name:<16}  {answer}").unwrap();
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
    head(
        text,
        "Admin keys open the admin services and nothing else; a holder may ask wherever its key works.",
        "key, plane -> answer",
    );
    for (name, builder) in [
        ("ordinary", key()),
        ("ordinary staging", key().environment("staging")),
        ("admin", key().of_admins()),
        ("admin staging", key().of_admins().environment("staging")),
    ] {
        for plane in PLANES {
            let key = builder.build();
            let answer = asked_on(plane, &key, Ask::Authentication);
            let plane = plane_name(plane);
            writeln!(text, "{name:<16}  {plane:<6}  {answer}").unwrap();
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

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// What a key that is good but for these is told when its holder asks.
fn holder_lines(text: &mut String) {
    head(
        text,
        "A holder: its environment does not matter, all that is wrong with the key does.",
        "what is wrong -> answer",
    );
    for (name, wrong, end) in WRONGS {
        let key = wrong(good_for_all_checks()).build();
        let question = Question { plane: Plane::Holder, ..for_all_checks(Ask::Authentication) };
        let answer = shown(decide(known(&key, now_plus(end)), &question, NOW));
        writeln!(text, "{name:<15}  {answer}").unwrap();
    }
}

fn address_lines(text: &mut String) {
    head(
        text,
        "Addresses: none of the denied ones, and if any are allowed, one of these; `-` is nothing.",
        "allowed; denied; client -> answer",
    );
    let lists: [[&[&str]; 2]; 6] = [
        [&[], &[]],
        [&["192.0.2.0/24"], &[]],
        [&[], &["192.0.2.7"]],
        [&["192.0.2.0/24"], &["192.0.2.7"]],
        [&["0.0.0.0/0"], &[]],
        [&["::/0"], &[]],
    ];
    for [allowed, denied] in lists {
        let key = key().allowed(allowed).denied(denied).build();
        for client in
            ["", "192.0.2.7", "192.0.2.8", "::ffff:192.0.2.7", "198.51.100.7", "2001:db8::7"]
        {
            let question = Question {
                client: client.parse().ok(),
                ..ask_here(access("", "", "systems.read"))
            };
            let answer = shown(decide(known(&key, now_plus(1)), &question, NOW));
            let (allowed, denied) = (allowed.join(" "), denied.join(" "));
            let [allowed, denied, client] = [&allowed, &denied, client].map(or_dash);
            writeln!(text, "{allowed:<12}  {denied:<9}  {client:<16}  {answer}").unwrap();
        }
    }
}

fn customer_lines(text: &mut String) {
    head(text, "Customers; `-` is nothing.", "customers; asked for -> answer");
    let lists: [&[&str]; 3] = [&[], &["c-1"], &["c-1", "c-2"]];
    for customers in lists {
        let key = key().customers(customers).build();
        for customer in ["", "c-1", "c-2", "C-1", "c-10"] {
            let ask = Access { customer, ..plain_access("", "", "systems.read") };
            let answer = asked_on(PLANES[0], &key, Ask::Access(ask));
            let customers = customers.join(" ");
            let [customers, customer] = [&customers, customer].map(or_dash);
            writeln!(text, "{customers:<7}  {customer:<4}  {answer}").unwrap();
        }
    }
}

fn route_map_lines(text: &mut String) {
    head(
        text,
        "A route map: GET /api/systems/{id} systems.read; * /api/users users.{action}; * /files/** \
         files; * /api/{any} any.{action}. It counts where no permission is asked for.",
        "grants; rules; method, route, permission -> answer",
    );
    let map = [
        "GET /api/systems/{id} systems.read",
        "* /api/users users.{action}",
        "* /files/** files",
        "* /api/{any} any.{action}",
    ];
    let requests = [
        ["GET", "/api/systems/7", ""],
        ["POST", "/api/systems/7", ""],
        ["", "/api/systems/7", ""],
        ["GET", "/api/users", ""],
        ["POST", "/api/users", ""],
        ["", "/api/users", ""],
        ["GET", "/api/other", ""],
        ["GET", "/files/a/b", ""],
        ["GET", "/nowhere", ""],
        ["GET", "/api//users", ""],
        ["GET", "/api/%2e%2e/users", ""],
        ["GET", "api/users", ""],
        ["GET", "", ""],
        ["GET", "/api//users", "users.read"],
        ["GET", "/nowhere", "users.read"],
        ["POST", "/api/users", "users.read"],
    ];
    let grants: [&[&str]; 3] = [&["*"], &["users.read", "systems"], &[]];
    let rules: [&[&str]; 2] = [&[], &["GET /api"]];
    for grants in grants {
        for rules in rules {
            let key = key().grants(grants).route_rules(rules).route_map(&map).build();
            for [method, route, needed] in requests {
                let answer = asked_on(PLANES[0], &key, access(route, method, needed));
                let (grants, rules) = (grants.join(" "), rules.join("; "));
                let [grants, rules] = [&grants, &rules].map(|text| or_dash(text));
                let [method, route, needed] = [method, route, needed].map(or_dash);
                writeln!(
                    text,
                    "{grants:<18}  {rules:<8}  {method:<4}  {route:<17}  {needed:<10}  {answer}"
                )
                .unwrap();
            }
        }
    }
}

/// What keys have of their own, and what their users have.
const OWN: [Choice; 6] = [
    ("-", |key| key.grants(&[])),
    ("systems", |key| key.grants(&["systems"])),
    ("group: *.read", |key| key.grants(&[]).group(a_group(&["*.read"]))),
    ("group: gone", |key| key.grants(&[]).group(a_group(&[]))),
    ("users; group: gone", |key| key.grants(&["users"]).group(a_group(&[]))),
    ("users; group: systems", |key| key.grants(&["users"]).group(a_group(&["systems"]))),
];
const USERS: [Choice; 8] = [
    ("nobody", |key| key),
    ("disabled: *", |key| key.user(user_with(false, &["*"], &[]))),
    ("-", |key| key.user(user_with(true, &[], &[]))),
    ("*", |key| key.user(user_with(true, &["*"], &[]))),
    ("systems.read", |key| key.user(user_with(true, &["systems.read"], &[]))),
    ("group: users", |key| key.user(user_with(true, &[], &[vec!["users"]]))),
    ("group: gone", |key| key.user(user_with(true, &[], &[vec![]]))),
    ("systems; group: users.read", |key| {
        key.user(user_with(true, &["systems"], &[vec!["users.read"]]))
    }),
];

fn user_lines(text: &mut String) {
    head(
        text,
        "What a key has, itself and by groups, and what its user has; `-` is nothing.",
        "key; user; permission -> answer",
    );
    for (own_name, own) in OWN {
        for (user_name, of_user) in USERS {
            let key = of_user(own(key())).build();
            for needed in ["systems.read", "systems.write", "users.read"] {
                let answer = asked_on(PLANES[0], &key, access("", "", needed));
                writeln!(text, "{own_name:<21}  {user_name:<26}  {needed:<13}  {answer}").unwrap();
            }
        }
    }
}

/// A key whose holder may do one thing in one way, so that each check can be made to fail alone.
fn good_for_all_checks() -> KeyBuilder {
    key()
        .grants(&["systems.read"])
        .user(user_with(true, &["systems"], &[]))
        .route_rules(&["/api"])
        .allowed(&["192.0.2.0/24"])
        .customers(&["c-1"])
}

fn for_all_checks(ask: Ask<'_>) -> Question<'_> {
    Question { client: "192.0.2.7".parse().ok(), ..ask_here(ask) }
}

const THAT_THING: Asked =
    Asked { customer: "c-1", route: "/api/systems", method: "GET", needed: "systems.read" };

fn that_thing() -> Ask<'static> {
    let Asked { customer, route, method, needed: text } = THAT_THING;
    Ask::Access(Access { customer, route, method, permission: needed(text) })
}

/// A way in which a key fails a check, with how many microseconds there are until its secret ends.
type Wrong = (&'static str, fn(KeyBuilder) -> KeyBuilder, i64);

/// In the order of the checks.
const WRONGS: [Wrong; 13] = [
    ("nothing", |key| key, 1),
    ("overlap over", |key| key, 0),
    ("other plane's", KeyBuilder::of_admins, 1),
    ("stopped", KeyBuilder::inactive, 1),
    ("expired", KeyBuilder::expired, 1),
    ("early", KeyBuilder::not_yet_valid, 1),
    ("user disabled", |key| key.user(user_with(false, &["systems"], &[])), 1),
    ("domain disabled", KeyBuilder::of_disabled_domain, 1),
    ("environment", |key| key.environment("staging"), 1),
    ("address", |key| key.denied(&["192.0.2.7"]), 1),
    ("customer", |key| key.customers(&["c-2"]), 1),
    ("route", |key| key.route_rules(&["/admin"]), 1),
    ("permission", |key| key.grants(&["users"]), 1),
];

fn authentication_lines(text: &mut String) {
    head(
        text,
        "Authentication only: the address counts; customer, route and permission do not.",
        "what is wrong -> answer",
    );
    for (name, wrong, end) in WRONGS {
        let key = wrong(good_for_all_checks()).build();
        let question = for_all_checks(Ask::Authentication);
        let answer = shown(decide(known(&key, now_plus(end)), &question, NOW));
        writeln!(text, "{name:<15}  {answer}").unwrap();
    }
}

fn pair_lines(text: &mut String) {
    head(
        text,
        "Two things wrong at once: the one that is checked first gives the reason.",
        "first, second -> answer",
    );
    for (at, (first_name, first, first_end)) in WRONGS.into_iter().enumerate() {
        for (second_name, second, second_end) in WRONGS.into_iter().skip(at) {
            let key = second(first(good_for_all_checks())).build();
            let end = now_plus(first_end.min(second_end));
            let answer = shown(decide(known(&key, end), &for_all_checks(that_thing()), NOW));
            writeln!(text, "{first_name:<15}  {second_name:<15}  {answer}").unwrap();
        }
    }
}

fn every_check_lines(text: &mut String) {
    head(
        text,
        "Every combination of checks from the user on that hold or fail (`no`).",
        "user, domain, environment, address, customer, route, permission -> answer",
    );
    for failing in 0..1_u32 << 7 {
        let mut builder = good_for_all_checks();
        let mut columns = String::new();
        for (bit, (_, wrong, _)) in WRONGS.into_iter().skip(6).enumerate() {
            let fails = failing & (0b100_0000 >> bit) != 0;
            if fails {
                builder = wrong(builder);
            }
            columns += if fails { "no  " } else { "ok  " };
        }
        let question = for_all_checks(that_thing());
        let answer = shown(decide(known(&builder.build(), now_plus(1)), &question, NOW));
        writeln!(text, "{columns}{answer}").unwrap();
    }
}

#[test]
fn decisions_are_those_of_the_golden_table() {
    let mut text = String::from("# Every line is a case and its answer: HTTP status and reason.\n");
    no_key_lines(&mut text);
    plane_lines(&mut text);
    holder_lines(&mut text);
    instant_lines(&mut text);
    address_lines(&mut text);
    customer_lines(&mut text);
    access_lines(&mut text);
    route_map_lines(&mut text);
    user_lines(&mut text);
    authentication_lines(&mut text);
    pair_lines(&mut text);
    every_check_lines(&mut text);
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
    for reason in REASONS {
        let answer = format!(" {}", shown(Decision::Deny(reason)));
        assert!(GOLDEN.lines().any(|line| line.ends_with(&answer)), "{answer}");
    }
}
