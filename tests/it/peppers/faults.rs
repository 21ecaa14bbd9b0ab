//! Crashes and outages in the middle, and imports meanwhile.

use keyward::rpc::pb::{
    self, ImportKeyItem, ImportKeysOptions, ImportKeysRequest, JobState, LookupKeyRequest,
};
use ring::digest::{SHA256, digest as sha256};
use rustix::process::{Signal, kill_process};
use tokio_stream::iter;

use super::{Files, NEW, OLD, assert_audit_whole, digest, id, keys_of, until_keys_of};
use crate::{
    faults::pid,
    support::{
        client::{create, may_read, new_key},
        database::{Cluster, Database},
        eventually,
        server::Server,
    },
};

/// Imports these items and waits for the end; how many were done and skipped.
async fn import(server: &Server, items: &[ImportKeyItem]) -> (i64, i64) {
    let options = ImportKeysOptions {
        environment: "production".into(),
        permissions: vec!["systems.read".into()],
        ..ImportKeysOptions::default()
    };
    let messages = [
        ImportKeysRequest { options: Some(options), items: Vec::new() },
        ImportKeysRequest { options: None, items: items.to_vec() },
    ];
    let mut answers = server.admin().import_keys(iter(messages)).await.unwrap().into_inner();
    let mut begun = None;
    while let Some(answer) = answers.message().await.unwrap() {
        begun = answer.job;
    }
    let id = begun.unwrap().id;
    let ended = eventually("the import ends", async || {
        let request = pb::GetJobRequest { id: id.clone() };
        let job = server.insight().get_job(request).await.unwrap().into_inner().job.unwrap();
        job.finish_time.is_some().then_some(job)
    })
    .await;
    assert_eq!(ended.state(), JobState::Succeeded);
    (ended.done, ended.skipped)
}

fn item(token: &str) -> ImportKeyItem {
    ImportKeyItem {
        display_name: "Imported".into(),
        sha256: sha256(&SHA256, token.as_bytes()).as_ref().to_vec(),
        ..ImportKeyItem::default()
    }
}

#[tokio::test]
async fn a_token_is_imported_once_whichever_pepper_it_is_digested_with() {
    let (database, files) = (Database::new(), Files::new("imports"));
    let first = files.server(&database, &[OLD, NEW]).await;
    let second = files.server(&database, &[NEW, OLD]).await;
    assert_eq!(import(&first, &[item("legacy-1"), item("legacy-2")]).await, (2, 0));
    assert_eq!(import(&second, &[item("legacy-2"), item("legacy-3")]).await, (1, 1));
    assert_eq!(import(&first, &[item("legacy-3"), item("legacy-1")]).await, (0, 2));
    for server in [&first, &second] {
        for token in ["legacy-1", "legacy-2", "legacy-3"] {
            server.asker().until(token, "ALLOWED").await;
            let found = server.admin().lookup_key(LookupKeyRequest { token: token.into() }).await;
            assert_eq!(found.unwrap().into_inner().key.unwrap().display_name, "Imported");
        }
    }
}

#[tokio::test]
async fn what_a_killed_replica_did_not_store_is_stored_by_the_next_use() {
    let (database, files) = (Database::new(), Files::new("killed"));
    let server = files.server(&database, &[OLD]).await;
    let items: Vec<_> = (0..3_000).map(|n| item(&format!("crash-{n}"))).collect();
    for items in items.chunks(1_000) {
        assert_eq!(import(&server, items).await.0, 1_000);
    }
    drop(server);
    let server = files.server(&database, &[NEW, OLD]).await;
    let mut asker = server.asker();
    for number in 0..3_000 {
        asker.0.authorize(may_read(&format!("crash-{number}"))).await.unwrap();
    }
    eventually("some are stored", async || (keys_of(&database, NEW).await > 0).then_some(())).await;
    server.signal(Signal::KILL);
    drop(server);

    let server = files.server(&database, &[NEW, OLD]).await;
    let mut asker = server.asker();
    for number in 0..3_000 {
        assert_eq!(asker.verdict(&format!("crash-{number}"), 0).await, "ALLOWED");
    }
    until_keys_of(&database, NEW, 3_000).await;
    let row = "SELECT count(*) FROM keyward.key WHERE digest = $1";
    let stored = database.connect().await;
    for number in [0, 2_999] {
        let new = digest(&format!("crash-{number}"), NEW);
        let found: i64 = stored.query_one(row, &[&new]).await.unwrap().get(0);
        assert_eq!(found, 1);
    }
    assert_audit_whole(&database).await;
}

