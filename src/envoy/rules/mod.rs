//! The rules: one table for each subject, and what runs them.

mod chain;
mod clusters;
mod context;
mod headers;
mod manager;
mod routes;
mod scope;
mod service;
mod unseen;

use std::collections::HashSet;

use self::scope::{Authorization, Guard, Hit, Site};
use super::{
    find::{Configuration, Manager},
    finding::{Finding, Severity},
    place::Place,
};

/// One rule.
pub(super) struct Rule {
    /// Its name. It is part of what users write down, and stays.
    pub(super) name: &'static str,
    /// How bad it is if it finds something.
    pub(super) severity: Severity,
    /// What to do then.
    pub(super) help: &'static str,
    /// What it looks at, and how.
    pub(super) check: Check,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// The file as a whole.
    Whole(fn(&Configuration<'_>) -> Vec<Hit>),
    /// Every connection manager, whether it has the filter or not.
    Manager(fn(&Manager<'_>, Option<&str>) -> Vec<Hit>),
    /// Every connection manager that has the filter.
    Guarded(fn(&Guard<'_>) -> Vec<Hit>),
    /// Every external authorization filter.
    Authorization(fn(&Authorization<'_>) -> Vec<Hit>),
    /// The cluster that such a filter asks, as far as it is in the file.
    Cluster(fn(&Place<'_>) -> Vec<Hit>),
    /// Every route that leads to a cluster.
    Site(fn(&Site<'_>) -> Vec<Hit>),
}

const TABLES: [&[Rule]; 8] = [
    chain::RULES,
    service::RULES,
    headers::RULES,
    clusters::RULES,
    manager::RULES,
    routes::RULES,
    context::RULES,
    unseen::RULES,
];

/// All rules.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    TABLES.into_iter().flatten()
}

/// Runs all rules. What several routes have from one place is found once.
pub(super) fn run(configuration: &Configuration<'_>, filter: Option<&str>) -> Vec<Finding> {
    let subjects = Subjects::of(configuration, filter);
    let mut seen = HashSet::new();
    let mut findings = Vec::new();
    for rule in all() {
        for Hit { line, path, problem } in subjects.ask(rule.check) {
            if seen.insert((rule.name, path.clone(), problem.clone())) {
                let Rule { name, severity, help, .. } = *rule;
                findings.push(Finding { line, rule: name, severity, path, problem, help });
            }
        }
    }
    findings
}

/// All that there is to look at.
struct Subjects<'a> {
    configuration: &'a Configuration<'a>,
    filter: Option<&'a str>,
    guards: Vec<Guard<'a>>,
    authorizations: Vec<Authorization<'a>>,
    clusters: Vec<Place<'a>>,
    sites: Vec<Site<'a>>,
}

impl<'a> Subjects<'a> {
    fn of(configuration: &'a Configuration<'a>, filter: Option<&'a str>) -> Self {
        let guards = Guard::all(configuration, filter);
        let authorizations = Authorization::all(configuration, filter);
        let clusters = authorizations.iter().filter_map(|one| one.cluster(configuration));
        let clusters = clusters.collect();
        let sites = Site::all(configuration, filter);
        Self { configuration, filter, guards, authorizations, clusters, sites }
    }

    fn ask(&self, check: Check) -> Vec<Hit> {
        match check {
            Check::Whole(check) => check(self.configuration),
            Check::Manager(check) => {
                let managers = self.configuration.managers.iter();
                managers.flat_map(|manager| check(manager, self.filter)).collect()
            }
            Check::Guarded(check) => self.guards.iter().flat_map(check).collect(),
            Check::Authorization(check) => self.authorizations.iter().flat_map(check).collect(),
            Check::Cluster(check) => self.clusters.iter().flat_map(check).collect(),
            Check::Site(check) => self.sites.iter().flat_map(check).collect(),
        }
    }
}
