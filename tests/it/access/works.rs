//! What is the same for things of every kind: making, reading, changing and removing one.

use std::slice::from_ref;

use keyward::{clock, rpc::pb};
use tonic::Code;

use super::{Event, Removable, Thing, events, made};
use crate::support::{
    client::{Access, assert_status},
    operator::Site,
};

/// Runs a generic test for each of the kinds.
macro_rules! for_kinds {
    ($test:ident: $($name:ident $thing:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            $test::<pb::$thing>().await;
        }
    )*};
}

fn reason<T: Thing>(what: &str) -> String {
    format!("{}_{what}", T::FIELD.to_uppercase())
}

/// `expected` with the times and the etag that it was given.
fn with_record_of<T: Thing>(mut expected: T, shown: &T) -> T {
    let mut shown = shown.clone();
    let (made, changed, etag) = shown.record();
    let (expected_made, expected_changed, expected_etag) = expected.record();
    *expected_made = *made;
    *expected_changed = *changed;
    expected_etag.clone_from(etag);
    expected
}

fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.expect("a time is shown");
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1000
}

async fn events_of<T: Thing>(site: &Site, thing: &T) -> Vec<Event> {
    events(site, T::FIELD, &thing.subject()).await
}

/// That the thing, its row and its events are as before.
async fn assert_untouched<T: Thing>(site: &Site, thing: &T, before: &[Event]) {
    assert_eq!(thing.get(&mut site.server.access()).await.unwrap(), *thing);
    assert_eq!(events_of(site, thing).await, before);
}

async fn creating<T: Thing>() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let whole = T::whole(&site).await;

    // tried only
    let (shown, revision) = whole.create(access, true).await.unwrap();
    assert_eq!(shown, with_record_of(whole.clone(), &shown));
    assert!(revision > 0);
    assert_status(whole.get(access).await, Code::NotFound, &reason::<T>("NOT_FOUND"));
    assert_eq!(events_of(&site, &whole).await, []);

    // what is output only is ignored
    let mut sent = whole.clone();
    *sent.record().2 = "anything".into();
    *sent.record().0 = Some(prost_types::Timestamp { seconds: -1, nanos: -1 });
    let earliest = clock::wall().micros();
    let (shown, revision) = sent.create(access, false).await.unwrap();
    let expected = with_record_of(whole.clone(), &shown);
    assert_eq!(shown, expected);
    let (made, changed, etag) = sent.record();
    (*made, *changed) = (*shown.clone().record().0, *shown.clone().record().1);
    assert_eq!(micros(*made), micros(*changed));
    assert!((earliest..=clock::wall().micros()).contains(&micros(*made)));
    assert_ne!(shown.clone().record().2, etag);
    assert_eq!(shown.get(access).await.unwrap(), shown);
    let action = format!("{}s.create", T::FIELD);
    let event = (action, revision, None, Some(shown.snapshot()));
    assert_eq!(events_of(&site, &whole).await, *from_ref(&event));

    // again, with other values
    let again = shown.other(&site).await.create(access, false).await;
    assert_status(again, Code::AlreadyExists, &reason::<T>("EXISTS"));
    assert_untouched(&site, &shown, from_ref(&event)).await;
}

for_kinds! { creating:
    a_domain_is_made_once_as_asked Domain;
    an_environment_is_made_once_as_asked Environment;
    a_user_is_made_once_as_asked User;
    a_group_is_made_once_as_asked PermissionGroup;
    a_template_is_made_once_as_asked Template;
    a_customer_is_made_once_as_asked Customer;
}

async fn creating_at_once<T: Thing>() {
    let site = Site::shared();
    let whole = T::whole(&site).await;
    let calls = (0..4)
        .map(|_| site.server.access())
        .map(async |mut access: Access| whole.create(&mut access, false).await);
    let results = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{lost:?}");
    for result in lost {
        assert_status(result, Code::AlreadyExists, &reason::<T>("EXISTS"));
    }
    assert_eq!(events_of(&site, &whole).await.len(), 1);
}

for_kinds! { creating_at_once:
    of_several_who_make_a_domain_one_wins Domain;
    of_several_who_make_a_user_one_wins User;
    of_several_who_make_a_group_one_wins PermissionGroup;
    of_several_who_make_a_template_one_wins Template;
    of_several_who_make_a_customer_one_wins Customer;
}

