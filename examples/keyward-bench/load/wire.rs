//! HTTP/2 (RFC 9113) as far as a client needs it that only asks: frames and settings.

use anyhow::{Result, ensure};

/// How every connection begins.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const FRAME_HEAD_BYTES: usize = 9;
/// The largest payload that either side sends, since neither asks for another one.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// The largest window that there is.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The window that each side begins with.
pub const WINDOW_AT_START: u32 = 65_535;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY: u8 = 0x20;

pub const SETTING_PUSH: u16 = 2;
pub const SETTING_STREAMS_MAX: u16 = 3;
pub const SETTING_WINDOW: u16 = 4;

/// A frame that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame of `bytes`, and how many of them it takes. None: it has not arrived whole.
    pub fn split(bytes: &'a [u8]) -> Result<Option<(Self, usize)>> {
        let Some(&[high, middle, low, kind, flags, ref stream @ ..]) =
            bytes.first_chunk::<FRAME_HEAD_BYTES>()
        else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low]))?;
        ensure!(length <= PAYLOAD_BYTES_MAX, "a frame of {length} bytes, which nobody asked for");
        let end = FRAME_HEAD_BYTES + length;
        let Some(payload) = bytes.get(FRAME_HEAD_BYTES..end) else {
            return Ok(None);
        };
        let stream = u32::from_be_bytes(*stream) & WINDOW_MAX;
        Ok(Some((Self { kind, flags, stream, payload }, end)))
    }

    /// Whether a flag is set.
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The number that a payload begins with.
    pub fn number(&self) -> Result<u32> {
        let bytes = self.payload.first_chunk();
        ensure!(bytes.is_some(), "a frame of kind {} is too short", self.kind);
        Ok(u32::from_be_bytes(bytes.copied().unwrap_or_default()))
    }
}

/// Appends the head of a frame.
pub fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a `WINDOW_UPDATE`; stream 0 is the connection.
pub fn put_window(out: &mut Vec<u8>, stream: u32, more: u32) {
    put_head(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&more.to_be_bytes());
}

/// How a client begins: no pushes, and windows that never make a server wait.
pub fn greeting() -> Vec<u8> {
    let mut out = PREFACE.to_vec();
    put_head(&mut out, 12, SETTINGS, 0, 0);
    for (setting, value) in [(SETTING_PUSH, 0), (SETTING_WINDOW, WINDOW_MAX)] {
        out.extend_from_slice(&setting.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    put_window(&mut out, 0, WINDOW_MAX - WINDOW_AT_START);
    out
}

/// A text without Huffman coding (RFC 7541, 5.2); all of ours have less than 127 bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 127, "a field is too long: {text}");
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_seen_when_its_last_byte_has_arrived_and_not_before() {
        let mut bytes = Vec::new();
        put_head(&mut bytes, 3, DATA, END_STREAM, 5);
        bytes.extend_from_slice(b"abc");
        put_window(&mut bytes, 0, 7);
        for length in 0..12 {
            assert_eq!(Frame::split(&bytes[..length]).unwrap(), None, "{length}");
        }
        let (frame, taken) = Frame::split(&bytes).unwrap().unwrap();
        assert_eq!(frame, Frame { kind: DATA, flags: END_STREAM, stream: 5, payload: b"abc" });
        let (frame, rest) = Frame::split(&bytes[taken..]).unwrap().unwrap();
        assert_eq!((frame.kind, frame.number().unwrap()), (WINDOW_UPDATE, 7));
        assert_eq!(taken + rest, bytes.len());
    }

    #[test]
    fn a_frame_that_is_too_large_is_an_error() {
        let mut bytes = Vec::new();
        put_head(&mut bytes, PAYLOAD_BYTES_MAX + 1, DATA, 0, 1);
        assert!(Frame::split(&bytes).is_err());
    }
}
