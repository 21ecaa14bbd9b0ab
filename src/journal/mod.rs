//! The decision log in memory: which decisions are noted, and what waits to be written.
//!
//! A deciding thread adds an entry to a page that only it writes, and waits for nobody. [`flush`] is the task
//! that gathers the pages, shows them to who watches ([`tail`]) and carries them to the database. What does
//! not fit is dropped and counted.

pub mod flush;
pub mod tail;

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::model::{
    address::AddressDetail,
    decision::{DecisionId, Entry, Page},
    id::KeyId,
    per_thread::PerThread,
};

/// Entries that a thread hands over at once, and about how many bytes of text they have.
const PAGE_ENTRIES: usize = 512;
const PAGE_TEXT_BYTES: usize = 64 * PAGE_ENTRIES;
/// Whole pages that wait to be gathered: a tenth of a second of more than a million decisions each second.
const WHOLE_PAGES_MAX: usize = 256;
/// Entries that wait to be written, with some 250 bytes each, and ten times as much if clients send what is
/// as long as can be.
pub const WAITING_ENTRIES_MAX: usize = 200_000;

/// Which decisions are noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether denied ones are.
    pub denials: Denials,
    /// How many of the allowed ones are.
    pub allows: Share,
    /// The keys of which all allowed ones are, sorted.
    keys: Box<[KeyId]>,
}

/// Whether denials are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denials {
    /// All are.
    Noted,
    /// None is.
    Left,
}

/// A part of all, from none to all, in parts of 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(1 << 32);

    /// From a number of parts in a million, of which a million are all.
    pub fn of_million(parts: u32) -> Self {
        Self(((u64::from(parts) << 32) / 1_000_000).min(Self::ALL.0))
    }

    /// Whether it has this one, by its number: of numbers in a row it has as many as it says, about.
    const fn has(self, number: u64) -> bool {
        // a multiple of an irrational part of 2⁶⁴ never comes near a rhythm that callers have
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 < self.0
    }
}

impl Selection {
    /// Nothing is noted.
    pub fn nothing() -> Self {
        Self::new(Denials::Left, Share::NONE, Vec::new())
    }

    /// Some allowed ones are noted, and all of these keys.
    pub fn new(denials: Denials, allows: Share, mut keys: Vec<KeyId>) -> Self {
        keys.sort_unstable();
        Self { denials, allows, keys: keys.into() }
    }

    /// Whether an allowed decision about a key is noted.
    fn takes_allowed(&self, id: DecisionId, key: Option<KeyId>) -> bool {
        if self.allows > Share::NONE && self.allows.has(id.count) {
            return true;
        }
        !self.keys.is_empty() && key.is_some_and(|key| self.keys.binary_search(&key).is_ok())
    }
}

/// What is left out of what is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// How many segments of a route are noted at most; `None`: all.
    pub segments: Option<usize>,
    /// How much of addresses is noted.
    pub addresses: AddressDetail,
}

/// Notes decisions in memory.
#[derive(Debug)]
pub struct Journal {
    selection: Selection,
    mask: Mask,
    pages: PerThread<Page>,
    whole: Mutex<Vec<Page>>,
    waiting: Mutex<Waiting>,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    pages: VecDeque<Arc<Page>>,
    entries: usize,
    /// How many pages of it may have been written: they are written again together or not at all.
    unsure: usize,
}

impl Journal {
    /// One that notes these decisions.
    pub fn new(selection: Selection, mask: Mask) -> Self {
        let (pages, whole, waiting, dropped) = Default::default();
        Self { selection, mask, pages, whole, waiting, dropped }
    }

    /// Whether this decision is to be noted. `key`: about which key it was, if it was allowed.
    pub fn takes(&self, id: DecisionId, allowed: Option<KeyId>) -> bool {
        match allowed {
            Some(key) => self.selection.takes_allowed(id, Some(key)),
            None => self.selection.denials == Denials::Noted,
        }
    }

