//! What is taken away from a request on its way upstream: keys, and header fields that only this service
//! may set.

use std::borrow::Cow;

use crate::{
    model::key_source::{KeySource, KeySources, OWN_PREFIX},
    proxy::{
        Inquiry,
        credential::{cookies, is_key, is_named, parameters},
        identity::{IDENTITY_FIELDS, IDENTITY_FIELDS_WITH_UNDERSCORES},
    },
};

/// Room for the fields that are always taken away, with one or two for keys.
const FIELDS_ROOM: usize = 16;

/// What is to be taken away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// Header fields by their names, none of which is set.
    pub fields: Vec<Cow<'static, str>>,
    /// Query parameters by their names.
    pub parameters: Vec<String>,
    /// What the field `cookie` becomes, if something of it is taken away; empty: nothing is left.
    pub cookie: Option<Vec<u8>>,
}

impl Cleaning {
    /// What is to be taken away where these identity fields are set.
    pub fn of(sources: &KeySources, inquiry: &Inquiry<'_>, set: &[&str]) -> Self {
        let mut cleaning = Self { fields: Vec::with_capacity(FIELDS_ROOM), ..Self::default() };
        // also what this service was not shown: a proxy may tell only a part of a request
        let unset = IDENTITY_FIELDS.into_iter().filter(|name| !set.contains(name));
        let names = unset.chain(IDENTITY_FIELDS_WITH_UNDERSCORES);
        cleaning.fields.extend(names.map(Cow::Borrowed));
        for source in sources.iter() {
            match source {
                KeySource::Header(name) => {
                    cleaning.remove(name.to_string());
                    cleaning.remove(name.replace('-', "_"));
                }
                KeySource::Query(name) => {
                    if parameters(inquiry.query()).any(|it| is_named(it, name)) {
                        cleaning.parameters.push(name.to_string());
                    }
                }
                KeySource::Bearer | KeySource::Basic(_) | KeySource::Cookie(_) => {}
            }
        }
        for (name, value) in &inquiry.fields {
            let is_key = name.eq_ignore_ascii_case(b"authorization") && is_key(value, sources);
            if is_key || is_ours(name, sources) {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                if !set.contains(&&*name) {
                    cleaning.remove(name);
                }
            }
        }
        cleaning.cookie = without_keys(sources, inquiry);
        cleaning
    }

    fn remove(&mut self, name: String) {
        if !self.fields.iter().any(|field| **field == *name) {
            self.fields.push(Cow::Owned(name));
        }
    }
}

/// Whether a header field is one that only this service may set, or may hold a key, to a program that takes
/// `_` for `-`, as CGI does.
fn is_ours(name: &[u8], sources: &KeySources) -> bool {
    let begins = name.get(..OWN_PREFIX.len()).is_some_and(|head| is_alike(head, OWN_PREFIX));
    begins
        || sources.iter().any(|source| match source {
            KeySource::Header(key) => is_alike(name, key),
            _ => false,
        })
}

/// Whether two names are one to such a program.
fn is_alike(name: &[u8], other: &str) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().map(plain).eq(other.as_bytes().iter().map(plain))
}

/// The cookies that are not keys, if some are.
fn without_keys(sources: &KeySources, inquiry: &Inquiry<'_>) -> Option<Vec<u8>> {
    let is_key = |cookie: &[u8]| {
        sources.iter().any(|source| match source {
            KeySource::Cookie(name) => is_named(cookie, name),
            _ => false,
        })
    };
    let all: Vec<&[u8]> = inquiry.values("cookie").flat_map(cookies).collect();
    let kept: Vec<&[u8]> = all.iter().copied().filter(|cookie| !is_key(cookie)).collect();
    (kept.len() < all.len()).then(|| kept.join(&b"; "[..]))
}

/// The target without the query parameters that may hold keys.
pub fn target_without_keys(sources: &KeySources, inquiry: &Inquiry<'_>) -> Vec<u8> {
    let is_key = |parameter: &[u8]| {
        sources.iter().any(|source| match source {
            KeySource::Query(name) => is_named(parameter, name),
            _ => false,
        })
    };
    let kept: Vec<&[u8]> = parameters(inquiry.query()).filter(|it| !is_key(it)).collect();
    let path = inquiry.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    let kept = kept.join(&b"&"[..]);
    if kept.is_empty() { path.to_vec() } else { [path, &kept].join(&b"?"[..]) }
}
