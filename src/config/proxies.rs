//! Settings for requests that come through proxies.

use std::net::SocketAddr;

use clap::{Args, builder::BoolishValueParser};

use crate::{
    model::{
        key_source::{InvalidKeySource, KeySources, OWN_PREFIX},
        name::EnvironmentName,
    },
    proxy::Settings,
};

const HOPS_MAX: u8 = 50;
const FIELD_NAME_BYTES_MAX: usize = 64;
const CHALLENGE_BYTES_MAX: usize = 256;

/// Settings for requests that come through proxies.
#[derive(Debug, Args)]
#[command(next_help_heading = "Proxies: Envoy's ext_authz, and forward auth")]
pub struct ProxyArgs {
    /// Where forward auth is asked for: `/authorize`, and the probes `/livez` and `/readyz`
    #[arg(
        long,
        env = "KEYWARD_HTTP_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:50053"
    )]
    pub http_listen: SocketAddr,

    /// Open connections on the http listener; more are closed at once
    #[arg(long, env = "KEYWARD_HTTP_CONNECTIONS", value_name = "NUMBER", default_value = "1000")]
    pub http_connections: std::num::NonZeroUsize,

    /// Where keys are: header:NAME, bearer, basic:USER, query:NAME and cookie:NAME, separated by
    /// commas. Two different keys in one request are denied
    #[arg(long, env = "KEYWARD_KEY_SOURCES", value_name = "LIST", default_value = "header:x-api-key,bearer", value_parser = sources)]
    pub key_sources: KeySources,

    /// The environment of requests whose route names none
    #[arg(long, env = "KEYWARD_PROXY_ENVIRONMENT", value_name = "NAME", value_parser = EnvironmentName::parse)]
    pub proxy_environment: Option<EnvironmentName>,

    /// How many proxies that append to X-Forwarded-For stand in front of the one that asks
    #[arg(long, env = "KEYWARD_TRUSTED_HOPS", value_name = "NUMBER", default_value = "0", value_parser = clap::value_parser!(u8).range(..=i64::from(HOPS_MAX)))]
    pub trusted_hops: u8,

    /// The header field that names the customer of requests whose route names none
    #[arg(long, env = "KEYWARD_CUSTOMER_HEADER", value_name = "NAME", value_parser = field_name)]
    pub customer_header: Option<Box<str>>,

    /// Deny with 503 what cannot be decided now, so that no setting of a proxy lets it pass
    #[arg(long, env = "KEYWARD_DENY_WHEN_UNAVAILABLE", value_parser = BoolishValueParser::new())]
    pub deny_when_unavailable: bool,

    /// Say in the body of a 401 why; otherwise all are the same, and tell nothing of keys
    #[arg(long, env = "KEYWARD_DETAILED_401", value_parser = BoolishValueParser::new())]
    pub detailed_401: bool,

    /// What WWW-Authenticate is on a 401, such as `Bearer realm="api"`; without it, none is sent
    #[arg(long, env = "KEYWARD_WWW_AUTHENTICATE", value_name = "TEXT", value_parser = challenge)]
    pub www_authenticate: Option<Box<str>>,
}

impl ProxyArgs {
    /// How requests are read and answered.
    pub fn settings(&self) -> Settings {
        Settings {
            sources: self.key_sources.clone(),
            environment: self.proxy_environment.clone(),
            customer_field: self.customer_header.clone(),
            trusted_hops: self.trusted_hops,
            deny_when_unavailable: self.deny_when_unavailable,
            detailed_401: self.detailed_401,
            www_authenticate: self.www_authenticate.clone(),
        }
    }
}

fn sources(text: &str) -> Result<KeySources, InvalidKeySource> {
    KeySources::parse(text)
}

fn field_name(text: &str) -> Result<Box<str>, &'static str> {
    let name = text.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.starts_with(OWN_PREFIX) {
        return Err("what begins with x-keyward- is taken away from requests");
    }
    let fits = (1..=FIELD_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if fits { Ok(name.into()) } else { Err("must be 1 to 64 letters, digits and `-`") }
}

fn challenge(text: &str) -> Result<Box<str>, &'static str> {
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let fits = (1..=CHALLENGE_BYTES_MAX).contains(&text.len()) && text.bytes().all(visible);
    if fits { Ok(text.into()) } else { Err("must be 1 to 256 visible ASCII characters") }
}
