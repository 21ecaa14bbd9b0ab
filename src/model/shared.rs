//! What keys share, and what changes under all of them at once: domains, groups, users.
//!
//! A key's profile leads to a cell for each; whoever changes the content of the cell changes what all
//! of its keys may do, however many they are.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

use arc_swap::ArcSwap;

use crate::model::{
    meter::{Metered, quota::StoredQuota},
    name::DomainName,
    permission::{Grants, Permission},
    route::Path,
    route_map::RouteMap,
    user::UserKind,
};

/// A content that may change while it is read. While it changes, the old and the new one both count:
/// several things may change together, and no mixture of their old and new contents must permit what
/// neither all old nor all new ones do.
#[derive(Debug)]
pub struct Cell<T> {
    versions: ArcSwap<Versions<T>>,
    /// Whether every content that counts is enabled, and whether the newest has limits: most decisions
    /// need no more.
    enabled: AtomicBool,
    limited: AtomicBool,
}

/// A content of a cell.
pub trait Facts {
    /// Whether what it is about works.
    fn is_enabled(&self) -> bool;
    /// What its keys share, if it has limits.
    fn limits(&self) -> Option<&Arc<Metered>>;
}

#[derive(Debug)]
struct Versions<T> {
    now: Arc<T>,
    before: Option<Arc<T>>,
}

impl<T: Facts> Cell<T> {
    /// A cell with this content.
    pub fn new(content: T) -> Self {
        let (enabled, limited) = (content.is_enabled(), content.limits().is_some());
        let versions = Versions { now: Arc::new(content), before: None };
        Self {
            versions: ArcSwap::from_pointee(versions),
            enabled: AtomicBool::new(enabled),
            limited: AtomicBool::new(limited),
        }
    }

    /// Whether every content that counts is enabled.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Acquire)
    }

    /// The limits of the newest content.
    pub fn limits(&self) -> Option<Arc<Metered>> {
        self.limited.load(Acquire).then(|| self.of_latest(|facts| facts.limits().cloned()))?
    }

    /// Whether something holds for every content that counts.
    pub fn every(&self, holds: impl Fn(&T) -> bool) -> bool {
        let versions = self.versions.load();
        holds(&versions.now) && versions.before.as_ref().is_none_or(|before| holds(before))
    }

    /// Something of the newest content.
    pub fn of_latest<U>(&self, pick: impl FnOnce(&T) -> U) -> U {
        pick(&self.versions.load().now)
    }

    /// The newest content.
    pub fn latest(&self) -> Arc<T> {
        Arc::clone(&self.versions.load().now)
    }

    /// Begins a change: both contents count until [`Cell::settle`].
    pub fn change(&self, content: T) {
        let versions = self.versions.load();
        let before = versions.before.as_ref().unwrap_or(&versions.now);
        let enabled = content.is_enabled() && before.is_enabled();
        let limited = content.limits().is_some();
        let before = Some(Arc::clone(before));
        self.enabled.store(enabled, Release);
        self.versions.store(Arc::new(Versions { now: Arc::new(content), before }));
        self.limited.store(limited, Release);
    }

    /// Ends a change: only the newest content counts.
    pub fn settle(&self) {
        let versions = self.versions.load();
        if versions.before.is_some() {
            let enabled = versions.now.is_enabled();
            self.versions
                .store(Arc::new(Versions { now: Arc::clone(&versions.now), before: None }));
            self.enabled.store(enabled, Release);
        }
    }
}

/// A domain in the memory of a replica.
#[derive(Debug)]
pub struct DomainView {
    /// Its name.
    pub name: DomainName,
    /// What of it may change.
    pub facts: Cell<DomainFacts>,
}

/// What of a domain may change. By default nothing is permitted.
#[derive(Debug, Default)]
pub struct DomainFacts {
    /// Whether its keys work.
    pub enabled: bool,
    /// What its routes need.
    pub route_map: RouteMap,
    /// What its keys share, if it has limits.
    pub limits: Option<Arc<Metered>>,
}

/// A permission group in the memory of a replica.
#[derive(Debug)]
pub struct GroupView {
    /// What of it may change.
    pub facts: Cell<GroupFacts>,
}

/// What of a group may change. By default it gives nothing.
#[derive(Debug, Default)]
pub struct GroupFacts {
    /// Its name, for explanations; empty if it is not known.
    pub name: Box<str>,
    /// What it gives.
    pub grants: Grants,
}

