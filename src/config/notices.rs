//! Settings of notices of keys that are about to expire.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use http::{Uri, uri::Scheme};

use super::{
    Hidden, InvalidSetting,
    parse::{duration, filled, interval, text_or_file},
};
use crate::{
    model::notice::Thresholds,
    notices::signature::Secrets,
    tls::{
        listener::Inside,
        outgoing::{Authorities, OutgoingTls, Source, Trust},
    },
};

const TIME_MIN: Duration = Duration::from_millis(100);
const TIME_MAX: Duration = Duration::from_secs(30);
const URL: &str = "--notice-url (KEYWARD_NOTICE_URL)";
const SECRET: &str = "--notice-secret";
const SECRET_FILE: &str = "--notice-secret-file (KEYWARD_NOTICE_SECRET_FILE)";
const CA: &str = "--notice-ca (KEYWARD_NOTICE_CA)";

/// Who is told of keys that are about to expire.
#[derive(Debug, Args)]
#[command(next_help_heading = "Notices of keys that expire")]
pub struct NoticeArgs {
    /// Where notices are sent by POST, such as `https://hooks.example.org/keyward`; without it none are sent
    #[arg(long, env = "KEYWARD_NOTICE_URL", value_name = "URL", hide_env_values = true)]
    pub notice_url: Option<Hidden>,

    /// A file with what notices are signed with: `whsec_` and 24 to 64 bytes in base64; up to three lines, each
    /// of which makes a signature
    #[arg(long, env = "KEYWARD_NOTICE_SECRET_FILE", value_name = "FILE")]
    pub notice_secret_file: Option<OsString>,

    /// How long before its end a key is told of: one notice for each of these
    #[arg(long, env = "KEYWARD_NOTICE_BEFORE", value_name = "LIST", default_value = "30d,7d,1d", value_parser = thresholds)]
    pub notice_before: Thresholds,

    /// How often to look for keys that expire, and to count them for metrics, once a minute at least
    #[arg(long, env = "KEYWARD_NOTICE_INTERVAL", value_name = "TIME", default_value = "1m", value_parser = interval)]
    pub notice_interval: Duration,

    /// The authorities that the receiver's certificate may be from, in PEM [default: those of the system]
    #[arg(long, env = "KEYWARD_NOTICE_CA", value_name = "FILE")]
    pub notice_ca: Option<OsString>,

    /// How long the receiver may take to answer, 30s at most
    #[arg(long, env = "KEYWARD_NOTICE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = answer_time)]
    pub notice_timeout: Duration,
}

/// Who gets notices.
pub struct Receiver {
    /// Where it is. What it says beside the host may be a secret.
    pub url: Uri,
    /// TLS to it, for `https`.
    pub tls: Option<Arc<OutgoingTls>>,
    /// What notices are signed with.
    pub secrets: Secrets,
}

/// Of the URL the host only.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

impl NoticeArgs {
    /// The receiver that was given, if one was. Reads its files, and blocks.
    pub fn receiver(&self) -> Result<Option<Receiver>, InvalidSetting> {
        let Some(url) = text_or_file((self.notice_url.as_ref(), None), (URL, URL))? else {
            return Ok(None);
        };
        let url = receiver_url(&url).ok_or(InvalidSetting::NoticeUrl)?;
        let file = (None, self.notice_secret_file.as_ref());
        let text = text_or_file(file, (SECRET, SECRET_FILE))?;
        let text = text.ok_or(InvalidSetting::Needs(URL, SECRET_FILE))?;
        let secrets = Secrets::parse(&text).map_err(InvalidSetting::NoticeSecret)?;
        let authorities = filled(self.notice_ca.as_ref()).map(PathBuf::from);
        let tls = match (url.scheme() == Some(&Scheme::HTTPS), authorities) {
            (true, authorities) => {
                let authorities = authorities.map_or(Authorities::System, Authorities::File);
                Some(Arc::new(OutgoingTls::load(Source {
                    owner: "receiver of notices",
                    trust: Trust::HostName(authorities),
                    own: None,
                    alpn: Some(Inside::Http1.alpn()),
                })?))
            }
            (false, Some(_)) => return Err(InvalidSetting::Needs(CA, "an https URL")),
            (false, None) => None,
        };
        Ok(Some(Receiver { url, tls, secrets }))
    }
}

/// An `http` or `https` URL with a host, without user, password and fragment (RFC 3986).
fn receiver_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&url.scheme());
    let authority = url.authority()?;
    let plain = !authority.as_str().contains('@') && !text.contains('#');
    (known && plain && !authority.host().is_empty()).then_some(url)
}

fn thresholds(text: &str) -> Result<Thresholds, String> {
    let times = text.split(',').map(|time| duration(time.trim()));
    Thresholds::new(times.collect::<Result<_, _>>()?).map_err(|error| error.to_string())
}

fn answer_time(text: &str) -> Result<Duration, &'static str> {
    match duration(text) {
        Ok(time) if (TIME_MIN..=TIME_MAX).contains(&time) => Ok(time),
        _ => Err("must be a time such as 10s, from 100ms to 30s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        for good in
            ["https://hooks.example.org/keyward?x=1", "http://127.0.0.1:8080", "http://[::1]/"]
        {
            assert!(receiver_url(good).is_some(), "{good}");
        }
        for bad in
            ["hooks.example.org", "/x", "ftp://x/", "https://a:b@x/", "https://x/#y", "https://"]
        {
            assert!(receiver_url(bad).is_none(), "{bad}");
        }
        assert!(thresholds("30d, 7d,1d").is_ok());
        for bad in ["", "7d,", "7d,7d", "0s", "400d", "soon"] {
            assert!(thresholds(bad).is_err(), "{bad}");
        }
        for bad in ["99ms", "31s", "x"] {
            assert!(answer_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_shows_a_receiver_shows_its_host_only() {
        let url = receiver_url("https://hooks.example.org/secret?also=secret").unwrap();
        let secrets = Secrets::parse(&format!("whsec_{}", "A".repeat(32))).unwrap();
        let shown = format!("{:?}", Receiver { url, tls: None, secrets });
        assert_eq!(shown, "Receiver { host: Some(\"hooks.example.org\"), .. }");
    }
}
