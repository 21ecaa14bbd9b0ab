//! Envoy's external authorization: `envoy.service.auth.v3.Authorization`.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter>

mod read;
mod write;

use std::{future::ready, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request as HttpRequest, Response as HttpResponse};
use http_body_util::Full;
use prost::Message;
use tonic::{Request, Response, Status, body::Body, server::NamedService};

use crate::{
    model::{decision::Way, name::EnvironmentName, time::Now},
    proxy::{
        Inquiry,
        context::{Context, Misconfigured},
    },
    rpc::{
        envoy::service::auth::v3::{CheckRequest, authorization_server},
        peer,
        proxies::ProxyService,
        service::{Method, grpc},
        status,
        wire::codec::{Asking, Exchange, WireCodec},
    },
};
use read::Check;

/// The metadata of a call that says for which environment Envoy's listener is: `initial_metadata` of the
/// filter's `grpc_service`.
const ENVIRONMENT: &str = "keyward-environment";
/// A message without fields, as gRPC frames it: not compressed, and no byte long.
const EMPTY_MESSAGE: [u8; 5] = [0; 5];

/// What an answer takes, about.
const ANSWER_BYTES: usize = 1024;

/// Serves `envoy.service.auth.v3.Authorization`.
#[derive(Clone, Debug)]
pub struct ExtAuthzServer {
    service: Arc<ProxyService>,
    message_bytes_max: usize,
}

/// `CheckRequest` and `CheckResponse`.
#[derive(Debug)]
pub struct Checking;

impl Exchange for Checking {
    type Request = CheckRequest;
    /// What is written already.
    type Answer = Vec<u8>;

    fn is_plain(request: &[u8]) -> bool {
        Check::read(request).is_some()
    }

    fn write(answer: &Vec<u8>, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(answer);
    }
}

impl ExtAuthzServer {
    /// What one request asks for.
    pub const CHECK: &'static str = "/envoy.service.auth.v3.Authorization/Check";

    /// A server that denies requests of more than so many bytes.
    pub fn new(service: ProxyService, message_bytes_max: usize) -> Self {
        Self { service: Arc::new(service), message_bytes_max }
    }

    /// The same, not shared with this one.
    pub fn apart(&self) -> Self {
        Self { service: Arc::new(self.service.apart()), ..*self }
    }

    /// Writes the answer to the message of a unary request at the end of a buffer, if it can be given at
    /// once: without waiting, and without an error. `None`: nothing was written, taken or noted. `metadata`
    /// is that of the call, which arrived before `now`.
    pub fn answer_now(
        &self,
        message: &[u8],
        metadata: &HeaderMap,
        (peer, now): (Option<IpAddr>, Now),
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        if message.len() > self.message_bytes_max {
            return None;
        }
        let environment = metadata.get(ENVIRONMENT).map(HeaderValue::as_bytes);
        let asked = Asked::new(Check::read(message)?, environment);
        let Asked { inquiry, context, environment } = asked;
        let asked = (peer, Way::ExtAuthz, now);
        let ruled = self.service.rule_now(&inquiry, context, environment, asked)?;
        write::write(ruled, inquiry.is_grpc(), buffer);
        Some(())
    }

    /// Notes how long so many requests took that were answered at once and arrived before `now`.
    pub fn took(&self, many: u64, now: Now) {
        self.service.authorize.took(Way::ExtAuthz, many, now);
    }

    /// Answers a request, or refuses it.
    pub async fn respond(self, request: HttpRequest<Body>) -> HttpResponse<Body> {
        if request.uri().path() != Self::CHECK {
            return status::no_such_method().into_http();
        }
        let service = &self.service;
        let method = Method(|request| check(Arc::clone(service), request));
        let codec = WireCodec::<Checking>::default();
        let answer = grpc(codec, self.message_bytes_max).unary(method, request).await;
        if status::is_too_large(&answer) { self.deny_unread().await } else { answer }
    }

    /// Denies what is too large to be read. How large a request is, its client chooses, and a proxy may be
    /// told to let pass what ends in an error.
    async fn deny_unread(&self) -> HttpResponse<Body> {
        let told = Misconfigured::too_large(self.message_bytes_max);
        let mut written = Vec::with_capacity(ANSWER_BYTES);
        write::write(self.service.complain(&told), false, &mut written);
        let method = Method(|_empty| ready(Ok(Response::new(written.clone()))));
        let empty = HttpRequest::new(Body::new(Full::new(Bytes::from_static(&EMPTY_MESSAGE))));
        let codec = WireCodec::<Checking>::default();
        grpc(codec, self.message_bytes_max).unary(method, empty).await
    }
}

impl NamedService for ExtAuthzServer {
    const NAME: &'static str = authorization_server::SERVICE_NAME;
}

async fn check(
    service: Arc<ProxyService>,
    request: Request<Asking<Checking>>,
) -> Result<Response<Vec<u8>>, Status> {
    let peer = peer::address(&request);
    let environment = request.metadata().get(ENVIRONMENT).map(|value| value.as_bytes().to_vec());
    let message = match request.into_inner() {
        Asking::Plain(message) => message,
        // as Envoy would have written it
        Asking::Strange(message) => message.encode_to_vec().into(),
    };
    let check = Check::read(&message).unwrap_or_default();
    let Asked { inquiry, context, environment } = Asked::new(check, environment.as_deref());
    let ruled = service.rule(&inquiry, context, environment, (peer, Way::ExtAuthz)).await?;
    let mut written = Vec::with_capacity(ANSWER_BYTES);
    write::write(ruled, inquiry.is_grpc(), &mut written);
    Ok(Response::new(written))
}

/// What is asked, and by which settings.
struct Asked<'a> {
    inquiry: Inquiry<'a>,
    context: Result<Context<'a>, Misconfigured>,
    environment: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn new(mut check: Check<'a>, environment: Option<&'a [u8]>) -> Self {
        let pairs = std::mem::take(&mut check.context);
        let inquiry = check.into_inquiry();
        let environment = environment.map(|name| str::from_utf8(name).unwrap_or_default());
        let named = environment.map(EnvironmentName::parse).transpose();
        let context = named
            .map_err(|invalid| Misconfigured::environment(&invalid))
            .and_then(|_name| Context::parse(pairs));
        Self { inquiry, context, environment }
    }
}

#[cfg(test)]
mod tests;
