//! The URL of the database, and what it says of TLS.
//!
//! The driver knows neither `sslmode=verify-ca` and `verify-full` nor the files that go with them, which
//! libpq does (PostgreSQL's documentation, 32.18). They are taken out before the driver reads the rest.

use std::{borrow::Cow, ops::Range, path::PathBuf, sync::Arc};

use percent_encoding::percent_decode_str;
use thiserror::Error;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, SslNegotiation},
};

use crate::tls::{
    InvalidTls,
    outgoing::{Authorities, OutgoingTls, Source, Trust},
};

/// A database, and TLS to it.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    /// The server; whether TLS is wanted and must be.
    pub config: Config,
    /// `None` if there is to be none.
    pub tls: Option<Arc<OutgoingTls>>,
}

/// A URL that leads to no database.
#[derive(Debug, Error)]
pub enum InvalidUrl {
    /// Of another form.
    #[error("must be like postgresql://user:password@host:5432/database")]
    Form(#[source] tokio_postgres::Error),
    /// An unknown mode.
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    Mode,
    /// An authority that nothing would be compared with.
    #[error(
        "sslrootcert needs sslmode=verify-full, verify-ca or require, which then verifies as verify-ca does"
    )]
    UnusedAuthority,
    /// A certificate without a key, or a key without a certificate.
    #[error("sslcert and sslkey go together")]
    HalfCertificate,
    /// A certificate for nothing.
    #[error("sslcert and sslkey do not go with sslmode=disable")]
    UnusedCertificate,
    /// One of the files.
    #[error("cannot be used")]
    Tls(#[from] InvalidTls),
}

/// What a URL says of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    mode: Option<String>,
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Asked {
    /// Takes a setting. Says whether it is one of ours.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let place = match name {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.authority,
            "sslcert" => &mut self.certificate,
            "sslkey" => &mut self.key,
            _ => return false,
        };
        *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        true
    }
}

impl DatabaseUrl {
    /// Reads a URL, or settings such as `host=db user=keyward`, and the files that it names. Blocks.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let (rest, asked) = split(text.trim());
        let mut config: Config = rest.parse().map_err(InvalidUrl::Form)?;
        let (mode, trust) = trust(&asked)?;
        let own = match (asked.certificate, asked.key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err(InvalidUrl::HalfCertificate),
        };
        if mode == SslMode::Disable && own.is_some() {
            return Err(InvalidUrl::UnusedCertificate);
        }
        // as libpq does: over a socket of this machine there is no TLS, whatever the mode
        if mode == SslMode::Disable || is_local(&config) {
            config.ssl_mode(SslMode::Disable);
            return Ok(Self { config, tls: None });
        }
        config.ssl_mode(mode);
        let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        // a server that is spoken to in TLS at once wants it (PostgreSQL's documentation, 54.2.12)
        let alpn = is_direct.then_some(&b"postgresql"[..]);
        let source = Source { owner: "connection to the database", trust, own, alpn };
        Ok(Self { config, tls: Some(Arc::new(OutgoingTls::load(source)?)) })
    }
}

/// Whether nothing but sockets of this machine are connected to.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    let are_sockets = hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    // an address counts more than the name of a host
    !hosts.is_empty() && are_sockets && config.get_hostaddrs().is_empty()
}

/// How much TLS is asked for, and what is verified of the server.
fn trust(asked: &Asked) -> Result<(SslMode, Trust), InvalidUrl> {
    let authorities = match asked.authority.as_deref() {
        Some("system") => Some(Authorities::System),
        Some(path) => Some(Authorities::File(PathBuf::from(path))),
        None => None,
    };
    let or_system = |authorities: Option<_>| authorities.unwrap_or(Authorities::System);
    Ok(match (asked.mode.as_deref(), authorities) {
        (Some("disable" | "prefer") | None, Some(_)) => return Err(InvalidUrl::UnusedAuthority),
        (Some("disable"), None) => (SslMode::Disable, Trust::Nothing),
        (Some("prefer") | None, None) => (SslMode::Prefer, Trust::Nothing),
        (Some("require"), None) => (SslMode::Require, Trust::Nothing),
        (Some("require"), Some(given)) => (SslMode::Require, Trust::Authority(given)),
        (Some("verify-ca"), given) => (SslMode::Require, Trust::Authority(or_system(given))),
        (Some("verify-full"), given) => (SslMode::Require, Trust::HostName(or_system(given))),
        _ => return Err(InvalidUrl::Mode),
    })
}

