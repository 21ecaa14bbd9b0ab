//! The rooms: which other rooms and which crates each may name, and which of them are pure.

/// What a room may do.
pub(crate) struct Room {
    /// Its modules, joined by `/`.
    pub(crate) place: &'static str,
    /// Which other rooms it may name.
    pub(crate) rooms: Names,
    /// Which crates it may name.
    pub(crate) crates: Names,
    /// Whether it must do without I/O, clock, logger and waiting.
    pub(crate) pure: bool,
}

pub(crate) enum Names {
    Only(&'static [&'static str]),
    All,
}

const fn pure(
    place: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
) -> Room {
    Room { pure: true, ..room(place, rooms, crates) }
}

const fn room(
    place: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
) -> Room {
    Room { place, rooms: Names::Only(rooms), crates: Names::Only(crates), pure: false }
}

const fn free(place: &'static str) -> Room {
    Room { place, rooms: Names::All, crates: Names::All, pure: false }
}

/// From the bottom up. A file belongs to the longest place that it is in.
pub(crate) const HOUSE: [Room; 38] = [
    pure(
        "model",
        &[],
        &["ring", "hmac", "sha2", "thiserror", "zeroize", "crc32fast", "arc_swap", "ipnet"],
    ),
    pure("decide", &["model"], &[]),
    pure("metrics", &["model", "decide"], &[]),
    pure("replica", &["model"], &["papaya", "arc_swap", "triomphe"]),
    pure("usage", &["model"], &[]),
    room(
        "store",
        &["model", "telemetry", "tls"],
        &[
            "tokio_postgres",
            "deadpool_postgres",
            "tokio",
            "bytes",
            "futures_util",
            "serde_json",
            "thiserror",
            "ring", // the checksums of migrations, and channel binding
            "rustls",
            "tokio_rustls",
        ],
    ),
    room("replica/reading", &["model", "store", "telemetry"], &["tracing"]),
    room(
        "replica/follow",
        &["model", "metrics", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    room(
        "usage/flush",
        &["model", "metrics", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    pure("limiter", &["model", "decide"], &["thiserror", "smallvec"]),
    room(
        "limiter/flush",
        &["model", "metrics", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    room(
        "limiter/shared",
        &["model", "metrics", "clock", "tasks", "telemetry"],
        &["redis", "arc_swap", "thiserror", "tokio", "tokio_util", "tracing"],
    ),
    pure("journal", &["model"], &[]),
    room("journal/tail", &["model"], &["thiserror", "tokio"]),
    room(
        "journal/flush",
        &["model", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    pure("notices", &["model"], &["base64", "humantime", "ring", "serde_json", "thiserror"]),
    room(
        "notices/deliver",
        &["model", "metrics", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    room(
        "notices/census",
        &["metrics", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    pure("envoy", &["model"], &["saphyr_parser", "serde_json", "thiserror"]),
    pure("rotation", &["model"], &[]),
    room(
        "rotation/flush",
        &["model", "metrics", "replica", "store", "clock", "tasks", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    pure("authorize", &["model", "decide", "replica", "usage", "limiter", "rotation"], &[]),
    pure(
        "proxy",
        &["model", "decide", "limiter", "authorize"],
        &["base64", "serde_json", "smallvec", "thiserror"],
    ),
    room("admin", &["model", "store", "telemetry"], &["thiserror", "ring", "tracing"]),
    room("admin/noting", &["store", "telemetry"], &["tokio", "tokio_util", "tracing"]),
    room(
        "admin/jobs/runner",
        &["model", "metrics", "store", "clock", "telemetry"],
        &["tokio", "tokio_util", "tracing"],
    ),
    room("admin/explain", &["model", "store", "decide", "replica"], &[]),
    room(
        "rpc",
        &[
            "model",
            "decide",
            "replica",
            "usage",
            "limiter",
            "journal",
            "notices",
            "rotation",
            "metrics",
            "store",
            "authorize",
            "proxy",
            "admin",
            "clock",
            "tasks",
            "telemetry",
            "tls",
        ],
        &[
            "tonic",
            "tonic_prost",
            "tonic_types",
            "tonic_health",
            "tonic_reflection",
            "prost",
            "prost_types",
            "h2",
            "http",
            "http_body",
            "http_body_util",
            "hyper",
            "hyper_util",
            "serde_json", // what audit events show
            "smallvec",
            "ipnet",
            "bytes",
            "ring",
            "tokio",
            "tokio_stream",
            "tokio_util",
            "socket2",
            "base64",
            "crc32fast",
            "futures_util",
            "rustls",
            "tokio_rustls",
            "thiserror",
            "tracing",
        ],
    ),
    room(
        "tls",
        &["model", "clock", "telemetry"],
        &[
            "rustls",
            "rustls_native_certs",
            "ring",
            "x509_cert",
            "humantime",
            "zeroize",
            "arc_swap",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
        ],
    ),
    // a client: of the edge it has the messages only
    room(
        "cli",
        &["model", "clock", "telemetry", "tls", "rpc/pb", "rpc/DESCRIPTORS"],
        &[
            "base64",
            "clap",
            "clap_complete",
            "futures_util",
            "http",
            "humantime",
            "hyper_util",
            "prost",
            "prost_reflect",
            "prost_types",
            "ring",
            "rustix",
            "rustls",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tokio_stream",
            "tonic",
            "tonic_types",
            "unicode_width",
            "zeroize",
        ],
    ),
    free("app"),
    free("main"),
    room("lib", &[], &[]),
    room(
        "config",
        &["model", "limiter", "journal", "notices", "proxy", "envoy", "telemetry", "tls", "cli"],
        // the last four: the form of URLs
        &[
            "clap",
            "thiserror",
            "humantime",
            "rustix",
            "tokio_postgres",
            "percent_encoding",
            "tonic",
            "http",
        ],
    ),
    room("clock", &["model"], &["rustix"]),
    room("tasks", &["telemetry"], &["tokio", "tokio_util", "tracing"]),
    room(
        "telemetry",
        &["model", "clock"],
        &["thiserror", "tracing", "tracing_subscriber", "clap", "tokio"],
    ),
    room("postgres", &["clock"], &["rustix", "thiserror"]),
];

/// The tasks inside of pure rooms: nothing but what starts them names them.
pub(crate) const TASKS: [&str; 7] = [
    "replica/follow",
    "usage/flush",
    "limiter/flush",
    "journal/flush",
    "notices/deliver",
    "notices/census",
    "rotation/flush",
];
