//! An Envoy configuration that is complete and safe, for people to begin with.

use std::{fmt, net::SocketAddr};

use thiserror::Error;

use crate::model::{
    key_source::{KeySource, KeySources},
    name::EnvironmentName,
};

const TEMPLATE: &str = include_str!("example.yaml");

/// Longer host names are in no DNS (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// What differs from one installation to the other.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where allowed requests go.
    pub upstream: HostPort,
    /// Keyward's authorize listener.
    pub keyward: HostPort,
    /// The environment of the keys.
    pub environment: EnvironmentName,
    /// Where keys are in requests.
    pub key_sources: KeySources,
}

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// A text that is no host and port.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be like service.example:8080, 10.0.0.1:8080 or [::1]:8080")]
pub struct InvalidHostPort;

impl HostPort {
    /// Reads a host and a port.
    pub fn parse(text: &str) -> Result<Self, InvalidHostPort> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidHostPort)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(InvalidHostPort)?;
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_good = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        let host = address.unwrap_or(host).to_owned();
        if is_good { Ok(Self { host, port }) } else { Err(InvalidHostPort) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn is_name(host: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(is_part)
}

/// The configuration. It ends with a line's end.
pub fn render(choices: &Choices) -> String {
    let Choices { listen, upstream, keyward, environment, key_sources } = choices;
    let removed = public_fields(key_sources)
        .fold(String::new(), |list, name| list + "                - " + name + "\n");
    [
        ("@LISTEN_ADDRESS@", listen.ip().to_string()),
        ("@LISTEN_PORT@", listen.port().to_string()),
        ("@UPSTREAM_HOST@", upstream.host.clone()),
        ("@UPSTREAM_PORT@", upstream.port.to_string()),
        ("@KEYWARD_HOST@:@KEYWARD_PORT@", keyward.to_string()),
        ("@KEYWARD_HOST@", keyward.host.clone()),
        ("@KEYWARD_PORT@", keyward.port.to_string()),
        ("@ENVIRONMENT@", environment.to_string()),
        ("@KEY_SOURCES@", key_sources.to_string()),
        ("@PUBLIC_CREDENTIALS@", removed),
    ]
    .iter()
    .fold(TEMPLATE.to_owned(), |text, (mark, value)| text.replace(mark, value))
}

/// The header fields that have keys, but for `authorization`, which may have something else too.
fn public_fields(sources: &KeySources) -> impl Iterator<Item = &str> {
    sources.iter().filter_map(|source| match source {
        KeySource::Header(name) => Some(&**name),
        KeySource::Bearer | KeySource::Basic(_) | KeySource::Query(_) | KeySource::Cookie(_) => {
            None
        }
    })
}
