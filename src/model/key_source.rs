//! Where in an HTTP request a key may be.

use std::fmt;

use thiserror::Error;

const SOURCES_MAX: usize = 10;
const NAME_BYTES_MAX: usize = 64;
/// What begins a header field that this service sets on the way upstream.
pub const OWN_PREFIX: &str = "x-keyward-";

/// One place where a key may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The header field of this name, in lower case.
    Header(Box<str>),
    /// `Authorization: Bearer KEY` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …`: this user name, and the key as the password (RFC 7617).
    Basic(Box<str>),
    /// The query parameter of this name.
    Query(Box<str>),
    /// The cookie of this name.
    Cookie(Box<str>),
}

/// A text that does not say where a key is.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidKeySource {
    /// Of none of the known forms.
    #[error("must be header:NAME, bearer, basic:USER, query:NAME or cookie:NAME, not {0:?}")]
    Form(String),
    /// A name that cannot be one, or must not.
    #[error(
        "{0:?}: the name must be 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`, and a header field \
         none that HTTP or a proxy has a meaning for"
    )]
    Name(String),
    /// One place twice.
    #[error("{0:?} is given twice")]
    Duplicate(String),
    /// None, or more than are looked at.
    #[error("must be 1 to {SOURCES_MAX}, separated by commas")]
    Count,
}

/// Header fields that mean something else, or that are not what the client sent when they arrive.
const NO_KEY_FIELDS: [&str; 16] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

impl KeySource {
    fn parse(text: &str) -> Result<Self, InvalidKeySource> {
        let (kind, name) = match text.split_once(':') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        let fits = |name: &str| {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
        };
        let source = match (kind, name) {
            ("bearer", None) => return Ok(Self::Bearer),
            ("header", Some(name)) => Self::Header(name.to_ascii_lowercase().into()),
            ("basic", Some(user)) => Self::Basic(user.into()),
            ("query", Some(name)) => Self::Query(name.into()),
            ("cookie", Some(name)) => Self::Cookie(name.into()),
            _ => return Err(InvalidKeySource::Form(text.into())),
        };
        let meant = match &source {
            Self::Header(name) => {
                NO_KEY_FIELDS.contains(&&**name)
                    || [OWN_PREFIX, "x-envoy-", "x-forwarded-"]
                        .iter()
                        .any(|own| name.starts_with(own))
            }
            Self::Bearer | Self::Basic(_) | Self::Query(_) | Self::Cookie(_) => false,
        };
        if meant || !name.is_some_and(fits) {
            return Err(InvalidKeySource::Name(text.into()));
        }
        Ok(source)
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Bearer => f.write_str("bearer"),
            Self::Basic(user) => write!(f, "basic:{user}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

/// All places where a key may be, in the order in which they are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySources(Box<[KeySource]>);

impl KeySources {
    /// Reads a list, separated by commas.
    pub fn parse(text: &str) -> Result<Self, InvalidKeySource> {
        let mut sources = Vec::new();
        for text in text.split(',').map(str::trim) {
            if sources.len() == SOURCES_MAX || text.is_empty() {
                return Err(InvalidKeySource::Count);
            }
            let source = KeySource::parse(text)?;
            if sources.contains(&source) {
                return Err(InvalidKeySource::Duplicate(text.into()));
            }
            sources.push(source);
        }
        Ok(Self(sources.into()))
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &KeySource> {
        self.0.iter()
    }
}

/// As [`KeySources::parse`] reads it.
impl fmt::Display for KeySources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<_> = self.iter().map(ToString::to_string).collect();
        f.write_str(&sources.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_shown_as_it_was_written() {
        let text = "header:x-api-key,bearer,basic:haplo,query:api-key,cookie:api_key.1";
        let sources = KeySources::parse(text).unwrap();
        assert_eq!(sources.to_string(), text);
        assert_eq!(KeySources::parse("header:X-Api-Key"), KeySources::parse(" header:x-api-key "));
    }

    #[test]
    fn names_of_query_parameters_and_cookies_keep_their_case() {
        assert_ne!(KeySources::parse("query:Key"), KeySources::parse("query:key"));
        assert_ne!(KeySources::parse("cookie:Key"), KeySources::parse("cookie:key"));
    }

    #[test]
    fn what_is_no_list_of_sources_is_refused_with_the_reason() {
        for (text, told) in [
            ("", "must be 1 to 10"),
            ("bearer,", "must be 1 to 10"),
            ("bearer,bearer", "\"bearer\" is given twice"),
            ("bearer:x", "must be header:NAME"),
            ("header", "must be header:NAME"),
            ("path:x", "must be header:NAME"),
            ("header:", "the name must be"),
            ("header:a b", "the name must be"),
            ("query:a=b", "the name must be"),
            ("query:ä", "the name must be"),
            ("header:Authorization", "none that HTTP"),
            ("header:cookie", "none that HTTP"),
            ("header:x-keyward-key-id", "none that HTTP"),
            ("header:X-Forwarded-For", "none that HTTP"),
            ("cookie:a;b", "the name must be"),
        ] {
            let error = KeySources::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text:?}: {error}");
        }
        let eleven: Vec<_> = (0..11).map(|number| format!("query:{number}")).collect();
        assert_eq!(KeySources::parse(&eleven.join(",")), Err(InvalidKeySource::Count));
        let long = format!("header:{}", "x".repeat(65));
        assert!(matches!(KeySources::parse(&long), Err(InvalidKeySource::Name(_))));
    }
}
