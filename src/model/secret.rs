//! Tokens: how they look, how they are made, and the one-way form that is stored.
//!
//! A token's text enters in [`PresentedKey`] or is born in [`Token`]; it leaves either only as a
//! [`Digest`], and a `Token` once more as the text that its owner is shown.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use ring::rand::SecureRandom;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::{
    environment::{EnvironmentTag, is_tag},
    pepper::PepperId,
};

/// Longer texts are not looked at: no key is that long.
pub const PRESENTED_BYTES_MAX: usize = 512;
/// 32 base62 characters hold 190 bits.
const RANDOM_CHARS: usize = 32;
/// 62^6 > 2^32.
const CHECKSUM_CHARS: usize = 6;
const PEPPER_BYTES_MIN: usize = 32;
/// What the verifier of a pepper signs.
const VERIFIED: &[u8] = b"keyward pepper verifier";
/// How much of the random part a hint shows.
const HINT_CHARS: usize = 4;
const HINT_CHARS_MAX: usize = 40;
/// Of shorter tokens of other systems nothing is shown.
const FOREIGN_CHARS_MIN: usize = 20;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The first word of every token that this installation makes, `kw` unless configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand(Box<str>);

/// A text that cannot be a brand.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 7 characters of a-z and 0-9")]
pub struct InvalidBrand;

impl Brand {
    /// Checks the form of a brand. It is short so that a whole token fits one block of SHA-256.
    pub fn parse(text: &str) -> Result<Self, InvalidBrand> {
        if is_tag(text) { Ok(Self(Box::from(text))) } else { Err(InvalidBrand) }
    }

    /// The part of `text` after `brand_`, or `None` for a token that is not of this brand.
    fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix(&*self.0)?.strip_prefix('_')
    }
}

/// What a caller sent as its key.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// A text, or nothing if that is empty.
    Text(&'a str),
    /// More than one, of which none is chosen.
    Several,
}

impl<'a> From<&'a str> for Presented<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// A key as the caller sent it. Its text leaves this type only as a digest.
pub struct PresentedKey<'a>(&'a str);

/// A text that cannot be a key: it has our brand, but not our form or checksum, or it is too long.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a key: its form or checksum is wrong")]
pub struct MalformedKey;

impl<'a> PresentedKey<'a> {
    /// Checks form and checksum, so that noise and typing errors never cost a digest.
    /// A text of another brand passes as it is: imported keys have any form.
    pub fn parse(text: &'a str, brand: &Brand) -> Result<Self, MalformedKey> {
        if text.len() > PRESENTED_BYTES_MAX {
            return Err(MalformedKey);
        }
        let Some(rest) = brand.strip(text) else {
            return Ok(Self(text));
        };
        let (tag, body) = rest.split_once('_').ok_or(MalformedKey)?;
        if !is_tag(tag) || body.len() != RANDOM_CHARS + CHECKSUM_CHARS {
            return Err(MalformedKey);
        }
        // all of them, which is quicker than to stop at the first
        if !body.bytes().fold(true, |fits, byte| fits & byte.is_ascii_alphanumeric()) {
            return Err(MalformedKey);
        }
        let (signed, checksum) = text.split_at(text.len() - CHECKSUM_CHARS);
        if checksum.as_bytes() == checksum_of(signed) { Ok(Self(text)) } else { Err(MalformedKey) }
    }

    /// The form in which this key is stored and looked up.
    pub fn digest(&self, pepper: &Pepper) -> Digest {
        pepper.digest(self.0)
    }

    /// What [`Pepper::digest_of_sha256`] makes the same form of, for several peppers.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedKey(..)")
    }
}

/// A token that was just made. It is shown once and then gone: this copy of it is wiped.
pub struct Token(Zeroizing<String>);

/// The system gave no random bytes.
#[derive(Debug, Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

