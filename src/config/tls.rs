//! Settings for TLS on the listeners.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use super::{
    InvalidSetting,
    parse::{filled, interval},
};
use crate::tls::{
    clients::Clients,
    listener::{ClientTrust, Inside, ListenerTls, Source},
    reload::Reloading,
};

/// Settings for TLS on the listeners.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS: files in PEM; new contents are used without a restart")]
pub struct TlsArgs {
    /// The authorize listener's certificate, and those of its issuers; without it there is no TLS
    #[arg(long, env = "KEYWARD_AUTHORIZE_TLS_CERT", value_name = "FILE")]
    pub authorize_tls_cert: Option<OsString>,

    /// The key of that certificate
    #[arg(long, env = "KEYWARD_AUTHORIZE_TLS_KEY", value_name = "FILE")]
    pub authorize_tls_key: Option<OsString>,

    /// Authorities: backends need a certificate from one of them
    #[arg(long, env = "KEYWARD_AUTHORIZE_TLS_CLIENT_CA", value_name = "FILE")]
    pub authorize_tls_client_ca: Option<OsString>,

    /// Which of them may call, by the names in their certificates, separated by commas: a URI such as
    /// `spiffe://example.org/orders`, all of a trust domain as `spiffe://example.org/*`, or a host name
    /// [default: all]
    #[arg(long, env = "KEYWARD_AUTHORIZE_TLS_CLIENTS", value_name = "LIST", value_parser = Clients::parse)]
    pub authorize_tls_clients: Option<Clients>,

    /// The admin listener's certificate, and those of its issuers; without it there is no TLS
    #[arg(long, env = "KEYWARD_ADMIN_TLS_CERT", value_name = "FILE")]
    pub admin_tls_cert: Option<OsString>,

    /// The key of that certificate
    #[arg(long, env = "KEYWARD_ADMIN_TLS_KEY", value_name = "FILE")]
    pub admin_tls_key: Option<OsString>,

    /// Authorities: operators need a certificate from one of them
    #[arg(long, env = "KEYWARD_ADMIN_TLS_CLIENT_CA", value_name = "FILE")]
    pub admin_tls_client_ca: Option<OsString>,

    /// Which of them may call, as on the authorize listener
    #[arg(long, env = "KEYWARD_ADMIN_TLS_CLIENTS", value_name = "LIST", value_parser = Clients::parse)]
    pub admin_tls_clients: Option<Clients>,

    /// The http listener's certificate, and those of its issuers; without it there is no TLS
    #[arg(long, env = "KEYWARD_HTTP_TLS_CERT", value_name = "FILE")]
    pub http_tls_cert: Option<OsString>,

    /// The key of that certificate
    #[arg(long, env = "KEYWARD_HTTP_TLS_KEY", value_name = "FILE")]
    pub http_tls_key: Option<OsString>,

    /// Authorities: proxies need a certificate from one of them, and so does whoever probes
    #[arg(long, env = "KEYWARD_HTTP_TLS_CLIENT_CA", value_name = "FILE")]
    pub http_tls_client_ca: Option<OsString>,

    /// Which of them may call, as on the authorize listener
    #[arg(long, env = "KEYWARD_HTTP_TLS_CLIENTS", value_name = "LIST", value_parser = Clients::parse)]
    pub http_tls_clients: Option<Clients>,

    /// How often to look whether files of TLS have changed; SIGHUP looks at once
    #[arg(long, env = "KEYWARD_TLS_RELOAD_INTERVAL", value_name = "TIME", default_value = "10s", value_parser = interval)]
    pub tls_reload_interval: Duration,
}

/// TLS of all listeners; `None` where there is none.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// For backends.
    pub authorize: Option<Arc<ListenerTls>>,
    /// For operators.
    pub admin: Option<Arc<ListenerTls>>,
    /// For proxies that speak HTTP/1.
    pub http: Option<Arc<ListenerTls>>,
}

impl Listeners {
    /// What is to be looked at again.
    pub fn reloading(&self) -> Vec<Arc<dyn Reloading>> {
        let all = [&self.authorize, &self.admin, &self.http].into_iter().flatten();
        all.map(|tls| -> Arc<dyn Reloading> { Arc::<ListenerTls>::clone(tls) }).collect()
    }
}

