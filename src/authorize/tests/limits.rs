//! What limits and failed tries do to decisions, and what changes do to limits.

use super::*;
use crate::{
    limiter::failures::FailureLimit,
    model::{
        limit::quota::Period,
        meter::quota::StoredQuota,
        shared::{CustomerRow, QuotaRow},
    },
    replica::Present,
};

const RATE: &str = "smooth:rate:1:1000000:3";
const QUOTA: &str = "daily:quota:3:day";

fn source() -> Source {
    Source::Client("192.0.2.1".parse().unwrap())
}

/// With a limit of so many failed tries.
fn throttling(hot: Hot, count: u32) -> Hot {
    let limit = FailureLimit::new(count, Duration::from_secs(60)).unwrap();
    let failures = Failures::new(Some(limit), None);
    Hot { limiter: Arc::new(Limiter::new(Sharing::Local, failures, 1)), ..hot }
}

fn try_it(hot: &Hot, presented: &str, plane: Plane<'_>) -> Outcome {
    authorize(hot, presented, &question(plane), Terms { source: Some(source()), ..TERMS }).unwrap()
}

fn ask_for<'a>(hot: &Hot, token: &Token, customer: &'a str) -> Outcome {
    let mut question: Question<'a> = question(DATA);
    if let Ask::Access(access) = &mut question.ask {
        access.customer = customer;
    }
    authorize(hot, token.reveal(), &question, TERMS).unwrap()
}

fn left(outcome: &Outcome) -> Vec<i64> {
    let readings = outcome.verdict.iter().flat_map(Verdict::readings);
    readings.map(|(_, reading)| reading.remaining).collect()
}

fn put_customer(applier: &mut Applier, id: &str, limits: &str) -> bool {
    let uid = if id == "c-1" { 1 } else { 2 };
    applier.put_customer(&CustomerRow { domain: "default", id, limits, uid }).is_ok()
}

fn user_row(limits: &str) -> UserRow<'_> {
    let (id, kind, permissions) = ("alice", UserKind::Person, "*");
    UserRow { uid: 7, domain: "default", id, kind, enabled: true, permissions, groups: "", limits }
}

fn domain_row(limits: &str) -> DomainRow<'_> {
    DomainRow { name: "default", enabled: true, route_map: "", limits }
}

fn limited_key(token: &Token) -> KeyBuilder {
    opened_by(token).limits(&[RATE])
}

#[test]
fn who_fails_too_often_is_throttled_with_good_keys_too() {
    let token = token();
    let (hot, mut applier) = hot(&[limited_key(&token)]);
    let hot = throttling(hot, 2);
    for _ in 0..2 {
        let outcome = try_it(&hot, "unknown", DATA);
        assert_eq!(outcome.decision, Decision::Deny(Reason::KeyUnknown));
        assert_eq!(outcome.retry_after, None);
    }
    for presented in [token.reveal(), "unknown"] {
        let outcome = try_it(&hot, presented, DATA);
        assert_eq!(
            outcome.retry_after,
            Some(Duration::from_secs(30)),
            "a try that is not looked at does not count"
        );
        assert_tells_nothing(&hot, &outcome, Reason::FailuresThrottled);
    }
    assert_eq!(try_it(&hot, "", DATA).decision, Decision::Deny(Reason::KeyMissing));
    let now =
        Now { boot: NOW_ON_BOTH_CLOCKS.boot.after(Duration::from_secs(31)), ..NOW_ON_BOTH_CLOCKS };
    let terms = Terms { source: Some(source()), now, ..TERMS };
    applier.reached(7, Some(now.boot));
    let outcome = authorize(&hot, token.reveal(), &question(DATA), terms).unwrap();
    assert_eq!((outcome.decision, left(&outcome)), (Decision::Allow, vec![2]));
}

