//! What keys share, by name: permission groups, users, domains, environments, customers, templates.

pub mod customers;
pub mod domains;
pub mod edits;
pub mod environments;
pub mod groups;
pub mod routes;
pub mod templates;
pub mod users;

use clap::Args;

use super::{
    error::CliError,
    output::{Cell, Field, Look, Tone, messages::Shown, note},
    prompt,
    session::Session,
};

/// Whether a change is made, and of what.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Check everything and change nothing; shows what would be
    #[arg(long)]
    pub dry_run: bool,
}

/// That a change is meant.
#[derive(Clone, Debug, Args)]
pub struct SureArgs {
    /// Do not ask whether this is meant
    #[arg(long, short)]
    pub yes: bool,
}

/// Which one must not have changed since it was seen.
#[derive(Clone, Debug, Args)]
pub struct EtagArgs {
    /// Only if it is still as it was with this etag, which `show` tells
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
}

impl EtagArgs {
    /// As requests have it.
    pub fn text(&self) -> String {
        text(self.etag.as_ref())
    }
}

/// What was given, or nothing.
pub fn text(given: Option<&String>) -> String {
    given.cloned().unwrap_or_default()
}

impl SureArgs {
    /// Goes on if the person at the terminal says so, or said so before.
    pub fn ask(&self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if !prompt::is_possible() {
            return Err(CliError::usage(
                "this needs somebody who says yes, and standard input is no terminal",
                "--yes says it beforehand",
            ));
        }
        if prompt::confirm(question)? { Ok(()) } else { Err(CliError::Interrupted) }
    }
}

/// Shows what a change made of a thing: to people in a sentence, to programs by the answer.
pub(super) fn show_change<A: Shown, T: Shown>(
    session: &Session,
    answer: &A,
    (thing, lines): (Option<&T>, &[Field<T>]),
    (done, dry_run, revision): (&str, bool, i64),
) -> Result<(), CliError> {
    if let (Some(thing), true, true) = (thing, dry_run, session.out.is_for_people()) {
        session.out.show(thing, lines)?;
    }
    show_end(session, answer, (done, dry_run, revision))
}

/// Shows that a thing is gone.
pub(super) fn show_end<A: Shown>(
    session: &Session,
    answer: &A,
    (done, dry_run, revision): (&str, bool, i64),
) -> Result<(), CliError> {
    if !session.out.is_for_people() {
        session.out.value(answer)?;
    }
    tell(done, dry_run, revision);
    Ok(())
}

/// Tells on standard error what was done, or that nothing was.
pub(super) fn tell(done: &str, dry_run: bool, revision: i64) {
    if dry_run {
        note("Nothing was changed: this is what would be.");
    } else {
        note(&format!("{done}, revision {revision}."));
    }
}

/// Whether something was stopped.
fn stopped(disabled: bool) -> Cell {
    if disabled { Cell::toned("disabled", Tone::Bad) } else { Cell::toned("enabled", Tone::Good) }
}

/// A line that has an instant.
macro_rules! when {
    ($name:literal, $field:ident) => {
        $crate::cli::output::Field {
            name: $name,
            cell: |thing, look| $crate::cli::output::Cell::when(thing.$field.as_ref(), look),
            fit: $crate::cli::output::Fit::Whole,
        }
    };
}

/// A line that has a text.
macro_rules! line {
    ($name:literal, $field:ident) => {
        $crate::cli::output::Field {
            name: $name,
            cell: |thing, _| $crate::cli::output::Cell::text(&thing.$field),
            fit: $crate::cli::output::Fit::Whole,
        }
    };
    ($name:literal, $field:ident, $fit:expr) => {
        $crate::cli::output::Field {
            name: $name,
            cell: |thing, _| $crate::cli::output::Cell::text(&thing.$field),
            fit: $fit,
        }
    };
}

/// A line that has several texts.
macro_rules! list {
    ($name:literal, $field:ident) => {
        $crate::cli::output::Field {
            name: $name,
            cell: |thing, _| $crate::cli::output::Cell::list(&thing.$field),
            fit: $crate::cli::output::Fit::Whole,
        }
    };
    ($name:literal, $field:ident, $fit:expr) => {
        $crate::cli::output::Field {
            name: $name,
            cell: |thing, _| $crate::cli::output::Cell::list(&thing.$field),
            fit: $fit,
        }
    };
}

pub(in crate::cli) use {line, list, when};

/// How long ago something was made or changed, for tables.
pub(super) fn ago(time: Option<&prost_types::Timestamp>, look: Look) -> Cell {
    Cell::ago(time, "–", look)
}
