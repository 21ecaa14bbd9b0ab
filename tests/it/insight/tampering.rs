//! Whoever has the database may change the record; that is found, and the event is named.

use keyward::rpc::pb::{AuditFault, AuditVerdict, VerifyAuditRequest, audit_fault::Kind};

use super::{site_with, verdict, verify};
use crate::support::{
    client::{create, new_key},
    operator::Site,
};

/// The chain of the tests: one event of `bootstrap` and one for each key.
const EVENTS: usize = 6;

/// What is done to event 3, or as it says; what is found, and of which number, revision and position,
/// counted from those of event 3.
type Case = (&'static str, Kind, (i64, i64, i32));

/// Every column, each changed alone; and what a column can be changed to that is told apart most
/// hardly.
const EDITS: [Case; 25] = [
    ("SET revision = revision + 1000", Kind::OutOfOrder, (3, 1000, 0)),
    ("SET revision = -7", Kind::Edited, (3, i64::MIN, 0)),
    ("SET position = 2", Kind::Edited, (3, 0, 1)),
    ("SET occurred_at = occurred_at + interval '1 microsecond'", Kind::Edited, (3, 0, 0)),
    ("SET occurred_at = 'infinity'", Kind::Edited, (3, 0, 0)),
    ("SET actor = 'bootstrap'", Kind::Edited, (3, 0, 0)),
    ("SET actor = ''", Kind::Edited, (3, 0, 0)),
    ("SET peer = '192.0.2.1'", Kind::Edited, (3, 0, 0)),
    ("SET peer = NULL", Kind::Edited, (3, 0, 0)),
    ("SET peer = ''", Kind::Edited, (3, 0, 0)),
    ("SET action = 'keys.update'", Kind::Edited, (3, 0, 0)),
    ("SET kind = 'user'", Kind::Edited, (3, 0, 0)),
    ("SET subject = subject || ' '", Kind::Edited, (3, 0, 0)),
    ("SET before = after", Kind::Edited, (3, 0, 0)),
    ("SET before = 'null'", Kind::Edited, (3, 0, 0)),
    ("SET after = NULL", Kind::Edited, (3, 0, 0)),
    ("SET after = after || '{\"version\": 2}'", Kind::Edited, (3, 0, 0)),
    ("SET before = after, after = before", Kind::Edited, (3, 0, 0)),
    ("SET domain = 'keyward'", Kind::Edited, (3, 0, 0)),
    ("SET domain = NULL", Kind::Edited, (3, 0, 0)),
    ("SET request_id = 'x'", Kind::Edited, (3, 0, 0)),
    ("SET hash = sha256(hash)", Kind::Edited, (3, 0, 0)),
    ("SET hash = ''", Kind::Edited, (3, 0, 0)),
    ("SET number = 900", Kind::OutOfOrder, (900, 0, 0)),
    ("SET number = -1", Kind::Foreign, (-1, 0, 0)),
];

/// Takes the place in the chain from one event and gives it to another.
const EXCHANGE: &str = "
    UPDATE keyward.audit_event SET number = -3 WHERE number = 3;
    UPDATE keyward.audit_event SET number = 3 WHERE number = 5;
    UPDATE keyward.audit_event SET number = 5 WHERE number = -3";

/// Exchanges the revisions of two events and nothing else.
const EXCHANGE_REVISIONS: &str = "
    UPDATE keyward.audit_event SET revision = revision + 10000 WHERE number IN (3, 5);
    UPDATE keyward.audit_event AS event SET revision = other.revision - 10000
    FROM keyward.audit_event AS other
    WHERE event.number IN (3, 5) AND other.number = 8 - event.number";

/// All else that can be done to rows.
const DEEDS: [Case; 12] = [
    ("DELETE FROM keyward.audit_event WHERE number = 3", Kind::Missing, (3, -1, 0)),
    ("DELETE FROM keyward.audit_event WHERE number IN (3, 4)", Kind::Missing, (3, -1, 0)),
    ("DELETE FROM keyward.audit_event WHERE number = 1", Kind::Missing, (1, i64::MIN, -1)),
    ("DELETE FROM keyward.audit_event WHERE number = 6", Kind::Missing, (6, 2, 0)),
    ("DELETE FROM keyward.audit_event WHERE number > 3", Kind::Missing, (4, 0, 0)),
    ("TRUNCATE keyward.audit_event", Kind::Missing, (1, i64::MIN, -1)),
    (EXCHANGE, Kind::OutOfOrder, (3, 2, 0)),
    (EXCHANGE_REVISIONS, Kind::OutOfOrder, (3, 2, 0)),
    (
        "INSERT INTO keyward.audit_event SELECT (jsonb_populate_record(event,
        '{\"number\": 7, \"revision\": 7}')).* FROM keyward.audit_event AS event WHERE number = 6",
        Kind::Foreign,
        (7, 4, 0),
    ),
    (
        "INSERT INTO keyward.audit_event SELECT (jsonb_populate_record(event,
        '{\"number\": 0, \"position\": 2}')).* FROM keyward.audit_event AS event WHERE number = 3",
        Kind::Foreign,
        (0, 0, 1),
    ),
    ("UPDATE keyward.audit_head SET hash = sha256(hash)", Kind::Head, (6, 3, 0)),
    ("UPDATE keyward.audit_head SET number = 5", Kind::Head, (5, 2, 0)),
];

