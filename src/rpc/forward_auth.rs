//! Forward auth: a proxy sends the head of each request to `/authorize` and lets it pass if the answer is
//! 200. nginx calls this `auth_request`, Traefik `forwardAuth`, Caddy `forward_auth`.

use std::{borrow::Cow, net::IpAddr};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, request::Parts};
use http_body_util::Full;

use crate::{
    model::{decision::Way, key_source::KeySource},
    proxy::{
        Inquiry,
        cleaning::{Cleaning, target_without_keys},
        client,
        context::{Context, Misconfigured},
        credential::unescaped,
        refusal::Refusal,
    },
    rpc::{
        http1::Answer,
        proxies::{ProxyService, Ruling},
    },
};

const METHOD: &str = "x-forwarded-method";
const TARGET: &str = "x-forwarded-uri";
const ADDRESSES: &str = "x-forwarded-for";
/// What the target is without keys, for proxies that can be told to ask for another one upstream.
const CLEAN_TARGET: &str = "x-keyward-uri";

/// Decides for proxies.
#[derive(Clone, Debug)]
pub struct ForwardAuth(pub ProxyService);

impl ForwardAuth {
    /// The same, not shared with this one.
    pub fn apart(&self) -> Self {
        Self(self.0.apart())
    }

    /// Answers a proxy. What its route is, the query of its own request says, which clients have no part in.
    pub(super) async fn respond(&self, request: &Parts, peer: Option<IpAddr>) -> Answer {
        let pairs = pairs(request.uri.query().unwrap_or_default());
        let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
        let (inquiry, told) = match inquiry(request) {
            Ok(inquiry) => (inquiry, Context::parse(pairs)),
            Err(untold) => (Inquiry::default(), Err(untold)),
        };
        match self.0.rule(&inquiry, told, None, (peer, Way::ForwardAuth)).await {
            Ok((Ruling::Pass { identity, cleaning, fields }, _facts)) => {
                let mut answer = Response::default();
                set(&mut answer, identity.into_iter().chain(fields));
                self.set_cleaned(&mut answer, &inquiry, cleaning);
                answer
            }
            Ok((Ruling::Refuse(refusal), _facts)) => refused(refusal),
            Err(_unknown) => refused(Refusal::unavailable()),
        }
    }

    /// What cookies and target are without keys, whether they had any or not: a proxy that is told to take
    /// them from here cannot tell.
    fn set_cleaned(&self, answer: &mut Answer, inquiry: &Inquiry<'_>, cleaning: Cleaning) {
        let sources = &self.0.settings.sources;
        if sources.iter().any(|source| matches!(source, KeySource::Cookie(_))) {
            let all = || inquiry.values("cookie").collect::<Vec<_>>().join(&b"; "[..]);
            set_bytes(answer, "cookie", &cleaning.cookie.unwrap_or_else(all));
        }
        if sources.iter().any(|source| matches!(source, KeySource::Query(_))) {
            set_bytes(answer, CLEAN_TARGET, &target_without_keys(sources, inquiry));
        }
    }
}

/// The request that the proxy got, as it tells.
fn inquiry(request: &Parts) -> Result<Inquiry<'_>, Misconfigured> {
    let method = only(request, METHOD)?;
    let target = only(request, TARGET)?;
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let mut inquiry = Inquiry {
        method: str::from_utf8(method).unwrap_or_default(),
        target,
        fields: fields.collect(),
        peer: None,
    };
    let last = inquiry.values(ADDRESSES).last();
    inquiry.peer = last.and_then(client::last);
    Ok(inquiry)
}

/// The value of a field that must be there once.
fn only<'a>(request: &'a Parts, name: &str) -> Result<&'a [u8], Misconfigured> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) if !only.is_empty() => Ok(only.as_bytes()),
        _ => Err(Misconfigured::untold(name)),
    }
}

/// The settings in a query. What is not text becomes something that no setting can be.
fn pairs(query: &str) -> Vec<(String, String)> {
    let plain = |text: &str| match unescaped(text.as_bytes()) {
        Cow::Borrowed(_) => text.to_owned(),
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| (plain(name), plain(value))).collect()
}

fn refused(refusal: Refusal) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(refusal.body)));
    let status = StatusCode::from_u16(refusal.meaning.http_status());
    *answer.status_mut() = status.unwrap_or(StatusCode::FORBIDDEN);
    set(&mut answer, refusal.fields.into_iter());
    answer
}

fn set(answer: &mut Answer, fields: impl Iterator<Item = (&'static str, String)>) {
    for (name, value) in fields {
        set_bytes(answer, name, value.as_bytes());
    }
}

/// Sets a field, but for one that cannot be: what a client sent has passed the same check on its way in.
fn set_bytes(answer: &mut Answer, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        answer.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
