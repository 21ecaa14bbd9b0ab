//! Reading the chain of events, some at a time, to check it.
//!
//! Nothing is held for as long as that takes: events are only ever added, so those up to the end that was
//! read first are a snapshot by themselves. What the hashes are made from is computed here, not by the
//! database, which is what is doubted.

use std::cmp::Ordering;

use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        audit::Revisions,
        chain::{ChainHash, EventName, Fault, Head, KnownSeal, Link, Seal, Walk, Wrong, content},
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, row::field},
};

const TABLE: &str = "audit_event";
const BATCH_EVENTS_MAX: i64 = 500;

/// The end of the chain, and what is beyond it although nothing should be, as of one instant.
const HEAD: &str = "-- verify.head
    SELECT head.number AS head_number, head.hash AS head_hash, beyond.*
    FROM keyward.audit_head AS head LEFT JOIN LATERAL (
        SELECT number, revision, position FROM keyward.audit_event AS event
        WHERE event.number > head.number ORDER BY number LIMIT 1
    ) AS beyond ON true";

const FIRST: &str = "-- verify.first
    SELECT number FROM keyward.audit_event WHERE revision >= $1 ORDER BY revision, position LIMIT 1";

const BEFORE: &str = "-- verify.before
    SELECT number, revision, position, hash FROM keyward.audit_event
    WHERE number < $1 ORDER BY number DESC LIMIT 1";

const BATCH: &str = "-- verify.batch
    SELECT number, revision, position, occurred_at, actor, peer, action, kind, subject, domain,
        request_id, before::text AS before, after::text AS after, hash
    FROM keyward.audit_event
    WHERE (number, revision, position) > ($1, $2, $3) AND number <= $4
    ORDER BY number, revision, position LIMIT $5";

/// Events that stand, by revision and position, between two others.
const BETWEEN: &str = "-- verify.between
    SELECT number, revision, position FROM keyward.audit_event
    WHERE (revision, position) > ($1, $2) AND (revision, position) < ($3, $4)
    ORDER BY revision, position LIMIT 1";

const NEXT: &str = "-- verify.next
    SELECT number, revision, position FROM keyward.audit_event
    WHERE number > $1 ORDER BY number LIMIT 1";

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that are as they should be.
    pub verified: i64,
    /// Events in all, about.
    pub total: i64,
}

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many events are as they should be.
    pub verified: i64,
    /// The last of them, and its hash: to be kept elsewhere.
    pub last: Seal,
    /// The first with which something is wrong.
    pub fault: Option<Fault>,
}

/// A verification on its way.
#[derive(Debug)]
pub struct Verification {
    store: Store,
    walk: Walk,
    head: Head,
    /// Where it stops; `None`: at the end.
    revision_max: Option<i64>,
    /// The event that was read last.
    read: EventName,
    total: i64,
}

impl Verification {
    /// Begins before the first of these revisions. If a hash is known, the chain must have it.
    pub async fn begin(
        store: Store,
        revisions: Revisions,
        known: Option<KnownSeal>,
    ) -> Result<Self, StoreError> {
        let head = store.chain_head().await?;
        let before = match revisions.min {
            None => Seal::START,
            Some(revision) => store.seal_before(revision, &head).await?,
        };
        let total = head.number.saturating_sub(before.name.number).max(0);
        let read = EventName { number: i64::MIN, revision: 0, position: 0 };
        let read = if before == Seal::START { read } else { before.name };
        let walk = Walk::after(before, known);
        Ok(Self { store, walk, head, revision_max: revisions.max, read, total })
    }

    /// How far it has come.
    pub const fn progress(&self) -> Progress {
        Progress { verified: self.walk.verified(), total: self.total }
    }

