//! Reservations: what was taken beforehand and is settled when its cost is known.

use std::fmt;

use thiserror::Error;

use crate::model::name::DomainName;

const PREFIX: &str = "rsv_";
const TAG_BITS: u32 = 12;
const DIGITS: usize = 32;

/// Names a reservation; nobody can guess it. It begins with the tag of its domain, by which a Redis
/// Cluster finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(u128);

/// One of 4096 parts that domains fall into. What belongs to one domain is in one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u16);

/// A text that names no reservation.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be the id of a reservation, as Authorize returned it")]
pub struct InvalidReservationId;

impl Tag {
    /// The part that a domain falls into.
    pub fn of(domain: &DomainName) -> Self {
        let [.., high, low] = crc32fast::hash(domain.as_str().as_bytes()).to_be_bytes();
        Self(u16::from_be_bytes([high, low]) >> (16 - TAG_BITS))
    }
}

/// Three digits.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03x}", self.0)
    }
}

impl ReservationId {
    /// A reservation in a domain, from random bytes.
    pub fn new(tag: Tag, random: [u8; 16]) -> Self {
        let rest = u128::from_be_bytes(random) >> TAG_BITS;
        Self(u128::from(tag.0) << (128 - TAG_BITS) | rest)
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, InvalidReservationId> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == DIGITS);
        let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = digits.filter(|digits| digits.bytes().all(plain));
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or(InvalidReservationId)
    }

    /// The part that its domain falls into.
    pub fn tag(self) -> Tag {
        let [high, low, ..] = self.0.to_be_bytes();
        Tag(u16::from_be_bytes([high, low]) >> (16 - TAG_BITS))
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_tells_the_part_of_its_domain() {
        let tag = Tag::of(&DomainName::parse("default").unwrap());
        let id = ReservationId::new(tag, [0xff; 16]);
        assert_eq!(ReservationId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.tag(), tag);
        assert!(id.to_string().starts_with(&format!("rsv_{tag}")));
    }

    #[test]
    fn other_texts_are_no_ids() {
        let id = ReservationId::new(Tag(0xabc), [7; 16]).to_string();
        for text in ["", "rsv_", &id[1..], &id[..35], &format!("{id}0"), &id.to_uppercase()] {
            assert_eq!(ReservationId::parse(text), Err(InvalidReservationId), "{text}");
        }
        assert!(ReservationId::parse(&format!("rsv_+{}", &id[5..])).is_err());
    }

    proptest! {
        #[test]
        fn every_id_is_read_as_it_is_written(tag in 0_u16..4096, random: [u8; 16]) {
            let id = ReservationId::new(Tag(tag), random);
            prop_assert_eq!(ReservationId::parse(&id.to_string()), Ok(id));
            prop_assert_eq!(id.tag(), Tag(tag));
        }
    }
}
