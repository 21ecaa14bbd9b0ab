//! Reading the change log, on a connection of its own.
//!
//! Revisions are dense and in the order of commits, so a reader that has applied revision `n` asks
//! for those after it and misses none. What it finds is checked: a gap, a head that went back, or
//! another history under the same numbers is a [`StoreError::Discontinuity`].

use std::{error::Error, future::Future, num::ParseIntError, sync::Arc, time::Duration};

use futures_util::future::poll_fn;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Row, types::Type};

use crate::{
    model::{id::KeyId, pepper::PepperId, record::Kind},
    store::{
        Address, Parameter, Store,
        error::StoreError,
        in_time,
        row::field,
        tls::Tls,
        view_rows::{self, Changed, Sink},
    },
};

/// No statement of a reader takes longer, or the connection is taken for dead.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(5);
/// A whole load may take longer.
const LOAD_TIME_MAX: Duration = Duration::from_secs(600);
/// Changes that are read at once; a reader that is further behind comes again.
const REVISIONS_MAX: i64 = 10_000;
/// Rows that are read at once; a job writes some thousands with one revision. One that has more is read
/// alone, for which it may take as long as a load.
const ROWS_MAX: i64 = 50_000;

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
        WHERE revision > $1 AND revision <= $2 ORDER BY revision LIMIT $3)
    ORDER BY revision";

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
    /// The last revision that there was.
    pub head: i64,
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
        let Address { config, tls } = &self.address;
        let connecting = config.connect(Tls(tls.clone()));
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
        in_time(LOAD_TIME_MAX, view_rows::all(&self.client, sink)).await??;
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
        // sent at once and answered in this order: where a processor is busy, each answer takes long
        let ((), head, changes) = tokio::try_join!(
            biased;
            async { Ok(in_time(STATEMENT_TIME_MAX, self.client.batch_execute(BEGIN)).await??) },
            self.head(),
            async {
                let changes = self.changes(applied, REVISIONS_MAX, ROWS_MAX);
                in_time(STATEMENT_TIME_MAX, changes).await?
            },
        )?;
        let (reached, what) = if head == *applied {
            (head.clone(), Changed::default())
        } else {
            let next;
            let mut kept = whole(&changes)?;
            if kept.len() < changes.len() && !leads_on(kept, applied)? {
                // the next revision alone has more rows than are read at once
                next = in_time(LOAD_TIME_MAX, self.changes(applied, 1, i64::MAX)).await??;
                kept = &next;
            }
            check(applied, &head, kept)?
        };
        view_rows::changed(&self.client, &what, sink).await?;
        in_time(STATEMENT_TIME_MAX, self.client.batch_execute("COMMIT")).await??;
        Ok(Followed { complete: reached == head, reached, head: head.revision })
    }

    /// Some revisions after `applied`, so many rows at most.
    async fn changes(
        &self,
        applied: &Position,
        revisions_max: i64,
        rows_max: i64,
    ) -> Result<Vec<Row>, StoreError> {
        let last = applied.revision.saturating_add(revisions_max);
        let range: [Parameter<'_>; 3] =
            [(&applied.revision, Type::INT8), (&last, Type::INT8), (&rows_max, Type::INT8)];
        Ok(self.client.query_typed(CHANGES, &range).await?)
    }
}

/// Whether rows go beyond what was applied.
fn leads_on(rows: &[Row], applied: &Position) -> Result<bool, StoreError> {
    let Some(last) = rows.last() else { return Ok(false) };
    Ok(field::<i64>(last, "change_log", "revision")? > applied.revision)
}

/// The rows but those of the last revision, if it may have more than were read.
fn whole(rows: &[Row]) -> Result<&[Row], StoreError> {
    let Some(last) = rows.last() else { return Ok(rows) };
    if i64::try_from(rows.len()).is_ok_and(|read| read < ROWS_MAX) {
        return Ok(rows);
    }
    let last: i64 = field(last, "change_log", "revision")?;
    let mut kept = rows;
    while let Some((row, before)) = kept.split_last() {
        if field::<i64>(row, "change_log", "revision")? != last {
            break;
        }
        kept = before;
    }
    Ok(kept)
}

/// Checks that the rows continue from `applied` without a gap; says where they lead and what changed.
fn check(
    applied: &Position,
    head: &Position,
    changes: &[Row],
) -> Result<(Position, Changed), StoreError> {
    let broken = |what| StoreError::Discontinuity { applied: applied.revision, what, source: None };
    if head.revision < applied.revision {
        return Err(broken("the database's last revision is an earlier one"));
    }
    let mut reached = applied.clone();
    let mut what = Changed::default();
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
        note(&mut what, row).map_err(|error| StoreError::Discontinuity {
            applied: applied.revision,
            what: "a change in it cannot be read",
            source: Some(Box::new(error)),
        })?;
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
    what.dedup();
    Ok((reached, what))
}

/// Notes what a row of the log says was changed.
fn note(changed: &mut Changed, row: &Row) -> Result<(), StoreError> {
    let kind: &str = field(row, "change_log", "kind")?;
    let subject: &str = field(row, "change_log", "subject")?;
    let wrong =
        |error: Box<dyn Error + Send + Sync>| StoreError::corrupt("change_log", "subject", error);
    let uid = || subject.parse().map_err(|error: ParseIntError| wrong(error.into()));
    let wrong_pair = || wrong("must be two texts".into());
    match Kind::parse(kind) {
        Some(Kind::Key) => {
            changed.keys.push(KeyId::parse(subject).map_err(|error| wrong(error.into()))?);
        }
        Some(Kind::Domain | Kind::RouteMap) => changed.domains.push(subject.into()),
        Some(Kind::Group) => changed.groups.push(uid()?),
        Some(Kind::User) => changed.users.push(uid()?),
        Some(Kind::Customer) => changed.customers.push(pair(subject, '/').ok_or_else(wrong_pair)?),
        Some(Kind::Quota) => changed.quotas.push(pair(subject, ' ').ok_or_else(wrong_pair)?),
        Some(Kind::Pepper) => {
            changed.peppers.push(PepperId::parse(subject).map_err(|error| wrong(error.into()))?);
        }
        // nothing that decisions see; or a kind that a later version writes, whose migration says
        // whether this version may run beside it
        Some(Kind::Environment | Kind::Catalogue | Kind::Template | Kind::Job) | None => {}
    }
    Ok(())
}

fn pair(subject: &str, between: char) -> Option<(String, String)> {
    subject.split_once(between).map(|(first, second)| (first.into(), second.into()))
}

fn position(row: &Row, table: &'static str) -> Result<Position, StoreError> {
    let nonce: &str = field(row, table, "nonce")?;
    Ok(Position { revision: field(row, table, "revision")?, nonce: nonce.into() })
}
