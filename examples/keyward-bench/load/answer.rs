//! What must be read of answers: gRPC's frames of messages, and one field of the messages.

/// The flag and length before each message.
pub const PREFIX_BYTES: usize = 5;
/// `AuthorizeResponse.http_status`.
const HTTP_STATUS: u64 = 2;
/// `BatchAuthorizeResponse.responses`.
const RESPONSES: u64 = 1;

/// The first message of `bytes`, which begin with its prefix, and how many of them it takes. None: it
/// has not arrived whole.
pub fn split_message(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let &[_, a, b, c, d] = bytes.first_chunk::<PREFIX_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    let end = PREFIX_BYTES + length;
    Some((bytes.get(PREFIX_BYTES..end)?, end))
}

/// The status of one answer; 0 if it has none.
pub fn http_status(message: &[u8]) -> u16 {
    let found = fields(message).find(|(number, _)| *number == HTTP_STATUS);
    match found {
        Some((_, Value::Number(status))) => u16::try_from(status).unwrap_or(0),
        Some((_, Value::Bytes(_))) | None => 0,
    }
}

/// The answers of a batch.
pub fn responses(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(|(number, value)| match value {
        Value::Bytes(bytes) if number == RESPONSES => Some(bytes),
        Value::Bytes(_) | Value::Number(_) => None,
    })
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message up to its end, or to the first that cannot be read.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = number(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(number(&mut rest)?),
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(bytes)
            }
            _ => return None, // our answers have no other kinds
        };
        Some((tag >> 3, value))
    })
}

/// A number of seven bits a byte.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for position in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use keyward::rpc::pb::{AuthorizeResponse, BatchAuthorizeResponse};
    use prost::Message;

    use super::*;

    #[test]
    fn the_status_is_read_as_it_was_written() {
        for (allowed, status) in [(true, 200_u16), (false, 429), (false, 0)] {
            let answer = AuthorizeResponse {
                allowed,
                http_status: status.into(),
                key_id: "key".into(),
                ..Default::default()
            };
            assert_eq!(http_status(&answer.encode_to_vec()), status);
            let batch = BatchAuthorizeResponse { responses: vec![answer; 3] }.encode_to_vec();
            assert!(responses(&batch).map(http_status).eq([status; 3]));
        }
    }

    #[test]
    fn a_message_is_seen_when_it_is_whole() {
        let bytes = [0, 0, 0, 0, 2, 8, 1, 9];
        assert!((0..7).all(|length| split_message(&bytes[..length]).is_none()));
        assert_eq!(split_message(&bytes), Some((&[8, 1][..], 7)));
    }
}
