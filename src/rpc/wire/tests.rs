//! Against prost: what is read and what is written is the same.

mod answers;
mod requests;
