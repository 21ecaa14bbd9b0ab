//! TLS to PostgreSQL, as the driver wants it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use crate::tls::{certificate::signature_algorithm, outgoing::OutgoingTls};

/// Makes TLS on connections to the database, if there is any.
#[derive(Clone, Debug)]
pub(super) struct Tls(pub(super) Option<Arc<OutgoingTls>>);

/// Makes TLS on one connection.
pub(super) struct Handshake {
    tls: Option<Arc<OutgoingTls>>,
    host: String,
}

/// A connection inside of TLS.
pub(super) struct Inside<S>(Box<client::TlsStream<S>>);

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Inside<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, io::Error> {
        // over a socket of this machine there is no host, and no TLS
        Ok(Handshake { tls: self.0.clone(), host: host.to_owned() })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Inside<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Inside<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let tls =
                self.tls.ok_or_else(|| io::Error::other("there is no TLS to the database"))?;
            let host = ServerName::try_from(self.host).map_err(io::Error::other)?;
            let made = TlsConnector::from(tls.config()).connect(host, stream).await?;
            Ok(Inside(Box::new(made)))
        })
    }
}

impl<S> TlsStream for Inside<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// `tls-server-end-point` (RFC 5929, 4): a digest of the server's certificate.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let binding = certificate.and_then(|certificate| {
            let algorithm = binding_digest(&signature_algorithm(certificate)?)?;
            Some(digest(algorithm, certificate).as_ref().to_vec())
        });
        binding.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The digest that goes with the algorithm that a certificate was signed with: that of the signature, and
/// SHA-256 in place of older ones. `None` for one that has no digest of its own, such as Ed25519.
fn binding_digest(signature_algorithm: &str) -> Option<&'static Algorithm> {
    Some(match signature_algorithm {
        // RSA with MD5, SHA-1 and SHA-256 (RFC 8017); ECDSA with SHA-1 and SHA-256 (RFC 5758)
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return None,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Inside<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Inside<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