    /// Notes a decision.
    pub fn note(&self, entry: &Entry<'_>) {
        let route = self.mask.route(entry.route);
        let address = entry.address.map(|address| self.mask.addresses.of(address));
        let Some(mut page) = self.pages.own() else { return };
        if page.is_empty() {
            *page = Page::with_capacity(PAGE_ENTRIES, PAGE_TEXT_BYTES);
        }
        page.push(&Entry { route: &route, address, ..*entry });
        if page.len() >= PAGE_ENTRIES {
            let page = page.take();
            let mut whole = lock(&self.whole);
            if whole.len() < WHOLE_PAGES_MAX {
                whole.push(page);
            } else {
                drop(whole);
                self.drop_entries(page.len());
            }
        }
    }

    /// Takes together what all threads noted, lets it wait to be written, and returns it.
    pub fn gather(&self) -> Vec<Arc<Page>> {
        let mut gathered = std::mem::take(&mut *lock(&self.whole));
        // taken apart from it, so that its thread does not wait
        gathered.extend(self.pages.each().map(|mut page| page.take()));
        gathered.retain(|page| !page.is_empty());
        let gathered: Vec<Arc<Page>> = gathered.into_iter().map(Arc::new).collect();
        for page in &gathered {
            let mut waiting = lock(&self.waiting);
            if waiting.entries + page.len() <= WAITING_ENTRIES_MAX {
                waiting.entries += page.len();
                waiting.pages.push_back(Arc::clone(page));
            } else {
                drop(waiting);
                self.drop_entries(page.len());
            }
        }
        gathered
    }

    /// The pages that wait longest, with so many entries at most, or one page; but if the last ones may have
    /// been written, these. They go on waiting until [`Journal::finish`].
    fn next(&self, entries_max: usize) -> Vec<Arc<Page>> {
        let waiting = lock(&self.waiting);
        if waiting.unsure > 0 {
            return waiting.pages.iter().take(waiting.unsure).cloned().collect();
        }
        let mut entries = 0;
        let fits = |page: &&Arc<Page>| {
            let first = entries == 0;
            entries += page.len();
            first || entries <= entries_max
        };
        waiting.pages.iter().take_while(fits).cloned().collect()
    }

    /// So many pages, those that waited longest, may have been written.
    fn doubt(&self, pages: usize) {
        lock(&self.waiting).unsure = pages;
    }

    /// So many pages, those that waited longest, wait no more.
    fn finish(&self, pages: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.unsure = 0;
        for _ in 0..pages {
            let entries = waiting.pages.pop_front().map_or(0, |page| page.len());
            waiting.entries -= entries;
        }
    }

    /// How many entries wait to be written.
    pub fn backlog(&self) -> usize {
        lock(&self.waiting).entries
    }

    /// How many entries were lost since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    fn drop_entries(&self, entries: usize) {
        self.dropped.fetch_add(u64::try_from(entries).unwrap_or(0), Relaxed);
    }
}

impl Mask {
    /// What is noted of a route: never its query, which may hold what nobody is to see.
    fn route<'a>(&self, route: &'a str) -> Cow<'a, str> {
        let path = route.split(['?', '#']).next().unwrap_or_default();
        let Some(segments) = self.segments else { return Cow::Borrowed(path) };
        let begun = usize::from(path.starts_with('/'));
        let mut slashes = path.match_indices('/').skip(segments.saturating_sub(1) + begun);
        match slashes.next() {
            _ if segments == 0 && !path.is_empty() => Cow::Borrowed("/*"),
            Some((end, _)) if end + 1 < path.len() => {
                Cow::Owned(format!("{}/*", path.get(..end).unwrap_or_default()))
            }
            Some(_) | None => Cow::Borrowed(path),
        }
    }
}

/// A panic while one was locked leaves it whole but for a count, which is of no use then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
