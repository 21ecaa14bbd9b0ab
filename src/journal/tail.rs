//! Who watches decisions: each has a filter, and room for some pages. Nobody waits for one who reads slowly.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use thiserror::Error;
use tokio::sync::mpsc;

use crate::model::decision::{DecisionFilter, Page};

/// How many may watch at once.
pub const WATCHERS_MAX: usize = 16;
/// Pages that wait for one watcher; one is gathered of each thread ten times a second.
const PAGES_MAX: usize = 64;

/// Too many watch already.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{WATCHERS_MAX} watch the decisions of this replica already")]
pub struct TooManyWatchers;

/// Shows decisions to who watches.
#[derive(Debug, Default)]
pub struct Tail(Mutex<Vec<Seat>>);

/// One that watches, as the tail sees it.
#[derive(Debug)]
struct Seat {
    filter: Arc<DecisionFilter>,
    pages: mpsc::Sender<Arc<Page>>,
    /// What was not shown for want of room and not told of yet.
    dropped: Arc<AtomicU64>,
}

/// One that watches.
#[derive(Debug)]
pub struct Watcher {
    /// Which decisions it wants to see.
    pub filter: Arc<DecisionFilter>,
    pages: mpsc::Receiver<Arc<Page>>,
    dropped: Arc<AtomicU64>,
}

impl Tail {
    /// Begins to watch.
    pub fn watch(&self, filter: DecisionFilter) -> Result<Watcher, TooManyWatchers> {
        let filter = Arc::new(filter);
        let dropped = Arc::<AtomicU64>::default();
        let (sender, pages) = mpsc::channel(PAGES_MAX);
        let seat =
            Seat { filter: Arc::clone(&filter), pages: sender, dropped: Arc::clone(&dropped) };
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| !seat.pages.is_closed());
        if seats.len() >= WATCHERS_MAX {
            return Err(TooManyWatchers);
        }
        seats.push(seat);
        Ok(Watcher { filter, pages, dropped })
    }

    /// Shows pages to all who watch.
    pub fn show(&self, pages: &[Arc<Page>]) {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| !seat.pages.is_closed());
        for seat in &*seats {
            for page in pages {
                seat.show(page);
            }
        }
    }
}

impl Seat {
    fn show(&self, page: &Arc<Page>) {
        let wanted = page.entries().filter(|entry| self.filter.shows(entry)).count();
        // one who is gone misses nothing
        if wanted > 0 && self.pages.try_send(Arc::clone(page)).is_err() {
            self.dropped.fetch_add(u64::try_from(wanted).unwrap_or(0), Relaxed);
        }
    }
}

impl Watcher {
    /// The next page with something that is to be seen; `None` when there will be none any more.
    pub async fn next(&mut self) -> Option<Arc<Page>> {
        self.pages.recv().await
    }

    /// How many were not shown for want of room since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        decision::{DecisionId, Entry, Way},
        fixture::NOW,
    };

    fn entry(number: u64) -> Entry<'static> {
        Entry {
            time: NOW,
            id: DecisionId { thread: 1, count: number },
            reason: "KEY_UNKNOWN",
            key: None,
            domain: "",
            environment: "production",
            user: "",
            customer: "",
            method: "",
            route: "",
            permission: "",
            limit: "",
            address: None,
            way: Way::Authorize,
            revision: 1,
        }
    }

    #[test]
    fn who_watches_is_shown_what_the_filter_shows_and_told_what_was_left_out() {
        let tail = Tail::default();
        let filter = || DecisionFilter { id: Some(entry(3).id), ..DecisionFilter::default() };
        let mut watcher = tail.watch(filter()).unwrap();
        let mut page = Page::default();
        (0..5).for_each(|number| page.push(&entry(number)));
        let page = [Arc::new(page)];
        let mut other = Page::default();
        other.push(&entry(9));
        tail.show(&[Arc::new(other)]);
        for _ in 0..100 {
            tail.show(&page);
        }
        let left_out = watcher.take_dropped();
        assert_eq!((left_out, watcher.take_dropped()), (36, 0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in left_out..100 {
            assert_eq!(runtime.block_on(watcher.next()).as_ref(), page.first());
        }
        let watchers: Vec<_> = (1..WATCHERS_MAX).map(|_| tail.watch(filter()).unwrap()).collect();
        assert_eq!(tail.watch(filter()).err(), Some(TooManyWatchers));
        drop(watchers);
        assert!(tail.watch(filter()).is_ok(), "who is gone leaves room");
    }
}
