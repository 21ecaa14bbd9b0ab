//! How events come into the chain.

use futures_util::future::join_all;
use keyward::rpc::pb::{VerifyAuditRequest, audit_fault::Kind};
use tokio_postgres::types::Type;

use super::{site_with, verdict, verify};
use crate::support::{
    client::{create, new_key},
    operator::Site,
    server::Server,
};

#[tokio::test]
async fn writers_of_several_processes_make_one_chain() {
    let (site, _) = site_with(0).await;
    let other = Server::start(&site.database).await;
    let writers = (0..8).map(|number| {
        let mut admin = if number % 2 == 0 { site.admin() } else { other.admin() };
        async move {
            for _ in 0..10 {
                drop(create(&mut admin, new_key(&format!("Writer {number}"))).await);
            }
        }
    });
    // and who verifies meanwhile finds nothing wrong
    let watching = async {
        for _ in 0..10 {
            let found = verdict(&site).await;
            assert!(found.intact, "{found:?}");
        }
    };
    tokio::join!(join_all(writers), watching);
    let found = verdict(&site).await;
    assert_eq!((found.intact, found.last_number), (true, 81), "{found:?}");
}

#[tokio::test]
async fn a_restored_backup_has_a_whole_chain_that_is_told_from_the_lost_one() {
    let (site, _) = site_with(3).await;
    let before = verdict(&site).await;
    let Site { database, server } = site;
    server.stop().await;
    let restored = database.restored();
    let lost = Site { server: Server::start(&database).await, database };
    drop(create(&mut lost.admin(), new_key("Lost")).await);
    let kept = verdict(&lost).await;

    let site = Site { server: Server::start(&restored).await, database: restored };
    assert_eq!(verdict(&site).await, before);
    let known = VerifyAuditRequest {
        known_number: kept.last_number,
        known_hash: kept.last_hash.clone(),
        ..VerifyAuditRequest::default()
    };
    let mut insight = site.server.insight();
    let (found, _) = verify(&mut insight, known.clone()).await.unwrap();
    assert_eq!(found.fault.unwrap().kind(), Kind::Missing);
    drop(create(&mut site.admin(), new_key("After the restoring")).await);
    let found = verdict(&site).await;
    assert_eq!((found.intact, found.last_number), (true, kept.last_number));
    let (found, _) = verify(&mut insight, known).await.unwrap();
    assert_eq!(found.fault.unwrap().kind(), Kind::Rewritten);
}

/// A program of the version before writes without knowing of the chain, several events at once.
#[tokio::test]
async fn events_of_the_version_before_are_chained_by_the_database() {
    const CONCLUDE: &str = "WITH head AS (
            UPDATE keyward.log_head SET revision = revision + 1, nonce = gen_random_uuid()
            RETURNING revision, nonce
        ), change AS (
            SELECT * FROM unnest($1::text[]) WITH ORDINALITY AS change (subject, position)
        )
        INSERT INTO keyward.audit_event
            (revision, position, occurred_at, actor, peer, action, kind, subject, before, after)
        SELECT head.revision, change.position, now(), 'bootstrap', NULL, 'users.delete', 'user',
            change.subject, '{\"a\": 1.50}', NULL
        FROM head, change";
    let (site, _) = site_with(1).await;
    let client = site.database.connect().await;
    let subjects: Vec<String> = (0..5).map(|number| format!("default/käse-{number}")).collect();
    client.execute_typed(CONCLUDE, &[(&subjects, Type::TEXT_ARRAY)]).await.unwrap();
    drop(create(&mut site.admin(), new_key("Between")).await);
    client.execute_typed(CONCLUDE, &[(&subjects, Type::TEXT_ARRAY)]).await.unwrap();
    let found = verdict(&site).await;
    assert_eq!((found.intact, found.last_number), (true, 13), "{found:?}");
    let unknown = "SELECT count(*) FROM keyward.audit_event WHERE domain IS NULL";
    assert_eq!(site.database.number(unknown).await, 0);
}

#[tokio::test]
async fn more_events_than_are_read_at_once_are_verified_and_told_of() {
    const MANY: &str = "WITH head AS (
            UPDATE keyward.log_head SET revision = revision + 1 RETURNING revision
        )
        INSERT INTO keyward.audit_event
            (revision, position, occurred_at, actor, action, kind, subject)
        SELECT head.revision, number, now(), 'bootstrap', 'groups.delete', 'group', 'default/g'
        FROM head, generate_series(1, 25000) AS number";
    let (site, _) = site_with(0).await;
    site.database.connect().await.batch_execute(MANY).await.unwrap();
    let mut insight = site.server.insight();
    let stream = insight.verify_audit(VerifyAuditRequest::default()).await.unwrap();
    let mut stream = stream.into_inner();
    let mut told = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message.total, 25_001);
        told.push((message.verified, message.verdict.map(|verdict| verdict.intact)));
    }
    assert_eq!(told, [(10_000, None), (20_000, None), (25_001, Some(true))]);
    let (found, verified) = verify(&mut insight, VerifyAuditRequest::default()).await.unwrap();
    assert_eq!((found.last_number, verified), (25_001, 25_001));
}
