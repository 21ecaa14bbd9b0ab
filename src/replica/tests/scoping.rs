//! What keys share: domains, groups and users, which change under all of their keys at once.

use super::*;
use crate::model::{permission::Permission, route::Path, user::UserKind};

pub(super) fn put_group(applier: &mut Applier, uid: i64, permissions: &str) {
    applier.put_group(&GroupRow { uid, name: "staff", permissions }).unwrap();
}

pub(super) fn put_user(applier: &mut Applier, uid: i64, enabled: bool, may: &str, groups: &str) {
    applier.put_user(&UserRow { enabled, groups, ..user_row(uid, may) }).unwrap();
}

fn user_row(uid: i64, permissions: &str) -> UserRow<'_> {
    let (id, kind) = ("alice", UserKind::Person);
    UserRow { uid, domain: "default", id, kind, enabled: true, permissions, groups: "", limits: "" }
}

/// The profile of a key that is let through so far; none if the key, its user or its domain is not
/// live.
fn live_profile(replica: &Replica, number: u64) -> Option<Arc<Profile>> {
    let key = replica.get(&digest(number)).filter(|key| key.active)?;
    let profile = Arc::clone(&key.profile);
    let user = profile.user.as_ref().is_none_or(|user| user.is_enabled());
    (user && profile.domain.is_enabled()).then_some(profile)
}

pub(super) fn may(replica: &Replica, number: u64, needed: &str) -> bool {
    let needed = Permission::parse(needed).unwrap();
    live_profile(replica, number).is_some_and(|profile| profile.permits(needed))
}

pub(super) fn may_go(replica: &Replica, number: u64, route: &str) -> bool {
    let path = Path::parse(route).unwrap();
    live_profile(replica, number).is_some_and(|profile| {
        profile.domain.route_needs("GET", path, |needed| profile.permits(needed))
    })
}

/// A key with nothing of its own, but for these numbers of a user and of groups.
fn of(number: u64, user: &str, groups: &str) -> KeyBuilder {
    numbered(number).grants(&[]).numbers(user, groups)
}

fn settle(applier: &mut Applier) {
    applier.reached(1, None);
}

#[test]
fn an_edit_of_a_group_is_seen_through_keys_that_are_not_put_again() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    for number in [1, 2] {
        put(&mut applier, &of(number, "", "1"));
    }
    settle(&mut applier);
    let profile = |number| Arc::clone(&replica.get(&digest(number)).unwrap().profile);
    let before = profile(1);
    assert!(Arc::ptr_eq(&before, &profile(2)));
    for number in [1, 2] {
        assert!(may(&replica, number, "systems") && !may(&replica, number, "users"));
    }
    put_group(&mut applier, 1, "users");
    settle(&mut applier);
    for number in [1, 2] {
        assert!(may(&replica, number, "users") && !may(&replica, number, "systems"));
        assert!(Arc::ptr_eq(&before, &profile(number)));
    }
    put(&mut applier, &of(3, "", "1"));
    assert!(Arc::ptr_eq(&before, &profile(3)));
}

#[test]
fn an_edit_of_a_user_or_of_its_group_is_seen_through_its_keys() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    put_user(&mut applier, 7, true, "", "1");
    put(&mut applier, &of(1, "7", ""));
    settle(&mut applier);
    assert!(may(&replica, 1, "systems"));
    put_group(&mut applier, 1, "users");
    settle(&mut applier);
    assert!(may(&replica, 1, "users") && !may(&replica, 1, "systems"));
    put_user(&mut applier, 7, true, "zones", "");
    settle(&mut applier);
    assert!(may(&replica, 1, "zones") && !may(&replica, 1, "users"));
    put_user(&mut applier, 7, false, "zones", "");
    settle(&mut applier);
    assert!(!may(&replica, 1, "zones"));
}

#[test]
fn an_edit_of_a_domain_is_seen_through_its_keys() {
    let (replica, mut applier) = replica();
    put(&mut applier, &numbered(1).grants(&["systems"]));
    assert!(may(&replica, 1, "systems") && !may_go(&replica, 1, "/api"));
    put_domain(&mut applier, true, "* /api systems.read");
    settle(&mut applier);
    assert!(may_go(&replica, 1, "/api"));
    put_domain(&mut applier, true, "* /api users.read");
    settle(&mut applier);
    assert!(!may_go(&replica, 1, "/api") && may(&replica, 1, "systems"));
    put_domain(&mut applier, false, "* /api systems.read");
    settle(&mut applier);
    assert!(!may_go(&replica, 1, "/api") && !may(&replica, 1, "systems"));
}

