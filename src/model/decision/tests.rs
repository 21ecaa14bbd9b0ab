//! What is noted can be read again, and filters show what they say.

use proptest::prelude::*;

use super::{page::TEXT_BYTES_MAX, *};
use crate::model::{
    audit::FilterText,
    fixture::{NOW, id, now_plus},
    name::DomainName,
};

fn entry() -> Entry<'static> {
    Entry {
        time: NOW,
        id: DecisionId { thread: 7, count: 9 },
        reason: "ROUTE_DENIED",
        key: Some(id(3)),
        domain: "red",
        environment: "production",
        user: "ida",
        customer: "acme",
        method: "GET",
        route: "/systems/1",
        permission: "systems.read",
        limit: "user/hourly",
        address: Some("192.0.2.7".parse().unwrap()),
        way: Way::Stream,
        revision: 12,
    }
}

proptest! {
    #[test]
    fn an_id_that_was_shown_or_stored_can_be_read_again(thread: u64, count: u64, shift in 0..64_u32) {
        let id = DecisionId { thread, count: count >> shift };
        prop_assert_eq!(DecisionId::parse(&id.to_string()), Ok(id));
        prop_assert_eq!(DecisionId::from_bytes(id.bytes()), id);
    }

    #[test]
    fn any_text_is_an_id_or_an_error(text in "(dec_)?[0-9a-g]{0,34}") {
        if let Ok(id) = DecisionId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_pushed_is_read_again_but_for_what_no_database_bears(
        texts in prop::collection::vec("\\PC{0,40}|.{0,600}", 1..20),
    ) {
        let mut page = Page::default();
        for text in &texts {
            page.push(&Entry { route: text, limit: "", ..entry() });
        }
        prop_assert_eq!(page.len(), texts.len());
        for (read, text) in page.entries().zip(&texts) {
            let clean = |char: char| if char.is_control() { '\u{fffd}' } else { char };
            let clean: String = text.chars().map(clean).collect();
            prop_assert!(clean.starts_with(read.route) && read.route.len() <= TEXT_BYTES_MAX);
            prop_assert!(read.route.len() == clean.len() || read.route.len() > TEXT_BYTES_MAX - 4);
            let (route, expected) = (read.route, Entry { limit: "", ..entry() });
            prop_assert_eq!(read, Entry { route, ..expected });
        }
    }
}

#[test]
fn ways_are_stored_by_their_names() {
    for way in Way::ALL {
        assert_eq!(Way::from_stored(way.as_str()), way);
    }
}

fn text(text: &str) -> FilterText {
    FilterText::parse(text).unwrap()
}

fn domains(names: &[&str]) -> Vec<DomainName> {
    names.iter().map(|name| DomainName::parse(name).unwrap()).collect()
}

#[test]
fn a_filter_shows_what_has_all_that_it_names() {
    let none = DecisionFilter::default;
    let network = |text: &str| Some(text.parse().unwrap());
    for (filter, shows) in [
        (none(), true),
        (DecisionFilter { domains: Some(domains(&["blue", "red"])), ..none() }, true),
        (DecisionFilter { domains: Some(domains(&["blue"])), ..none() }, false),
        (DecisionFilter { domains: Some(domains(&[])), ..none() }, false),
        (DecisionFilter { key: Some(id(3)), ..none() }, true),
        (DecisionFilter { key: Some(id(4)), ..none() }, false),
        (DecisionFilter { user: Some(text("ida")), ..none() }, true),
        (DecisionFilter { user: Some(text("id")), ..none() }, false),
        (DecisionFilter { customer: Some(text("acme")), ..none() }, true),
        (DecisionFilter { customer: Some(text("Acme")), ..none() }, false),
        (DecisionFilter { environment: Some(text("production")), ..none() }, true),
        (DecisionFilter { environment: Some(text("staging")), ..none() }, false),
        (DecisionFilter { verdict: Some(Verdict::Denied), ..none() }, true),
        (DecisionFilter { verdict: Some(Verdict::Allowed), ..none() }, false),
        (DecisionFilter { reason: Some("ROUTE_DENIED".into()), ..none() }, true),
        (DecisionFilter { reason: Some("KEY_UNKNOWN".into()), ..none() }, false),
        (DecisionFilter { route_prefix: Some(text("/systems")), ..none() }, true),
        (DecisionFilter { route_prefix: Some(text("systems")), ..none() }, false),
        (DecisionFilter { network: network("192.0.2.0/24"), ..none() }, true),
        (DecisionFilter { network: network("192.0.3.0/24"), ..none() }, false),
        (DecisionFilter { id: Some(entry().id), ..none() }, true),
        (DecisionFilter { id: Some(DecisionId { thread: 7, count: 8 }), ..none() }, false),
        (DecisionFilter { start: Some(NOW), end: Some(now_plus(1)), ..none() }, true),
        (DecisionFilter { start: Some(now_plus(1)), ..none() }, false),
        (DecisionFilter { end: Some(NOW), ..none() }, false),
        (DecisionFilter { key: Some(id(3)), user: Some(text("ada")), ..none() }, false),
    ] {
        assert_eq!(filter.shows(&entry()), shows, "{filter:?}");
    }
}
