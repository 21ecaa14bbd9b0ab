//! What routes tell Keyward: `context_extensions`.

use super::{
    Check::Site as EachSite,
    Rule,
    scope::{Hit, Site, when},
};
use crate::{
    envoy::{
        finding::Severity::{Advice, Error, Warning},
        place::Place,
    },
    model::{customer::CustomerId, name::EnvironmentName, permission::Permission, route::Path},
};

/// What a running Envoy shows in place of a value in its `config_dump`.
const HIDDEN: &str = "[redacted]";

/// The highest cost of a request.
const COST_MAX: u32 = 1_000_000_000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "context-key",
        severity: Error,
        help: "use environment, permission, route, customer, cost or mode; Keyward denies with 500 what \
               it does not know",
        check: EachSite(keys),
    },
    Rule {
        name: "context-value",
        severity: Error,
        help: "give a value that Keyward takes; it denies others with 500",
        check: EachSite(values),
    },
    Rule {
        name: "no-environment",
        severity: Advice,
        help: "say environment in context_extensions or keyward-environment in \
               grpc_service.initial_metadata, or start Keyward with --proxy-environment",
        check: EachSite(no_environment),
    },
    Rule {
        name: "connect-permission",
        severity: Warning,
        help: "say permission in context_extensions of the route",
        check: EachSite(connect_permission),
    },
];

/// What is wrong with a value, if Keyward knows the name.
fn problem_of(name: &str, value: &str) -> Option<Result<(), String>> {
    fn read<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<(), String> {
        parsed.map(drop).map_err(|invalid| invalid.to_string())
    }
    Some(match name {
        "environment" => read(EnvironmentName::parse(value)),
        "permission" => read(Permission::parse(value)),
        "route" => read(Path::parse(value)),
        "customer" => read(CustomerId::parse(value)),
        "cost" => match value.parse::<u32>() {
            Ok(cost) if cost <= COST_MAX => Ok(()),
            Ok(_) | Err(_) => Err(format!("must be a whole number from 0 to {COST_MAX}")),
        },
        "mode" => match value {
            "charge" | "check_only" | "authenticate_only" => Ok(()),
            _ => Err("must be charge, check_only or authenticate_only".into()),
        },
        // Envoy sets it by itself in some versions, and Keyward does not look at it
        "virtual_host" => Ok(()),
        _ => return None,
    })
}

fn keys(site: &Site<'_>) -> Vec<Hit> {
    let context = site.context();
    let unknown = context.iter().filter(|(name, _)| problem_of(name, "").is_none());
    unknown.map(|(name, at)| Hit::at(at, format!("Keyward knows no {name:?}"))).collect()
}

fn values(site: &Site<'_>) -> Vec<Hit> {
    let context = site.context();
    let wrong = |name: &str, at: &Place<'_>| match at.text() {
        Some(HIDDEN) => None,
        Some(value) => problem_of(name, value)?.err(),
        None => Some("must be a text".into()),
    };
    let hits = context.iter().filter_map(|(name, at)| {
        let why = wrong(name, at)?;
        Some(Hit::at(at, format!("{name}: {why}")))
    });
    hits.collect()
}

fn no_environment(site: &Site<'_>) -> Vec<Hit> {
    let Some(config) = site.guard.as_ref().and_then(|guard| guard.filter.config.as_ref()) else {
        return Vec::new();
    };
    let metadata = config.find("grpc_service.initial_metadata");
    let mut metadata = metadata.iter().flat_map(Place::items);
    let by_filter = metadata.any(|pair| pair.text_of("key") == Some("keyward-environment"));
    let is_said = by_filter || site.has_context("environment");
    when(site.off().is_none() && !is_said, || {
        Hit::at(&site.route, "nothing here says of which environment the keys are")
    })
}

fn connect_permission(site: &Site<'_>) -> Vec<Hit> {
    let connect = site.route.find("match.connect_matcher");
    let silent = connect.filter(|_| site.off().is_none() && !site.has_context("permission"));
    let problem = "CONNECT has no path that a route map could find a permission for";
    silent.iter().map(|at| Hit::at(at, problem)).collect()
}
