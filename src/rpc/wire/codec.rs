//! The codecs of `Authorize`: requests stay the bytes that they came as, answers become bytes.

use std::{fmt, marker::PhantomData};

use bytes::{Buf, BufMut, Bytes};
use prost::{DecodeError, Message};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{answer::Answer, read::Asked};
use crate::rpc::{
    codec::{BUFFER_BYTES, YIELD_BYTES},
    pb, status,
};

/// A request of a method. Holds secrets, the keys.
pub enum Asking<E: Exchange> {
    /// As it came, and found to be readable.
    Plain(Bytes),
    /// One that only prost could read.
    Strange(E::Request),
}

impl<E: Exchange> fmt::Debug for Asking<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking(..)")
    }
}

impl<E: Exchange> Asking<E> {
    /// Makes sure that a request can be read, or says why it cannot.
    pub fn check(request: Bytes) -> Result<Self, DecodeError> {
        if E::is_plain(&request) {
            return Ok(Self::Plain(request));
        }
        E::Request::decode(request).map(Self::Strange)
    }
}

// What is plain was read once already. If it could not be read now it would be empty, which is refused.

impl Asking<One> {
    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        match self {
            Self::Plain(request) => Asked::read(request).unwrap_or_default(),
            Self::Strange(request) => request.into(),
        }
    }
}

impl Asking<Batch> {
    /// What is asked, one after the other.
    pub fn asked(&self) -> Vec<Asked<'_>> {
        match self {
            Self::Plain(request) => Asked::read_batch(request).unwrap_or_default(),
            Self::Strange(batch) => batch.requests.iter().map(Asked::from).collect(),
        }
    }
}

/// What goes in and out of a method.
pub trait Exchange: Send + 'static {
    /// What is asked.
    type Request: Message + Default;
    /// What is answered.
    type Answer: Send + 'static;

    /// Whether a request can be read without prost.
    fn is_plain(request: &[u8]) -> bool;

    /// Writes an answer at the end of a buffer.
    fn write(answer: &Self::Answer, buffer: &mut Vec<u8>);
}

/// `AuthorizeRequest` and `AuthorizeResponse`.
#[derive(Debug)]
pub struct One;

impl Exchange for One {
    type Request = pb::AuthorizeRequest;
    type Answer = Answer;

    fn is_plain(request: &[u8]) -> bool {
        Asked::read(request).is_some()
    }

    fn write(answer: &Answer, buffer: &mut Vec<u8>) {
        answer.write(buffer);
    }
}

/// `BatchAuthorizeRequest` and `BatchAuthorizeResponse`.
#[derive(Debug)]
pub struct Batch;

impl Exchange for Batch {
    type Request = pb::BatchAuthorizeRequest;
    /// What is written already: answers are not kept for longer than a few others take.
    type Answer = Vec<u8>;

    fn is_plain(request: &[u8]) -> bool {
        Asked::read_batch(request).is_some()
    }

    fn write(answers: &Vec<u8>, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(answers);
    }
}

/// The codec of a method.
#[derive(Debug)]
pub struct WireCodec<E>(PhantomData<E>);

impl<E> Default for WireCodec<E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<E: Exchange> Codec for WireCodec<E> {
    type Encode = E::Answer;
    type Decode = Asking<E>;
    type Encoder = WireEncoder<E>;
    type Decoder = WireDecoder<E>;

    fn encoder(&mut self) -> WireEncoder<E> {
        WireEncoder { exchange: PhantomData, written: Vec::new() }
    }

    fn decoder(&mut self) -> WireDecoder<E> {
        WireDecoder(PhantomData)
    }
}

/// Encodes the answers of a method.
#[derive(Debug)]
pub struct WireEncoder<E> {
    exchange: PhantomData<E>,
    /// What was written last; its room is used again.
    written: Vec<u8>,
}

impl<E: Exchange> Encoder for WireEncoder<E> {
    type Item = E::Answer;
    type Error = Status;

    fn encode(&mut self, answer: E::Answer, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.written.clear();
        E::write(&answer, &mut self.written);
        buffer.put_slice(&self.written);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// Checks the requests of a method.
#[derive(Debug)]
pub struct WireDecoder<E>(PhantomData<E>);

impl<E: Exchange> Decoder for WireDecoder<E> {
    type Item = Asking<E>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Asking<E>>, Status> {
        let request = buffer.copy_to_bytes(buffer.remaining());
        Asking::check(request).map(Some).map_err(|error| status::undecodable(&error))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
