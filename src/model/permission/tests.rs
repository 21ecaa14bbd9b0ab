use std::collections::HashSet;

use proptest::{collection::hash_set, prelude::*, sample};

use super::*;

fn covers(grant: &str, needed: &str) -> bool {
    Grant::parse(grant).unwrap().covers(Permission::parse(needed).unwrap())
}

#[test]
fn grants_cover_what_the_grammar_says() {
    for (grant, needed, expected) in [
        ("systems.read", "systems.read", true),
        ("systems", "systems", true),
        ("systems", "systems.read", true),
        ("systems", "systems.zones.write", true),
        ("systems", "system", false),
        ("systems", "systemsx.read", false),
        ("systems.read", "systems", false),
        ("systems.read", "systems.write", false),
        ("*.read", "systems.read", true),
        ("*.read", "systems.read.own", true),
        ("*.read", "systems.zones.read", false),
        ("*.read", "read", false),
        ("systems.*.read", "systems.zones.read", true),
        ("systems.*", "systems", false),
        ("*", "systems", true),
        ("*", "systems.zones.write", true),
        ("public", "systems.write", true),
        ("public.read", "systems.read", true),
        ("public.read", "systems.write", false),
        ("public.write", "systems.write", true),
    ] {
        assert_eq!(covers(grant, needed), expected, "{grant} {needed}");
    }
}

#[test]
fn a_wild_word_is_covered_by_a_wild_word_alone() {
    let grant = |text| Grant::parse(text).unwrap();
    for (wide, narrow, expected) in [
        ("systems", "systems.read", true),
        ("systems", "systems.*", true),
        ("*", "public", true),
        ("*.read", "public.read", true),
        ("systems.read", "*.read", false),
        ("systems", "*", false),
        ("*.*", "*", false),
        ("keyward", "keyward.keys.read", true),
    ] {
        assert_eq!(grant(wide).covers_grant(&grant(narrow)), expected, "{wide} {narrow}");
    }
}

#[test]
fn other_texts_are_refused() {
    use InvalidPermission::{Alias, PartOfWord, Size, Word};
    let deep = ["a"; 17].join(".");
    let long = "a".repeat(201);
    for (text, expected) in [
        ("", Size),
        (&deep, Size),
        (&long, Size),
        (".", Word),
        ("a..b", Word),
        ("a.", Word),
        ("A", Word),
        ("a b", Word),
        ("sÿstems", Word),
        ("sys*", PartOfWord),
        ("**", PartOfWord),
        ("public.systems", Alias),
        ("public.*", Alias),
    ] {
        assert_eq!(Grant::parse(text), Err(expected), "{text}");
    }
    assert_eq!(Permission::parse("*.read"), Err(Word));
    assert_eq!(Grants::parse(&["a", "b", "a"]), Err((2, InvalidPermission::Duplicate)));
    assert_eq!(Grants::parse(&["a", ".", "a"]), Err((1, Word)));
}

#[test]
fn grants_meet_where_both_cover() {
    let grant = |text| Grant::parse(text).unwrap();
    for (one, other, expected) in [
        ("systems", "systems", Some("systems")),
        ("systems", "*.read", Some("systems.read")),
        ("systems", "public.read", Some("systems.read")),
        ("*", "systems.zones", Some("systems.zones")),
        ("public", "systems", Some("systems")),
        ("*", "public.write", Some("public.write")),
        ("*.*", "public.write", Some("public.write")),
        ("*", "*.*", Some("*.*")),
        ("a.b", "a.*.c", Some("a.b.c")),
        ("a.*.c", "*.b.*.d", Some("a.b.c.d")),
        ("a.b", "a.c", None),
        ("*.read", "systems.write", None),
        ("public.read", "public.write", None),
        ("a.b.c", "a.*.d", None),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let met = grant(one).meet(&grant(other));
            assert_eq!(met.as_ref().map(Grant::as_str), expected, "{one} {other}");
        }
    }
    // of two texts for one pattern, the own one stays
    assert_eq!(grant("public").meet(&grant("*")), Some(grant("public")));
    assert_eq!(grant("*").meet(&grant("public")), Some(grant("*")));
}

