//! The configuration of an Envoy: as for an API in front of the internet, but that it answers by itself.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::keys::{PROFILES, permissions, route_rules};

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";
/// The cluster of the one that is asked.
const ASKED: &str = "asked";
/// So long that a machine that is busy for a moment changes no answer.
const ASKING_TIME_MAX: &str = "5s";

/// The whole configuration of an Envoy that listens here and asks there, or nobody.
pub fn bootstrap(at: SocketAddr, asked: Option<SocketAddr>) -> Value {
    let clusters: Vec<Value> = asked.map(cluster).into_iter().collect();
    json!({ "static_resources": { "listeners": [listener(at, asked)], "clusters": clusters } })
}

fn listener(at: SocketAddr, asked: Option<SocketAddr>) -> Value {
    let last = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{EXTENSIONS}.filters.http.router.v3.Router") },
    });
    let filters: Vec<Value> = asked.map(|_| ext_authz()).into_iter().chain([last]).collect();
    let routes: Vec<Value> = (0..PROFILES).map(|profile| route(profile, asked.is_some())).collect();
    let manager = json!({
        "@type": format!(
            "{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": "bench",
        "codec_type": "HTTP2",
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "http_filters": filters,
        "route_config": {
            "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }],
        },
    });
    let filter = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": manager,
    });
    json!({
        "name": "bench",
        "address": address(at),
        "filter_chains": [{ "filters": [filter] }],
    })
}

/// The filter that asks. What cannot be asked about does not pass, so that it is noticed.
fn ext_authz() -> Value {
    let service = json!({
        "envoy_grpc": { "cluster_name": ASKED },
        "timeout": ASKING_TIME_MAX,
        "initial_metadata": [{ "key": "keyward-environment", "value": "production" }],
    });
    json!({
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": format!("{EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthz"),
            "transport_api_version": "V3",
            "grpc_service": service,
            "failure_mode_allow": false,
        },
    })
}

/// The route of the keys of a profile. Envoy answers by itself, so that no upstream is measured; filters
/// run before.
fn route(profile: u64, is_asked: bool) -> Value {
    let [prefix, _] = route_rules(profile);
    let [permission, ..] = permissions(profile);
    let mut route = json!({ "match": { "prefix": prefix }, "direct_response": { "status": 200 } });
    if is_asked {
        let settings = json!({
            "@type": format!("{EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthzPerRoute"),
            "check_settings": { "context_extensions": { "permission": permission } },
        });
        route["typed_per_filter_config"] = json!({ "envoy.filters.http.ext_authz": settings });
    }
    route
}

fn cluster(at: SocketAddr) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": ASKED,
        "type": "STATIC",
        "connect_timeout": ASKING_TIME_MAX,
        "load_assignment": {
            "cluster_name": ASKED,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(at) } }] }],
        },
        "typed_extension_protocol_options": {
            options: {
                "@type": format!("type.googleapis.com/{options}"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    })
}

fn address(at: SocketAddr) -> Value {
    json!({ "socket_address": { "address": at.ip().to_string(), "port_value": at.port() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:1";
    const THERE: &str = "127.0.0.1:2";

    fn routes(config: &Value) -> &[Value] {
        let manager = &config["static_resources"]["listeners"][0]["filter_chains"][0];
        let manager = &manager["filters"][0]["typed_config"];
        manager["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap()
    }

    #[test]
    fn an_envoy_that_asks_nobody_differs_only_in_that() {
        let alone = bootstrap(HERE.parse().unwrap(), None);
        let asking = bootstrap(HERE.parse().unwrap(), Some(THERE.parse().unwrap()));
        assert!(!alone.to_string().contains("ext_authz"));
        assert!(!alone.to_string().contains(ASKED));
        let mut bared = routes(&asking).to_vec();
        for route in &mut bared {
            let settings = route.as_object_mut().unwrap().remove("typed_per_filter_config");
            assert!(settings.is_some_and(|settings| settings.to_string().contains("permission")));
        }
        assert_eq!(bared, routes(&alone));
    }

    #[test]
    fn each_key_has_a_route_with_a_permission_that_it_has() {
        let config = bootstrap(HERE.parse().unwrap(), Some(THERE.parse().unwrap()));
        for number in [0, 7, PROFILES, 3 * PROFILES + 49] {
            let request = crate::keys::request(number);
            let is_its = |route: &&Value| {
                let prefix = route["match"]["prefix"].as_str().unwrap();
                request.route.starts_with(&format!("{prefix}/"))
            };
            let found: Vec<&Value> = routes(&config).iter().filter(is_its).collect();
            let [route] = found[..] else { panic!("{number}: {found:?}") };
            assert!(route.to_string().contains(&format!("\"{}\"", request.permission)), "{route}");
        }
    }
}