/// Takes what is about TLS out of a URL or settings.
fn split(text: &str) -> (String, Asked) {
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        split_url(text)
    } else {
        split_settings(text)
    }
}

fn split_url(text: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    // the driver takes all before the first `@` for user and password
    let behind_user = text.find('@').unwrap_or(0);
    let query = text.get(behind_user..).and_then(|rest| rest.find('?'));
    let Some((base, query)) = query.and_then(|at| text.split_at_checked(behind_user + at)) else {
        return (text.to_owned(), asked);
    };
    let is_other = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !asked.take(&decoded(name), &decoded(value))
    };
    let query = query.strip_prefix('?').unwrap_or(query);
    let others: Vec<&str> = query.split('&').filter(is_other).collect();
    let mark = if others.is_empty() { "" } else { "?" };
    (format!("{base}{mark}{}", others.join("&")), asked)
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// What cannot be read is left to the driver, which complains of it.
fn split_settings(text: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    let (mut others, mut kept_to, mut at) = (String::new(), 0, 0);
    while let Some(Setting { name, value, range }) = next_setting(text, at) {
        if asked.take(name, &value) {
            others.push_str(text.get(kept_to..range.start).unwrap_or_default());
            kept_to = range.end;
        }
        at = range.end;
    }
    others.push_str(text.get(kept_to..).unwrap_or_default());
    (others, asked)
}

struct Setting<'a> {
    name: &'a str,
    value: String,
    /// Where it stands, with the blanks before it.
    range: Range<usize>,
}

