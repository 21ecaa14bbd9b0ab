//! A change log that is not what it was, and rows that cannot be read.

use keyward::rpc::pb::AuthorizeRequest;
use tokio_postgres::Transaction;
use tonic::Code;

use crate::support::{
    client::{Made, assert_status, create, may_read, new_key},
    database::Database,
    eventually,
    log::{self, conclude},
    server::Server,
};

pub(super) const BROKEN: &str = "the change log is broken; loading all keys anew";

/// A server with two keys that it knows, on a database that is about to be harmed.
struct Victim {
    database: Database,
    server: Server,
    first: Made,
    second: Made,
}

impl Victim {
    async fn new() -> Self {
        let database = Database::new();
        let server = Server::start_with(&database, &["--poll-interval", "20ms"]).await;
        let mut admin = server.admin();
        let first = create(&mut admin, new_key("First")).await;
        let second = create(&mut admin, new_key("Second")).await;
        server.asker().until(&second.token, "ALLOWED").await;
        Self { database, server, first, second }
    }

    /// Harms the database in one transaction.
    async fn harm(&self, statements: &str) {
        let mut client = self.database.connect().await;
        let tx = client.transaction().await.unwrap();
        tx.batch_execute(statements).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits for the alarm, then for these verdicts, and sees that life goes on.
    async fn recovers_to(&self, first: &str, second: &str) {
        self.server.until_logged(BROKEN).await;
        let mut asker = self.server.asker();
        asker.until(&self.first.token, first).await;
        asker.until(&self.second.token, second).await;
        eventually("all keys are loaded again", async || {
            (self.server.count_logged("loaded all keys") >= 2).then_some(())
        })
        .await;
        let next = create(&mut self.server.admin(), new_key("Next")).await;
        asker.until(&next.token, "ALLOWED").await;
    }
}

const FORGET_SECOND: &str = "DELETE FROM keyward.key WHERE display_name = 'Second'";

/// Makes a history end before a revision.
pub(super) fn history_before(revision: i64) -> String {
    format!(
        "DELETE FROM keyward.change_log WHERE revision >= {revision};
        DELETE FROM keyward.audit_event WHERE revision >= {revision};
        UPDATE keyward.log_head SET (revision, nonce) =
            (SELECT revision, nonce FROM keyward.change_log ORDER BY revision DESC LIMIT 1)"
    )
}

#[tokio::test]
async fn a_head_that_went_back_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    // as after restoring a backup from before the second key was made
    let restore = format!("{FORGET_SECOND}; {}", history_before(victim.second.revision));
    victim.harm(&restore).await;
    victim.recovers_to("ALLOWED", "401 KEY_UNKNOWN").await;
}

#[tokio::test]
async fn a_revision_of_a_history_that_is_gone_is_not_answered_from_memory() {
    let victim = Victim::new().await;
    let (token, gone) = (&victim.second.token, victim.second.revision);
    victim.harm(FORGET_SECOND).await;
    // nobody can load the keys while this is held
    let mut client = victim.database.connect().await;
    let holding = client.transaction().await.unwrap();
    holding.batch_execute("LOCK TABLE keyward.key IN ACCESS EXCLUSIVE MODE").await.unwrap();
    victim.harm(&history_before(gone)).await;
    victim.server.until_logged(BROKEN).await;

    let mut asker = victim.server.asker();
    let request = AuthorizeRequest { min_revision: gone, ..may_read(token) };
    eventually("the old revision is not there any more", async || {
        asker.0.authorize(request.clone()).await.is_err().then_some(())
    })
    .await;
    let decided = asker.0.authorize(request.clone()).await;
    assert_status(decided, Code::Unavailable, "REVISION_NOT_REACHED");
    assert_eq!(asker.verdict(token, 0).await, "ALLOWED", "who wants no revision is answered");
    assert_eq!(victim.server.count_logged("loaded all keys"), 1);

    holding.rollback().await.unwrap();
    asker.until(token, "401 KEY_UNKNOWN").await;
    let decided = asker.0.authorize(request).await;
    assert_status(decided, Code::Unavailable, "REVISION_NOT_REACHED");
    // until the new history has one of that number
    let next = create(&mut victim.server.admin(), new_key("Next")).await;
    assert_eq!(next.revision, gone);
    assert_eq!(asker.verdict(token, gone).await, "401 KEY_UNKNOWN");
    assert_eq!(asker.verdict(&next.token, gone).await, "ALLOWED");
}

