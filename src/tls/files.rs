//! The files that TLS needs, read as a whole before any of them is used.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use zeroize::Zeroizing;

use super::{InvalidTls, Wrong, certificate::Facts};
use crate::model::time::Timestamp;

const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Files as they were when they were read, a moment ago.
#[derive(Debug)]
pub struct Files {
    owner: &'static str,
    files: Vec<Content>,
}

struct Content {
    path: PathBuf,
    /// Wiped in the end: it may be a key.
    bytes: io::Result<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(f)
    }
}

/// A certificate of our own, with those of its issuers, and its key.
#[derive(Debug)]
pub(super) struct OwnCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) facts: Facts,
}

impl Files {
    /// Reads files. Blocks. What cannot be read is an error of whoever needs it.
    pub fn read(owner: &'static str, paths: &[&Path]) -> Self {
        let files = paths
            .iter()
            .map(|&path| Content { path: path.to_owned(), bytes: read(path) })
            .collect();
        Self { owner, files }
    }

    /// Tells these contents from others, also from files that cannot be read.
    pub(super) fn fingerprint(&self) -> Box<[u8]> {
        let mut context = Context::new(&SHA256);
        for Content { bytes, .. } in &self.files {
            let error;
            let (kind, bytes) = match bytes {
                Ok(bytes) => (0, bytes.as_slice()),
                Err(unread) => {
                    error = unread.to_string();
                    (1, error.as_bytes())
                }
            };
            context.update(&[kind]);
            context.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(bytes);
        }
        context.finish().as_ref().into()
    }

    pub(super) fn wrong(&self, path: &Path, wrong: Wrong) -> InvalidTls {
        InvalidTls { owner: self.owner, path: path.to_owned(), wrong }
    }

    fn bytes(&self, path: &Path) -> Result<&[u8], InvalidTls> {
        let content = self.files.iter().find(|content| content.path == path);
        let unreadable = |error: io::Error| self.wrong(path, Wrong::Unreadable(error));
        match content.map(|content| &content.bytes) {
            Some(Ok(bytes))
                if bytes.len() > usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX) =>
            {
                Err(self.wrong(path, Wrong::TooLarge))
            }
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => Err(unreadable(copy(error))),
            None => Err(unreadable(io::ErrorKind::NotFound.into())),
        }
    }

    /// All certificates of a file: one at least.
    pub(super) fn certificates(
        &self,
        path: &Path,
    ) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
        let certificates = CertificateDer::pem_slice_iter(self.bytes(path)?);
        let certificates = certificates.collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| self.wrong(path, Wrong::Pem(error)))?;
        if certificates.is_empty() {
            return Err(self.wrong(path, Wrong::NoCertificate));
        }
        Ok(certificates)
    }

    /// The authorities of a file: one at least.
    pub(super) fn authorities(&self, path: &Path) -> Result<RootCertStore, InvalidTls> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(path)? {
            roots.add(certificate).map_err(|error| self.wrong(path, Wrong::Unusable(error)))?;
        }
        Ok(roots)
    }

    /// A certificate that is valid now, and its key. Whether they belong together is not known yet.
    pub(super) fn own(
        &self,
        certificate: &Path,
        key: &Path,
        now: Timestamp,
    ) -> Result<OwnCertificate, InvalidTls> {
        let chain = self.certificates(certificate)?;
        let facts = match chain.first().map(Facts::read) {
            Some(facts) => facts.map_err(Wrong::Certificate),
            None => Err(Wrong::NoCertificate),
        };
        let facts = facts.map_err(|wrong| self.wrong(certificate, wrong))?;
        facts.check(now).map_err(|wrong| self.wrong(certificate, wrong))?;
        let found = PrivateKeyDer::from_pem_slice(self.bytes(key)?);
        let found = found.map_err(|error| match error {
            pem::Error::NoItemsFound => self.wrong(key, Wrong::NoKey),
            error => self.wrong(key, Wrong::Pem(error)),
        })?;
        Ok(OwnCertificate { chain, key: found, facts })
    }

    /// What `rustls` says of a certificate and its key.
    pub(super) fn unusable(
        &self,
        certificate: &Path,
        key: &Path,
        error: rustls::Error,
    ) -> InvalidTls {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                let certificate = certificate.to_owned();
                self.wrong(key, Wrong::KeyMismatch { certificate })
            }
            // it reads the certificate as we did before
            error => self.wrong(key, Wrong::Unusable(error)),
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same error once more: the first is kept to be compared.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
