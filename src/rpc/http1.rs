//! HTTP/1.1 (RFC 9112) on the http listener, by the crate `hyper`: forward auth, the probes of those who
//! cannot speak gRPC, and metrics.

use std::{convert::Infallible, net::IpAddr, pin::pin, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL},
    request::Parts,
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_stream::StreamExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::Connected;
use tonic_health::{
    pb::{HealthCheckRequest, health_check_response::ServingStatus, health_server::Health},
    server::{HealthReporter, HealthService},
};
use tracing::{debug, warn};

use crate::{
    rpc::{
        forward_auth::ForwardAuth,
        listen::{Connection, Lane, Opening},
        scrape::Scraper,
        traced,
    },
    telemetry::{
        chain,
        trace::{self, Tracer},
    },
};

/// What the head of a request may have: more than proxies let through by default, since what is refused here
/// is an error to them.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADER_FIELDS_MAX: usize = 256;
/// Until the head of a request is there, from the first byte or from the answer before.
const HEAD_TIME_MAX: Duration = Duration::from_secs(60);

/// An answer, whole.
pub(super) type Answer = Response<Full<Bytes>>;

/// All that the http listener serves.
#[derive(Clone, Debug)]
pub struct Front {
    /// Decides for proxies.
    pub forward_auth: ForwardAuth,
    /// Says whether it can.
    pub health: HealthReporter,
    /// Shows metrics.
    pub scraper: Scraper,
    /// Traces what callers trace, if somebody gets that.
    pub tracer: Option<Tracer>,
}

/// Serves the connections of a lane until there are no more to come, then lets the open ones end.
pub async fn serve(lane: Lane, front: &Front) {
    let front = Front { forward_auth: front.forward_auth.apart(), ..front.clone() };
    let (leaving, tasks) = (CancellationToken::new(), TaskTracker::new());
    let mut incoming = pin!(lane.incoming(Opening::Http1));
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok(stream) => {
                tasks.spawn(serve_connection(stream, front.clone(), leaving.clone()));
            }
            Err(error) => warn!(error = chain(&error), "a connection was lost as it was taken"),
        }
    }
    leaving.cancel();
    tasks.close();
    tasks.wait().await;
}

async fn serve_connection(stream: Connection, front: Front, leaving: CancellationToken) {
    let peer = stream.connect_info();
    let answering = service_fn(move |mut request: Request<Incoming>| {
        let front = front.clone();
        request.extensions_mut().insert(peer.clone());
        let peer = peer.address().map(|address| address.ip());
        async move { Ok::<_, Infallible>(front.respond(request, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answering));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = chain(&error), "a connection broke");
    }
}

impl Front {
    async fn respond(self, request: Request<Incoming>, peer: Option<IpAddr>) -> Answer {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/authorize" if is_read || *request.method() == Method::POST => {
                self.authorize(&request.into_parts().0, peer).await
            }
            "/authorize" => not_allowed("GET, HEAD, POST"),
            "/livez" if is_read => plain(StatusCode::OK, "live\n"),
            "/readyz" if is_read => self.ready().await,
            "/metrics" if is_read => self.scraper.respond(request.headers()).await,
            "/livez" | "/readyz" | "/metrics" => not_allowed("GET, HEAD"),
            _ => {
                plain(StatusCode::NOT_FOUND, "there are /authorize, /livez, /readyz and /metrics\n")
            }
        }
    }

    /// Decides, as a span if the request is traced.
    async fn authorize(self, request: &Parts, peer: Option<IpAddr>) -> Answer {
        let start = match &self.tracer {
            Some(tracer) => traced::start(Some(tracer), &request.headers),
            None => None,
        };
        let Some((tracer, start)) = self.tracer.as_ref().zip(start) else {
            return self.forward_auth.respond(request, peer).await;
        };
        let deciding = async {
            let answer = self.forward_auth.respond(request, peer).await;
            trace::note("http.response.status_code", || answer.status().as_str().to_owned());
            answer
        };
        tracer.scope(start, traced::name("/authorize"), Box::pin(deciding)).await
    }

    /// Whether decisions are to be had here: the same as health says in gRPC.
    async fn ready(self) -> Answer {
        let request = tonic::Request::new(HealthCheckRequest::default());
        let status = HealthService::from_health_reporter(self.health).check(request).await;
        match status.map(|response| response.into_inner().status()) {
            Ok(ServingStatus::Serving) => plain(StatusCode::OK, "ready\n"),
            _ => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "another method is needed here\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}
