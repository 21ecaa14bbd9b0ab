//! Addresses: the networks from which a key may be used.
//!
//! An IPv4 address that came mapped into IPv6 (`::ffff:192.0.2.7`) is the IPv4 address, in rules as
//! in requests, so that there is one way to mean it. An IPv6 network never covers IPv4 addresses, also
//! not `::/0`: all addresses are `0.0.0.0/0` and `::/0`.

mod noted;

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use thiserror::Error;

pub use noted::{AddressDetail, PackedAddress};

const NETWORKS_MAX: usize = 100;
/// The length of the prefix that all mapped IPv4 addresses have.
const MAPPED_PREFIX: u8 = 96;

/// A text that is not a network.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidNetwork {
    /// Neither an address nor a network.
    #[error("must be an address or a network, e.g. 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
    Form,
    /// An address with a prefix that does not reach its last bit.
    #[error("must have no bits after its prefix: {network} is the network that it is in")]
    HostBits {
        /// The network that has the given address in it.
        network: String,
    },
    /// One network twice, perhaps in two forms.
    #[error("is given twice")]
    Duplicate,
    /// More networks than a key takes.
    #[error("must be {NETWORKS_MAX} at most")]
    TooMany,
}

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Networks(Box<[IpNet]>);

impl Networks {
    /// Reads a list of networks; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidNetwork)> {
        if texts.len() > NETWORKS_MAX {
            return Err((NETWORKS_MAX, InvalidNetwork::TooMany));
        }
        let mut networks: Vec<IpNet> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            let network = parse_network(text.as_ref()).map_err(|error| (position, error))?;
            if networks.contains(&network) {
                return Err((position, InvalidNetwork::Duplicate));
            }
            networks.push(network);
        }
        Ok(Self(networks.into()))
    }

    /// Whether an address is in any of them.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The networks in their order, each in its canonical form: without a prefix if it is one address.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|network| show(*network))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let network = parse_form(text).ok_or(InvalidNetwork::Form)?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(InvalidNetwork::HostBits { network: show(network.trunc()) })
    }
}

/// An address and a prefix that are perhaps no network.
fn parse_form(text: &str) -> Option<IpNet> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(parse_prefix(prefix)?)),
        None => (text, None),
    };
    let address = address.parse().ok()?;
    let Some(prefix) = prefix else { return Some(IpNet::from(IpAddr::to_canonical(&address))) };
    let mapped = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => unmapped(address, prefix),
    };
    let (address, prefix) = mapped.unwrap_or((address, prefix));
    IpNet::new(address, prefix).ok()
}

/// The IPv4 address and prefix that an IPv6 one is a mapping of.
fn unmapped(address: Ipv6Addr, prefix: u8) -> Option<(IpAddr, u8)> {
    Some((address.to_ipv4_mapped()?.into(), prefix.checked_sub(MAPPED_PREFIX)?))
}

/// Digits alone, and no zero before others: some programs would read it as octal.
fn parse_prefix(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}

fn show(network: IpNet) -> String {
    let one_address = network.prefix_len() == network.max_prefix_len();
    if one_address { network.addr().to_string() } else { network.to_string() }
}

/// From which networks a key may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRules {
    /// From these; none: from all that are not denied.
    pub allowed: Networks,
    /// Not from these, whatever is allowed.
    pub denied: Networks,
}

impl AddressRules {
    /// Whether addresses do not restrict.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.denied.is_empty()
    }

    /// Whether a request from a client may pass. None: nobody knows its address, and only a key without
    /// rules may be used.
    pub fn allow(&self, client: Option<IpAddr>) -> bool {
        if self.is_empty() {
            return true;
        }
        client.is_some_and(|address| {
            let allowed = self.allowed.is_empty() || self.allowed.contain(address);
            allowed && !self.denied.contain(address)
        })
    }
}

#[cfg(test)]
mod tests;
