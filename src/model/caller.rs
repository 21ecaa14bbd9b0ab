//! Who asks for an admin operation, and what that needs.

use std::{fmt, sync::Arc};

use crate::model::{
    environment::DomainName, id::KeyId, permission::Permission, secret::Digest, time::Timestamp,
    view::Profile,
};

/// Who did something, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An admin key.
    Key(KeyId),
    /// `keyward bootstrap` or the first start: whoever has the database.
    Bootstrap,
}

/// A text that names no actor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be the id of a key, or `bootstrap`")]
pub struct InvalidActor;

impl Actor {
    /// Reads the stored form.
    pub fn parse(text: &str) -> Result<Self, InvalidActor> {
        match text {
            "bootstrap" => Ok(Self::Bootstrap),
            _ => KeyId::parse(text).map(Self::Key).or(Err(InvalidActor)),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Bootstrap => f.write_str("bootstrap"),
        }
    }
}

/// An admin whose key was found good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The admin key.
    pub key: KeyId,
    /// The token that it presented.
    pub digest: Digest,
    /// When it ends.
    pub expire: Timestamp,
    /// What it may do.
    pub profile: Arc<Profile>,
}

/// The groups of admin calls that are permitted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Get, list, look up.
    Read,
    /// Create, update, regenerate, activate, deactivate.
    Write,
    /// Revoke.
    Revoke,
    /// Delete, undelete.
    Delete,
}

impl Action {
    /// The permission that this needs on an ordinary key and on an admin key.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Read => ("keyward.keys.read", "keyward.admins.read"),
            Self::Write => ("keyward.keys.write", "keyward.admins.write"),
            Self::Revoke => ("keyward.keys.revoke", "keyward.admins.revoke"),
            Self::Delete => ("keyward.keys.delete", "keyward.admins.delete"),
        }
    }

    /// The permission that this needs on a key of `domain`.
    pub fn permission(self, domain: &DomainName) -> &'static str {
        let (keys, admins) = self.names();
        if domain.is_of_admins() { admins } else { keys }
    }
}

impl Caller {
    /// Whether the caller may do this to keys of a domain.
    pub fn may(&self, action: Action, domain: &DomainName) -> bool {
        let needed = Permission::parse(action.permission(domain));
        needed.is_ok_and(|needed| self.profile.grants.cover(needed))
    }

    /// Which kinds of keys the caller may do this to.
    pub fn reach(&self, action: Action) -> Reach {
        let (keys, admins) = action.names();
        let may = |text| Permission::parse(text).is_ok_and(|p| self.profile.grants.cover(p));
        Reach { keys: may(keys), admins: may(admins) }
    }
}

/// Which kinds of keys a caller may do something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Ordinary keys.
    pub keys: bool,
    /// Admin keys.
    pub admins: bool,
}
