//! Environments, and what they put into tokens.

use thiserror::Error;

use crate::model::{
    name::EnvironmentName,
    record::Record,
    text::{DisplayName, Prose},
};

const TAG_BYTES_MAX: usize = 7;

/// A part of the world that a key works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Never changes.
    pub name: EnvironmentName,
    /// What new tokens show of it.
    pub tag: EnvironmentTag,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// Its history in short.
    pub record: Record,
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
