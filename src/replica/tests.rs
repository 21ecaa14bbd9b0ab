//! What a replica knows after any changes, and what readers see meanwhile.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use proptest::prelude::*;

use super::*;
use crate::model::fixture::{KeyBuilder, NOW, digest, id, key, now_plus};

mod scoping;
mod steps;

/// A replica that knows the domain of the keys below and nothing else.
fn replica() -> (Arc<Replica>, Applier) {
    let (replica, mut applier) = Replica::new(Duration::from_secs(10));
    put_domain(&mut applier, true, "");
    applier.reached(0, None);
    (replica, applier)
}

fn put_domain(applier: &mut Applier, enabled: bool, route_map: &str) {
    let row = DomainRow { enabled, route_map, ..domain_row("default") };
    applier.put_domain(&row).unwrap();
}

fn domain_row(name: &str) -> DomainRow<'_> {
    DomainRow { name, enabled: true, route_map: "", limits: "" }
}

/// What is left after a load: the domain of the keys, and these keys.
fn present(keys: impl IntoIterator<Item = u64>) -> Present {
    let keys = keys.into_iter().map(id).collect();
    Present { keys, domains: HashSet::from(["default".into()]), ..Present::default() }
}

/// A key by a small number, with a digest of its own.
fn numbered(number: u64) -> KeyBuilder {
    key().id(id(number)).current(digest(number))
}

fn put(applier: &mut Applier, builder: &KeyBuilder) {
    applier.put(&builder.row()).unwrap();
}

/// All that a view holds but its use.
fn facts(view: &KeyView) -> String {
    format!(
        "{} {:?} {:?} {} {:?} {:?} {:?} {:?}",
        view.id,
        view.profile,
        view.labels,
        view.active,
        view.not_before,
        view.expire,
        view.digest.bytes(),
        view.secret_end,
    )
}

/// All that readers can find.
fn content(replica: &Replica) -> BTreeMap<[u8; 32], String> {
    let mut found = BTreeMap::new();
    replica.keys.for_each(|view| {
        assert!(found.insert(*view.digest.bytes(), facts(view)).is_none(), "each secret once");
    });
    for digest in found.keys() {
        assert!(replica.get(&Digest::from_bytes(*digest)).is_some());
    }
    found
}

/// What readers ought to find after these keys alone were put.
fn expected<'a>(keys: impl IntoIterator<Item = &'a KeyBuilder>) -> BTreeMap<[u8; 32], String> {
    let views = keys.into_iter().flat_map(KeyBuilder::views);
    views.map(|view| (*view.digest.bytes(), facts(&view))).collect()
}

/// A key of few, in any state, with secrets that no other key ever has.
fn any_key() -> impl Strategy<Value = (u64, KeyBuilder)> {
    let secret = || 0..3_u64;
    let state = (any::<bool>(), 0..3_usize, prop::option::of(-1..1_i64));
    let secrets = (secret(), prop::option::of(secret()));
    (0..4_u64, secrets, state).prop_map(|(number, (current, retiring), state)| {
        let (active, profile, end) = state;
        let own = |secret: u64| digest(number * 100 + secret);
        let grants = ["systems", "users.read", "*"][profile];
        let mut builder = key().id(id(number)).current(own(current)).grants(&[grants]);
        if let Some(retiring) = retiring.filter(|retiring| *retiring != current) {
            builder = builder.retiring(own(retiring), NOW);
        }
        if let Some(end) = end {
            builder = builder.expires_at(now_plus(end));
        }
        (number, if active { builder } else { builder.inactive() })
    })
}

/// A key's new content, or `None` for one that is removed.
fn any_change() -> impl Strategy<Value = (u64, Option<KeyBuilder>)> {
    (any_key(), prop::bool::weighted(0.8))
        .prop_map(|((number, key), stays)| (number, stays.then_some(key)))
}

fn apply(applier: &mut Applier, number: u64, change: Option<&KeyBuilder>) {
    match change {
        Some(key) => put(applier, key),
        None => applier.remove(id(number)),
    }
}

