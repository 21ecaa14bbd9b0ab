//! What was used of quotas: a table that replicas write in batches, and that operators adjust.

use serde_json::{Value as Json, json};
use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        meter::{
            Owner,
            quota::{QuotaUse, StoredQuota},
        },
        name::{DomainName, LimitName},
        time::Timestamp,
    },
    store::{
        BOUNDS, OPERATION_TIME_MAX, Parameter, Store, error::StoreError, in_time, row::field,
        write::WriteTx,
    },
};

/// A batch counts once, however often it is sent. Sorted, so that two replicas' batches cannot lock
/// each other out. What a clock that is far ahead says of a later period is not taken: nobody would
/// get out of it again.
const WRITE: &str = "-- quota.write
    WITH first AS (
        INSERT INTO keyward.quota_batch AS known (replica, number, written_at)
        VALUES ($1::text::uuid, $2, now())
        ON CONFLICT (replica) DO UPDATE
        SET number = excluded.number, written_at = excluded.written_at
        WHERE known.number < excluded.number
        RETURNING number
    ), used AS (
        SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int8[],
            $8::int8[]) AS used (owner, name, period, start_at, amount, quota)
    )
    INSERT INTO keyward.quota AS known (owner, name, period, start_at, used, credits)
    SELECT owner, name, period, start_at, amount, 0 FROM used
    WHERE amount <> 0 AND EXISTS (SELECT FROM first)
        AND start_at < now() + interval '10 minutes'
    ORDER BY owner, name
    ON CONFLICT (owner, name) DO UPDATE SET
        period = excluded.period,
        start_at = CASE WHEN known.period = excluded.period
            THEN greatest(known.start_at, excluded.start_at) ELSE excluded.start_at END,
        used = CASE
            WHEN known.period <> excluded.period OR known.start_at < excluded.start_at
            THEN excluded.used
            WHEN known.start_at = excluded.start_at THEN known.used + excluded.used
            ELSE known.used END,
        credits = CASE
            WHEN known.period <> excluded.period OR known.start_at < excluded.start_at
            THEN greatest(0, known.credits - greatest(0, known.used - (
                SELECT used.quota FROM used
                WHERE used.owner = known.owner AND used.name = known.name)))
            ELSE known.credits END";

macro_rules! columns {
    () => {
        "SELECT owner, name, period, start_at, used, credits, generation FROM keyward.quota"
    };
}

const READ: &str = concat!(
    "-- quota.read\n",
    columns!(),
    " WHERE (owner, name) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
);

const OF_OWNER: &str =
    concat!("-- quota.of_owner\n", columns!(), " WHERE owner = $1 ORDER BY name");

/// The row is made if it is not there: what is not there cannot be locked.
const LOCK: &str = "-- quota.lock
    INSERT INTO keyward.quota AS known (owner, name, period, start_at, used, credits, generation)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (owner, name) DO UPDATE SET generation = known.generation
    RETURNING owner, name, period, start_at, used, credits, generation";

const SET: &str = "-- quota.set
    UPDATE keyward.quota SET period = $3, start_at = $4, used = $5, credits = $6, generation = $7
    WHERE owner = $1 AND name = $2";

const FORGET_BATCHES: &str = "-- quota.forget_batches
    DELETE FROM keyward.quota_batch WHERE written_at < now() - interval '30 days'";

/// Uses that are written together, each quota at most once.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which replica writes: a UUID, another one after each start.
    pub replica: String,
    /// Counts its batches.
    pub number: i64,
    /// What was used.
    pub uses: Vec<QuotaUse>,
}

/// What is stored of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What has the quota.
    pub owner: String,
    /// The quota's name.
    pub name: LimitName,
    /// Its state.
    pub stored: StoredQuota,
}

