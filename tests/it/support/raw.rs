//! Requests byte by byte, for what a generated client cannot send.

use bytes::{Buf, BufMut, Bytes};
use keyward::rpc::pb;
use prost::{
    Message,
    encoding::{WireType, encode_key},
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

/// One field of a message whose value has a length: a text, bytes or a message.
pub(crate) fn field(number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    prost::encode_length_delimiter(value.len(), &mut bytes).unwrap();
    bytes.extend(value);
    bytes
}

/// Calls a method of `KeyAdmin` with these bytes and reads its answer as a [`pb::CreateKeyResponse`],
/// which has the shape of most.
pub(crate) async fn call(
    channel: Channel,
    token: &str,
    method: &str,
    bytes: Vec<u8>,
) -> Result<pb::CreateKeyResponse, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = format!("/keyward.v1.KeyAdmin/{method}");
    let path = PathAndQuery::from_maybe_shared(path).unwrap();
    let mut request = Request::new(Bytes::from(bytes));
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let response = client.unary(request, path, Raw).await?;
    Ok(pb::CreateKeyResponse::decode(response.into_inner()).unwrap())
}

/// Sends and returns messages as the bytes that they are.
#[derive(Clone, Copy)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
