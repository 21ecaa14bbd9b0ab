//! Reaching a server, with TLS or without.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Authority};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    codegen::Service,
    transport::{Channel, Endpoint},
};

use super::{error::CliError, output::note};
use crate::tls::outgoing::{Authorities, OutgoingTls, Source, Trust};

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How often a server is asked over HTTP/2 whether it is still there (RFC 9113, 6.7), and how long its answer may
/// take.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// Where `keyward serve` listens if it is not told.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:50052";

/// How to speak to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Its address, with a scheme.
    pub server: String,
    /// Who may say who it is; none: those whom the system trusts.
    pub ca: Option<PathBuf>,
    /// Our own certificate.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
}

impl Route {
    /// A channel that connects when it is first used. The first answer to a call, of a stream too, may take
    /// `time_max`. A server that is gone without a word is noticed.
    pub fn channel(&self, time_max: Duration) -> Result<Channel, CliError> {
        let endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|error| invalid(&self.server, &error.to_string()))?
            .connect_timeout(CONNECT_TIME_MAX)
            .tcp_nodelay(true)
            .timeout(time_max)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIME_MAX)
            .keep_alive_while_idle(true);
        if endpoint.uri().scheme_str() != Some("https") {
            if self.ca.is_some() || self.client_cert.is_some() || self.client_key.is_some() {
                return Err(CliError::usage(
                    format!("--ca, --client-cert and --client-key say nothing to {}", self.server),
                    "give the server's address with https://, or leave them out",
                ));
            }
            return Ok(endpoint.connect_lazy());
        }
        let connector = Connector { tls: TlsConnector::from(self.tls()?.config()) };
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    /// Tells people that others can see the token on its way.
    pub fn warn_of_plaintext(&self) {
        if self.is_overheard() {
            note(&format!(
                "Warning: {} is asked without TLS; others on the way can see the token.",
                self.server
            ));
        }
    }

    /// Whether it leads to another machine without TLS.
    fn is_overheard(&self) -> bool {
        let uri = self.server.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
        uri.is_some_and(|uri| !uri.host().is_some_and(is_this_machine))
    }

    fn tls(&self) -> Result<OutgoingTls, CliError> {
        let own = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(CliError::usage(
                    "--client-cert and --client-key need each other",
                    "give both or none",
                ));
            }
        };
        let authorities = self.ca.clone().map_or(Authorities::System, Authorities::File);
        let source = Source {
            owner: "connection to the server",
            trust: Trust::HostName(authorities),
            own,
            alpn: Some(b"h2"),
        };
        Ok(OutgoingTls::load(source)?)
    }
}

/// The address as it was given, with a scheme.
pub fn with_scheme(text: &str) -> Result<String, CliError> {
    let text = text.trim();
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        let authority = text.trim_end_matches('/').parse::<Authority>();
        let here = authority.is_ok_and(|authority| is_this_machine(authority.host()));
        format!("{}://{text}", if here { "http" } else { "https" })
    };
    let parsed: Uri = whole.parse().map_err(|error| invalid(text, &format!("{error}")))?;
    let scheme = parsed.scheme_str().unwrap_or_default();
    let is_plain = parsed.path() == "/" && parsed.query().is_none();
    match parsed.authority() {
        Some(authority) if authority.as_str().ends_with(':') => Err(invalid(text, "has no port")),
        Some(authority) if authority.as_str().contains('@') => {
            Err(invalid(text, "must have no user name"))
        }
        Some(authority) if matches!(scheme, "http" | "https") && is_plain => {
            let port = if authority.port().is_some() { "" } else { ":50052" };
            Ok(format!("{scheme}://{authority}{port}"))
        }
        _ => Err(invalid(text, "must be like https://HOST:PORT")),
    }
}

/// Whether a host, as an address has it, is the machine that this program runs on. A name is so if it is
/// `localhost` (RFC 6761, 6.3).
fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

fn invalid(text: &str, why: &str) -> CliError {
    CliError::usage(
        format!("--server: {text:?} {why}"),
        "such as https://keyward.example.org:50052 or 127.0.0.1:50052",
    )
}

/// A path that still leads there from another folder.
pub fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    let absolute = path.map(std::path::absolute).transpose();
    absolute.map_err(|source| CliError::io("the present folder cannot be found", source))
}

/// Connects with TLS.
#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(connect(self.tls.clone(), to))
    }
}

async fn connect(tls: TlsConnector, to: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = to.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TcpStream::connect((host, to.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(tls.connect(name, stream).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_https_but_on_this_machine() {
        for (given, meant) in [
            ("127.0.0.1:50052", "http://127.0.0.1:50052"),
            ("localhost", "http://localhost:50052"),
            ("[::1]:9", "http://[::1]:9"),
            ("[::1]", "http://[::1]:50052"),
            ("127.0.0.7/", "http://127.0.0.7:50052"),
            ("LOCALHOST:9", "http://LOCALHOST:9"),
            ("127.example.org", "https://127.example.org:50052"),
            ("localhost.example.org:9", "https://localhost.example.org:9"),
            ("[2001:db8::1]", "https://[2001:db8::1]:50052"),
            ("keyward.example.org", "https://keyward.example.org:50052"),
            ("http://keyward:50052/", "http://keyward:50052"),
            ("https://keyward.example.org:443", "https://keyward.example.org:443"),
        ] {
            assert_eq!(with_scheme(given).unwrap(), meant);
        }
    }

    #[test]
    fn who_leads_to_another_machine_without_tls_is_overheard() {
        for (server, expected) in [
            ("http://127.0.0.1:50052", false),
            ("http://[::1]:50052", false),
            ("http://localhost:50052", false),
            ("http://127.example.org:50052", true),
            ("http://[2001:db8::1]:50052", true),
            ("http://keyward:50052", true),
            ("https://keyward:50052", false),
        ] {
            let route = Route { server: server.into(), ..Route::default() };
            assert_eq!(route.is_overheard(), expected, "{server}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for given in
            ["", "ftp://a:1", "http://", "http://a/b", "http://a:1?x", "http://me@a:1", "a:"]
        {
            assert_eq!(with_scheme(given).unwrap_err().exit_code(), 2, "{given}");
        }
    }
}
