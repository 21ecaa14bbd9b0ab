//! Which requests are traced, and what is known of them.

use http::{HeaderMap, HeaderValue};

use crate::{
    authorize::Outcome,
    decide::Decision,
    telemetry::trace::{Start, Tracer, note, note_failure},
};

/// Where trailers that come alone say how a call ended; an answer with a message has them later.
const GRPC_STATUS: &str = "grpc-status";
const CODE_UNKNOWN: usize = 2;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const NAME_BYTES_MAX: usize = 100;
/// What callers of ours, and their tools, begin the paths of calls with.
const KNOWN: [&str; 4] = ["/keyward.v1.", "/envoy.service.auth.v3.", "/grpc.", "/authorize"];

/// Where the span of a request belongs, if it is traced.
pub(super) fn start(tracer: Option<&Tracer>, headers: &HeaderMap) -> Option<Start> {
    let parent = headers.get(PARENT).map(HeaderValue::as_bytes);
    tracer?.start(parent, || {
        let states = headers.get_all(STATE).iter().filter_map(|state| state.to_str().ok());
        states.collect::<Vec<_>>().join(",")
    })
}

/// What the span of a request is called, by its path, which its client chooses.
pub(super) fn name(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/".contains(&byte);
    let known = KNOWN.iter().any(|known| path.starts_with(known));
    if known && path.len() <= NAME_BYTES_MAX && path.bytes().all(plain) {
        path.trim_start_matches('/').to_owned()
    } else {
        "unknown".to_owned()
    }
}

/// How an answer begins: with an error, or well.
pub(super) fn code(headers: &HeaderMap) -> usize {
    match headers.get(GRPC_STATUS) {
        None => 0,
        Some(code) => code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(CODE_UNKNOWN),
    }
}

/// Notes how a call ended, as far as its answer begins with that.
pub(super) fn note_status(headers: &HeaderMap) {
    let code = code(headers);
    note("rpc.grpc.status_code", || code.to_string());
    if code != 0 {
        note_failure();
    }
}

/// Notes what was decided: never the key.
pub(super) fn note_decision(outcome: &Outcome) {
    note("keyward.reason", || match outcome.decision {
        Decision::Allow => "ALLOW".to_owned(),
        Decision::Deny(reason) => reason.name().to_owned(),
    });
    if let Some(key) = &outcome.key {
        note("keyward.domain", || key.profile.domain.name.to_string());
        note("keyward.environment", || key.profile.environment.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_called_by_what_is_known() {
        let long = format!("/keyward.v1.{}", "a".repeat(NAME_BYTES_MAX));
        for (path, called) in [
            ("/keyward.v1.Authorize/Authorize", "keyward.v1.Authorize/Authorize"),
            ("/authorize", "authorize"),
            ("/keyward.v1.Authorize/a?b", "unknown"),
            ("/other", "unknown"),
            (&long, "unknown"),
        ] {
            assert_eq!(name(path), called);
        }
    }
}
