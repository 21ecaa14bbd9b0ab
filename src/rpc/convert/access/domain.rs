//! Domains, their catalogues and their route maps.

use tonic::Status;

use super::{Violations, not_yet, required};
use crate::{
    admin::{
        Effect,
        things::{CataloguePatch, DomainPatch, RoutesPatch, ThingTarget},
    },
    model::{
        catalogue::{Catalogue, CatalogueEntries, CatalogueEntry},
        domain::{Domain, DomainRoutes},
        name::DomainName,
        permission::Permission,
        record::ThingName,
        route_map::{RouteMap, RouteMapEntry},
    },
    rpc::{
        convert::{effect, limits::limits_to_pb, time_to_pb},
        pb,
    },
};

/// `CreateDomain`.
pub(in crate::rpc) fn domain_in(
    request: &pb::CreateDomainRequest,
) -> Result<(Domain, Effect), Status> {
    let mut violations = Violations::default();
    let domain = required(&mut violations, "domain", request.domain.as_ref()).and_then(|sent| {
        let name = violations.required("domain.name", &sent.name, DomainName::parse);
        let display_name = violations.display_name("domain", &sent.display_name);
        let description = violations.description("domain", &sent.description);
        let limits = violations.limits("domain.limits", &sent.limits);
        Some(Domain {
            name: name?,
            display_name: display_name?,
            description: description?,
            limits: limits?,
            disabled: false,
            record: not_yet(),
        })
    });
    violations.finish(domain.map(|domain| (domain, effect(request.validate_only))))
}

/// A domain, outward.
pub(in crate::rpc) fn domain_out(domain: &Domain) -> pb::Domain {
    pb::Domain {
        name: domain.name.to_string(),
        display_name: domain.display_name.as_str().to_owned(),
        description: domain.description.as_str().to_owned(),
        disabled: domain.disabled,
        create_time: Some(time_to_pb(domain.record.create_time)),
        update_time: Some(time_to_pb(domain.record.update_time)),
        etag: domain.record.etag(),
        limits: limits_to_pb(&domain.limits),
    }
}

/// `UpdateDomain`.
pub(in crate::rpc) fn domain_patch(
    request: &pb::UpdateDomainRequest,
) -> Result<(ThingTarget, DomainPatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::Domain::default();
    let sent = request.domain.as_ref().unwrap_or(&absent);
    let name = violations.required("domain.name", &sent.name, DomainName::parse);
    let etag = violations.etag("domain.etag", &sent.etag);
    let mut patch = DomainPatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        match path.as_str() {
            "display_name" => {
                patch.display_name = violations.display_name("domain", &sent.display_name);
            }
            "description" => {
                patch.description = violations.description("domain", &sent.description);
            }
            "limits" => patch.limits = violations.limits("domain.limits", &sent.limits),
            _ => violations.unknown_path(path, "display_name, description, limits"),
        }
    }
    let target = name.map(|name| ThingTarget { name: ThingName::in_domain(&name, ""), etag });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}

/// The good ones of what was sent, and where they stood among the others.
struct Good<T> {
    entries: Vec<T>,
    places: Vec<usize>,
}

impl<T> Default for Good<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Vec::new() }
    }
}

impl<T> Good<T> {
    fn add(&mut self, place: usize, entry: Option<T>) {
        let Some(entry) = entry else { return };
        self.entries.push(entry);
        self.places.push(place);
    }

    /// All of them as one; an error tells the place among all that were sent.
    fn list<L, E>(self, list: impl Fn(Vec<T>) -> Result<L, (usize, E)>) -> Result<L, (usize, E)> {
        let Self { entries, places } = self;
        list(entries).map_err(|(at, error)| (places.get(at).copied().unwrap_or(at), error))
    }
}

/// `UpdateCatalogue`.
pub(in crate::rpc) fn catalogue_in(
    request: &pb::UpdateCatalogueRequest,
) -> Result<(ThingTarget, CataloguePatch, Effect), Status> {
    let mut violations = Violations::default();
    let sent = required(&mut violations, "catalogue", request.catalogue.as_ref());
    let parts = sent.and_then(|sent| {
        let domain = violations.domain("catalogue.domain", &sent.domain);
        let etag = violations.etag("catalogue.etag", &sent.etag);
        let mut entries = Good::default();
        for (at, entry) in sent.permissions.iter().enumerate() {
            let place = format!("catalogue.permissions[{at}]");
            let name = format!("{place}.name");
            let display_name = violations.display_name(&place, &entry.display_name);
            let description = violations.description(&place, &entry.description);
            let (Some(display_name), Some(description)) = (display_name, description) else {
                violations.check(&name, Permission::parse(&entry.name));
                continue;
            };
            let entry = CatalogueEntry::new(&entry.name, display_name, description);
            entries.add(at, violations.check(&name, entry));
        }
        let entries = entries.list(CatalogueEntries::new);
        let entries = violations.check_list("catalogue.permissions", entries)?;
        let name = ThingName::in_domain(&domain?, "");
        Some((ThingTarget { name, etag }, CataloguePatch(entries), effect(request.validate_only)))
    });
    violations.finish(parts)
}

/// A catalogue, outward.
pub(in crate::rpc) fn catalogue_out(catalogue: &Catalogue) -> pb::Catalogue {
    let permissions = catalogue.entries.iter().map(|entry| pb::CataloguePermission {
        name: entry.name().to_owned(),
        display_name: entry.display_name.as_str().to_owned(),
        description: entry.description.as_str().to_owned(),
    });
    pb::Catalogue {
        domain: catalogue.domain.to_string(),
        permissions: permissions.collect(),
        etag: catalogue.record.etag(),
    }
}

/// `UpdateRouteMap`.
pub(in crate::rpc) fn routes_in(
    request: &pb::UpdateRouteMapRequest,
) -> Result<(ThingTarget, RoutesPatch, Effect), Status> {
    let mut violations = Violations::default();
    let sent = required(&mut violations, "route_map", request.route_map.as_ref());
    let parts = sent.and_then(|sent| {
        let domain = violations.domain("route_map.domain", &sent.domain);
        let etag = violations.etag("route_map.etag", &sent.etag);
        let mut entries = Good::default();
        for (at, entry) in sent.entries.iter().enumerate() {
            let pb::RouteMapEntry { methods, path_template, permission } = entry;
            let entry = RouteMapEntry::new(methods, path_template, permission);
            entries.add(at, violations.check(&format!("route_map.entries[{at}]"), entry));
        }
        let map = violations.check_list("route_map.entries", entries.list(RouteMap::new))?;
        let name = ThingName::in_domain(&domain?, "");
        Some((ThingTarget { name, etag }, RoutesPatch(map), effect(request.validate_only)))
    });
    violations.finish(parts)
}

/// A route map, outward.
pub(in crate::rpc) fn routes_out(routes: &DomainRoutes) -> pb::RouteMap {
    let entries = routes.map.iter().map(|entry| pb::RouteMapEntry {
        methods: entry.methods().map(str::to_owned).collect(),
        path_template: entry.template().to_owned(),
        permission: entry.permission().to_owned(),
    });
    pb::RouteMap {
        domain: routes.domain.to_string(),
        entries: entries.collect(),
        etag: routes.record.etag(),
    }
}
