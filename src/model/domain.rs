//! Domains: the tenants that keys belong to.

use crate::model::{
    limit::Limits,
    name::DomainName,
    record::Record,
    route_map::RouteMap,
    text::{DisplayName, Prose},
};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Never changes.
    pub name: DomainName,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What its keys share.
    pub limits: Limits,
    /// Whether all its keys are denied.
    pub disabled: bool,
    /// Its history in short.
    pub record: Record,
}

/// Which permissions the routes of a domain need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRoutes {
    /// The domain.
    pub domain: DomainName,
    /// What they need.
    pub map: RouteMap,
    /// Its history in short.
    pub record: Record,
}
