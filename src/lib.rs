//! Keyward decides whether an API key may do something.

pub mod admin;
pub mod app;
pub mod authorize;
pub mod clock;
pub mod config;
pub mod decide;
pub mod model;
pub mod postgres;
pub mod replica;
pub mod rpc;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod usage;
