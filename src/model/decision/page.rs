//! Decisions beside each other in memory, in few pieces.

use std::net::IpAddr;

use super::{DecisionId, Entry, Way};
use crate::model::{id::KeyId, time::Timestamp};

/// How many texts an entry has.
const TEXTS: usize = 9;
/// What is kept of one text, in bytes. Longer ones lose their ends.
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// Decisions, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    heads: Vec<Head>,
    texts: String,
}

/// What has always the same size of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    time: Timestamp,
    id: DecisionId,
    key: Option<KeyId>,
    address: Option<IpAddr>,
    way: Way,
    revision: i64,
    /// Where its texts begin.
    start: usize,
    /// How long each is.
    lengths: [u16; TEXTS],
}

impl Page {
    /// An empty one that has room for so many entries with texts of so many bytes.
    pub fn with_capacity(entries: usize, text_bytes: usize) -> Self {
        Self { heads: Vec::with_capacity(entries), texts: String::with_capacity(text_bytes) }
    }

    /// How many entries it has.
    pub const fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Takes all out of it and leaves one without room.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds an entry. Of texts what is too long is cut off, and control characters, which neither terminals
    /// nor databases bear, become U+FFFD.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let start = self.texts.len();
        let Entry { reason, domain, environment, user, customer, .. } = *entry;
        let Entry { method, route, permission, limit, .. } = *entry;
        let texts = [reason, domain, environment, user, customer, method, route, permission, limit];
        let lengths = texts.map(|text| {
            let before = self.texts.len();
            push_text(&mut self.texts, text);
            u16::try_from(self.texts.len() - before).unwrap_or(0)
        });
        let Entry { time, id, key, address, way, revision, .. } = *entry;
        self.heads.push(Head { time, id, key, address, way, revision, start, lengths });
    }

    /// The entries in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.heads.iter().map(|head| self.entry(head))
    }

    fn entry(&self, head: &Head) -> Entry<'_> {
        let mut at = head.start;
        let texts = head.lengths.map(|length| {
            let end = at + usize::from(length);
            let text = self.texts.get(at..end).unwrap_or_default();
            at = end;
            text
        });
        let [reason, domain, environment, user, customer, method, route, permission, limit] = texts;
        let Head { time, id, key, address, way, revision, .. } = *head;
        Entry {
            time,
            id,
            reason,
            key,
            domain,
            environment,
            user,
            customer,
            method,
            route,
            permission,
            limit,
            address,
            way,
            revision,
        }
    }
}

fn push_text(texts: &mut String, text: &str) {
    let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.len() <= TEXT_BYTES_MAX && is_plain(text) {
        texts.push_str(text);
        return;
    }
    let end = texts.len() + TEXT_BYTES_MAX;
    for char in text.chars() {
        let char = if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
        if texts.len() + char.len_utf8() > end {
            break;
        }
        texts.push(char);
    }
}
