//! The key as a decision sees it: compact, compiled, shared.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use thiserror::Error;

use crate::model::{
    environment::{DomainName, EnvironmentName, InvalidName},
    id::KeyId,
    label::{InvalidLabels, Labels},
    permission::{Grants, InvalidPermission},
    route::{InvalidRouteRule, RouteRules},
    secret::Digest,
    time::Timestamp,
};

/// What many keys have in common: a combination of domain, grants and rules. Kept once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    /// The tenant.
    pub domain: DomainName,
    /// What its keys may do.
    pub grants: Grants,
    /// Where they may do it.
    pub route_rules: RouteRules,
}

/// One key in the memory of a replica.
#[derive(Debug)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// The environment that it works in.
    pub environment: EnvironmentName,
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
    /// The token that opens it.
    pub current: Digest,
    /// The token that was replaced, and when that ends.
    pub retiring: Option<Box<(Digest, Timestamp)>>,
    /// When it was last used.
    pub last_used: LastUsed,
}

impl KeyView {
    /// Until when this token opens the key; `None` if it does not, or no longer.
    pub fn secret_end(&self, digest: &Digest) -> Option<Timestamp> {
        if *digest == self.current {
            return Some(Timestamp::DISTANT_FUTURE);
        }
        match self.retiring.as_deref() {
            Some((retiring, end)) if retiring == digest => Some(*end),
            _ => None,
        }
    }

    /// The tokens that open it, or did until lately.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.current).chain(self.retiring.as_deref().map(|(digest, _)| *digest))
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

    /// The same second in a cell of its own, for the view that takes this one's place.
    pub fn carried_over(&self) -> Self {
        Self(AtomicI64::new(self.0.load(Relaxed)))
    }
}

/// One key as the store streams it, borrowed from the row.
#[derive(Clone, Copy, Debug)]
pub struct KeyRow<'a> {
    /// Its id.
    pub id: KeyId,
    /// The environment that it works in.
    pub environment: &'a str,
    /// What [`Profile::parse`] reads.
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
}

impl Profile {
    /// Reads the text that keys with the same profile have in common: the domain on the first line,
    /// the grants on the second with blanks between them, then a line for each route rule.
    pub fn parse(text: &str) -> Result<Self, UnreadableRow> {
        let mut lines = text.split('\n');
        let domain = DomainName::parse(lines.next().unwrap_or_default())?;
        let grants: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
        let rules: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        Ok(Self {
            domain,
            grants: Grants::parse(&grants).map_err(|(_, error)| UnreadableRow::Grants(error))?,
            route_rules: RouteRules::parse(&rules)
                .map_err(|(_, error)| UnreadableRow::RouteRules(error))?,
        })
    }

    /// The profile of a key whose own cannot be read.
    pub fn nothing() -> Self {
        Self {
            domain: DomainName::from_stored(DomainName::DEFAULT),
            grants: Grants::default(),
            route_rules: RouteRules::default(),
        }
    }
}
