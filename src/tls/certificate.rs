//! What is read from a certificate (RFC 5280): from when to when it is valid, whom it names.

use std::{fmt, time::SystemTime};

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{self, Decode},
};

use super::{Wrong, identity::Identity};
use crate::model::time::Timestamp;

/// An instant that is shown as RFC 3339 says, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub Timestamp);

impl Instant {
    fn of(time: x509_cert::time::Time) -> Self {
        let micros = i64::try_from(time.to_unix_duration().as_micros());
        Self(Timestamp::from_micros(micros.unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = u64::try_from(self.0.micros()).unwrap_or(0);
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros);
        write!(f, "{}", humantime::format_rfc3339_seconds(time))
    }
}

/// What we tell of a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whom it names.
    pub names: Identity,
    /// Valid from.
    pub not_before: Instant,
    /// Valid until.
    pub not_after: Instant,
}

impl Facts {
    /// Reads a certificate.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, der::Error> {
        let certificate = Certificate::from_der(certificate)?;
        let validity = certificate.tbs_certificate().validity();
        Ok(Self {
            names: Identity::of(&certificate)?,
            not_before: Instant::of(validity.not_before),
            not_after: Instant::of(validity.not_after),
        })
    }

    /// Refuses a certificate that is not valid now.
    pub fn check(&self, now: Timestamp) -> Result<(), Wrong> {
        if now < self.not_before.0 {
            return Err(Wrong::NotYetValid(self.not_before));
        }
        if now > self.not_after.0 {
            return Err(Wrong::Expired(self.not_after));
        }
        Ok(())
    }
}

/// The OID of the algorithm that a certificate was signed with, in dots; `None` if it cannot be read.
pub fn signature_algorithm(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.signature_algorithm().oid.to_string())
}
