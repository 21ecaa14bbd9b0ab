//! What rules look at: managers with the filter, the filter itself, and routes to clusters.

use crate::envoy::{
    find::{Configuration, Filter, Manager, name_in_routes},
    names,
    place::Place,
};

/// Where something was found, and what is wrong there.
#[derive(Debug)]
pub(in crate::envoy) struct Hit {
    pub(super) line: usize,
    pub(super) path: String,
    pub(super) problem: String,
}

impl Hit {
    /// Something is wrong at a place.
    pub(super) fn at(place: &Place<'_>, problem: impl Into<String>) -> Self {
        Self { line: place.node.line, path: place.path.clone(), problem: problem.into() }
    }

    /// Something is wrong with a field, or with what should have it and does not.
    pub(super) fn field(owner: &Place<'_>, path: &str, problem: impl Into<String>) -> Self {
        Self::at(owner.find(path).as_ref().unwrap_or(owner), problem)
    }
}

/// A hit for each field of these that is true of a condition: nothing, or one.
pub(super) fn when(condition: bool, hit: impl FnOnce() -> Hit) -> Vec<Hit> {
    if condition { vec![hit()] } else { Vec::new() }
}

/// A connection manager that has the filter.
#[derive(Debug)]
pub(in crate::envoy) struct Guard<'a> {
    pub(super) manager: &'a Manager<'a>,
    /// Where in the chain the filter is first.
    pub(super) position: usize,
    pub(super) filter: &'a Filter<'a>,
}

impl<'a> Guard<'a> {
    pub(super) fn of(manager: &'a Manager<'a>, name: Option<&str>) -> Option<Self> {
        let (position, filter) = manager.authorizations(name).into_iter().next()?;
        Some(Self { manager, position, filter })
    }

    pub(super) fn all(configuration: &'a Configuration<'a>, name: Option<&str>) -> Vec<Self> {
        let managers = configuration.managers.iter();
        managers.filter_map(|manager| Self::of(manager, name)).collect()
    }

    /// Whether a header field of the client's is gone before the filter and whatever the route is.
    pub(super) fn removes_early(&self, name: &str) -> bool {
        let early = self.manager.at.list("early_header_mutation_extensions");
        let early = early.filter_map(|extension| extension.get("typed_config"));
        let early = early.flat_map(|config| config.list("mutations"));
        let before = self.manager.filters.iter().take(self.position);
        let before = before.filter(|filter| filter.kind == "HeaderMutation");
        let before = before.filter(|filter| !filter.at.is_true("disabled"));
        let before = before.filter_map(|filter| filter.config.as_ref()?.get("mutations"));
        let before = before.flat_map(|mutations| mutations.list("request_mutations"));
        early.chain(before).any(|mutation| names::mutation_removes(&mutation, name))
    }

    /// Whether a client's header fields with our names are gone before the filter.
    pub(super) fn removes_identity_early(&self) -> bool {
        names::IDENTITY.iter().all(|name| self.removes_early(name))
    }
}

/// An external authorization filter.
#[derive(Debug)]
pub(in crate::envoy) struct Authorization<'a> {
    pub(super) guard: Guard<'a>,
    pub(super) config: Place<'a>,
    has_cluster: bool,
}

impl<'a> Authorization<'a> {
    pub(super) fn all(configuration: &'a Configuration<'a>, name: Option<&str>) -> Vec<Self> {
        let sees_clusters = configuration.tops.iter().any(|top| {
            top.get("static_resources").is_some()
                && top.find("dynamic_resources.cds_config").is_none()
        });
        let mut all = Vec::new();
        for manager in &configuration.managers {
            for (position, filter) in manager.authorizations(name) {
                if let Some(config) = filter.config.clone() {
                    let guard = Guard { manager, position, filter };
                    let mut one = Self { guard, config, has_cluster: true };
                    one.has_cluster = !sees_clusters || one.cluster(configuration).is_some();
                    all.push(one);
                }
            }
        }
        all
    }