#[test]
fn several_keys_are_ambiguous_and_count_as_a_failed_try() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let hot = throttling(hot, 1);
    let terms = Terms { source: Some(source()), ..TERMS };
    let outcome = authorize(&hot, Presented::Several, &question(DATA), terms).unwrap();
    assert_tells_nothing(&hot, &outcome, Reason::KeyAmbiguous);
    let outcome = authorize(&hot, token.reveal(), &question(DATA), terms).unwrap();
    assert_eq!(outcome.decision, Decision::Deny(Reason::FailuresThrottled));
}

#[test]
fn a_malformed_key_is_called_so_also_when_it_is_throttled() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token)]);
    let hot = throttling(hot, 1);
    let garbled = format!("{}x", token.reveal());
    for _ in 0..2 {
        let outcome = try_it(&hot, &garbled, DATA);
        assert_eq!(outcome.decision, Decision::Deny(Reason::KeyMalformed));
        assert_eq!(outcome.retry_after, None);
    }
    let outcome = try_it(&hot, token.reveal(), DATA);
    assert_eq!(outcome.decision, Decision::Deny(Reason::FailuresThrottled));
    // nobody else is
    assert_eq!(ask(&hot, token.reveal(), DATA).decision, Decision::Allow);
}

#[test]
fn only_a_key_that_is_malformed_or_unknown_counts_as_failed() {
    let (good, other) = (token(), token());
    let garbled = format!("{}x", good.reveal());
    let denied = |change: fn(KeyBuilder) -> KeyBuilder| change(opened_by(&good));
    for (key, presented, plane, counts) in [
        (opened_by(&good), "", DATA, false),
        (opened_by(&good), good.reveal(), DATA, false),
        (opened_by(&good), other.reveal(), DATA, true),
        (opened_by(&good), garbled.as_str(), DATA, true),
        (opened_by(&good), good.reveal(), Plane::Admin, true),
        (opened_by(&good), other.reveal(), Plane::Holder, true),
        (denied(KeyBuilder::inactive), good.reveal(), DATA, false),
        (denied(KeyBuilder::expired), good.reveal(), DATA, false),
        (denied(|key| key.grants(&["users"])), good.reveal(), DATA, false),
        (denied(|key| key.environment("staging")), good.reveal(), DATA, false),
        (denied(|key| key.limits(&["none:quota:0:day"])), good.reveal(), DATA, false),
    ] {
        let (hot, _applier) = hot(&[key]);
        let hot = throttling(hot, 1);
        let outcome = try_it(&hot, presented, plane);
        let throttled = hot.limiter.failures.wait(source(), TERMS.now.boot).is_some();
        assert_eq!(throttled, counts, "{:?}", outcome.decision);
    }
}

#[test]
fn a_mere_check_takes_nothing_and_tells_what_would_be() {
    let token = token();
    let (hot, _applier) = hot(&[limited_key(&token)]);
    let check = |cost| {
        let charge = Charge { cost, reserve: None };
        let terms = Terms { record: Record::Nothing, charge, ..TERMS };
        authorize(&hot, token.reveal(), &question(DATA), terms).unwrap()
    };
    for _ in 0..5 {
        assert_eq!((check(3).decision, left(&check(3))), (Decision::Allow, vec![3]));
    }
    assert_eq!(check(4).decision, Decision::Deny(Reason::RateLimited));
    assert_eq!(hot.ledger.drain(), []);
    assert_eq!(left(&ask(&hot, token.reveal(), DATA)), [2]);
}

#[test]
fn limits_are_for_what_is_asked_of_data_and_of_admins() {
    let token = token();
    for (key, plane, authentication, looked_at) in [
        (limited_key(&token), DATA, false, true),
        (limited_key(&token), DATA, true, false),
        (limited_key(&token), Plane::Holder, false, false),
        (limited_key(&token), Plane::Holder, true, false),
        (limited_key(&token).of_admins(), Plane::Admin, false, true),
        (limited_key(&token).of_admins(), Plane::Admin, true, true),
    ] {
        let (hot, _applier) = hot(&[key]);
        let mut question = question(plane);
        if authentication {
            question.ask = Ask::Authentication;
        }
        let decided = || authorize(&hot, token.reveal(), &question, TERMS).unwrap();
        let outcomes: Vec<bool> = (0..4).map(|_| decided().decision == Decision::Allow).collect();
        assert_eq!(outcomes, [true, true, true, !looked_at], "{plane:?} {authentication}");
        assert_eq!(decided().verdict.is_some(), looked_at);
    }
}

