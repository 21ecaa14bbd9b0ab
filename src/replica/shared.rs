//! What keys share: profiles, labels and names by the text that they were read from, and the cells
//! of domains, groups and users, which change under all of their keys at once.

use std::{collections::HashMap, sync::Arc};

use crate::{
    model::{
        address::AddressRules,
        customer::Customers,
        label::Labels,
        limit::Limits,
        meter::{Metered, Owner},
        name::{DomainName, EnvironmentName},
        permission::Grants,
        reservation::Tag,
        route::RouteRules,
        route_map::RouteMap,
        shared::{
            Cell, DomainFacts, DomainRow, DomainView, GroupFacts, GroupRow, GroupView, UserFacts,
            UserRow, UserView,
        },
        time::BootTime,
        view::{Profile, StoredProfile, UnreadableRow, grants, limits, uids},
    },
    replica::Present,
};

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) profiles: HashMap<Box<str>, Arc<Profile>>,
    pub(super) labels: HashMap<Box<str>, Arc<Labels>>,
    domains: HashMap<DomainName, Arc<DomainView>>,
    groups: HashMap<i64, Arc<GroupView>>,
    users: HashMap<i64, Arc<UserView>>,
    /// What began to change and has not settled.
    changing: Vec<Changing>,
    /// How many profiles and labels there may be before unused ones are looked for.
    sweep_at: usize,
}

#[derive(Debug)]
enum Changing {
    Domain(Arc<DomainView>),
    Group(Arc<GroupView>),
    User(Arc<UserView>),
}

