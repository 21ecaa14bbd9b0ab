//! A client that sends what it is told, in the pieces that it is told.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Method, Request};
use keyward::rpc::pb::{AuthorizeRequest, AuthorizeResponse};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    TIME_MAX,
    client::{may_read, verdict},
};

pub(super) const ONE: &str = "/keyward.v1.Authorize/Authorize";

/// Writes a few bytes at a time, and lets others run after each.
pub(super) struct Crumbs {
    stream: TcpStream,
    bytes: usize,
    paused: bool,
}

impl AsyncRead for Crumbs {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Crumbs {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.paused = !self.paused;
        if self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let some = &bytes[..bytes.len().min(self.bytes)];
        Pin::new(&mut self.stream).poll_write(context, some)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection whose client writes so many bytes at a time.
pub(super) async fn crumbling(at: SocketAddr, bytes: usize) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(at).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // by its window this client decides how many small answers it takes at a time
    let mut builder = Builder::new();
    let builder = builder.initial_connection_window_size(1 << 20);
    let crumbs = Crumbs { stream, bytes, paused: false };
    let (requests, connection) = builder.handshake(crumbs).await.unwrap();
    tokio::spawn(connection);
    requests
}

/// A connection.
pub(super) async fn connected(at: SocketAddr) -> SendRequest<Bytes> {
    crumbling(at, usize::MAX).await
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// Its body, frame by frame.
    pub(super) frames: Vec<Vec<u8>>,
    /// Whether it ends with an empty frame of its own.
    pub(super) ends_apart: bool,
    /// Whether it ends with trailers.
    pub(super) has_trailers: bool,
}

/// A message as gRPC frames it.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

impl Raw {
    /// A plain request with this message.
    pub(super) fn of(request: &AuthorizeRequest) -> Self {
        Self {
            method: Method::POST,
            path: ONE.into(),
            headers: vec![("content-type", "application/grpc".into()), ("te", "trailers".into())],
            frames: vec![framed(&request.encode_to_vec())],
            ends_apart: false,
            has_trailers: false,
        }
    }

    /// A plain request about a key that nobody knows.
    pub(super) fn plain() -> Self {
        Self::of(&may_read("unheard-of"))
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn frames(self, frames: &[&[u8]]) -> Self {
        Self { frames: frames.iter().map(|frame| frame.to_vec()).collect(), ..self }
    }

    pub(super) fn head(&self, at: SocketAddr) -> Request<()> {
        let mut request =
            Request::builder().method(self.method.clone()).uri(format!("http://{at}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(()).unwrap()
    }

    /// Sends it and waits for all of its answer.
    pub(super) async fn ask(
        &self,
        requests: &SendRequest<Bytes>,
        at: SocketAddr,
    ) -> Result<Answer, h2::Error> {
        let mut requests = requests.clone().ready().await?;
        let is_bare = self.frames.is_empty() && !self.ends_apart && !self.has_trailers;
        let (response, mut body) = requests.send_request(self.head(at), is_bare)?;
        if !is_bare {
            let last = self.frames.len().wrapping_sub(1);
            for (number, frame) in self.frames.iter().enumerate() {
                let is_end = number == last && !self.ends_apart && !self.has_trailers;
                // who was refused already is not interested in the rest
                drop(body.send_data(Bytes::copy_from_slice(frame), is_end));
            }
            if self.has_trailers {
                drop(body.send_trailers(HeaderMap::new()));
            } else if self.ends_apart {
                drop(body.send_data(Bytes::new(), true));
            }
        }
        timeout(TIME_MAX, Answer::read(response)).await.expect("an answer or an end")
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) http_status: u16,
    pub(super) content_type: Option<String>,
    pub(super) grpc_status: Option<String>,
    pub(super) grpc_message: Option<String>,
    pub(super) verdicts: Vec<String>,
}

impl Answer {
    /// Reads an answer to its end.
    pub(super) async fn read(response: h2::client::ResponseFuture) -> Result<Self, h2::Error> {
        let (head, mut body) = response.await?.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            bytes.extend_from_slice(&data);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        let text = |headers: &HeaderMap, name: &str| {
            headers.get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let either = |name: &str| text(&head.headers, name).or_else(|| text(&trailers, name));
        let mut verdicts = Vec::new();
        while !bytes.is_empty() {
            let frame = bytes.split_to(5);
            assert_eq!(frame[0], 0, "not compressed");
            let length = u32::from_be_bytes(frame[1..].try_into().unwrap());
            let message = bytes.split_to(length.try_into().unwrap());
            verdicts.push(verdict(&AuthorizeResponse::decode(message).unwrap()));
        }
        Ok(Self {
            http_status: head.status.as_u16(),
            content_type: text(&head.headers, "content-type"),
            grpc_status: either("grpc-status"),
            grpc_message: either("grpc-message"),
            verdicts,
        })
    }

    /// Whether it says what is said of a key that nobody knows.
    pub(super) fn is_unknown(&self) -> bool {
        self.grpc_status.as_deref() == Some("0") && self.verdicts == ["401 KEY_UNKNOWN"]
    }
}
