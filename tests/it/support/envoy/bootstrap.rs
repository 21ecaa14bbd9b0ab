//! The configuration of an Envoy, in few words.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value as Json, json};

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";

/// What a cluster speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
}

/// All that one Envoy is told.
#[derive(Default)]
pub(crate) struct Bootstrap {
    listeners: Vec<Listener>,
    clusters: Vec<Json>,
}

impl Bootstrap {
    /// Adds servers that requests can be sent to.
    pub(crate) fn cluster(mut self, name: &str, at: SocketAddr, protocol: Protocol) -> Self {
        let explicit = match protocol {
            Protocol::Http1 => json!({"http_protocol_options": {}}),
            Protocol::Http2 => json!({"http2_protocol_options": {}}),
        };
        self.clusters.push(json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(at)}}]}],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": format!("{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"),
                    "explicit_http_config": explicit,
                },
            },
        }));
        self
    }

    /// Adds a listener.
    pub(crate) fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Everything, with the file that requests are logged to.
    pub(super) fn json(&self, access_log: &Path) -> Json {
        let listeners: Vec<_> = self.listeners.iter().map(|one| one.json(access_log)).collect();
        json!({
            "admin": {"address": address(SocketAddr::from(([127, 0, 0, 1], 0)))},
            "static_resources": {"listeners": listeners, "clusters": self.clusters},
        })
    }
}

fn address(at: SocketAddr) -> Json {
    json!({"socket_address": {"address": at.ip().to_string(), "port_value": at.port()}})
}

/// A listener for HTTP/1 and HTTP/2 whose filters are `ext_authz` and the router.
#[derive(Clone)]
pub(crate) struct Listener {
    name: &'static str,
    at: SocketAddr,
    manager: Json,
    filter: Json,
    routes: Vec<Json>,
}

impl Listener {
    /// One that asks `cluster`, takes requests as they come, and so far has no routes. What it
    /// cannot ask about it answers with 503.
    pub(crate) fn new(name: &'static str, cluster: &str) -> Self {
        let manager = json!({
            "@type": format!(
                "{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
            ),
            "stat_prefix": name,
            "use_remote_address": true,
            "normalize_path": false,
            "merge_slashes": false,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
            "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
            "max_request_headers_kb": 512,
        });
        let filter = json!({
            "@type": format!("{EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthz"),
            "transport_api_version": "V3",
            // generous, since the machine may be busy
            "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "10s"},
            "failure_mode_allow": false,
            "status_on_error": {"code": "ServiceUnavailable"},
            "validate_mutations": true,
        });
        Self {
            name,
            at: SocketAddr::from(([127, 0, 0, 1], 0)),
            manager,
            filter,
            routes: Vec::new(),
        }
    }

    /// Lets it read paths in one way only, as is recommended.
    pub(crate) fn normalising(self) -> Self {
        self.manager("normalize_path", json!(true))
            .manager("merge_slashes", json!(true))
            .manager("path_with_escaped_slashes_action", json!("REJECT_REQUEST"))
            .manager(
                "common_http_protocol_options",
                json!({"headers_with_underscores_action": "REJECT_REQUEST"}),
            )
    }

    /// Where it listens, if not on 127.0.0.1.
    pub(crate) fn at(mut self, address: [u16; 8]) -> Self {
        self.at = SocketAddr::from((address, 0));
        self
    }

    /// Sets a field of the connection manager.
    pub(crate) fn manager(mut self, field: &str, value: Json) -> Self {
        self.manager[field] = value;
        self
    }

    /// Sets a field of `ext_authz`.
    pub(crate) fn filter(mut self, field: &str, value: Json) -> Self {
        self.filter[field] = value;
        self
    }

    /// Sets a field of how `ext_authz` asks.
    pub(crate) fn asking(mut self, field: &str, value: Json) -> Self {
        self.filter["grpc_service"][field] = value;
        self
    }

    /// Adds a route: what it matches, where it leads, and its `context_extensions`.
    pub(crate) fn route(self, matching: &Json, cluster: &str, context: &[(&str, &str)]) -> Self {
        let context: serde_json::Map<_, _> =
            context.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.route_with(
            matching,
            cluster,
            json!({"check_settings": {"context_extensions": context}}),
        )
    }

    /// The same with all that a route may say to `ext_authz`.
    pub(crate) fn route_with(mut self, matching: &Json, cluster: &str, mut settings: Json) -> Self {
        settings["@type"] =
            json!(format!("{EXTENSIONS}.filters.http.ext_authz.v3.ExtAuthzPerRoute"));
        self.routes.push(json!({
            "match": matching,
            "route": {"cluster": cluster, "timeout": "30s"},
            "response_headers_to_add": [{"header": {"key": "x-routed", "value": cluster}}],
            "typed_per_filter_config": {"ext_authz": settings},
        }));
        self
    }

    /// Adds a route for all paths.
    pub(crate) fn all(self, cluster: &str, context: &[(&str, &str)]) -> Self {
        self.route(&json!({"prefix": "/"}), cluster, context)
    }

    fn json(&self, access_log: &Path) -> Json {
        let mut manager = self.manager.clone();
        manager["route_config"] = json!({
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": self.routes}],
        });
        manager["http_filters"] = json!([
            {"name": "ext_authz", "typed_config": self.filter},
            {
                "name": "router",
                "typed_config": {"@type": format!("{EXTENSIONS}.filters.http.router.v3.Router")},
            },
        ]);
        let format = "%REQ(X-REQUEST-MARK)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% \
            %DYNAMIC_METADATA(envoy.filters.http.ext_authz)%\n";
        manager["access_log"] = json!([{
            "name": "file",
            "typed_config": {
                "@type": format!("{EXTENSIONS}.access_loggers.file.v3.FileAccessLog"),
                "path": access_log,
                "log_format": {"text_format_source": {"inline_string": format}},
            },
        }]);
        json!({
            "name": self.name,
            "address": address(self.at),
            "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
        })
    }
}
