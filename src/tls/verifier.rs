//! Verifying the certificates of clients.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use thiserror::Error;

use super::{clients::Clients, identity::Identity, provider};

/// Lets in clients whose certificate is from an authority of ours and names one of some.
#[derive(Debug)]
struct Listed {
    /// Verifies all but the name.
    inner: Arc<dyn ClientCertVerifier>,
    clients: Clients,
}

/// A client whose names are not on the list.
#[derive(Debug, Error)]
#[error("its certificate has no name that is on the list of clients: it has {0}")]
struct NotListed(Identity);

/// What verifies clients: by their authority, and by their names if there is a list.
pub(super) fn verifier(
    roots: RootCertStore,
    clients: Option<&Clients>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let inner = builder.build()?;
    Ok(match clients {
        Some(clients) => Arc::new(Listed { inner, clients: clients.clone() }),
        None => inner,
    })
}

impl ClientCertVerifier for Listed {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let other = |error: OtherError| Error::InvalidCertificate(CertificateError::Other(error));
        let identity =
            Identity::read(end_entity).map_err(|error| other(OtherError(Arc::new(error))))?;
        if self.clients.permit(&identity) {
            Ok(verified)
        } else {
            Err(other(OtherError(Arc::new(NotListed(identity)))))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
