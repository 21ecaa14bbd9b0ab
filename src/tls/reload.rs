//! Looking at files again, and taking what is new and good.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{InvalidTls, certificate::Facts, files::Files};
use crate::{
    clock::{self, Deadline},
    telemetry::chain,
};

/// A certificate that ends sooner than this is warned of.
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is made of files and made again when they change.
pub trait Reloading: Send + Sync {
    /// Whose they are.
    fn owner(&self) -> &'static str;
    /// The files.
    fn paths(&self) -> Vec<&Path>;
    /// Takes what was read, if all of it is good; else nothing changes. Says what is to be known of the
    /// certificate, if it has one of its own.
    fn take(&self, files: &Files) -> Result<Option<Facts>, InvalidTls>;
}

/// Looks at files every now and then, and when SIGHUP comes.
#[derive(Debug)]
pub struct Reload {
    watched: Vec<Watched>,
    interval: Duration,
    hangup: Signal,
}

/// What was seen of the files of one owner.
struct Watched {
    of: Arc<dyn Reloading>,
    /// The last contents that were looked at.
    seen: Box<[u8]>,
    /// The error that they are, as it was logged.
    complaint: Option<String>,
    /// What is known of the certificate in use.
    facts: Option<Facts>,
    /// No warning of its end before this.
    quiet_until: Deadline,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.of.owner())
    }
}

impl Reload {
    /// Looks at everything for the first time. From now on SIGHUP does not end the process. Blocks.
    pub fn new(reloading: Vec<Arc<dyn Reloading>>, interval: Duration) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let watched = reloading.into_iter().map(|of| {
            let seen = Box::default();
            let quiet_until = Deadline::after(Duration::ZERO);
            let mut watched = Watched { of, seen, complaint: None, facts: None, quiet_until };
            watched.look();
            watched
        });
        Ok(Self { watched: watched.collect(), interval, hangup })
    }

    /// Goes on looking until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let told = tokio::select! {
                () = sleep(self.interval) => false,
                _ = self.hangup.recv() => true,
                () = stop.cancelled() => return,
            };
            let mut watched = self.watched;
            // files may lie on what answers slowly
            let looked = spawn_blocking(move || {
                let changed = watched.iter_mut().map(Watched::look).filter(|changed| *changed);
                let changed = changed.count();
                (watched, changed)
            });
            match looked.await {
                Ok((watched, changed)) => {
                    self.watched = watched;
                    if told {
                        info!(changed, "looked at the files of TLS after SIGHUP");
                    }
                }
                Err(failure) => {
                    return error!(error = chain(&failure), "cannot look at the files of TLS");
                }
            }
        }
    }
}

impl Watched {
    /// Looks at the files, takes what is new, and says what is to be known. Whether something was taken.
    fn look(&mut self) -> bool {
        let files = Files::read(self.of.owner(), &self.of.paths());
        let fingerprint = files.fingerprint();
        // what was bad may have become good without a change: a certificate that was not valid yet
        let changed = if fingerprint != self.seen || self.complaint.is_some() {
            self.seen = fingerprint;
            self.take(&files)
        } else {
            false
        };
        self.warn_of_end();
        changed
    }

    fn take(&mut self, files: &Files) -> bool {
        let owner = self.of.owner();
        match self.of.take(files) {
            Ok(facts) => {
                if let Some(Facts { names, not_after, .. }) = &facts {
                    info!(%owner, %names, %not_after, "took a certificate for TLS");
                } else {
                    info!(%owner, "took the authorities for TLS");
                }
                (self.facts, self.complaint) = (facts, None);
                self.quiet_until = Deadline::after(Duration::ZERO);
                true
            }
            Err(invalid) => {
                let complaint = chain(&invalid);
                if self.complaint.as_ref() != Some(&complaint) {
                    error!(%owner, error = complaint, "new files of TLS cannot be used; the old ones stay");
                }
                self.complaint = Some(complaint);
                false
            }
        }
    }

    /// Warns once a day of a certificate that ends soon, or has ended.
    fn warn_of_end(&mut self) {
        let now = clock::wall();
        let Some(Facts { names, not_after, .. }) = &self.facts else { return };
        if not_after.0 > now.after(EXPIRES_SOON) || !self.quiet_until.is_over() {
            return;
        }
        self.quiet_until = Deadline::after(WARN_EVERY);
        let owner = self.of.owner();
        if not_after.0 > now {
            warn!(%owner, %names, %not_after, "a certificate for TLS is about to expire");
        } else {
            error!(%owner, %names, %not_after, "a certificate for TLS has expired");
        }
    }
}
