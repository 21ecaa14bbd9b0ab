//! Whom a certificate names: the subject alternative names (RFC 5280, 4.2.1.6) that say who someone is.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{self, Decode},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// The names of a certificate. The subject's common name is none of them (RFC 9525, 2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// URIs, such as SPIFFE ids.
    pub uris: Box<[Box<str>]>,
    /// Names of hosts.
    pub hosts: Box<[Box<str>]>,
}

impl Identity {
    /// Reads the names of a certificate that was verified.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, der::Error> {
        Self::of(&Certificate::from_der(certificate)?)
    }

    pub(super) fn of(certificate: &Certificate) -> Result<Self, der::Error> {
        let names = certificate.tbs_certificate().get_extension::<SubjectAltName>()?;
        let (mut uris, mut hosts) = (Vec::new(), Vec::new());
        for name in names.into_iter().flat_map(|(_, names)| names.0) {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().into()),
                GeneralName::DnsName(host) => hosts.push(host.as_str().into()),
                // nobody is let in by any other name
                _ => {}
            }
        }
        Ok(Self { uris: uris.into(), hosts: hosts.into() })
    }

    /// Its SPIFFE id (SPIFFE X.509-SVID, 2): a certificate with several URIs has none.
    pub fn spiffe_id(&self) -> Option<&str> {
        match &*self.uris {
            [only] if only.starts_with("spiffe://") => Some(only),
            _ => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.uris.iter().chain(&self.hosts).map(|name| &**name).collect();
        f.write_str(if names.is_empty() { "no name" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}
