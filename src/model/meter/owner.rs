//! What has limits.

use std::fmt;

use crate::model::{customer::CustomerId, id::KeyId, name::DomainName};

/// What has limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A key.
    Key(KeyId),
    /// A user, by its number.
    User(i64),
    /// A customer of a domain.
    Customer(DomainName, CustomerId),
    /// A domain.
    Domain(DomainName),
}

/// Which kind of thing has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The key.
    Key,
    /// Its user.
    User,
    /// The customer of the request.
    Customer,
    /// The key's domain.
    Domain,
}

impl Owner {
    /// Its kind.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Key(_) => Scope::Key,
            Self::User(_) => Scope::User,
            Self::Customer(..) => Scope::Customer,
            Self::Domain(_) => Scope::Domain,
        }
    }

    /// Reads the stored form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("key", id) => KeyId::parse(id).ok().map(Self::Key),
            ("user", uid) => uid.parse().ok().map(Self::User),
            ("customer", rest) => {
                let (domain, id) = rest.split_once('/')?;
                let domain = DomainName::parse(domain).ok()?;
                CustomerId::parse(id).ok().map(|id| Self::Customer(domain, id))
            }
            ("domain", name) => DomainName::parse(name).ok().map(Self::Domain),
            _ => None,
        }
    }
}

/// The stored form.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key/{id}"),
            Self::User(uid) => write!(f, "user/{uid}"),
            Self::Customer(domain, id) => write!(f, "customer/{domain}/{id}"),
            Self::Domain(name) => write!(f, "domain/{name}"),
        }
    }
}
