//! Writes fields of messages as prost would: in the order of their numbers, without those that have
//! their default value.

use std::time::Duration;

use bytes::BufMut;

const NUMBER: u8 = 0;
const WITH_LENGTH: u8 = 2;
/// From here on a number takes more than one byte.
const TWO_BYTES: usize = 0x80;

/// A message that is being written at the end of a buffer. Fields are numbered from 1 to 15.
#[derive(Debug)]
pub(in crate::rpc) struct Writer<'a>(pub(in crate::rpc) &'a mut Vec<u8>);

impl Writer<'_> {
    /// A text that has something in it.
    pub(in crate::rpc) fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    /// Bytes, be they none or a nested message that is encoded already.
    pub(in crate::rpc) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.0.push(field << 3 | WITH_LENGTH);
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A number that is not 0.
    pub(in crate::rpc) fn number(&mut self, field: u8, number: i64) {
        if number != 0 {
            self.0.push(field << 3 | NUMBER);
            self.varint(number.cast_unsigned());
        }
    }

    /// A fact that is true.
    pub(in crate::rpc) fn fact(&mut self, field: u8, fact: bool) {
        self.number(field, i64::from(fact));
    }

    /// A `google.protobuf.Duration`.
    pub(in crate::rpc) fn duration(&mut self, field: u8, duration: Duration) {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.instant(field, seconds, i64::from(duration.subsec_nanos()));
    }

    /// A `google.protobuf.Duration` or `Timestamp`, which have the same form.
    pub(in crate::rpc) fn instant(&mut self, field: u8, seconds: i64, nanos: i64) {
        self.nested(field, |inner| {
            inner.number(1, seconds);
            inner.number(2, nanos);
        });
    }

    /// A nested message. Room for its length is left before it is known; most need one byte.
    pub(in crate::rpc) fn nested(&mut self, field: u8, write: impl FnOnce(&mut Writer<'_>)) {
        self.0.extend_from_slice(&[field << 3 | WITH_LENGTH, 0]);
        let start = self.0.len();
        write(&mut Writer(self.0));
        let length = self.0.len() - start;
        if length >= TWO_BYTES {
            let end = self.0.len();
            let more = bytes_of(length) - 1;
            self.0.put_bytes(0, more);
            self.0.copy_within(start..end, start + more);
        }
        // from before the nested message on there is room for exactly this
        if let Some(mut room) = self.0.get_mut(start - 1..) {
            put_length(&mut room, length);
        }
    }

    fn length(&mut self, length: usize) {
        put_length(self.0, length);
    }

    fn varint(&mut self, number: u64) {
        put_varint(self.0, number);
    }
}

/// How many bytes it takes to write a length.
const fn bytes_of(length: usize) -> usize {
    let mut bytes = 1;
    let mut rest = length >> 7;
    while rest != 0 {
        bytes += 1;
        rest >>= 7;
    }
    bytes
}

fn put_length(buffer: &mut impl BufMut, length: usize) {
    put_varint(buffer, u64::try_from(length).unwrap_or(u64::MAX));
}

/// Seven bits in a byte, the lowest first; all but the last have the highest bit set.
fn put_varint(buffer: &mut impl BufMut, mut number: u64) {
    while number >= 0x80 {
        let [low, ..] = number.to_le_bytes();
        buffer.put_u8(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    buffer.put_u8(low);
}