proptest! {
    #[test]
    fn only_the_last_content_of_each_key_matters(
        changes in prop::collection::vec(any_change(), 0..20), times in 1..3_usize,
    ) {
        let (replica, mut applier) = replica();
        let mut last = BTreeMap::new();
        for (number, change) in &changes {
            for _ in 0..times {
                apply(&mut applier, *number, change.as_ref());
            }
            last.insert(*number, change.as_ref());
        }
        prop_assert_eq!(content(&replica), expected(last.into_values().flatten()));
        prop_assert_eq!(replica.secrets(), content(&replica).len());
    }

    #[test]
    fn the_order_of_different_keys_is_irrelevant(
        before in prop::collection::vec(any_change(), 0..8), batch in prop::collection::vec(any_change(), 0..8),
    ) {
        let batch: BTreeMap<u64, Option<KeyBuilder>> = batch.into_iter().collect();
        let [forwards, backwards] = [false, true].map(|backwards| {
            let (replica, mut applier) = replica();
            for (number, change) in &before {
                apply(&mut applier, *number, change.as_ref());
            }
            let mut batch: Vec<_> = batch.iter().collect();
            if backwards {
                batch.reverse();
            }
            for (number, change) in batch {
                apply(&mut applier, *number, change.as_ref());
            }
            content(&replica)
        });
        prop_assert_eq!(forwards, backwards);
    }
}

#[test]
fn a_secret_that_moves_to_another_key_is_kept_whichever_key_is_applied_first() {
    let (former, latter) = (numbered(1).current(digest(9)), numbered(2));
    let (given_up, taken) = (numbered(1), numbered(2).current(digest(9)));
    for changes in [[&given_up, &taken], [&taken, &given_up]] {
        let (replica, mut applier) = replica();
        for key in [&former, &latter].into_iter().chain(changes) {
            put(&mut applier, key);
        }
        assert_eq!(content(&replica), expected([&given_up, &taken]));
    }
}

#[test]
fn a_removed_key_leaves_the_secret_that_another_key_has_by_now() {
    let (replica, mut applier) = replica();
    let taken = numbered(2).current(digest(1));
    put(&mut applier, &numbered(1));
    put(&mut applier, &taken);
    applier.remove(id(1));
    assert_eq!(content(&replica), expected([&taken]));
}

#[test]
fn an_overlapping_regeneration_lets_the_old_secret_open_until_exactly_its_end() {
    let (replica, mut applier) = replica();
    put(&mut applier, &numbered(1));
    let end = now_plus(5);
    let regenerated = numbered(1).current(digest(2)).retiring(digest(1), end);
    put(&mut applier, &regenerated);
    let found = |number| replica.get(&digest(number));
    assert_eq!(found(1).unwrap().secret_end, end);
    assert_eq!(found(2).unwrap().secret_end, Timestamp::DISTANT_FUTURE);
    assert!(found(3).is_none());
}

#[test]
fn a_regeneration_without_overlap_ends_both_older_secrets() {
    let (replica, mut applier) = replica();
    put(&mut applier, &numbered(1));
    let overlapping = numbered(1).current(digest(2)).retiring(digest(1), now_plus(5));
    put(&mut applier, &overlapping);
    put(&mut applier, &numbered(1).current(digest(3)));
    let opens = [1, 2, 3].map(|number| replica.get(&digest(number)).is_some());
    assert_eq!((opens, replica.secrets()), ([false, false, true], 1));
}

#[test]
fn a_removed_key_is_forgotten_with_all_its_secrets_and_may_come_back() {
    let (replica, mut applier) = replica();
    let both = numbered(1).current(digest(2)).retiring(digest(1), now_plus(5));
    put(&mut applier, &both);
    put(&mut applier, &numbered(7));
    applier.remove(id(1));
    assert_eq!(content(&replica), expected([&numbered(7)]));
    applier.remove(id(1));
    put(&mut applier, &both);
    assert_eq!(content(&replica), expected([&numbered(7), &both]));
}

#[test]
fn retaining_some_keys_forgets_all_others() {
    let (replica, mut applier) = replica();
    for number in 1..=5 {
        put(&mut applier, &numbered(number).retiring(digest(number + 100), NOW));
    }
    applier.retain(&present([2, 4, 99]));
    let kept = [2, 4].map(|number| numbered(number).retiring(digest(number + 100), NOW));
    assert_eq!(content(&replica), expected(&kept));
    applier.retain(&present([]));
    assert_eq!(replica.secrets(), 0);
}

