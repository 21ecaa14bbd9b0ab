//! The whole way of a question, from the text of a key to the note of its use.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    decide::{Access, Ask, Plane},
    limiter::{Sharing, failures::Failures},
    model::{
        fixture::{
            KeyBuilder, NOW, NOW_ON_BOTH_CLOCKS, brand, id, key, now_plus, packed, pepper, token,
        },
        permission::Permission,
        secret::{Pepper, PresentedKey, Token},
        shared::{DomainRow, GroupRow, UserRow},
        time::BootTime,
        usage::LastUse,
        user::UserKind,
    },
    replica::Applier,
};

mod limits;
mod peppers;
mod together;

const TERMS: Terms = Terms {
    now: NOW_ON_BOTH_CLOCKS,
    revision_min: 0,
    record: Record::Use,
    explain: Explain::No,
    source: None,
    charge: Charge::ONE,
};
const DATA: Plane<'_> = Plane::Data("production");

fn question(plane: Plane<'_>) -> Question<'_> {
    let access = Access {
        customer: "",
        route: "/api/systems",
        method: "GET",
        permission: Some(Permission::parse("systems.read").unwrap()),
    };
    Question { plane, client: None, ask: Ask::Access(access) }
}

/// A replica that is loaded, with these keys.
fn hot(keys: &[KeyBuilder]) -> (Hot, Applier) {
    let (replica, mut applier) = Replica::new(Duration::from_secs(10));
    for name in ["default", "keyward"] {
        applier.put_domain(&DomainRow { name, enabled: true, route_map: "", limits: "" }).unwrap();
    }
    for key in keys {
        applier.put(&key.row()).unwrap();
    }
    applier.reached(7, Some(NOW_ON_BOTH_CLOCKS.boot));
    (hot_with(replica), applier)
}

/// What decides by a replica, with local limits and no limit on failed tries.
fn hot_with(replica: Arc<Replica>) -> Hot {
    let failures = Failures::new(None, None);
    Hot {
        replica,
        ledger: Arc::default(),
        peppers: Arc::new(Peppers::single(pepper())),
        upgrades: Arc::default(),
        brand: brand(),
        limiter: Arc::new(Limiter::new(Sharing::Local, failures, 1)),
    }
}

fn opened_by(token: &Token) -> KeyBuilder {
    key().current(token.digest(&pepper()))
}

fn ask(hot: &Hot, presented: &str, plane: Plane<'_>) -> Outcome {
    authorize(hot, presented, &question(plane), TERMS).unwrap()
}

/// Denied, and nothing told or noted of any key.
fn assert_tells_nothing(hot: &Hot, outcome: &Outcome, reason: Reason) {
    assert_eq!(outcome.decision, Decision::Deny(reason));
    assert!(outcome.key.is_none());
    assert_eq!(hot.ledger.drain(), []);
}

#[test]
fn a_good_key_is_allowed_told_and_noted() {
    let token = token();
    let key = opened_by(&token);
    let (hot, _applier) = hot(std::slice::from_ref(&key));
    let outcome = ask(&hot, token.reveal(), DATA);
    let its_id = key.build().id;
    assert_eq!(outcome.decision, Decision::Allow);
    assert_eq!(outcome.key.map(|key| key.id), Some(its_id));
    assert_eq!(outcome.knowledge.revision, 7);
    assert_eq!(outcome.knowledge.age, Duration::ZERO);
    let note = LastUse { key: its_id, time: NOW.floor_to_second(), address: packed("") };
    assert_eq!(hot.ledger.drain(), [note]);
    let now = Now { wall: now_plus(1_000_000), ..NOW_ON_BOTH_CLOCKS };
    let from_there = Question { client: packed("192.0.2.7").address(), ..question(DATA) };
    authorize(&hot, token.reveal(), &from_there, Terms { now, ..TERMS }).unwrap();
    let note = LastUse { time: now.wall.floor_to_second(), address: packed("192.0.2.7"), ..note };
    assert_eq!(hot.ledger.drain(), [note], "with the client's address");
}

#[test]
fn an_imported_key_of_any_form_is_allowed() {
    let presented = "sk_live_ünusual key";
    let theirs = Brand::parse("other").unwrap();
    let digest = PresentedKey::parse(presented, &theirs).unwrap().digest(&pepper());
    let (hot, _applier) = hot(&[key().current(digest)]);
    assert_eq!(ask(&hot, presented, DATA).decision, Decision::Allow);
}

#[test]
fn an_admin_key_is_allowed_on_its_own_plane() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token).of_admins()]);
    let outcome = ask(&hot, token.reveal(), Plane::Admin);
    assert_eq!(outcome.decision, Decision::Allow);
    assert!(outcome.key.is_some());
}

