//! What an operator may look for in the audit, and what a refused attempt was about.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use crate::model::{
    id::KeyId, list::PageSize, name::DomainName, record::Kind, text::RequestId, time::Timestamp,
};

const FILTER_CHARS_MAX: usize = 400;

/// Whom refused attempts are put down to where too many different callers have some.
pub const OTHERS: &str = "others";

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It changed something.
    Changed,
    /// It was refused.
    Refused,
}

/// Which events a list shows. Each filter narrows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only on subjects of this kind.
    pub kind: Option<Kind>,
    /// Only on the subject of this name, as events have it.
    pub subject: Option<FilterText>,
    /// Only by this actor, as events have it.
    pub actor: Option<FilterText>,
    /// Only actions that begin so.
    pub action: Option<FilterText>,
    /// Only on what belongs to these domains.
    pub domains: Option<Vec<DomainName>>,
    /// Only with this outcome.
    pub outcome: Option<AuditOutcome>,
    /// Only from this time on.
    pub start: Option<Timestamp>,
    /// Only before this time.
    pub end: Option<Timestamp>,
    /// Only of these revisions, which only changes have.
    pub revisions: Revisions,
    /// Only of requests that their caller called so.
    pub request: Option<RequestId>,
}

/// Some revisions, from one to another, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// The first; `None`: from the beginning.
    pub min: Option<i64>,
    /// The last; `None`: to the end.
    pub max: Option<i64>,
}

/// Revisions that make no range.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must not be negative, and the first not after the last")]
pub struct InvalidRevisions;

impl Revisions {
    /// From one to another; 0 is an end that is open.
    pub fn parse(min: i64, max: i64) -> Result<Self, InvalidRevisions> {
        if min < 0 || max < 0 || (max > 0 && min > max) {
            return Err(InvalidRevisions);
        }
        Ok(Self { min: (min > 0).then_some(min), max: (max > 0).then_some(max) })
    }

    /// Whether these are all.
    pub const fn are_all(self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}

/// A text that events are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterText(Box<str>);

/// A text that no event has.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 400 characters, without control characters")]
pub struct InvalidFilterText;

impl FilterText {
    /// 1 to 400 characters, no control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidFilterText> {
        let fits = (1..=FILTER_CHARS_MAX).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidFilterText)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an event stands among all, changes and refused attempts, by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// When it was; of attempts that are counted together, when the first was.
    pub time: Timestamp,
    /// Its revision; 0 of what was refused.
    pub revision: i64,
    /// Tells apart events that are the same in both.
    pub position: i64,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// The last.
    NewestFirst,
    /// The first.
    OldestFirst,
}

/// What page of events is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPageRequest {
    /// The order.
    pub order: AuditOrder,
    /// How many.
    pub size: PageSize,
    /// The event before the page; `None`: at the start.
    pub after: Option<AuditPlace>,
}

/// What refused attempts from an address are put down to: the address itself, or of IPv6 the /64, since
/// that is what one subscriber has.
pub fn network_of(peer: IpAddr) -> IpNet {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpNet::V4(Ipv4Net::from(address)),
        IpAddr::V6(address) => {
            let first = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            Ipv6Net::new(first, 64).unwrap_or(Ipv6Net::from(first)).into()
        }
    }
}

/// Where what a refused attempt was about belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// To this domain.
    To(DomainName),
    /// To the domain that this key belongs to.
    WithKey(KeyId),
    /// To the whole installation, or nobody knows.
    Nowhere,
}

impl Belongs {
    /// What an action and its subject tell, e.g. `users.update` and `default/ida`.
    pub fn told_by(action: &str, subject: &str) -> Self {
        let kind = action.split('.').next().and_then(Kind::parse_plural);
        let domain = |text: &str| DomainName::parse(text).map_or(Self::Nowhere, Self::To);
        let before_slash = |text: &str| domain(text.split('/').next().unwrap_or_default());
        match kind {
            // a key that is to be made has no id yet; the domain stands for it
            Some(Kind::Key) => match KeyId::parse(subject) {
                Ok(id) => Self::WithKey(id),
                Err(_of_none) => domain(subject),
            },
            Some(Kind::Domain | Kind::RouteMap | Kind::Catalogue) => domain(subject),
            Some(Kind::User | Kind::Group | Kind::Customer) => before_slash(subject),
            Some(Kind::Quota) => {
                let mut words = subject.split(' ');
                match (words.next(), words.next()) {
                    (Some("key"), Some(id)) => {
                        KeyId::parse(id).map_or(Self::Nowhere, Self::WithKey)
                    }
                    (Some(_), Some(name)) => before_slash(name),
                    _ => Self::Nowhere,
                }
            }
            Some(Kind::Environment | Kind::Template | Kind::Job | Kind::Pepper) | None => {
                Self::Nowhere
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_address_or_what_one_subscriber_has() {
        for (peer, network) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(network_of(peer.parse().unwrap()).to_string(), network);
        }
    }

    #[test]
    fn an_attempt_belongs_where_its_subject_does() {
        let id = "key_00000000000000000000000000";
        let key = || Belongs::WithKey(KeyId::parse(id).unwrap());
        let red = || Belongs::To(DomainName::parse("red").unwrap());
        let quota_of_key = format!("key {id} daily");
        for (action, subject, belongs) in [
            ("keys.revoke", id, key()),
            ("keys.create", "red", red()),
            ("domains.update", "red", red()),
            ("route_maps.update", "red", red()),
            ("users.create", "red/ida", red()),
            ("groups.delete", "red/readers", red()),
            ("customers.update", "red/C/2", red()),
            ("quotas.adjust", "user red/ida daily", red()),
            ("quotas.adjust", "domain red daily", red()),
            ("quotas.adjust", &quota_of_key, key()),
            ("environments.create", "red", Belongs::Nowhere),
            ("templates.create", "red", Belongs::Nowhere),
            ("login.admin", "red", Belongs::Nowhere),
            ("users.create", "Not a domain", Belongs::Nowhere),
            ("", "", Belongs::Nowhere),
        ] {
            assert_eq!(Belongs::told_by(action, subject), belongs, "{action} {subject}");
        }
    }

    #[test]
    fn revisions_are_a_range_with_open_ends() {
        for (min, max, range) in [
            (0, 0, Ok((None, None))),
            (3, 0, Ok((Some(3), None))),
            (0, 3, Ok((None, Some(3)))),
            (3, 3, Ok((Some(3), Some(3)))),
            (4, 3, Err(InvalidRevisions)),
            (-1, 0, Err(InvalidRevisions)),
            (0, -1, Err(InvalidRevisions)),
        ] {
            assert_eq!(Revisions::parse(min, max).map(|it| (it.min, it.max)), range);
        }
    }
}