/// Does something as the superuser, who also keeps triggers from running.
async fn tamper(site: &Site, deed: &str) {
    let client = site.database.connect().await;
    client.batch_execute("SET session_replication_role = replica").await.unwrap();
    client.batch_execute(deed).await.unwrap();
}

/// Keeps the record, and puts it back.
const KEEP: &str = "CREATE TABLE kept_event AS SELECT * FROM keyward.audit_event;
    CREATE TABLE kept_head AS SELECT * FROM keyward.audit_head";
const PUT_BACK: &str = "TRUNCATE keyward.audit_event, keyward.audit_head;
    INSERT INTO keyward.audit_event SELECT * FROM kept_event;
    INSERT INTO keyward.audit_head SELECT * FROM kept_head";

/// The number that a query gives of event 3.
async fn of_third(site: &Site, column: &str) -> i64 {
    let query = format!("SELECT {column}::int8 FROM keyward.audit_event WHERE number = 3");
    site.database.number(&query).await
}

#[tokio::test]
async fn whatever_is_done_to_one_event_is_found_and_the_event_is_named() {
    let (site, _) = site_with(EVENTS - 1).await;
    let whole = verdict(&site).await;
    assert!(whole.intact && whole.last_number == 6, "{whole:?}");
    tamper(&site, KEEP).await;
    let third = (of_third(&site, "revision").await, of_third(&site, "position").await);
    let mut columns = std::collections::BTreeSet::new();
    let edits = EDITS.map(|(edit, kind, named)| {
        columns.insert(edit.split(' ').nth(1).unwrap());
        (format!("UPDATE keyward.audit_event {edit} WHERE number = 3"), kind, named)
    });
    let deeds = DEEDS.map(|(deed, kind, named)| (deed.to_owned(), kind, named));
    for (deed, kind, (number, revisions_after, positions_after)) in edits.into_iter().chain(deeds) {
        tamper(&site, &deed).await;
        let found = verdict(&site).await;
        let fault = found.fault.clone().unwrap_or_default();
        let revision = match (deed.as_str(), revisions_after) {
            (edit, i64::MIN) if edit.contains("revision = -7") => -7,
            (_, i64::MIN) => 0,
            (_, after) => third.0 + after,
        };
        let position = i32::try_from(third.1).unwrap() + positions_after;
        let told = (fault.kind(), fault.number, fault.revision, fault.position);
        assert_eq!(told, (kind, number, revision, position), "{deed}\n{found:?}");
        assert!(!found.intact && !fault.description.is_empty(), "{deed}");
        tamper(&site, PUT_BACK).await;
        assert_eq!(verdict(&site).await, whole, "{deed}");
    }
    let all = "SELECT count(*) FROM information_schema.columns
        WHERE table_schema = 'keyward' AND table_name = 'audit_event'";
    assert_eq!(site.database.number(all).await, i64::try_from(columns.len()).unwrap());
}

