//! Envoy's external authorization: `envoy.service.auth.v3.Authorization`.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter>

mod read;
mod write;

use std::{future::ready, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body_util::Full;
use prost::Message;
use tonic::{Request, Response, Status, body::Body, server::NamedService};

use crate::{
    model::name::EnvironmentName,
    proxy::context::{Context, Misconfigured},
    rpc::{
        envoy::service::auth::v3::{CheckRequest, CheckResponse, authorization_server},
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
    type Answer = CheckResponse;

    fn is_plain(request: &[u8]) -> bool {
        Check::read(request).is_some()
    }

    fn write(answer: &CheckResponse, buffer: &mut Vec<u8>) {
        answer.encode_raw(buffer);
    }
}

impl ExtAuthzServer {
    /// What one request asks for.
    const CHECK: &'static str = "/envoy.service.auth.v3.Authorization/Check";

    /// A server that denies requests of more than so many bytes.
    pub fn new(service: ProxyService, message_bytes_max: usize) -> Self {
        Self { service: Arc::new(service), message_bytes_max }
    }

    /// The same, not shared with this one.
    pub fn apart(&self) -> Self {
        Self { service: Arc::new(self.service.apart()), ..*self }
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
        let response = write::response(self.service.complain(&told), false);
        let method = Method(|_empty| ready(Ok(Response::new(response.clone()))));
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
) -> Result<Response<CheckResponse>, Status> {
    let peer = request.remote_addr().map(|address| address.ip());
    let environment = request.metadata().get(ENVIRONMENT).map(|value| value.as_bytes().to_vec());
    let message = match request.into_inner() {
        Asking::Plain(message) => message,
        // as Envoy would have written it
        Asking::Strange(message) => message.encode_to_vec().into(),
    };
    let check = Check::read(&message).unwrap_or_default();
    let response = answer(&service, check, environment.as_deref(), peer).await?;
    Ok(Response::new(response))
}

async fn answer<'a>(
    service: &'a ProxyService,
    mut check: Check<'a>,
    environment: Option<&'a [u8]>,
    peer: Option<IpAddr>,
) -> Result<CheckResponse, Status> {
    let pairs = std::mem::take(&mut check.context);
    let inquiry = check.into_inquiry();
    let environment = environment.map(|name| str::from_utf8(name).unwrap_or_default());
    let named = environment.map(EnvironmentName::parse).transpose();
    let context = named
        .map_err(|invalid| Misconfigured::environment(&invalid))
        .and_then(|_name| Context::parse(pairs));
    let ruled = service.rule(&inquiry, context, environment, peer).await?;
    Ok(write::response(ruled, inquiry.is_grpc()))
}

#[cfg(test)]
mod tests;
