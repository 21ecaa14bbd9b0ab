//! What the log says of connections that are refused: enough to know why, and no flood.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustls::{CertificateError, Error, InvalidMessage};
use tracing::{debug, field::display, warn};

use crate::{clock::Deadline, rpc::peer::Peer, telemetry::chain};

/// Lines of one lane within [`SPAN`]; what is left out is counted.
const LINES_MAX: u32 = 20;
const SPAN: Duration = Duration::from_secs(1);

/// Says why connections of one lane were refused.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    /// Lines since the span began.
    lines: u32,
    /// What was left out since.
    unsaid: u64,
    /// When the next span begins.
    until: Option<Deadline>,
}

impl Complaints {
    /// A handshake that came to nothing.
    pub(super) fn failed_handshake(&self, listener: &'static str, peer: &Peer, error: &io::Error) {
        let (reason, address) = (reason(error), peer.address().map(display));
        match (is_of_the_line(error), self.may_speak()) {
            // probes and port scanners do this all the time
            (true, _) | (false, None) => {
                debug!(
                    listener,
                    peer = address,
                    error = reason,
                    "a handshake of TLS was broken off"
                );
            }
            (false, Some(unsaid)) => {
                warn!(
                    listener,
                    peer = address,
                    error = reason,
                    unsaid,
                    "a client was refused by TLS"
                );
            }
        }
    }

    /// A client that begins with TLS where there is none.
    pub(super) fn unexpected_tls(&self, peer: &Peer) {
        if let Some(unsaid) = self.may_speak() {
            let address = peer.address().map(display);
            warn!(peer = address, unsaid, "a client speaks TLS, but the listener has none");
        }
    }

    /// How much was left out before, if there may be a line now.
    fn may_speak(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.until.is_none_or(|until| until.is_over()) {
            (said.lines, said.until) = (0, Some(Deadline::after(SPAN)));
        }
        if said.lines < LINES_MAX {
            said.lines += 1;
            Some(std::mem::take(&mut said.unsaid))
        } else {
            said.unsaid += 1;
            None
        }
    }
}

/// Whether a client just went away.
fn is_of_the_line(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Why a handshake failed, as those may understand it who do not know TLS.
fn reason(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the client does not speak TLS".into()
        }
        Some(Error::NoApplicationProtocol) => {
            "the client does not offer the listener's protocol (ALPN): gRPC needs h2, the http listener http/1.1"
                .into()
        }
        Some(Error::NoCertificatesPresented) => "the client has no certificate".into(),
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            format!("the client's certificate: {other}")
        }
        Some(Error::InvalidCertificate(error)) => format!("the client's certificate: {error}"),
        Some(Error::AlertReceived(alert)) => format!("the client refused: {alert:?}"),
        _ if error.kind() == io::ErrorKind::TimedOut => {
            "the client did not end the handshake in time".into()
        }
        _ => chain(error),
    }
}
