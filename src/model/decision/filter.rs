//! Which decisions somebody wants to see.

use ipnet::IpNet;

use super::{DecisionId, Entry};
use crate::model::{audit::FilterText, id::KeyId, name::DomainName, time::Timestamp};

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was allowed.
    Allowed,
    /// It was denied.
    Denied,
}

/// Which decisions to show. Each field narrows.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// Only about keys of these domains.
    pub domains: Option<Vec<DomainName>>,
    /// Only about this key.
    pub key: Option<KeyId>,
    /// Only about keys of the user of this id.
    pub user: Option<FilterText>,
    /// Only for this customer.
    pub customer: Option<FilterText>,
    /// Only asked for this environment.
    pub environment: Option<FilterText>,
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
    /// Only denied for this reason.
    pub reason: Option<Box<str>>,
    /// Only routes that begin so.
    pub route_prefix: Option<FilterText>,
    /// Only from there.
    pub network: Option<IpNet>,
    /// Only this one.
    pub id: Option<DecisionId>,
    /// Only from this time on.
    pub start: Option<Timestamp>,
    /// Only before this time.
    pub end: Option<Timestamp>,
}

impl DecisionFilter {
    /// Whether it shows this decision.
    pub fn shows(&self, entry: &Entry<'_>) -> bool {
        let is = |wanted: &Option<FilterText>, has: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.as_str() == has)
        };
        let in_domain =
            |names: &Vec<DomainName>| names.iter().any(|name| name.as_str() == entry.domain);
        let verdict = if entry.is_allowed() { Verdict::Allowed } else { Verdict::Denied };
        let prefix = self.route_prefix.as_ref();
        self.domains.as_ref().is_none_or(in_domain)
            && self.key.is_none_or(|key| Some(key) == entry.key)
            && is(&self.user, entry.user)
            && is(&self.customer, entry.customer)
            && is(&self.environment, entry.environment)
            && self.verdict.is_none_or(|wanted| wanted == verdict)
            && self.reason.as_ref().is_none_or(|reason| **reason == *entry.reason)
            && prefix.is_none_or(|prefix| entry.route.starts_with(prefix.as_str()))
            && self.network.is_none_or(|network| {
                entry.address.is_some_and(|address| network.contains(&address))
            })
            && self.id.is_none_or(|id| id == entry.id)
            && self.start.is_none_or(|start| start <= entry.time)
            && self.end.is_none_or(|end| entry.time < end)
    }
}
