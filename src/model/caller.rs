//! Who asks for an admin operation, and what that needs.

use std::{fmt, sync::Arc};

use crate::model::{
    id::KeyId, name::DomainName, permission::Permission, secret::Digest, time::Timestamp,
    view::Profile,
};

/// Who did something, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An admin key; or the key itself, of its own accord.
    Key(KeyId),
    /// `keyward bootstrap` or the first start: whoever has the database.
    Bootstrap,
    /// Keyward itself, of its own accord.
    Keyward,
}

/// A text that names no actor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be the id of a key, `bootstrap` or `keyward`")]
pub struct InvalidActor;

impl Actor {
    /// Reads the stored form.
    pub fn parse(text: &str) -> Result<Self, InvalidActor> {
        match text {
            "bootstrap" => Ok(Self::Bootstrap),
            "keyward" => Ok(Self::Keyward),
            _ => KeyId::parse(text).map(Self::Key).or(Err(InvalidActor)),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Bootstrap => f.write_str("bootstrap"),
            Self::Keyward => f.write_str("keyward"),
        }
    }
}

/// Someone whose key was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key.
    pub key: KeyId,
    /// The token that it presented, in the forms in which that may be stored: another replica may
    /// just have replaced one by another.
    pub digests: Vec<Digest>,
    /// When it ends.
    pub expire: Timestamp,
    /// What it may do.
    pub profile: Arc<Profile>,
}

/// What admin calls are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// Ordinary keys.
    Keys,
    /// Admin keys.
    Admins,
    /// Domains and their catalogues.
    Domains,
    /// Environments.
    Environments,
    /// Users.
    Users,
    /// Permission groups.
    Groups,
    /// Route maps.
    Routes,
    /// Templates.
    Templates,
    /// Customers.
    Customers,
    /// The audit.
    Audit,
    /// What was decided.
    Decisions,
    /// How much keys are used.
    Usage,
    /// Jobs, whatever they do.
    Jobs,
}

/// The groups of admin calls that are permitted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Get, list, look up, explain.
    Read,
    /// Create, update, regenerate, stop for a while, let go on.
    Write,
    /// Revoke.
    Revoke,
    /// Delete, undelete.
    Delete,
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// What it is about.
    pub noun: Noun,
    /// What it does.
    pub action: Action,
}

impl Right {
    /// What it takes to do this to keys of a domain.
    pub fn on_keys(action: Action, domain: &DomainName) -> Self {
        let noun = if domain.is_of_admins() { Noun::Admins } else { Noun::Keys };
        Self { noun, action }
    }
}

/// The permission that grants it, e.g. `keyward.keys.read`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self.noun {
            Noun::Keys => "keys",
            Noun::Admins => "admins",
            Noun::Domains => "domains",
            Noun::Environments => "environments",
            Noun::Users => "users",
            Noun::Groups => "groups",
            Noun::Routes => "routes",
            Noun::Templates => "templates",
            Noun::Customers => "customers",
            Noun::Audit => "audit",
            Noun::Decisions => "decisions",
            Noun::Usage => "usage",
            Noun::Jobs => "jobs",
        };
        let action = match self.action {
            Action::Read => "read",
            Action::Write => "write",
            Action::Revoke => "revoke",
            Action::Delete => "delete",
        };
        write!(f, "keyward.{noun}.{action}")
    }
}

impl Caller {
    /// Whether the caller has a right, somewhere.
    pub fn may(&self, right: Right) -> bool {
        let needed = right.to_string();
        Permission::parse(&needed).is_ok_and(|needed| self.profile.grants.cover(needed))
    }

    /// Whether the caller's rights reach a domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        self.profile.delegation.as_ref().is_none_or(|bound| bound.reaches(domain))
    }

    /// Which keys the caller may do this to.
    pub fn reach(&self, action: Action) -> Reach {
        let keys = self.may(Right { noun: Noun::Keys, action });
        let admins = self.may(Right { noun: Noun::Admins, action });
        Reach { keys, admins, domains: self.domains() }
    }

    /// The only domains that the caller reaches; `None`: it reaches all.
    pub fn domains(&self) -> Option<Vec<DomainName>> {
        self.profile.delegation.as_ref().map(|bound| bound.domains().to_vec())
    }
}

/// Which keys a caller may do something to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Ordinary keys.
    pub keys: bool,
    /// Admin keys.
    pub admins: bool,
    /// Only those of these domains, if given.
    pub domains: Option<Vec<DomainName>>,
}
