//! Envoy's configuration: what in it would let requests pass by Keyward, and an example that does not.
//!
//! Text in, findings or text out. It never reads files and never asks a running Envoy.

mod document;
pub mod example;
mod find;
pub mod finding;
mod names;
mod place;
mod rules;

#[cfg(test)]
mod tests;

pub use self::document::{BYTES_MAX, Unreadable};
use self::{find::Configuration, finding::Finding};

/// Looks through a configuration in YAML or JSON, and tells what it finds in the order of lines.
///
/// With `filter`, only external authorization filters of that name are taken for Keyward's. Without,
/// all are.
pub fn check(text: &str, filter: Option<&str>) -> Result<Vec<Finding>, Unreadable> {
    let documents = document::parse(text)?;
    let configuration = Configuration::of(&documents)?;
    let mut findings = rules::run(&configuration, filter);
    findings.sort_by(|a, b| (a.line, a.rule, &a.path).cmp(&(b.line, b.rule, &b.path)));
    Ok(findings)
}
