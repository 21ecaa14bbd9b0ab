//! Keyward as its users have it: the real program, a real PostgreSQL, real clients over the wire.

mod postgres;
mod support;

mod admin;