#[test]
fn what_cannot_be_read_becomes_a_key_that_may_do_nothing_until_it_can() {
    type Told = fn(&UnreadableRow) -> bool;
    let unreadable: [(&str, &str, Told); 12] = [
        ("No Domain\n*", "", |e| matches!(e, UnreadableRow::Domain(_))),
        ("", "", |e| matches!(e, UnreadableRow::Domain(_))),
        ("default\n* Systems!", "", |e| matches!(e, UnreadableRow::Grants(_))),
        ("default\n*\n\n\n\n\n\n\n\nall", "", |e| matches!(e, UnreadableRow::Limits(_))),
        ("default\n*\n\n\n\n\n\n\n\n\n/a/../b", "", |e| matches!(e, UnreadableRow::RouteRules(_))),
        ("default\n*\nseven", "", |e| matches!(e, UnreadableRow::Uid)),
        ("default\n*\n\n1 x", "", |e| matches!(e, UnreadableRow::Uid)),
        ("default\n*\n\n\n10.0.0.1/8", "", |e| matches!(e, UnreadableRow::Addresses(_))),
        ("default\n*\n\n\n\n10.0.0.1/8", "", |e| matches!(e, UnreadableRow::Addresses(_))),
        ("default\n*\n\n\n\n\nc\u{e9}", "", |e| matches!(e, UnreadableRow::Customers(_))),
        ("keyward\n*\n\n\n\n\n\nkeyward", "", |e| matches!(e, UnreadableRow::Delegation(_))),
        ("default\n*", "Team=7", |e| matches!(e, UnreadableRow::Labels(_))),
    ];
    for (profile, labels, told) in unreadable {
        let (replica, mut applier) = replica();
        put(&mut applier, &numbered(1));
        let broken = numbered(1)
            .current(digest(2))
            .retiring(digest(1), now_plus(5))
            .stored_profile(profile)
            .stored_labels(labels);
        let error = applier.put(&broken.row()).unwrap_err();
        assert!(told(&error), "{profile:?} {labels:?}: {error}");
        for number in [1, 2] {
            let view = replica.get(&digest(number)).unwrap();
            assert!(!view.active && !view.profile.has_grants(), "{profile:?}");
            assert!(view.profile.user.is_none() && view.labels.is_empty());
        }
        assert!(applier.put(&broken.row()).is_err(), "it stays unreadable");
        put(&mut applier, &numbered(1));
        assert_eq!(content(&replica), expected([&numbered(1)]));
    }
}

#[test]
fn a_key_that_was_used_in_this_second_stays_so_when_it_changes() {
    let (replica, mut applier) = replica();
    put(&mut applier, &numbered(1));
    assert!(replica.get(&digest(1)).unwrap().last_used.advance(NOW));
    put(&mut applier, &numbered(1).inactive());
    let unreadable = numbered(1).stored_profile("unreadable!");
    assert!(applier.put(&unreadable.row()).is_err());
    let view = replica.get(&digest(1)).unwrap();
    assert!(!view.last_used.advance(NOW));
    assert!(view.last_used.advance(now_plus(1_000_000)));
}

#[test]
fn keys_with_the_same_profile_and_labels_share_them() {
    let (replica, mut applier) = replica();
    for number in [1, 2] {
        let key = numbered(number).grants(&["systems"]).stored_labels("team=7");
        put(&mut applier, &key);
    }
    put(&mut applier, &numbered(3));
    let [one, two, other] = [1, 2, 3].map(|number| replica.get(&digest(number)).unwrap());
    assert!(Arc::ptr_eq(&one.profile, &two.profile) && Arc::ptr_eq(&one.labels, &two.labels));
    assert!(!Arc::ptr_eq(&one.profile, &other.profile));
}

