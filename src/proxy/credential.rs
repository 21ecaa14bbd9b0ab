//! The key in a request, wherever it may be. Two of them are never one: who chose the first would choose
//! another one than the proxy, the upstream or a log does.

use std::{borrow::Cow, fmt};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{
    model::key_source::{KeySource, KeySources},
    proxy::Inquiry,
};

/// Padding is often forgotten.
const BASIC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request has for a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential<'a> {
    /// None.
    Missing,
    /// One, perhaps in several places.
    One(Cow<'a, str>),
    /// Different ones, several in one place, or one that another program could read in another way.
    Several,
}

/// Without the key, which is a secret.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "Missing",
            Self::One(_) => "One(..)",
            Self::Several => "Several",
        })
    }
}

impl<'a> Credential<'a> {
    /// Looks at all places.
    pub fn find(sources: &KeySources, inquiry: &Inquiry<'a>) -> Self {
        sources
            .iter()
            .fold(Self::Missing, |found, source| found.and(Self::in_place(source, inquiry)))
    }

    fn in_place(source: &KeySource, inquiry: &Inquiry<'a>) -> Self {
        match source {
            KeySource::Header(name) => {
                // by a comma proxies join two fields
                let is_one = |value: &[u8]| !value.contains(&b',');
                let each = inquiry.values(name).map(|value| {
                    if is_one(value) { Self::of(Cow::Borrowed(value)) } else { Self::Several }
                });
                each.fold(Self::Missing, Self::beside)
            }
            KeySource::Bearer => Self::in_authorization(inquiry, bearer),
            KeySource::Basic(user) => Self::in_authorization(inquiry, |value| basic(value, user)),
            KeySource::Query(name) => {
                let each = parameters(inquiry.query()).map(|it| Self::in_part(it, name, b';'));
                each.fold(Self::Missing, Self::beside)
            }
            KeySource::Cookie(name) => {
                let parts = inquiry.values("cookie").flat_map(cookies);
                let each = parts.map(|it| match Self::in_part(it, name, b',') {
                    Self::One(key) if key.starts_with('"') => Self::Several,
                    found => found,
                });
                each.fold(Self::Missing, Self::beside)
            }
        }
    }

    /// What one parameter or cookie has. A name that only another program would read as the one that is
    /// looked for, no proxy would take away.
    fn in_part(part: &'a [u8], name: &str, other_separator: u8) -> Self {
        if is_hidden(part, name, other_separator) {
            return Self::Several;
        }
        let (given, value) = split(part);
        if given == name.as_bytes() { Self::of(unescaped(value)) } else { Self::Missing }
    }

    fn in_authorization(
        inquiry: &Inquiry<'a>,
        read: impl Fn(&'a [u8]) -> Option<Cow<'a, [u8]>>,
    ) -> Self {
        let fields = inquiry.values("authorization");
        let each = fields.map(|value| {
            let mut parts = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            let first = parts.next().unwrap_or_default();
            // `Digest a=b, c=d` has commas of its own; `Basic a,Bearer b` were two fields
            if parts.any(|part| read(part).is_some()) {
                return Self::Several;
            }
            match read(first) {
                Some(_) if first.len() < value.trim_ascii().len() => Self::Several,
                Some(key) => Self::of(key),
                None => Self::Missing,
            }
        });
        let found = each.fold(Self::Missing, Self::beside);
        let is_alone = inquiry.values("authorization").nth(1).is_none();
        if is_alone || found == Self::Missing { found } else { Self::Several }
    }

    /// Nothing at all is no key.
    fn of(value: Cow<'a, [u8]>) -> Self {
        let text = match value {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes.trim_ascii()),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(bytes.trim_ascii()).into()),
        };
        if text.is_empty() { Self::Missing } else { Self::One(text) }
    }

    /// Two values in one place are two keys, also if they are equal.
    fn beside(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, found) | (found, Self::Missing) => found,
            _ => Self::Several,
        }
    }

    /// The same key may be in two places.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, found) | (found, Self::Missing) => found,
            (Self::One(one), Self::One(same)) if one == same => Self::One(one),
            _ => Self::Several,
        }
    }
}

/// What follows a scheme (RFC 9110, 11.4), of which letters are of any case.
fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (given.eq_ignore_ascii_case(scheme) && ends).then(|| rest.trim_ascii())
}

fn bearer(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    after_scheme(value, b"bearer").map(Cow::Borrowed)
}

/// The password of this user; `None` if it is of another.
fn basic<'a>(value: &'a [u8], user: &str) -> Option<Cow<'a, [u8]>> {
    let decoded = BASIC.decode(after_scheme(value, b"basic")?).ok()?;
    let password = decoded.strip_prefix(user.as_bytes())?.strip_prefix(b":")?;
    Some(Cow::Owned(password.to_vec()))
}

/// Whether a value of an `Authorization` field is a key by one of these sources.
pub(super) fn is_key(value: &[u8], sources: &KeySources) -> bool {
    sources.iter().any(|source| match source {
        KeySource::Bearer => bearer(value).is_some(),
        KeySource::Basic(user) => basic(value, user).is_some(),
        KeySource::Header(_) | KeySource::Query(_) | KeySource::Cookie(_) => false,
    })
}

/// The parameters of a query, as they are written.
pub(super) fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|byte| *byte == b'&')
}

/// The cookies of a field (RFC 6265, 4.2.1), as they are written.
pub(super) fn cookies(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Whether a parameter or cookie is the one of this name.
pub(super) fn is_named(part: &[u8], name: &str) -> bool {
    split(part).0 == name.as_bytes()
}

fn split(part: &[u8]) -> (&[u8], &[u8]) {
    let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
    (part.get(..end).unwrap_or_default(), part.get(end + 1..).unwrap_or_default())
}

/// Whether this name is in a part for a program that takes escapes and blanks away, or that separates at
/// another byte too, and only for such a one.
fn is_hidden(part: &[u8], name: &str, other_separator: u8) -> bool {
    part.split(|byte| *byte == other_separator).enumerate().any(|(place, piece)| {
        let (given, _) = split(piece);
        let is_plain = place == 0 && given == name.as_bytes();
        !is_plain && without_escapes(given) == name.as_bytes()
    })
}

fn without_escapes(name: &[u8]) -> Vec<u8> {
    let mut plain = unescaped(name).into_owned();
    plain.retain(|byte| !matches!(byte, b' ' | b'\t' | b'+' | b'"'));
    plain
}

/// Takes escapes away, once.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |place: usize| text.get(place).and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(text.len());
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        let escaped = digit(place + 1).zip(digit(place + 2)).filter(|_| *byte == b'%');
        let code = escaped.and_then(|(high, low)| u8::try_from(16 * high + low).ok());
        plain.push(code.unwrap_or(*byte));
        place += if code.is_some() { 3 } else { 1 };
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
