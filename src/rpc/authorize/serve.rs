//! The service on the wire: which method is which, with the codecs of `wire`.

use std::{
    convert::Infallible,
    future::ready,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::{body::Body, codegen::Service, server::NamedService};

use super::AuthorizeService;
use crate::{
    model::decision::Way,
    model::time::Now,
    replica::TOGETHER,
    rpc::{
        codec::BoundedCodec,
        pb,
        service::{Method, grpc},
        status,
        wire::{
            answer::Answer,
            codec::{Batch, One, WireCodec},
            read::Asked,
        },
    },
};

/// Serves all methods of `keyward.v1.Authorize`.
#[derive(Clone, Debug)]
pub struct AuthorizeServer {
    service: Arc<AuthorizeService>,
    message_bytes_max: usize,
}

impl AuthorizeServer {
    /// What one unary request asks for.
    pub const UNARY: &'static str = "/keyward.v1.Authorize/Authorize";

    /// A server that refuses requests of more than so many bytes.
    pub fn new(service: AuthorizeService, message_bytes_max: usize) -> Self {
        Self { service: Arc::new(service), message_bytes_max }
    }

    /// The same, not shared with this one.
    pub fn apart(&self) -> Self {
        Self { service: Arc::new(self.service.apart()), ..*self }
    }

    /// Makes the answers to the messages of some unary requests, as far as they can be given at once:
    /// without waiting, and without saying what is wrong with a request. Nothing was taken or noted for one
    /// that has none. They arrived before `now`.
    pub fn answer_now(
        &self,
        messages: [Option<&[u8]>; TOGETHER],
        (peer, now): (Option<IpAddr>, Now),
        take: impl FnMut(usize, Answer),
    ) {
        let fits = |message: &&[u8]| message.len() <= self.message_bytes_max;
        let asked = messages.map(|message| Asked::read(message.filter(fits)?));
        self.service.answer_now(&asked, (peer, now), take);
    }

    /// Notes how long so many unary requests took, which arrived before `now`.
    pub fn took(&self, many: u64, now: Now) {
        self.service.took(Way::Authorize, many, now);
    }

    /// Answers a request, or refuses it.
    pub async fn respond(self, request: Request<Body>) -> Response<Body> {
        let (service, bytes_max) = (&self.service, self.message_bytes_max);
        match request.uri().path() {
            Self::UNARY => {
                let service = Arc::clone(service);
                let method = Method(move |request| Arc::clone(&service).authorize(request));
                grpc(WireCodec::<One>::default(), bytes_max).unary(method, request).await
            }
            "/keyward.v1.Authorize/BatchAuthorize" => {
                let service = Arc::clone(service);
                let method = Method(move |request| Arc::clone(&service).batch_authorize(request));
                grpc(WireCodec::<Batch>::default(), bytes_max).unary(method, request).await
            }
            "/keyward.v1.Authorize/StreamAuthorize" => {
                let service = Arc::clone(service);
                let method =
                    Method(move |request| ready(Arc::clone(&service).stream_authorize(request)));
                grpc(WireCodec::<One>::default(), bytes_max).streaming(method, request).await
            }
            "/keyward.v1.Authorize/Settle" => {
                let service = Arc::clone(service);
                let method = Method(move |request| Arc::clone(&service).settle(request));
                let codec = BoundedCodec::<pb::SettleResponse, pb::SettleRequest>::default();
                grpc(codec, bytes_max).unary(method, request).await
            }
            _ => status::no_such_method().into_http(),
        }
    }
}

impl NamedService for AuthorizeServer {
    const NAME: &'static str = pb::authorize_server::SERVICE_NAME;
}

impl Service<Request<Body>> for AuthorizeServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answering = self.clone().respond(request);
        Box::pin(async { Ok(answering.await) })
    }
}
