//! Addresses as they are noted: whole or as networks, and in little room.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of a client's address is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    #[default]
    Whole,
    /// Its network: a /24, or of IPv6 a /64.
    Network,
}

impl AddressDetail {
    /// What is noted of an address. A mapped IPv4 address is the IPv4 address.
    pub const fn of(self, address: IpAddr) -> IpAddr {
        match (self, address.to_canonical()) {
            (Self::Whole, address) => address,
            (Self::Network, IpAddr::V4(address)) => {
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00))
            }
            (Self::Network, IpAddr::V6(address)) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
            }
        }
    }
}

/// An address or none, in sixteen bytes. An IPv4 address is kept mapped into IPv6 (RFC 4291, section
/// 2.5.5.2); `::`, which no client has (section 2.5.2), stands for none. None is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackedAddress([u8; 16]);

impl PackedAddress {
    /// What is noted of an address, if it is known.
    pub const fn new(address: Option<IpAddr>, detail: AddressDetail) -> Self {
        let Some(address) = address else { return Self([0; 16]) };
        match detail.of(address) {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => Self(address.octets()),
        }
    }

    /// The address, if there is one.
    pub fn address(self) -> Option<IpAddr> {
        let address = Ipv6Addr::from(self.0);
        (!address.is_unspecified()).then(|| IpAddr::V6(address).to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_an_address_the_network_is_noted_if_it_is_to_be_so() {
        use AddressDetail::{Network, Whole};
        for (detail, text, noted) in [
            (Whole, "192.0.2.7", "192.0.2.7"),
            (Whole, "::ffff:192.0.2.7", "192.0.2.7"),
            (Whole, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
            (Network, "192.0.2.7", "192.0.2.0"),
            (Network, "::ffff:192.0.2.7", "192.0.2.0"),
            (Network, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let address: IpAddr = text.parse().unwrap();
            let packed = PackedAddress::new(Some(address), detail);
            assert_eq!(detail.of(address).to_string(), noted, "{text}");
            assert_eq!(packed.address(), Some(noted.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn no_address_is_less_than_any() {
        let none = PackedAddress::new(None, AddressDetail::Whole);
        assert_eq!((none, none.address()), (PackedAddress::default(), None));
        let least = PackedAddress::new("::1".parse().ok(), AddressDetail::Whole);
        assert!(none < least);
    }

    proptest! {
        #[test]
        fn an_address_is_unpacked_as_it_was(address: IpAddr) {
            let packed = PackedAddress::new(Some(address), AddressDetail::Whole);
            let known = Some(address.to_canonical()).filter(|it| *it != Ipv6Addr::UNSPECIFIED);
            prop_assert_eq!(packed.address(), known);
        }
    }
}
