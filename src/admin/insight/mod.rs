//! What operators may learn of what was done and decided.

pub mod audit;
pub mod decisions;
pub mod usage;
