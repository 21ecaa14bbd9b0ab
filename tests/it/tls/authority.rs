//! Authorities and certificates, made by the program openssl for one test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{postgres::support::Scratch, support::program::run};

/// Says all that matters, so that the settings of the machine do not.
const SETTINGS: &str = "[req]\n\
    distinguished_name = nobody\n\
    [nobody]\n\
    [authority]\n\
    basicConstraints = critical, CA:TRUE\n\
    keyUsage = critical, keyCertSign\n\
    subjectKeyIdentifier = hash\n\
    [ca]\n\
    default_ca = files\n\
    [files]\n\
    database = index\n\
    new_certs_dir = .\n\
    rand_serial = yes\n\
    certificate = authority.pem\n\
    private_key = authority.key\n\
    default_md = sha256\n\
    unique_subject = no\n\
    policy = any\n\
    [any]\n\
    commonName = supplied\n";

/// Who signs certificates.
pub(crate) struct Authority {
    folder: Scratch,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valid {
    /// For a month.
    Now,
    /// For some days that begin now.
    Days(u32),
    /// Until a second of the past.
    Before,
    /// From a second of the future.
    Later,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    /// Puts another certificate in the place of this one, as whole files.
    pub(crate) fn replace(&self, other: &Self) {
        replace(&self.key, &other.key);
        replace(&self.certificate, &other.certificate);
    }

    /// A copy in a folder.
    pub(crate) fn copy(&self, folder: &Path) -> Self {
        let copy = Self { certificate: folder.join("own.pem"), key: folder.join("own.key") };
        copy.replace(self);
        copy
    }
}

/// Puts a copy of a file in the place of another one.
pub(crate) fn replace(place: &Path, file: &Path) {
    write(place, &fs::read(file).unwrap());
}

/// Puts a file in the place of another one.
pub(crate) fn write(place: &Path, bytes: &[u8]) {
    let unfinished = place.with_extension("unfinished");
    fs::write(&unfinished, bytes).unwrap();
    fs::rename(unfinished, place).unwrap();
}

impl Authority {
    /// A new one. Its folder is called after `name`, which one test has for itself.
    pub(crate) async fn new(name: &str) -> Self {
        let folder = Scratch::new(&format!("tls-{name}"));
        fs::write(folder.0.join("settings"), SETTINGS).unwrap();
        fs::write(folder.0.join("index"), "").unwrap();
        let authority = Self { folder };
        authority
            .openssl(&format!(
                "req -x509 -config settings -extensions authority -days 30 -subj /CN={name} \
                 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                 -keyout authority.key -out authority.pem"
            ))
            .await;
        authority
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.0.join("authority.pem")
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// A certificate with these names, such as `DNS:localhost, URI:spiffe://example.org/x`. Its files are
    /// called after `file`.
    pub(crate) async fn issue(&self, file: &str, names: &str, valid: Valid) -> Pair {
        self.issue_with(file, names, valid, "sha256").await
    }

    /// The same, signed with another digest.
    pub(crate) async fn issue_with(
        &self,
        file: &str,
        names: &str,
        valid: Valid,
        digest: &str,
    ) -> Pair {
        let extensions = format!(
            "basicConstraints = critical, CA:FALSE\n\
             keyUsage = critical, digitalSignature\n\
             extendedKeyUsage = serverAuth, clientAuth\n\
             subjectAltName = {names}\n"
        );
        fs::write(self.folder.0.join("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -new -config settings -subj /CN={file} \
             -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout {file}.key -out {file}.csr"
        ))
        .await;
        let period = match valid {
            Valid::Now => "-days 20".into(),
            Valid::Days(days) => format!("-days {days}"),
            Valid::Before => "-startdate 20200101000000Z -enddate 20200201000000Z".into(),
            Valid::Later => "-startdate 20900101000000Z -enddate 20910101000000Z".to_owned(),
        };
        self.openssl(&format!(
            "ca -config settings -batch -notext {period} -md {digest} \
             -extfile extensions -in {file}.csr -out {file}.pem"
        ))
        .await;
        let [certificate, key] =
            ["pem", "key"].map(|kind| self.folder.0.join(format!("{file}.{kind}")));
        Pair { certificate, key }
    }

    async fn openssl(&self, step: &str) {
        let mut command = Command::new("openssl");
        command.args(step.split_whitespace()).current_dir(&self.folder.0);
        let ended = run(command).await;
        assert_eq!(ended.code, 0, "openssl {step}: {ended:?}");
    }
}