#[tokio::test]
async fn another_history_under_the_same_revision_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    let revision = victim.second.revision;
    let replace = format!(
        "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First';
        UPDATE keyward.log_head SET nonce = gen_random_uuid();
        UPDATE keyward.change_log SET nonce = (SELECT nonce FROM keyward.log_head)
            WHERE revision = {revision}"
    );
    victim.harm(&replace).await;
    victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
}

#[tokio::test]
async fn another_history_that_went_further_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    let mut client = victim.database.connect().await;
    let tx = client.transaction().await.unwrap();
    let replace = format!(
        "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First';
        UPDATE keyward.change_log SET nonce = gen_random_uuid() WHERE revision = {}",
        victim.second.revision
    );
    tx.batch_execute(&replace).await.unwrap();
    for _ in 0..3 {
        conclude(&tx, &[&victim.second.key.id]).await;
    }
    tx.commit().await.unwrap();
    victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
}

#[tokio::test]
async fn a_head_that_does_not_fit_its_log_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    let replace = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First';
        UPDATE keyward.log_head SET nonce = gen_random_uuid()";
    victim.harm(replace).await;
    victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
}

impl Victim {
    /// Stops the first key in a revision that the log then loses.
    async fn stop_unlogged(&self, tx: &Transaction<'_>) {
        let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First'";
        tx.batch_execute(stop).await.unwrap();
        let lost = conclude(tx, &[&self.first.key.id]).await;
        let forget = format!("DELETE FROM keyward.change_log WHERE revision = {lost}");
        tx.batch_execute(&forget).await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_revision_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    let mut client = victim.database.connect().await;
    let tx = client.transaction().await.unwrap();
    victim.stop_unlogged(&tx).await;
    conclude(&tx, &[&victim.second.key.id]).await;
    tx.commit().await.unwrap();
    victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
}

#[tokio::test]
async fn a_log_that_ends_before_its_head_makes_the_replica_load_anew() {
    let victim = Victim::new().await;
    let mut client = victim.database.connect().await;
    let tx = client.transaction().await.unwrap();
    victim.stop_unlogged(&tx).await;
    tx.commit().await.unwrap();
    victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
}

#[tokio::test]
async fn a_change_that_cannot_be_read_makes_the_replica_load_anew() {
    for (kind, subject) in [("key", "no id"), ("group", "readers"), ("user", "1.5")] {
        let victim = Victim::new().await;
        let mut client = victim.database.connect().await;
        let tx = client.transaction().await.unwrap();
        let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'First'";
        tx.batch_execute(stop).await.unwrap();
        log::conclude_all(&tx, &[(kind, subject)]).await;
        tx.commit().await.unwrap();
        println!("{kind} {subject}");
        victim.recovers_to("401 KEY_INACTIVE", "ALLOWED").await;
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_denied_and_harms_no_other() {
    for garbage in [
        "permissions = ARRAY['Not a permission!']",
        "permissions = ARRAY['a', NULL, E'b\\nc']",
        "route_rules = ARRAY['no rule']",
        "labels = '{\"Not a name\": 1}'",
        "labels = '[]'",
        "labels = '\"text\"'",
        "labels = 'null'",
        "labels = '{\"name\": null}'",
    ] {
        let victim = Victim::new().await;
        let mut asker = victim.server.asker();
        let mut client = victim.database.connect().await;
        let harm = format!(
            "ALTER TABLE keyward.key DROP CONSTRAINT key_permissions_plain,
                DROP CONSTRAINT key_route_rules_plain;
            UPDATE keyward.key SET {garbage} WHERE display_name = 'First'"
        );
        let id = &victim.first.key.id;
        log::change(&mut client, &harm, &[id]).await;
        println!("{garbage}");
        asker.until(&victim.first.token, "401 KEY_INACTIVE").await;
        assert_eq!(asker.verdict(&victim.second.token, 0).await, "ALLOWED");
        let line = victim.server.log_line("a key cannot be read and is denied");
        assert!(line.is_some_and(|line| line.contains(id)));

        // the same for who finds it when all keys are loaded
        let fresh = Server::start(&victim.database).await;
        let mut asker = fresh.asker();
        for (made, expected) in [(&victim.first, "401 KEY_INACTIVE"), (&victim.second, "ALLOWED")] {
            assert_eq!(asker.verdict(&made.token, 0).await, expected);
        }
    }
}