#[test]
fn keys_that_come_before_their_domain_user_and_groups_are_denied_until_these_come() {
    let (replica, mut applier) = Replica::new(Duration::from_secs(10));
    put(&mut applier, &of(1, "", "1"));
    put(&mut applier, &of(2, "7", ""));
    put(&mut applier, &of(3, "7", "1"));
    settle(&mut applier);
    let all = || [1, 2, 3].map(|number| may(&replica, number, "systems"));
    assert_eq!(all(), [false; 3]);
    put_domain(&mut applier, true, "");
    settle(&mut applier);
    assert_eq!(all(), [false; 3]);
    put_group(&mut applier, 1, "systems");
    settle(&mut applier);
    assert_eq!(all(), [true, false, false]);
    put_user(&mut applier, 7, true, "systems.read", "");
    settle(&mut applier);
    assert_eq!(all(), [true, false, false]);
    assert_eq!([1, 2, 3].map(|number| may(&replica, number, "systems.read")), [true; 3]);
}

#[test]
fn a_removed_group_gives_nothing_but_its_keys_still_have_something_of_their_own() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    put_user(&mut applier, 7, true, "*", "");
    put(&mut applier, &of(1, "", "1"));
    put(&mut applier, &of(2, "7", "1"));
    settle(&mut applier);
    assert!(may(&replica, 1, "systems") && may(&replica, 2, "systems"));
    applier.remove_group(1);
    settle(&mut applier);
    assert!(!may(&replica, 1, "systems") && !may(&replica, 2, "systems"));
    assert!(replica.get(&digest(2)).unwrap().profile.has_grants());
    applier.remove_group(1);
    applier.remove_group(99);
    settle(&mut applier);
    assert!(!may(&replica, 2, "systems"));
}

#[test]
fn a_removed_user_denies_all_its_keys_until_it_comes_back() {
    let (replica, mut applier) = replica();
    put_user(&mut applier, 7, true, "*", "");
    put(&mut applier, &of(1, "7", ""));
    put(&mut applier, &numbered(2).numbers("7", ""));
    settle(&mut applier);
    let all = || [1, 2].map(|number| may(&replica, number, "systems"));
    assert_eq!(all(), [true; 2]);
    applier.remove_user(7);
    applier.remove_user(99);
    settle(&mut applier);
    assert_eq!(all(), [false; 2]);
    let profile = Arc::clone(&replica.get(&digest(1)).unwrap().profile);
    assert!(!profile.user.as_ref().unwrap().is_enabled(), "not even to say who it is");
    put_user(&mut applier, 7, true, "*", "");
    settle(&mut applier);
    assert_eq!(all(), [true; 2]);
}

#[test]
fn what_cannot_be_read_of_a_domain_group_or_user_closes_it_until_it_can() {
    type Told = fn(&UnreadableRow) -> bool;
    type Unreadable = fn(&mut Applier) -> Result<(), UnreadableRow>;
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    put_user(&mut applier, 7, true, "*", "");
    put(&mut applier, &of(1, "7", "1"));
    settle(&mut applier);
    assert!(may(&replica, 1, "systems"));
    let unreadable: [(Unreadable, Told); 4] = [
        (
            |applier| {
                let route_map = "GET /a//b systems";
                applier.put_domain(&DomainRow { route_map, ..domain_row("default") })
            },
            |error| matches!(error, UnreadableRow::RouteMap(_)),
        ),
        (
            |applier| {
                let permissions = "systems Users!";
                applier.put_group(&GroupRow { uid: 1, name: "staff", permissions })
            },
            |error| matches!(error, UnreadableRow::Grants(_)),
        ),
        (
            |applier| applier.put_user(&user_row(7, "* Users!")),
            |error| matches!(error, UnreadableRow::Grants(_)),
        ),
        (
            |applier| applier.put_user(&UserRow { groups: "1 x", ..user_row(7, "*") }),
            |error| matches!(error, UnreadableRow::Uid),
        ),
    ];
    for (at, (put_unreadable, told)) in unreadable.into_iter().enumerate() {
        let error = put_unreadable(&mut applier).unwrap_err();
        assert!(told(&error), "{at}: {error}");
        assert!(!may(&replica, 1, "systems"), "{at}");
        settle(&mut applier);
        assert!(!may(&replica, 1, "systems"), "{at}");
        put_domain(&mut applier, true, "");
        put_group(&mut applier, 1, "systems");
        put_user(&mut applier, 7, true, "*", "");
        settle(&mut applier);
        assert!(may(&replica, 1, "systems"), "{at}");
    }
    let unnamed = domain_row("No Domain");
    assert!(matches!(applier.put_domain(&unnamed), Err(UnreadableRow::Domain(_))));
}

