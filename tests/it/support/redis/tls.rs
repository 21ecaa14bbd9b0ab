//! A certificate and the authority that it is from, made by the program openssl for one test.

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
    [server]\n\
    basicConstraints = critical, CA:FALSE\n\
    keyUsage = critical, digitalSignature\n\
    extendedKeyUsage = serverAuth\n\
    subjectAltName = IP:127.0.0.1, DNS:localhost\n";

/// The files of a certificate for `127.0.0.1` and `localhost`.
pub(super) struct Certificate {
    folder: Scratch,
}

impl Certificate {
    pub(super) async fn new(name: &str) -> Self {
        let folder = Scratch::new(&format!("redis-{name}-certificate"));
        fs::write(folder.0.join("settings"), SETTINGS).unwrap();
        for step in [
            "req -x509 -config settings -extensions authority -days 2 -subj /CN=authority \
             -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout authority.key -out authority.pem",
            "req -new -config settings -subj /CN=localhost \
             -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -keyout own.key -out own.csr",
            "x509 -req -in own.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
             -extfile settings -extensions server -days 2 -out own.pem",
        ] {
            openssl(&folder.0, step).await;
        }
        Self { folder }
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.folder.0.join("authority.pem")
    }

    pub(super) fn own(&self) -> PathBuf {
        self.folder.0.join("own.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.0.join("own.key")
    }
}

async fn openssl(folder: &Path, step: &str) {
    let mut command = Command::new("openssl");
    command.args(step.split_whitespace()).current_dir(folder);
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "openssl {step}: {ended:?}");
}