#[test]
fn who_is_denied_for_another_reason_takes_nothing() {
    let token = token();
    let (hot, mut applier) = hot(&[limited_key(&token).grants(&["users"])]);
    for _ in 0..5 {
        let outcome = ask(&hot, token.reveal(), DATA);
        assert_eq!(outcome.decision, Decision::Deny(Reason::PermissionDenied));
        assert!(outcome.verdict.is_none());
    }
    applier.put(&limited_key(&token).row()).unwrap();
    assert_eq!(left(&ask(&hot, token.reveal(), DATA)), [2]);
}

#[test]
fn the_limits_are_the_last_check_that_is_explained() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token).limits(&["smooth:rate:1:1000000:1"])]);
    let terms = Terms { explain: Explain::Yes, ..TERMS };
    for (decision, finding, detail) in [
        (Decision::Allow, Finding::Passed, "smooth: 0 left"),
        (
            Decision::Deny(Reason::RateLimited),
            Finding::Failed(Reason::RateLimited),
            "smooth: exceeded, 0 left",
        ),
    ] {
        let outcome = authorize(&hot, token.reveal(), &question(DATA), terms).unwrap();
        let explanation = outcome.explanation.unwrap();
        assert_eq!((outcome.decision, explanation.decision), (decision, decision));
        let last = explanation.checks.last().unwrap();
        assert_eq!((last.check, last.finding), (crate::decide::Check::Limits, finding));
        assert_eq!(last.detail, detail);
    }
}

#[test]
fn a_reservation_is_told_only_if_it_was_made() {
    let token = token();
    let (hot, _applier) = hot(&[opened_by(&token).limits(&["slots:concurrency:1"])]);
    let reserve = |random, record| {
        let charge = Charge { cost: 1, reserve: Some(([random; 16], Duration::from_secs(5))) };
        let terms = Terms { record, charge, ..TERMS };
        authorize(&hot, token.reveal(), &question(DATA), terms).unwrap()
    };
    assert_eq!(reserve(1, Record::Nothing).reservation, None);
    let (id, end) = reserve(2, Record::Use).reservation.unwrap();
    assert_eq!(end, now_plus(5_000_000));
    let refused = reserve(3, Record::Use);
    assert_eq!(refused.decision, Decision::Deny(Reason::ConcurrencyExceeded));
    assert_eq!((refused.reservation, refused.retry_after), (None, None));
    assert_eq!(hot.limiter.settle(id, 1, TERMS.now).unwrap().difference, 0);
    assert!(reserve(4, Record::Use).reservation.is_some());
}

#[test]
fn the_limits_of_a_customer_are_for_requests_that_name_it() {
    let token = token();
    let (hot, mut applier) = hot(&[opened_by(&token)]);
    assert!(put_customer(&mut applier, "c-1", "daily:quota:2:day"));
    for (customer, expected) in
        [("c-1", vec![1]), ("", vec![]), ("c-2", vec![]), ("c-1", vec![0]), ("C-1", vec![])]
    {
        let outcome = ask_for(&hot, &token, customer);
        assert_eq!((outcome.decision, left(&outcome)), (Decision::Allow, expected), "{customer}");
    }
    let outcome = ask_for(&hot, &token, "c-1");
    assert_eq!(outcome.decision, Decision::Deny(Reason::QuotaExhausted));
    // the customer of the same id in another domain is another one
    applier.remove_customer("other", "c-1");
    assert_eq!(left(&ask_for(&hot, &token, "c-1")), [0]);
    applier.remove_customer("default", "c-1");
    assert!(ask_for(&hot, &token, "c-1").verdict.is_none());
}