#[test]
fn grants_that_only_too_long_permissions_would_need_meet_nowhere() {
    let grant = |text: &str| Grant::parse(text).unwrap();
    let (one, other) = ("a".repeat(100), "b".repeat(99));
    let met = grant(&format!("{one}.*")).meet(&grant(&format!("*.{other}")));
    assert_eq!(met, Some(grant(&format!("{one}.{other}"))));
    let met = grant(&format!("{one}.*")).meet(&grant(&format!("*.{other}b")));
    assert_eq!(met, None);
}

#[test]
fn no_grants_are_empty() {
    assert!(Grants::default().is_empty());
    assert!(!Grants::parse(&["a"]).unwrap().is_empty());
}

#[test]
fn an_action_is_read_or_write() {
    use InvalidPermission::{Size, Word};
    for (text, read, write) in [
        ("systems.{action}", "systems.read", "systems.write"),
        ("{action}", "read", "write"),
        ("a.{action}.b.{action}", "a.read.b.read", "a.write.b.write"),
        ("files.read", "files.read", "files.read"),
    ] {
        let permission = ActionPermission::parse(text).unwrap();
        assert_eq!(permission.as_str(), text);
        assert_eq!([permission.read().as_str(), permission.write().as_str()], [read, write]);
    }
    let long = format!("{}.{{action}}", "a".repeat(195));
    for (text, expected) in [
        ("", Size),
        (&long, Size),
        ("a.*", Word),
        ("a{action}", Word),
        ("a.{action", Word),
        ("a.{Action}", Word),
        ("a.{other}", Word),
        ("a..{action}", Word),
    ] {
        assert_eq!(ActionPermission::parse(text), Err(expected), "{text}");
    }
}

/// The shipped aliases, as the documentation says what they mean.
fn without_alias(grant: &str) -> String {
    match grant {
        "public" | "public.read" | "public.write" => grant.replacen("public", "*", 1),
        _ => grant.into(),
    }
}

/// Every permission of a few words that a grant covers, written out.
fn expanded(grant: &str) -> HashSet<String> {
    let mut all = vec![Vec::new()];
    for word in without_alias(grant).split('.') {
        let words = if word == "*" { &ALPHABET[..] } else { &[word] };
        all = words
            .iter()
            .flat_map(|word| {
                all.iter().map(|known| [known.as_slice(), &[(*word).to_owned()]].concat())
            })
            .collect();
    }
    let mut found = HashSet::new();
    while !all.is_empty() {
        found.extend(all.iter().map(|words: &Vec<String>| words.join(".")));
        all.retain(|words| words.len() < WORDS);
        all = ALPHABET
            .iter()
            .flat_map(|word| {
                all.iter().map(|known| [known.as_slice(), &[(*word).to_owned()]].concat())
            })
            .collect();
    }
    found
}

/// All words of the permissions in these tests, with those of the aliases.
const ALPHABET: [&str; 4] = ["a", "b", "read", "write"];
/// How many words these permissions have at most.
const WORDS: usize = 4;

fn every_permission() -> HashSet<String> {
    expanded("*")
}

fn any_grant() -> impl Strategy<Value = String> {
    let words = prop::collection::vec(sample::select(vec!["a", "b", "read", "write", "*"]), 1..4);
    let alias = sample::select(vec!["public", "public.read", "public.write"]);
    prop_oneof![6 => words.prop_map(|words| words.join(".")), 1 => alias.prop_map(String::from)]
}