#[tokio::test]
async fn nobody_adds_an_event_without_a_change() {
    let (site, _) = site_with(2).await;
    let client = site.database.connect().await;
    let add = "INSERT INTO keyward.audit_event SELECT (jsonb_populate_record(event,
        '{\"number\": 4, \"position\": 2}')).* FROM keyward.audit_event AS event WHERE number = 3";
    let refused = client.batch_execute(add).await.unwrap_err();
    let refused = refused.as_db_error().unwrap().message().to_owned();
    assert!(refused.contains("its own transaction"), "{refused}");
    assert!(verdict(&site).await.intact);
}

#[tokio::test]
async fn a_chain_that_was_written_anew_is_found_by_a_hash_that_was_kept() {
    let (site, _) = site_with(3).await;
    let kept = verdict(&site).await;
    let known = |verdict: &AuditVerdict| VerifyAuditRequest {
        known_number: verdict.last_number,
        known_hash: verdict.last_hash.clone(),
        ..VerifyAuditRequest::default()
    };
    drop(create(&mut site.admin(), new_key("Later")).await);
    let mut insight = site.server.insight();
    let (later, verified) = verify(&mut insight, known(&kept)).await.unwrap();
    assert!(later.intact && verified == 5, "{later:?}");

    // as somebody would who knows how the chain is made
    let rewrite = "UPDATE keyward.audit_event SET actor = 'bootstrap' WHERE number = 3;
        DO $$
        DECLARE
            event keyward.audit_event;
            last bytea := decode(repeat('00', 32), 'hex');
        BEGIN
            FOR event IN SELECT * FROM keyward.audit_event ORDER BY number LOOP
                last := sha256(last || convert_to(keyward.audit_text(event), 'UTF8'));
                UPDATE keyward.audit_event SET hash = last WHERE number = event.number;
            END LOOP;
            UPDATE keyward.audit_head SET hash = last;
        END $$";
    tamper(&site, rewrite).await;
    assert!(verdict(&site).await.intact, "it holds together");
    let (found, _) = verify(&mut insight, known(&kept)).await.unwrap();
    let fault = found.fault.unwrap();
    assert_eq!((fault.kind(), fault.number), (Kind::Rewritten, kept.last_number));

    // events that a restored backup lacks
    tamper(
        &site,
        "DELETE FROM keyward.audit_event WHERE number > 2;
        UPDATE keyward.audit_head SET number = 2, hash = event.hash
        FROM keyward.audit_event AS event WHERE event.number = 2",
    )
    .await;
    assert!(verdict(&site).await.intact);
    let (found, _) = verify(&mut insight, known(&later)).await.unwrap();
    let fault = found.fault.unwrap();
    assert_eq!((fault.kind(), fault.number, fault.missing), (Kind::Missing, 3, 3));
}

#[tokio::test]
async fn some_revisions_are_verified_by_themselves() {
    let (site, made) = site_with(5).await;
    let (first, last) = (made[1].revision, made[3].revision);
    tamper(&site, "UPDATE keyward.audit_event SET actor = 'x' WHERE number IN (1, 6)").await;
    let range = |revision_min, revision_max| VerifyAuditRequest {
        revision_min,
        revision_max,
        ..VerifyAuditRequest::default()
    };
    let mut insight = site.server.insight();
    let (found, _) = verify(&mut insight, range(first, last - 1)).await.unwrap();
    assert_eq!((found.intact, found.fault), (true, None));
    let named = |verdict: AuditVerdict| verdict.fault.map(|AuditFault { number, .. }| number);
    let (found, verified) = verify(&mut insight, range(first, 0)).await.unwrap();
    assert_eq!((named(found), verified), (Some(6), 3));
    let (found, verified) = verify(&mut insight, range(0, last)).await.unwrap();
    assert_eq!((named(found), verified), (Some(1), 0));
    let (found, verified) = verify(&mut insight, range(made[4].revision + 1, 0)).await.unwrap();
    assert_eq!((found.intact, verified), (true, 0));
}
