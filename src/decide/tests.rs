//! What a decision comes to: a golden table of cases, an oracle that decides in a naive way, and what
//! holds for any key and question.

use proptest::{prelude::*, sample::subsequence};

use super::*;
use crate::model::{
    fixture::{KeyBuilder, NOW, group, key, now_plus, user},
    shared::{GroupView, UserFacts},
};

mod explaining;
mod golden;
mod oracle;
mod properties;

const REASONS: [Reason; 14] = [
    Reason::KeyMissing,
    Reason::KeyMalformed,
    Reason::KeyAmbiguous,
    Reason::KeyUnknown,
    Reason::KeyInactive,
    Reason::KeyExpired,
    Reason::KeyNotYetValid,
    Reason::UserDisabled,
    Reason::DomainDisabled,
    Reason::EnvironmentMismatch,
    Reason::AddressDenied,
    Reason::CustomerDenied,
    Reason::RouteDenied,
    Reason::PermissionDenied,
];

fn known(key: &KeyView, secret_end: Timestamp) -> Subject<'_> {
    Subject::Known { key, secret_end }
}

fn needed(text: &str) -> Option<Permission<'_>> {
    (!text.is_empty()).then(|| Permission::parse(text).unwrap())
}

/// A user that may do this, itself and by groups.
fn user_with(enabled: bool, grants: &[&str], groups: &[Vec<&'static str>]) -> UserFacts {
    let groups = groups.iter().map(|grants| a_group(grants)).collect();
    UserFacts { enabled, groups, ..user(grants, &[]) }
}

/// A group that gives this; nothing, as one that was deleted does.
fn a_group(grants: &[&str]) -> std::sync::Arc<GroupView> {
    group("staff", grants)
}

const ENVIRONMENT_NAMES: [&str; 2] = ["production", "staging"];
const GRANTS: [&str; 6] = ["*", "*.read", "systems", "systems.read", "users.write", "public.read"];
const RULES: [&str; 6] = ["/", "/api", "GET /api", "=/api/systems", "POST,PUT /api/users", "=/"];
const ROUTES: [&str; 7] =
    ["", "/", "/api", "/api/systems", "/api/users/7", "/api/../users", "/api//systems"];
const METHODS: [&str; 3] = ["", "GET", "POST"];
const NEEDED: [&str; 5] = ["", "systems", "systems.read", "users.write", "users.read.own"];
const ROUTE_MAP: [&str; 7] = [
    "* /api/systems systems.{action}",
    "GET /api/systems systems.read",
    "GET,HEAD /api/{what} systems.read",
    "POST /api/{what} users.write",
    "* /api/** systems",
    "* /api/users/{id} users.{action}",
    "* /** users.read.own",
];
const NETWORKS: [&str; 5] =
    ["192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "::ffff:198.51.100.0/120"];
const CLIENTS: [&str; 6] =
    ["", "192.0.2.7", "192.0.2.8", "198.51.100.1", "::ffff:192.0.2.7", "2001:db8::1"];
const CUSTOMERS: [&str; 3] = ["c-1", "c-2", "C-1"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Data,
    Admin,
    Holder,
}

/// Whom a key acts for.
#[derive(Clone, Debug)]
struct Person {
    enabled: bool,
    grants: Vec<&'static str>,
    /// What each group gives.
    groups: Vec<Vec<&'static str>>,
}

/// What a question names; empty: nothing.
#[derive(Clone, Copy, Debug)]
struct Asked {
    customer: &'static str,
    route: &'static str,
    method: &'static str,
    needed: &'static str,
}

/// A key and a question out of few values, so that everything meets everything. Instants are in
/// microseconds from now.
#[derive(Clone, Debug)]
struct Case {
    admin: bool,
    active: bool,
    start: Option<i64>,
    end: Option<i64>,
    secret_end: Option<i64>,
    person: Option<Person>,
    domain_enabled: bool,
    route_map: Vec<&'static str>,
    environment: &'static str,
    grants: Vec<&'static str>,
    /// What each group of the key gives.
    groups: Vec<Vec<&'static str>>,
    rules: Vec<&'static str>,
    allowed: Vec<&'static str>,
    denied: Vec<&'static str>,
    customers: Vec<&'static str>,
    listener: Listener,
    asked_environment: &'static str,
    client: &'static str,
    /// `None`: authentication only.
    asked: Option<Asked>,
}

impl Case {
    fn key(&self) -> KeyView {
        let mut builder = key()
            .environment(self.environment)
            .grants(&self.grants)
            .route_rules(&self.rules)
            .route_map(&self.route_map)
            .allowed(&self.allowed)
            .denied(&self.denied)
            .customers(&self.customers);
        if self.admin {
            builder = builder.of_admins();
        }
        if !self.active {
            builder = builder.inactive();
        }
        if !self.domain_enabled {
            builder = builder.of_disabled_domain();
        }
        if let Some(start) = self.start {
            builder = builder.valid_from(now_plus(start));
        }
        if let Some(end) = self.end {
            builder = builder.expires_at(now_plus(end));
        }
        if let Some(Person { enabled, grants, groups }) = &self.person {
            builder = builder.user(user_with(*enabled, grants, groups));
        }
        for grants in &self.groups {
            builder = builder.group(a_group(grants));
        }
        builder.build()
    }

    fn secret_end(&self) -> Timestamp {
        self.secret_end.map_or(Timestamp::DISTANT_FUTURE, now_plus)
    }

    fn question(&self) -> Question<'static> {
        let plane = match self.listener {
            Listener::Data => Plane::Data(self.asked_environment),
            Listener::Admin => Plane::Admin,
            Listener::Holder => Plane::Holder,
        };
        let ask = match self.asked {
            None => Ask::Authentication,
            Some(Asked { customer, route, method, needed: text }) => {
                Ask::Access(Access { customer, route, method, permission: needed(text) })
            }
        };
        Question { plane, client: self.client.parse().ok(), ask }
    }

    fn decide(&self) -> Decision {
        decide(known(&self.key(), self.secret_end()), &self.question(), NOW)
    }

    fn is_allowed(&self) -> bool {
        self.decide() == Decision::Allow
    }

    /// Whether the checks before the one of the user hold.
    fn is_live(&self) -> bool {
        let on_plane = match self.listener {
            Listener::Data => !self.admin,
            Listener::Admin => self.admin,
            Listener::Holder => true,
        };
        let begun = self.start.is_none_or(|start| start <= 0);
        let over = |end: Option<i64>| end.is_some_and(|end| end <= 0);
        on_plane && self.active && begun && !over(self.end) && !over(self.secret_end)
    }
}

fn lists<const N: usize>(of: [&'static str; N]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of.to_vec(), 0..=N)
}

/// Up to two groups; one that gives nothing is as one that was deleted.
fn some_groups() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    prop::collection::vec(subsequence(GRANTS.to_vec(), 0..=2), 0..=2)
}

fn persons() -> impl Strategy<Value = Person> {
    (prop::bool::weighted(0.8), lists(GRANTS), some_groups())
        .prop_map(|(enabled, grants, groups)| Person { enabled, grants, groups })
}

/// Nothing in half of all cases, or few would be allowed anything.
fn seldom<T: std::fmt::Debug + Default + Clone>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = T> {
    prop_oneof![1 => Just(T::default()), 1 => of]
}

/// Entries that can stand in one map, in any order.
fn route_maps() -> impl Strategy<Value = Vec<&'static str>> {
    lists(ROUTE_MAP).prop_shuffle()
}