impl Facts for DomainFacts {
    fn is_enabled(&self) -> bool {
        self.enabled
    }

    fn limits(&self) -> Option<&Arc<Metered>> {
        self.limits.as_ref()
    }
}

impl Facts for UserFacts {
    fn is_enabled(&self) -> bool {
        self.enabled
    }

    fn limits(&self) -> Option<&Arc<Metered>> {
        self.limits.as_ref()
    }
}

impl Facts for GroupFacts {
    fn is_enabled(&self) -> bool {
        true
    }

    fn limits(&self) -> Option<&Arc<Metered>> {
        None
    }
}

impl GroupView {
    /// Whether the group gives what is needed.
    pub fn gives(&self, needed: Permission<'_>) -> bool {
        self.facts.every(|facts| facts.grants.cover(needed))
    }
}

/// A user in the memory of a replica.
#[derive(Debug)]
pub struct UserView {
    /// What of it may change.
    pub facts: Cell<UserFacts>,
}

/// What of a user may change. By default it is disabled.
#[derive(Debug)]
pub struct UserFacts {
    /// The operators' own id; empty if it is not known.
    pub id: Box<str>,
    /// What it is.
    pub kind: UserKind,
    /// Whether its keys work.
    pub enabled: bool,
    /// What it may do.
    pub grants: Grants,
    /// What it may do besides.
    pub groups: Box<[Arc<GroupView>]>,
    /// What its keys share, if it has limits.
    pub limits: Option<Arc<Metered>>,
}

impl Default for UserFacts {
    fn default() -> Self {
        Self {
            id: Box::default(),
            kind: UserKind::Service,
            enabled: false,
            grants: Grants::default(),
            groups: Box::default(),
            limits: None,
        }
    }
}

impl UserView {
    /// Whether the user's keys work.
    pub fn is_enabled(&self) -> bool {
        self.facts.is_enabled()
    }

    /// Whether the user may do what is needed.
    pub fn may(&self, needed: Permission<'_>) -> bool {
        self.facts.every(|facts| {
            facts.grants.cover(needed) || facts.groups.iter().any(|group| group.gives(needed))
        })
    }
}

impl DomainView {
    /// Whether the domain's keys work.
    pub fn is_enabled(&self) -> bool {
        self.facts.is_enabled()
    }

    /// Whether something holds for the permission that a route needs; not if none is known.
    pub fn route_needs(
        &self,
        method: &str,
        path: Path<'_>,
        holds: impl Fn(Permission<'_>) -> bool,
    ) -> bool {
        self.facts.every(|facts| facts.route_map.permission(method, path).is_some_and(&holds))
    }
}

/// A domain as the store streams it.
#[derive(Clone, Copy, Debug)]
pub struct DomainRow<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether its keys work.
    pub enabled: bool,
    /// A line for each entry of its route map.
    pub route_map: &'a str,
    /// Its limits, with blanks between.
    pub limits: &'a str,
}

/// A permission group as the store streams it.
#[derive(Clone, Copy, Debug)]
pub struct GroupRow<'a> {
    /// Its number.
    pub uid: i64,
    /// Its name.
    pub name: &'a str,
    /// What it gives, with blanks between.
    pub permissions: &'a str,
}

/// A user as the store streams it.
#[derive(Clone, Copy, Debug)]
pub struct UserRow<'a> {
    /// Its number.
    pub uid: i64,
    /// Its domain.
    pub domain: &'a str,
    /// The operators' own id.
    pub id: &'a str,
    /// What it is.
    pub kind: UserKind,
    /// Whether its keys work.
    pub enabled: bool,
    /// What it may do, with blanks between.
    pub permissions: &'a str,
    /// The numbers of its groups, with blanks between.
    pub groups: &'a str,
    /// Its limits, with blanks between.
    pub limits: &'a str,
}

/// A customer as the store streams it.
#[derive(Clone, Copy, Debug)]
pub struct CustomerRow<'a> {
    /// Its domain.
    pub domain: &'a str,
    /// The operators' own id.
    pub id: &'a str,
    /// Its limits, with blanks between.
    pub limits: &'a str,
    /// Its number.
    pub uid: i64,
}

/// What was used of a quota as the store streams it.
#[derive(Clone, Copy, Debug)]
pub struct QuotaRow<'a> {
    /// What has the quota.
    pub owner: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What is known of it.
    pub stored: StoredQuota,
}
