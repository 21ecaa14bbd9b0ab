//! Envoys of each version that ask Keyward before they let requests through.

mod addresses;
mod context;
mod corpus;
mod denials;
mod example;
mod failures;
mod identity;
mod odd;
mod place;
mod sources;
mod streams;

pub(crate) use place::denial;
use place::{Place, READ};