#[test]
fn a_user_that_cannot_be_read_is_disabled() {
    let (replica, mut applier) = replica();
    put_user(&mut applier, 7, true, "*", "");
    put(&mut applier, &of(1, "7", ""));
    assert!(applier.put_user(&user_row(7, "Users!")).is_err());
    settle(&mut applier);
    let profile = Arc::clone(&replica.get(&digest(1)).unwrap().profile);
    assert!(!profile.user.as_ref().unwrap().is_enabled());
}

#[test]
fn until_a_revision_is_reached_only_what_both_contents_permit_is_permitted() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems users");
    put(&mut applier, &of(1, "", "1"));
    settle(&mut applier);
    put_group(&mut applier, 1, "users zones");
    let all = || ["systems", "users", "zones"].map(|needed| may(&replica, 1, needed));
    assert_eq!(all(), [false, true, false]);
    put_group(&mut applier, 1, "zones");
    assert_eq!(all(), [false, false, false], "the content that was reached still counts");
    put_group(&mut applier, 1, "users zones");
    assert_eq!(all(), [false, true, false]);
    settle(&mut applier);
    assert_eq!(all(), [false, true, true]);
    settle(&mut applier);
    assert_eq!(all(), [false, true, true]);
}

#[test]
fn what_is_gone_after_a_load_is_closed_and_works_again_when_it_comes_back() {
    let (replica, mut applier) = replica();
    let load = |applier: &mut Applier| {
        put_domain(applier, true, "");
        put_group(applier, 1, "systems");
        put_user(applier, 7, true, "*", "");
        put(applier, &of(1, "", "1"));
        put(applier, &of(2, "7", ""));
        put(applier, &numbered(3));
        settle(applier);
    };
    let all = || [1, 2, 3].map(|number| may(&replica, number, "systems"));
    load(&mut applier);
    assert_eq!(all(), [true; 3]);
    let profiles =
        || [1, 2, 3].map(|number| Arc::clone(&replica.get(&digest(number)).unwrap().profile));
    let before = profiles();
    let all_of_it =
        || Present { groups: HashSet::from([1]), users: HashSet::from([7]), ..present([1, 2, 3]) };
    let without: [(Present, [bool; 3]); 3] = [
        (Present { groups: HashSet::new(), ..all_of_it() }, [false, true, true]),
        (Present { users: HashSet::new(), ..all_of_it() }, [true, false, true]),
        (Present { domains: HashSet::new(), ..all_of_it() }, [false; 3]),
    ];
    for (present, expected) in without {
        applier.retain(&present);
        assert_eq!(all(), expected, "{present:?}");
        settle(&mut applier);
        assert_eq!(all(), expected, "{present:?}");
        load(&mut applier);
        assert_eq!(all(), [true; 3]);
        for (before, now) in before.iter().zip(profiles()) {
            assert!(Arc::ptr_eq(before, &now), "through the same profile");
        }
    }
    applier.retain(&all_of_it());
    settle(&mut applier);
    assert_eq!(all(), [true; 3]);
}

#[test]
fn what_is_gone_is_closed_before_a_key_that_is_loaded_could_use_it() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    settle(&mut applier);
    applier.retain_shared(&present([1]));
    put(&mut applier, &of(1, "", "1"));
    assert!(!may(&replica, 1, "systems"));
}

/// Enough profiles that nobody uses for a sweep.
fn fill(applier: &mut Applier) {
    for number in 0..3000 {
        drop(applier.shared.profile(&format!("production\ndefault\nunused{number}")).unwrap());
    }
}

