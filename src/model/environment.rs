//! Names of environments and domains, and what an environment puts into tokens.

use std::{fmt, sync::Arc};

use thiserror::Error;

const NAME_BYTES_MAX: usize = 63;
const TAG_BYTES_MAX: usize = 7;

/// A text that cannot name an environment or a domain.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 63 characters of a-z, 0-9 and -, beginning with a letter")]
pub struct InvalidName;

fn parse_name(text: &str) -> Result<Arc<str>, InvalidName> {
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if begins_well && text.len() <= NAME_BYTES_MAX && text.bytes().all(word) {
        Ok(Arc::from(text))
    } else {
        Err(InvalidName)
    }
}

/// The name of an environment, e.g. `production`. A key works in exactly one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentName(Arc<str>);

/// The name of a domain: the tenant that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Arc<str>);

impl EnvironmentName {
    /// The environment of admin keys.
    pub const OF_ADMINS: &'static str = "production";

    /// Checks the form of a name; whether the environment exists is for the store to say.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        parse_name(text).map(Self)
    }

    /// From stored text.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DomainName {
    /// The domain of keys for which none is named.
    pub const DEFAULT: &'static str = "default";
    /// The domain of admin keys.
    pub const OF_ADMINS: &'static str = "keyward";

    /// Checks the form of a name; whether the domain exists is for the store to say.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        parse_name(text).map(Self)
    }

    /// From stored text.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether keys of this domain are admin keys: they open the admin services and nothing else.
    pub fn is_of_admins(&self) -> bool {
        &*self.0 == Self::OF_ADMINS
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of a token that tells people and secret scanners its environment, e.g. `prod`.
/// Only a hint: the environment that is stored with the key decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentTag(Box<str>);

/// A text that cannot be a tag.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 7 characters of a-z and 0-9")]
pub struct InvalidTag;

impl EnvironmentTag {
    /// Checks the form of a tag.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        if is_tag(text) { Ok(Self(Box::from(text))) } else { Err(InvalidTag) }
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text has the form of a tag, or of a brand, which is the same.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.len() <= TAG_BYTES_MAX && text.bytes().all(word)
}
