//! Reads what Envoy asks, where it lies. Bytes stay bytes: what a client sent need not be text, and that
//! must not be an error, which a proxy may be told to take for an allowance.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::{
    proxy::{Field, Inquiry},
    rpc::wire::read::{Rest, Value},
};

/// What Envoy asks.
#[derive(Default)]
pub(super) struct Check<'a> {
    method: &'a [u8],
    target: &'a [u8],
    fields: SmallVec<[Field<'a>; 32]>,
    peer: &'a [u8],
    /// What Envoy's configuration says of the route.
    pub(super) context: SmallVec<[(&'a str, &'a str); 8]>,
}

/// Reads a nested message: the numbers of its fields and what they hold.
fn each<'a>(message: &'a [u8], mut take: impl FnMut(u64, &'a [u8]) -> Option<()>) -> Option<()> {
    let mut rest = Rest(message);
    while !rest.0.is_empty() {
        // no field that is looked at is of another kind
        if let (number, Value::Bytes(bytes)) = rest.field()? {
            take(number, bytes)?;
        }
    }
    Some(())
}

impl<'a> Check<'a> {
    /// Reads a `CheckRequest`; `None` if it is none, or written as Envoy never does.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let mut check = Self::default();
        each(message, |number, bytes| match number {
            1 => check.attributes(bytes),
            _ => Some(()),
        })?;
        Some(check)
    }

    /// The request, in terms of no proxy in particular.
    pub(super) fn into_inquiry(self) -> Inquiry<'a> {
        Inquiry {
            method: str::from_utf8(self.method).unwrap_or_default(),
            target: self.target,
            fields: self.fields,
            peer: str::from_utf8(self.peer).ok().and_then(|text| text.parse::<IpAddr>().ok()),
        }
    }

    fn attributes(&mut self, message: &'a [u8]) -> Option<()> {
        each(message, |number, bytes| match number {
            // source: address: socket_address: address
            1 => each(bytes, |number, bytes| match number {
                1 => each(bytes, |number, bytes| match number {
                    1 => each(bytes, |number, bytes| {
                        if number == 2 {
                            self.peer = bytes;
                        }
                        Some(())
                    }),
                    _ => Some(()),
                }),
                _ => Some(()),
            }),
            // request: http
            4 => each(bytes, |number, bytes| match number {
                2 => self.http(bytes),
                _ => Some(()),
            }),
            10 => {
                let (name, value) = pair(bytes)?;
                self.context.push((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?));
                Some(())
            }
            _ => Some(()),
        })
    }

    fn http(&mut self, message: &'a [u8]) -> Option<()> {
        each(message, |number, bytes| {
            match number {
                2 => self.method = bytes,
                3 => self.fields.push(field(bytes)?),
                4 => self.target = bytes,
                13 => each(bytes, |number, bytes| {
                    if number == 1 {
                        self.fields.push(field(bytes)?);
                    }
                    Some(())
                })?,
                _ => {}
            }
            Some(())
        })
    }
}

fn field(message: &[u8]) -> Option<Field<'_>> {
    pair(message).map(|(name, value)| (name, value.trim_ascii()))
}

/// A name and a value: an entry of a map, or a `HeaderValue`, whose value may be in another field.
fn pair(message: &[u8]) -> Option<Field<'_>> {
    let (mut name, mut value): Field<'_> = Default::default();
    each(message, |number, bytes| {
        match number {
            1 => name = bytes,
            2 | 3 => value = bytes,
            _ => {}
        }
        Some(())
    })?;
    Some((name, value))
}
