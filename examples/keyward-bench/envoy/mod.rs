//! An Envoy in front of nothing, and whom it asks about each request.

mod bootstrap;
mod likeness;

use std::path::Path;

use anyhow::{Result, ensure};

pub use self::{bootstrap::bootstrap, likeness::ensure_alike};
use crate::machine::Place;

/// What an Envoy is always told: one worker, and nothing of other Envoys.
pub const FLAGS: &[&str] = &["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"];

/// Whom an Envoy asks about each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody; all requests pass.
    Nobody,
    /// A service that always says the same, as tonic's guide has it.
    EchoStock,
    /// The same on Keyward's listener, allocator and runtimes.
    Echo,
    /// Keyward, over the keys of the site.
    Keyward,
}

/// Where the one that is asked runs, if servers have a core of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// On Envoy's core.
    Envoy,
    /// On the core of everything else.
    Generator,
}

/// An Envoy that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    pub asked: Asked,
    pub beside: Beside,
}

impl Guarded {
    /// Where the one that is asked runs.
    pub const fn place_of_asked(self) -> Place {
        match self.beside {
            Beside::Envoy => Place::Server,
            Beside::Generator => Place::Rest,
        }
    }
}

/// The flags of the echoes that make them answer Envoy.
pub fn echo_flags() -> Vec<String> {
    vec!["--ext-authz".to_owned()]
}

/// Refuses a folder without Envoy, and says how it comes there.
pub fn ensure_there(folder: &Path) -> Result<()> {
    let program = folder.join("envoy");
    ensure!(
        program.is_file(),
        "there is no {}: run scripts/ensure-envoy, which puts it there",
        program.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_envoy_it_is_said_where_it_should_be_and_what_puts_it_there() {
        let error = ensure_there(Path::new("/nowhere/1.40.0")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/1.40.0/envoy"), "{error}");
        assert!(error.contains("scripts/ensure-envoy"), "{error}");
    }
}
