//! What is taken away from a request on its way upstream: keys, and header fields that only this service
//! may set.

use crate::{
    model::key_source::{KeySource, KeySources, OWN_PREFIX},
    proxy::{
        Inquiry,
        credential::{cookies, is_key, is_named, parameters},
        identity::IDENTITY_FIELDS,
    },
};

/// What is to be taken away.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// Header fields by their names, none of which is set.
    pub fields: Vec<String>,
    /// Query parameters by their names.
    pub parameters: Vec<String>,
    /// What the field `cookie` becomes, if something of it is taken away; empty: nothing is left.
    pub cookie: Option<Vec<u8>>,
}

impl Cleaning {
    /// What is to be taken away where these identity fields are set.
    pub fn of(sources: &KeySources, inquiry: &Inquiry<'_>, set: &[&str]) -> Self {
        let mut cleaning = Self::default();
        // also what this service was not shown: a proxy may tell only a part of a request
        for name in IDENTITY_FIELDS {
            cleaning.remove_with_underscores(name);
        }
        for source in sources.iter() {
            match source {
                KeySource::Header(name) => cleaning.remove_with_underscores(name),
                KeySource::Query(name) => {
                    if parameters(inquiry.query()).any(|it| is_named(it, name)) {
                        cleaning.parameters.push(name.to_string());
                    }
                }
                KeySource::Bearer | KeySource::Basic(_) | KeySource::Cookie(_) => {}
            }
        }
        for (name, value) in &inquiry.fields {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let is_key = name == "authorization" && is_key(value, sources);
            if is_key || is_ours(&name, sources) {
                cleaning.remove(name);
            }
        }
        cleaning.fields.retain(|name| !set.contains(&&**name));
        cleaning.cookie = without_keys(sources, inquiry);
        cleaning
    }

    fn remove(&mut self, name: String) {
        if !self.fields.contains(&name) {
            self.fields.push(name);
        }
    }

    fn remove_with_underscores(&mut self, name: &str) {
        self.remove(name.to_owned());
        self.remove(name.replace('-', "_"));
    }
}

/// Whether a header field is one that only this service may set, or may hold a key, to a program that takes
/// `_` for `-`, as CGI does.
fn is_ours(name: &str, sources: &KeySources) -> bool {
    let name = name.replace('_', "-");
    name.starts_with(OWN_PREFIX)
        || sources.iter().any(|source| match source {
            KeySource::Header(key) => key.replace('_', "-") == name,
            _ => false,
        })
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