async fn updating<T: Thing>() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut known = made(&site, T::whole(&site).await).await;
    let mut expected_events = events_of(&site, &known).await;
    let other = known.other(&site).await;
    for path in T::PATHS {
        let mut wanted = known.clone();
        wanted.take(path, &other);
        assert_ne!(wanted, known, "{path}");
        // tried only
        let mut sent = other.clone();
        sent.record().2.clone_from(known.record().2);
        let (shown, _) = sent.update(access, &[path], true).await.unwrap();
        assert_eq!(shown, with_record_of(wanted.clone(), &shown), "{path}");
        assert_untouched(&site, &known, &expected_events).await;

        // all of `other` is sent, and one field is named
        let (mut shown, revision) = sent.update(access, &[path], false).await.unwrap();
        assert_eq!(shown, with_record_of(wanted, &shown), "{path}");
        assert_eq!(shown.record().0, known.record().0);
        assert_ne!(shown.record().2, known.record().2);
        assert!(micros(*shown.record().1) > micros(*known.record().1));
        assert_eq!(shown.get(access).await.unwrap(), shown);
        let action = format!("{}s.update", T::FIELD);
        let (before, after) = (Some(known.snapshot()), Some(shown.snapshot()));
        expected_events.push((action, revision, before, after));
        assert_eq!(events_of(&site, &known).await, expected_events);

        // the same once more leaves no trace, with any number of names for it
        let (again, later) = shown.update(access, &[path, path], false).await.unwrap();
        assert_eq!(again, shown);
        assert!(later >= revision);
        assert_untouched(&site, &shown, &expected_events).await;

        // what was seen before is stale
        let stale = known.update(access, &[path], false).await;
        assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
        let stale = known.update(access, &[path], true).await;
        assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
        assert_untouched(&site, &shown, &expected_events).await;
        known = shown;
    }
    // all at once, without an etag
    let new = T::whole(&site).await;
    let mut sent = known.clone();
    sent.record().2.clear();
    for path in T::PATHS {
        sent.take(path, &new);
    }
    let (shown, revision) = sent.update(access, T::PATHS, false).await.unwrap();
    assert_eq!(shown, with_record_of(sent, &shown));
    assert_eq!(shown.get(access).await.unwrap(), shown);
    assert_eq!(events_of(&site, &shown).await.last().unwrap().1, revision);

    let result = new.update(access, &["description"], false).await;
    assert_status(result, Code::NotFound, &reason::<T>("NOT_FOUND"));
}

for_kinds! { updating:
    a_domain_changes_in_the_fields_that_are_named Domain;
    an_environment_changes_in_the_fields_that_are_named Environment;
    a_user_changes_in_the_fields_that_are_named User;
    a_group_changes_in_the_fields_that_are_named PermissionGroup;
    a_template_changes_in_the_fields_that_are_named Template;
    a_customer_changes_in_the_fields_that_are_named Customer;
}

async fn deleting<T: Removable>() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut first = made(&site, T::whole(&site).await).await;
    let (present, _) = {
        let mut sent = first.clone();
        sent.take("description", &first.other(&site).await);
        sent.update(access, &["description"], false).await.unwrap()
    };
    let mut expected_events = events_of(&site, &present).await;
    // seen before the change
    for validate_only in [true, false] {
        let stale = first.delete(access, validate_only).await;
        assert_status(stale, Code::Aborted, "ETAG_MISMATCH");
    }
    // tried only
    assert!(present.delete(access, true).await.unwrap() > 0);
    assert_untouched(&site, &present, &expected_events).await;

    let revision = present.delete(access, false).await.unwrap();
    let action = format!("{}s.delete", T::FIELD);
    expected_events.push((action, revision, Some(present.snapshot()), None));
    assert_eq!(events_of(&site, &present).await, expected_events);
    let not_found = reason::<T>("NOT_FOUND");
    assert_status(present.get(access).await, Code::NotFound, &not_found);
    let update = present.update(access, &["description"], false).await;
    assert_status(update, Code::NotFound, &not_found);
    for validate_only in [true, false] {
        let delete = present.delete(access, validate_only).await;
        assert_status(delete, Code::NotFound, &not_found);
    }
    assert_eq!(events_of(&site, &present).await, expected_events);

    // its name may be taken again, and what was seen of the old one is not the new one
    let mut new = made(&site, first.clone()).await;
    assert_eq!(new, with_record_of(first.clone(), &new));
    assert!(micros(*new.record().0) > micros(*first.record().0));
    assert_status(first.delete(access, false).await, Code::Aborted, "ETAG_MISMATCH");
    let update = first.update(access, &["description"], false).await;
    assert_status(update, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(new.get(access).await.unwrap(), new);
}

for_kinds! { deleting:
    an_environment_is_removed_and_its_name_is_free Environment;
    a_user_is_removed_and_its_id_is_free User;
    a_group_is_removed_and_its_name_is_free PermissionGroup;
    a_template_is_removed_and_its_name_is_free Template;
    a_customer_is_removed_and_its_id_is_free Customer;
}