/// What TLS a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// There is none.
    None,
    /// The listener has a certificate.
    Server,
    /// Clients need one too.
    Mutual,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Server => "server",
            Self::Mutual => "mutual",
        })
    }
}

/// What TLS all listeners have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// For backends.
    pub authorize: Security,
    /// For operators.
    pub admin: Security,
    /// For proxies that speak HTTP/1.
    pub http: Security,
}

impl Listeners {
    /// What there is.
    pub fn described(&self) -> Described {
        let [authorize, admin, http] =
            [&self.authorize, &self.admin, &self.http].map(|tls| match tls {
                None => Security::None,
                Some(tls) if tls.asks_clients() => Security::Mutual,
                Some(_) => Security::Server,
            });
        Described { authorize, admin, http }
    }
}

/// The settings of one listener.
struct Given<'a> {
    owner: &'static str,
    /// The names of its settings: certificate, key, authorities, clients.
    settings: [&'static str; 4],
    inside: Inside,
    files: [&'a Option<OsString>; 3],
    clients: &'a Option<Clients>,
}

impl TlsArgs {
    /// Reads the files of all listeners. Blocks.
    pub fn listeners(&self) -> Result<Listeners, InvalidSetting> {
        let authorize = Given {
            owner: "authorize listener",
            settings: [
                "--authorize-tls-cert (KEYWARD_AUTHORIZE_TLS_CERT)",
                "--authorize-tls-key (KEYWARD_AUTHORIZE_TLS_KEY)",
                "--authorize-tls-client-ca (KEYWARD_AUTHORIZE_TLS_CLIENT_CA)",
                "--authorize-tls-clients (KEYWARD_AUTHORIZE_TLS_CLIENTS)",
            ],
            inside: Inside::Http2,
            files: [
                &self.authorize_tls_cert,
                &self.authorize_tls_key,
                &self.authorize_tls_client_ca,
            ],
            clients: &self.authorize_tls_clients,
        };
        let admin = Given {
            owner: "admin listener",
            settings: [
                "--admin-tls-cert (KEYWARD_ADMIN_TLS_CERT)",
                "--admin-tls-key (KEYWARD_ADMIN_TLS_KEY)",
                "--admin-tls-client-ca (KEYWARD_ADMIN_TLS_CLIENT_CA)",
                "--admin-tls-clients (KEYWARD_ADMIN_TLS_CLIENTS)",
            ],
            inside: Inside::Http2,
            files: [&self.admin_tls_cert, &self.admin_tls_key, &self.admin_tls_client_ca],
            clients: &self.admin_tls_clients,
        };
        let http = Given {
            owner: "http listener",
            settings: [
                "--http-tls-cert (KEYWARD_HTTP_TLS_CERT)",
                "--http-tls-key (KEYWARD_HTTP_TLS_KEY)",
                "--http-tls-client-ca (KEYWARD_HTTP_TLS_CLIENT_CA)",
                "--http-tls-clients (KEYWARD_HTTP_TLS_CLIENTS)",
            ],
            inside: Inside::Http1,
            files: [&self.http_tls_cert, &self.http_tls_key, &self.http_tls_client_ca],
            clients: &self.http_tls_clients,
        };
        Ok(Listeners { authorize: authorize.load()?, admin: admin.load()?, http: http.load()? })
    }
}

impl Given<'_> {
    fn load(self) -> Result<Option<Arc<ListenerTls>>, InvalidSetting> {
        let [certificate, key, authorities] =
            self.files.map(|file| filled(file.as_ref()).map(PathBuf::from));
        let [certificate_setting, key_setting, authorities_setting, clients_setting] =
            self.settings;
        let needs = |setting, other| Err(InvalidSetting::Needs(setting, other));
        let clients = match (authorities, self.clients) {
            (Some(authorities), clients) => {
                Some(ClientTrust { authorities, clients: clients.clone() })
            }
            (None, Some(_)) => return needs(clients_setting, authorities_setting),
            (None, None) => None,
        };
        let source = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let Self { owner, inside, .. } = self;
                Source { owner, inside, certificate, key, clients }
            }
            (Some(_), None) => return needs(certificate_setting, key_setting),
            (None, Some(_)) => return needs(key_setting, certificate_setting),
            (None, None) if clients.is_some() => {
                return needs(authorities_setting, certificate_setting);
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Arc::new(ListenerTls::load(source)?)))
    }
}
