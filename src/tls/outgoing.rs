//! TLS of connections that we open to a server: what is verified of it, and our own certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{InvalidTls, certificate::Facts, files::Files, provider, reload::Reloading};
use crate::clock;

/// What is verified of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: who listens sees nothing, but who stands between does.
    Nothing,
    /// That its certificate is from an authority.
    Authority(Authorities),
    /// That its certificate is from an authority and names the host that we connect to.
    HostName(Authorities),
}

/// Who is trusted to say who a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorities {
    /// Those that the system trusts.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// Where TLS to a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which server, as in `connection to the database`.
    pub owner: &'static str,
    /// What is verified of it.
    pub trust: Trust,
    /// The files of our own certificate and its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// What is offered by ALPN (RFC 7301), if anything.
    pub alpn: Option<&'static [u8]>,
}

/// TLS to one server, as it is now.
#[derive(Debug)]
pub struct OutgoingTls {
    source: Source,
    current: ArcSwap<ClientConfig>,
}

impl OutgoingTls {
    /// Reads the files. Blocks.
    pub fn load(source: Source) -> Result<Self, InvalidTls> {
        let files = Files::read(source.owner, &source.paths());
        let (config, _) = source.build(&files)?;
        Ok(Self { source, current: ArcSwap::from_pointee(config) })
    }

    /// What a new connection begins with.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }

    /// Whether there are files that may change.
    pub fn has_files(&self) -> bool {
        !self.source.paths().is_empty()
    }
}

impl Reloading for OutgoingTls {
    fn owner(&self) -> &'static str {
        self.source.owner
    }

    fn paths(&self) -> Vec<&Path> {
        self.source.paths()
    }

    fn take(&self, files: &Files) -> Result<Option<Facts>, InvalidTls> {
        let (config, facts) = self.source.build(files)?;
        self.current.store(Arc::new(config));
        Ok(facts)
    }
}

impl Source {
    fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        if let Trust::Authority(Authorities::File(path))
        | Trust::HostName(Authorities::File(path)) = &self.trust
        {
            paths.push(&**path);
        }
        if let Some((certificate, key)) = &self.own {
            paths.extend([&**certificate, &**key]);
        }
        paths
    }

    fn build(&self, files: &Files) -> Result<(ClientConfig, Option<Facts>), InvalidTls> {
        let verifier = self.verifier(files)?;
        let unusable = |error| match &self.own {
            Some((certificate, key)) => files.unusable(certificate, key, error),
            None => files.unusable(Path::new(""), Path::new(""), error),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let (mut config, facts) = match &self.own {
            Some((certificate, key)) => {
                let own = files.own(certificate, key, clock::wall())?;
                let config = builder.with_client_auth_cert(own.chain, own.key).map_err(unusable)?;
                (config, Some(own.facts))
            }
            None => (builder.with_no_client_auth(), None),
        };
        config.alpn_protocols = self.alpn.iter().map(|alpn| alpn.to_vec()).collect();
        Ok((config, facts))
    }

    fn verifier(&self, files: &Files) -> Result<Verifier, InvalidTls> {
        let roots = |authorities: &Authorities| match authorities {
            Authorities::File(path) => files.authorities(path),
            Authorities::System => Ok(of_the_system()),
        };
        let (roots, names) = match &self.trust {
            Trust::Nothing => (None, Names::Any),
            Trust::Authority(authorities) => (Some(roots(authorities)?), Names::Any),
            Trust::HostName(authorities) => (Some(roots(authorities)?), Names::Host),
        };
        Ok(Verifier { roots, names, provider: provider() })
    }
}

/// The authorities that the system trusts, as far as they can be read. If there are none, no server is
/// trusted.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Which names a server's certificate may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Any,
    Host,
}

/// Verifies as much of a server as was asked for.
#[derive(Debug)]
struct Verifier {
    /// `None`: whoever its certificate is from.
    roots: Option<RootCertStore>,
    names: Names,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
            if self.names == Names::Host {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
