//! The private cluster against a real server: every trap that the room `postgres` claims to know.
//! `PGBIN` chooses the binaries, as in the service.
#![expect(clippy::expect_used, reason = "in a test, what fails here is the result")]

mod life;
mod refusal;
pub(crate) mod support;
