//! Against prost: what is read and what is written is the same.

pub(in crate::rpc) mod answers;
mod requests;
