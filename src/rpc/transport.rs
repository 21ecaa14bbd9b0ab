//! What a connection's bytes go through: nothing, or TLS, whose handshake is a part of the connection's own task.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Semaphore,
    task::yield_now,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use crate::{
    rpc::{complaints::Complaints, peer::Peer},
    tls::{
        identity::Identity,
        listener::{Inside, ListenerTls},
    },
};

/// From a connection to the end of its handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// The first byte of TLS (RFC 8446, 5.1): a handshake.
const TLS_HANDSHAKE: u8 = 22;

/// TLS on one lane.
#[derive(Clone, Debug)]
pub(super) struct LaneTls {
    listener: Arc<ListenerTls>,
    /// Handshakes take their steps in turn, so that whatever else is to be done on their thread is done
    /// between any two of them.
    turn: Arc<Semaphore>,
}

impl LaneTls {
    pub(super) fn new(listener: Arc<ListenerTls>) -> Self {
        Self { listener, turn: Arc::new(Semaphore::new(1)) }
    }
}

type Handshake = Pin<Box<dyn Future<Output = io::Result<TlsStream<TcpStream>>> + Send>>;

/// A connection, with TLS or without.
pub(super) enum Transport {
    /// Without.
    Plain(TcpStream),
    /// At its beginning.
    Handshake(Handshake),
    /// With TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// After a handshake that failed.
    Broken,
}

impl Transport {
    /// A new connection. The handshake begins when it is polled.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<&LaneTls>,
        peer: &Peer,
        complaints: &Arc<Complaints>,
    ) -> Self {
        let Some(LaneTls { listener, turn }) = tls.cloned() else {
            return Self::Plain(stream);
        };
        let (peer, complaints) = (peer.clone(), Arc::clone(complaints));
        Self::Handshake(Box::pin(async move {
            let shaking = shake_hands(stream, &listener, &turn);
            let made = match timeout(HANDSHAKE_TIME_MAX, shaking).await {
                Ok(made) => made.and_then(|stream| welcome(stream, &listener, &peer)),
                Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
            };
            made.inspect_err(|error| complaints.failed_handshake(listener.owner(), &peer, error))
        }))
    }

    /// Ready when there is no handshake, or no more.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Tls(_) => Poll::Ready(Ok(())),
            Self::Broken => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Self::Handshake(handshake) => {
                let made = ready!(handshake.as_mut().poll(context));
                *self = Self::Broken;
                *self = Self::Tls(Box::new(made?));
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Whether the first bytes that came are those of a client that wants TLS where there is none.
    pub(super) fn misses_tls(&self, first: &[u8]) -> bool {
        matches!((self, first), (Self::Plain(_), [TLS_HANDSHAKE, ..]))
    }
}

/// Makes a handshake, step by step.
async fn shake_hands(
    stream: TcpStream,
    listener: &ListenerTls,
    turn: &Semaphore,
) -> io::Result<TlsStream<TcpStream>> {
    let mut accepting = TlsAcceptor::from(listener.config()).accept(stream);
    loop {
        if let Some(stream) = accepting.get_ref() {
            stream.readable().await?;
        }
        let turn = turn.acquire().await.map_err(io::Error::other)?;
        let step = poll_fn(|context| Poll::Ready(Pin::new(&mut accepting).poll(context))).await;
        if let Poll::Ready(made) = step {
            return made;
        }
        yield_now().await;
        drop(turn);
    }
}

/// Looks at who came.
fn welcome(
    stream: TlsStream<TcpStream>,
    listener: &ListenerTls,
    peer: &Peer,
) -> io::Result<TlsStream<TcpStream>> {
    let (_, session) = stream.get_ref();
    // a client that offers others only was refused before; one that offers none cannot speak gRPC
    if listener.inside() == Inside::Http2 && session.alpn_protocol().is_none() {
        return Err(io::Error::other(rustls::Error::NoApplicationProtocol));
    }
    if let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) {
        // who is on no list may have a certificate that we cannot read as well as `rustls` does
        peer.identify(Identity::read(certificate).unwrap_or_default());
    }
    debug!(
        listener = listener.owner(),
        peer = peer.address().map(tracing::field::display),
        client = peer.identity().map(tracing::field::display),
        version = ?session.protocol_version(),
        "a connection has TLS"
    );
    Ok(stream)
}

macro_rules! through {
    ($transport:expr, $stream:ident => $done:expr) => {
        match $transport {
            Transport::Plain($stream) => $done,
            Transport::Tls($stream) => $done,
            Transport::Handshake(_) | Transport::Broken => {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(context))?;
        through!(this, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(context))?;
        through!(this, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(context))?;
        through!(this, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            // there is nothing to say good-bye with
            Self::Handshake(_) | Self::Broken => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(context))?;
        through!(this, stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true // of a socket and of TLS
    }
}
