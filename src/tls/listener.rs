//! TLS of one listener: its certificate, and which clients it lets in.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, VerifierBuilderError},
};

use super::{
    InvalidTls, Wrong, certificate::Facts, clients::Clients, files::Files, provider,
    reload::Reloading, verifier::verifier,
};
use crate::{clock, model::time::Timestamp};

/// What is spoken inside of TLS, and agreed on by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// HTTP/2, for gRPC: a client must offer it.
    Http2,
    /// HTTP/1.1: a client that knows no ALPN is welcome.
    Http1,
}

impl Inside {
    /// As ALPN names it.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
        }
    }
}

/// Whose certificates are asked for.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    /// The file with the authorities that clients' certificates are from.
    pub authorities: PathBuf,
    /// Who of them may connect; `None` for all.
    pub clients: Option<Clients>,
}

/// Where a listener's TLS comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which listener, as in `authorize listener`.
    pub owner: &'static str,
    /// What is spoken inside.
    pub inside: Inside,
    /// The file with its certificate, and those of its issuers.
    pub certificate: PathBuf,
    /// The file with the key.
    pub key: PathBuf,
    /// `None` if clients need no certificate.
    pub clients: Option<ClientTrust>,
}

/// TLS of one listener, as it is now.
#[derive(Debug)]
pub struct ListenerTls {
    source: Source,
    current: ArcSwap<ServerConfig>,
    /// When the certificate in use ends, in microseconds since 1970: for metrics.
    expires: AtomicI64,
}

impl ListenerTls {
    /// Reads the files. Blocks.
    pub fn load(source: Source) -> Result<Self, InvalidTls> {
        let files = Files::read(source.owner, &source.paths());
        let (config, facts) = source.build(&files)?;
        let expires = AtomicI64::new(facts.not_after.0.micros());
        Ok(Self { source, current: ArcSwap::from_pointee(config), expires })
    }

    /// Which listener.
    pub const fn owner(&self) -> &'static str {
        self.source.owner
    }

    /// What is spoken inside.
    pub const fn inside(&self) -> Inside {
        self.source.inside
    }

    /// Whether clients need a certificate.
    pub const fn asks_clients(&self) -> bool {
        self.source.clients.is_some()
    }

    /// When the certificate in use ends.
    pub fn expire_time(&self) -> Timestamp {
        Timestamp::from_micros(self.expires.load(Relaxed))
    }

    /// What a new connection begins with.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

impl Reloading for ListenerTls {
    fn owner(&self) -> &'static str {
        self.source.owner
    }

    fn paths(&self) -> Vec<&Path> {
        self.source.paths()
    }

    fn take(&self, files: &Files) -> Result<Option<Facts>, InvalidTls> {
        let (config, facts) = self.source.build(files)?;
        self.current.store(Arc::new(config));
        self.expires.store(facts.not_after.0.micros(), Relaxed);
        Ok(Some(facts))
    }
}

impl Source {
    fn paths(&self) -> Vec<&Path> {
        let authorities = self.clients.as_ref().map(|clients| &clients.authorities);
        [&self.certificate, &self.key].into_iter().chain(authorities).map(|path| &**path).collect()
    }

    fn build(&self, files: &Files) -> Result<(ServerConfig, Facts), InvalidTls> {
        let own = files.own(&self.certificate, &self.key, clock::wall())?;
        let unusable = |error| files.unusable(&self.certificate, &self.key, error);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &self.clients {
            Some(trust) => {
                let roots = files.authorities(&trust.authorities)?;
                let verifier = verifier(roots, trust.clients.as_ref()).map_err(|error| {
                    let wrong = match error {
                        VerifierBuilderError::NoRootAnchors => Wrong::NoCertificate,
                        error => Wrong::Unusable(rustls::Error::General(error.to_string())),
                    };
                    files.wrong(&trust.authorities, wrong)
                })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(own.chain, own.key).map_err(unusable)?;
        config.alpn_protocols = vec![self.inside.alpn().into()];
        if self.clients.is_some() {
            // a resumed session is not verified again, so that its client would outlive its certificate
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok((config, own.facts))
    }
}
