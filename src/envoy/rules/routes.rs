//! Routes: which of them pass without a decision, and what of a client's reaches the upstream then.

use super::{
    Check::{Authorization as EachAuthorization, Guarded, Site as EachSite},
    Rule,
    scope::{Authorization, Guard, Hit, Site, when},
};
use crate::envoy::{
    finding::Severity::{Advice, Error, Warning},
    names::{self, IDENTITY, IDENTITY_PREFIX, OVERRIDES},
    place::Place,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "spoofable-identity",
        severity: Error,
        help: "remove x-keyward-key-id, -domain, -environment, -decision-id, -user and -customer: \
               request_headers_to_remove at the route, or early_header_mutation_extensions for all",
        check: EachSite(spoofable_identity),
    },
    Rule {
        name: "spoofable-in-outage",
        severity: Error,
        help: "set failure_mode_allow: false, or remove x-keyward-… with early_header_mutation_extensions",
        check: EachAuthorization(spoofable_in_outage),
    },
    Rule {
        name: "identity-overwritten",
        severity: Error,
        help: "give the field another name",
        check: EachSite(identity_overwritten),
    },
    Rule {
        name: "identity-removed",
        severity: Advice,
        help: "remove x-keyward-… of clients with early_header_mutation_extensions, before the decision",
        check: EachSite(identity_removed),
    },
    Rule {
        name: "override-headers",
        severity: Advice,
        help: "remove x-original-url, x-rewrite-url and x-http-method-override with \
               early_header_mutation_extensions",
        check: Guarded(override_headers),
    },
    Rule {
        name: "internal-redirect",
        severity: Warning,
        help: "take internal_redirect_policy out, and let clients follow redirects",
        check: EachSite(internal_redirect),
    },
    Rule {
        name: "route-service",
        severity: Warning,
        help: "take the service of the route out, so that all routes ask in the same way",
        check: EachSite(route_service),
    },
    Rule {
        name: "unmatched-route-config",
        severity: Error,
        help: "use the name that the filter has in http_filters",
        check: EachSite(unmatched_route_config),
    },
];

fn spoofable_identity(site: &Site<'_>) -> Vec<Hit> {
    let Some(off) = site.off() else {
        return Vec::new();
    };
    let left: Vec<&str> = IDENTITY.iter().filter(|name| !site.removes(name)).copied().collect();
    when(!left.is_empty(), || {
        let problem = format!(
            "the filter is off for {}, and the upstream gets from clients: {}",
            site.route.path,
            left.join(", ")
        );
        Hit::at(&off, problem)
    })
}

fn spoofable_in_outage(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    let passes = config.is_true("failure_mode_allow");
    when(passes && !authorization.guard.removes_identity_early(), || {
        let problem =
            "while Keyward cannot be asked, the upstream gets x-keyward-… as clients send it";
        Hit::field(config, "failure_mode_allow", problem)
    })
}

fn identity_overwritten(site: &Site<'_>) -> Vec<Hit> {
    let added = site.levels.iter().flat_map(|level| level.list("request_headers_to_add"));
    let names = added.filter_map(|option| option.find("header.key"));
    let ours = names.filter(|at| {
        at.text().is_some_and(|name| name.to_ascii_lowercase().starts_with(IDENTITY_PREFIX))
    });
    let problem = "the route sets what only Keyward may say";
    ours.map(|at| Hit::at(&at, problem)).collect()
}

fn identity_removed(site: &Site<'_>) -> Vec<Hit> {
    if site.off().is_some() {
        return Vec::new();
    }
    let removing = |level: &&Place<'_>| IDENTITY.iter().any(|name| names::removes(level, name));
    let problem = "what Keyward tells the upstream is removed again after the decision";
    let levels = site.levels.iter().filter(removing);
    levels.map(|level| Hit::field(level, "request_headers_to_remove", problem)).collect()
}

fn override_headers(guard: &Guard<'_>) -> Vec<Hit> {
    let by_routes = |name: &str| {
        let routes = guard.manager.routes.as_ref();
        routes.is_some_and(|routes| {
            let mut hosts = routes.list("virtual_hosts");
            names::removes(routes, name) || hosts.all(|host| names::removes(&host, name))
        })
    };
    let passes = |name: &&&str| !guard.removes_early(name) && !by_routes(name);
    let left: Vec<&str> = OVERRIDES.iter().filter(passes).copied().collect();
    when(!left.is_empty(), || {
        let problem = format!(
            "some upstreams take another path or method than the one that was decided from: {}",
            left.join(", ")
        );
        Hit::at(&guard.manager.at, problem)
    })
}

fn internal_redirect(site: &Site<'_>) -> Vec<Hit> {
    let policy = site.route.find("route.internal_redirect_policy");
    let problem = "the redirected request is decided again, but its key has been taken away: it is \
                   denied, or passes where no key is needed";
    policy.iter().map(|at| Hit::at(at, problem)).collect()
}

fn route_service(site: &Site<'_>) -> Vec<Hit> {
    let services = site.settings().into_iter().filter_map(|setting| {
        let settings = setting.find("config.check_settings").or(setting.get("check_settings"))?;
        settings.get("grpc_service").or(settings.get("http_service"))
    });
    let problem = "the route asks a service of its own, which this check does not look at";
    services.map(|at| Hit::at(&at, problem)).collect()
}

fn unmatched_route_config(site: &Site<'_>) -> Vec<Hit> {
    let Some(guard) = &site.guard else {
        return Vec::new();
    };
    let has = |name: &str| guard.manager.filters.iter().any(|filter| filter.name == name);
    let settings = site.levels.iter().filter_map(|level| level.get("typed_per_filter_config"));
    let lost = settings.flat_map(|at| at.fields()).filter(|(name, at)| {
        let kind = at.get("config").map_or(at.kind(), |config| config.kind());
        kind == "ExtAuthzPerRoute" && !has(name)
    });
    let problem = |name| format!("no filter is called {name:?}: what is set here has no effect");
    lost.map(|(name, at)| Hit::at(&at, problem(name))).collect()
}
