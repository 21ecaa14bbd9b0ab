//! Brings notices to their receiver: one HTTP/1.1 request (RFC 9112) on a connection of its own.
//!
//! A redirect is an answer like any other that is not of success: nobody else gets what is for the receiver.

use std::{convert::Infallible, error::Error, fmt, future::pending, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    notices::{Failure, Letter, Post},
    tls::outgoing::OutgoingTls,
};

/// The head of an answer may be as large as that.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// So much of an answer's body is read, and thrown away, that a receiver can end in order.
const BODY_BYTES_MAX: usize = 16 * 1024;
const USER_AGENT: &str = concat!("keyward/", env!("CARGO_PKG_VERSION"));

type Source = Box<dyn Error + Send + Sync>;

/// The receiver of notices.
pub struct Webhook {
    /// Where it is: `http` or `https`, with a host. What it says beside the host may be a secret.
    pub url: Uri,
    /// TLS to it, which `https` needs.
    pub tls: Option<Arc<OutgoingTls>>,
    /// How long it may take, from connecting to the head of its answer.
    pub time_max: Duration,
}

/// Of the URL the host only.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

impl Post for Webhook {
    async fn bring(&self, letter: Letter) -> Result<(), Failure> {
        let mut answer = None;
        let ended = timeout(self.time_max, Box::pin(self.exchange(letter, &mut answer))).await;
        match (answer, ended) {
            // the status counts, however its body ends
            (Some(Answer { status, .. }), _) if status.is_success() => Ok(()),
            (Some(Answer { status, retry_after }), _) => {
                Err(Failure::Refused { status: status.as_u16(), retry_after })
            }
            (None, Ok(Err(failure))) => Err(Failure::Unreachable(failure)),
            (None, Ok(Ok(())) | Err(_)) => Err(Failure::Slow(self.time_max)),
        }
    }
}

impl Webhook {
    /// Sends a letter, and tells of the answer as soon as its head is there.
    async fn exchange(&self, letter: Letter, answer: &mut Option<Answer>) -> Result<(), Source> {
        let host = self.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = self.url.scheme() == Some(&Scheme::HTTPS);
        let port = self.url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        let request = self.request(letter)?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())?;
                let connector = TlsConnector::from(tls.config());
                speak(connector.connect(name, stream).await?, request, answer).await
            }
            None => speak(stream, request, answer).await,
        }
    }

    fn request(&self, letter: Letter) -> Result<Request<Full<Bytes>>, http::Error> {
        let target = self.url.path_and_query().map_or("/", |target| target.as_str());
        let authority = self.url.authority().map_or("", |authority| authority.as_str());
        Request::post(target)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", letter.timestamp)
            .header("webhook-signature", letter.signature)
            .body(Full::new(letter.body.into()))
    }
}

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
}

/// Sends a request on a connection that is ready, and reads the answer.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    answer: &mut Option<Answer>,
) -> Result<(), Source> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await?;
    let carried = async {
        // what it ended with is told to who waits for the answer too
        drop(connection.await);
        pending::<Infallible>().await
    };
    tokio::select! {
        ended = answer_to(sender, request, answer) => ended,
        never = carried => match never {},
    }
}

async fn answer_to(
    mut sender: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    answer: &mut Option<Answer>,
) -> Result<(), Source> {
    let response = sender.send_request(request).await?;
    let retry_after = retry_after(response.headers());
    *answer = Some(Answer { status: response.status(), retry_after });
    swallow(response.into_body()).await;
    Ok(())
}

/// Reads a body and throws it away, as far as it is worth it. What is wrong with it does not matter.
async fn swallow(mut body: Incoming) {
    let mut left = BODY_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// In seconds; a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
