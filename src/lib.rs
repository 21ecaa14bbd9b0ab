//! Keyward decides whether an API key may do something.
//!
//! The rooms, in the order of reading; ARCHITECTURE.md says what each owns and which it may name,
//! and `tests/tidy.rs` holds them to it:
//!
//! - [`model`]: the nouns. [`decide`]: the order of checks. Both pure.
//! - [`replica`]: all keys in memory. [`usage`]: which were used. [`authorize`]: the hot path, whole.
//! - [`journal`]: the decision log in memory. [`rotation`]: keys that get another digest.
//! - [`store`]: all SQL. [`admin`]: what operators do.
//! - [`proxy`]: requests as proxies tell of them. [`rpc`]: protobuf, statuses, listeners.
//! - [`metrics`]: numbers about this process.
//! - [`envoy`]: checks configurations of Envoy.
//! - [`notices`]: who is told of keys that expire.
//! - [`tls`]: certificates, and taking new ones.
//! - [`cli`]: the command line for people, a client.
//! - [`app`]: everything together, and [`config`], [`postgres`] (the private server), [`clock`],
//!   [`tasks`], [`telemetry`].

pub mod admin;
pub mod app;
pub mod authorize;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decide;
pub mod envoy;
pub mod journal;
pub mod limiter;
pub mod metrics;
pub mod model;
pub mod notices;
pub mod postgres;
pub mod proxy;
pub mod replica;
pub mod rotation;
pub mod rpc;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod usage;
