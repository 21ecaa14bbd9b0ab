//! Settings of limits: how replicas share them, and how many tries may fail.

use std::{ffi::OsString, fs, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    Hidden, InvalidSetting,
    parse::{filled, interval, text_or_file},
};
use crate::limiter::{Sharing, failures::FailureLimit, shared::server::Server};

const URL: &str = "--redis-url (REDIS_URL)";
const URL_FILE: &str = "--redis-url-file (REDIS_URL_FILE)";
const CA_FILE: &str = "--redis-ca-file (KEYWARD_REDIS_CA_FILE)";

/// How limits are enforced.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// How replicas share limits [default: fast with a Redis URL, else local]
    #[arg(long, env = "KEYWARD_LIMIT_SHARING", value_name = "MODE")]
    pub limit_sharing: Option<SharingMode>,

    /// Redis or Valkey, through which replicas share limits, such as `redis://user:password@host:6379/0`,
    /// `redis+cluster://host1:6379,host2:6379` or `redis+sentinel://host1:26379,host2:26379/master-name`;
    /// with TLS `rediss` instead of `redis`
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<Hidden>,

    /// A file with that URL
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE")]
    pub redis_url_file: Option<OsString>,

    /// A file with the certificate (PEM) that Redis's must be signed with [default: those that the
    /// system trusts]
    #[arg(long, env = "KEYWARD_REDIS_CA_FILE", value_name = "FILE")]
    pub redis_ca_file: Option<OsString>,

    /// What our keys in Redis begin with, for installations that share one
    #[arg(long, env = "KEYWARD_REDIS_PREFIX", value_name = "WORD", default_value = "keyward", value_parser = prefix)]
    pub redis_prefix: String,

    /// How long a decision waits for Redis in mode exact; then this replica enforces its share
    #[arg(long, env = "KEYWARD_REDIS_TIMEOUT", value_name = "TIME", default_value = "5ms", value_parser = timeout)]
    pub redis_timeout: Duration,

    /// How often replicas tell each other in the background what they allowed
    #[arg(long, env = "KEYWARD_LIMIT_SYNC_INTERVAL", value_name = "TIME", default_value = "100ms", value_parser = sync_interval)]
    pub limit_sync_interval: Duration,

    /// How many replicas share limits at least: while Redis is away each enforces one part in as many.
    /// While it is there they count themselves
    #[arg(long, env = "KEYWARD_REPLICAS", value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub replicas: u32,

    /// How often to store what was used of quotas; a crash loses what is newer
    #[arg(long, env = "KEYWARD_QUOTA_FLUSH_INTERVAL", value_name = "TIME", default_value = "1s", value_parser = quota_interval)]
    pub quota_flush_interval: Duration,

    /// How many tries with bad keys one client address has, such as 60/1m (all at once, and then one
    /// each second), or off
    #[arg(long, env = "KEYWARD_FAILURE_LIMIT", value_name = "LIMIT", default_value = "60/1m", value_parser = failure_limit)]
    pub failure_limit: Failures,

    /// The same for calls without a client address, by the address of who calls. All that it asks is
    /// throttled, also for good keys
    #[arg(long, env = "KEYWARD_PEER_FAILURE_LIMIT", value_name = "LIMIT", default_value = "off", value_parser = failure_limit)]
    pub peer_failure_limit: Failures,
}

/// A limit on failed tries, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures(pub Option<FailureLimit>);

/// How replicas share limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SharingMode {
    /// Each enforces them by itself: for one replica
    Local,
    /// Each decides by what it knows; they tell each other in the background, through Redis
    Fast,
    /// Each decision asks Redis what all have allowed
    Exact,
}

impl LimitArgs {
    /// How replicas share limits, and through what.
    pub fn sharing(&self) -> Result<(Sharing, Option<Server>), InvalidSetting> {
        let given = (self.redis_url.as_ref(), self.redis_url_file.as_ref());
        let url = text_or_file(given, (URL, URL_FILE))?;
        let sharing = match (self.limit_sharing, &url) {
            (None | Some(SharingMode::Local), None) => return Ok((Sharing::Local, None)),
            (Some(SharingMode::Local), Some(_)) => return Err(InvalidSetting::UnusedRedis),
            (Some(SharingMode::Fast | SharingMode::Exact), None) => {
                return Err(InvalidSetting::NoRedisUrl);
            }
            (None | Some(SharingMode::Fast), Some(_)) => Sharing::Fast,
            (Some(SharingMode::Exact), Some(_)) => Sharing::Exact,
        };
        let authority = filled(self.redis_ca_file.as_ref()).map(|file| {
            let path = std::path::PathBuf::from(file);
            fs::read(&path).map_err(|source| InvalidSetting::File {
                setting: CA_FILE,
                path,
                source,
            })
        });
        let url = url.unwrap_or_default();
        let server = Server::parse(url.trim(), authority.transpose()?);
        Ok((sharing, Some(server.map_err(InvalidSetting::RedisUrl)?)))
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(span) if (Duration::from_millis(1)..=Duration::from_secs(1)).contains(&span) => Ok(span),
        _ => Err("must be a time from 1ms to 1s".to_owned()),
    }
}

fn sync_interval(text: &str) -> Result<Duration, String> {
    match interval(text) {
        Ok(span) if span <= Duration::from_secs(10) => Ok(span),
        _ => Err("must be a time from 10ms to 10s".to_owned()),
    }
}

fn quota_interval(text: &str) -> Result<Duration, String> {
    match interval(text) {
        Ok(span) if span <= Duration::from_secs(60 * 60) => Ok(span),
        _ => Err("must be a time from 10ms to 1h".to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 characters of a-z, A-Z, 0-9, -, _, . and :")
    }
}

fn failure_limit(text: &str) -> Result<Failures, String> {
    const FORM: &str = "must be off, or a number and a time such as 60/1m";
    if text == "off" {
        return Ok(Failures(None));
    }
    let (count, period) = text.split_once('/').ok_or(FORM)?;
    let count = count.parse().or(Err(FORM))?;
    let period = humantime::parse_duration(period).or(Err(FORM))?;
    let limit = FailureLimit::new(count, period).map_err(|error| error.to_string())?;
    Ok(Failures(Some(limit)))
}

#[cfg(test)]
mod tests;