#[tokio::test]
async fn upgrades_wait_while_the_database_is_away_and_decisions_go_on() {
    let cluster = Cluster::start("peppers-away");
    let (database, files) = (cluster.database(), Files::new("away"));
    let server = files.server(&database, &[OLD]).await;
    let made = create(&mut server.admin(), new_key("Waiting")).await;
    server.asker().verdict(&made.token, made.revision).await;
    drop(server);
    let server = files.server(&database, &[NEW, OLD]).await;
    server.until_logged("loaded all keys").await;
    // until it is known that keys move to the new pepper
    eventually("the new pepper is seen", async || {
        let seen = format!(
            "SELECT count(*) FROM keyward.pepper WHERE id = '{}' AND seen_at > created_at",
            id(NEW)
        );
        (database.number(&seen).await == 1).then_some(())
    })
    .await;
    kill_process(pid(cluster.pid()), Signal::KILL).unwrap();
    eventually("the database is away", async || {
        server.admin().create_key(new_key("Meanwhile")).await.is_err().then_some(())
    })
    .await;
    for _ in 0..100 {
        assert_eq!(server.asker().verdict(&made.token, 0).await, "ALLOWED");
    }
    server.until_logged("new digests cannot be stored").await;
    let _cluster = cluster.restart();
    eventually("the key has its new digest", async || {
        let query = format!(
            "SELECT count(*) FROM keyward.key WHERE display_name = 'Waiting' AND pepper = '{}'",
            id(NEW)
        );
        server.admin().create_key(new_key("After")).await.ok()?;
        (database.number(&query).await == 1).then_some(())
    })
    .await;
    assert_eq!(server.asker().verdict(&made.token, 0).await, "ALLOWED");
}

#[tokio::test]
async fn a_token_that_is_given_while_an_upgrade_waits_for_the_key_wins() {
    let (database, files) = (Database::new(), Files::new("race"));
    let server = files.server(&database, &[OLD]).await;
    let [raced, after] = ["Raced", "After"].map(new_key);
    let raced = create(&mut server.admin(), raced).await;
    let after = create(&mut server.admin(), after).await;
    server.asker().verdict(&after.token, after.revision).await;
    drop(server);
    let server = files.server(&database, &[NEW, OLD]).await;
    let mut operator = database.connect().await;
    let tx = operator.transaction().await.unwrap();
    tx.batch_execute("SELECT FROM keyward.key WHERE display_name = 'Raced' FOR UPDATE")
        .await
        .unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND query LIKE '-- upgrade.lock%'";
    eventually("an upgrade waits for the key", async || {
        assert_eq!(server.asker().verdict(&raced.token, 0).await, "ALLOWED");
        (database.number(waiting).await == 1).then_some(())
    })
    .await;
    let given = digest("given meanwhile", NEW);
    let update = "UPDATE keyward.key SET digest = $1, pepper = $2 WHERE display_name = 'Raced'";
    tx.execute(update, &[&given, &id(NEW)]).await.unwrap();
    tx.commit().await.unwrap();
    // batches follow each other, so that with this one the other is over
    server.asker().until(&after.token, "ALLOWED").await;
    let query = format!(
        "SELECT count(*) FROM keyward.key WHERE display_name = 'After' AND pepper = '{}'",
        id(NEW)
    );
    eventually("the next is stored", async || (database.number(&query).await == 1).then_some(()))
        .await;
    let stored = database.connect().await;
    let row = "SELECT digest FROM keyward.key WHERE display_name = 'Raced'";
    let kept: Vec<u8> = stored.query_one(row, &[]).await.unwrap().get(0);
    assert_eq!(kept, given);
}