#[test]
fn limits_that_cannot_be_read_let_nothing_pass() {
    let token = token();
    let broken = "what is this";
    let key = opened_by(&token).numbers("7", "");
    let (hot, mut applier) = hot(std::slice::from_ref(&key));
    applier.put_user(&user_row("")).unwrap();
    let reason = |decision| match decision {
        Decision::Deny(reason) => Some(reason),
        Decision::Allow => None,
    };
    let mut decided = |change: &dyn Fn(&mut Applier)| {
        change(&mut applier);
        applier.reached(8, None);
        reason(ask_for(&hot, &token, "c-1").decision)
    };
    assert_eq!(decided(&|_| ()), None);
    let expected = Some(Reason::QuotaExhausted);
    assert_eq!(decided(&|applier| assert!(!put_customer(applier, "c-1", broken))), expected);
    assert_eq!(decided(&|applier| assert!(put_customer(applier, "c-1", ""))), None);
    let expected = Some(Reason::UserDisabled);
    assert_eq!(decided(&|applier| assert!(applier.put_user(&user_row(broken)).is_err())), expected);
    assert_eq!(decided(&|applier| applier.put_user(&user_row("")).unwrap()), None);
    let expected = Some(Reason::DomainDisabled);
    assert_eq!(
        decided(&|applier| assert!(applier.put_domain(&domain_row(broken)).is_err())),
        expected
    );
    assert_eq!(decided(&|applier| applier.put_domain(&domain_row("")).unwrap()), None);
    let unreadable = key.limits(&[broken]);
    let expected = Some(Reason::KeyInactive);
    assert_eq!(decided(&|applier| assert!(applier.put(&unreadable.row()).is_err())), expected);
}

#[test]
fn what_is_edited_keeps_what_was_used() {
    let token = token();
    let key = |limits: &[&str], grants| {
        opened_by(&token).numbers("7", "").limits(limits).grants(&[grants])
    };
    let (hot, mut applier) = hot(&[key(&[RATE], "*")]);
    applier.at(NOW_ON_BOTH_CLOCKS);
    let mut put = |of_key: &[&str], grants, [user, customer, domain]: [&str; 3]| {
        applier.put(&key(of_key, grants).row()).unwrap();
        applier.put_user(&user_row(user)).unwrap();
        applier.put_domain(&domain_row(domain)).unwrap();
        assert!(put_customer(&mut applier, "c-1", customer));
        applier.reached(8, None);
        left(&ask_for(&hot, &token, "c-1"))
    };
    assert_eq!(put(&[RATE], "*", [RATE, QUOTA, QUOTA]), [2, 2, 2, 2]);
    assert_eq!(put(&[RATE], "systems", [RATE, QUOTA, QUOTA]), [1, 1, 1, 1]);
    let (rate, quota) = ("smooth:rate:9:1000000:9", "daily:quota:9:day");
    assert_eq!(put(&[rate], "*", [rate, quota, quota]), [6, 6, 6, 6]);
    // another name is another limit, and one that was away begins anew
    let other = "other:quota:9:day";
    assert_eq!(put(&[other], "*", [rate, other, quota]), [8, 5, 8, 5]);
    assert!(put(&[], "*", ["", "", ""]).is_empty());
    assert_eq!(put(&[rate], "*", [rate, quota, quota]), [8, 8, 8, 8]);
}

