//! The key as a decision sees it: compact, compiled, shared.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use thiserror::Error;

use crate::model::{
    address::{AddressRules, InvalidNetwork, Networks},
    customer::{Customers, InvalidCustomer},
    delegation::{Delegation, InvalidDelegation},
    id::KeyId,
    label::{InvalidLabels, Labels},
    limit::{InvalidLimit, Limits},
    meter::Metered,
    name::{DomainName, EnvironmentName, InvalidName},
    permission::{Grants, InvalidPermission, Permission},
    route::{InvalidRouteRule, RouteRules},
    route_map::InvalidRouteMapEntry,
    secret::Digest,
    shared::{DomainView, GroupView, UserView},
    time::Timestamp,
    touch::touch,
};

/// What many keys have in common: what they may do, for whom, and what restricts them. Kept once.
#[derive(Debug)]
pub struct Profile {
    /// The environment that its keys work in.
    pub environment: EnvironmentName,
    /// The tenant.
    pub domain: Arc<DomainView>,
    /// Whom its keys act for.
    pub user: Option<Arc<UserView>>,
    /// What its keys may do.
    pub grants: Grants,
    /// What they may do besides.
    pub groups: Box<[Arc<GroupView>]>,
    /// Where they may do it.
    pub route_rules: RouteRules,
    /// From where.
    pub addresses: AddressRules,
    /// For whom.
    pub customers: Customers,
    /// What admin keys of it are bound to.
    pub delegation: Option<Delegation>,
    /// How much each of its keys may be used.
    pub limits: Limits,
}

impl Profile {
    /// Whether keys of this profile have what is needed: they, and their user if they have one. A key
    /// with a user and without any grant of its own has exactly what the user has.
    pub fn permits(&self, needed: Permission<'_>) -> bool {
        match &self.user {
            None => self.gives(needed),
            Some(user) => user.may(needed) && (!self.has_grants() || self.gives(needed)),
        }
    }

    /// Whether there are any grants but the user's, be they as empty as a group that was deleted.
    pub fn has_grants(&self) -> bool {
        !self.grants.is_empty() || !self.groups.is_empty()
    }

    /// Whether the keys' own permissions and groups give what is needed.
    fn gives(&self, needed: Permission<'_>) -> bool {
        self.grants.cover(needed) || self.groups.iter().any(|group| group.gives(needed))
    }
}

/// One key in the memory of a replica, as one of its secrets opens it. There are millions of them: what
/// can be shared is in the profile.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// The secret.
    pub digest: Digest,
    /// Denied with this secret from it on; [`Timestamp::DISTANT_FUTURE`] for the current one.
    pub secret_end: Timestamp,
    /// Its id.
    pub id: KeyId,
    /// What it may do, shared with its like.
    pub profile: Arc<Profile>,
    /// Its labels, shared with its like.
    pub labels: Arc<Labels>,
    /// Whether nobody stopped it.
    pub active: bool,
    /// Denied before it; [`Timestamp::DISTANT_PAST`] for none.
    pub not_before: Timestamp,
    /// Denied from it on; [`Timestamp::DISTANT_FUTURE`] for none.
    pub expire: Timestamp,
    /// When it was last used.
    pub last_used: LastUsed,
    /// What was used of its limits, if it has any.
    pub limits: Option<Arc<Metered>>,
}

impl KeyView {
    /// Begins to read it.
    pub fn touch(&self) {
        touch(self.digest);
        touch(Arc::as_ptr(&self.profile));
        touch(self.last_used.0.load(Relaxed));
    }
}

/// The second in which a key was last used.
#[derive(Debug, Default)]
pub struct LastUsed(AtomicI64);

impl LastUsed {
    /// Moves on to the second of `now`; says whether that is news.
    pub fn advance(&self, now: Timestamp) -> bool {
        let second = now.floor_to_second().micros();
        // a plain load first: most uses of a busy key fall into a second that is known
        self.0.load(Relaxed) < second && self.0.fetch_max(second, Relaxed) < second
    }
}

/// The same second in a cell of its own, for the view that takes this one's place.
impl Clone for LastUsed {
    fn clone(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Relaxed)))
    }
}

/// One key as the store streams it, borrowed from the row.
#[derive(Clone, Copy, Debug)]
pub struct KeyRow<'a> {
    /// Its id.
    pub id: KeyId,
    /// What [`StoredProfile::parse`] reads.
    pub profile: &'a str,
    /// A line `name=value` for each label.
    pub labels: &'a str,
    /// Whether nobody stopped it.
    pub active: bool,
    /// Denied before it.
    pub not_before: Option<Timestamp>,
    /// Denied from it on.
    pub expire: Option<Timestamp>,
    /// The token that opens it.
    pub current: Digest,
    /// The token that was replaced, and when that ends.
    pub retiring: Option<(Digest, Timestamp)>,
    /// The ids of the peppers that the two are keyed with; `None` for one that every process has, or that
    /// none needs.
    pub peppers: [Option<&'a str>; 2],
}

