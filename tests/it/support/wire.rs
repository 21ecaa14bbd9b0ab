//! HTTP/2 without a gRPC client on top: to see what becomes of each request.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::{SendRequest, handshake};
use http::Request;
use keyward::rpc::pb::AuthorizeResponse;
use prost::Message;
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Connection(SendRequest<Bytes>);

impl Connection {
    /// Connects.
    pub(crate) async fn open(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        let (requests, connection) = handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    /// Sends a request; `None` if the connection takes no more. The future is its answer, or why
    /// there is none.
    pub(crate) async fn call<M: Message>(
        &mut self,
        method: &str,
        message: &M,
    ) -> Option<impl Future<Output = Result<AuthorizeResponse, h2::Error>> + Send + use<M>> {
        let mut requests = self.0.clone().ready().await.ok()?;
        let request = Request::post(format!("http://keyward{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut body) = requests.send_request(request, false).ok()?;
        body.send_data(framed(message), true).ok()?;
        Some(async move {
            let mut answer = answer.await?.into_body();
            let mut bytes = BytesMut::new();
            while let Some(data) = answer.data().await {
                let data = data?;
                answer.flow_control().release_capacity(data.len())?;
                bytes.put(data);
            }
            let trailers = answer.trailers().await?.expect("gRPC ends with trailers");
            assert_eq!(trailers.get("grpc-status").unwrap(), "0");
            bytes.advance(5);
            Ok(AuthorizeResponse::decode(bytes).unwrap())
        })
    }
}

/// A message as gRPC frames it: not compressed, its length, its bytes.
fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut bytes).unwrap();
    bytes.freeze()
}
