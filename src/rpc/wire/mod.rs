//! The messages of `Authorize` on the wire: requests are read where they lie, answers are written
//! straight from decisions. What is read and written is what prost reads and writes, byte for byte.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

pub mod answer;
pub mod codec;
pub mod read;
pub(in crate::rpc) mod write;

#[cfg(test)]
pub(in crate::rpc) mod tests;