/// A stored row that does not keep to the grammar of today.
#[derive(Debug, Error)]
pub enum UnreadableRow {
    /// Its domain.
    #[error("domain: {0}")]
    Domain(#[from] InvalidName),
    /// One of its grants.
    #[error("permissions: {0}")]
    Grants(InvalidPermission),
    /// One of its route rules.
    #[error("route_rules: {0}")]
    RouteRules(InvalidRouteRule),
    /// Its labels.
    #[error("labels: {0}")]
    Labels(#[from] InvalidLabels),
    /// One of its addresses.
    #[error("addresses: {0}")]
    Addresses(InvalidNetwork),
    /// One of its customers.
    #[error("customers: {0}")]
    Customers(InvalidCustomer),
    /// Its limits.
    #[error("limits: {0}")]
    Limits(InvalidLimit),
    /// What it is bound to.
    #[error("delegation: {0}")]
    Delegation(InvalidDelegation),
    /// The number of a user or group.
    #[error("the uid of a user or group is not a number")]
    Uid,
    /// An entry of the route map.
    #[error("route_map: {0}")]
    RouteMap(InvalidRouteMapEntry),
}

/// A profile as it is stored: what is shared is named and not yet found.
#[derive(Debug)]
pub struct StoredProfile {
    /// The environment.
    pub environment: EnvironmentName,
    /// The tenant.
    pub domain: DomainName,
    /// The number of the user.
    pub user: Option<i64>,
    /// What its keys may do.
    pub grants: Grants,
    /// The numbers of the groups.
    pub groups: Vec<i64>,
    /// Where they may do it.
    pub route_rules: RouteRules,
    /// From where.
    pub addresses: AddressRules,
    /// For whom.
    pub customers: Customers,
    /// What admin keys of it are bound to.
    pub delegation: Option<Delegation>,
    /// How much each of its keys may be used.
    pub limits: Limits,
}

impl StoredProfile {
    /// Reads the text that keys with the same profile have in common. Each line is a list with blanks
    /// between: environment, domain, grants, user, groups, allowed and denied addresses, customers,
    /// delegated domains, ceiling, limits; and then a line for each route rule.
    pub fn parse(text: &str) -> Result<Self, UnreadableRow> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let environment = EnvironmentName::from_stored(line());
        let domain = DomainName::parse(line())?;
        let grants = grants(line())?;
        let user = match uids(line())?.as_slice() {
            [] => None,
            [uid] => Some(*uid),
            [_, ..] => return Err(UnreadableRow::Uid),
        };
        let groups = uids(line())?;
        let addresses = AddressRules { allowed: networks(line())?, denied: networks(line())? };
        let customers = Customers::parse(&words(line()))
            .map_err(|(_, error)| UnreadableRow::Customers(error))?;
        let delegation = delegation(line(), line())?;
        let limits = limits(line())?;
        let rules: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let route_rules =
            RouteRules::parse(&rules).map_err(|(_, error)| UnreadableRow::RouteRules(error))?;
        Ok(Self {
            environment,
            domain,
            user,
            grants,
            groups,
            route_rules,
            addresses,
            customers,
            delegation,
            limits,
        })
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().collect()
}

/// Grants with blanks between.
pub fn grants(line: &str) -> Result<Grants, UnreadableRow> {
    Grants::parse(&words(line)).map_err(|(_, error)| UnreadableRow::Grants(error))
}

/// Numbers with blanks between.
pub fn uids(line: &str) -> Result<Vec<i64>, UnreadableRow> {
    let numbers = line.split_ascii_whitespace().map(str::parse);
    numbers.collect::<Result<_, _>>().or(Err(UnreadableRow::Uid))
}

/// Limits with blanks between.
pub fn limits(line: &str) -> Result<Limits, UnreadableRow> {
    Limits::parse(&words(line)).map_err(|(_, error)| UnreadableRow::Limits(error))
}

fn networks(line: &str) -> Result<Networks, UnreadableRow> {
    Networks::parse(&words(line)).map_err(|(_, error)| UnreadableRow::Addresses(error))
}

fn delegation(domains: &str, ceiling: &str) -> Result<Option<Delegation>, UnreadableRow> {
    let ceiling = grants(ceiling)?;
    let domains = words(domains);
    // a ceiling alone is not as good as no bound at all
    if domains.is_empty() && ceiling.is_empty() {
        return Ok(None);
    }
    let delegation = Delegation::new(&domains, ceiling);
    delegation.map(Some).map_err(|(_, error)| UnreadableRow::Delegation(error))
}

#[cfg(test)]
mod tests;
