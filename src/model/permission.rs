//! Permissions: what a request needs and what a key is granted.

use thiserror::Error;

const GRANTS_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 200;
const WORDS_MAX: usize = 16;
const ANY_WORD: &str = "*";

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
}

impl<'a> Permission<'a> {
    /// Reads what a request needs.
    pub fn parse(text: &'a str) -> Result<Self, InvalidPermission> {
        check_size(text)?;
        if text.split('.').all(is_word) { Ok(Self(text)) } else { Err(InvalidPermission::Word) }
    }

    /// The permission.
    pub const fn as_str(&self) -> &'a str {
        self.0
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
}

/// Word by word: every word of the pattern must be met, and what is needed may go deeper. A `*` in
/// what is needed (another grant's) is met by `*` alone.
fn covers(pattern: &str, needed: &str) -> bool {
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
    let inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    !text.is_empty() && text.bytes().all(inner)
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

    /// The first of `others` that these do not cover.
    pub fn first_uncovered<'a>(&self, others: &'a Self) -> Option<&'a Grant> {
        others.0.iter().find(|other| !self.0.iter().any(|grant| grant.covers_grant(other)))
    }

    /// The grants as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Grant::as_str)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(grant: &str, needed: &str) -> bool {
        Grant::parse(grant).unwrap().covers(Permission::parse(needed).unwrap())
    }

    #[test]
    fn grants_cover_what_the_grammar_says() {
        for (grant, needed, expected) in [
            ("systems.read", "systems.read", true),
            ("systems", "systems", true),
            ("systems", "systems.read", true),
            ("systems", "systems.zones.write", true),
            ("systems", "system", false),
            ("systems", "systemsx.read", false),
            ("systems.read", "systems", false),
            ("systems.read", "systems.write", false),
            ("*.read", "systems.read", true),
            ("*.read", "systems.read.own", true),
            ("*.read", "systems.zones.read", false),
            ("*.read", "read", false),
            ("systems.*.read", "systems.zones.read", true),
            ("systems.*", "systems", false),
            ("*", "systems", true),
            ("*", "systems.zones.write", true),
            ("public", "systems.write", true),
            ("public.read", "systems.read", true),
            ("public.read", "systems.write", false),
            ("public.write", "systems.write", true),
        ] {
            assert_eq!(covers(grant, needed), expected, "{grant} {needed}");
        }
    }

    #[test]
    fn a_wild_word_is_covered_by_a_wild_word_alone() {
        let grant = |text| Grant::parse(text).unwrap();
        for (wide, narrow, expected) in [
            ("systems", "systems.read", true),
            ("systems", "systems.*", true),
            ("*", "public", true),
            ("*.read", "public.read", true),
            ("systems.read", "*.read", false),
            ("systems", "*", false),
            ("*.*", "*", false),
            ("keyward", "keyward.keys.read", true),
        ] {
            assert_eq!(grant(wide).covers_grant(&grant(narrow)), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        use InvalidPermission::{Alias, PartOfWord, Size, Word};
        let deep = ["a"; 17].join(".");
        let long = "a".repeat(201);
        for (text, expected) in [
            ("", Size),
            (&deep, Size),
            (&long, Size),
            (".", Word),
            ("a..b", Word),
            ("a.", Word),
            ("A", Word),
            ("a b", Word),
            ("sÿstems", Word),
            ("sys*", PartOfWord),
            ("**", PartOfWord),
            ("public.systems", Alias),
            ("public.*", Alias),
        ] {
            assert_eq!(Grant::parse(text), Err(expected), "{text}");
        }
        assert_eq!(Permission::parse("*.read"), Err(Word));
        assert_eq!(Grants::parse(&["a", "b", "a"]), Err((2, InvalidPermission::Duplicate)));
        assert_eq!(Grants::parse(&["a", ".", "a"]), Err((1, Word)));
    }

    fn pattern() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof!["[ab]", Just(String::from("*"))], 1..4)
            .prop_map(|words| words.join("."))
    }

    proptest! {
        #[test]
        fn a_grant_covers_a_grant_only_if_it_covers_all_that_it_covers(
            wide in pattern(), narrow in pattern(), needed in "[abc](\\.[abc]){0,4}",
        ) {
            let (wide, narrow) = (Grant::parse(&wide).unwrap(), Grant::parse(&narrow).unwrap());
            let needed = Permission::parse(&needed).unwrap();
            if wide.covers_grant(&narrow) && narrow.covers(needed) {
                prop_assert!(wide.covers(needed));
            }
        }

        #[test]
        fn one_more_grant_never_turns_yes_into_no(
            first in pattern(), more in pattern(), needed in "[abc](\\.[abc]){0,4}",
        ) {
            prop_assume!(first != more);
            let needed = Permission::parse(&needed).unwrap();
            let one = Grants::parse(&[&first]).unwrap();
            let two = Grants::parse(&[&first, &more]).unwrap();
            prop_assert!(!one.cover(needed) || two.cover(needed));
        }

        #[test]
        fn a_longer_grant_never_covers_more(grant in pattern(), word in "[ab*]", needed in "[abc](\\.[abc]){0,4}") {
            let needed = Permission::parse(&needed).unwrap();
            let narrower = Grant::parse(&format!("{grant}.{word}")).unwrap();
            prop_assert!(!narrower.covers(needed) || Grant::parse(&grant).unwrap().covers(needed));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(grant) = Grant::parse(&text) {
                prop_assert_eq!(grant.as_str(), text);
            }
        }
    }
}
