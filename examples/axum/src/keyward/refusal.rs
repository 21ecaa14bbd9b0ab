//! What a client gets whose request does not pass: a problem in JSON (RFC 9457).

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use serde_json::json;

use super::pb::{AuthorizeResponse, Reason};

/// Why a request does not pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No good key: 401. It does not say why, so that nobody learns which keys exist.
    Unauthorized,
    /// A good key that may not do this: 403.
    Forbidden(Reason),
    /// A limit does not let it pass now: 429, and when to try again, if that is known.
    TooManyRequests(Reason, Option<Duration>),
    /// Nobody knows now whether the key is good: 503. Never 401, so that clients do not throw good keys away.
    Unavailable,
    /// We have asked in a way that Keyward does not understand: 500.
    Misconfigured,
}

impl Refusal {
    /// What a denial means. A reason that is not known is a denial, too.
    pub fn of(denied: &AuthorizeResponse) -> Self {
        let reason = denied.reason();
        match denied.http_status {
            401 => Self::Unauthorized,
            429 => {
                let wait = denied.retry_after.and_then(|wait| wait.try_into().ok());
                Self::TooManyRequests(reason, wait)
            }
            _ => Self::Forbidden(reason),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooManyRequests(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// For programs: Keyward's reason without its prefix.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHENTICATED",
            Self::Forbidden(reason) | Self::TooManyRequests(reason, _) => {
                reason.as_str_name().trim_start_matches("REASON_")
            }
            Self::Unavailable => "UNAVAILABLE",
            Self::Misconfigured => "MISCONFIGURED",
        }
    }

    /// For `Retry-After` (RFC 9110, 10.2.3): whole seconds, rounded up.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRequests(_, wait) => wait.map(|wait| {
                let rounded_up = u64::from(wait.subsec_nanos() > 0);
                wait.as_secs().saturating_add(rounded_up).max(1)
            }),
            Self::Unavailable => Some(1),
            Self::Unauthorized | Self::Forbidden(_) | Self::Misconfigured => None,
        }
    }

    /// The answer.
    pub fn into_response(self) -> Response<Body> {
        let status = self.status();
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "reason": self.reason(),
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after() {
            fields.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(http_status: i32, reason: Reason) -> AuthorizeResponse {
        AuthorizeResponse { http_status, reason: reason.into(), ..AuthorizeResponse::default() }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_rounded_up() {
        let mut limited = denied(429, Reason::RateLimited);
        limited.retry_after = Some(prost_types::Duration { seconds: 2, nanos: 1 });
        let response = Refusal::of(&limited).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "3");
    }

    #[test]
    fn a_status_that_is_not_known_is_a_denial() {
        for http_status in [0, 200, 302, 500] {
            let refusal = Refusal::of(&denied(http_status, Reason::Unspecified));
            assert_eq!(refusal.into_response().status(), 403, "{http_status}");
        }
    }
}