fn asked() -> impl Strategy<Value = Asked> {
    let customers = ["", "c-1", "c-2", "c-3"];
    (
        prop::sample::select(customers.to_vec()),
        prop::sample::select(&ROUTES[..]),
        prop::sample::select(&METHODS[..]),
        prop::sample::select(&NEEDED[..]),
    )
        .prop_map(|(customer, route, method, needed)| Asked {
            customer,
            route,
            method,
            needed,
        })
}

/// Any key and question; most keys are good in each respect, or few would be allowed anything.
fn cases() -> impl Strategy<Value = Case> {
    let mostly = || prop::bool::weighted(0.85);
    let instant = || prop_oneof![5 => Just(None), 1 => (-1_i64..=1).prop_map(Some)];
    let environment = || prop::sample::select(&ENVIRONMENT_NAMES[..]);
    let listener = prop_oneof![
        4 => Just(Listener::Data), 1 => Just(Listener::Admin), 2 => Just(Listener::Holder)
    ];
    let state = (prop::bool::weighted(0.2), mostly(), instant(), instant(), instant(), mostly());
    let may = (seldom(persons().prop_map(Some)), seldom(lists(GRANTS)), seldom(some_groups()));
    let bounds = (
        seldom(lists(RULES)),
        seldom(lists(NETWORKS)),
        seldom(subsequence(NETWORKS.to_vec(), 0..=2)),
        seldom(lists(CUSTOMERS)),
        route_maps(),
    );
    let question = (
        listener,
        environment(),
        prop::sample::select(&CLIENTS[..]),
        prop_oneof![1 => Just(None), 3 => asked().prop_map(Some)],
    );
    (state, may, bounds, environment(), question).prop_map(
        |(state, (person, grants, groups), bounds, environment, question)| {
            let (admin, active, start, end, secret_end, domain_enabled) = state;
            let (rules, allowed, denied, customers, route_map) = bounds;
            let (listener, asked_environment, client, asked) = question;
            Case {
                admin,
                active,
                start,
                end,
                secret_end,
                person,
                domain_enabled,
                route_map,
                environment,
                grants,
                groups,
                rules,
                allowed,
                denied,
                customers,
                listener,
                asked_environment,
                client,
                asked,
            }
        },
    )
}

/// A case whose checks before the address all hold.
fn live_cases() -> impl Strategy<Value = Case> {
    cases().prop_map(|case| Case {
        admin: case.listener == Listener::Admin,
        active: true,
        start: None,
        end: None,
        secret_end: None,
        person: case.person.map(|person| Person { enabled: true, ..person }),
        domain_enabled: true,
        environment: "production",
        asked_environment: "production",
        ..case
    })
}
