//! Properties of the chain, without a database.

use proptest::prelude::*;

use super::*;

/// A whole chain of these contents, one event for each revision.
fn chain(contents: &[String]) -> (Vec<Link>, Head) {
    let mut hash = ChainHash::START;
    let links: Vec<_> = contents
        .iter()
        .zip(1_i64..)
        .map(|(content, number)| {
            hash = hash.next(content);
            let name = EventName { number, revision: number + 10, position: 1 };
            Link { name, hash: Some(hash), content: content.clone() }
        })
        .collect();
    let number = i64::try_from(links.len()).unwrap();
    (links, Head { number, hash: Some(hash), beyond: None })
}

fn walk(links: &[Link], head: &Head, known: Option<KnownSeal>) -> Result<i64, Fault> {
    let mut walk = Walk::after(Seal::START, known);
    links.iter().try_for_each(|link| walk.step(link))?;
    walk.finish(head)?;
    Ok(walk.verified())
}

fn contents() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,8}", 2..12)
}

proptest! {
    #[test]
    fn a_chain_that_nobody_touched_holds(contents in contents(), known in any::<prop::sample::Index>()) {
        let (links, head) = chain(&contents);
        let link = &links[known.index(links.len())];
        let known = KnownSeal { number: link.name.number, hash: link.hash.unwrap() };
        prop_assert_eq!(walk(&links, &head, None), Ok(head.number));
        prop_assert_eq!(walk(&links, &head, Some(known)), Ok(head.number));
    }

    #[test]
    fn an_edited_event_is_named(contents in contents(), at in any::<prop::sample::Index>(), other in ".{0,8}") {
        let (mut links, head) = chain(&contents);
        let at = at.index(links.len());
        prop_assume!(links[at].content != other);
        links[at].content = other;
        let fault = Fault { wrong: Wrong::Edited, event: links[at].name };
        prop_assert_eq!(walk(&links, &head, None), Err(fault));
    }

    #[test]
    fn a_removed_event_is_named(contents in contents(), at in any::<prop::sample::Index>()) {
        let (mut links, head) = chain(&contents);
        let at = at.index(links.len());
        let gone = links.remove(at);
        let before = at.checked_sub(1).map_or(Seal::START.name, |at| links[at].name);
        let event = EventName { number: gone.name.number, ..before };
        let fault = Fault { wrong: Wrong::Missing { count: 1 }, event };
        prop_assert_eq!(walk(&links, &head, None), Err(fault));
    }

    #[test]
    fn exchanged_events_are_found_at_the_first(
        contents in contents(), one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
    ) {
        let (mut links, head) = chain(&contents);
        let (one, other) = (one.index(links.len()), other.index(links.len()));
        prop_assume!(links[one].content != links[other].content);
        let (low, high) = (one.min(other), one.max(other));
        let content = links[low].content.clone();
        links[low].content = std::mem::replace(&mut links[high].content, content);
        let fault = Fault { wrong: Wrong::Edited, event: links[low].name };
        prop_assert_eq!(walk(&links, &head, None), Err(fault));
    }

    #[test]
    fn a_chain_that_was_made_anew_is_found_by_a_known_hash(contents in contents(), other in ".{0,8}") {
        let (links, head) = chain(&contents);
        prop_assume!(contents[0] != other);
        let mut changed = contents;
        changed[0] = other;
        let (rewritten, new_head) = chain(&changed);
        let known = KnownSeal { number: head.number, hash: head.hash.unwrap() };
        prop_assert_eq!(walk(&rewritten, &new_head, None), Ok(head.number));
        let event = links.last().unwrap().name;
        let fault = Fault { wrong: Wrong::Rewritten, event };
        prop_assert_eq!(walk(&rewritten, &new_head, Some(known)), Err(fault));
    }

    #[test]
    fn contents_that_differ_are_hashed_differently(
        one in prop::collection::vec(prop::option::of("[0-9:-]{0,3}"), 3),
        other in prop::collection::vec(prop::option::of("[0-9:-]{0,3}"), 3),
    ) {
        let joined = |fields: &[Option<String>]| content(fields.iter().map(Option::as_deref));
        prop_assert_eq!(one == other, joined(&one) == joined(&other));
    }

    #[test]
    fn any_text_is_a_hash_that_shows_so_or_is_refused(text in "[0-9a-fA-F]{62,66}|.{0,70}") {
        if let Ok(hash) = ChainHash::parse(&text) {
            prop_assert_eq!(hash.to_string(), text);
        }
    }
}

#[test]
fn a_hash_is_that_of_the_hash_before_and_the_content() {
    assert_eq!(content([Some("Käse"), None, Some("")]), "4:Käse-0:");
    // sha256sum of 32 zero bytes and `1:a`
    let first = ChainHash::START.next("1:a").to_string();
    assert_eq!(first, "4817633dd6a5b455859e77a978c8959d1814079d8e1036c1690b6baf83184e1b");
}

#[test]
fn a_wrong_end_is_found() {
    let (links, head) = chain(&["a".into(), "b".into(), "c".into()]);
    let last = links[2].name;
    let truncated = Fault {
        wrong: Wrong::Missing { count: 1 },
        event: EventName { number: 3, ..links[1].name },
    };
    assert_eq!(walk(&links[..2], &head, None), Err(truncated));
    for wrong_head in [
        Head { number: 2, ..head },
        Head { hash: Some(ChainHash::START), ..head },
        Head { hash: None, ..head },
    ] {
        let fault = Fault { wrong: Wrong::Head, event: last };
        assert_eq!(walk(&links, &wrong_head, None), Err(fault));
    }
    let stranger = EventName { number: 4, revision: 20, position: 1 };
    let longer = Head { beyond: Some(stranger), ..head };
    let fault = Fault { wrong: Wrong::Foreign, event: stranger };
    assert_eq!(walk(&links, &longer, None), Err(fault));
    let known = KnownSeal { number: 5, hash: ChainHash::START };
    let gone = Fault { wrong: Wrong::Missing { count: 2 }, event: EventName { number: 4, ..last } };
    assert_eq!(walk(&links, &head, Some(known)), Err(gone));
}

#[test]
fn events_of_a_number_that_was_and_of_an_earlier_revision_are_found() {
    let (mut links, head) = chain(&["a".into(), "b".into()]);
    let twice = [links[0].clone(), links[0].clone(), links[1].clone()];
    let fault = Fault { wrong: Wrong::Foreign, event: links[0].name };
    assert_eq!(walk(&twice, &head, None), Err(fault));
    links[1].name.revision = 3;
    let fault = Fault { wrong: Wrong::OutOfOrder, event: links[1].name };
    assert_eq!(walk(&links, &head, None), Err(fault));
}
