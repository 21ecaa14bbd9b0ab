//! The edge: protobuf in and out, who calls, listeners, health.
//!
//! Behind this room no protobuf type exists; what comes from here is parsed.

pub mod access;
pub mod admin;
pub mod authorize;
mod caller;
pub mod codec;
mod complaints;
mod convert;
pub mod counted;
pub mod ext_authz;
pub mod forward_auth;
pub mod front;
pub mod health;
pub mod http1;
pub mod http2;
pub mod insight;
pub mod listen;
pub mod otlp;
pub mod peer;
pub mod proxies;
pub mod reached;
mod redact;
pub mod scrape;
pub mod self_service;
mod service;
mod status;
mod traced;
mod transport;
pub mod webhook;
pub mod wire;

/// The generated messages, services and clients, by their packages.
#[expect(unused_qualifications, reason = "generated")]
#[expect(clippy::pedantic, reason = "generated")]
#[expect(clippy::allow_attributes, reason = "generated")]
#[expect(clippy::allow_attributes_without_reason, reason = "generated")]
#[expect(clippy::as_conversions, reason = "generated")]
#[expect(clippy::clone_on_ref_ptr, reason = "generated")]
#[expect(unreachable_pub, reason = "generated")]
#[expect(missing_docs, reason = "the modules are packages")]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
    include!(concat!(env!("OUT_DIR"), "/otlp.rs"));
}

pub use protos::{envoy, google, keyward::v1 as pb, opentelemetry::proto as otlp_pb};

/// All files of `proto/`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/keyward_descriptor.bin"));
