//! Which clients may connect, by the names in their certificates.

use std::fmt;

use thiserror::Error;

use super::identity::Identity;

/// The most names of one list.
const NAMES_MAX: usize = 1000;
const NAME_BYTES_MAX: usize = 2048;

/// The names of clients that may connect. It has one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients(Box<[Client]>);

/// One name, or many that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Client {
    /// A SPIFFE id, or any other URI, exactly.
    Uri(Box<str>),
    /// All SPIFFE ids that begin with this, which ends with `/`.
    Below(Box<str>),
    /// The name of a host, in small letters.
    Host(Box<str>),
}

/// A text that is no list of clients.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidClients {
    /// It names nobody.
    #[error("must have a name at least; leave it out to let in whoever has a certificate")]
    Empty,
    /// It is too long.
    #[error("has more than {NAMES_MAX} names")]
    TooMany,
    /// One of its names.
    #[error(
        "`{0}` is no name of a client: must be a URI such as spiffe://example.org/orders, all below one such as \
         spiffe://example.org/*, or the name of a host such as orders.example.org"
    )]
    Name(Box<str>),
}

impl Clients {
    /// Reads names that are separated by commas.
    pub fn parse(text: &str) -> Result<Self, InvalidClients> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let clients = names
            .map(|name| Client::parse(name).ok_or_else(|| InvalidClients::Name(name.into())))
            .collect::<Result<Box<[_]>, _>>()?;
        match clients.len() {
            0 => Err(InvalidClients::Empty),
            1..=NAMES_MAX => Ok(Self(clients)),
            _ => Err(InvalidClients::TooMany),
        }
    }

    /// Whether a client with these names may connect.
    pub fn permit(&self, identity: &Identity) -> bool {
        self.0.iter().any(|client| client.is(identity))
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(name) | Self::Host(name) => f.write_str(name),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl Client {
    fn parse(name: &str) -> Option<Self> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        if let Some(rest) = name.strip_prefix("spiffe://") {
            return match rest.strip_suffix("/*") {
                Some(above) => {
                    is_spiffe(above).then(|| Self::Below(format!("spiffe://{above}/").into()))
                }
                None => is_spiffe(rest).then(|| Self::Uri(name.into())),
            };
        }
        if name.contains("://") {
            let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
            return plain.then(|| Self::Uri(name.into()));
        }
        is_host(name).then(|| Self::Host(name.to_ascii_lowercase().into()))
    }

    fn is(&self, identity: &Identity) -> bool {
        match self {
            Self::Uri(uri) if uri.starts_with("spiffe://") => identity.spiffe_id() == Some(uri),
            Self::Uri(uri) => identity.uris.contains(uri),
            Self::Below(prefix) => identity.spiffe_id().is_some_and(|id| {
                let rest = id.strip_prefix("spiffe://").unwrap_or_default();
                id.starts_with(&**prefix) && is_spiffe(rest)
            }),
            Self::Host(host) => identity.hosts.iter().any(|name| name.eq_ignore_ascii_case(host)),
        }
    }
}

/// Whether what follows `spiffe://` is a trust domain and a path (SPIFFE-ID, 2).
fn is_spiffe(rest: &str) -> bool {
    let (domain, path) =
        rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
    let of_domain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(of_path);
    !domain.is_empty()
        && domain.bytes().all(of_domain)
        && path.is_none_or(|path| path.split('/').all(is_segment))
}

/// Whether a text is the name of a host: labels, separated by dots, without a wildcard.
fn is_host(name: &str) -> bool {
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.split('.').all(|label| !label.is_empty() && label.bytes().all(of_label))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(names: &[&str]) -> Identity {
        let uris = names.iter().map(|&name| name.into()).collect();
        Identity { uris, ..Identity::default() }
    }

    fn host(name: &str) -> Identity {
        Identity { hosts: [name.into()].into(), ..Identity::default() }
    }

    #[test]
    fn a_name_lets_in_whom_it_names_and_nobody_else() {
        for (list, identity, permitted) in [
            ("spiffe://a.b/orders", uri(&["spiffe://a.b/orders"]), true),
            ("spiffe://a.b/orders", uri(&["spiffe://a.b/orders/1"]), false),
            ("spiffe://a.b/orders", uri(&["spiffe://a.b/Orders"]), false),
            ("spiffe://a.b/orders", uri(&["spiffe://a.b/orders", "spiffe://a.b/other"]), false),
            ("spiffe://a.b/*", uri(&["spiffe://a.b/orders"]), true),
            ("spiffe://a.b/*", uri(&["spiffe://a.b/ns/x/sa/y"]), true),
            ("spiffe://a.b/*", uri(&["spiffe://a.b"]), false),
            ("spiffe://a.b/*", uri(&["spiffe://a.b/"]), false),
            ("spiffe://a.b/*", uri(&["spiffe://a.bc/orders"]), false),
            ("spiffe://a.b/*", uri(&["spiffe://a.b/orders", "https://a.b/"]), false),
            ("spiffe://a.b/ns/x/*", uri(&["spiffe://a.b/ns/x/sa/y"]), true),
            ("spiffe://a.b/ns/x/*", uri(&["spiffe://a.b/ns/xy/sa/y"]), false),
            ("spiffe://a.b/ns/x/*", uri(&["spiffe://a.b/ns/x/../y"]), false),
            ("spiffe://a.b/ns/x/*", uri(&["spiffe://a.b/ns/x/%2e%2e/y"]), false),
            ("urn://a", uri(&["urn://a", "urn://b"]), true),
            ("orders.a.b", host("orders.a.b"), true),
            ("Orders.a.b", host("orders.A.B"), true),
            ("orders.a.b", host("x.orders.a.b"), false),
            ("orders.a.b", host("*.a.b"), false),
            ("orders.a.b", uri(&["orders.a.b"]), false),
            ("x.y , spiffe://a.b/orders", uri(&["spiffe://a.b/orders"]), true),
            ("x.y", Identity::default(), false),
        ] {
            let clients = Clients::parse(list).unwrap();
            assert_eq!(clients.permit(&identity), permitted, "{list} and {identity}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "*",
            "*.a.b",
            "spiffe://*",
            "spiffe:///x",
            "spiffe://A/x",
            "spiffe://a//x",
            "spiffe://a/./x",
            "spiffe://a/x*",
            "spiffe://a/*/x",
            "spiffe://a/%2e",
            "https://a/*",
            "a b",
            "a..b",
            "",
        ] {
            assert!(Clients::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_shown_can_be_read_again(
            text in "(spiffe://|https://)?[a-zA-Z./*, %_-]{0,20}"
        ) {
            if let Ok(clients) = Clients::parse(&text) {
                prop_assert_eq!(Clients::parse(&clients.to_string()), Ok(clients));
            }
        }

        #[test]
        fn a_prefix_never_lets_in_another_trust_domain(id in "spiffe://[a-z.]{0,4}/?[a-z./%]{0,8}") {
            let clients = Clients::parse("spiffe://a.b/*").unwrap();
            if clients.permit(&uri(&[&id])) {
                prop_assert!(id.starts_with("spiffe://a.b/") && !id.contains(".."));
            }
        }
    }
}
