//! What Envoy gets from elsewhere while it runs, so that no check of a file can see it.

use super::{
    Check::{Guarded, Whole},
    Rule, chain,
    scope::{Guard, Hit},
};
use crate::envoy::{find::Configuration, finding::Severity::Advice};

const DUMP: &str = "check what a running Envoy has: \
                    curl 127.0.0.1:9901/config_dump?include_eds | keyward envoy check -";

pub(super) const RULES: &[Rule] = &[
    Rule { name: "unseen-resources", severity: Advice, help: DUMP, check: Whole(resources) },
    Rule { name: "unseen-routes", severity: Advice, help: DUMP, check: Guarded(routes) },
    Rule { name: "unseen-filter", severity: Advice, help: DUMP, check: Whole(filters) },
];

fn resources(configuration: &Configuration<'_>) -> Vec<Hit> {
    let sections = configuration.tops.iter().filter_map(|top| top.get("dynamic_resources"));
    let problem = "listeners or clusters come from a server and are not in this file";
    sections.map(|at| Hit::at(&at, problem)).collect()
}

fn routes(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let mut unseen = Vec::new();
    if guard.manager.routes.is_none() {
        unseen.extend(["rds", "scoped_routes"].iter().filter_map(|name| manager.get(name)));
    }
    if let Some(routes) = &guard.manager.routes {
        unseen.extend(routes.get("vhds"));
        unseen.extend(routes.list("virtual_hosts").filter_map(|host| host.get("matcher")));
    }
    let problem = "these routes are not looked at: they come from a server, or are in a matcher";
    unseen.iter().map(|at| Hit::at(at, problem)).collect()
}

fn filters(configuration: &Configuration<'_>) -> Vec<Hit> {
    let filters = configuration.managers.iter().flat_map(|manager| &manager.filters);
    let problem = "what this filter does is not looked at: it comes from a server, or depends on the \
                   request";
    filters.filter(|filter| chain::is_hidden(filter)).map(|at| Hit::at(&at.at, problem)).collect()
}
