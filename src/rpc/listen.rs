//! Listeners: accepting connections within bounds, and what tonic's server is set to.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Connected};
use tracing::warn;

use super::{
    complaints::Complaints,
    peer::Peer,
    transport::{LaneTls, Transport},
};
use crate::{
    clock::Deadline,
    metrics::{Gathering, number, table},
    tls::listener::ListenerTls,
};

/// Connections that were accepted and that a lane has not taken yet.
const LANE_CONNECTIONS_MAX: usize = 256;
const BACKLOG_MAX: i32 = 1024;
/// A pause when the process has no more file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What one listener takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more are closed at once.
    pub connections_max: usize,
    /// Open requests on one connection; more wait.
    pub streams_max: u32,
}

/// The largest request on the authorize listener: a batch of 1000 with long routes.
pub const AUTHORIZE_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The largest request on the admin listener.
pub const ADMIN_MESSAGE_BYTES_MAX: usize = 256 * 1024;

pub(in crate::rpc) const HEADER_BYTES_MAX: u32 = 16 * 1024;
pub(in crate::rpc) const RESET_STREAMS_MAX: usize = 64;
/// From the first byte of a request to the first of its answer; a stream may last longer.
pub(in crate::rpc) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Until a new connection has said how it begins, with its handshake if there is TLS.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a full listener says so.
const FULL_LOG_EVERY: Duration = Duration::from_secs(1);
pub(in crate::rpc) const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
pub(in crate::rpc) const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// After this a client is asked to connect again, so that load finds new replicas.
pub(in crate::rpc) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);

/// tonic's server with bounds where its defaults have none.
pub fn server(limits: Limits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_max)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .timeout(REQUEST_TIME_MAX)
        // without tonic's grace, which does not ask the client to go but cuts it off
        .max_connection_age(CONNECTION_AGE_MAX)
}

/// Binds a listener and says where.
pub fn bind(address: SocketAddr) -> io::Result<(StdListener, SocketAddr)> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?; // a restart must not wait for old connections to be forgotten
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG_MAX)?;
    let listener = StdListener::from(socket);
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// How connections begin.
#[derive(Clone, Copy, Debug)]
pub enum Opening {
    /// With the preface of HTTP/2: `PRI * HTTP/2.0` and so on, 24 bytes.
    Http2,
    /// With the first byte of a request of HTTP/1.
    Http1,
}

impl Opening {
    const fn bytes(self) -> usize {
        match self {
            Self::Http2 => 24,
            Self::Http1 => 1,
        }
    }
}

/// Where accepted connections go: one lane for each runtime that serves them.
#[derive(Debug)]
pub struct Lane {
    accepted: mpsc::Receiver<Accepted>,
    tls: Option<LaneTls>,
}

/// An accepted connection that no runtime has taken yet.
#[derive(Debug)]
struct Accepted {
    stream: StdStream,
    permit: OwnedSemaphorePermit,
}

impl Lane {
    /// The connections of this lane, on the runtime that polls them.
    pub fn incoming(self, opening: Opening) -> impl Stream<Item = io::Result<Connection>> {
        let (tls, complaints) = (self.tls, Arc::new(Complaints::default()));
        ReceiverStream::new(self.accepted).map(move |accepted| {
            let stream = TcpStream::from_std(accepted.stream)?;
            let peer = Peer::new(stream.peer_addr().ok());
            Ok(Connection {
                transport: Transport::new(stream, tls.as_ref(), &peer, &complaints),
                peer,
                silence: Some(Box::pin(sleep(SILENCE_TIME_MAX))),
                unheard: opening.bytes(),
                complaints: Arc::clone(&complaints),
                _permit: accepted.permit,
            })
        })
    }
}

/// Accepts connections until told to stop and deals them to the lanes in turn.
#[derive(Debug)]
pub struct Acceptor {
    listener: StdListener,
    lanes: Vec<mpsc::Sender<Accepted>>,
    occupancy: Occupancy,
}

/// How many connections of a listener are open.
#[derive(Clone, Debug)]
pub struct Occupancy {
    open: Arc<Semaphore>,
    connections_max: usize,
    refused: Arc<AtomicU64>,
}

impl Occupancy {
    fn new(connections_max: usize) -> Self {
        let open = Arc::new(Semaphore::new(connections_max));
        Self { open, connections_max, refused: Arc::default() }
    }

