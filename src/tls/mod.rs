//! Transport security: TLS 1.2 (RFC 5246) and 1.3 (RFC 8446), by the crate `rustls` with `ring`.
//!
//! What is read from files (certificates, keys, authorities), which client may connect, and what is swapped
//! in when files change. A connection keeps what it began with. This room opens no connection itself.

pub mod certificate;
pub mod clients;
pub mod files;
pub mod identity;
pub mod listener;
pub mod outgoing;
pub mod reload;
mod verifier;

use std::{io, path::PathBuf, sync::Arc};

use rustls::crypto::{CryptoProvider, ring};
use thiserror::Error;

use self::certificate::Instant;

/// What makes signatures and keys for us.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A file that cannot be used for TLS: whose it is, which one, and why.
#[derive(Debug, Error)]
#[error("TLS of the {owner}: {}", path.display())]
pub struct InvalidTls {
    /// Who needs the file, as in `authorize listener`.
    pub owner: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub wrong: Wrong,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum Wrong {
    /// It is not there, or may not be read.
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is larger than any such file.
    #[error("is larger than 1 MiB")]
    TooLarge,
    /// It is not in PEM (RFC 7468).
    #[error("is not in PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// No certificate is in it.
    #[error("has no certificate in PEM")]
    NoCertificate,
    /// No private key is in it.
    #[error("has no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    NoKey,
    /// A certificate in it is not one (RFC 5280).
    #[error("has a certificate that cannot be read")]
    Certificate(#[source] x509_cert::der::Error),
    /// Its certificate is not valid any more.
    #[error("the certificate has expired: it was valid until {0}")]
    Expired(Instant),
    /// Its certificate is not valid yet.
    #[error("the certificate is not valid yet: it will be from {0}")]
    NotYetValid(Instant),
    /// Its key belongs to another certificate.
    #[error("is not the private key of the certificate in {}", certificate.display())]
    KeyMismatch {
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// Anything else that `rustls` says.
    #[error("cannot be used")]
    Unusable(#[source] rustls::Error),
}