#[test]
fn no_key_is_missing_a_garbled_one_malformed_and_another_one_unknown() {
    let good = token();
    let (hot, _applier) = hot(&[opened_by(&good)]);
    let garbled = format!("{}x", good.reveal());
    for (presented, reason) in [
        ("", Reason::KeyMissing),
        (garbled.as_str(), Reason::KeyMalformed),
        (&"x".repeat(513), Reason::KeyMalformed),
        (token().reveal(), Reason::KeyUnknown),
        (" ", Reason::KeyUnknown),
        ("sk_live_x", Reason::KeyUnknown),
    ] {
        assert_tells_nothing(&hot, &ask(&hot, presented, DATA), reason);
    }
}

#[test]
fn a_key_is_unknown_under_another_pepper() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let peppers = Arc::new(Peppers::single(Pepper::parse(&[8; 32]).unwrap()));
    let hot = Hot { peppers, ..hot };
    let outcome = ask(&hot, token.reveal(), DATA);
    assert_tells_nothing(&hot, &outcome, Reason::KeyUnknown);
}

#[test]
fn a_retiring_secret_opens_until_its_end_and_then_tells_nothing() {
    let (old, new) = (token(), token());
    for (end, decision) in [
        (now_plus(1), Decision::Allow),
        (NOW, Decision::Deny(Reason::KeyUnknown)),
        (now_plus(-1), Decision::Deny(Reason::KeyUnknown)),
    ] {
        let (hot, _applier) = hot(&[opened_by(&new).retiring(old.digest(&pepper()), end)]);
        let outcome = ask(&hot, old.reveal(), DATA);
        assert_eq!(outcome.decision, decision);
        assert_eq!(outcome.key.is_some(), decision == Decision::Allow);
        assert_eq!(hot.ledger.drain().len(), usize::from(decision == Decision::Allow));
        assert_eq!(ask(&hot, new.reveal(), DATA).decision, Decision::Allow);
    }
}

#[test]
fn a_retired_secret_of_a_stopped_key_tells_nothing() {
    let (old, new) = (token(), token());
    let key = opened_by(&new).retiring(old.digest(&pepper()), NOW);
    let (hot, _applier) = hot(&[key.inactive()]);
    let outcome = ask(&hot, old.reveal(), DATA);
    assert_tells_nothing(&hot, &outcome, Reason::KeyUnknown);
}

#[test]
fn a_key_of_the_other_plane_tells_nothing_in_whatever_state() {
    let (ordinary, admin) = (token(), token());
    let states: [fn(KeyBuilder) -> KeyBuilder; 3] =
        [|key| key, KeyBuilder::inactive, KeyBuilder::expired];
    for state in states {
        let admin_key = opened_by(&admin).of_admins().id(id(2));
        let (hot, _applier) = hot(&[state(opened_by(&ordinary)), state(admin_key)]);
        for (token, plane) in [(&ordinary, Plane::Admin), (&admin, DATA)] {
            let outcome = ask(&hot, token.reveal(), plane);
            assert_tells_nothing(&hot, &outcome, Reason::KeyUnknown);
        }
    }
}

#[test]
fn a_denied_key_is_told_but_its_use_is_not_noted() {
    let token = token();
    for (key, reason) in [
        (opened_by(&token).inactive(), Reason::KeyInactive),
        (opened_by(&token).expired(), Reason::KeyExpired),
        (opened_by(&token).not_yet_valid(), Reason::KeyNotYetValid),
        (opened_by(&token).numbers("7", ""), Reason::UserDisabled),
        (opened_by(&token).environment("staging"), Reason::EnvironmentMismatch),
        (opened_by(&token).allowed(&["192.0.2.0/24"]), Reason::AddressDenied),
        (opened_by(&token).customers(&["c-1"]), Reason::CustomerDenied),
        (opened_by(&token).route_rules(&["/other"]), Reason::RouteDenied),
        (opened_by(&token).grants(&["users"]), Reason::PermissionDenied),
    ] {
        let (hot, _applier) = hot(&[key]);
        let outcome = ask(&hot, token.reveal(), DATA);
        assert_eq!(outcome.decision, Decision::Deny(reason));
        assert!(outcome.key.is_some(), "{reason:?}");
        assert_eq!(hot.ledger.drain(), []);
    }
}