    /// Tells how many are, may be and were refused, of the listener of this name.
    pub fn tell(&self, listener: &str, to: &mut Gathering) {
        let count = |count: usize| number(u64::try_from(count).unwrap_or(u64::MAX));
        let open = self.connections_max.saturating_sub(self.open.available_permits());
        to.add(&table::CONNECTIONS, &[listener], count(open));
        to.add(&table::CONNECTIONS_MAX, &[listener], count(self.connections_max));
        to.add(&table::CONNECTIONS_REFUSED, &[listener], number(self.refused.load(Relaxed)));
    }
}

impl Acceptor {
    /// An acceptor with so many lanes, whose connections have TLS or have not.
    pub fn new(
        listener: StdListener,
        lanes: usize,
        limits: Limits,
        tls: Option<&Arc<ListenerTls>>,
    ) -> (Self, Vec<Lane>) {
        let (senders, receivers) = (0..lanes).map(|_| mpsc::channel(LANE_CONNECTIONS_MAX)).unzip();
        let occupancy = Occupancy::new(limits.connections_max);
        let receivers: Vec<_> = receivers;
        let lanes = receivers.into_iter().map(|accepted| {
            let tls = tls.map(|tls| LaneTls::new(Arc::clone(tls)));
            Lane { accepted, tls }
        });
        (Self { listener, lanes: senders, occupancy }, lanes.collect())
    }

    /// How many connections are open, now and later.
    pub fn occupancy(&self) -> Occupancy {
        self.occupancy.clone()
    }

    /// Accepts. When told to stop it still takes what the kernel has taken already, then closes the
    /// listener and ends the lanes, so that no client that was let in is turned away.
    pub async fn run(self, stop: CancellationToken) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return warn!(%error, "cannot listen"),
        };
        let full = Refusals { refused: 0, quiet_until: Deadline::after(Duration::ZERO) };
        let mut dealer = Dealer { lanes: self.lanes, next: 0, occupancy: self.occupancy, full };
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => dealer.deal(stream),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
        if let Ok(listener) = listener.into_std() {
            while let Ok((stream, _)) = listener.accept() {
                dealer.deal(stream);
            }
        }
    }
}

/// Deals connections to lanes in turn.
struct Dealer {
    lanes: Vec<mpsc::Sender<Accepted>>,
    next: usize,
    occupancy: Occupancy,
    full: Refusals,
}

/// Connections that were too many since the log last said so.
struct Refusals {
    refused: u64,
    quiet_until: Deadline,
}

impl Refusals {
    fn count(&mut self) {
        self.refused += 1;
        if self.quiet_until.is_over() {
            warn!(refused = self.refused, "too many connections; closing new ones");
            *self = Self { refused: 0, quiet_until: Deadline::after(FULL_LOG_EVERY) };
        }
    }
}

impl Dealer {
    fn deal(&mut self, stream: StdStream) {
        let Ok(permit) = Arc::clone(&self.occupancy.open).try_acquire_owned() else {
            self.occupancy.refused.fetch_add(1, Relaxed);
            return self.full.count();
        };
        // small answers must not wait for each other (Nagle); a peer that vanished is found out
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_EVERY);
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_nonblocking(true))
            .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
        self.next = (self.next + 1) % self.lanes.len().max(1);
        if let (Ok(()), Some(lane)) = (ready, self.lanes.get(self.next)) {
            // a lane that is full or gone closes the connection
            drop(lane.try_send(Accepted { stream, permit }));
        }
    }
}

/// A connection that counts against its listener's limit while it is open.
pub struct Connection {
    transport: Transport,
    peer: Peer,
    /// Until the opening is there: protocols have limits of their own after it.
    silence: Option<Pin<Box<Sleep>>>,
    /// How much is missing of the opening.
    unheard: usize,
    complaints: Arc<Complaints>,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.peer).finish()
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Connection {
    /// Reads, and notes how much of the opening is there then.
    fn hear(
        &mut self,
        silence: &mut Pin<Box<Sleep>>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.transport.poll_handshake(context))?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.transport).poll_read(context, buffer);
        let heard = buffer.filled().get(before..).unwrap_or_default();
        if self.transport.misses_tls(heard) {
            self.complaints.unexpected_tls(&self.peer);
        }
        self.unheard = self.unheard.saturating_sub(heard.len());
        if self.unheard > 0 && read.is_pending() && silence.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(mut silence) = this.silence.take() else {
            return Pin::new(&mut this.transport).poll_read(context, buffer);
        };
        let read = this.hear(&mut silence, context, buffer);
        if this.unheard > 0 {
            this.silence = Some(silence);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}