    /// The cluster that it asks, if it is in the file.
    pub(super) fn cluster(&self, configuration: &Configuration<'a>) -> Option<Place<'a>> {
        let name = self.config.text_of("grpc_service.envoy_grpc.cluster_name")?;
        let mut clusters = configuration.clusters.iter();
        clusters.find(|cluster| cluster.text_of("name") == Some(name)).cloned()
    }

    /// Whether the cluster that it asks is in the file, or may be elsewhere.
    pub(super) const fn has_cluster(&self) -> bool {
        self.has_cluster
    }
}

/// A route that leads to a cluster, or one of its weighted clusters.
#[derive(Debug)]
pub(in crate::envoy) struct Site<'a> {
    pub(super) guard: Option<Guard<'a>>,
    /// The route.
    pub(super) route: Place<'a>,
    /// What may have settings for it, from the route configuration down to the route or to its
    /// weighted cluster: the last one counts most.
    pub(super) levels: Vec<Place<'a>>,
}

impl<'a> Site<'a> {
    pub(super) fn all(configuration: &'a Configuration<'a>, name: Option<&str>) -> Vec<Self> {
        let mut sites = Vec::new();
        for manager in &configuration.managers {
            if let Some(routes) = &manager.routes {
                Self::collect(routes, || Guard::of(manager, name), &mut sites);
            }
        }
        for routes in &configuration.stray_routes {
            Self::collect(routes, || None, &mut sites);
        }
        sites
    }

    fn collect(routes: &Place<'a>, guard: impl Fn() -> Option<Guard<'a>>, sites: &mut Vec<Self>) {
        for host in routes.list("virtual_hosts") {
            for route in host.list("routes").filter(leads_to_cluster) {
                let levels = vec![routes.clone(), host.clone(), route.clone()];
                let weighted = route.find("route.weighted_clusters.clusters");
                for cluster in weighted.iter().flat_map(Place::items) {
                    let levels = levels.iter().cloned().chain([cluster]).collect();
                    sites.push(Self { guard: guard(), route: route.clone(), levels });
                }
                if weighted.is_none() {
                    sites.push(Self { guard: guard(), route, levels });
                }
            }
        }
    }

    /// What the levels say to the filter, the most particular last. The wrapping of a
    /// `FilterConfig` is taken off.
    pub(super) fn settings(&self) -> Vec<Place<'a>> {
        let name = name_in_routes(self.guard.as_ref().map(|guard| guard.filter));
        let own = |level: &Place<'a>| level.get("typed_per_filter_config")?.entry(name);
        self.levels.iter().filter_map(own).collect()
    }

    /// Where the filter is switched off for this route, if it is.
    pub(super) fn off(&self) -> Option<Place<'a>> {
        let setting = self.settings().pop()?;
        let within = setting.get("config").unwrap_or_else(|| setting.clone());
        [setting, within]
            .into_iter()
            .find_map(|at| if at.is_true("disabled") { at.get("disabled") } else { None })
    }

    /// What the route tells Keyward, and where. A name may be there more than once; the last counts.
    pub(super) fn context(&self) -> Vec<(&'a str, Place<'a>)> {
        let within = |setting: Place<'a>| setting.get("config").unwrap_or(setting);
        let settings = self.settings().into_iter().map(within);
        let context = settings.filter_map(|at| at.find("check_settings.context_extensions"));
        context.flat_map(|at| at.fields()).collect()
    }

    /// Whether the route tells Keyward this.
    pub(super) fn has_context(&self, name: &str) -> bool {
        self.context().iter().any(|(key, _)| *key == name)
    }

    /// Whether a client's header field of this name does not reach the upstream.
    pub(super) fn removes(&self, name: &str) -> bool {
        let early = self.guard.as_ref().is_some_and(|guard| guard.removes_early(name));
        early || self.levels.iter().any(|level| names::removes(level, name))
    }
}

/// Whether any route of a route configuration leads to a cluster.
pub(super) fn reaches_clusters(routes: &Place<'_>) -> bool {
    routes.list("virtual_hosts").any(|host| host.list("routes").any(|at| leads_to_cluster(&at)))
}

fn leads_to_cluster(route: &Place<'_>) -> bool {
    ["redirect", "direct_response", "non_forwarding_action"]
        .iter()
        .all(|action| route.get(action).is_none())
}