#[test]
fn a_key_of_a_domain_that_is_not_known_or_disabled_is_told_and_denied() {
    let token = token();
    let (hot, mut applier) = hot(&[opened_by(&token).stored_profile("other\n*")]);
    let disabled = DomainRow { name: "other", enabled: false, route_map: "", limits: "" };
    for _ in 0..2 {
        let outcome = ask(&hot, token.reveal(), DATA);
        assert_eq!(outcome.decision, Decision::Deny(Reason::DomainDisabled));
        assert!(outcome.key.is_some());
        applier.put_domain(&disabled).unwrap();
        applier.reached(8, None);
    }
    applier.put_domain(&DomainRow { enabled: true, ..disabled }).unwrap();
    applier.reached(9, None);
    assert_eq!(ask(&hot, token.reveal(), DATA).decision, Decision::Allow);
}

#[test]
fn a_holder_is_told_of_its_key_in_any_domain_and_environment() {
    let token = token();
    let question = Question { ask: Ask::Authentication, ..question(Plane::Holder) };
    for key in [opened_by(&token).environment("staging"), opened_by(&token).of_admins()] {
        let (hot, _applier) = hot(&[key]);
        let outcome = authorize(&hot, token.reveal(), &question, TERMS).unwrap();
        assert_eq!(outcome.decision, Decision::Allow);
        assert!(outcome.key.is_some());
    }
}

#[test]
fn what_is_explained_is_what_was_decided_and_only_if_it_is_asked_for() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token).grants(&["users"])]);
    let terms = Terms { explain: Explain::Yes, ..TERMS };
    for (presented, reason) in
        [("", Reason::KeyMissing), (token.reveal(), Reason::PermissionDenied)]
    {
        assert!(ask(&hot, presented, DATA).explanation.is_none());
        let outcome = authorize(&hot, presented, &question(DATA), terms).unwrap();
        assert_eq!(outcome.decision, Decision::Deny(reason));
        assert_eq!(outcome.explanation.unwrap().decision, outcome.decision);
    }
}

#[test]
fn a_mere_check_is_answered_but_not_noted() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let record = Record::Nothing;
    let terms = Terms { record, ..TERMS };
    let checked = authorize(&hot, token.reveal(), &question(DATA), terms).unwrap();
    assert_eq!(checked.decision, Decision::Allow);
    assert!(checked.key.is_some());
    assert_eq!(hot.ledger.drain(), []);
    // nor has it taken the place of a real use in the same second
    ask(&hot, token.reveal(), DATA);
    assert_eq!(hot.ledger.drain().len(), 1);
}

#[test]
fn who_cannot_know_never_calls_a_key_bad() {
    let token = token();
    let nothing_wanted = question(DATA);
    let (loaded, _applier) = hot(&[opened_by(&token)]);
    let (loading, _its_applier) = Replica::new(Duration::from_secs(10));
    let late = BootTime::from_nanos(NOW_ON_BOTH_CLOCKS.boot.nanos() + 10_000_000_001);
    let now = Now { boot: late, ..NOW_ON_BOTH_CLOCKS };
    let age = Duration::from_nanos(10_000_000_001);
    for presented in ["", "kw_garbled", "sk_unknown", token.reveal()] {
        let behind = Terms { revision_min: 8, ..TERMS };
        let told = authorize(&loaded, presented, &nothing_wanted, behind).unwrap_err();
        assert_eq!(told, NotReady::Behind { reached: 7 });
        let told = authorize(&loaded, presented, &nothing_wanted, Terms { now, ..TERMS });
        assert_eq!(told.unwrap_err(), NotReady::Stale { age });
        let empty = hot_with(Arc::clone(&loading));
        let told = authorize(&empty, presented, &nothing_wanted, TERMS).unwrap_err();
        assert_eq!(told, NotReady::Loading);
    }
    assert_eq!(loaded.ledger.drain(), []);
}

#[test]
fn a_change_that_is_applied_counts_from_the_next_question_on() {
    let token = token();
    let key = opened_by(&token);
    let (hot, mut applier) = hot(std::slice::from_ref(&key));
    assert_eq!(ask(&hot, token.reveal(), DATA).decision, Decision::Allow);
    applier.put(&key.clone().inactive().row()).unwrap();
    let outcome = ask(&hot, token.reveal(), DATA);
    assert_eq!(outcome.decision, Decision::Deny(Reason::KeyInactive));
    applier.remove(key.build().id);
    let outcome = ask(&hot, token.reveal(), DATA);
    assert_eq!(outcome.decision, Decision::Deny(Reason::KeyUnknown));
}

