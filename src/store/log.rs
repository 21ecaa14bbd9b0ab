//! Reading the change log, on a connection of its own.
//!
//! Revisions are dense and in the order of commits, so a reader that has applied revision `n` asks
//! for those after it and misses none. What it finds is checked: a gap, a head that went back, or
//! another history under the same numbers is a [`StoreError::Discontinuity`].

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{TryStreamExt, future::poll_fn, pin_mut};
use tokio::sync::Notify;
use tokio_postgres::{
    AsyncMessage, Client, NoTls, Row, binary_copy::BinaryCopyOutStream, types::Type,
};

use crate::{
    model::{id::KeyId, secret::Digest, view::KeyRow},
    store::{
        Parameter, Store,
        error::StoreError,
        in_time,
        row::{copied, field},
    },
};

/// No statement of a reader takes longer, or the connection is taken for dead.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(5);
/// A whole load of all keys may take longer.
const LOAD_TIME_MAX: Duration = Duration::from_secs(600);
/// Changes that are read at once; a reader that is further behind comes again.
const REVISIONS_MAX: i64 = 10_000;

/// Keys that are read with one statement.
const KEYS_MAX: usize = 10_000;

const BEGIN: &str = "-- log.begin
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const HEAD: &str = "-- log.head
    SELECT revision, nonce::text FROM keyward.log_head";

/// One row of the revision that was applied, to recognise it, and all of those after it.
const CHANGES: &str = "-- log.changes
    (SELECT revision, kind, subject, nonce::text FROM keyward.change_log
        WHERE revision = $1 LIMIT 1)
    UNION ALL
    (SELECT revision, kind, subject, nonce::text FROM keyward.change_log
        WHERE revision > $1 AND revision <= $2)
    ORDER BY revision";

/// The columns that a [`KeyRow`] is made of, in the order of [`COPY_TYPES`]. Labels of a form that we
/// never write become text that cannot be read, so that they fail for their key and not for all.
macro_rules! key_row {
    () => {
        "SELECT id, environment,
            domain || E'\\n' || array_to_string(permissions, ' ')
                || E'\\n' || array_to_string(route_rules, E'\\n') AS profile,
            CASE WHEN labels = '{}' THEN '' WHEN jsonb_typeof(labels) <> 'object' THEN '?' ELSE (
                SELECT string_agg(label.key || '=' || coalesce(label.value, E'\\t'), E'\\n'
                    ORDER BY label.key)
                FROM jsonb_each_text(labels) AS label) END AS labels,
            standing = 'active' AS active, not_before_at, expire_at, digest, retiring_digest,
            retiring_expire_at
        FROM keyward.key WHERE deleted_at IS NULL"
    };
}

const KEYS_BY_ID: &str = concat!("-- log.keys_by_id\n", key_row!(), " AND id = ANY ($1)");

const ALL_KEYS: &str = concat!("-- log.all_keys\nCOPY (", key_row!(), ") TO STDOUT BINARY");

const COPY_TYPES: [Type; 10] = [
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::BOOL,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::BYTEA,
    Type::BYTEA,
    Type::TIMESTAMPTZ,
];

/// A place in one history of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last revision that was applied.
    pub revision: i64,
    /// What distinguishes it from the same revision of another history.
    nonce: Box<str>,
}

/// How far a reader has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// All changes up to here are in the sink.
    pub reached: Position,
    /// Whether that was all there were.
    pub complete: bool,
}

/// What a reader does with what it reads.
pub trait Sink: Send {
    /// A key's present content.
    fn put(&mut self, row: &KeyRow<'_>);
    /// A key that is no more.
    fn remove(&mut self, id: KeyId);
}

/// A connection that reads the change log and nothing else.
#[derive(Debug)]
pub struct LogReader {
    client: Client,
}

impl Store {
    /// Opens a connection for reading the log. The future drives it and must be run; it ends with
    /// the connection and wakes `wake` on every notification and at its end.
    pub async fn log_reader(
        &self,
        wake: Arc<Notify>,
    ) -> Result<(LogReader, impl Future<Output = ()> + Send + use<>), StoreError> {
        let connecting = self.config.connect(NoTls);
        let (client, mut connection) = in_time(STATEMENT_TIME_MAX, connecting).await??;
        let driver = async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(_) = message {
                    wake.notify_one();
                }
            }
            wake.notify_one();
        };
        Ok((LogReader { client }, driver))
    }

    /// Sends a notification, to see whether it reaches the readers. Not on the connection of one:
    /// even a pooler lets its own come back to who sends it.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let probe = "-- log.probe\nNOTIFY keyward, 'probe'";
        let session = self.session().await?;
        Ok(in_time(STATEMENT_TIME_MAX, session.client.batch_execute(probe)).await??)
    }
}

impl LogReader {
    /// Asks to be woken by commits. Success does not say that it works: a pooler may swallow it.
    pub async fn listen(&self) -> Result<(), StoreError> {
        let listen = "-- log.listen\nLISTEN keyward";
        Ok(in_time(STATEMENT_TIME_MAX, self.client.batch_execute(listen)).await??)
    }

    /// The last revision.
    async fn head(&self) -> Result<Position, StoreError> {
        let row = in_time(STATEMENT_TIME_MAX, self.client.query_typed_one(HEAD, &[])).await??;
        position(&row, "log_head")
    }

