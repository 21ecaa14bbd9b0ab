//! gRPC without a service: an HTTP/2 upstream that says what it got, and a client to see how a
//! proxy answers.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::{client, server};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{Record, Seen};
use crate::support::{TIME_MAX, http1::Head};

/// An HTTP/2 server on loopback that answers each call with OK and no message.
pub(crate) struct GrpcUpstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Record,
    serving: AbortHandle,
}

impl GrpcUpstream {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Record::default();
        let record = Record::clone(&seen);
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Record::clone(&record)));
            }
        });
        Self { address, seen, serving: serving.abort_handle() }
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for GrpcUpstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, record: Record) {
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let first = format!("{} {path} HTTP/2", request.method()).into_bytes();
        let fields = fields(request.headers());
        let seen = Seen { head: Head { first, fields }, body: Vec::new() };
        record.lock().unwrap().push(seen);
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let Ok(mut stream) = answer.send_response(head, false) else { return };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        drop(stream.send_trailers(trailers));
    }
}

fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// How a call of gRPC ended.
#[derive(Debug)]
pub(crate) struct GrpcAnswer {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The fields before the body.
    pub(crate) head: HeaderMap,
    /// The fields after the body; `None` if the answer had none.
    pub(crate) trailers: Option<HeaderMap>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl GrpcAnswer {
    /// The value of a field before the body; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.head.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Calls a method over HTTP/2 with these further fields and an empty message.
pub(crate) async fn call(at: SocketAddr, path: &str, fields: &[(&str, &str)]) -> GrpcAnswer {
    timeout(TIME_MAX, answer(at, path, fields)).await.expect("an answer in time")
}

async fn answer(at: SocketAddr, path: &str, fields: &[(&str, &str)]) -> GrpcAnswer {
    let stream = TcpStream::connect(at).await.unwrap();
    let (requests, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://api.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut requests = requests.ready().await.unwrap();
    let (answer, mut body) = requests.send_request(request.body(()).unwrap(), false).unwrap();
    // a denial may come before the message is sent
    drop(body.send_data(Bytes::from_static(&[0; 5]), true));
    let (head, mut incoming) = answer.await.unwrap().into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        body.extend(data.unwrap());
    }
    let trailers = incoming.trailers().await.unwrap();
    GrpcAnswer { status: head.status.as_u16(), head: head.headers, trailers, body }
}
