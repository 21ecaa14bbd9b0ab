//! Changes travel, by notice and by looking.

use keyward::rpc::pb::{
    ActivateKeyRequest, DeleteKeyRequest, RegenerateKeyRequest, RevocationReason, RevokeKeyRequest,
    UndeleteKeyRequest,
};

use crate::support::{
    client::{create, new_key},
    database::Database,
    eventually, log,
    pgbouncer::PgBouncer,
    server::Server,
};

/// Makes one change after the other on one server and waits for each on the other.
async fn changes_are_seen(writer: &Server, reader: &Server) {
    let (mut admin, mut asker) = (writer.admin(), reader.asker());
    let made = create(&mut admin, new_key("Traveller")).await;
    let (id, token) = (made.key.id, made.token);
    asker.until(&token, "ALLOWED").await;
    let request = RevokeKeyRequest {
        id: id.clone(),
        reason: RevocationReason::Abuse.into(),
        ..RevokeKeyRequest::default()
    };
    admin.revoke_key(request).await.unwrap();
    asker.until(&token, "401 KEY_INACTIVE").await;
    let request = ActivateKeyRequest { id: id.clone(), ..ActivateKeyRequest::default() };
    admin.activate_key(request).await.unwrap();
    asker.until(&token, "ALLOWED").await;
    let request = DeleteKeyRequest {
        id: id.clone(),
        confirm: "Traveller".into(),
        ..DeleteKeyRequest::default()
    };
    admin.delete_key(request).await.unwrap();
    asker.until(&token, "401 KEY_UNKNOWN").await;
    let request = UndeleteKeyRequest { id: id.clone(), ..UndeleteKeyRequest::default() };
    admin.undelete_key(request).await.unwrap();
    asker.until(&token, "ALLOWED").await;

    let regenerate = |overlap| RegenerateKeyRequest {
        id: id.clone(),
        overlap,
        ..RegenerateKeyRequest::default()
    };
    let hour = prost_types::Duration { seconds: 3600, nanos: 0 };
    let second = admin.regenerate_key(regenerate(Some(hour))).await.unwrap();
    let second = second.into_inner().token;
    asker.until(&second, "ALLOWED").await;
    assert_eq!(asker.verdict(&token, 0).await, "ALLOWED");
    let third = admin.regenerate_key(regenerate(None)).await.unwrap();
    asker.until(&third.into_inner().token, "ALLOWED").await;
    for old in [token, second] {
        assert_eq!(asker.verdict(&old, 0).await, "401 KEY_UNKNOWN");
    }
}

const NO_NOTICE: &str = "NOTIFY does not arrive";

#[tokio::test]
async fn servers_see_each_others_changes_by_notice_alone() {
    let database = Database::new();
    let seldom = ["--poll-interval", "30m"];
    let one = Server::start_with(&database, &seldom).await;
    let other = Server::start_with(&database, &seldom).await;
    changes_are_seen(&one, &other).await;
    changes_are_seen(&other, &one).await;
    one.until_logged("following the change log by NOTIFY").await;
    assert_eq!(other.count_logged(NO_NOTICE), 0);
}

#[tokio::test]
async fn servers_see_each_others_changes_by_looking_alone() {
    let database = Database::new();
    let (_bouncer, behind) = PgBouncer::start("looking", &database).await;
    let often = ["--poll-interval", "100ms"];
    let one = Server::start_with(&behind, &often).await;
    let other = Server::start_with(&behind, &often).await;
    changes_are_seen(&one, &other).await;
    changes_are_seen(&other, &one).await;
}

#[tokio::test]
async fn a_server_that_no_notice_reaches_says_so_and_goes_on() {
    let database = Database::new();
    let (_bouncer, behind) = PgBouncer::start("silent", &database).await;
    let server = Server::start_with(&behind, &["--poll-interval", "100ms"]).await;
    // before there are any: now and then the pooler does let one through, while it is passing
    // something else to who listens
    server.until_logged(NO_NOTICE).await;
    changes_are_seen(&server, &server).await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    let database = Database::new();
    let server = Server::start_with(&database, &["--poll-interval", "20ms"]).await;
    let (mut admin, mut asker) = (server.admin(), server.asker());
    let late = create(&mut admin, new_key("Late")).await;
    asker.until(&late.token, "ALLOWED").await;

    // it began before another transaction, which is whole and seen, and takes its revision after
    let mut client = database.connect().await;
    let tx = client.transaction().await.unwrap();
    let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'Late'";
    tx.batch_execute(stop).await.unwrap();
    let between = create(&mut admin, new_key("Between")).await;
    asker.until(&between.token, "ALLOWED").await;
    let revision = log::conclude(&tx, &[&late.key.id]).await;
    assert_eq!(revision, between.revision + 1);
    assert_eq!(asker.verdict(&late.token, 0).await, "ALLOWED");
    tx.commit().await.unwrap();
    asker.until(&late.token, "401 KEY_INACTIVE").await;
}

#[tokio::test]
async fn who_holds_the_head_is_waited_for_and_both_are_seen() {
    let database = Database::new();
    let server = Server::start_with(&database, &["--poll-interval", "20ms"]).await;
    let (mut admin, mut asker) = (server.admin(), server.asker());
    let first = create(&mut admin, new_key("First")).await;
    asker.until(&first.token, "ALLOWED").await;

    let mut client = database.connect().await;
    let tx = client.transaction().await.unwrap();
    let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First'";
    tx.batch_execute(stop).await.unwrap();
    let revision = log::conclude(&tx, &[&first.key.id]).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let commit = async {
        eventually("the other writer waits", async || {
            (database.number(waiting).await == 1).then_some(())
        })
        .await;
        assert_eq!(asker.verdict(&first.token, 0).await, "ALLOWED");
        tx.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(create(&mut admin, new_key("Second")), commit);
    assert_eq!(second.revision, revision + 1);
    asker.until(&second.token, "ALLOWED").await;
    assert_eq!(
        asker.verdict(&first.token, 0).await,
        "401 KEY_INACTIVE",
        "the later revision is there, so the earlier one must be"
    );
}

#[tokio::test]
async fn a_row_that_is_gone_is_forgotten() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let (mut admin, mut asker) = (server.admin(), server.asker());
    let gone = create(&mut admin, new_key("Gone")).await;
    let kept = create(&mut admin, new_key("Kept")).await;
    let mut client = database.connect().await;
    let purge = "DELETE FROM keyward.key WHERE display_name = 'Gone'";
    let revision = log::change(&mut client, purge, &[&gone.key.id]).await;
    asker.until(&gone.token, "401 KEY_UNKNOWN").await;
    assert_eq!(asker.verdict(&kept.token, revision).await, "ALLOWED");
}

#[tokio::test]
async fn a_cut_connection_is_made_again() {
    let database = Database::new();
    let seldom = ["--poll-interval", "30m"];
    let writer = Server::start(&database).await;
    let reader = Server::start_with(&database, &seldom).await;
    let mut asker = reader.asker();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND application_name = 'keyward'";
    for round in 1..=3 {
        assert!(database.number(cut).await >= 2, "both followers");
        // what is changed before it is back is found when it is
        let made = eventually("the writer has a connection", async || {
            let request = new_key(&format!("Round {round}"));
            let made = writer.admin().create_key(request).await.ok()?;
            Some(made.into_inner())
        })
        .await;
        asker.until(&made.token, "ALLOWED").await;
        eventually("the loss is told", async || {
            (reader.count_logged("lost the change log") >= round).then_some(())
        })
        .await;
    }
    assert_eq!(reader.count_logged("loaded all keys"), 1, "it went on");
}
