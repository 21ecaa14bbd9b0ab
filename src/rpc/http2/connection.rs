//! One connection, from its preface to its end.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::Request;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tracing::debug;

use super::{
    Common,
    hot::{self, Hot, Kind},
    keepalive::Keepalive,
    long,
};
use crate::{
    clock,
    replica::TOGETHER,
    rpc::{
        listen::{HEADER_BYTES_MAX, RESET_STREAMS_MAX},
        peer::Peer,
        traced,
    },
    telemetry::chain,
};

/// How much of requests a client may send before we have taken any: as much on one stream as on all.
const WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams that we reset since their client broke the protocol, before the connection ends.
const ERROR_STREAMS_MAX: usize = 1024;
/// How much waits on one stream for its client to take it, but for what is handed over in one piece: an
/// answer to one request, which has some ten KiB at most (4 KiB of labels, and the limits); or what a
/// stream collects before it is sent. There are no more streams than `streams_max`, and one counts
/// until all of it was sent, so that a client that reads nothing makes a connection hold one answer for
/// each of them and no more.
const SEND_BYTES_MAX: usize = 400 * 1024;

/// Serves a connection until its end.
pub(super) async fn serve<T>(io: T, peer: Peer, common: Common)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    // a client that does not say how it begins is cut off by `io`
    let mut http = match builder(common.streams_max).handshake(io).await {
        Ok(http) => http,
        Err(error) => return debug!(error = chain(&error), "a connection did not begin"),
    };
    let (leaving, age_max) = (common.leaving.clone(), common.times.age_max);
    let departure = async move {
        tokio::select! {
            () = leaving.cancelled() => {}
            () = sleep(age_max) => {}
        }
    };
    let mut connection = Connection {
        keepalive: http.ping_pong().map(|pings| Keepalive::new(pings, &common.times)),
        http,
        departure: Some(Box::pin(departure)),
        asked: Vec::new(),
        answers: Vec::new(),
        hot: Hot::new(&common.front, peer.address()),
        peer,
        common,
    };
    poll_fn(|context| connection.poll(context)).await;
}

fn builder(streams_max: u32) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(streams_max)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .max_local_error_reset_streams(Some(ERROR_STREAMS_MAX))
        .max_send_buffer_size(SEND_BYTES_MAX);
    builder
}

/// A request that is whole.
struct Asked {
    kind: Kind,
    request: Request<RecvStream>,
    body: Bytes,
    respond: SendResponse<Bytes>,
}

struct Connection<T> {
    http: h2::server::Connection<T, Bytes>,
    keepalive: Option<Keepalive>,
    /// Ends when the client is to go; then it is gone itself.
    departure: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Plain requests that were not answered yet: those that came together are decided together, and
    /// their answers leave together.
    asked: Vec<Asked>,
    /// What the answers to them are. Empty in between.
    answers: Vec<Option<Bytes>>,
    hot: Hot,
    peer: Peer,
    common: Common,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(departure) = &mut self.departure
            && departure.as_mut().poll(context).is_ready()
        {
            self.departure = None;
            self.http.graceful_shutdown();
        }
        if let Some(keepalive) = &mut self.keepalive
            && keepalive.poll(context).is_ready()
        {
            debug!("a client did not answer a ping");
            // it is told if it takes anything, but that is not waited for
            self.http.abrupt_shutdown(Reason::NO_ERROR);
            self.read(context);
            return Poll::Ready(());
        }
        // This connection need not be woken for what it sends itself. Only the last poll before the end
        // of this one must leave its waker behind.
        let mut quiet = Context::from_waker(Waker::noop());
        if self.read(&mut quiet) {
            return Poll::Ready(());
        }
        self.answer();
        // this also writes what was sent, all at once
        if self.read(context) {
            return Poll::Ready(());
        }
        if !self.asked.is_empty() {
            // what came meanwhile is answered after the others on this thread had their turn
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes all requests that are there. Says whether there will not be any more.
    fn read(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            match self.http.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => self.take(request, respond),
                Poll::Ready(Some(Err(error))) => {
                    debug!(error = chain(&error), "a connection broke");
                    return true;
                }
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    /// Takes a request that is to be answered with others, or makes a task that answers it.
    fn take(&mut self, mut request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        if let Some(tracer) = &self.common.front.tracer
            && let Some(start) = traced::start(Some(tracer), request.headers())
        {
            request.extensions_mut().insert(start);
            return self.spawn(request, Bytes::new(), respond);
        }
        let Some(kind) = hot::kind(&request) else {
            return self.spawn(request, Bytes::new(), respond);
        };
        let Ok(body) = hot::arrived(request.body_mut()) else {
            return; // its client does not want it any more
        };
        if request.body().is_end_stream() {
            self.asked.push(Asked { kind, request, body, respond });
        } else {
            self.spawn(request, body, respond);
        }
    }

    /// Answers what was asked, as far as that can be done at once.
    fn answer(&mut self) {
        for group in self.asked.chunks(TOGETHER) {
            let now = clock::now();
            let bodies = std::array::from_fn(|at| {
                let asked = group.get(at).filter(|asked| asked.kind == Kind::Authorize)?;
                Some(&*asked.body)
            });
            let answers = self.hot.answer(bodies, now);
            self.answers.extend(group.iter().zip(answers).map(
                |(asked, answer)| match asked.kind {
                    Kind::Authorize => answer,
                    Kind::Check => self.hot.check(&asked.body, asked.request.headers(), now),
                },
            ));
            self.hot.note_time(now);
        }
        let mut asked = std::mem::take(&mut self.asked);
        let mut answers = std::mem::take(&mut self.answers);
        for (Asked { request, body, respond, .. }, answer) in asked.drain(..).zip(answers.drain(..))
        {
            match answer {
                Some(answer) => hot::send(respond, answer),
                None => self.spawn(request, body, respond),
            }
        }
        (self.asked, self.answers) = (asked, answers); // for their room
    }

    /// Makes a task that answers a request. `first` is what was read of its body already.
    fn spawn(&self, mut request: Request<RecvStream>, first: Bytes, respond: SendResponse<Bytes>) {
        request.extensions_mut().insert(self.peer.clone());
        let request = request.map(|rest| long::Incoming::new(first, rest));
        let (front, time_max) = (self.common.front.clone(), self.common.times.request_max);
        self.common.tasks.spawn(long::serve(front, request, respond, time_max));
    }
}
