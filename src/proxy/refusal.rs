//! What the client gets in place of an answer from upstream: status, header fields, and a problem in JSON
//! (RFC 9457).

use std::time::Duration;

use serde_json::json;

use crate::{
    authorize::Outcome,
    decide::Reason,
    proxy::{Settings, rate_limit},
};

const PROBLEM: &str = "application/problem+json";
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A request that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it means.
    pub meaning: Meaning,
    /// Header fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// What is wrong, for people.
    pub detail: &'static str,
}

/// What refusals mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The key is not good here.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// Not now.
    TooManyRequests,
    /// The proxy's configuration cannot be followed.
    Misconfigured,
    /// Nobody knows now.
    Unavailable,
}

impl Meaning {
    const fn of(reason: Reason) -> Self {
        match reason.http_status() {
            401 => Self::Unauthorized,
            429 => Self::TooManyRequests,
            _ => Self::Forbidden,
        }
    }

    /// As HTTP has it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::TooManyRequests => 429,
            Self::Misconfigured => 500,
            Self::Unavailable => 503,
        }
    }

    /// What it means in gRPC. Never 0, which is success.
    pub const fn grpc_code(self) -> u8 {
        match self {
            Self::Unauthorized => 16,
            Self::Forbidden => 7,
            Self::TooManyRequests => 8,
            Self::Misconfigured => 13,
            Self::Unavailable => 14,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::TooManyRequests => "Too Many Requests",
            Self::Misconfigured => "Internal Server Error",
            Self::Unavailable => "Service Unavailable",
        }
    }
}

impl Refusal {
    /// A denial.
    pub fn denied(
        reason: Reason,
        outcome: &Outcome,
        decision_id: &str,
        settings: &Settings,
    ) -> Self {
        let meaning = Meaning::of(reason);
        let told = (meaning != Meaning::Unauthorized || settings.detailed_401).then_some(reason);
        let detail = told.map_or("a valid API key is required", sentence);
        let name = told.map_or("UNAUTHENTICATED", Reason::name);
        let mut refusal = Self::new(meaning, name, detail, Some(decision_id));
        if let (Meaning::Unauthorized, Some(challenge)) = (meaning, &settings.www_authenticate) {
            refusal.fields.push(("www-authenticate", challenge.to_string()));
        }
        if let Some(wait) = outcome.retry_after.filter(|_| meaning == Meaning::TooManyRequests) {
            refusal.retry_after(wait);
        }
        let limits = outcome.verdict.as_ref().and_then(rate_limit::fields);
        refusal.fields.extend(limits.into_iter().flatten());
        refusal
    }

    /// The proxy's configuration cannot be followed.
    pub fn misconfigured() -> Self {
        let detail = "the proxy is set up wrongly; the log of the authorization service says how";
        Self::new(Meaning::Misconfigured, "MISCONFIGURED", detail, None)
    }

    /// Nobody knows now whether the key is good.
    pub fn unavailable() -> Self {
        let detail = "API keys cannot be checked now; try again";
        let mut refusal = Self::new(Meaning::Unavailable, "UNAVAILABLE", detail, None);
        refusal.retry_after(RETRY_AFTER);
        refusal
    }

    fn new(
        meaning: Meaning,
        reason: &str,
        detail: &'static str,
        decision_id: Option<&str>,
    ) -> Self {
        let mut problem = json!({
            "type": "about:blank",
            "title": meaning.title(),
            "status": meaning.http_status(),
            "detail": detail,
            "reason": reason,
        });
        if let (Some(id), Some(problem)) = (decision_id, problem.as_object_mut()) {
            problem.insert("decision_id".to_owned(), id.into());
        }
        let fields =
            vec![("content-type", PROBLEM.to_owned()), ("cache-control", "no-store".to_owned())];
        Self { meaning, fields, body: problem.to_string(), detail }
    }

    fn retry_after(&mut self, wait: Duration) {
        let seconds = rate_limit::whole_seconds(wait);
        self.fields.push(("retry-after", seconds.to_string()));
    }
}

/// What a reason means to who holds the key.
const fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::KeyMissing => "no API key was sent",
        Reason::KeyMalformed => "the API key is not whole",
        Reason::KeyAmbiguous => "more than one API key was sent",
        Reason::KeyUnknown => "there is no such API key",
        Reason::KeyInactive => "the API key is not active",
        Reason::KeyExpired => "the API key has expired",
        Reason::KeyNotYetValid => "the API key is not valid yet",
        Reason::UserDisabled => "the user of the API key is disabled",
        Reason::DomainDisabled => "the domain of the API key is disabled",
        Reason::EnvironmentMismatch => "the API key is for another environment",
        Reason::AddressDenied => "the API key may not be used from this address",
        Reason::CustomerDenied => "the API key may not act for this customer",
        Reason::RouteDenied => "the API key may not be used for this path and method",
        Reason::PermissionDenied => "the API key lacks the permission that this needs",
        Reason::FailuresThrottled => "too many tries from this address have failed",
        Reason::RateLimited => "the API key is used too often",
        Reason::QuotaExhausted => "the quota of the API key is used up",
        Reason::ConcurrencyExceeded => "too much is going on with the API key already",
    }
}
