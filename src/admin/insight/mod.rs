//! What operators may learn of what was done.

pub mod audit;
