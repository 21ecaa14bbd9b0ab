//! Settings of the connection manager that a decision depends on: what the path is, who the client
//! is, how long a request may last. And the door beside it, Envoy's admin interface.

use super::{
    Check::{Guarded, Whole},
    Rule,
    scope::{Guard, Hit, when},
    service::MESSAGE_BYTES_MAX,
};
use crate::envoy::{
    find::Configuration,
    finding::Severity::{Advice, Error, Warning},
};

const KIBIBYTE: u64 = 1024;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "normalize-path",
        severity: Error,
        help: "set normalize_path: true",
        check: Guarded(normalize_path),
    },
    Rule {
        name: "merge-slashes",
        severity: Warning,
        help: "set merge_slashes: true",
        check: Guarded(merge_slashes),
    },
    Rule {
        name: "escaped-slashes",
        severity: Error,
        help: "set path_with_escaped_slashes_action: REJECT_REQUEST",
        check: Guarded(escaped_slashes),
    },
    Rule {
        name: "unescape-and-forward",
        severity: Warning,
        help: "set path_with_escaped_slashes_action: REJECT_REQUEST",
        check: Guarded(unescape_and_forward),
    },
    Rule {
        name: "underscores",
        severity: Warning,
        help: "set common_http_protocol_options.headers_with_underscores_action: REJECT_REQUEST",
        check: Guarded(underscores),
    },
    Rule {
        name: "client-address",
        severity: Warning,
        help: "at the edge set use_remote_address: true; behind other proxies set it together with \
               xff_num_trusted_hops",
        check: Guarded(client_address),
    },
    Rule {
        name: "skip-xff-append",
        severity: Warning,
        help: "take skip_xff_append out",
        check: Guarded(skip_xff_append),
    },
    Rule {
        name: "internal-addresses",
        severity: Advice,
        help: "set internal_address_config.cidr_ranges to the networks that you trust, or to 127.0.0.1/32",
        check: Guarded(internal_addresses),
    },
    Rule {
        name: "long-streams",
        severity: Advice,
        help: "end such connections after a time that you choose: max_stream_duration of the route \
               or of common_http_protocol_options",
        check: Guarded(long_streams),
    },
    Rule {
        name: "endless-streams",
        severity: Advice,
        help: "set common_http_protocol_options.max_stream_duration",
        check: Guarded(endless_streams),
    },
    Rule {
        name: "large-headers",
        severity: Warning,
        help: "set max_request_headers_kb to 900 or less; the default is 60",
        check: Guarded(large_headers),
    },
    Rule {
        name: "open-admin",
        severity: Warning,
        help: "let admin listen on 127.0.0.1 or on a Unix socket",
        check: Whole(open_admin),
    },
];

const ESCAPED_SLASHES: &str = "path_with_escaped_slashes_action";

fn normalize_path(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    when(!manager.is_true("normalize_path"), || {
        let problem = "paths with `..` are matched to routes as they are: `/public/../admin` takes the \
                       route of `/public`";
        Hit::field(manager, "normalize_path", problem)
    })
}

fn merge_slashes(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    when(!manager.is_true("merge_slashes"), || {
        let problem =
            "`//admin` does not take the route of `/admin`, and an upstream may read it so";
        Hit::field(manager, "merge_slashes", problem)
    })
}

fn escaped_slashes(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let chosen =
        [("REJECT_REQUEST", "2"), ("UNESCAPE_AND_REDIRECT", "3"), ("UNESCAPE_AND_FORWARD", "4")];
    let acts = chosen.iter().any(|(name, number)| manager.is_one(ESCAPED_SLASHES, name, number));
    when(!acts, || {
        let problem = "%2F and %5C stay in paths (the default): `/public/..%2Fadmin` takes the route \
                       of `/public`, and an upstream may read it as `/admin`";
        Hit::field(manager, ESCAPED_SLASHES, problem)
    })
}

fn unescape_and_forward(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    when(manager.is_one(ESCAPED_SLASHES, "UNESCAPE_AND_FORWARD", "4"), || {
        let problem =
            "a proxy in front of this one has seen another path than the one that is decided";
        Hit::field(manager, ESCAPED_SLASHES, problem)
    })
}

fn underscores(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let path = "common_http_protocol_options.headers_with_underscores_action";
    let refused = manager.is_one(path, "REJECT_REQUEST", "1");
    let dropped = manager.is_one(path, "DROP_HEADER", "2");
    when(!refused && !dropped, || {
        let problem = "header fields with underscores pass (the default): an upstream that reads `_` as \
                       `-` takes x_keyward_user for ours on routes that are not decided";
        Hit::field(manager, path, problem)
    })
}

fn client_address(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let is_known = manager.is_true("use_remote_address")
        || manager.number("xff_num_trusted_hops").is_some_and(|hops| hops > 0)
        || manager.get("original_ip_detection_extensions").is_some();
    when(!is_known, || {
        let problem =
            "x-forwarded-… and x-envoy-… of clients are believed: they choose their address";
        Hit::field(manager, "use_remote_address", problem)
    })
}

fn skip_xff_append(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    when(manager.is_true("skip_xff_append"), || {
        let problem = "x-forwarded-for lacks this proxy's entry: with --trusted-hops, Keyward counts \
                       one too far";
        Hit::field(manager, "skip_xff_append", problem)
    })
}

fn internal_addresses(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    when(manager.get("internal_address_config").is_none(), || {
        let problem = "which clients count as internal, and may send x-envoy-… fields, is left to the \
                       default of the version";
        Hit::at(manager, problem)
    })
}

fn long_streams(guard: &Guard<'_>) -> Vec<Hit> {
    let upgrades = guard.manager.at.get("upgrade_configs");
    let problem = "WebSocket and CONNECT are decided once, when they open: a key that is revoked later \
                   does not end them";
    upgrades.iter().map(|at| Hit::at(at, problem)).collect()
}

fn endless_streams(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let path = "common_http_protocol_options.max_stream_duration";
    when(manager.find(path).is_none(), || {
        let problem = "a stream that goes on for days was decided once, when it opened";
        Hit::at(manager, problem)
    })
}

fn large_headers(guard: &Guard<'_>) -> Vec<Hit> {
    let manager = &guard.manager.at;
    let large = manager.number("max_request_headers_kb");
    when(large.is_some_and(|kibibytes| kibibytes * KIBIBYTE > MESSAGE_BYTES_MAX), || {
        let problem = "header fields above 900 KiB make questions that Keyward does not read: such \
                       requests are answered as if it were away";
        Hit::field(manager, "max_request_headers_kb", problem)
    })
}

fn open_admin(configuration: &Configuration<'_>) -> Vec<Hit> {
    let admins = configuration.tops.iter().filter_map(|top| top.get("admin"));
    let addresses = admins.filter_map(|admin| admin.find("address.socket_address.address"));
    let open = addresses.filter(|at| {
        let address = at.text().unwrap_or_default();
        !address.starts_with("127.") && !["::1", "localhost"].contains(&address)
    });
    let problem =
        "whoever reaches the admin interface can read this configuration and end the program";
    open.map(|at| Hit::at(&at, problem)).collect()
}
