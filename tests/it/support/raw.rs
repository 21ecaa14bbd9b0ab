//! Requests byte by byte, for what a generated client cannot send.

use keyward::rpc::pb;
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

/// One field of a message whose value has a length: a text, bytes or a message.
pub(crate) fn field(number: u8, value: &[u8]) -> Vec<u8> {
    assert!(number < 16 && value.len() < 128, "one byte each");
    let length = u8::try_from(value.len()).unwrap();
    [&[number << 3 | 2, length], value].concat()
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
    let mut request = Request::new(bytes);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let response = client.unary(request, path, Bytes).await?;
    Ok(response.into_inner())
}

struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = pb::CreateKeyResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = pb::CreateKeyResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        Ok(Some(prost::Message::decode(buffer).unwrap()))
    }
}
