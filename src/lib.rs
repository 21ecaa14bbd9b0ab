//! Keyward decides whether an API key may do something.

pub mod authorize;
pub mod clock;
pub mod decide;
pub mod model;
pub mod postgres;
pub mod replica;
pub mod store;
pub mod usage;
