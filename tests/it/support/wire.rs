//! HTTP/2 without a gRPC client on top: to see what becomes of each request.

use std::{
    convert::Infallible,
    future::{pending, poll_fn},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest, handshake},
};
use http::Request;
use keyward::rpc::pb::AuthorizeResponse;
use prost::Message;
use tokio::net::TcpStream;
use tonic::Status;

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
        let (answer, mut body) = self.begin(method).await?;
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

    async fn begin(&mut self, method: &str) -> Option<(ResponseFuture, SendStream<Bytes>)> {
        let mut requests = self.0.clone().ready().await.ok()?;
        let request = Request::post(format!("http://keyward{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        requests.send_request(request, false).ok()
    }

    /// Sends one message again and again on one stream, whenever there is room for another, and
    /// takes what comes back. Says how many bytes did; the future is what the server ends it with.
    pub(crate) async fn flood<M: Message>(
        &mut self,
        method: &str,
        message: &M,
    ) -> (Arc<AtomicUsize>, impl Future<Output = Status> + Send + use<M>) {
        let (answer, body) = self.begin(method).await.unwrap();
        let messages = Bytes::from(framed(message).repeat(500));
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        let taking = async move {
            let mut answer = answer.await.unwrap().into_body();
            while let Some(data) = answer.data().await {
                let bytes = data.unwrap().len();
                answer.flow_control().release_capacity(bytes).unwrap();
                count.fetch_add(bytes, Relaxed);
            }
            let trailers = answer.trailers().await.unwrap().expect("gRPC ends with trailers");
            Status::from_header_map(&trailers).unwrap()
        };
        let end = async {
            tokio::select! {
                status = taking => status,
                never = pour(body, messages) => match never {},
            }
        };
        (answered, end)
    }
}

/// Sends these bytes over and over while the stream takes any, and never ends.
async fn pour(mut body: SendStream<Bytes>, bytes: Bytes) -> Infallible {
    let mut rest = bytes.clone();
    loop {
        body.reserve_capacity(rest.len());
        let Some(Ok(room)) = poll_fn(|context| body.poll_capacity(context)).await else {
            return pending().await;
        };
        let part = rest.split_to(room.min(rest.len()));
        if body.send_data(part, false).is_err() {
            return pending().await;
        }
        if rest.is_empty() {
            rest = bytes.clone();
        }
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