/// The next of settings such as `name = 'value'`, in which `\` stands before what is meant as it is.
fn next_setting(text: &str, start: usize) -> Option<Setting<'_>> {
    let rest = text.get(start..)?;
    let (before, behind) = rest.split_once('=')?;
    let name = before.trim();
    let trimmed = behind.trim_start();
    let (quoted, body) = match trimmed.strip_prefix('\'') {
        Some(body) => (true, body),
        None => (false, trimmed),
    };
    let (mut value, mut escaped, mut end) = (String::new(), false, None);
    for (at, char) in body.char_indices() {
        let is_end = if quoted { char == '\'' } else { char.is_whitespace() };
        match (escaped, char) {
            (false, '\\') => escaped = true,
            (false, _) if is_end => {
                end = Some(at + usize::from(quoted));
                break;
            }
            (_, char) => {
                value.push(char);
                escaped = false;
            }
        }
    }
    let end = match end {
        Some(end) => end,
        None if quoted => return None,
        None => body.len(),
    };
    let left = body.len() - end;
    Some(Setting { name, value, range: start..text.len() - left })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(mode: &str, authority: &str, certificate: &str, key: &str) -> Asked {
        let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let [mode, authority, certificate, key] = [mode, authority, certificate, key].map(filled);
        Asked { mode, authority, certificate, key }
    }

    #[test]
    fn what_is_about_tls_is_taken_out_and_nothing_else() {
        for (text, rest, expected) in [
            ("postgresql://db/keyward", "postgresql://db/keyward", asked("", "", "", "")),
            ("postgres://db?sslmode=verify-ca", "postgres://db", asked("verify-ca", "", "", "")),
            (
                "postgresql://u:p@db/k?a=b&sslmode=verify-full&sslrootcert=%2Fa%20b&c=%26",
                "postgresql://u:p@db/k?a=b&c=%26",
                asked("verify-full", "/a b", "", ""),
            ),
            (
                "postgresql://u:p?sslmode=x@db/k?sslcert=c&sslkey=k",
                "postgresql://u:p?sslmode=x@db/k",
                asked("", "", "c", "k"),
            ),
            ("postgresql://db?ssl%6dode=require", "postgresql://db", asked("require", "", "", "")),
            ("postgresql://db?sslmode=", "postgresql://db", asked("", "", "", "")),
            (
                "host=db sslmode=verify-full user=u",
                "host=db user=u",
                asked("verify-full", "", "", ""),
            ),
            (
                r"sslrootcert = '/a \'b\'/c' host=db password='sslmode=disable \\' sslkey=/k\ y",
                r" host=db password='sslmode=disable \\'",
                asked("", "/a 'b'/c", "", "/k y"),
            ),
            ("host='open sslmode=require", "host='open sslmode=require", asked("", "", "", "")),
        ] {
            assert_eq!(split(text), (rest.to_owned(), expected), "{text}");
        }
    }

    #[test]
    fn each_mode_verifies_what_its_name_says() {
        let (system, file) = (Authorities::System, Authorities::File("/ca".into()));
        for (mode, authority, expected) in [
            ("", "", Ok((SslMode::Prefer, Trust::Nothing))),
            ("disable", "", Ok((SslMode::Disable, Trust::Nothing))),
            ("prefer", "", Ok((SslMode::Prefer, Trust::Nothing))),
            ("require", "", Ok((SslMode::Require, Trust::Nothing))),
            ("require", "/ca", Ok((SslMode::Require, Trust::Authority(file.clone())))),
            ("verify-ca", "", Ok((SslMode::Require, Trust::Authority(system.clone())))),
            ("verify-ca", "/ca", Ok((SslMode::Require, Trust::Authority(file.clone())))),
            ("verify-full", "system", Ok((SslMode::Require, Trust::HostName(system)))),
            ("verify-full", "/ca", Ok((SslMode::Require, Trust::HostName(file)))),
            ("disable", "/ca", Err("sslrootcert needs")),
            ("prefer", "/ca", Err("sslrootcert needs")),
            ("", "/ca", Err("sslrootcert needs")),
            ("allow", "", Err("sslmode must be")),
            ("verify_full", "/ca", Err("sslmode must be")),
        ] {
            match (trust(&asked(mode, authority, "", "")), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{mode} {authority}"),
                (Err(found), Err(expected)) => {
                    assert!(found.to_string().starts_with(expected), "{mode} {authority}: {found}");
                }
                (found, _) => panic!("{mode} {authority}: {found:?}"),
            }
        }
    }

    #[test]
    fn over_a_socket_of_this_machine_there_is_no_tls() {
        let url = DatabaseUrl::parse("postgresql:///k?host=/run&sslmode=require").unwrap();
        assert!(url.tls.is_none());
        assert_eq!(url.config.get_ssl_mode(), SslMode::Disable);
        for elsewhere in [
            "postgresql://db/k",
            "postgresql:///k?hostaddr=10.0.0.1&sslmode=require",
            "host=/run hostaddr=10.0.0.1 sslmode=require",
            "host=/run,db sslmode=require",
        ] {
            let url = DatabaseUrl::parse(elsewhere).unwrap();
            assert!(url.tls.is_some(), "{elsewhere}");
            assert_ne!(url.config.get_ssl_mode(), SslMode::Disable, "{elsewhere}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_and_what_is_left_says_nothing_of_tls(
            text in r"(postgres://)?[a-z@?&=%' \\]{0,12}(sslmode|sslkey)?[a-z=&?' \\]{0,12}"
        ) {
            let (rest, _) = split(&text);
            prop_assert!(rest.len() <= text.len());
            prop_assert_eq!(split(&rest), (rest.clone(), Asked::default()));
        }
    }
}
