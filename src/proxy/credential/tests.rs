//! Where keys are found, and where more than one is.

use proptest::prelude::*;

use super::*;

const ALL: &str = "header:x-api-key,bearer,basic:haplo,query:api-key,cookie:api-key";

/// What is found, in words: `-` for nothing, `!` for several.
fn found(sources: &str, fields: &[(&str, &str)], target: &str) -> String {
    let inquiry = Inquiry {
        method: "GET",
        target: target.as_bytes(),
        fields: fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
        peer: None,
    };
    match Credential::find(&KeySources::parse(sources).unwrap(), &inquiry) {
        Credential::Missing => "-".into(),
        Credential::One(key) => key.into_owned(),
        Credential::Several => "!".into(),
    }
}

fn encoded(text: &str) -> String {
    format!("Basic {}", BASIC.encode(text))
}

#[test]
fn a_key_is_found_in_each_place() {
    let basic = encoded("haplo:k1");
    for (fields, target) in [
        (vec![("x-api-key", "k1")], "/"),
        (vec![("X-Api-Key", " k1 ")], "/"),
        (vec![("authorization", "Bearer k1")], "/"),
        (vec![("authorization", "bearer  k1")], "/"),
        (vec![("authorization", basic.as_str())], "/"),
        (vec![("authorization", basic.trim_end_matches('='))], "/"),
        (vec![], "/a?api-key=k1"),
        (vec![], "/a?b=c&api-key=k1&d"),
        (vec![], "/a?api-key=k%31"),
        (vec![("cookie", "api-key=k1")], "/"),
        (vec![("cookie", "a=b; api-key=k1;c=d")], "/"),
        (vec![("cookie", "a=b"), ("cookie", " api-key= k1 ")], "/"),
    ] {
        assert_eq!(found(ALL, &fields, target), "k1", "{fields:?} {target}");
    }
}

#[test]
fn places_that_are_not_set_up_hold_no_key() {
    let (basic, fields) = (encoded("haplo:k1"), [("x-api-key", "k1"), ("cookie", "api-key=k1")]);
    assert_eq!(found("bearer", &fields, "/?api-key=k1"), "-");
    assert_eq!(found("bearer", &[("authorization", &basic)], "/"), "-");
    assert_eq!(found("basic:other", &[("authorization", &basic)], "/"), "-");
    assert_eq!(found("header:x-api-key", &[("authorization", "Bearer k1")], "/"), "-");
    assert_eq!(found("header:x-api-key", &[("x_api_key", "k1")], "/"), "-");
}

#[test]
fn what_is_empty_or_of_others_is_no_key() {
    for (fields, target) in [
        (vec![("x-api-key", ""), ("x-api-key", "  ")], "/"),
        (vec![("authorization", "Bearer")], "/"),
        (vec![("authorization", "Bearer ")], "/"),
        (vec![("authorization", "Bearerk1")], "/"),
        (vec![("authorization", "Digest username=\"Bearer\", realm=\"basic\"")], "/"),
        (vec![("authorization", "Basic !!!")], "/"),
        (vec![("authorization", "Basic aGFwbG8=")], "/"),
        (vec![], "/a"),
        (vec![], "/a?"),
        (vec![], "/a?api-key"),
        (vec![], "/a?api-key="),
        (vec![], "/a?API-KEY=k1&xapi-key=k1"),
        (vec![], "/api-key=k1"),
        (vec![("cookie", "API-KEY=k1; xapi-key=k1; api-keyx=k1")], "/"),
    ] {
        assert_eq!(found(ALL, &fields, target), "-", "{fields:?} {target}");
    }
}

#[test]
fn the_same_key_may_be_in_two_places_but_not_another_one() {
    let both = |other| [("x-api-key", "k1"), ("authorization", other)];
    assert_eq!(found(ALL, &both("Bearer k1"), "/"), "k1");
    assert_eq!(found(ALL, &both("Bearer k1"), "/?api-key=k1"), "k1");
    assert_eq!(found(ALL, &both("Bearer k2"), "/"), "!");
    assert_eq!(found(ALL, &both("Bearer k1"), "/?api-key=k2"), "!");
    assert_eq!(found(ALL, &[("x-api-key", "k1"), ("cookie", "api-key=k2")], "/"), "!");
    assert_eq!(found(ALL, &both("Digest a"), "/"), "k1");
}

