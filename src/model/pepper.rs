//! The peppers of an installation: the one that new digests are keyed with, and others that stored
//! digests still are, while one takes the place of another.

use std::fmt;

use thiserror::Error;

use crate::model::secret::{Digest, Pepper, PresentedKey};

/// How many peppers there may be besides the current one: each costs a key that is unknown two blocks
/// of HMAC-SHA-256 (RFC 2104) and a look-up.
pub const OTHERS_MAX: usize = 4;
/// All peppers at once.
pub const PEPPERS_MAX: usize = OTHERS_MAX + 1;
const ID_BYTES: usize = 4;

/// What a pepper is called in logs, metrics, commands and the database: the first four bytes of its
/// verifier, shown as 8 hexadecimal digits. It is made from the pepper, so that nobody has to keep it,
/// and tells nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperId([u8; ID_BYTES]);

/// A text that is no pepper's id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 8 digits of 0-9 and a-f, as `keyward pepper status` shows them")]
pub struct InvalidPepperId;

impl PepperId {
    /// From the beginning of a verifier.
    pub const fn of_verifier(verifier: &[u8; 32]) -> Self {
        let [first, second, third, fourth, ..] = *verifier;
        Self([first, second, third, fourth])
    }

    /// Reads 8 hexadecimal digits in small letters.
    pub fn parse(text: &str) -> Result<Self, InvalidPepperId> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * ID_BYTES || !text.bytes().all(digits) {
            return Err(InvalidPepperId);
        }
        u32::from_str_radix(text, 16)
            .map(|number| Self(number.to_be_bytes()))
            .or(Err(InvalidPepperId))
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// The peppers that a process has.
#[derive(Debug)]
pub struct Peppers {
    current: Pepper,
    others: Box<[Pepper]>,
}

/// Peppers that cannot be used together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidPeppers {
    /// More than there may be.
    #[error(
        "{0} other peppers are given, {OTHERS_MAX} are the most; retire those that `keyward pepper \
         status` shows to be unused, and take their files away"
    )]
    TooMany(usize),
    /// One of them is given twice.
    #[error(
        "the pepper {0} is given twice; give it once, as the current one or as one of the others"
    )]
    Twice(PepperId),
}

impl Peppers {
    /// One pepper that new digests are keyed with, and the others, each once.
    pub fn new(current: Pepper, others: Vec<Pepper>) -> Result<Self, InvalidPeppers> {
        if others.len() > OTHERS_MAX {
            return Err(InvalidPeppers::TooMany(others.len()));
        }
        let peppers = Self { current, others: others.into() };
        for (at, id) in peppers.ids().enumerate() {
            if peppers.ids().skip(at + 1).any(|other| other == id) {
                return Err(InvalidPeppers::Twice(id));
            }
        }
        Ok(peppers)
    }

    /// Only one.
    pub fn single(current: Pepper) -> Self {
        Self { current, others: Box::default() }
    }

    /// What new digests are keyed with.
    pub const fn current(&self) -> &Pepper {
        &self.current
    }

    /// What stored digests may be keyed with besides.
    pub fn others(&self) -> &[Pepper] {
        &self.others
    }

    /// The ids of all, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = PepperId> {
        self.all().map(Pepper::id)
    }

    /// All, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &Pepper> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// The forms in which a key may be stored: by the current pepper first.
    pub fn digests(&self, presented: &PresentedKey<'_>) -> Vec<Digest> {
        let sha256 = presented.sha256();
        self.all().map(|pepper| pepper.digest_of_sha256(&sha256)).collect()
    }
}

/// A token whose stored digest is to be replaced by the one that the current pepper gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// As it is stored.
    pub old: Digest,
    /// As it is to be.
    pub new: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Brand;

    fn pepper(byte: u8) -> Pepper {
        Pepper::parse(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_pepper_is_called_by_the_beginning_of_its_verifier_in_any_process() {
        let id = pepper(7).id();
        assert_eq!(id, PepperId::of_verifier(&pepper(7).verifier()));
        assert_ne!(id, pepper(8).id());
        assert_eq!(PepperId::parse(&id.to_string()), Ok(id));
        let zeros = PepperId::of_verifier(&[0; 32]);
        assert_eq!(zeros.to_string(), "00000000");
    }

    #[test]
    fn only_eight_small_hexadecimal_digits_are_an_id() {
        for text in ["", "1234567", "123456789", "1234567G", "1234567A", "+1234567", "1234 567"] {
            assert_eq!(PepperId::parse(text), Err(InvalidPepperId), "{text}");
        }
    }

    #[test]
    fn five_peppers_are_taken_and_six_or_one_twice_are_not() {
        let others = |bytes: &[u8]| bytes.iter().map(|byte| pepper(*byte)).collect::<Vec<_>>();
        assert!(Peppers::new(pepper(1), others(&[2, 3, 4, 5])).is_ok());
        let six = Peppers::new(pepper(1), others(&[2, 3, 4, 5, 6]));
        assert_eq!(six.err(), Some(InvalidPeppers::TooMany(5)));
        let current_again = Peppers::new(pepper(1), others(&[2, 1]));
        assert_eq!(current_again.err(), Some(InvalidPeppers::Twice(pepper(1).id())));
        let other_again = Peppers::new(pepper(1), others(&[2, 2]));
        assert_eq!(other_again.err(), Some(InvalidPeppers::Twice(pepper(2).id())));
    }

    #[test]
    fn the_forms_of_a_key_are_those_that_each_pepper_gives_alone() {
        let peppers = Peppers::new(pepper(1), vec![pepper(2), pepper(3)]).unwrap();
        let presented = PresentedKey::parse("imported", &Brand::parse("kw").unwrap()).unwrap();
        let alone = [1, 2, 3].map(|byte| presented.digest(&pepper(byte)));
        assert_eq!(peppers.digests(&presented), alone);
    }
}