#[test]
fn the_same_limits_stay_the_same_object() {
    let token = token();
    let (hot, mut applier) = hot(&[limited_key(&token)]);
    let place = token.digest(&pepper());
    let of_key = || hot.replica.get(&place).unwrap().limits.clone().unwrap();
    let domain = crate::model::name::DomainName::parse("default").unwrap();
    let of_customer = || hot.replica.customer(&domain, "c-1").unwrap().limits.unwrap();
    assert!(put_customer(&mut applier, "c-1", QUOTA));
    let before = [of_key(), of_customer()];
    applier.put(&limited_key(&token).grants(&["users"]).row()).unwrap();
    assert!(put_customer(&mut applier, "c-1", QUOTA));
    assert!(Arc::ptr_eq(&before[0], &of_key()) && Arc::ptr_eq(&before[1], &of_customer()));
    assert!(put_customer(&mut applier, "c-1", RATE));
    assert!(!Arc::ptr_eq(&before[1], &of_customer()));
}

#[test]
fn after_a_load_customers_that_are_gone_are_unknown() {
    let (hot, mut applier) = hot(&[]);
    let domain = crate::model::name::DomainName::parse("default").unwrap();
    for id in ["c-1", "c-2"] {
        assert!(put_customer(&mut applier, id, QUOTA));
    }
    let customers = [("default".into(), "c-2".into()), ("other".into(), "c-1".into())].into();
    applier.retain(&Present { customers, ..Present::default() });
    assert!(hot.replica.customer(&domain, "c-1").is_none());
    assert!(hot.replica.customer(&domain, "c-2").is_some());
}

#[test]
fn what_the_database_knows_reaches_the_quota_that_it_is_of() {
    let token = token();
    let key = opened_by(&token).numbers("7", "").limits(&["daily:quota:100:day", RATE]);
    let its_id = key.build().id;
    let (hot, mut applier) = hot(&[key]);
    applier.at(NOW_ON_BOTH_CLOCKS);
    applier.put_user(&user_row("daily:quota:100:day")).unwrap();
    applier.put_domain(&domain_row("daily:quota:100:day")).unwrap();
    assert!(put_customer(&mut applier, "c-1", "daily:quota:100:day"));
    let day = NOW.micros() - NOW.micros() % 86_400_000_000;
    let start = Timestamp::from_micros(day);
    for (owner, name, used) in [
        (format!("key/{its_id}"), "daily", 10),
        ("user/7".into(), "daily", 20),
        ("customer/default/c-1".into(), "daily", 30),
        ("domain/default".into(), "daily", 40),
        ("customer/other/c-1".into(), "daily", 50),
        ("user/8".into(), "daily", 50),
        (format!("key/{its_id}"), "smooth", 50),
        (format!("key/{its_id}"), "other", 50),
        ("nonsense".into(), "daily", 50),
    ] {
        let stored = StoredQuota { period: Period::Day, start, used, credits: 0, generation: 1 };
        applier.put_quota(&QuotaRow { owner: &owner, name, stored });
    }
    applier.reached(8, None);
    assert_eq!(left(&ask_for(&hot, &token, "c-1")), [89, 2, 79, 69, 59]);
}

#[test]
fn what_is_asked_for_a_customer_is_counted_for_it_with_or_without_limits_if_it_is_known() {
    let token = token();
    let (hot, mut applier) = hot(&[opened_by(&token)]);
    assert!(put_customer(&mut applier, "c-1", ""));
    assert!(put_customer(&mut applier, "c-2", "daily:quota:1:day"));
    for customer in ["c-1", "c-1", "c-2", "c-2", "c-3", ""] {
        ask_for(&hot, &token, customer);
    }
    let checked = Terms { record: Record::Nothing, ..TERMS };
    let mut of_c1 = question(DATA);
    if let Ask::Access(access) = &mut of_c1.ask {
        access.customer = "c-1";
    }
    authorize(&hot, token.reveal(), &of_c1, checked).unwrap();
    let found = hot.ledger.drain_customers();
    let found = found.iter().map(|count| (count.of.get(), count.allowed, count.denied));
    assert_eq!(found.collect::<Vec<_>>(), [(1, 2, [0; 4]), (2, 1, [0, 0, 0, 1])]);
    // no more when it is gone
    applier.remove_customer("default", "c-1");
    ask_for(&hot, &token, "c-1");
    assert_eq!(hot.ledger.drain_customers(), []);
}
