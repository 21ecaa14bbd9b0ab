//! What is given by flags, files and variables: times, labels, limits, secrets.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read},
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost_types::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

use super::error::CliError;
use crate::clock;

/// A token is far shorter.
const SECRET_BYTES_MAX: u64 = 4096;

/// A secret text: not printed by `Debug`, and wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text without white space around it; nothing if there is no more.
    pub fn new(mut text: String) -> Option<Self> {
        let trimmed = Zeroizing::new(text.trim().to_owned());
        text.zeroize();
        (!trimmed.is_empty()).then_some(Self(trimmed))
    }

    /// The text. It must go nowhere but to the server, or where its owner asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What a variable has, if it is set.
    pub fn of_variable(name: &str) -> Option<Self> {
        std::env::var_os(name)?.into_string().ok().and_then(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secret in a file; `-` is standard input.
pub fn secret_file(flag: &str, file: &Path) -> Result<Secret, CliError> {
    let shown = file.display();
    let what = || format!("{flag}: {shown} cannot be read");
    let read = if file.as_os_str() == "-" {
        text_of(io::stdin().lock())
    } else {
        fs::File::open(file).and_then(text_of)
    };
    let text = read.map_err(|source| CliError::io(what(), source))?;
    Secret::new(text)
        .ok_or_else(|| CliError::usage(format!("{flag}: {shown} is empty"), "it must have a token"))
}

/// The secret that is piped in.
pub fn secret_input(what: &str) -> Result<Secret, CliError> {
    let read = text_of(io::stdin().lock());
    let text = read.map_err(|source| CliError::io("standard input cannot be read", source))?;
    Secret::new(text).ok_or_else(|| {
        CliError::usage(format!("{what} is expected on standard input, and nothing came"), "")
    })
}

fn text_of(from: impl Read) -> io::Result<String> {
    text_within(from, SECRET_BYTES_MAX)
}

/// All text that there is; an error if it has more bytes than may be, since a part would mean something else.
pub fn text_within(from: impl Read, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = from.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= bytes_max) {
        return String::from_utf8(bytes).map_err(|error| {
            let why = error.utf8_error();
            error.into_bytes().zeroize();
            io::Error::new(io::ErrorKind::InvalidData, why)
        });
    }
    bytes.zeroize();
    let problem = format!("it has more than {bytes_max} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, problem))
}

/// An instant: `2026-12-31`, `2026-12-31T18:00:00Z`, or how long from now: `30d`, `12h`.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    const FORM: &str = "must be a date such as 2026-12-31 or 2026-12-31T18:00:00Z (UTC), or a time from now such as 30d or 12h";
    let dated = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    if let Ok(time) = humantime::parse_rfc3339_weak(&dated) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        return since.ok().and_then(stamp).ok_or_else(|| FORM.to_owned());
    }
    let span = humantime::parse_duration(text).ok().ok_or(FORM)?;
    let now = u64::try_from(clock::wall().micros()).unwrap_or_default();
    let then = Duration::from_micros(now).checked_add(span);
    then.and_then(stamp).ok_or_else(|| FORM.to_owned())
}

/// An instant that is over: a date, or how long ago: `7d`, `90m`.
pub fn past(text: &str) -> Result<Timestamp, String> {
    let Ok(span) = humantime::parse_duration(text) else {
        return instant(text).map_err(|form| form.replace("from now", "before now"));
    };
    let now = u64::try_from(clock::wall().micros()).unwrap_or_default();
    let then = Duration::from_micros(now).checked_sub(span);
    then.and_then(stamp).ok_or_else(|| "must be a time since 1970".to_owned())
}

fn stamp(since_1970: Duration) -> Option<Timestamp> {
    let nanos = i32::try_from(since_1970.subsec_nanos()).ok()?;
    Some(Timestamp { seconds: i64::try_from(since_1970.as_secs()).ok()?, nanos })
}

/// An id that nobody has used: 16 random bytes in base64.
pub fn random_id() -> Result<String, CliError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|ring::error::Unspecified| {
        CliError::failed("the system has no randomness", "give --request-id TEXT")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// How long: `500ms`, `30s`, `1h`, `7d`.
pub fn span(text: &str) -> Result<prost_types::Duration, String> {
    const FORM: &str = "must be a time such as 500ms, 30s, 1h or 7d";
    let span = humantime::parse_duration(text).ok().ok_or(FORM)?;
    prost_types::Duration::try_from(span).ok().ok_or_else(|| FORM.to_owned())
}

/// A label: `NAME=VALUE`.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

/// Labels by their names.
pub fn labels(given: &[(String, String)]) -> BTreeMap<String, String> {
    given.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(" kw_prod_x\n".into()).unwrap();
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("kw_prod_x", "Secret(..)"));
        assert_eq!(Secret::new("\n".into()), None);
    }

    #[test]
    fn a_text_is_read_as_a_whole_or_refused() {
        assert_eq!(text_within(&b"abc"[..], 3).unwrap(), "abc");
        for (given, problem) in [(&b"abcd"[..], "more than 3 bytes"), (b"\xff", "utf-8")] {
            let error = text_within(given, 3).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn an_instant_is_a_date_or_a_time_from_now() {
        assert_eq!(instant("1970-01-02"), Ok(Timestamp { seconds: 86_400, nanos: 0 }));
        assert_eq!(instant("1970-01-01T00:00:01.5Z").unwrap().nanos, 500_000_000);
        let now = clock::wall().micros() / 1_000_000;
        let then = instant("30d").unwrap().seconds;
        assert!((then - now - 30 * 86_400).abs() <= 60, "{then} {now}");
        for text in ["", "tomorrow", "-1d", "2026-13-01", "1969-01-01"] {
            assert!(instant(text).unwrap_err().contains("2026-12-31"), "{text}");
        }
    }

    #[test]
    fn a_past_instant_is_a_date_or_a_time_before_now() {
        assert_eq!(past("1970-01-02"), Ok(Timestamp { seconds: 86_400, nanos: 0 }));
        let now = clock::wall().micros() / 1_000_000;
        let then = past("7d").unwrap().seconds;
        assert!((now - then - 7 * 86_400).abs() <= 60, "{then} {now}");
        assert!(past("yesterday").unwrap_err().contains("before now"));
        assert!(past("100y").is_err());
    }

    #[test]
    fn a_label_has_a_name() {
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(label("a").is_err() && label("=b").is_err());
    }
}