impl Store {
    /// Writes a batch, which may be sent again, and returns what is known then of these quotas.
    pub async fn record_quotas(&self, batch: &Batch) -> Result<Vec<Known>, StoreError> {
        let uses = &batch.uses;
        let owners: Vec<String> = uses.iter().map(|used| used.owner.to_string()).collect();
        let names: Vec<&str> = uses.iter().map(|used| used.name.as_str()).collect();
        let periods: Vec<String> = uses.iter().map(|used| used.period.to_string()).collect();
        let starts: Vec<Timestamp> = uses.iter().map(|used| used.start).collect();
        let amounts: Vec<i64> = uses.iter().map(|used| used.amount).collect();
        let limits: Vec<i64> = uses.iter().map(|used| used.limit).collect();
        let write: [Parameter<'_>; 8] = [
            (&batch.replica, Type::TEXT),
            (&batch.number, Type::INT8),
            (&owners, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&periods, Type::TEXT_ARRAY),
            (&starts, Type::TIMESTAMPTZ_ARRAY),
            (&amounts, Type::INT8_ARRAY),
            (&limits, Type::INT8_ARRAY),
        ];
        let read: [Parameter<'_>; 2] = [(&owners, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
        in_time(OPERATION_TIME_MAX, async {
            let mut session = self.session().await?;
            let tx = session.begin(BOUNDS).await?;
            tx.execute_typed(WRITE, &write).await?;
            let rows = tx.query_typed(READ, &read).await?;
            tx.commit().await?;
            rows.iter().map(known).collect()
        })
        .await?
    }

    /// Forgets the batches of replicas that ended.
    pub async fn forget_quota_batches(&self) -> Result<(), StoreError> {
        self.run(FORGET_BATCHES, &[]).await.map(drop)
    }
}

impl WriteTx<'_> {
    /// What is stored of the quotas of something.
    pub async fn quotas_of(&self, owner: &Owner) -> Result<Vec<Known>, StoreError> {
        let owner = owner.to_string();
        let rows = self.query(OF_OWNER, &[(&owner, Type::TEXT)]).await?;
        rows.iter().map(known).collect()
    }

    /// What is stored of a quota, or `unused` if nothing is; nobody else changes it until the end.
    pub async fn lock_quota(
        &mut self,
        (owner, name): (&Owner, &LimitName),
        unused: &StoredQuota,
    ) -> Result<StoredQuota, StoreError> {
        let rows = self.with_quota(LOCK, (owner, name), unused).await?;
        rows.first().map_or(Ok(*unused), |row| known(row).map(|known| known.stored))
    }

    /// Replaces what is stored of a quota that is locked, of something in this domain.
    pub async fn set_quota(
        &mut self,
        (domain, owner, name): (&DomainName, &Owner, &LimitName),
        before: &StoredQuota,
        after: &StoredQuota,
    ) -> Result<(), StoreError> {
        self.with_quota(SET, (owner, name), after).await?;
        let subject = format!("{owner} {name}");
        self.note_quota((domain, subject), snapshot(before), snapshot(after));
        Ok(())
    }

    async fn with_quota(
        &self,
        statement: &str,
        (owner, name): (&Owner, &LimitName),
        quota: &StoredQuota,
    ) -> Result<Vec<Row>, StoreError> {
        let parameters: [Parameter<'_>; 7] = [
            (&owner.to_string(), Type::TEXT),
            (&name.as_str(), Type::TEXT),
            (&quota.period.to_string(), Type::TEXT),
            (&quota.start, Type::TIMESTAMPTZ),
            (&quota.used, Type::INT8),
            (&quota.credits, Type::INT8),
            (&quota.generation, Type::INT8),
        ];
        self.query(statement, &parameters).await
    }
}

fn known(row: &Row) -> Result<Known, StoreError> {
    let period: &str = field(row, "quota", "period")?;
    Ok(Known {
        owner: field(row, "quota", "owner")?,
        name: LimitName::from_stored(field(row, "quota", "name")?),
        stored: StoredQuota {
            period: period.parse().map_err(|e| StoreError::corrupt("quota", "period", e))?,
            start: field(row, "quota", "start_at")?,
            used: field(row, "quota", "used")?,
            credits: field(row, "quota", "credits")?,
            generation: field(row, "quota", "generation")?,
        },
    })
}

fn snapshot(quota: &StoredQuota) -> Json {
    json!({
        "period": quota.period.to_string(),
        "start_micros": quota.start.micros(),
        "used": quota.used,
        "credits": quota.credits,
    })
}