impl Token {
    /// Makes `brand_tag_` + 32 random characters + checksum.
    pub fn generate(
        brand: &Brand,
        tag: &EnvironmentTag,
        random: &dyn SecureRandom,
    ) -> Result<Self, NoRandomness> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(&brand.0);
        text.push('_');
        text.push_str(tag.as_str());
        text.push('_');
        let mut left = RANDOM_CHARS;
        while left > 0 {
            let mut byte = [0];
            random.fill(&mut byte).map_err(|ring::error::Unspecified| NoRandomness)?;
            let [byte] = byte;
            // 248 = 4 * 62: above it, the first letters would come up more often than the others
            let digit = (byte < 248).then(|| BASE62.get(usize::from(byte % 62))).flatten();
            if let Some(digit) = digit {
                text.push(char::from(*digit));
                left -= 1;
            }
        }
        let checksum = checksum_of(&text);
        text.extend(checksum.map(char::from));
        Ok(Self(text))
    }

    /// The form in which this token is stored.
    pub fn digest(&self, pepper: &Pepper) -> Digest {
        pepper.digest(&self.0)
    }

    /// What lists may show of it.
    pub fn hint(&self) -> Hint {
        let shown = self.0.len() - (RANDOM_CHARS - HINT_CHARS) - CHECKSUM_CHARS;
        let (head, tail) = (self.0.get(..shown), self.0.get(self.0.len() - 4..));
        Hint(format!("{}…{}", head.unwrap_or_default(), tail.unwrap_or_default()).into())
    }

    /// The text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// CRC-32 (ISO-HDLC) in base62, as GitHub's tokens have it.
fn checksum_of(text: &str) -> [u8; CHECKSUM_CHARS] {
    let mut rest = usize::try_from(crc32fast::hash(text.as_bytes())).unwrap_or(0);
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get(rest % 62).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

/// The secret that digests are keyed with. Whoever reads the database without it can neither test
/// guesses nor plant keys.
pub struct Pepper {
    key: Hmac<Sha256>,
    id: PepperId,
}

/// A pepper that is too short to be one.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be at least 32 bytes, e.g. the output of `openssl rand -base64 32`")]
pub struct InvalidPepper;

impl Pepper {
    /// Takes the bytes as they are; white space at either end does not count.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidPepper> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < PEPPER_BYTES_MIN {
            return Err(InvalidPepper);
        }
        let key = Hmac::new_from_slice(bytes).or(Err(InvalidPepper))?;
        let id = PepperId::of_verifier(&sign(&key, VERIFIED));
        Ok(Self { key, id })
    }

    /// What it is called.
    pub const fn id(&self) -> PepperId {
        self.id
    }

    /// `HMAC-SHA256(pepper, SHA-256(token))`: with SHA-256 inside, keys of systems that stored a
    /// plain SHA-256 can be imported.
    fn digest(&self, token: &str) -> Digest {
        Digest(self.sign(&Sha256::digest(token)))
    }

    /// The same of a token of which only its SHA-256 is known.
    pub fn digest_of_sha256(&self, sha256: &[u8; 32]) -> Digest {
        Digest(self.sign(sha256))
    }

    /// What the database keeps to recognise this pepper: of no use to whoever reads it.
    pub fn verifier(&self) -> [u8; 32] {
        self.sign(VERIFIED)
    }

    /// What the key alone comes to is kept, so that two blocks of SHA-256 are left to do.
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        sign(&self.key, message)
    }
}

fn sign(key: &Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    key.clone().chain_update(message).finalize().into_bytes().into()
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// The stored form of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// What lists show of a token: its beginning, `…` and its last four characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint(Box<str>);

/// A text that lists cannot show of a token.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be {HINT_CHARS_MAX} characters at most, none of them a control character")]
pub struct InvalidHint;

impl Hint {
    /// What others say that lists may show; may be empty.
    pub fn parse(text: &str) -> Result<Self, InvalidHint> {
        let fits = text.chars().count() <= HINT_CHARS_MAX && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.into())) } else { Err(InvalidHint) }
    }

    /// Of a token of another system: its first and last four characters if enough remains hidden, or
    /// nothing.
    pub fn of_foreign(token: &str) -> Self {
        let chars: Vec<char> = token.chars().filter(|char| !char.is_control()).collect();
        match (chars.first_chunk::<4>(), chars.last_chunk::<4>()) {
            (Some(head), Some(tail)) if chars.len() >= FOREIGN_CHARS_MIN => {
                let shown = head.iter().chain(&['…']).chain(tail);
                Self(shown.collect::<String>().into())
            }
            _ => Self::default(),
        }
    }

    /// From stored text.
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
