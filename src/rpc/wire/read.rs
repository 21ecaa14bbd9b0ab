//! Reads requests without copying them.
//!
//! This reader knows what clients send. Whatever else is protobuf too (groups, numbers that are longer
//! than they need be, fields of another kind than ours) it leaves to prost, and so it does with what
//! is not protobuf at all. So prost alone says what is wrong and what strange messages mean.

use std::{fmt, str};

use prost::Message;

use crate::rpc::pb;

const NUMBER: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const WITH_LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;
/// Field numbers have 29 bits, and 3 more say of which kind the value is.
const KEY_MAX: u64 = 0xffff_ffff;

/// A request, borrowed from its message. The fields are those of [`pb::AuthorizeRequest`].
#[derive(Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are documented where the protocol is")]
pub struct Asked<'a> {
    pub key: &'a str,
    pub environment: &'a str,
    pub route: &'a str,
    pub permission: &'a str,
    pub method: &'a str,
    pub mode: i32,
    pub min_revision: i64,
    pub customer: &'a str,
    pub client_address: &'a str,
    pub explain: bool,
    pub cost: Option<i64>,
    pub reservation_ttl: Option<prost_types::Duration>,
}

/// Without the key, which is a secret, and so without the rest.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

impl<'a> From<&'a pb::AuthorizeRequest> for Asked<'a> {
    fn from(request: &'a pb::AuthorizeRequest) -> Self {
        Self {
            key: &request.key,
            environment: &request.environment,
            route: &request.route,
            permission: &request.permission,
            method: &request.method,
            mode: request.mode,
            min_revision: request.min_revision,
            customer: &request.customer,
            client_address: &request.client_address,
            explain: request.explain,
            cost: request.cost,
            reservation_ttl: request.reservation_ttl,
        }
    }
}

impl<'a> Asked<'a> {
    /// Reads a [`pb::AuthorizeRequest`]; `None` if that is for prost to do.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut asked = Self::default();
        let mut rest = Rest(message);
        while !rest.0.is_empty() {
            match rest.field()? {
                (1, Value::Bytes(bytes)) => asked.key = text(bytes)?,
                (2, Value::Bytes(bytes)) => asked.environment = text(bytes)?,
                (3, Value::Bytes(bytes)) => asked.route = text(bytes)?,
                (4, Value::Bytes(bytes)) => asked.permission = text(bytes)?,
                (5, Value::Bytes(bytes)) => asked.method = text(bytes)?,
                (6, Value::Number(number)) => asked.mode = low_half(number),
                (7, Value::Number(number)) => asked.min_revision = number.cast_signed(),
                (8, Value::Bytes(bytes)) => asked.customer = text(bytes)?,
                (9, Value::Bytes(bytes)) => asked.client_address = text(bytes)?,
                (10, Value::Number(number)) => asked.explain = number != 0,
                (11, Value::Number(number)) => asked.cost = Some(number.cast_signed()),
                (12, Value::Bytes(bytes)) => {
                    asked.reservation_ttl.get_or_insert_default().merge(bytes).ok()?;
                }
                (1..=12, _) => return None,
                (_unknown, _) => {}
            }
        }
        Some(asked)
    }

    /// Reads a [`pb::BatchAuthorizeRequest`]; `None` if that is for prost to do.
    pub fn read_batch(message: &'a [u8]) -> Option<Vec<Self>> {
        let mut batch = Vec::new();
        let mut rest = Rest(message);
        while !rest.0.is_empty() {
            match rest.field()? {
                (1, Value::Bytes(bytes)) => batch.push(Self::read(bytes)?),
                (1, _) => return None,
                (_unknown, _) => {}
            }
        }
        Some(batch)
    }
}

/// What a field holds.
pub(in crate::rpc) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, of which none of our fields is.
    Fixed,
}

/// What is left of a message.
pub(in crate::rpc) struct Rest<'a>(pub(in crate::rpc) &'a [u8]);

impl<'a> Rest<'a> {
    /// The next field; `None` if it is for prost to read.
    pub(in crate::rpc) fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.number().filter(|key| (8..=KEY_MAX).contains(key))?;
        let value = match key & 7 {
            NUMBER => Value::Number(self.number()?),
            WITH_LENGTH => {
                let length = self.number()?;
                Value::Bytes(self.bytes(usize::try_from(length).ok()?)?)
            }
            EIGHT_BYTES => self.bytes(8).map(|_value| Value::Fixed)?,
            FOUR_BYTES => self.bytes(4).map(|_value| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }

    /// A number of up to 64 bits, seven in a byte, the lowest first (a varint).
    fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if *first < 0x80 {
            self.0 = rest;
            return Some(u64::from(*first));
        }
        let mut number = 0;
        for (place, byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if place == 9 && *byte > 1 {
                return None;
            }
            number |= bits << (7 * place);
            if *byte < 0x80 {
                self.0 = self.0.get(place + 1..)?;
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

/// Numbers of 32 bits are sent as if they had 64; what is too large loses its upper half.
const fn low_half(number: u64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