    /// Looks at some more events; `None`: there are more.
    pub async fn advance(&mut self) -> Result<Option<Verdict>, StoreError> {
        let links = self.store.links_after(self.read, self.head.number).await?;
        let Some(last) = links.last() else {
            let fault = match self.revision_max {
                None => self.walk.finish(&self.head).err(),
                Some(_) => None,
            };
            return self.verdict(fault).await.map(Some);
        };
        self.read = last.name;
        for link in &links {
            if let Err(fault) = self.walk.step(link) {
                return self.verdict(Some(fault)).await.map(Some);
            }
            // the chain goes on after the last revision that is asked for
            if self.revision_max.is_some_and(|max| link.name.revision > max) {
                return self.verdict(None).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn verdict(&self, fault: Option<Fault>) -> Result<Verdict, StoreError> {
        let fault = match fault {
            Some(fault) => Some(self.explained(fault).await?),
            None => None,
        };
        Ok(Verdict { verified: self.walk.verified(), last: self.walk.last(), fault })
    }

    /// Looks around: an event that seems to be missing or edited may have been moved.
    async fn explained(&self, fault: Fault) -> Result<Fault, StoreError> {
        let last = self.walk.last().name;
        let next = self.store.name(NEXT, &[(&fault.event.number, Type::INT8)]).await?;
        match (fault.wrong, next) {
            (Wrong::Edited, Some(next)) if by_revision(&next, &fault.event) == Ordering::Less => {
                Ok(Fault { wrong: Wrong::OutOfOrder, ..fault })
            }
            (Wrong::Missing { count }, _) => {
                let event = self.store.name(NEXT, &[(&last.number, Type::INT8)]).await?;
                let at_the_end = last.number.saturating_add(count) >= self.head.number;
                let end = event.filter(|_| !at_the_end);
                let end = end.unwrap_or(EventName { revision: i64::MAX, ..last });
                let between: [Parameter<'_>; 4] = [
                    (&last.revision, Type::INT8),
                    (&last.position, Type::INT4),
                    (&end.revision, Type::INT8),
                    (&end.position, Type::INT4),
                ];
                let moved = self.store.name(BETWEEN, &between).await?;
                let moved = moved.filter(|moved| !(1..=last.number).contains(&moved.number));
                Ok(moved.map_or(fault, |event| Fault { wrong: Wrong::OutOfOrder, event }))
            }
            _ => Ok(fault),
        }
    }
}

fn by_revision(one: &EventName, other: &EventName) -> Ordering {
    (one.revision, one.position).cmp(&(other.revision, other.position))
}

impl Store {
    /// The end of the chain. Without a row there is none, which no event fits.
    async fn chain_head(&self) -> Result<Head, StoreError> {
        let rows = self.run(HEAD, &[]).await?;
        let Some(row) = rows.first() else {
            return Ok(Head { number: i64::MAX, hash: None, beyond: None });
        };
        let hash: &[u8] = field(row, "audit_head", "head_hash")?;
        let beyond: Option<i64> = field(row, TABLE, "number")?;
        Ok(Head {
            number: field(row, "audit_head", "head_number")?,
            hash: ChainHash::from_stored(hash),
            beyond: beyond.map(|_| name(row)).transpose()?,
        })
    }

    /// The event before the first of a revision or of one after it.
    async fn seal_before(&self, revision: i64, head: &Head) -> Result<Seal, StoreError> {
        let rows = self.run(FIRST, &[(&revision, Type::INT8)]).await?;
        let first = rows.first().map(|row| field::<i64>(row, TABLE, "number")).transpose()?;
        let first = first.unwrap_or(head.number.saturating_add(1));
        let rows = self.run(BEFORE, &[(&first, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Ok(Seal::START) };
        let hash = ChainHash::from_stored(field(row, TABLE, "hash")?);
        Ok(Seal { name: name(row)?, hash: hash.unwrap_or(ChainHash::START) })
    }

    async fn links_after(&self, after: EventName, until: i64) -> Result<Vec<Link>, StoreError> {
        let parameters: [Parameter<'_>; 5] = [
            (&after.number, Type::INT8),
            (&after.revision, Type::INT8),
            (&after.position, Type::INT4),
            (&until, Type::INT8),
            (&BATCH_EVENTS_MAX, Type::INT8),
        ];
        self.run(BATCH, &parameters).await?.iter().map(link).collect()
    }

    async fn name(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<EventName>, StoreError> {
        self.run(statement, parameters).await?.first().map(name).transpose()
    }
}

fn name(row: &Row) -> Result<EventName, StoreError> {
    Ok(EventName {
        number: field(row, TABLE, "number")?,
        revision: field(row, TABLE, "revision")?,
        position: field(row, TABLE, "position")?,
    })
}

fn link(row: &Row) -> Result<Link, StoreError> {
    let name = name(row)?;
    let time: Timestamp = field(row, TABLE, "occurred_at")?;
    let (revision, position) = (name.revision.to_string(), name.position.to_string());
    let time = time.micros().to_string();
    let text = |column| field::<Option<&str>>(row, TABLE, column);
    let content = content([
        Some(revision.as_str()),
        Some(position.as_str()),
        Some(time.as_str()),
        text("actor")?,
        text("peer")?,
        text("action")?,
        text("kind")?,
        text("subject")?,
        text("domain")?,
        text("request_id")?,
        text("before")?,
        text("after")?,
    ]);
    Ok(Link { name, hash: ChainHash::from_stored(field(row, TABLE, "hash")?), content })
}
