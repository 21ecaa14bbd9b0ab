//! Keyward as its users have it: the real program, a real PostgreSQL, real clients over the wire.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test's helper fails as the test does, and nothing here is part of the service"
)]

mod postgres;
mod support;

mod access;
mod admin;
mod authorize;
mod cli;
mod decisions;
mod delegation;
mod envoy;
mod ext_authz;
mod faults;
mod follow;
mod forward_auth;
mod insight;
mod jobs;
mod limits;
mod limits_redis;
mod listeners;
mod notices;
mod peppers;
mod redis;
mod scoping;
mod self_service;
mod telemetry;
mod tls;
mod usage;
