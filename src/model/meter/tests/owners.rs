//! The text forms of limits and of what has them.

use super::*;
use crate::model::{
    customer::CustomerId,
    limit::{
        InvalidLimit,
        quota::{InvalidQuota, Period},
        rate::InvalidRate,
    },
};

fn owners() -> impl Strategy<Value = Owner> {
    prop_oneof![
        any::<u64>().prop_map(|number| Owner::Key(id(number))),
        any::<i64>().prop_map(Owner::User),
        "[a-z][a-z0-9]{0,20}".prop_map(|name| Owner::Domain(DomainName::parse(&name).unwrap())),
        ("[a-z][a-z0-9]{0,20}", "[!-~]{1,128}").prop_map(|(domain, id)| {
            Owner::Customer(DomainName::parse(&domain).unwrap(), CustomerId::parse(&id).unwrap())
        }),
    ]
}

fn rules() -> impl Strategy<Value = Rule> {
    let rate = (1..1000_u32, 1_000..100_000_000_u64, 1..1_000_000_u32);
    let rate = rate.prop_filter_map("a rate", |(limit, micros, burst)| {
        Rate::new(limit, Duration::from_micros(micros), burst).ok().map(Rule::Rate)
    });
    let period = prop_oneof![Just("day".to_owned()), Just("month".to_owned()), "[1-9][0-9]{2,8}"];
    let quota = (0..100_000_000_000_000_i64, period).prop_map(|(limit, period)| {
        Rule::Quota(Quota::new(limit, period.parse().unwrap()).unwrap())
    });
    prop_oneof![
        rate,
        quota,
        (1..=10_000_u32).prop_map(|it| Rule::Concurrency(Slots::new(it).unwrap()))
    ]
}

proptest! {
    #[test]
    fn an_owner_is_read_as_it_is_written(owner in owners()) {
        prop_assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
    }

    #[test]
    fn any_text_is_an_owner_or_none(text in "((key|user|domain|customer)/)?.*") {
        if let Some(owner) = Owner::parse(&text) {
            prop_assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
        }
    }

    #[test]
    fn a_limit_is_read_as_it_is_written(name in "[a-z][a-z0-9]{0,20}", rule in rules()) {
        let limit = Limit { name: LimitName::parse(&name).unwrap(), rule };
        prop_assert_eq!(limit.to_string().parse(), Ok(limit));
    }

    #[test]
    fn any_text_is_a_limit_or_none(text in "[a-z]{1,3}:(rate|quota|concurrency):[0-9a-z:.+-]{0,20}") {
        if let Ok(limit) = text.parse::<Limit>() {
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
        }
    }
}

#[test]
fn other_texts_are_no_owners() {
    for text in [
        "",
        "key",
        "key/",
        "key/1",
        "user/",
        "user/x",
        "domain/",
        "domain/A B",
        "group/1",
        "customer/default",
        "customer/default/",
        "customer//x",
    ] {
        assert_eq!(Owner::parse(text), None, "{text}");
    }
}

#[test]
fn other_texts_are_no_limits() {
    for (text, error) in [
        ("", InvalidLimit::Form),
        ("a", InvalidLimit::Form),
        ("a:rate:1:1000000", InvalidLimit::Form),
        ("a:rate:1:1000000:1:1", InvalidLimit::Form),
        ("a:rate:-1:1000000:1", InvalidLimit::Form),
        ("a:rate:1:x:1", InvalidLimit::Form),
        ("a:other:1", InvalidLimit::Form),
        ("a:concurrency:x", InvalidLimit::Form),
        ("a:rate:0:1000000:1", InvalidLimit::Rate(InvalidRate::Limit)),
        ("a:rate:1:1000000:0", InvalidLimit::Rate(InvalidRate::Burst)),
        ("a:rate:1:999:1", InvalidLimit::Rate(InvalidRate::Period)),
        ("a:quota:-1:day", InvalidLimit::Quota(InvalidQuota::Limit)),
        ("a:quota:1:59", InvalidLimit::Quota(InvalidQuota::Period)),
        ("a:concurrency:0", InvalidLimit::Slots),
        ("a:concurrency:10001", InvalidLimit::Slots),
    ] {
        assert_eq!(text.parse::<Limit>(), Err(error), "{text}");
    }
    assert!("a:concurrency:10000".parse::<Limit>().is_ok());
    assert!(matches!(":quota:1:day".parse::<Limit>(), Err(InvalidLimit::Name(_))));
}

#[test]
fn a_list_of_limits_has_eight_at_most_and_no_name_twice() {
    let texts =
        |count: usize| (0..count).map(|it| format!("a{it}:quota:1:day")).collect::<Vec<_>>();
    assert_eq!(Limits::parse(&texts(8)).unwrap().iter().count(), 8);
    assert_eq!(Limits::parse(&texts(9)), Err((8, InvalidLimit::TooMany)));
    let twice = ["a:quota:1:day", "b:quota:1:day", "a:concurrency:1"];
    assert_eq!(Limits::parse(&twice), Err((2, InvalidLimit::Duplicate)));
    assert_eq!(Limits::parse(&["a:quota:1:day", "b"]), Err((1, InvalidLimit::Form)));
    assert!(Limits::default().is_empty() && !limits(&["a:quota:1:day"]).is_empty());
}

#[test]
fn others_are_added_where_names_are_free() {
    let own = limits(&["a:quota:1:day", "b:quota:1:day"]);
    let both = own.with_others(&limits(&["b:quota:2:day", "c:quota:3:day"])).unwrap();
    assert_eq!(both, limits(&["a:quota:1:day", "b:quota:1:day", "c:quota:3:day"]));
    let many: Vec<String> = (0..7).map(|it| format!("x{it}:quota:1:day")).collect();
    let many = Limits::parse(&many).unwrap();
    assert_eq!(own.with_others(&many), Err((8, InvalidLimit::TooMany)));
}

#[test]
fn limits_that_cannot_be_read_let_nothing_pass() {
    let nothing = Metered::new((Owner::User(1), tag()), Limits::nothing(), None, BOOT);
    assert_eq!(left(&nothing), [0]);
    assert!(!gauge(&nothing).take(&ONE));
    assert_eq!(gauge(&nothing).limit.rule, Rule::Quota(Quota::new(0, Period::Day).unwrap()));
}
