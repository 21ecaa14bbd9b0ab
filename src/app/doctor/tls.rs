//! Files of TLS: whether they can be read and belong together, and how long they are valid.

use std::time::Duration;

use super::{Finding, now};
use crate::{
    config::{
        ServeArgs,
        tls::{Listeners, Security},
    },
    telemetry::chain,
    tls::{files::Files, reload::Reloading},
};

/// Certificates that end sooner should have been replaced by now.
const EXPIRY_WARN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The listeners' TLS, if their files can be used.
pub(super) fn examine(args: &ServeArgs) -> (Option<Listeners>, Vec<Finding>) {
    let listeners = match args.tls.listeners() {
        Ok(listeners) => listeners,
        Err(invalid) => {
            let help = "give files that can be read, belong together and are valid now";
            return (None, vec![Finding::failure("tls", chain(&invalid), help)]);
        }
    };
    let mut findings: Vec<_> = listeners.reloading().iter().map(|tls| validity(&**tls)).collect();
    if findings.is_empty() {
        findings.push(Finding::fine("tls", "is not used on any listener"));
    }
    let described = listeners.described();
    if described.admin == Security::None && !args.admin_listen.ip().is_loopback() {
        findings.push(Finding::warning(
            "tls",
            format!("operators send tokens to {} without TLS", args.admin_listen),
            "give --admin-tls-cert and --admin-tls-key, or put TLS in front of it",
        ));
    }
    (Some(listeners), findings)
}

/// Until when a certificate is valid.
fn validity(tls: &dyn Reloading) -> Finding {
    let owner = tls.owner();
    let files = Files::read(owner, &tls.paths());
    match tls.take(&files) {
        Ok(Some(facts)) => {
            let found = format!("{owner}: {}, valid until {}", facts.names, facts.not_after);
            if now().after(EXPIRY_WARN) > facts.not_after.0 {
                let help = "replace it; files that change are taken without a restart";
                return Finding::warning("tls", found, help);
            }
            Finding::fine("tls", found)
        }
        Ok(None) => Finding::fine("tls", format!("{owner}: its files can be read")),
        Err(invalid) => Finding::failure("tls", chain(&invalid), "replace these files"),
    }
}
