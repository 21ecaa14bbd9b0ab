//! Why a decision comes out as it does, and what a key may do in all.

use std::collections::HashMap;

use crate::{
    decide::{Ask, CHECKS, Check, Decision, Finding, Plane, Question, Reason, Subject},
    model::{
        permission::{Grant, Grants},
        route::Path,
        shared::GroupView,
        time::Timestamp,
        view::{KeyView, Profile},
    },
};

/// How many effective permissions are listed at most.
const EFFECTIVE_MAX: usize = 1000;

/// What each check of a decision comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// In the order of the decision.
    pub checks: Vec<Explained>,
    /// What is decided.
    pub decision: Decision,
    /// The permission that is needed, if any is known.
    pub needed: Option<Box<str>>,
}

/// What one check comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Which one.
    pub check: Check,
    /// What it comes to.
    pub finding: Finding,
    /// What is compared, for people.
    pub detail: String,
}

/// Says of each check of [`decide`](super::decide) what it comes to, also after the first that
/// fails.
pub fn explain(subject: Subject<'_>, question: &Question<'_>, now: Timestamp) -> Explanation {
    let decision = super::decide(subject, question, now);
    let needed = needed(subject, question);
    let (key, secret_end) = match subject {
        Subject::Known { key, secret_end } => (key, secret_end),
        Subject::Missing => return unknown(Reason::KeyMissing, "no key was given"),
        Subject::Malformed => {
            return unknown(Reason::KeyMalformed, "its form or checksum is wrong");
        }
        Subject::Several => {
            return unknown(Reason::KeyAmbiguous, "more than one key was given");
        }
        Subject::Throttled => {
            return unknown(Reason::FailuresThrottled, "too many tries from there have failed");
        }
        Subject::Unknown => return unknown(Reason::KeyUnknown, "no key that is known"),
    };
    let explained = |check: Check| Explained {
        check,
        finding: check.find(key, secret_end, question, now),
        detail: detail(check, key, question, needed.as_deref()),
    };
    let checks = CHECKS.into_iter().chain([Check::Limits]).map(explained).collect();
    Explanation { checks, decision, needed }
}

impl Explanation {
    /// Says what the limits came to, which were looked at since all else held.
    pub fn add_limits(&mut self, finding: Finding, detail: String) {
        if let Some(explained) = self.checks.last_mut() {
            (explained.finding, explained.detail) = (finding, detail);
        }
        if let Finding::Failed(reason) = finding {
            self.decision = Decision::Deny(reason);
        }
    }
}

/// Nothing more can be said without a key.
fn unknown(reason: Reason, detail: &str) -> Explanation {
    let finding = Finding::Failed(reason);
    let checks = vec![Explained { check: Check::Key, finding, detail: detail.into() }];
    Explanation { checks, decision: Decision::Deny(reason), needed: None }
}

fn needed(subject: Subject<'_>, question: &Question<'_>) -> Option<Box<str>> {
    let (Subject::Known { key, .. }, Ask::Access(access)) = (subject, &question.ask) else {
        return None;
    };
    if let Some(permission) = access.permission {
        return Some(permission.as_str().into());
    }
    let path = Path::parse(access.route).ok()?;
    let domain = key.profile.domain.facts.latest();
    domain.route_map.permission(access.method, path).map(|needed| needed.as_str().into())
}

fn detail(check: Check, key: &KeyView, question: &Question<'_>, needed: Option<&str>) -> String {
    let profile = &*key.profile;
    let access = match question.ask {
        Ask::Authentication => None,
        Ask::Access(access) => Some(access),
    };
    match check {
        Check::Key => format!("{} of domain {}", key.id, profile.domain.name),
        Check::KeyLive if key.active => "active".into(),
        Check::KeyLive => "deactivated or revoked".into(),
        Check::User => match &profile.user {
            None => "acts for nobody".into(),
            Some(user) => format!("acts for {}", user.facts.latest().id),
        },
        Check::Domain => profile.domain.name.to_string(),
        Check::Environment => match question.plane {
            Plane::Data(asked) => format!("is of {}, asked for {asked}", key.profile.environment),
            Plane::Admin | Plane::Holder => format!("is of {}", key.profile.environment),
        },
        Check::Address => match question.client {
            None => "no client address was given".into(),
            Some(client) => format!("asked for {client}"),
        },
        Check::Customer => match access.map(|access| access.customer) {
            None | Some("") => "no customer was named".into(),
            Some(customer) => format!("asked for {customer}"),
        },
        Check::Route => match access {
            None => "no route was asked for".into(),
            Some(access) if Path::parse(access.route).is_err() && !access.route.is_empty() => {
                "the path has two readings".into()
            }
            Some(access) => format!("asked for {:?} {:?}", access.method, access.route),
        },
        Check::Permission => match (access, needed) {
            (None, _) => "no permission was asked for".into(),
            (Some(_), None) => "the route map does not have this route".into(),
            (Some(_), Some(needed)) => format!("needs {needed}"),
        },
        Check::Limits => "looked at where decisions are made".into(),
    }
}