#[test]
fn two_values_in_one_place_are_several_keys() {
    let (basic, other) = (encoded("haplo:k1"), encoded("other:k1"));
    let joined = format!("{other},{basic}");
    for (fields, target) in [
        (vec![("x-api-key", "k1"), ("x-api-key", "k1")], "/"),
        (vec![("x-api-key", "k1"), ("X-API-KEY", "k2")], "/"),
        (vec![("x-api-key", "k1,k1")], "/"),
        (vec![("authorization", "Bearer k1,Bearer k1")], "/"),
        (vec![("authorization", "Digest a, Bearer k1")], "/"),
        (vec![("authorization", "Bearer k1, Digest a")], "/"),
        (vec![("authorization", "Bearer k1"), ("authorization", "Digest a")], "/"),
        (vec![("authorization", "Digest a"), ("authorization", "Bearer k1")], "/"),
        (vec![("authorization", joined.as_str())], "/"),
        (vec![], "/?api-key=k1&api-key=k1"),
        (vec![], "/?api-key=k1&api-key=k2"),
        (vec![("cookie", "api-key=k1; api-key=k1")], "/"),
        (vec![("cookie", "api-key=k1"), ("cookie", "api-key=k2")], "/"),
    ] {
        assert_eq!(found(ALL, &fields, target), "!", "{fields:?} {target}");
    }
}

#[test]
fn a_key_that_only_another_program_would_find_is_several_keys() {
    for target in [
        "/?%61pi-key=k1",
        "/?api%2Dkey=k1",
        "/?api-key%3D=k1&%61pi-key=k1",
        "/?a=b;api-key=k1",
        "/?a=b;api%2dkey=k1",
        "/?+api-key=k1",
        "/?%20api-key=k1",
        "/?api-key=k1;api-key=k2",
    ] {
        assert_eq!(found(ALL, &[], target), "!", "{target}");
        assert_eq!(found(ALL, &[("x-api-key", "k1")], target), "!", "{target}");
    }
    for cookie in [
        "a=b,api-key=k1",
        "%61pi-key=k1",
        "api%2Dkey=k1",
        "\"api-key\"=k1",
        "a=\"x, api-key=k1\"",
        "api-key=\"k1\"",
        "api-key =k1",
    ] {
        assert_eq!(found(ALL, &[("cookie", cookie)], "/"), "!", "{cookie}");
    }
}

#[test]
fn an_escape_is_taken_away_once_and_what_is_none_stays() {
    for (text, plain) in [
        ("k1", "k1"),
        ("%6b%31", "k1"),
        ("%6B1", "k1"),
        ("%2531", "%31"),
        ("%", "%"),
        ("%3", "%3"),
        ("%zz", "%zz"),
        ("%+1", "%+1"),
        ("a%2", "a%2"),
    ] {
        assert_eq!(unescaped(text.as_bytes()), plain.as_bytes(), "{text}");
    }
}

#[test]
fn what_is_no_text_is_a_key_that_cannot_be_known() {
    let inquiry = Inquiry {
        fields: [(&b"x-api-key"[..], &b"k\xff1"[..])].into_iter().collect(),
        ..Inquiry::default()
    };
    let credential = Credential::find(&KeySources::parse(ALL).unwrap(), &inquiry);
    assert_eq!(credential, Credential::One("k\u{fffd}1".into()));
    assert!(!format!("{credential:?}").contains('k'));
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read(
        target in prop::collection::vec(any::<u8>(), 0..40),
        fields in prop::collection::vec(
            (prop::sample::select(vec!["x-api-key", "authorization", "cookie", "x_api_key"]), prop::collection::vec(any::<u8>(), 0..40)),
            0..4,
        ),
    ) {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
        let inquiry = Inquiry { method: "GET", target: &target, fields, peer: None };
        let _found = Credential::find(&KeySources::parse(ALL).unwrap(), &inquiry);
    }

    #[test]
    fn a_second_key_anywhere_is_never_overlooked(place in 0..5_usize, other in 0..5_usize) {
        let basic = [encoded("haplo:k1"), encoded("haplo:k2")];
        let mut fields = Vec::new();
        let mut query = Vec::new();
        for (number, place) in [place, other].into_iter().enumerate() {
            let key = ["k1", "k2"][number];
            match place {
                0 => fields.push(("x-api-key", key.to_owned())),
                1 => fields.push(("authorization", format!("Bearer {key}"))),
                2 => fields.push(("authorization", basic[number].clone())),
                3 => fields.push(("cookie", format!("api-key={key}"))),
                _ => query.push(format!("api-key={key}")),
            }
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        prop_assert_eq!(found(ALL, &fields, &format!("/?{}", query.join("&"))), "!");
    }
}
