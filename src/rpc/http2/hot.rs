//! The hot way: a plain request for one decision, of a backend or of Envoy, answered without a task, a timer
//! or a stream.

use std::{
    net::{IpAddr, SocketAddr},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use tracing::debug;

use crate::{
    model::time::Now,
    replica::TOGETHER,
    rpc::{authorize::AuthorizeServer, ext_authz::ExtAuthzServer, front::Front},
    telemetry::chain,
};

/// Before each message: whether it is compressed, and its length in four bytes.
const FRAME_BYTES: usize = 5;

static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Answers the requests of one connection.
#[derive(Debug)]
pub(super) struct Hot {
    authorize: AuthorizeServer,
    ext_authz: ExtAuthzServer,
    peer: Option<IpAddr>,
    /// Where answers are written before they are as long as they are; its room is used again.
    written: Vec<u8>,
    answered: Answered,
}

/// How many were answered since it was last noted how long they took.
#[derive(Debug, Default)]
struct Answered {
    decisions: u64,
    checks: u64,
}

/// What asks for one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `keyward.v1.Authorize/Authorize`.
    Authorize,
    /// `envoy.service.auth.v3.Authorization/Check`.
    Check,
}

/// What a request may be that asks for one decision as clients do.
pub(super) fn kind<T>(request: &Request<T>) -> Option<Kind> {
    let kind = match request.uri().path() {
        AuthorizeServer::UNARY => Kind::Authorize,
        ExtAuthzServer::CHECK => Kind::Check,
        _ => return None,
    };
    let is_grpc = |value: &HeaderValue| {
        let value = value.as_bytes();
        value == b"application/grpc" || value == b"application/grpc+proto"
    };
    let is_plain = *request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE).is_some_and(is_grpc)
        && request.headers().get(&GRPC_ENCODING).is_none_or(|encoding| encoding == "identity");
    is_plain.then_some(kind)
}

/// What is there of a body. Nothing of it is released to the client's window: that happens by itself
/// when its stream is gone, or when the body is read the long way.
pub(super) fn arrived(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut context = Context::from_waker(Waker::noop());
    let (mut first, mut others) = (Bytes::new(), BytesMut::new());
    while let Poll::Ready(Some(data)) = body.poll_data(&mut context) {
        let data = data?;
        if first.is_empty() {
            first = data;
        } else {
            others.extend_from_slice(&data);
        }
    }
    if others.is_empty() {
        return Ok(first);
    }
    Ok([first, others.freeze()].concat().into())
}

impl Hot {
    pub(super) fn new(front: &Front, peer: Option<SocketAddr>) -> Self {
        let Front { authorize, ext_authz, .. } = front.clone();
        let (peer, written, answered) =
            (peer.map(|peer| peer.ip()), Vec::new(), Answered::default());
        Self { authorize, ext_authz, peer, written, answered }
    }

    /// The answers to some whole bodies, as gRPC frames them; `None` for one that is not to be had now or
    /// not by this way.
    pub(super) fn answer(
        &mut self,
        bodies: [Option<&[u8]>; TOGETHER],
        now: Now,
    ) -> [Option<Bytes>; TOGETHER] {
        let messages = bodies.map(|body| unframed(body?));
        let (mut answers, written) = ([const { None }; TOGETHER], &mut self.written);
        let answered = &mut self.answered;
        self.authorize.answer_now(messages, (self.peer, now), |at, answer| {
            if let Some(place) = answers.get_mut(at) {
                *place = Some(framed(written, |buffer| answer.write(buffer)));
                answered.decisions += 1;
            }
        });
        answers
    }

    /// The same to a whole body from Envoy, of a call with this metadata.
    pub(super) fn check(&mut self, body: &[u8], metadata: &HeaderMap, now: Now) -> Option<Bytes> {
        let message = unframed(body)?;
        let mut answered = None;
        let answer = framed(&mut self.written, |buffer| {
            answered = self.ext_authz.answer_now(message, metadata, (self.peer, now), buffer);
        });
        answered?;
        self.answered.checks += 1;
        Some(answer)
    }

    /// Notes how long those took that were answered since it was last called, and arrived before `now`.
    pub(super) fn note_time(&mut self, now: Now) {
        let Answered { decisions, checks } = std::mem::take(&mut self.answered);
        self.authorize.took(decisions, now);
        self.ext_authz.took(checks, now);
    }
}

/// What is written, as gRPC frames it.
fn framed(written: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    written.clear();
    written.resize(FRAME_BYTES, 0);
    write(written);
    let length = u32::try_from(written.len() - FRAME_BYTES).unwrap_or(u32::MAX);
    if let Some(room) = written.get_mut(1..FRAME_BYTES) {
        room.copy_from_slice(&length.to_be_bytes());
    }
    Bytes::copy_from_slice(written)
}

/// The message of a body that holds one, not compressed, and nothing else.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], message) = body.split_first_chunk::<FRAME_BYTES>()? else {
        return None;
    };
    (usize::try_from(u32::from_be_bytes(*length)).ok()? == message.len()).then_some(message)
}

/// Sends an answer. It waits in the connection until that is polled.
pub(super) fn send(mut respond: SendResponse<Bytes>, answer: Bytes) {
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(&GRPC_STATUS, HeaderValue::from_static("0"));
    let sent = respond.send_response(response, false).and_then(|mut stream| {
        stream.send_data(answer, false)?;
        stream.send_trailers(trailers)
    });
    if let Err(error) = sent {
        debug!(error = chain(&error), "a client is gone before its answer");
    }
}
