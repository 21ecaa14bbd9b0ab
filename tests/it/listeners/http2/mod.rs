//! Clients of the authorize listener that speak HTTP/2 as few do, but as they may.

mod checks;
mod client;
mod endings;
mod odd;
mod windows;