/// Something that a key may do, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// What it may do.
    pub grant: Grant,
    /// What gives it.
    pub sources: Vec<Source>,
}

/// Where a grant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What kind of thing.
    pub kind: SourceKind,
    /// The name of the group or the id of the user; empty for the key itself.
    pub name: Box<str>,
    /// The grant that it gives.
    pub grant: Box<str>,
}

/// What kind of thing gives a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The key itself.
    Direct,
    /// A group of the key.
    Group,
    /// The user itself.
    User,
    /// A group of the user.
    UserGroup,
}

/// What keys of a profile may do in all: what they are granted, and of that what their user may.
#[derive(Clone, Debug, Default)]
pub struct EffectivePermissions {
    /// Up to a bound.
    pub permissions: Vec<Effective>,
    /// Whether there are more.
    pub truncated: bool,
}

/// Lists what keys of a profile may do in all.
pub fn effective(profile: &Profile) -> EffectivePermissions {
    let own =
        sources(&profile.grants, &profile.groups, "", [SourceKind::Direct, SourceKind::Group]);
    let mut list = List::default();
    let Some(user) = &profile.user else {
        return list.with_all(&own);
    };
    let facts = user.facts.latest();
    let kinds = [SourceKind::User, SourceKind::UserGroup];
    let users = sources(&facts.grants, &facts.groups, &facts.id, kinds);
    if !profile.has_grants() {
        return list.with_all(&users);
    }
    for (own_grant, own_source) in &own {
        for (user_grant, user_source) in &users {
            if list.found.truncated {
                return list.found;
            }
            if let Some(both) = own_grant.meet(user_grant) {
                list.add(both, &[own_source, user_source]);
            }
        }
    }
    list.found
}

fn sources(
    grants: &Grants,
    groups: &[std::sync::Arc<GroupView>],
    name: &str,
    [direct, by_group]: [SourceKind; 2],
) -> Vec<(Grant, Source)> {
    let source = |kind, name: &str, grant: &Grant| {
        (grant.clone(), Source { kind, name: name.into(), grant: grant.as_str().into() })
    };
    let mut found: Vec<_> =
        grants.as_slice().iter().map(|grant| source(direct, name, grant)).collect();
    for group in groups {
        let facts = group.facts.latest();
        let grants = facts.grants.as_slice().iter();
        found.extend(grants.map(|grant| source(by_group, &facts.name, grant)));
    }
    found
}

/// A list in which every grant is once, with all of its sources.
#[derive(Default)]
struct List {
    found: EffectivePermissions,
    places: HashMap<Grant, usize>,
}

impl List {
    fn with_all(mut self, granted: &[(Grant, Source)]) -> EffectivePermissions {
        for (grant, source) in granted {
            self.add(grant.clone(), &[source]);
        }
        self.found
    }

    fn add(&mut self, grant: Grant, sources: &[&Source]) {
        let permissions = &mut self.found.permissions;
        let place = *self.places.entry(grant).or_insert_with_key(|grant| {
            permissions.push(Effective { grant: grant.clone(), sources: Vec::new() });
            permissions.len() - 1
        });
        if permissions.len() > EFFECTIVE_MAX {
            permissions.truncate(EFFECTIVE_MAX);
            self.found.truncated = true;
        }
        if let Some(effective) = permissions.get_mut(place) {
            for source in sources {
                if !effective.sources.contains(source) {
                    effective.sources.push((*source).clone());
                }
            }
        }
    }
}
