//! Keyward as its users have it: the real program, a real PostgreSQL, real clients over the wire.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "in a test, what fails here is the result"
)]

mod postgres;
mod support;

mod admin;
mod faults;
