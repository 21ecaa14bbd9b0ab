//! The decision log: written by COPY into a partition for each day, read in pages.

use std::{error::Error, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::time::sleep;
use tokio_postgres::{
    Row,
    binary_copy::BinaryCopyInWriter,
    types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked},
};

use crate::{
    model::{
        audit::FilterText,
        decision::{DecisionFilter, DecisionId, Entry, Page, Verdict, Way},
        id::KeyId,
        list::PageSize,
        name::DomainName,
        time::Timestamp,
    },
    store::{BOUNDS, OPERATION_TIME_MAX, Parameter, Store, error::StoreError, in_time, row::field},
};

const TABLE: &str = "decision";
/// How long a page is looked for; what was found until then is one, if it is anything.
const LIST_TIME_MAX: Duration = Duration::from_secs(4);
/// How far back a search looks at first, and four times as far each time after it.
const FIRST_SPAN: Duration = Duration::from_secs(60);
const SPAN_FACTOR: u32 = 4;
const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A crash of PostgreSQL may lose some: nobody waits for a disk here.
const LAX: &str = "-- decisions.lax
    SET LOCAL synchronous_commit = 'off'";

const WRITE: &str = "-- decisions.write
    COPY keyward.decision (decided_at, id, reason, key_id, domain, environment, user_id, customer,
        method, route, permission, limit_name, address, way, revision)
    FROM STDIN (FORMAT binary)";

const TYPES: [Type; 15] = [
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::TEXT,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INET,
    Type::TEXT,
    Type::INT8,
];

const KEEP: &str = "-- decisions.keep
    SELECT keyward.keep_decisions($1::float8 * interval '1 second')";

const RANGE: &str = "-- decisions.range
    SELECT min(decided_at) AS decided_at_first, max(decided_at) AS decided_at_last
    FROM keyward.decision";

const PAGE: &str = "-- decisions.page
    SELECT decided_at, id, reason, key_id, domain, environment, user_id, customer, method, route,
        permission, limit_name, address, way, revision
    FROM keyward.decision
    WHERE decided_at >= $1 AND decided_at <= $2 AND (decided_at, id) < ($2, $3)
        AND ($4::text[] IS NULL OR domain = ANY ($4))
        AND ($5::uuid IS NULL OR key_id = $5)
        AND ($6::text IS NULL OR user_id = $6)
        AND ($7::text IS NULL OR customer = $7)
        AND ($8::text IS NULL OR environment = $8)
        AND ($9::bool IS NULL OR (reason = '') = $9)
        AND ($10::text IS NULL OR reason = $10)
        AND ($11::text IS NULL OR starts_with(route, $11))
        AND ($12::text IS NULL OR address <<= $12::inet)
        AND ($13::uuid IS NULL OR id = $13)
    ORDER BY decided_at DESC, id DESC
    LIMIT $14";

/// Whether a batch was written by this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Now,
    /// It was there already: the answer to an earlier call was lost.
    Before,
}

/// Where a decision stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionPlace {
    /// When it was.
    pub time: Timestamp,
    /// Tells apart those of one instant.
    pub id: DecisionId,
}

/// One page of decisions.
#[derive(Clone, Debug)]
pub struct DecisionPage {
    /// The decisions, the newest first.
    pub decisions: Page,
    /// What all before it was looked at, if there may be more; then it may have less than a page, or none.
    pub next: Option<DecisionPlace>,
}

impl Store {
    /// Writes entries, all or none.
    pub async fn record_decisions(&self, pages: &[Arc<Page>]) -> Result<Written, StoreError> {
        let written = in_time(OPERATION_TIME_MAX, async {
            let mut session = self.session().await?;
            let tx = session.begin(BOUNDS).await?;
            tx.batch_execute(LAX).await?;
            let sink = tx.copy_in(WRITE).await?;
            let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
            for entry in pages.iter().flat_map(|page| page.entries()) {
                writer.as_mut().write(&values(&entry)).await?;
            }
            writer.finish().await?;
            tx.commit().await?;
            Ok(Written::Now)
        });
        match written.await? {
            Err(StoreError::Constraint { name }) if name.ends_with("_pkey") => Ok(Written::Before),
            result => result,
        }
    }

    /// Makes what days need and drops those that are over.
    pub async fn keep_decisions(&self, retention: Duration) -> Result<(), StoreError> {
        self.run(KEEP, &[(&retention.as_secs_f64(), Type::FLOAT8)]).await.map(drop)
    }

