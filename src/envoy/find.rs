//! Finds in documents what rules look at: connection managers with their filters and routes, and
//! clusters.

use super::{
    document::{Node, Unreadable, is_same_name},
    place::Place,
};

/// The name under which routes set up the filter, unless the chain of filters has another.
const USUAL_NAME: &str = "envoy.filters.http.ext_authz";

/// All that rules look at.
#[derive(Debug, Default)]
pub(super) struct Configuration<'a> {
    /// The documents.
    pub(super) tops: Vec<Place<'a>>,
    /// All connection managers.
    pub(super) managers: Vec<Manager<'a>>,
    /// Routes that no manager of the file has.
    pub(super) stray_routes: Vec<Place<'a>>,
    /// All clusters.
    pub(super) clusters: Vec<Place<'a>>,
}

/// One connection manager.
#[derive(Debug)]
pub(super) struct Manager<'a> {
    /// Its configuration.
    pub(super) at: Place<'a>,
    /// Its HTTP filters in their order.
    pub(super) filters: Vec<Filter<'a>>,
    /// Its routes, if the file has them.
    pub(super) routes: Option<Place<'a>>,
}

/// One HTTP filter.
#[derive(Clone, Debug)]
pub(super) struct Filter<'a> {
    /// Its entry in `http_filters`.
    pub(super) at: Place<'a>,
    /// Its name in the chain.
    pub(super) name: &'a str,
    /// The last word of its type, such as `Router`; empty if it is not in the file.
    pub(super) kind: &'a str,
    /// Its own configuration.
    pub(super) config: Option<Place<'a>>,
}

impl<'a> Filter<'a> {
    fn of(at: Place<'a>) -> Self {
        let config = at.get("typed_config");
        let kind = config.as_ref().map_or("", Place::kind);
        Self { name: at.text_of("name").unwrap_or_default(), kind, config, at }
    }

    /// Its whole type; empty if it is not in the file.
    pub(super) fn type_url(&self) -> &'a str {
        self.config.as_ref().and_then(|config| config.entry("@type")?.text()).unwrap_or_default()
    }
}

impl<'a> Manager<'a> {
    fn of(at: Place<'a>) -> Self {
        let filters = at.list("http_filters").map(Filter::of).collect();
        let routes = at.get("route_config");
        Self { at, filters, routes }
    }

    /// Its external authorization filters with their positions, of this name if one is given.
    pub(super) fn authorizations(&self, name: Option<&str>) -> Vec<(usize, &Filter<'a>)> {
        let filters = self.filters.iter().enumerate();
        let ours = filters.filter(|(_, filter)| {
            filter.kind == "ExtAuthz" && name.is_none_or(|name| filter.name == name)
        });
        ours.collect()
    }
}

/// The name that routes use for the filter.
pub(super) fn name_in_routes<'a>(filter: Option<&Filter<'a>>) -> &'a str {
    filter.map_or(USUAL_NAME, |filter| filter.name)
}

impl<'a> Configuration<'a> {
    /// Looks through documents.
    pub(super) fn of(documents: &'a [Node]) -> Result<Self, Unreadable> {
        let mut found = Self::default();
        let mut routes = Vec::new();
        for (n, document) in documents.iter().enumerate() {
            let path = if n == 0 { String::new() } else { format!("documents[{n}]") };
            let top = Place::top(path, document);
            found.tops.push(top.clone());
            if top.get("virtual_hosts").is_some() {
                routes.push(top.clone());
            }
            found.look_through(&top, &mut routes);
        }
        if !found.is_of_envoy() && routes.is_empty() {
            return Err(Unreadable::NotEnvoy);
        }
        found.join(routes);
        Ok(found)
    }

    fn is_of_envoy(&self) -> bool {
        let sections =
            ["static_resources", "dynamic_resources", "admin", "filter_chains", "api_listener"];
        let has_section = |top: &Place<'_>| sections.iter().any(|name| top.get(name).is_some());
        !self.managers.is_empty() || !self.clusters.is_empty() || self.tops.iter().any(has_section)
    }

    fn look_through(&mut self, at: &Place<'a>, routes: &mut Vec<Place<'a>>) {
        let has = |name| at.get(name).is_some();
        match at.kind() {
            "HttpConnectionManager" => self.managers.push(Manager::of(at.clone())),
            "" if has("http_filters") => self.managers.push(Manager::of(at.clone())),
            "Cluster" => self.clusters.push(at.clone()),
            "" if has("load_assignment") || is_static_cluster(&at.path) => {
                self.clusters.push(at.clone());
            }
            _ => {}
        }
        for (name, below) in at.fields() {
            let is_of_manager = is_same_name(name, "route_config");
            if below.get("virtual_hosts").is_some() && !is_of_manager {
                routes.push(below.clone());
            }
            self.look_through(&below, routes);
        }
        for item in at.items() {
            if item.get("virtual_hosts").is_some() {
                routes.push(item.clone());
            }
            self.look_through(&item, routes);
        }
    }

    /// Gives routes to the managers that ask for them by name.
    fn join(&mut self, routes: Vec<Place<'a>>) {
        for at in routes {
            let name = at.text_of("name");
            let asks = |manager: &&mut Manager<'a>| {
                let asked = manager.at.text_of("rds.route_config_name");
                manager.routes.is_none() && asked.is_some() && asked == name
            };
            match self.managers.iter_mut().find(asks) {
                Some(manager) => manager.routes = Some(at),
                None => self.stray_routes.push(at),
            }
        }
    }
}

/// Whether a path leads to one of the clusters of a bootstrap, which need no `@type`.
fn is_static_cluster(path: &str) -> bool {
    let list = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map(|(list, _)| list);
    list.is_some_and(|list| {
        list.ends_with("static_resources.clusters") || list.ends_with("staticResources.clusters")
    })
}
