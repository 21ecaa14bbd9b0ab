//! Texts for people, bounded.

use thiserror::Error;

const DISPLAY_NAME_CHARS_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 1000;
const REQUEST_ID_BYTES_MAX: usize = 64;
const SEARCH_CHARS_MAX: usize = 100;

/// A text that does not keep to its field's bounds.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidText {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field takes.
    #[error("must be {max} characters at most, has {has}")]
    TooLong {
        /// The bound.
        max: usize,
        /// What was given.
        has: usize,
    },
    /// A character that would garble a terminal or a log.
    #[error("must have no control characters")]
    ControlCharacter,
    /// White space that nobody sees.
    #[error("must not begin or end with white space")]
    Untrimmed,
    /// Not visible ASCII.
    #[error("must be 1 to 64 visible ASCII characters")]
    NotVisibleAscii,
}

fn check(text: &str, chars_max: usize, allowed: &[char]) -> Result<(), InvalidText> {
    let has = text.chars().count();
    if has > chars_max {
        return Err(InvalidText::TooLong { max: chars_max, has });
    }
    if text.chars().any(|char| char.is_control() && !allowed.contains(&char)) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(())
}

/// What people call a key: one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(Box<str>);

impl DisplayName {
    /// 1 to 100 characters, no control characters, no white space at either end.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        check(text, DISPLAY_NAME_CHARS_MAX, &[])?;
        if text.trim() == text { Ok(Self(text.into())) } else { Err(InvalidText::Untrimmed) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people say of something: lines of text, perhaps none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prose(Box<str>);

impl Prose {
    /// At most 1000 characters; no control characters but line breaks and tabs.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check(text, DESCRIPTION_CHARS_MAX, &['\n', '\r', '\t'])?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a list is searched for: a part of a name or hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchText(Box<str>);

impl SearchText {
    /// 1 to 100 characters, no control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        check(text, SEARCH_CHARS_MAX, &[])?;
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a caller names a request with, so that a retry of it is recognised (AIP-155).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// 1 to 64 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && !text.is_empty() && text.len() <= REQUEST_ID_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(InvalidText::NotVisibleAscii)
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