    /// Reads all keys, and the place in history that they stand for.
    pub async fn load(&self, sink: &mut dyn Sink) -> Result<Position, StoreError> {
        in_time(STATEMENT_TIME_MAX, self.client.batch_execute(BEGIN)).await??;
        let head = self.head().await?;
        let copying =
            async {
                let copy = self.client.copy_out(ALL_KEYS).await?;
                let rows = BinaryCopyOutStream::new(copy, &COPY_TYPES);
                pin_mut!(rows);
                while let Some(row) = rows.try_next().await? {
                    sink.put(&KeyRow {
                        id: copied(&row, 0, "id")?,
                        environment: copied(&row, 1, "environment")?,
                        profile: copied(&row, 2, "profile")?,
                        labels: copied(&row, 3, "labels")?,
                        active: copied(&row, 4, "active")?,
                        not_before: copied(&row, 5, "not_before_at")?,
                        expire: copied(&row, 6, "expire_at")?,
                        current: copied(&row, 7, "digest")?,
                        retiring: copied::<Option<Digest>>(&row, 8, "retiring_digest")?
                            .zip(copied(&row, 9, "retiring_expire_at")?),
                    });
                }
                Ok::<_, StoreError>(())
            };
        in_time(LOAD_TIME_MAX, copying).await??;
        in_time(STATEMENT_TIME_MAX, self.client.batch_execute("COMMIT")).await??;
        Ok(head)
    }

    /// Reads what changed after `applied`. The sink then has the changes up to the place that is
    /// returned.
    pub async fn follow(
        &self,
        applied: &Position,
        sink: &mut dyn Sink,
    ) -> Result<Followed, StoreError> {
        if self.head().await? == *applied {
            return Ok(Followed { reached: applied.clone(), complete: true });
        }
        in_time(STATEMENT_TIME_MAX, self.client.batch_execute(BEGIN)).await??;
        let head = self.head().await?;
        let target = head.revision.min(applied.revision.saturating_add(REVISIONS_MAX));
        let range: [Parameter<'_>; 2] = [(&applied.revision, Type::INT8), (&target, Type::INT8)];
        let changes =
            in_time(STATEMENT_TIME_MAX, self.client.query_typed(CHANGES, &range)).await??;
        let (reached, ids) = check(applied, &head, &changes)?;
        for ids in ids.chunks(KEYS_MAX) {
            self.keys_by_id(ids, sink).await?;
        }
        in_time(STATEMENT_TIME_MAX, self.client.batch_execute("COMMIT")).await??;
        Ok(Followed { complete: reached == head, reached })
    }

    async fn keys_by_id(&self, ids: &[KeyId], sink: &mut dyn Sink) -> Result<(), StoreError> {
        let parameters: [Parameter<'_>; 1] = [(&ids, Type::UUID_ARRAY)];
        let querying = self.client.query_typed(KEYS_BY_ID, &parameters);
        let rows = in_time(STATEMENT_TIME_MAX, querying).await??;
        let mut gone: std::collections::HashSet<KeyId> = ids.iter().copied().collect();
        for row in &rows {
            let row = key_row(row)?;
            gone.remove(&row.id);
            sink.put(&row);
        }
        for id in gone {
            sink.remove(id);
        }
        Ok(())
    }
}

/// Checks that the rows continue from `applied` without a gap; says where they lead and what changed.
fn check(
    applied: &Position,
    head: &Position,
    changes: &[Row],
) -> Result<(Position, Vec<KeyId>), StoreError> {
    let broken = |what| StoreError::Discontinuity { applied: applied.revision, what };
    if head.revision < applied.revision {
        return Err(broken("the database's last revision is an earlier one"));
    }
    let mut reached = applied.clone();
    let mut ids = Vec::with_capacity(changes.len());
    let mut continues = applied.revision == 0; // revision 0 has no row
    for row in changes {
        let next = position(row, "change_log")?;
        if next.revision == applied.revision {
            continues = next.nonce == applied.nonce;
            continue;
        }
        if next.revision > reached.revision + 1 {
            return Err(broken("a revision is missing"));
        }
        // a kind that a later version writes is none of ours: its migration says whether this
        // version may run beside it
        let kind: &str = field(row, "change_log", "kind")?;
        if kind == "key" {
            let subject: &str = field(row, "change_log", "subject")?;
            let id = KeyId::parse(subject);
            ids.push(id.map_err(|e| StoreError::corrupt("change_log", "subject", e))?);
        }
        reached = next;
    }
    if !continues {
        return Err(broken("that revision is another one in the database"));
    }
    if reached.revision == applied.revision && head.revision != applied.revision {
        return Err(broken("the changes up to the last revision are missing"));
    }
    if reached.revision == head.revision && reached != *head {
        return Err(broken("the last revision is another one than its log says"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok((reached, ids))
}

fn position(row: &Row, table: &'static str) -> Result<Position, StoreError> {
    let nonce: &str = field(row, table, "nonce")?;
    Ok(Position { revision: field(row, table, "revision")?, nonce: nonce.into() })
}

fn key_row(row: &Row) -> Result<KeyRow<'_>, StoreError> {
    Ok(KeyRow {
        id: field(row, "key", "id")?,
        environment: field(row, "key", "environment")?,
        profile: field(row, "key", "profile")?,
        labels: field(row, "key", "labels")?,
        active: field(row, "key", "active")?,
        not_before: field(row, "key", "not_before_at")?,
        expire: field(row, "key", "expire_at")?,
        current: field(row, "key", "digest")?,
        retiring: field::<Option<Digest>>(row, "key", "retiring_digest")?.zip(field(
            row,
            "key",
            "retiring_expire_at",
        )?),
    })
}
