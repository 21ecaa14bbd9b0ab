//! Ids of keys.

use std::fmt::{self, Write};

use thiserror::Error;

use crate::model::time::Timestamp;

const PREFIX: &str = "key_";
/// 128 bits at five bits a character.
const DIGITS: usize = 26;
/// How long an id is as text.
const TEXT_BYTES: usize = PREFIX.len() + DIGITS;
/// Crockford's base 32 in small letters: no `i`, `l`, `o`, `u`, and it sorts like the bytes.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of a key: it never changes, not when the key's secret does.
///
/// Its bytes are a UUID of version 7 (RFC 9562): ids sort by the time of their making.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

/// A text that is not the id of a key.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be `key_` and 26 characters of 0-9 and a-z without i, l, o, u")]
pub struct InvalidKeyId;

impl KeyId {
    /// A new id from the time and ten random bytes.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        let mut value = (u128::from(millis) & 0xffff_ffff_ffff) << 80;
        for (position, byte) in random.into_iter().enumerate() {
            value |= u128::from(byte) << (72 - 8 * position);
        }
        value = value & !(0xf << 76) | (0x7 << 76); // version 7
        value = value & !(0x3 << 62) | (0x2 << 62); // the variant of RFC 9562
        Self(value.to_be_bytes())
    }

    /// From the bytes of a stored id.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The letters and digits of `key_…`, which are all ASCII.
    pub fn text(&self) -> [u8; TEXT_BYTES] {
        let mut text = [b'0'; TEXT_BYTES];
        let (prefix, digits) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX.as_bytes());
        let mut value = u128::from_be_bytes(self.0);
        for digit in digits.iter_mut().rev() {
            let number = usize::try_from(value & 31).unwrap_or(0);
            *digit = ALPHABET.get(number).copied().unwrap_or(b'0');
            value >>= 5;
        }
        text
    }

    /// Reads `key_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidKeyId)?;
        if digits.len() != DIGITS {
            return Err(InvalidKeyId);
        }
        let mut value: u128 = 0;
        for (position, digit) in digits.bytes().enumerate() {
            let found = ALPHABET.iter().position(|letter| *letter == digit);
            let number = found.and_then(|found| u128::try_from(found).ok()).ok_or(InvalidKeyId)?;
            if position == 0 && number > 7 {
                return Err(InvalidKeyId); // 26 digits hold 130 bits, an id has 128
            }
            value = value << 5 | number;
        }
        Ok(Self(value.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().into_iter().try_for_each(|letter| f.write_char(char::from(letter)))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_what_was_shown_gives_the_same_id(bytes: [u8; 16]) {
            let id = KeyId::from_bytes(bytes);
            prop_assert_eq!(KeyId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text in ".*") {
            if let Ok(id) = KeyId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn a_later_id_sorts_after_an_earlier_one(a in 0_i64..1 << 50, b in 0_i64..1 << 50, x: [u8; 10], y: [u8; 10]) {
            prop_assume!(a / 1000 < b / 1000);
            let earlier = KeyId::new(Timestamp::from_micros(a), x);
            let later = KeyId::new(Timestamp::from_micros(b), y);
            prop_assert!(earlier < later && earlier.to_string() < later.to_string());
        }
    }

    #[test]
    fn new_ids_are_uuids_of_version_seven() {
        let id = KeyId::new(Timestamp::from_micros(1_700_000_000_000_000), [0xff; 10]);
        assert_eq!(id.to_string(), "key_01hf7yat00fzzvzzzzzzzzzzzz");
        assert_eq!((id.bytes()[6] >> 4, id.bytes()[8] >> 6), (7, 2));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "key_",
            "key_81hf7yat00fzzvzzzzzzzzzzzz",
            "key_01HF7YAT00FZZVZZZZZZZZZZZZ",
            "01hf7yat00fzzvzzzzzzzzzzzz",
            "key_01hf7yat00fzzvzzzzzzzzzzzi",
        ] {
            assert_eq!(KeyId::parse(text), Err(InvalidKeyId), "{text}");
        }
    }
}
