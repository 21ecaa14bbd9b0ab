//! Permissions: what a request needs and what a key is granted.

use thiserror::Error;

const GRANTS_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 200;
const WORDS_MAX: usize = 16;
const ANY_WORD: &str = "*";
const ACTION: &str = "{action}";

/// A permission as a request needs it: dotted words, no `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission<'a>(&'a str);

/// A text that is not a permission, or not a grant.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidPermission {
    /// Too long or too deep.
    #[error("must be 1 to {TEXT_BYTES_MAX} bytes and {WORDS_MAX} words at most")]
    Size,
    /// An empty word or a character that no word has.
    #[error("must be words of a-z, 0-9, - and _, joined by dots, e.g. systems.read")]
    Word,
    /// `*` beside other characters in one word.
    #[error("`*` must be a whole word, e.g. *.read")]
    PartOfWord,
    /// `public` in another place than the shipped aliases have it.
    #[error("`public` stands alone or before .read or .write")]
    Alias,
    /// One grant twice.
    #[error("is given twice")]
    Duplicate,
    /// More grants than a key takes.
    #[error("must be {GRANTS_MAX} at most")]
    TooMany,
    /// Asked of a template that does not have it.
    #[error("must be one of the template's optional permissions")]
    NotOptional,
}

impl<'a> Permission<'a> {
    /// Reads what a request needs.
    pub fn parse(text: &'a str) -> Result<Self, InvalidPermission> {
        if is_plain(text) {
            return Ok(Self(text));
        }
        check_size(text)?;
        if text.split('.').all(is_word) { Ok(Self(text)) } else { Err(InvalidPermission::Word) }
    }

    /// The permission.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A permission that is another for reading than for writing: a whole word of it may be `{action}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionPermission {
    text: Box<str>,
    read: Box<str>,
    write: Box<str>,
}

impl ActionPermission {
    /// Reads a permission in which a whole word may be `{action}`.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let with = |action| {
            let words: Vec<&str> =
                text.split('.').map(|word| if word == ACTION { action } else { word }).collect();
            words.join(".")
        };
        let (read, write) = (with("read"), with("write"));
        Permission::parse(&read)?;
        Permission::parse(&write)?;
        Ok(Self { text: text.into(), read: read.into(), write: write.into() })
    }

    /// The permission as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is needed to read: `{action}` is `read`.
    pub fn read(&self) -> Permission<'_> {
        Permission(&self.read)
    }

    /// What is needed to write: `{action}` is `write`.
    pub fn write(&self) -> Permission<'_> {
        Permission(&self.write)
    }
}

/// One permission that a key is granted, with all that is below it: `systems` covers
/// `systems.read`; `*` is any one word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    text: Box<str>,
    /// `text` with the shipped aliases replaced.
    pattern: Box<str>,
}

impl Grant {
    /// Reads a grant.
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        check_size(text)?;
        for word in text.split('.') {
            match word {
                ANY_WORD => {}
                _ if is_word(word) => {}
                _ if word.contains('*') => return Err(InvalidPermission::PartOfWord),
                _ => return Err(InvalidPermission::Word),
            }
        }
        let pattern = match text {
            "public" => "*",
            "public.read" => "*.read",
            "public.write" => "*.write",
            _ if text.starts_with("public.") => return Err(InvalidPermission::Alias),
            _ => text,
        };
        Ok(Self { text: text.into(), pattern: pattern.into() })
    }

    /// The grant as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this grant is enough for what is needed.
    pub fn covers(&self, needed: Permission<'_>) -> bool {
        covers(&self.pattern, needed.0)
    }

    /// Whether whatever `other` covers, this covers too.
    pub fn covers_grant(&self, other: &Self) -> bool {
        covers(&self.pattern, &other.pattern)
    }

    /// The grant that covers exactly what both cover, if there is anything that both cover.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let pattern = meet(&self.pattern, &other.pattern)?;
        for side in [self, other] {
            if *side.pattern == *pattern {
                return Some(side.clone());
            }
        }
        // no permission is longer than a grant may be, so one that would be covers nothing
        check_size(&pattern).ok()?;
        Some(Self { text: pattern.clone().into(), pattern: pattern.into() })
    }
}

/// Word by word: the narrower of the two, and all words of the longer. Two different words leave
/// nothing that both cover.
fn meet(one: &str, other: &str) -> Option<String> {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    let mut words = Vec::new();
    loop {
        words.push(match (ones.next(), others.next()) {
            (None, None) => return Some(words.join(".")),
            (Some(word), None | Some(ANY_WORD)) | (None | Some(ANY_WORD), Some(word)) => word,
            (Some(word), Some(same)) if word == same => word,
            (Some(_), Some(_)) => return None,
        });
    }
}

/// Word by word: every word of the pattern must be met, and what is needed may go deeper. A `*` in
/// what is needed (another grant's) is met by `*` alone.
fn covers(pattern: &str, needed: &str) -> bool {
    // the usual case, without a look at words
    if needed.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        return true;
    }
    if !pattern.contains(ANY_WORD) {
        return false;
    }
    let mut needed_words = needed.split('.');
    pattern.split('.').all(|word| match needed_words.next() {
        Some(needed_word) => word == ANY_WORD || word == needed_word,
        None => false,
    })
}

fn check_size(text: &str) -> Result<(), InvalidPermission> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
    if fits && text.split('.').count() <= WORDS_MAX { Ok(()) } else { Err(InvalidPermission::Size) }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_of_word)
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
}

/// Whether a text is one to three words, which nearly all permissions are: found out in one pass.
fn is_plain(text: &str) -> bool {
    let (mut words, mut before) = (1, b'.');
    for byte in text.bytes() {
        match (byte, before) {
            (b'.', b'.') => return false,
            (b'.', _) => words += 1,
            _ if is_of_word(byte) => {}
            _ => return false,
        }
        before = byte;
    }
    before != b'.' && words <= 3 && text.len() <= TEXT_BYTES_MAX
}

/// All that a key is granted. None: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grants(Box<[Grant]>);

impl Grants {
    /// Reads a list of grants; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidPermission)> {
        if texts.len() > GRANTS_MAX {
            return Err((GRANTS_MAX, InvalidPermission::TooMany));
        }
        let mut grants: Vec<Grant> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            let grant = Grant::parse(text.as_ref()).map_err(|error| (position, error))?;
            if grants.contains(&grant) {
                return Err((position, InvalidPermission::Duplicate));
            }
            grants.push(grant);
        }
        Ok(Self(grants.into()))
    }

    /// Whether any of them is enough for what is needed.
    pub fn cover(&self, needed: Permission<'_>) -> bool {
        self.0.iter().any(|grant| grant.covers(needed))
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of `others` that these do not cover.
    pub fn first_uncovered<'a>(&self, others: &'a Self) -> Option<&'a Grant> {
        others.0.iter().find(|other| !self.0.iter().any(|grant| grant.covers_grant(other)))
    }

    /// The grants as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Grant::as_str)
    }

    /// The grants.
    pub fn as_slice(&self) -> &[Grant] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
