//! Users: whom keys act for.

use std::fmt;

use thiserror::Error;

use crate::model::{
    group::Groups,
    limit::Limits,
    name::DomainName,
    permission::Grants,
    record::Record,
    text::{DisplayName, Prose},
};

const ID_BYTES_MAX: usize = 128;

/// The operators' own id for a user, unique in its domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Box<str>);

/// A text that cannot be the id of a user.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to {ID_BYTES_MAX} characters of a-z, A-Z, 0-9, ., _, @, +, : and -")]
pub struct InvalidUserId;

impl UserId {
    /// Checks the form of an id.
    pub fn parse(text: &str) -> Result<Self, InvalidUserId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+:-".contains(&byte);
        let fits = (1..=ID_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(plain) { Ok(Self(text.into())) } else { Err(InvalidUserId) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// A human being.
    Person,
    /// A program.
    Service,
}

/// A user of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Given by the store and never twice; 0 before that.
    pub uid: i64,
    /// The domain that it belongs to; set at creation.
    pub domain: DomainName,
    /// Never changes.
    pub id: UserId,
    /// Set at creation.
    pub kind: UserKind,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What it may do.
    pub grants: Grants,
    /// What it may do besides.
    pub groups: Groups,
    /// What its keys share.
    pub limits: Limits,
    /// Whether all its keys are denied.
    pub disabled: bool,
    /// Its history in short.
    pub record: Record,
}

/// A user as a key has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRef {
    /// The user.
    pub uid: i64,
    /// Its id.
    pub id: UserId,
}

#[cfg(test)]
mod tests;
