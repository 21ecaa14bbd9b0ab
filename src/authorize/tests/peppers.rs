//! Keys that are digested with other peppers than the current one.

use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Release},
};

use super::*;
use crate::model::pepper::Upgrade;

fn numbered(byte: u8) -> Pepper {
    Pepper::parse(&[byte; 32]).unwrap()
}

/// What decides with these peppers, the current one first, and moves keys to it.
fn with_peppers(hot: Hot, bytes: &[u8]) -> Hot {
    let mut peppers = bytes.iter().map(|byte| numbered(*byte));
    let current = peppers.next().unwrap();
    let peppers = Arc::new(Peppers::new(current, peppers.collect()).unwrap());
    let upgrades = Arc::<Upgrades>::default();
    upgrades.want(true);
    Hot { peppers, upgrades, ..hot }
}

fn opened_with(token: &Token, byte: u8) -> KeyBuilder {
    key().current(token.digest(&numbered(byte)))
}

#[test]
fn a_key_is_found_by_any_pepper_and_only_by_another_one_is_it_to_be_digested_anew() {
    let token = token();
    for of in [1, 2, 3, 4, 5] {
        let (hot, _applier) = hot(&[opened_with(&token, of)]);
        let hot = with_peppers(hot, &[1, 2, 3, 4, 5]);
        let outcome = ask(&hot, token.reveal(), DATA);
        assert_eq!(outcome.decision, Decision::Allow, "{of}");
        let upgrade = Upgrade { old: token.digest(&numbered(of)), new: token.digest(&numbered(1)) };
        let expected = if of == 1 { vec![] } else { vec![upgrade] };
        assert_eq!(hot.upgrades.take(10), expected, "{of}");
    }
}

#[test]
fn keys_that_are_looked_up_together_are_found_by_any_pepper() {
    let (first, second, unknown) = (token(), token(), token());
    let (hot, _applier) = hot(&[opened_with(&first, 1), opened_with(&second, 2).id(id(2))]);
    let hot = with_peppers(hot, &[1, 2]);
    let mut cases = [None; TOGETHER];
    for (case, token) in cases.iter_mut().zip([&first, &second, &unknown]) {
        let presented = Presented::Text(token.reveal());
        *case = Some(Case { presented, question: question(DATA), terms: TERMS });
    }
    let mut decided = Vec::new();
    authorize_together(&hot, &cases, |_, outcome| decided.push(outcome.unwrap().decision));
    let unknown = Decision::Deny(Reason::KeyUnknown);
    assert_eq!(decided, [Decision::Allow, Decision::Allow, unknown]);
}

#[test]
fn a_token_that_no_pepper_knows_is_unknown_and_nothing_is_noted() {
    let (hot, _applier) = hot(&[opened_with(&token(), 3)]);
    let hot = with_peppers(hot, &[1, 2]);
    assert_tells_nothing(&hot, &ask(&hot, token().reveal(), DATA), Reason::KeyUnknown);
    assert_eq!(hot.upgrades.waiting(), 0);
}

#[test]
fn a_replaced_token_is_found_by_another_pepper_until_its_end() {
    let (old, new) = (token(), token());
    for (end, decision) in
        [(now_plus(1), Decision::Allow), (now_plus(-1), Decision::Deny(Reason::KeyUnknown))]
    {
        let key = opened_with(&new, 1).retiring(old.digest(&numbered(2)), end);
        let (hot, _applier) = hot(&[key]);
        let hot = with_peppers(hot, &[1, 2]);
        assert_eq!(ask(&hot, old.reveal(), DATA).decision, decision);
    }
}

