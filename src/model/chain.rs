//! The chain of audit events: what its hashes are made of, and the walk that checks it.
//!
//! Each event has the SHA-256 of the hash before it and of its own content. Who edits, removes, adds or
//! moves one has to compute all hashes after it anew; and who knows a hash of before finds that, too.

use std::fmt;

use ring::digest::{SHA256, digest};
use thiserror::Error;

/// The hash of an event, and by it of all events before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

/// A text that is no hash.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 64 characters of 0-9 and a-f")]
pub struct InvalidHash;

impl ChainHash {
    /// What the first event's hash is made from.
    pub const START: Self = Self([0; 32]);

    /// The hash of the event after this one.
    #[must_use]
    pub fn next(&self, content: &str) -> Self {
        let hashed = digest(&SHA256, &[&self.0, content.as_bytes()].concat());
        Self::from_stored(hashed.as_ref()).unwrap_or(Self::START)
    }

    /// From stored bytes; `None` if there are not 32 of them.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(hexadecimal) {
            return Err(InvalidHash);
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * place..2 * place + 2).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).or(Err(InvalidHash))?;
        }
        Ok(Self(bytes))
    }
}

/// As hexadecimal digits.
impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The content of an event as it is hashed: of each field its length in characters and the text, or a dash
/// for none, so that contents that differ stay different. The database's `audit_text` says the same.
pub fn content<'a>(fields: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut content = String::new();
    for field in fields {
        match field {
            Some(text) => {
                content.push_str(&text.chars().count().to_string());
                content.push(':');
                content.push_str(text);
            }
            None => content.push('-'),
        }
    }
    content
}

/// Which event: by its place in the chain, and by its revision and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventName {
    /// From 1 on, without gaps.
    pub number: i64,
    /// The revision; 0 for what is before all events.
    pub revision: i64,
    /// Counts the events of a revision.
    pub position: i32,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which one.
    pub name: EventName,
    /// Its hash, if that has the form of one.
    pub hash: Option<ChainHash>,
    /// What its hash is to be made from.
    pub content: String,
}

/// An event and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The event.
    pub name: EventName,
    /// Its hash.
    pub hash: ChainHash,
}

impl Seal {
    /// Before all events.
    pub const START: Self =
        Self { name: EventName { number: 0, revision: 0, position: 0 }, hash: ChainHash::START };
}

/// A hash that somebody has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSeal {
    /// The number of the event.
    pub number: i64,
    /// Its hash.
    pub hash: ChainHash,
}

/// The end of the chain as the database has it beside the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many events there are.
    pub number: i64,
    /// The hash of the last, if it has the form of one.
    pub hash: Option<ChainHash>,
    /// The first event after that end.
    pub beyond: Option<EventName>,
}

/// What is wrong with the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The event has not the content or the hash that it was written with.
    Edited,
    /// The event stands where another one stood.
    OutOfOrder,
    /// Events from this number on are not there; revision and position are those of the event before.
    Missing {
        /// How many.
        count: i64,
    },
    /// The event was not written by the program.
    Foreign,
    /// The chain holds together, but is not the one that the known hash is of: it was written anew.
    Rewritten,
    /// The chain holds together, but its end is not what the database has beside it.
    Head,
}

/// The first event with which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub wrong: Wrong,
    /// With which event.
    pub event: EventName,
}

/// In words.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventName { number, revision, position } = self.event;
        let place = format_args!("event {number} (revision {revision}, position {position})");
        match self.wrong {
            Wrong::Edited => write!(f, "{place} was edited"),
            Wrong::OutOfOrder => write!(f, "{place} is out of order"),
            Wrong::Missing { count } => write!(
                f,
                "{count} event(s) from number {number} on are missing, after revision {revision}, \
                 position {position}"
            ),
            Wrong::Foreign => write!(f, "{place} is foreign: it was not written by Keyward"),
            Wrong::Rewritten => {
                write!(f, "{place} has another hash than the known one: the chain was rewritten")
            }
            Wrong::Head => {
                write!(f, "the stored end of the chain does not fit its last event, {place}")
            }
        }
    }
}

/// A walk along the chain, from one event to the next.
#[derive(Clone, Debug)]
pub struct Walk {
    last: Seal,
    verified: i64,
    known: Option<KnownSeal>,
}

impl Walk {
    /// Begins after an event that is taken as it is. If a hash is known, the chain must have it.
    pub const fn after(last: Seal, known: Option<KnownSeal>) -> Self {
        Self { last, verified: 0, known }
    }

    /// The last event that is as it should be.
    pub const fn last(&self) -> Seal {
        self.last
    }

    /// How many events are as they should be.
    pub const fn verified(&self) -> i64 {
        self.verified
    }

    /// Goes on to the next event, which is the one of the least number that is left.
    pub fn step(&mut self, link: &Link) -> Result<(), Fault> {
        let expected = self.last.name.number.saturating_add(1);
        if link.name.number < expected {
            return Err(Fault { wrong: Wrong::Foreign, event: link.name });
        }
        if link.name.number > expected {
            return Err(self.missing(link.name.number.saturating_sub(expected)));
        }
        let hash = self.last.hash.next(&link.content);
        if link.hash != Some(hash) {
            return Err(Fault { wrong: Wrong::Edited, event: link.name });
        }
        if link.name.revision < self.last.name.revision {
            return Err(Fault { wrong: Wrong::OutOfOrder, event: link.name });
        }
        match self.known {
            Some(known) if known.number == link.name.number && known.hash != hash => {
                return Err(Fault { wrong: Wrong::Rewritten, event: link.name });
            }
            _ => {}
        }
        self.last = Seal { name: link.name, hash };
        self.verified += 1;
        Ok(())
    }

    /// Compares the last event with the end that the database has.
    pub fn finish(&self, head: &Head) -> Result<(), Fault> {
        let event = self.last.name;
        if event.number < head.number {
            return Err(self.missing(head.number.saturating_sub(event.number)));
        }
        if event.number > head.number || head.hash != Some(self.last.hash) {
            return Err(Fault { wrong: Wrong::Head, event });
        }
        if let Some(event) = head.beyond {
            return Err(Fault { wrong: Wrong::Foreign, event });
        }
        match self.known {
            Some(known) if known.number > event.number => {
                Err(self.missing(known.number.saturating_sub(event.number)))
            }
            _ => Ok(()),
        }
    }

    const fn missing(&self, count: i64) -> Fault {
        let name = self.last.name;
        let event = EventName { number: name.number.saturating_add(1), ..name };
        Fault { wrong: Wrong::Missing { count }, event }
    }
}

#[cfg(test)]
mod tests;