/// In neither state may the key do anything: what its user may, its group does not give. A decision
/// that takes the user of one state and the group of the other would allow it.
#[test]
fn a_decision_that_changes_overtake_is_made_with_one_state_alone() {
    const CHANGES: usize = 60_000;
    let token = token();
    let (hot, mut applier) = hot(&[opened_by(&token).grants(&[]).numbers("7", "1")]);
    let alice = UserRow {
        uid: 7,
        domain: "default",
        id: "alice",
        kind: UserKind::Person,
        enabled: true,
        permissions: "",
        groups: "",
        limits: "",
    };
    let mut change = |group: &str, user: &str| {
        applier.put_group(&GroupRow { uid: 1, name: "staff", permissions: group }).unwrap();
        applier.put_user(&UserRow { permissions: user, ..alice }).unwrap();
        applier.reached(8, None);
    };
    change("users", "systems");
    let over = AtomicBool::new(false);
    let decide = || {
        while !over.load(Relaxed) {
            let outcome = ask(&hot, token.reveal(), DATA);
            assert_eq!(outcome.decision, Decision::Deny(Reason::PermissionDenied));
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(decide), scope.spawn(decide)];
        for [group, user] in
            [["systems", "users"], ["users", "systems"]].into_iter().cycle().take(CHANGES)
        {
            change(group, user);
            if readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break; // it panicked: the scope tells
            }
        }
        over.store(true, Relaxed);
    });
}

/// Any instant at which a key without an end still works.
fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(0), Just(i64::MAX - 1), i64::MIN..i64::MAX]
}

/// Any text, also with our brand and long ones.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![".*", "(kw_|kw_prod_|kw__)[0-9A-Za-z_]{0,50}", "\\PC{500,600}"]
}

proptest! {
    #[test]
    fn whatever_comes_to_the_door_gets_an_answer_and_is_not_let_in(
        presented in texts(), environment in ".*", route in "(/.*)?", method in ".*", customer in ".*", now in instants(), plane in 0..3_usize,
    ) {
        let (hot, _applier) = hot(&[opened_by(&token())]);
        let question = Question {
            plane: [Plane::Data(&environment), Plane::Admin, Plane::Holder][plane],
            client: None,
            ask: Ask::Access(Access { customer: &customer, route: &route, method: &method, permission: None }),
        };
        let wall = Timestamp::from_micros(now);
        let now = Now { wall, ..NOW_ON_BOTH_CLOCKS };
        let outcome = authorize(&hot, &*presented, &question, Terms { now, ..TERMS }).unwrap();
        prop_assert_ne!(outcome.decision, Decision::Allow);
        prop_assert!(outcome.key.is_none() && hot.ledger.drain().is_empty());
    }

    #[test]
    fn a_good_key_gets_an_answer_at_any_time_for_whatever_it_asks(
        environment in "production|.*", route in "(/.*)?", method in ".*", customer in ".*", needed in "[a-z.*]{0,9}", now in instants(),
    ) {
        let token = token();
        let (hot, _applier) = hot(&[opened_by(&token)]);
        let permission = Permission::parse(&needed).ok();
        let question = Question {
            plane: Plane::Data(&environment),
            client: None,
            ask: Ask::Access(Access { customer: &customer, route: &route, method: &method, permission }),
        };
        let wall = Timestamp::from_micros(now);
        let now = Now { wall, ..NOW_ON_BOTH_CLOCKS };
        let outcome = authorize(&hot, token.reveal(), &question, Terms { now, ..TERMS }).unwrap();
        let good = environment == "production" && permission.is_some();
        prop_assert_eq!(outcome.decision == Decision::Allow, good);
    }
}

#[test]
fn a_limit_denies_what_is_beyond_it_and_tells_its_state() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token).limits(&["smooth:rate:1:1000000:2"])]);
    let told = |outcome: &Outcome| {
        let verdict = outcome.verdict.as_ref().unwrap();
        verdict.readings().next().unwrap().1.remaining
    };
    for left in [1, 0] {
        let outcome = ask(&hot, token.reveal(), DATA);
        assert_eq!((outcome.decision, told(&outcome)), (Decision::Allow, left));
    }
    let outcome = ask(&hot, token.reveal(), DATA);
    assert_eq!(outcome.decision, Decision::Deny(Reason::RateLimited));
    assert_eq!(outcome.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(hot.ledger.drain().len(), 1);
}