impl Shared {
    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.groups.is_empty() && self.users.is_empty()
    }

    pub(super) fn profile(&mut self, text: &str) -> Result<Arc<Profile>, UnreadableRow> {
        if let Some(profile) = self.profiles.get(text) {
            return Ok(Arc::clone(profile));
        }
        let stored = StoredProfile::parse(text)?;
        let profile = Arc::new(Profile {
            environment: stored.environment,
            domain: self.domain(&stored.domain),
            user: stored.user.map(|uid| self.user(uid)),
            grants: stored.grants,
            groups: stored.groups.into_iter().map(|uid| self.group(uid)).collect(),
            route_rules: stored.route_rules,
            addresses: stored.addresses,
            customers: stored.customers,
            delegation: stored.delegation,
            limits: stored.limits,
        });
        self.profiles.insert(text.into(), Arc::clone(&profile));
        Ok(profile)
    }

    /// The profile of a key whose own cannot be read.
    pub(super) fn no_profile(&mut self) -> Arc<Profile> {
        Arc::new(Profile {
            environment: EnvironmentName::from_stored(""),
            domain: self.domain(&DomainName::from_stored(DomainName::DEFAULT)),
            user: None,
            grants: Grants::default(),
            groups: Box::default(),
            route_rules: RouteRules::default(),
            addresses: AddressRules::default(),
            customers: Customers::default(),
            delegation: None,
            limits: Limits::default(),
        })
    }

    /// The cell of a domain. One that is not known yet permits nothing; so it is below.
    fn domain(&mut self, name: &DomainName) -> Arc<DomainView> {
        if let Some(view) = self.domains.get(name) {
            return Arc::clone(view);
        }
        let facts = Cell::new(DomainFacts::default());
        let view = Arc::new(DomainView { name: name.clone(), facts });
        self.domains.insert(name.clone(), Arc::clone(&view));
        view
    }

    fn group(&mut self, uid: i64) -> Arc<GroupView> {
        let new = || Arc::new(GroupView { facts: Cell::new(GroupFacts::default()) });
        Arc::clone(self.groups.entry(uid).or_insert_with(new))
    }

    fn user(&mut self, uid: i64) -> Arc<UserView> {
        let new = || Arc::new(UserView { facts: Cell::new(UserFacts::default()) });
        Arc::clone(self.users.entry(uid).or_insert_with(new))
    }

    pub(super) fn put_domain(
        &mut self,
        row: &DomainRow<'_>,
        now: BootTime,
    ) -> Result<(), UnreadableRow> {
        let name = DomainName::parse(row.name)?;
        let lines: Vec<&str> = row.route_map.lines().collect();
        let route_map = RouteMap::parse(&lines);
        let route_map = route_map.map_err(|(_, error)| UnreadableRow::RouteMap(error));
        let read = route_map.and_then(|route_map| Ok((route_map, limits(row.limits)?)));
        let before = self.domain(&name).facts.limits();
        let (facts, outcome) = match read {
            Ok((route_map, limits)) => {
                let place = (Owner::Domain(name.clone()), Tag::of(&name));
                let limits = metered(place, limits, before.as_ref(), now);
                (DomainFacts { enabled: row.enabled, route_map, limits }, Ok(()))
            }
            Err(error) => (DomainFacts::default(), Err(error)),
        };
        self.change_domain(&name, facts);
        outcome
    }

    fn change_domain(&mut self, name: &DomainName, facts: DomainFacts) {
        let view = self.domain(name);
        view.facts.change(facts);
        self.changing.push(Changing::Domain(view));
    }

    pub(super) fn put_group(&mut self, row: &GroupRow<'_>) -> Result<(), UnreadableRow> {
        let (grants, outcome) = kept(grants(row.permissions));
        self.change_group(row.uid, GroupFacts { name: row.name.into(), grants });
        outcome
    }

    fn change_group(&mut self, uid: i64, facts: GroupFacts) {
        let view = self.group(uid);
        view.facts.change(facts);
        self.changing.push(Changing::Group(view));
    }

    /// Its cell stays: profiles lead to it, and another history may have the group.
    pub(super) fn remove_group(&mut self, uid: i64) {
        if self.groups.contains_key(&uid) {
            self.change_group(uid, GroupFacts::default());
        }
    }

    pub(super) fn put_user(
        &mut self,
        row: &UserRow<'_>,
        now: BootTime,
    ) -> Result<(), UnreadableRow> {
        let read = grants(row.permissions)
            .and_then(|grants| Ok((grants, uids(row.groups)?, limits(row.limits)?)));
        let ((grants, groups, limits), outcome) = kept(read);
        let tag = Tag::of(&DomainName::from_stored(row.domain));
        let before = self.user(row.uid).facts.limits();
        let facts = UserFacts {
            id: row.id.into(),
            kind: row.kind,
            enabled: row.enabled && outcome.is_ok(),
            grants,
            groups: groups.into_iter().map(|uid| self.group(uid)).collect(),
            limits: metered((Owner::User(row.uid), tag), limits, before.as_ref(), now),
        };
        self.change_user(row.uid, facts);
        outcome
    }

    fn change_user(&mut self, uid: i64, facts: UserFacts) {
        let view = self.user(uid);
        view.facts.change(facts);
        self.changing.push(Changing::User(view));
    }

    /// What was used of the limits of a user or a domain.
    pub(super) fn metered(&self, owner: &Owner) -> Option<Arc<Metered>> {
        match owner {
            Owner::User(uid) => self.users.get(uid)?.facts.limits(),
            Owner::Domain(name) => self.domains.get(name)?.facts.limits(),
            Owner::Key(_) | Owner::Customer(..) => None,
        }
    }

    pub(super) fn remove_user(&mut self, uid: i64) {
        if self.users.contains_key(&uid) {
            self.change_user(uid, UserFacts::default());
        }
    }

    pub(super) fn retain(&mut self, present: &Present) {
        let gone = |name: &&DomainName| !present.domains.contains(name.as_str());
        let domains: Vec<DomainName> = self.domains.keys().filter(gone).cloned().collect();
        for name in domains {
            self.change_domain(&name, DomainFacts::default());
        }
        let gone = |uid: &&i64| !present.groups.contains(uid);
        let groups: Vec<i64> = self.groups.keys().filter(gone).copied().collect();
        for uid in groups {
            self.remove_group(uid);
        }
        let gone = |uid: &&i64| !present.users.contains(uid);
        let users: Vec<i64> = self.users.keys().filter(gone).copied().collect();
        for uid in users {
            self.remove_user(uid);
        }
    }

    /// How many groups and users are known.
    #[cfg(test)]
    pub(super) fn known(&self) -> (usize, usize) {
        (self.groups.len(), self.users.len())
    }

    /// All that was changing has changed.
    pub(super) fn settle(&mut self) {
        for changing in self.changing.drain(..) {
            match changing {
                Changing::Domain(view) => view.facts.settle(),
                Changing::Group(view) => view.facts.settle(),
                Changing::User(view) => view.facts.settle(),
            }
        }
    }

    pub(super) fn labels(&mut self, text: &str) -> Result<Arc<Labels>, UnreadableRow> {
        if let Some(labels) = self.labels.get(text) {
            return Ok(Arc::clone(labels));
        }
        let pairs = text.lines().map(|line| line.split_once('=').unwrap_or((line, "")));
        let labels = Arc::new(Labels::parse(pairs)?);
        self.labels.insert(text.into(), Arc::clone(&labels));
        Ok(labels)
    }

    /// Drops what no key uses any more, each time that there is twice as much as after the last
    /// time: so that it costs little, and waste stays below what is in use.
    pub(super) fn sweep(&mut self) {
        const KEPT_MIN: usize = 1024;
        if self.profiles.len() + self.labels.len() < self.sweep_at.max(KEPT_MIN) {
            return;
        }
        self.profiles.retain(|_, profile| Arc::strong_count(profile) > 1);
        self.labels.retain(|_, labels| Arc::strong_count(labels) > 1);
        let is_there = |facts: &UserFacts| !facts.id.is_empty();
        self.users.retain(|_, user| Arc::strong_count(user) > 1 || user.facts.every(is_there));
        let is_there = |facts: &GroupFacts| !facts.name.is_empty();
        self.groups.retain(|_, group| Arc::strong_count(group) > 1 || group.facts.every(is_there));
        self.sweep_at = 2 * (self.profiles.len() + self.labels.len());
    }
}

/// Limits with their state, which is the one of before as far as they are the same; `None` without
/// limits.
pub(super) fn metered(
    place: (Owner, Tag),
    limits: Limits,
    before: Option<&Arc<Metered>>,
    now: BootTime,
) -> Option<Arc<Metered>> {
    (!limits.is_empty()).then(|| Metered::new(place, limits, before, now))
}

/// What was read, or nothing of it.
fn kept<T: Default>(read: Result<T, UnreadableRow>) -> (T, Result<(), UnreadableRow>) {
    match read {
        Ok(value) => (value, Ok(())),
        Err(error) => (T::default(), Err(error)),
    }
}
