//! What is noted, what is left out of it, and what happens when there is no room.

use std::{sync::Arc, thread};

use super::*;
use crate::model::{
    decision::Way,
    fixture::{NOW, id},
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
        method: "GET",
        route: "/a?key=x",
        permission: "",
        limit: "",
        address: Some("192.0.2.7".parse().unwrap()),
        way: Way::Authorize,
        revision: 1,
    }
}

fn journal() -> Journal {
    Journal::new(Selection::new(Denials::Noted, Share::NONE, Vec::new()), Mask::default())
}

fn numbers(pages: &[Arc<Page>]) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        pages.iter().flat_map(|page| page.entries()).map(|entry| entry.id.count).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn denials_are_noted_and_allowed_ones_by_share_or_key() {
    let number = |count| DecisionId { thread: 1, count };
    let takes = |selection: Selection, key: Option<u64>| {
        let journal = Journal::new(selection, Mask::default());
        (0..10_000).filter(|count| journal.takes(number(*count), key.map(id))).count()
    };
    let some = |share, keys: &[u64]| {
        Selection::new(Denials::Noted, share, keys.iter().map(|number| id(*number)).collect())
    };
    assert_eq!(takes(Selection::nothing(), None), 0);
    assert_eq!(takes(Selection::nothing(), Some(1)), 0);
    assert_eq!(takes(some(Share::NONE, &[]), None), 10_000);
    assert_eq!(takes(some(Share::NONE, &[]), Some(1)), 0);
    assert_eq!(takes(some(Share::NONE, &[5, 1]), Some(1)), 10_000);
    assert_eq!(takes(some(Share::NONE, &[5, 1]), Some(2)), 0);
    assert_eq!(takes(some(Share::ALL, &[]), Some(2)), 10_000);
    let some_of_them = takes(some(Share::of_million(10_000), &[]), Some(2));
    assert!((95..=105).contains(&some_of_them), "{some_of_them} are about one in a hundred");
}

#[test]
fn a_route_is_noted_without_query_and_no_longer_than_it_may_be() {
    let masked = |segments, route| Mask { segments, ..Mask::default() }.route(route).into_owned();
    for (segments, route, noted) in [
        (None, "/a/b/c?key=x", "/a/b/c"),
        (None, "/a#b", "/a"),
        (None, "", ""),
        (Some(0), "/a", "/*"),
        (Some(0), "", ""),
        (Some(1), "/a/b/c", "/a/*"),
        (Some(1), "/a/", "/a/"),
        (Some(1), "/a", "/a"),
        (Some(2), "/a/b/c?d=/e/f", "/a/b/*"),
        (Some(2), "a/b/c", "a/b/*"),
        (Some(9), "/a/b/c", "/a/b/c"),
    ] {
        assert_eq!(masked(segments, route), noted, "{segments:?} {route}");
    }
}

#[test]
fn what_all_threads_noted_is_gathered_once_and_waits_until_it_is_written() {
    let journal = journal();
    let each = u64::try_from(PAGE_ENTRIES).unwrap() + 7;
    thread::scope(|scope| {
        for thread in 0..4 {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..each {
                    journal.note(&entry(thread * each + number));
                }
            });
        }
    });
    let gathered = journal.gather();
    assert_eq!(numbers(&gathered), (0..4 * each).collect::<Vec<_>>());
    assert_eq!(journal.gather(), []);
    assert_eq!(numbers(&journal.next(usize::MAX)), numbers(&gathered));
    assert_eq!(numbers(&journal.next(usize::MAX)), numbers(&gathered));
    assert_eq!(journal.next(1).len(), 1, "one page, however long it is");
    journal.finish(gathered.len());
    assert_eq!((journal.next(usize::MAX), journal.backlog()), (Vec::new(), 0));
    assert_eq!(journal.dropped(), 0);
}

#[test]
fn what_may_have_been_written_is_tried_again_without_what_came_after_it() {
    let journal = journal();
    journal.note(&entry(1));
    journal.gather();
    let first = journal.next(usize::MAX);
    journal.doubt(first.len());
    journal.note(&entry(2));
    journal.gather();
    assert_eq!(numbers(&journal.next(usize::MAX)), [1]);
    journal.finish(1);
    assert_eq!(numbers(&journal.next(usize::MAX)), [2]);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted_and_what_waited_stays() {
    let journal = journal();
    let page = u64::try_from(PAGE_ENTRIES).unwrap();
    let room = u64::try_from(WAITING_ENTRIES_MAX).unwrap() / page * page;
    for number in 0..room + 3 * page {
        journal.note(&entry(number));
        if (number + 1) % (100 * page) == 0 {
            journal.gather();
        }
    }
    journal.gather();
    assert_eq!(journal.dropped(), 3 * page);
    assert_eq!(journal.backlog(), usize::try_from(room).unwrap());
    assert_eq!(numbers(&journal.next(PAGE_ENTRIES)), (0..page).collect::<Vec<_>>());
    journal.finish(1);
    journal.note(&entry(0));
    journal.gather();
    assert_eq!(journal.dropped(), 3 * page);
}

#[test]
fn whole_pages_that_nobody_gathers_are_bounded() {
    let journal = journal();
    let page = u64::try_from(PAGE_ENTRIES).unwrap();
    let pages = u64::try_from(WHOLE_PAGES_MAX).unwrap() + 2;
    for number in 0..pages * page {
        journal.note(&entry(number));
    }
    assert_eq!(journal.dropped(), 2 * page);
}
