//! The long way: a request with a task of its own, for all that takes more than a look.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use tokio::time::sleep;
use tonic::body::Body;
use tracing::debug;

use crate::{
    rpc::{front::Front, status, traced},
    telemetry::{chain, trace::Start},
};

/// What tells how long a client waits (gRPC over HTTP/2, `Timeout`).
const GRPC_TIMEOUT: &str = "grpc-timeout";
const TIMEOUT_DIGITS_MAX: usize = 8;

/// The body of a request.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What was read of it already.
    first: Bytes,
    rest: RecvStream,
}

impl Incoming {
    pub(super) const fn new(first: Bytes, rest: RecvStream) -> Self {
        Self { first, rest }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let data = if self.first.is_empty() {
            ready!(self.rest.poll_data(context))
        } else {
            Some(Ok(std::mem::take(&mut self.first)))
        };
        Poll::Ready(match data {
            Some(Ok(data)) => {
                let released = self.rest.flow_control().release_capacity(data.len());
                Some(released.map(|()| Frame::data(data)))
            }
            // a client that gave up just ends
            Some(Err(error)) => match error.reason() {
                Some(Reason::NO_ERROR | Reason::CANCEL) => None,
                _ => Some(Err(error)),
            },
            None => match ready!(self.rest.poll_trailers(context)) {
                Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => Some(Err(error)),
            },
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.is_end_stream()
    }
}

/// Answers a request, in so much time at most until the answer begins, and less if its client says so.
pub(super) async fn serve(
    front: Front,
    mut request: Request<Incoming>,
    mut respond: SendResponse<Bytes>,
    time_max: Duration,
) {
    let time_max = client_timeout(request.headers()).map_or(time_max, |time| time.min(time_max));
    let start = request.extensions_mut().remove::<Start>();
    let answering = traced(front, start, request.map(Body::new));
    let response = tokio::select! {
        biased; // what can be answered is answered, however late
        response = answering => response,
        () = sleep(time_max) => status::timed_out().into_http(),
        _reset = poll_fn(|context| respond.poll_reset(context)) => return,
    };
    if let Err(error) = send(response, respond).await {
        debug!(error = chain(&error), "a client is gone before its answer");
    }
}

/// Answers, as a span if the request is traced.
async fn traced(front: Front, start: Option<Start>, request: Request<Body>) -> Response<Body> {
    let Some((tracer, start)) = front.tracer.clone().zip(start) else {
        return front.respond(request).await;
    };
    let name = traced::name(request.uri().path());
    let answering = async {
        let response = front.respond(request).await;
        traced::note_status(response.headers());
        response
    };
    tracer.scope(start, name, Box::pin(answering)).await
}

async fn send(response: Response<Body>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let (head, body) = response.into_parts();
    let is_all = body.is_end_stream();
    let stream = respond.send_response(Response::from_parts(head, ()), is_all)?;
    if is_all { Ok(()) } else { pass_on(body, stream).await }
}

/// Sends a body as it comes and as its client takes it.
async fn pass_on(mut body: Body, mut stream: SendStream<Bytes>) -> Result<(), h2::Error> {
    loop {
        let frame = tokio::select! {
            biased;
            reason = poll_fn(|context| stream.poll_reset(context)) => return Err(reason?.into()),
            frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)) => frame,
        };
        let Some(frame) = frame else {
            return stream.send_data(Bytes::new(), true);
        };
        let Ok(frame) = frame else {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        match frame.into_data() {
            Ok(data) => {
                until_there_is_room(&mut stream).await?;
                stream.send_data(data, false)?;
            }
            Err(frame) => {
                stream.reserve_capacity(0);
                let trailers = frame.into_trailers().unwrap_or_default();
                return stream.send_trailers(trailers);
            }
        }
    }
}

/// Waits until the client takes something. What is sent then may be more: it waits in the connection,
/// and nothing else is sent before it is gone.
async fn until_there_is_room(stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    stream.reserve_capacity(1);
    while stream.capacity() == 0 {
        let capacity = poll_fn(|context| stream.poll_capacity(context)).await;
        capacity.unwrap_or(Err(Reason::CANCEL.into()))?;
    }
    Ok(())
}

/// How long a client waits for an answer: eight digits at most, and a unit.
fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > TIMEOUT_DIGITS_MAX {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 60 * 60),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_client_waits_is_a_number_and_a_unit() {
        for (text, time) in [
            ("3H", Some(Duration::from_secs(3 * 60 * 60))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("5m", Some(Duration::from_millis(5))),
            ("6u", Some(Duration::from_micros(6))),
            ("7n", Some(Duration::from_nanos(7))),
            ("999999999S", None),
            ("S", None),
            ("5", None),
            ("", None),
            ("-1S", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, text.parse().unwrap());
            assert_eq!(client_timeout(&headers), time, "{text}");
        }
    }
}
