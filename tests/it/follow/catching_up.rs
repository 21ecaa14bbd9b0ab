//! Large databases, and long absences.

use keyward::rpc::pb::AuthorizeRequest;

use crate::support::{
    client::{create, may_read, new_key},
    database::Database,
    eventually,
    gate::Gate,
    log,
    server::Server,
};

const MANY_KEYS: &str = "INSERT INTO keyward.key (id, domain, environment, display_name,
        description, permissions, route_rules, labels, standing, digest, hint, created_by,
        created_at, updated_at, version)
    SELECT gen_random_uuid(), 'default', 'production', 'Bulk ' || number, '',
        ARRAY['systems.p' || number % 100], ARRAY[]::text[], '{}', 'active',
        sha256(decode(md5(random()::text), 'hex')), 'none', 'bootstrap', now(), now(), 1
    FROM generate_series(1, 100000) AS number";

#[tokio::test]
async fn a_restart_loads_a_hundred_thousand_keys() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let known = create(&mut server.admin(), new_key("Known")).await;
    server.stop().await;

    let mut client = database.connect().await;
    let revision = log::change(&mut client, MANY_KEYS, &[&known.key.id]).await;
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    assert_eq!(asker.verdict(&known.token, revision).await, "ALLOWED");
    let line = server.log_line("loaded all keys").unwrap();
    assert!(line.contains("\"keys\":100002,"), "{line}");
    println!("{line}");
}

/// Revisions that all change one key.
const MANY_REVISIONS: &str = "WITH made AS (
        INSERT INTO keyward.change_log (revision, kind, subject, nonce)
        SELECT head.revision + number, 'key', $1, gen_random_uuid()
        FROM keyward.log_head AS head, generate_series(1, 25000) AS number
        RETURNING revision, nonce
    )
    UPDATE keyward.log_head SET (revision, nonce) =
        (SELECT revision, nonce FROM made ORDER BY revision DESC LIMIT 1)
    RETURNING revision";

#[tokio::test]
async fn a_replica_that_is_far_behind_catches_up_by_following() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("behind", &database);
    gate.open();
    let server = Server::start_with(&beyond, &["--poll-interval", "50ms"]).await;
    let (mut admin, mut asker) = (server.admin(), server.asker());
    let key = create(&mut admin, new_key("Key")).await;
    asker.until(&key.token, "ALLOWED").await;

    gate.shut();
    let client = database.connect().await;
    let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'Key'";
    client.batch_execute(stop).await.unwrap();
    let head = client.query_one(MANY_REVISIONS, &[&key.key.id]).await;
    let head: i64 = head.unwrap().get("revision");
    assert_eq!(head, key.revision + 25_000);
    assert_eq!(asker.verdict(&key.token, 0).await, "ALLOWED");
    gate.open();
    asker.until(&key.token, "401 KEY_INACTIVE").await;
    let request = AuthorizeRequest { min_revision: head, ..may_read(&key.token) };
    eventually("the head is reached", async || {
        let answer = asker.0.authorize(request.clone()).await.ok()?;
        (answer.get_ref().revision == head).then_some(())
    })
    .await;
    assert_eq!(server.count_logged("loaded all keys"), 1, "it followed");
}

/// One revision of a key and of very many things that a replica need not know.
const LARGE_REVISION: &str = "WITH head AS (
        UPDATE keyward.log_head SET revision = revision + 1, nonce = gen_random_uuid()
        RETURNING revision, nonce
    ), logged AS (
        INSERT INTO keyward.change_log (revision, kind, subject, nonce)
        SELECT head.revision, changed.kind, changed.id, head.nonce FROM head, (
            SELECT 'key' AS kind, $1 AS id UNION ALL
            SELECT 'job', number::text FROM generate_series(1, 60000) AS number) AS changed
    )
    SELECT revision, pg_notify('keyward', '')::text FROM head";

#[tokio::test]
async fn a_revision_of_more_rows_than_are_read_at_once_is_followed() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let key = create(&mut server.admin(), new_key("Key")).await;
    let mut asker = server.asker();
    asker.until(&key.token, "ALLOWED").await;
    let mut client = database.connect().await;
    let stop = "UPDATE keyward.key SET standing = 'inactive' WHERE display_name = 'Key'";
    for statement in [stop, "SELECT"] {
        let tx = client.transaction().await.unwrap();
        tx.batch_execute(statement).await.unwrap();
        tx.query_one(LARGE_REVISION, &[&key.key.id]).await.unwrap();
        tx.commit().await.unwrap();
    }
    let head = key.revision + 2;
    asker.until(&key.token, "401 KEY_INACTIVE").await;
    let request = AuthorizeRequest { min_revision: head, ..may_read(&key.token) };
    eventually("the head is reached", async || {
        let answer = asker.0.authorize(request.clone()).await.ok()?;
        (answer.get_ref().revision == head).then_some(())
    })
    .await;
    assert_eq!(server.count_logged("loaded all keys"), 1, "it followed");
}
