//! The nouns: what a key, a token, a permission and a route are, and what each may look like.
//!
//! Everything here is parsed once, at the door, and is right from then on. This room is pure: no
//! I/O, no clock, no logger; time and randomness are arguments.

pub mod address;
pub mod audit;
pub mod caller;
pub mod catalogue;
pub mod chain;
pub mod customer;
pub mod decision;
pub mod delegation;
pub mod domain;
pub mod environment;
#[cfg(test)]
pub(crate) mod fixture;
pub mod group;
pub mod id;
pub mod job;
pub mod key;
pub mod key_source;
pub mod label;
pub mod limit;
pub mod list;
pub mod meter;
pub mod name;
pub mod notice;
pub mod pepper;
pub mod per_thread;
pub mod permission;
pub mod record;
pub mod reservation;
pub mod route;
pub mod route_map;
pub mod secret;
pub mod shared;
pub mod template;
pub mod text;
pub mod time;
pub mod touch;
pub mod usage;
pub mod user;
pub mod view;