#[test]
fn a_sweep_keeps_groups_and_users_that_there_are_and_those_that_keys_name() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    put_group(&mut applier, 2, "users");
    put_user(&mut applier, 7, true, "zones", "2");
    put(&mut applier, &of(1, "", "3"));
    put(&mut applier, &of(2, "8", ""));
    fill(&mut applier);
    settle(&mut applier);
    assert!(applier.shared.profiles.len() < 10, "it was swept");
    // only now have these keys, and only now come the group and the user that others waited for
    put(&mut applier, &of(3, "", "1"));
    put(&mut applier, &of(4, "7", ""));
    put_group(&mut applier, 3, "systems");
    put_user(&mut applier, 8, true, "systems", "");
    settle(&mut applier);
    let all = [1, 2, 3].map(|number| may(&replica, number, "systems"));
    assert_eq!(all, [true; 3]);
    assert!(may(&replica, 4, "zones") && may(&replica, 4, "users"));
    put_group(&mut applier, 2, "");
    settle(&mut applier);
    assert!(!may(&replica, 4, "users"), "the user has the group that is edited");
}

#[test]
fn a_sweep_forgets_groups_and_users_that_are_gone_and_that_no_key_names() {
    let (_replica, mut applier) = replica();
    put_group(&mut applier, 1, "systems");
    put_user(&mut applier, 7, true, "zones", "1");
    drop(applier.shared.profile("production\ndefault\n\n8\n2").unwrap());
    settle(&mut applier);
    applier.remove_group(1);
    applier.remove_user(7);
    assert_eq!(applier.shared.known(), (2, 2));
    fill(&mut applier);
    settle(&mut applier);
    assert_eq!(applier.shared.known(), (0, 0));
}

#[test]
fn a_replica_is_empty_until_there_is_anything() {
    let empty = || Replica::new(Duration::from_secs(10)).1;
    assert!(empty().is_empty());
    let puts: [fn(&mut Applier); 4] = [
        |applier| put_domain(applier, true, ""),
        |applier| put_group(applier, 1, ""),
        |applier| put_user(applier, 7, true, "", ""),
        |applier| put(applier, &numbered(1)),
    ];
    for put in puts {
        let mut applier = empty();
        put(&mut applier);
        assert!(!applier.is_empty());
    }
}

#[test]
fn who_reads_while_a_change_is_completed_can_tell() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "a");
    let before = replica.settlings();
    put_group(&mut applier, 1, "b");
    assert_eq!(replica.settlings(), before);
    settle(&mut applier);
    assert_ne!(replica.settlings(), before);
}

#[test]
fn in_another_history_no_revision_is_reached_and_what_was_changing_is_not_changed() {
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "a");
    put(&mut applier, &of(1, "", "1"));
    applier.reached(7, None);
    put_group(&mut applier, 1, "b");
    applier.restart();
    assert_eq!(replica.revision(), 0);
    assert!(!may(&replica, 1, "a") && !may(&replica, 1, "b"));
    put_group(&mut applier, 1, "a");
    applier.reached(1, None);
    assert!(replica.revision() == 1 && may(&replica, 1, "a"));
}

/// The writer goes to and fro between contents of one group; whoever reads it finds one of them.
#[test]
fn a_group_that_changes_is_never_seen_half_changed() {
    const CHANGES: usize = 20_000;
    let (replica, mut applier) = replica();
    put_group(&mut applier, 1, "a b");
    put_group(&mut applier, 2, "z");
    put(&mut applier, &of(1, "", "1 2"));
    settle(&mut applier);
    let over = AtomicBool::new(false);
    let look_up = || {
        let profile = Arc::clone(&replica.get(&digest(1)).unwrap().profile);
        let mut seen = HashSet::new();
        while !over.load(Relaxed) {
            let facts = profile.groups[0].facts.latest();
            let content: Vec<&str> = facts.grants.iter().collect();
            seen.insert(content.join(" "));
            assert!(may(&replica, 1, "z"), "what does not change stays permitted");
            assert!(may(&replica, 1, "b"), "what all contents give stays permitted");
            assert!(!may(&replica, 1, "d"), "what no content gives is never permitted");
        }
        assert!(seen.is_subset(&HashSet::from(["a b".into(), "b c".into()])), "{seen:?}");
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(look_up), scope.spawn(look_up)];
        for content in ["b c", "a b"].into_iter().cycle().take(CHANGES) {
            put_group(&mut applier, 1, content);
            settle(&mut applier);
            if readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break; // it panicked: the scope tells
            }
        }
        over.store(true, Relaxed);
    });
}
