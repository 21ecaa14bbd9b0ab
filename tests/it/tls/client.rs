//! Clients that speak TLS as they are told.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{codegen::Service, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::authority::Pair;
use crate::support::{eventually, server::endpoint};

/// How a client begins a connection.
#[derive(Clone)]
pub(super) struct Client {
    config: ClientConfig,
    /// How many connections it has made.
    made: Arc<AtomicUsize>,
    resumed: Arc<AtomicBool>,
    /// The certificate of the server that it spoke to last.
    met: Arc<Mutex<Option<CertificateDer<'static>>>>,
}

impl Client {
    /// One that trusts the authorities of a file, and has a certificate or has none.
    pub(super) fn new(authorities: &Path, own: Option<&Pair>) -> Self {
        Self::with_versions(authorities, own, rustls::DEFAULT_VERSIONS)
    }

    /// The same, of these versions of TLS only.
    pub(super) fn with_versions(
        authorities: &Path,
        own: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authorities).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(Pair { certificate, key }) => {
                let chain = CertificateDer::pem_file_iter(certificate).unwrap();
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { config, made: Arc::default(), resumed: Arc::default(), met: Arc::default() }
    }

    /// The same, but it offers these protocols.
    pub(super) fn offering(mut self, protocols: &[&[u8]]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        self
    }

    /// How many connections it has made.
    pub(super) fn made(&self) -> usize {
        self.made.load(Relaxed)
    }

    /// Whether the server that it spoke to last has this certificate.
    pub(super) fn has_met(&self, pair: &Pair) -> bool {
        let certificate = CertificateDer::from_pem_file(&pair.certificate).unwrap();
        *self.met.lock().unwrap() == Some(certificate)
    }

    /// Whether the last connection went on with the session of an earlier one.
    pub(super) fn has_resumed(&self) -> bool {
        self.resumed.load(Relaxed)
    }

    /// A connection, as far as the client sees it: with TLS 1.3 the server may refuse it later.
    pub(super) async fn connect(&self, at: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(at.ip());
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let stream = connector.connect(name, stream).await?;
        self.made.fetch_add(1, Relaxed);
        let (_, session) = stream.get_ref();
        let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        self.resumed.store(is_resumed, Relaxed);
        let met = session.peer_certificates().unwrap()[0].clone().into_owned();
        *self.met.lock().unwrap() = Some(met);
        Ok(stream)
    }

    /// A channel that connects when it is first used.
    pub(super) fn channel(&self, at: SocketAddr) -> Channel {
        endpoint(at).connect_with_connector_lazy(Connector { client: self.clone(), at })
    }

    /// What health says, or why there is no answer.
    pub(super) async fn health(&self, at: SocketAddr) -> Result<ServingStatus, tonic::Status> {
        let request = HealthCheckRequest::default();
        let response = HealthClient::new(self.channel(at)).check(request).await?;
        Ok(response.into_inner().status())
    }

    /// Waits until the server serves.
    pub(super) async fn until_serving(&self, at: SocketAddr) {
        eventually("the server serves", async || {
            matches!(self.health(at).await, Ok(ServingStatus::Serving)).then_some(())
        })
        .await;
    }
}

struct Connector {
    client: Client,
    at: SocketAddr,
}

impl Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let (client, at) = (self.client.clone(), self.at);
        Box::pin(async move { client.connect(at).await.map(TokioIo::new) })
    }
}
