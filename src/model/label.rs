//! Labels: names and values that operators put on keys.

use std::collections::BTreeMap;

use thiserror::Error;

const LABELS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 63;
const VALUE_CHARS_MAX: usize = 255;
/// Of all names and values of a key: every answer about it repeats them.
const BYTES_MAX: usize = 4096;

/// The labels of a key, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(BTreeMap<Box<str>, Box<str>>);

/// Labels that do not keep to their bounds.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidLabels {
    /// More than a key takes.
    #[error("must be {LABELS_MAX} labels at most, are {0}")]
    TooMany(usize),
    /// A name of another form.
    #[error(
        "the name {0:?} must be 1 to 63 characters of a-z, 0-9, -, _, . and /, beginning with a letter"
    )]
    Name(Box<str>),
    /// A value that is too long or would garble a terminal.
    #[error("the value of {0:?} must be 255 characters at most, without control characters")]
    Value(Box<str>),
    /// More text than answers should carry.
    #[error("must have {BYTES_MAX} bytes of names and values at most, have {0}")]
    TooLong(usize),
    /// One name twice, where the source allows that.
    #[error("the name {0:?} is given twice")]
    Duplicate(Box<str>),
}

impl Labels {
    /// Checks number, names and values.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidLabels> {
        let mut labels: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
        for (name, value) in pairs {
            if !is_name(name) {
                return Err(InvalidLabels::Name(shortened(name)));
            }
            if value.chars().count() > VALUE_CHARS_MAX || value.chars().any(char::is_control) {
                return Err(InvalidLabels::Value(name.into()));
            }
            if labels.insert(Box::from(name), Box::from(value)).is_some() {
                return Err(InvalidLabels::Duplicate(name.into()));
            }
        }
        if labels.len() > LABELS_MAX {
            return Err(InvalidLabels::TooMany(labels.len()));
        }
        let bytes = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > BYTES_MAX {
            return Err(InvalidLabels::TooLong(bytes));
        }
        Ok(Self(labels))
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_name(text: &str) -> bool {
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_./".contains(&byte);
    begins_well && text.len() <= NAME_BYTES_MAX && text.bytes().all(inner)
}

/// Enough of a refused text to recognise it in an error.
fn shortened(text: &str) -> Box<str> {
    text.chars().take(NAME_BYTES_MAX).collect::<String>().into()
}
