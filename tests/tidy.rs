//! Rules about the source itself: who may name whom, what is pure, where SQL and errors are made.
//!
//! Every rule is a function from one file to complaints; one test runs all of them over the tree,
//! and each has a test that shows it bite.

#[cfg(test)]
#[path = "tidy/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "tidy/house.rs"]
mod house;
#[cfg(test)]
#[path = "tidy/rooms.rs"]
mod rooms;
#[cfg(test)]
#[path = "tidy/rules.rs"]
mod rules;
#[cfg(test)]
#[path = "tidy/source.rs"]
mod source;