#[test]
fn what_no_key_uses_any_more_is_swept_before_it_is_more_than_what_is_in_use() {
    let mut shared = Shared::default();
    let text = |number: usize| format!("production\ndefault\ng{number}");
    let used: Vec<_> = (0..1500).map(|n| shared.profile(&text(n)).unwrap()).collect();
    let labels = shared.labels("team=7").unwrap();
    for round in 0..10 {
        for n in 0..400 {
            drop(shared.profile(&text(10_000 + round * 400 + n)).unwrap());
            drop(shared.labels(&format!("n={round}-{n}")).unwrap());
        }
        shared.sweep();
        let kept = shared.profiles.len() + shared.labels.len();
        assert!(kept < 2 * (used.len() + 1), "{kept} after round {round}");
    }
    for (n, profile) in used.iter().enumerate() {
        assert!(Arc::ptr_eq(profile, &shared.profile(&text(n)).unwrap()));
    }
    assert!(Arc::ptr_eq(&labels, &shared.labels("team=7").unwrap()));
}

#[test]
fn a_revision_that_is_reached_sweeps_what_removed_keys_had() {
    let (replica, mut applier) = replica();
    for number in 0..3000 {
        let grant = format!("g{number}");
        put(&mut applier, &numbered(number).grants(&[&grant]));
    }
    applier.retain(&present([1]));
    applier.reached(1, Some(BootTime::from_nanos(1)));
    // a reader may hold a removed view for a while, so some of what it shares may stay
    assert!(applier.shared.profiles.len() < 1500);
    let kept = &replica.get(&digest(1)).unwrap().profile;
    assert!(applier.shared.profiles.values().any(|profile| Arc::ptr_eq(profile, kept)));
}

#[test]
fn a_replica_says_what_it_knows_or_why_it_may_not_answer() {
    const fn second(number: u64) -> BootTime {
        BootTime::from_nanos(number * 1_000_000_000)
    }
    let (replica, mut applier) = replica();
    let told = |now, revision_min| {
        let knowledge = replica.knowledge(now, revision_min);
        knowledge.map(|knowledge| (knowledge.revision, knowledge.age))
    };
    assert_eq!(told(second(100), 0), Err(NotReady::Loading));
    put(&mut applier, &numbered(1));
    assert_eq!(told(second(100), 0), Err(NotReady::Loading));
    applier.reached(7, Some(second(100)));
    assert_eq!(replica.revision(), 7);
    assert_eq!(told(second(103), 7), Ok((7, Duration::from_secs(3))));
    assert_eq!(told(second(110), 0), Ok((7, Duration::from_secs(10))));
    let behind = NotReady::Behind { reached: 7 };
    assert_eq!(told(second(103), 8), Err(behind));
    let age = Duration::from_nanos(10_000_000_001);
    let late = BootTime::from_nanos(110_000_000_001);
    assert_eq!(told(late, 0), Err(NotReady::Stale { age }));
    assert_eq!(told(late, 8), Err(NotReady::Stale { age }));
    applier.reached(8, Some(second(110)));
    assert_eq!(told(late, 8), Ok((8, Duration::from_nanos(1))));
}

/// The writer goes to and fro between contents that all have the secret 1; readers that look it up
/// must find it each time, in one of these contents and no mixture.
#[test]
fn a_key_that_is_being_replaced_is_never_unknown_and_never_half_replaced() {
    const REPLACEMENTS: usize = 20_000;
    let contents = [
        numbered(1).grants(&["systems"]).stored_labels("version=0"),
        numbered(1)
            .current(digest(2))
            .retiring(digest(1), now_plus(5))
            .grants(&["users"])
            .stored_labels("version=1"),
        numbered(1).current(digest(1)).retiring(digest(3), NOW),
        numbered(1).stored_profile("unreadable!"),
    ];
    let readable = contents[..3].iter().flat_map(KeyBuilder::views);
    let mut whole: HashSet<String> = readable.map(|view| facts(&view)).collect();
    let closed = numbered(1).environment("").stored_profile("default\n").inactive();
    whole.insert(facts(&closed.build()));
    let (replica, mut applier) = replica();
    put(&mut applier, &contents[0]);
    let over = AtomicBool::new(false);
    let look_up = || {
        let mut seen = HashSet::new();
        while !over.load(Relaxed) {
            let view = replica.get(&digest(1)).expect("never unknown");
            assert_eq!(view.digest, digest(1));
            seen.insert(facts(&view));
        }
        assert!(seen.is_subset(&whole));
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(look_up), scope.spawn(look_up)];
        for content in contents.iter().cycle().take(REPLACEMENTS) {
            drop(applier.put(&content.row()));
            if readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break; // it panicked: the scope tells
            }
        }
        over.store(true, Relaxed);
    });
}
