//! How answers are shown: tables and lines for people, JSON and YAML for programs.

pub mod messages;
pub mod pager;
pub mod progress;
pub mod table;
pub mod text;
pub mod time;
pub mod yaml;

use std::{
    ffi::OsStr,
    io::{self, IsTerminal, Write},
};

use rustix::termios::tcgetwinsize;

use self::{
    messages::Shown,
    table::Fitting,
    text::{paragraphs, plain},
};
use super::{
    args::{Format, OutputArgs},
    error::CliError,
};
use crate::{clock, model::time::Timestamp};

const WIDTH_USUAL: usize = 80;
const WIDTH_MIN: usize = 20;

/// What a part of a message means for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Usual,
    /// As it should be.
    Good,
    /// Worth a look.
    Caution,
    /// Denied, ended, failed.
    Bad,
    /// Not there, or of no importance.
    Faint,
}

/// What people see of a part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// In words. Whatever is in it, no control character reaches the terminal.
    pub text: String,
    /// What that means.
    pub tone: Tone,
}

impl Cell {
    /// A text as it is; nothing is shown as `–`.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::none() } else { Self { text, tone: Tone::Usual } }
    }

    /// A text with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    /// Several texts.
    pub fn list<T: AsRef<str>>(texts: &[T]) -> Self {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        Self::text(texts.join(", "))
    }

    /// Names and values.
    pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| format!("{name}={value}"));
        Self::list(&pairs.collect::<Vec<_>>())
    }

    /// Nothing.
    pub fn none() -> Self {
        Self::toned("–", Tone::Faint)
    }

    /// Whether there is nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::none()
    }

    /// How long ago an instant was or how far it is, or what its absence means: for tables.
    pub fn ago(time: Option<&prost_types::Timestamp>, absent: &str, look: Look) -> Self {
        match time {
            Some(time) => Self::text(time::relative(time, look.now)),
            None => Self::toned(absent, Tone::Faint),
        }
    }

    /// The same and the instant itself; nothing if it is absent.
    pub fn when(time: Option<&prost_types::Timestamp>, look: Look) -> Self {
        time.map_or_else(Self::none, |time| {
            let relative = time::relative(time, look.now);
            Self::text(format!("{relative} ({})", time::absolute(time)))
        })
    }
}

/// How a column behaves where there is not room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Always there, and whole as long as that is possible.
    Whole,
    /// Always there; cut short with `…` if need be.
    Cut,
    /// Left out if there is no room: those with high numbers first.
    Spare(u8),
    /// Only with `--wide`.
    Wide,
}

/// A column of a table, or a line about one thing.
#[derive(Debug)]
pub struct Field<T> {
    /// What it is called, as in `Last used`.
    pub name: &'static str,
    /// What it says of a thing.
    pub cell: fn(&T, Look) -> Cell,
    /// How it behaves where there is not room for all.
    pub fit: Fit,
}

/// What cells are made with.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The present.
    pub now: Timestamp,
}

/// Where and how answers are shown.
#[derive(Debug)]
pub struct Output {
    /// For people or programs.
    pub format: Format,
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
    has_colours: bool,
    room: Room,
    paging: Paging,
}

/// How many columns of a table are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// As many as fit.
    There,
    /// All, however wide.
    Wide,
}

/// Whether long texts are shown page by page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paging {
    Pager,
    None,
}

impl Output {
    /// As it was asked for, and as standard output is.
    pub fn new(args: &OutputArgs) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        // https://no-color.org
        let no_color = args.no_color || set("NO_COLOR").is_some();
        let is_dumb = set("TERM").is_some_and(|term| term == OsStr::new("dumb"));
        Self {
            format: args.output,
            is_terminal,
            has_colours: is_terminal && !no_color && !is_dumb,
            room: if args.wide { Room::Wide } else { Room::There },
            paging: if is_terminal && !args.no_pager { Paging::Pager } else { Paging::None },
        }
    }

    /// Whether people are shown a table or lines.
    pub fn is_for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Shows a list: a table, or an array.
    pub fn list<T: Shown>(&self, things: &[T], fields: &[Field<T>]) -> Result<(), CliError> {
        if !self.is_for_people() {
            return self.values(things);
        }
        let look = look();
        let cells = |thing| fields.iter().map(|field| (field.cell)(thing, look)).collect();
        let columns: Vec<_> = fields.iter().map(|field| (field.name, field.fit)).collect();
        self.page(&self.table(&columns, things.iter().map(cells).collect()))
    }

    /// A table as it fits here.
    pub fn table(&self, columns: &[(&str, Fit)], rows: Vec<Vec<Cell>>) -> String {
        let fitting = match (self.room, self.is_terminal) {
            (Room::Wide, _) => Fitting::Everything,
            (Room::There, true) => Fitting::Within(width()),
            (Room::There, false) => Fitting::Whole,
        };
        table::render(columns, rows, fitting, self.has_colours)
    }

    /// Shows one thing: a line for each field that has something, or an object.
    pub fn show<T: Shown>(&self, thing: &T, fields: &[Field<T>]) -> Result<(), CliError> {
        if !self.is_for_people() {
            return self.value(thing);
        }
        let look = look();
        let lines = fields.iter().map(|field| (field.name, (field.cell)(thing, look)));
        let lines = lines.filter(|(_, cell)| !cell.is_none());
        self.print(&table::lines(lines.collect(), self.has_colours))
    }

    /// Shows a message as programs read it.
    pub fn value<T: Shown>(&self, thing: &T) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table | Format::Json => messages::json(thing)? + "\n",
            Format::Yaml => yaml::document(&messages::value(thing)?),
        };
        self.print(&text)
    }

    fn values<T: Shown>(&self, things: &[T]) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table | Format::Json => messages::json_array(things)?,
            Format::Yaml => {
                let values = things.iter().map(messages::value).collect::<Result<_, _>>()?;
                yaml::document(&serde_json::Value::Array(values))
            }
        };
        self.print(&text)
    }

    /// Shows what is no message as programs read it.
    pub fn raw(&self, value: &serde_json::Value) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Json => {
                self.print(&messages::harmless(&format!("{value:#}\n")))
            }
            Format::Yaml => self.print(&yaml::document(value)),
        }
    }

    /// How many characters a line may have: none of it counts where there is no terminal.
    pub fn line_width(&self) -> Option<usize> {
        (self.is_terminal && self.room == Room::There).then(width)
    }

    /// Prints what was asked for, as it is.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|source| CliError::io("standard output cannot be written", source))
    }

    /// Prints what was asked for; a long text on a terminal page by page.
    pub fn page(&self, text: &str) -> Result<(), CliError> {
        if self.paging == Paging::Pager && pager::show(text)? {
            return Ok(());
        }
        self.print(text)
    }

    /// Text with a meaning, for standard output.
    pub fn style(&self, text: &str, tone: Tone) -> String {
        text::styled(&plain(text), tone, self.has_colours)
    }
}

/// Tells people something that was not asked for, on standard error.
pub fn note(text: &str) {
    // nobody may be listening
    drop(writeln!(io::stderr(), "{}", paragraphs(text)));
}

/// The present, for cells.
pub fn look() -> Look {
    Look { now: clock::wall() }
}

/// How many characters a line of the terminal has.
fn width() -> usize {
    let size = tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col)).ok();
    let set = || std::env::var_os("COLUMNS")?.into_string().ok()?.parse().ok();
    let width = size.filter(|width| *width > 0).or_else(set);
    width.unwrap_or(WIDTH_USUAL).max(WIDTH_MIN)
}
