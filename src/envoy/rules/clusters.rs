//! The cluster that leads to Keyward.

use super::{
    Check::{Authorization as EachAuthorization, Cluster},
    Rule,
    scope::{Authorization, Hit, when},
};
use crate::envoy::{
    finding::Severity::{Advice, Error},
    place::Place,
};

/// Above this, a connection that does not come up holds requests for longer than they wait.
const CONNECT_TIMEOUT_MAX: f64 = 1.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "unknown-cluster",
        severity: Error,
        help: "name the cluster of Keyward's authorize listener in grpc_service.envoy_grpc",
        check: EachAuthorization(unknown_cluster),
    },
    Rule {
        name: "cluster-http2",
        severity: Error,
        help: "set typed_extension_protocol_options with explicit_http_config.http2_protocol_options",
        check: Cluster(http2),
    },
    Rule {
        name: "cluster-connect-timeout",
        severity: Advice,
        help: "set connect_timeout of the cluster to 0.5s or so",
        check: Cluster(connect_timeout),
    },
    Rule {
        name: "cluster-health",
        severity: Advice,
        help: "add a grpc_health_check; Keyward serves grpc.health.v1",
        check: Cluster(health),
    },
    Rule {
        name: "cluster-max-requests",
        severity: Advice,
        help: "set circuit_breakers.thresholds.max_requests above the requests that are decided at once",
        check: Cluster(max_requests),
    },
];

fn unknown_cluster(authorization: &Authorization<'_>) -> Vec<Hit> {
    let asked = authorization.config.find("grpc_service.envoy_grpc.cluster_name");
    let missing = asked.filter(|_| !authorization.has_cluster());
    let problem = |at: &Place<'_>| {
        format!("there is no cluster {:?}: nothing can be decided", at.text().unwrap_or_default())
    };
    missing.iter().map(|at| Hit::at(at, problem(at))).collect()
}

fn http2(cluster: &Place<'_>) -> Vec<Hit> {
    let options = cluster.get("typed_extension_protocol_options");
    let mut options = options.iter().flat_map(Place::fields);
    let speaks = options.any(|(_, at)| {
        at.find("explicit_http_config.http2_protocol_options").is_some()
            || at.get("auto_config").is_some()
    });
    let speaks_by_old_field = cluster.get("http2_protocol_options").is_some();
    when(!speaks && !speaks_by_old_field, || {
        Hit::at(cluster, "the cluster does not speak HTTP/2, which gRPC needs")
    })
}

fn connect_timeout(cluster: &Place<'_>) -> Vec<Hit> {
    let seconds = cluster.seconds("connect_timeout");
    when(seconds.is_none_or(|seconds| seconds > CONNECT_TIMEOUT_MAX), || {
        let problem = "a connection to Keyward is tried for longer than requests wait (the default is \
                       5 s)";
        Hit::field(cluster, "connect_timeout", problem)
    })
}

fn health(cluster: &Place<'_>) -> Vec<Hit> {
    let looks =
        ["health_checks", "outlier_detection"].iter().any(|name| cluster.get(name).is_some());
    when(!looks, || {
        let problem = "nothing finds out that one Keyward of several cannot answer";
        Hit::at(cluster, problem)
    })
}

fn max_requests(cluster: &Place<'_>) -> Vec<Hit> {
    let thresholds = cluster.find("circuit_breakers.thresholds");
    let mut thresholds = thresholds.iter().flat_map(Place::items);
    when(!thresholds.any(|at| at.get("max_requests").is_some()), || {
        let problem = "more than 1024 decisions at once (the default) are errors";
        Hit::field(cluster, "circuit_breakers", problem)
    })
}
