//! The change log, written as other programs, restored backups and accidents would.

use tokio_postgres::{Client, GenericClient};

/// Takes a revision that changes these keys, as the last act of a transaction.
pub(crate) async fn conclude(client: &impl GenericClient, keys: &[&str]) -> i64 {
    let changed: Vec<_> = keys.iter().map(|key| ("key", *key)).collect();
    conclude_all(client, &changed).await
}

/// The same for things of any kind: each by its kind and how the log names it.
pub(crate) async fn conclude_all(client: &impl GenericClient, changed: &[(&str, &str)]) -> i64 {
    const CONCLUDE: &str = "WITH head AS (
            UPDATE keyward.log_head SET revision = revision + 1, nonce = gen_random_uuid()
            RETURNING revision, nonce
        ), logged AS (
            INSERT INTO keyward.change_log (revision, kind, subject, nonce)
            SELECT head.revision, changed.kind, changed.subject, head.nonce
            FROM head, unnest($1::text[], $2::text[]) AS changed (kind, subject)
        )
        SELECT revision, pg_notify('keyward', '')::text FROM head";
    let (kinds, subjects): (Vec<&str>, Vec<&str>) = changed.iter().copied().unzip();
    let row = client.query_one(CONCLUDE, &[&kinds, &subjects]).await.unwrap();
    row.get("revision")
}

/// Changes rows behind the program's back, and logs it as changes of these keys.
pub(crate) async fn change(client: &mut Client, statements: &str, keys: &[&str]) -> i64 {
    let tx = client.transaction().await.unwrap();
    tx.batch_execute(statements).await.unwrap();
    let revision = conclude(&tx, keys).await;
    tx.commit().await.unwrap();
    revision
}