    /// A page of decisions, the newest first, after this place. It ends after some seconds, however much
    /// there is to look at.
    pub async fn list_decisions(
        &self,
        filter: &DecisionFilter,
        size: PageSize,
        after: Option<DecisionPlace>,
    ) -> Result<DecisionPage, StoreError> {
        let mut decisions = Page::default();
        let Some((first, mut place)) = self.decision_range(filter, after).await? else {
            return Ok(DecisionPage { decisions, next: None });
        };
        let size = usize::from(size.items());
        let mut over = pin!(sleep(LIST_TIME_MAX));
        let (mut span, mut moved) = (FIRST_SPAN, false);
        while place.time >= first {
            let start = place.time.before(span).max(first);
            let wanted = size - decisions.len();
            let rows = tokio::select! {
                rows = self.decisions_between(filter, (start, place), wanted) => rows?,
                () = &mut over => break,
            };
            moved = true;
            for row in &rows {
                push(&mut decisions, row)?;
            }
            if rows.len() >= wanted {
                let next = decisions.entries().next_back();
                let next = next.map(|last| DecisionPlace { time: last.time, id: last.id });
                return Ok(DecisionPage { decisions, next });
            }
            place = DecisionPlace { time: start, id: DecisionId::FIRST };
            if start <= first {
                return Ok(DecisionPage { decisions, next: None });
            }
            span = (span * SPAN_FACTOR).min(SPAN_MAX);
        }
        if !moved && place.time >= first {
            return Err(StoreError::too_slow());
        }
        let next = (place.time >= first).then_some(place);
        Ok(DecisionPage { decisions, next })
    }

    /// From when to before which place there is something to look at, if there is.
    async fn decision_range(
        &self,
        filter: &DecisionFilter,
        after: Option<DecisionPlace>,
    ) -> Result<Option<(Timestamp, DecisionPlace)>, StoreError> {
        let rows = self.run(RANGE, &[]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let first: Option<Timestamp> = field(row, TABLE, "decided_at_first")?;
        let last: Option<Timestamp> = field(row, TABLE, "decided_at_last")?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let first = filter.start.map_or(first, |start| start.max(first));
        let end = filter.end.map_or(last.after(INSTANT), |end| end.min(last.after(INSTANT)));
        let end = DecisionPlace { time: end, id: DecisionId::FIRST };
        let is_before = |place: &DecisionPlace| (place.time, place.id) < (end.time, end.id);
        Ok(Some((first, after.filter(is_before).unwrap_or(end))))
    }

    /// Some decisions from a time on and before a place, the newest first.
    async fn decisions_between(
        &self,
        filter: &DecisionFilter,
        (start, end): (Timestamp, DecisionPlace),
        count: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let text = |text: &Option<FilterText>| text.as_ref().map(|text| text.as_str().to_owned());
        let domains = filter.domains.as_ref();
        let domains: Option<Vec<&str>> =
            domains.map(|names| names.iter().map(DomainName::as_str).collect());
        let parameters: [Parameter<'_>; 14] = [
            (&start, Type::TIMESTAMPTZ),
            (&end.time, Type::TIMESTAMPTZ),
            (&end.id, Type::UUID),
            (&domains, Type::TEXT_ARRAY),
            (&filter.key, Type::UUID),
            (&text(&filter.user), Type::TEXT),
            (&text(&filter.customer), Type::TEXT),
            (&text(&filter.environment), Type::TEXT),
            (&filter.verdict.map(|verdict| verdict == Verdict::Allowed), Type::BOOL),
            (&filter.reason.as_deref(), Type::TEXT),
            (&text(&filter.route_prefix), Type::TEXT),
            (&filter.network.map(|network| network.to_string()), Type::TEXT),
            (&filter.id, Type::UUID),
            (&i64::try_from(count).unwrap_or(i64::MAX), Type::INT8),
        ];
        self.run(PAGE, &parameters).await
    }
}

/// The shortest time between two instants.
const INSTANT: Duration = Duration::from_micros(1);

/// An entry as the columns of [`WRITE`].
fn values<'a>(entry: &'a Entry<'_>) -> [&'a (dyn ToSql + Sync); 15] {
    let Entry { time, id, reason, key, domain, environment, user, customer, .. } = entry;
    let Entry { method, route, permission, limit, address, way, revision, .. } = entry;
    [
        time,
        id,
        reason,
        key,
        domain,
        environment,
        user,
        customer,
        method,
        route,
        permission,
        limit,
        address,
        way,
        revision,
    ]
}

fn push(page: &mut Page, row: &Row) -> Result<(), StoreError> {
    let way: &str = field(row, TABLE, "way")?;
    let address: Option<IpAddr> = field(row, TABLE, "address")?;
    let key: Option<KeyId> = field(row, TABLE, "key_id")?;
    page.push(&Entry {
        time: field(row, TABLE, "decided_at")?,
        id: field(row, TABLE, "id")?,
        reason: field(row, TABLE, "reason")?,
        key,
        domain: field(row, TABLE, "domain")?,
        environment: field(row, TABLE, "environment")?,
        user: field(row, TABLE, "user_id")?,
        customer: field(row, TABLE, "customer")?,
        method: field(row, TABLE, "method")?,
        route: field(row, TABLE, "route")?,
        permission: field(row, TABLE, "permission")?,
        limit: field(row, TABLE, "limit_name")?,
        address,
        way: Way::from_stored(way),
        revision: field(row, TABLE, "revision")?,
    });
    Ok(())
}

impl<'a> FromSql<'a> for DecisionId {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::from_bytes(raw.try_into()?))
    }

    accepts!(UUID);
}

impl ToSql for DecisionId {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl ToSql for Way {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.as_str().to_sql(of, out)
    }

    accepts!(TEXT);
    to_sql_checked!();
}
