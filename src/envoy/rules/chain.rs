//! The chain of HTTP filters: whether ours is in it, always, and at the right place.

use super::{
    Check::{Authorization as EachAuthorization, Guarded, Manager as EachManager},
    Rule,
    scope::{Authorization, Guard, Hit, reaches_clusters, when},
};
use crate::envoy::{
    find::{Filter, Manager},
    finding::Severity::{Error, Warning},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "no-ext-authz",
        severity: Error,
        help: "put envoy.filters.http.ext_authz before the router, or check only the file of the \
               listeners that Keyward decides for",
        check: EachManager(no_ext_authz),
    },
    Rule {
        name: "not-before-router",
        severity: Error,
        help: "put envoy.filters.http.ext_authz before envoy.filters.http.router",
        check: Guarded(not_before_router),
    },
    Rule {
        name: "ext-authz-disabled",
        severity: Error,
        help: "take `disabled` out and switch the filter off at the routes that are public",
        check: Guarded(disabled),
    },
    Rule {
        name: "partly-enabled",
        severity: Error,
        help: "take filter_enabled and filter_enabled_metadata out, or deny what they leave out with \
               deny_at_disable: {default_value: true, runtime_key: …}",
        check: EachAuthorization(partly_enabled),
    },
    Rule {
        name: "shadow-mode",
        severity: Error,
        help: "take shadow_mode out",
        check: EachAuthorization(shadow_mode),
    },
    Rule {
        name: "answers-before",
        severity: Error,
        help: "put the filter after envoy.filters.http.ext_authz",
        check: Guarded(answers_before),
    },
    Rule {
        name: "changes-after",
        severity: Warning,
        help: "put the filter before envoy.filters.http.ext_authz, or see to it that it changes \
               neither path, method and host nor x-keyward-… of the request",
        check: Guarded(changes_after),
    },
    Rule {
        name: "cors-after",
        severity: Warning,
        help: "put envoy.filters.http.cors before envoy.filters.http.ext_authz",
        check: Guarded(cors_after),
    },
    Rule {
        name: "clear-route-cache",
        severity: Error,
        help: "take clear_route_cache out",
        check: EachAuthorization(clear_route_cache),
    },
];

/// Whether what a filter is cannot be read from the file.
pub(super) fn is_hidden(filter: &Filter<'_>) -> bool {
    filter.at.get("config_discovery").is_some()
        || matches!(filter.kind, "Composite" | "ExtensionWithMatcher")
}

fn no_ext_authz(manager: &Manager<'_>, name: Option<&str>) -> Vec<Hit> {
    let may_have_it = manager.filters.iter().any(is_hidden);
    if may_have_it || !manager.authorizations(name).is_empty() {
        return Vec::new();
    }
    let forwards = manager.routes.as_ref().is_none_or(reaches_clusters);
    when(forwards, || {
        Hit::at(&manager.at, "requests reach clusters without being decided: the filter is missing")
    })
}

fn not_before_router(guard: &Guard<'_>) -> Vec<Hit> {
    let router = guard.manager.filters.iter().position(|filter| filter.kind == "Router");
    when(router.is_some_and(|router| router < guard.position), || {
        Hit::at(&guard.filter.at, "the filter is behind the router, where nothing arrives any more")
    })
}

fn disabled(guard: &Guard<'_>) -> Vec<Hit> {
    when(guard.filter.at.is_true("disabled"), || {
        let problem = "the filter is off wherever a route does not switch it on: a route that is \
                       added passes undecided";
        Hit::field(&guard.filter.at, "disabled", problem)
    })
}

fn partly_enabled(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    if config.is_true("deny_at_disable.default_value") {
        return Vec::new();
    }
    let mut hits = Vec::new();
    if let Some(enabled) = config.get("filter_enabled") {
        let numerator = enabled.number("default_value.numerator").unwrap_or(0);
        let denominator = match enabled.text_of("default_value.denominator") {
            Some("TEN_THOUSAND" | "1") => 10_000,
            Some("MILLION" | "2") => 1_000_000,
            Some(_) | None => 100,
        };
        if numerator < denominator {
            let problem = "filter_enabled is below 100 %: the rest of the requests pass undecided";
            hits.push(Hit::at(&enabled, problem));
        }
    }
    if let Some(enabled) = config.get("filter_enabled_metadata") {
        let problem = "requests without this metadata pass undecided";
        hits.push(Hit::at(&enabled, problem));
    }
    hits
}

fn shadow_mode(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(config.is_true("shadow_mode"), || {
        Hit::field(config, "shadow_mode", "decisions are made and not enforced")
    })
}

fn answers_before(guard: &Guard<'_>) -> Vec<Hit> {
    let before = guard.manager.filters.iter().take(guard.position);
    let caches = before.filter(|filter| matches!(filter.kind, "CacheConfig" | "CacheV2Config"));
    let problem = "answers from the cache are given without a decision";
    caches.map(|filter| Hit::at(&filter.at, problem)).collect()
}

/// What a filter may change, by its type.
fn changes(filter: &Filter<'_>) -> Option<&'static str> {
    match filter.kind {
        "Lua" => Some("a script may change path and header fields"),
        "Wasm" | "DynamicModuleFilter" => Some("a module may change path and header fields"),
        "HeaderMutation" => Some("it changes header fields"),
        "ExternalProcessor" => Some("a service may change path and header fields"),
        "GrpcJsonTranscoder" => Some("it makes another path of the one that was decided"),
        "ExtAuthz" => Some("a second service may change path and header fields"),
        _ if filter.type_url().contains("http.golang.") => {
            Some("a plug-in may change path and header fields")
        }
        _ if filter.config.as_ref().is_some_and(|config| config.is_true("clear_route_cache")) => {
            Some("it has the route chosen again")
        }
        _ => None,
    }
}

fn changes_after(guard: &Guard<'_>) -> Vec<Hit> {
    let after = guard.manager.filters.iter().skip(guard.position + 1);
    let hits = after.filter_map(|filter| {
        let why = changes(filter)?;
        Some(Hit::at(&filter.at, format!("this filter comes after the decision: {why}")))
    });
    hits.collect()
}

fn cors_after(guard: &Guard<'_>) -> Vec<Hit> {
    let after = guard.manager.filters.iter().skip(guard.position + 1);
    let problem = "preflight requests carry no key and are denied before this filter answers them";
    let cors = after.filter(|filter| filter.kind == "Cors");
    cors.map(|filter| Hit::at(&filter.at, problem)).collect()
}

fn clear_route_cache(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(config.is_true("clear_route_cache"), || {
        let problem = "the route is chosen again after the decision, from a request without its key: \
                       what was decided may not be the route that is taken";
        Hit::field(config, "clear_route_cache", problem)
    })
}
