//! What was found by one check, and how it is printed.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::cli::output::text::plain;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Fine,
    /// Serves, but not as well as it could, or not for ever.
    Warning,
    /// Does not serve.
    Failure,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warn",
            Self::Failure => "FAIL",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at; stays the same for programs.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) level: Level,
    /// What was found.
    pub(super) found: String,
    /// What to do; empty if there is nothing.
    pub(super) help: String,
}

impl Finding {
    /// As it should be.
    pub(super) fn fine(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Fine, found: found.into(), help: String::new() }
    }

    /// Not as well as it could be.
    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Warning, found: found.into(), help: help.into() }
    }

    /// Does not serve.
    pub(super) fn failure(
        check: &'static str,
        found: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { check, level: Level::Failure, found: found.into(), help: help.into() }
    }

    /// For programs.
    pub(super) fn json(&self) -> Json {
        json!({
            "check": self.check,
            "level": self.level.word().to_lowercase(),
            "found": self.found,
            "help": self.help,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, level, found, help } = self;
        write!(f, "{:<6}{check:<16}{}", level.word(), plain(found))?;
        if !help.is_empty() {
            write!(f, "\n{:22}{}", "", plain(help))?;
        }
        Ok(())
    }
}
