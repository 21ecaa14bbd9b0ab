//! The whole way of a question, from the text of a key to the note of its use.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    decide::{Ask, Plane},
    model::{
        fixture::{KeyBuilder, NOW, NOW_ON_BOTH_CLOCKS, brand, id, key, now_plus, pepper, token},
        permission::Permission,
        secret::Token,
        time::BootTime,
    },
    replica::Applier,
};

const TERMS: Terms = Terms { now: NOW_ON_BOTH_CLOCKS, revision_min: 0, record: Record::Use };

fn question(plane: Plane) -> Question<'static> {
    Question {
        plane,
        environment: "production",
        ask: Ask::Access {
            route: "/api/systems",
            method: "GET",
            permission: Some(Permission::parse("systems.read").unwrap()),
        },
    }
}

/// A replica that is loaded, with these keys.
fn hot(keys: &[KeyBuilder]) -> (Hot, Applier) {
    let (replica, mut applier) = Replica::new(Duration::from_secs(10));
    for key in keys {
        applier.put(&key.row()).unwrap();
    }
    applier.reached(7, Some(NOW_ON_BOTH_CLOCKS.boot));
    let hot = Hot { replica, ledger: Arc::default(), pepper: Arc::new(pepper()), brand: brand() };
    (hot, applier)
}

fn opened_by(token: &Token) -> KeyBuilder {
    key().current(token.digest(&pepper()))
}

fn ask(hot: &Hot, presented: &str, plane: Plane) -> Outcome {
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
    let outcome = ask(&hot, token.reveal(), Plane::Data);
    let its_id = key.build().id;
    assert_eq!(outcome.decision, Decision::Allow);
    assert_eq!(outcome.key.map(|key| key.id), Some(its_id));
    assert_eq!(outcome.knowledge.revision, 7);
    assert_eq!(outcome.knowledge.age, Duration::ZERO);
    assert_eq!(hot.ledger.drain(), [(its_id, NOW.floor_to_second())]);
}

#[test]
fn an_imported_key_of_any_form_is_allowed() {
    let presented = "sk_live_ünusual key";
    let theirs = Brand::parse("other").unwrap();
    let digest = PresentedKey::parse(presented, &theirs).unwrap().digest(&pepper());
    let (hot, _applier) = hot(&[key().current(digest)]);
    assert_eq!(ask(&hot, presented, Plane::Data).decision, Decision::Allow);
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
        assert_tells_nothing(&hot, &ask(&hot, presented, Plane::Data), reason);
    }
}

#[test]
fn a_key_is_unknown_under_another_pepper() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let pepper = Arc::new(Pepper::parse(&[8; 32]).unwrap());
    let hot = Hot { pepper, ..hot };
    let outcome = ask(&hot, token.reveal(), Plane::Data);
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
        let outcome = ask(&hot, old.reveal(), Plane::Data);
        assert_eq!(outcome.decision, decision);
        assert_eq!(outcome.key.is_some(), decision == Decision::Allow);
        assert_eq!(hot.ledger.drain().len(), usize::from(decision == Decision::Allow));
        assert_eq!(ask(&hot, new.reveal(), Plane::Data).decision, Decision::Allow);
    }
}

#[test]
fn a_retired_secret_of_a_stopped_key_tells_nothing() {
    let (old, new) = (token(), token());
    let key = opened_by(&new).retiring(old.digest(&pepper()), NOW);
    let (hot, _applier) = hot(&[key.inactive()]);
    let outcome = ask(&hot, old.reveal(), Plane::Data);
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
        for (token, plane) in [(&ordinary, Plane::Admin), (&admin, Plane::Data)] {
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
        (opened_by(&token).environment("staging"), Reason::EnvironmentMismatch),
        (opened_by(&token).route_rules(&["/other"]), Reason::RouteDenied),
        (opened_by(&token).grants(&["users"]), Reason::PermissionDenied),
    ] {
        let (hot, _applier) = hot(&[key]);
        let outcome = ask(&hot, token.reveal(), Plane::Data);
        assert_eq!(outcome.decision, Decision::Deny(reason));
        assert!(outcome.key.is_some(), "{reason:?}");
        assert_eq!(hot.ledger.drain(), []);
    }
}

#[test]
fn a_mere_check_is_answered_but_not_noted() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let record = Record::Nothing;
    let terms = Terms { record, ..TERMS };
    let checked = authorize(&hot, token.reveal(), &question(Plane::Data), terms).unwrap();
    assert_eq!(checked.decision, Decision::Allow);
    assert!(checked.key.is_some());
    assert_eq!(hot.ledger.drain(), []);
    // nor has it taken the place of a real use in the same second
    ask(&hot, token.reveal(), Plane::Data);
    assert_eq!(hot.ledger.drain().len(), 1);
}

#[test]
fn who_cannot_know_never_calls_a_key_bad() {
    let token = token();
    let nothing_wanted = question(Plane::Data);
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
        let empty = Hot {
            replica: Arc::clone(&loading),
            ledger: Arc::default(),
            pepper: Arc::new(pepper()),
            brand: brand(),
        };
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
    assert_eq!(ask(&hot, token.reveal(), Plane::Data).decision, Decision::Allow);
    applier.put(&key.clone().inactive().row()).unwrap();
    let outcome = ask(&hot, token.reveal(), Plane::Data);
    assert_eq!(outcome.decision, Decision::Deny(Reason::KeyInactive));
    applier.remove(key.build().id);
    let outcome = ask(&hot, token.reveal(), Plane::Data);
    assert_eq!(outcome.decision, Decision::Deny(Reason::KeyUnknown));
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
        presented in texts(), environment in ".*", route in "(/.*)?", method in ".*", now in instants(), plane: bool,
    ) {
        let (hot, _applier) = hot(&[opened_by(&token())]);
        let question = Question {
            plane: if plane { Plane::Data } else { Plane::Admin },
            environment: &environment,
            ask: Ask::Access { route: &route, method: &method, permission: None },
        };
        let wall = Timestamp::from_micros(now);
        let now = Now { wall, ..NOW_ON_BOTH_CLOCKS };
        let outcome = authorize(&hot, &presented, &question, Terms { now, ..TERMS }).unwrap();
        prop_assert_ne!(outcome.decision, Decision::Allow);
        prop_assert!(outcome.key.is_none() && hot.ledger.drain().is_empty());
    }

    #[test]
    fn a_good_key_gets_an_answer_at_any_time_for_whatever_it_asks(
        environment in "production|.*", route in "(/.*)?", method in ".*", needed in "[a-z.*]{0,9}", now in instants(),
    ) {
        let token = token();
        let (hot, _applier) = hot(&[opened_by(&token)]);
        let permission = Permission::parse(&needed).ok();
        let question = Question {
            plane: Plane::Data,
            environment: &environment,
            ask: Ask::Access { route: &route, method: &method, permission },
        };
        let wall = Timestamp::from_micros(now);
        let now = Now { wall, ..NOW_ON_BOTH_CLOCKS };
        let outcome = authorize(&hot, token.reveal(), &question, Terms { now, ..TERMS }).unwrap();
        let good = environment == "production" && permission.is_some();
        prop_assert_eq!(outcome.decision == Decision::Allow, good);
    }
}
