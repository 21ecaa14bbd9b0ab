//! `Authorize` over the wire: what `proto/keyward/v1/authorize.proto` promises.

mod batch;
mod decision;
mod garbage;
mod revision;
mod stream;
