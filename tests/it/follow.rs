//! Replicas and the change log: what one server changes, all others soon know.

mod broken;
mod catching_up;
mod changes;
mod things;
mod unreadable;
