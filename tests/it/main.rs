//! Keyward as its users have it: the real program, a real PostgreSQL, real clients over the wire.
#![expect(
    clippy::disallowed_methods,
    reason = "in a test, what fails here is the result"
)]

mod postgres;
#[cfg(test)]
mod support;

#[cfg(test)]
mod admin;
#[cfg(test)]
mod faults;
