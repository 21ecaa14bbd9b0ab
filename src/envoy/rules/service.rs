//! How the filter asks Keyward, and what it does when it hears nothing.

use super::{
    Check::Authorization as EachAuthorization,
    Rule,
    scope::{Authorization, Hit, when},
};
use crate::envoy::finding::Severity::{Advice, Error, Warning};

/// What one message to Keyward may hold, less than its limit of 1 MiB: header fields come with it.
pub(super) const MESSAGE_BYTES_MAX: u64 = 900 * 1024;

/// A wait for a decision that nobody would call short, in seconds.
const TIMEOUT_MAX: f64 = 5.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "failure-mode-allow",
        severity: Error,
        help: "set failure_mode_allow: false; what must go on during an outage gets a route of its \
               own without the filter",
        check: EachAuthorization(failure_mode_allow),
    },
    Rule {
        name: "status-on-error",
        severity: Warning,
        help: "set status_on_error: {code: ServiceUnavailable}",
        check: EachAuthorization(status_on_error),
    },
    Rule {
        name: "http-service",
        severity: Error,
        help: "use grpc_service with envoy_grpc and the cluster of Keyward's authorize listener",
        check: EachAuthorization(http_service),
    },
    Rule {
        name: "transport-api-version",
        severity: Error,
        help: "set transport_api_version: V3",
        check: EachAuthorization(transport_api_version),
    },
    Rule {
        name: "default-timeout",
        severity: Advice,
        help: "set grpc_service.timeout to what a request may wait, such as 0.25s",
        check: EachAuthorization(default_timeout),
    },
    Rule {
        name: "long-timeout",
        severity: Warning,
        help: "set grpc_service.timeout to some hundred milliseconds, such as 0.25s",
        check: EachAuthorization(long_timeout),
    },
    Rule {
        name: "retries",
        severity: Advice,
        help: "leave retry_policy out, or retry only what cannot have been decided \
               (retry_on: connect-failure,refused-stream)",
        check: EachAuthorization(retries),
    },
    Rule {
        name: "request-body",
        severity: Warning,
        help: "take with_request_body out",
        check: EachAuthorization(request_body),
    },
    Rule {
        name: "large-request-body",
        severity: Error,
        help: "take with_request_body out",
        check: EachAuthorization(large_request_body),
    },
    Rule {
        name: "no-dynamic-metadata",
        severity: Advice,
        help: "take enable_dynamic_metadata_ingestion out",
        check: EachAuthorization(no_dynamic_metadata),
    },
];

fn failure_mode_allow(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(config.is_true("failure_mode_allow"), || {
        let problem = "while Keyward cannot be asked, every request passes, with any key or none";
        Hit::field(config, "failure_mode_allow", problem)
    })
}

fn status_on_error(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(!config.is_one("status_on_error.code", "ServiceUnavailable", "503"), || {
        let problem = "while Keyward cannot be asked, clients are told that they are forbidden (the \
                       default is 403): good keys look bad";
        Hit::field(config, "status_on_error", problem)
    })
}

fn http_service(authorization: &Authorization<'_>) -> Vec<Hit> {
    let service = authorization.config.get("http_service");
    let problem = "the filter speaks plain HTTP; for Envoy, Keyward speaks gRPC";
    service.iter().map(|at| Hit::at(at, problem)).collect()
}

fn transport_api_version(authorization: &Authorization<'_>) -> Vec<Hit> {
    let config = &authorization.config;
    when(!config.is_one("transport_api_version", "V3", "2"), || {
        let problem = "transport_api_version is not V3, the only one that Keyward speaks";
        Hit::field(config, "transport_api_version", problem)
    })
}

fn default_timeout(authorization: &Authorization<'_>) -> Vec<Hit> {
    let service = authorization.config.get("grpc_service");
    let silent = service.filter(|at| at.get("timeout").is_none());
    let problem = "no timeout is set: a decision is waited for 200 ms, and then denied";
    silent.iter().map(|at| Hit::at(at, problem)).collect()
}

fn long_timeout(authorization: &Authorization<'_>) -> Vec<Hit> {
    let Some(service) = authorization.config.get("grpc_service") else {
        return Vec::new();
    };
    let seconds = service.seconds("timeout");
    let long = seconds.is_some_and(|seconds| seconds <= 0.0 || seconds > TIMEOUT_MAX);
    when(long, || {
        let problem = "while Keyward does not answer, each request is held for longer than 5 seconds, \
                       or for ever (0s has no end)";
        Hit::field(&service, "timeout", problem)
    })
}

fn retries(authorization: &Authorization<'_>) -> Vec<Hit> {
    let policy = authorization.config.find("grpc_service.retry_policy");
    let problem = "a decision that is asked for again may take from limits twice";
    policy.iter().map(|at| Hit::at(at, problem)).collect()
}

fn request_body(authorization: &Authorization<'_>) -> Vec<Hit> {
    let body = authorization.config.get("with_request_body");
    let problem = "Keyward does not read bodies: they are held back for nothing, and those above \
                   max_request_bytes are answered with 413";
    body.iter().map(|at| Hit::at(at, problem)).collect()
}

fn large_request_body(authorization: &Authorization<'_>) -> Vec<Hit> {
    let Some(body) = authorization.config.get("with_request_body") else {
        return Vec::new();
    };
    let bytes = body.number("max_request_bytes").unwrap_or(0);
    when(bytes > MESSAGE_BYTES_MAX, || {
        let problem = "bodies above 900 KiB make questions that Keyward does not read";
        Hit::field(&body, "max_request_bytes", problem)
    })
}

fn no_dynamic_metadata(authorization: &Authorization<'_>) -> Vec<Hit> {
    let ingestion = authorization.config.get("enable_dynamic_metadata_ingestion");
    let off =
        ingestion.filter(|at| at.text().is_some_and(|text| text.eq_ignore_ascii_case("false")));
    let problem = "access logs cannot have the key and the decision";
    off.iter().map(|at| Hit::at(at, problem)).collect()
}