fn covered_by(covers: impl Fn(Permission<'_>) -> bool) -> HashSet<String> {
    let all = every_permission().into_iter();
    all.filter(|needed| covers(Permission::parse(needed).unwrap())).collect()
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[ab]", Just(String::from("*"))], 1..4)
        .prop_map(|words| words.join("."))
}

proptest! {
    #[test]
    fn a_grant_covers_a_grant_only_if_it_covers_all_that_it_covers(
        wide in pattern(), narrow in pattern(), needed in "[abc](\\.[abc]){0,4}",
    ) {
        let (wide, narrow) = (Grant::parse(&wide).unwrap(), Grant::parse(&narrow).unwrap());
        let needed = Permission::parse(&needed).unwrap();
        if wide.covers_grant(&narrow) && narrow.covers(needed) {
            prop_assert!(wide.covers(needed));
        }
    }

    #[test]
    fn one_more_grant_never_turns_yes_into_no(
        first in pattern(), more in pattern(), needed in "[abc](\\.[abc]){0,4}",
    ) {
        prop_assume!(first != more);
        let needed = Permission::parse(&needed).unwrap();
        let one = Grants::parse(&[&first]).unwrap();
        let two = Grants::parse(&[&first, &more]).unwrap();
        prop_assert!(!one.cover(needed) || two.cover(needed));
    }

    #[test]
    fn a_longer_grant_never_covers_more(grant in pattern(), word in "[ab*]", needed in "[abc](\\.[abc]){0,4}") {
        let needed = Permission::parse(&needed).unwrap();
        let narrower = Grant::parse(&format!("{grant}.{word}")).unwrap();
        prop_assert!(!narrower.covers(needed) || Grant::parse(&grant).unwrap().covers(needed));
    }

    #[test]
    fn a_grant_covers_what_its_words_expand_to(grant in any_grant()) {
        let parsed = Grant::parse(&grant).unwrap();
        prop_assert_eq!(covered_by(|needed| parsed.covers(needed)), expanded(&grant));
    }

    #[test]
    fn a_meet_covers_exactly_what_both_cover(one in any_grant(), other in any_grant()) {
        let met = Grant::parse(&one).unwrap().meet(&Grant::parse(&other).unwrap());
        let covered = covered_by(|needed| met.as_ref().is_some_and(|met| met.covers(needed)));
        let (one, other) = (expanded(&one), expanded(&other));
        prop_assert_eq!(covered, one.intersection(&other).cloned().collect());
    }

    #[test]
    fn a_meet_is_a_grant_that_both_sides_cover(one in any_grant(), other in any_grant()) {
        let (one, other) = (Grant::parse(&one).unwrap(), Grant::parse(&other).unwrap());
        if let Some(met) = one.meet(&other) {
            prop_assert!(one.covers_grant(&met) && other.covers_grant(&met));
            prop_assert_eq!(Grant::parse(met.as_str()), Ok(met));
        }
    }

    #[test]
    fn what_a_key_and_its_user_share_never_widens(
        own in hash_set(any_grant(), 0..4), users in hash_set(any_grant(), 0..4),
    ) {
        let own = Grants::parse(&Vec::from_iter(own)).unwrap();
        let users = Grants::parse(&Vec::from_iter(users)).unwrap();
        let shared: Vec<Grant> = own.0.iter()
            .flat_map(|grant| users.0.iter().filter_map(|other| grant.meet(other)))
            .collect();
        prop_assert_eq!(
            covered_by(|needed| shared.iter().any(|grant| grant.covers(needed))),
            covered_by(|needed| own.cover(needed) && users.cover(needed))
        );
    }

    #[test]
    fn a_wild_word_is_any_one_word_and_no_other_word_is_wild(
        words in prop::collection::vec("[a-z0-9_-]{1,3}", 1..5),
        place: sample::Index,
        other in "[a-z0-9_-]{1,4}",
        wild: bool,
    ) {
        let place = place.index(words.len());
        let with = |word: &str| {
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            words[place] = word;
            words.join(".")
        };
        prop_assume!(words[0] != "public");
        let grant = if wild { with("*") } else { words.join(".") };
        let covered = covers(&grant, &with(&other));
        prop_assert_eq!(covered, wild || other == words[place]);
        // never two words, never none
        let two = with(&format!("{other}.{other}"));
        let same = grant.split('.').zip(two.split('.')).all(|(a, b)| a == "*" || a == b);
        prop_assert_eq!(covers(&grant, &two), same);
        let none: Vec<&str> = grant.split('.').skip(1).collect();
        prop_assert!(none.is_empty() || !covers(&grant, &none.join(".").replace('*', "x")));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        if let Ok(grant) = Grant::parse(&text) {
            prop_assert_eq!(grant.as_str(), text);
        }
    }
}

#[test]
fn words_that_only_begin_alike_leave_nothing_that_both_grants_cover() {
    let grant = |text| Grant::parse(text).unwrap();
    for (one, other) in [("systems", "system"), ("a.systems", "a.sys"), ("*.read", "a.reads")] {
        assert_eq!(grant(one).meet(&grant(other)), None, "{one} {other}");
        assert_eq!(grant(other).meet(&grant(one)), None, "{other} {one}");
    }
}
