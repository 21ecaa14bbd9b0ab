//! A tower layer that asks Keyward about each request before the service behind it gets it.
//!
//! Copy this folder, `proto/` and `build.rs`, and take the dependencies from `Cargo.toml`.

mod key;
mod layer;
mod refusal;

pub use layer::{Identity, KeywardLayer};

/// What `proto/keyward/v1/authorize.proto` says.
#[expect(clippy::all, reason = "generated")]
mod pb {
    tonic::include_proto!("keyward.v1");
}