#[test]
fn while_keys_need_a_pepper_that_is_missing_no_key_is_called_unknown() {
    let (ours, theirs) = (token(), token());
    let (hot, mut applier) = hot(&[]);
    let hot = with_peppers(hot, &[1]);
    applier.has_peppers(hot.peppers.ids());
    let told = |token: &Token| {
        let outcome = authorize(&hot, token.reveal(), &question(DATA), TERMS);
        outcome.map(|outcome| outcome.decision)
    };
    let missing: &'static str = numbered(2).id().to_string().leak();
    let current: &'static str = numbered(1).id().to_string().leak();
    applier.put(&opened_with(&ours, 1).peppers([Some(current), None]).row()).unwrap();
    let foreign = opened_with(&theirs, 2).id(id(2));
    applier.put(&foreign.clone().peppers([Some(missing), None]).row()).unwrap();
    assert_eq!(hot.replica.lacking(), 1);
    assert_eq!(told(&ours), Ok(Decision::Allow));
    assert_eq!(told(&theirs), Err(NotReady::LacksPepper));
    assert_eq!(told(&token()), Err(NotReady::LacksPepper));

    // retired: nobody needs it any more
    applier.put(&foreign.peppers([None; 2]).row()).unwrap();
    assert_eq!(hot.replica.lacking(), 0);
    assert_eq!(told(&theirs), Ok(Decision::Deny(Reason::KeyUnknown)));

    let retiring = opened_with(&ours, 1).retiring(theirs.digest(&numbered(2)), now_plus(5));
    applier.put(&retiring.peppers([Some(current), Some(missing)]).row()).unwrap();
    assert_eq!(told(&theirs), Err(NotReady::LacksPepper));
    applier.at(Now { wall: now_plus(5), ..NOW_ON_BOTH_CLOCKS });
    applier.reached(2, None);
    assert_eq!(told(&theirs), Ok(Decision::Deny(Reason::KeyUnknown)));

    applier.put(&opened_with(&theirs, 2).peppers([Some(missing), None]).row()).unwrap();
    assert_eq!(told(&theirs), Err(NotReady::LacksPepper));
    applier.remove(id(1));
    assert_eq!(told(&theirs), Ok(Decision::Deny(Reason::KeyUnknown)));
}

#[test]
fn a_key_that_gets_a_pepper_that_is_here_during_a_look_up_is_not_called_unknown() {
    let token = token();
    let (hot, mut applier) = hot(&[]);
    let hot = with_peppers(hot, &[1]);
    applier.has_peppers(hot.peppers.ids());
    let missing: &'static str = numbered(2).id().to_string().leak();
    applier.put(&opened_with(&token, 2).peppers([Some(missing), None]).row()).unwrap();
    let sought = seek(&hot, Presented::Text(token.reveal()), &TERMS).unwrap();
    let digest = sought.digest().unwrap();
    let looked_up = (hot.replica.settlings(), hot.replica.get(&digest));
    assert!(looked_up.1.is_none());
    applier.put(&opened_with(&token, 1).row()).unwrap();
    assert_eq!(hot.replica.lacking(), 0);
    let outcome = judge(&hot, sought, looked_up, &question(DATA), TERMS);
    assert_eq!(outcome.map(|outcome| outcome.decision), Err(NotReady::LacksPepper));
    assert_eq!(ask(&hot, token.reveal(), DATA).decision, Decision::Allow);
}

#[test]
fn a_key_that_moves_to_another_pepper_is_never_unknown_meanwhile() {
    let tokens: Vec<Token> = (0..500).map(|_| token()).collect();
    let place = |at: usize| id(u64::try_from(at + 1).unwrap());
    let (hot, mut applier) = hot(&[]);
    let hot = with_peppers(hot, &[2, 1]);
    let (at, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    applier.put(&opened_with(&tokens[0], 1).id(place(0)).row()).unwrap();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while at.load(Acquire) < tokens.len() {
                let token = &tokens[at.load(Acquire).min(tokens.len() - 1)];
                assert_eq!(ask(&hot, token.reveal(), DATA).decision, Decision::Allow);
                asked.fetch_add(1, Release);
            }
        });
        for next in 1..=tokens.len() {
            let before = asked.load(Acquire);
            while asked.load(Acquire) < before + 3 && !asking.is_finished() {
                thread::yield_now();
            }
            let token = &tokens[next - 1];
            // as in a batch, of which nothing is settled before all is applied
            applier.put(&opened_with(token, 2).id(place(next - 1)).row()).unwrap();
            if let Some(token) = tokens.get(next) {
                applier.put(&opened_with(token, 1).id(place(next)).row()).unwrap();
            }
            at.store(next, Release);
        }
        asking.join().unwrap();
    });
}
