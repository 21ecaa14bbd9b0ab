//! What every managed thing has besides its content.

use std::fmt;

use crate::model::{name::DomainName, time::Timestamp};

/// What a thing is found by: its domain, if it is of one, and its name there. A domain itself, its
/// route map and its catalogue have the empty name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThingName {
    /// The domain that it is of; `None` for what belongs to the whole installation.
    pub domain: Option<DomainName>,
    /// Its name there.
    pub name: Box<str>,
}

impl ThingName {
    /// Something of a domain.
    pub fn in_domain(domain: &DomainName, name: &str) -> Self {
        Self { domain: Some(domain.clone()), name: name.into() }
    }

    /// Something of the whole installation.
    pub fn of_all(name: &str) -> Self {
        Self { domain: None, name: name.into() }
    }
}

impl fmt::Display for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) if self.name.is_empty() => domain.fmt(f),
            Some(domain) => write!(f, "{domain}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The kinds of things that are managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key.
    Key,
    /// A domain.
    Domain,
    /// An environment.
    Environment,
    /// A user.
    User,
    /// A permission group.
    Group,
    /// The route map of a domain.
    RouteMap,
    /// The catalogue of a domain.
    Catalogue,
    /// A template.
    Template,
    /// A customer.
    Customer,
    /// What was used of a quota.
    Quota,
    /// A job.
    Job,
    /// A pepper.
    Pepper,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Key,
        Self::Domain,
        Self::Environment,
        Self::User,
        Self::Group,
        Self::RouteMap,
        Self::Catalogue,
        Self::Template,
        Self::Customer,
        Self::Quota,
        Self::Job,
        Self::Pepper,
    ];

    /// As it is stored and said.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Domain => "domain",
            Self::Environment => "environment",
            Self::User => "user",
            Self::Group => "group",
            Self::RouteMap => "route_map",
            Self::Catalogue => "catalogue",
            Self::Template => "template",
            Self::Customer => "customer",
            Self::Quota => "quota",
            Self::Job => "job",
            Self::Pepper => "pepper",
        }
    }

    /// As actions on it are called.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Key => "keys",
            Self::Domain => "domains",
            Self::Environment => "environments",
            Self::User => "users",
            Self::Group => "groups",
            Self::RouteMap => "route_maps",
            Self::Catalogue => "catalogues",
            Self::Template => "templates",
            Self::Customer => "customers",
            Self::Quota => "quotas",
            Self::Job => "jobs",
            Self::Pepper => "peppers",
        }
    }

    /// Reads what actions on it are called by; `None` for anything else.
    pub fn parse_plural(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == text)
    }

    /// Reads the stored form; `None` for a kind of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// When a thing was made and changed, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was made.
    pub create_time: Timestamp,
    /// When it changed last.
    pub update_time: Timestamp,
    /// Counts the changes; its etag.
    pub version: i64,
}

impl Record {
    /// Of a thing that is made now.
    pub const fn new(now: Timestamp) -> Self {
        Self { create_time: now, update_time: now, version: 1 }
    }

    /// Of the same thing after one more change.
    #[must_use]
    pub const fn changed(self, now: Timestamp) -> Self {
        Self { update_time: now, version: self.version + 1, ..self }
    }

    /// Changes with every change, and is another one if the thing is removed and made again.
    pub fn etag(&self) -> String {
        format!("v{}-{}", self.version, self.create_time.micros())
    }
}
