//! Compiles `proto/` with protox, a compiler in pure Rust, so that no `protoc` is needed.
//!
//! Writes the Rust types and the descriptor set that the reflection service answers from.

use std::{error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 8] = [
    "proto/envoy/service/auth/v3/external_auth.proto",
    "proto/keyward/v1/access_admin.proto",
    "proto/keyward/v1/authorize.proto",
    "proto/keyward/v1/insight.proto",
    "proto/keyward/v1/job.proto",
    "proto/keyward/v1/key_admin.proto",
    "proto/keyward/v1/limit.proto",
    "proto/keyward/v1/self_service.proto",
];

/// What an OpenTelemetry collector takes. Reflection does not show it: nobody calls us by it.
const OTLP: [&str; 2] = [
    "proto/opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
    "proto/opentelemetry/proto/collector/trace/v1/trace_service.proto",
];

/// Messages that hold a token: prost would print it in `Debug`, `rpc::redact` writes one that does not.
const SECRET_MESSAGES: [&str; 10] = [
    "keyward.v1.AuthorizeRequest",
    "keyward.v1.BatchAuthorizeRequest",
    "keyward.v1.CreateKeyResponse",
    "keyward.v1.RegenerateKeyResponse",
    "keyward.v1.LookupKeyRequest",
    "keyward.v1.ExplainKeyRequest",
    "keyward.v1.RegenerateMyKeyResponse",
    "keyward.v1.ImportKeyItem",
    "envoy.config.core.v3.HeaderValue",
    "envoy.service.auth.v3.AttributeContext.HttpRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;

    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or("OUT_DIR is not set")?;
    fs::write(out.join("keyward_descriptor.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        .btree_map(".") // one order, so that equal messages have equal bytes
        .codec_path("crate::rpc::codec::BoundedCodec")
        .skip_debug(SECRET_MESSAGES)
        .include_file("protos.rs")
        .compile_fds(descriptors)?;
    tonic_prost_build::configure()
        .codec_path("crate::rpc::codec::BoundedCodec")
        .include_file("otlp.rs")
        .compile_fds(protox::compile(OTLP, ["proto"])?)?;
    Ok(())
}
