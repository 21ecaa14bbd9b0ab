//! How much keys are used, and for which customers, by the hour: tables that replicas write in batches.

use std::time::Duration;

use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        customer::{CustomerId, CustomerNumber},
        id::KeyId,
        name::DomainName,
        time::Timestamp,
        usage::{DENIAL_CLASSES, HourCount, Span, Step, UsageOf},
    },
    store::{BOUNDS, OPERATION_TIME_MAX, Parameter, Store, error::StoreError, in_time, row::field},
};

const TABLE: &str = "usage_hour";
/// Rows of which one statement forgets; more are forgotten by the next one.
const FORGOTTEN_TOGETHER: i64 = 10_000;

/// A batch counts once, however often it is sent. What counts of which is gone is passed over.
macro_rules! first {
    () => {
        "WITH first AS (
            INSERT INTO keyward.usage_batch AS known (replica, number, written_at)
            VALUES ($1::text::uuid, $2, now())
            ON CONFLICT (replica) DO UPDATE
            SET number = excluded.number, written_at = excluded.written_at
            WHERE known.number < excluded.number
            RETURNING number
        ) "
    };
}

macro_rules! added {
    () => {
        "allowed = known.allowed + excluded.allowed,
            denied_stopped = known.denied_stopped + excluded.denied_stopped,
            denied_misplaced = known.denied_misplaced + excluded.denied_misplaced,
            denied_forbidden = known.denied_forbidden + excluded.denied_forbidden,
            denied_limited = known.denied_limited + excluded.denied_limited,
            cost = known.cost + excluded.cost"
    };
}

/// Sorted, so that two replicas' batches cannot lock each other out.
const WRITE_KEYS: &str = concat!(
    "-- usage_hours.write_keys\n",
    first!(),
    "INSERT INTO keyward.usage_hour AS known (key_id, hour_at, domain, user_uid, allowed,
        denied_stopped, denied_misplaced, denied_forbidden, denied_limited, cost)
    SELECT used.key_id, used.hour_at, key.domain, key.user_uid, used.allowed, used.stopped,
        used.misplaced, used.forbidden, used.limited, used.cost
    FROM unnest($3::uuid[], $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
        $9::int8[], $10::int8[])
        AS used (key_id, hour_at, allowed, stopped, misplaced, forbidden, limited, cost)
    JOIN keyward.key ON key.id = used.key_id
    WHERE EXISTS (SELECT FROM first)
    ORDER BY used.key_id, used.hour_at
    ON CONFLICT (key_id, hour_at) DO UPDATE SET ",
    added!()
);

/// Sorted as well.
const WRITE_CUSTOMERS: &str = concat!(
    "-- usage_hours.write_customers\n",
    first!(),
    "INSERT INTO keyward.usage_customer_hour AS known (customer_uid, hour_at, allowed,
        denied_stopped, denied_misplaced, denied_forbidden, denied_limited, cost)
    SELECT used.customer_uid, used.hour_at, used.allowed, used.stopped, used.misplaced,
        used.forbidden, used.limited, used.cost
    FROM unnest($3::int8[], $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
        $9::int8[], $10::int8[])
        AS used (customer_uid, hour_at, allowed, stopped, misplaced, forbidden, limited, cost)
    JOIN keyward.customer ON customer.uid = used.customer_uid
    WHERE EXISTS (SELECT FROM first)
    ORDER BY used.customer_uid, used.hour_at
    ON CONFLICT (customer_uid, hour_at) DO UPDATE SET ",
    added!()
);

const FORGET_KEYS: &str = "-- usage_hours.forget_keys
    WITH old AS (
        SELECT key_id, hour_at FROM keyward.usage_hour
        WHERE hour_at < now() - $1::float8 * interval '1 second'
        LIMIT $2
    ), forgotten AS (
        DELETE FROM keyward.usage_hour USING old
        WHERE usage_hour.key_id = old.key_id AND usage_hour.hour_at = old.hour_at
        RETURNING 1
    )
    SELECT count(*) AS forgotten FROM forgotten";

const FORGET_CUSTOMERS: &str = "-- usage_hours.forget_customers
    WITH old AS (
        SELECT customer_uid, hour_at FROM keyward.usage_customer_hour
        WHERE hour_at < now() - $1::float8 * interval '1 second'
        LIMIT $2
    ), forgotten AS (
        DELETE FROM keyward.usage_customer_hour AS counted USING old
        WHERE counted.customer_uid = old.customer_uid AND counted.hour_at = old.hour_at
        RETURNING 1
    )
    SELECT count(*) AS forgotten FROM forgotten";

const FORGET_BATCHES: &str = "-- usage_hours.forget_batches
    DELETE FROM keyward.usage_batch WHERE written_at < now() - interval '30 days'";

/// What was counted in each step, `FROM` a table, of which `totals!` says the rest. `$1` to `$5` are those
/// of every question.
macro_rules! steps {
    () => {
        "WITH step AS (
            SELECT date_trunc($1, hour_at, 'UTC') AS start_at, sum(allowed)::int8 AS allowed,
                sum(denied_stopped)::int8 AS denied_stopped,
                sum(denied_misplaced)::int8 AS denied_misplaced,
                sum(denied_forbidden)::int8 AS denied_forbidden,
                sum(denied_limited)::int8 AS denied_limited,
                least(sum(cost), 9223372036854775807)::int8 AS cost
            FROM "
    };
}

/// The first row, without a start, is of all together.
macro_rules! totals {
    () => {
        " AND ($2::timestamptz IS NULL OR hour_at >= date_trunc('hour', $2, 'UTC'))
            AND ($3::timestamptz IS NULL OR hour_at < $3)
            GROUP BY 1
        )
        (SELECT NULL AS start_at, coalesce(sum(allowed), 0)::int8 AS allowed,
            coalesce(sum(denied_stopped), 0)::int8 AS denied_stopped,
            coalesce(sum(denied_misplaced), 0)::int8 AS denied_misplaced,
            coalesce(sum(denied_forbidden), 0)::int8 AS denied_forbidden,
            coalesce(sum(denied_limited), 0)::int8 AS denied_limited,
            least(coalesce(sum(cost), 0), 9223372036854775807)::int8 AS cost
        FROM step)
        UNION ALL
        (SELECT start_at, allowed, denied_stopped, denied_misplaced, denied_forbidden,
            denied_limited, cost
        FROM step WHERE $4::timestamptz IS NULL OR start_at > $4
        ORDER BY start_at LIMIT $5)
        ORDER BY start_at NULLS FIRST"
    };
}

const QUERY_KEYS: &str = concat!(
    "-- usage_hours.query_keys\n",
    steps!(),
    "keyward.usage_hour
    WHERE ($6::uuid IS NULL OR key_id = $6)
        AND ($7::text IS NULL OR user_uid = (
            SELECT uid FROM keyward.domain_user
            WHERE domain = $8 AND id = $7 AND deleted_at IS NULL))
        AND ($8::text IS NULL OR domain = $8)
        AND ($9::text[] IS NULL OR domain = ANY ($9))",
    totals!()
);

const QUERY_CUSTOMER: &str = concat!(
    "-- usage_hours.query_customer\n",
    steps!(),
    "keyward.usage_customer_hour
    WHERE customer_uid = (
        SELECT uid FROM keyward.customer
        WHERE domain = $6 AND id = $7 AND ($8::text[] IS NULL OR domain = ANY ($8)))",
    totals!()
);

/// Counts that are written together.
#[derive(Clone, Copy, Debug)]
pub struct CountBatch<'a> {
    /// Which replica writes: a UUID, another one after each start.
    pub replica: &'a str,
    /// Counts its batches.
    pub number: i64,
    /// The counts.
    pub counts: &'a Counts,
}

/// Counts of one kind, each key or customer and hour once.
#[derive(Clone, Debug)]
pub enum Counts {
    /// Of keys.
    Keys(Vec<HourCount<KeyId>>),
    /// Of customers.
    Customers(Vec<HourCount<CustomerNumber>>),
}

/// Counts as a statement takes them, but for what they are of.
struct Columns {
    hours: Vec<Timestamp>,
    allowed: Vec<i64>,
    denied: [Vec<i64>; DENIAL_CLASSES],
    costs: Vec<i64>,
}

impl Columns {
    fn of<K>(counts: &[HourCount<K>]) -> Self {
        let of_class = |class: usize| {
            let denied = counts.iter().map(|count| count.denied.get(class).copied().unwrap_or(0));
            denied.map(i64::from).collect()
        };
        let costs = counts.iter().map(|count| i64::try_from(count.cost).unwrap_or(i64::MAX));
        Self {
            hours: counts.iter().map(|count| count.hour.start()).collect(),
            allowed: counts.iter().map(|count| i64::from(count.allowed)).collect(),
            denied: std::array::from_fn(of_class),
            costs: costs.collect(),
        }
    }
}

/// What usage is asked for.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// Whose.
    pub of: UsageOf,
    /// Only of these domains, if given.
    pub domains: Option<Vec<DomainName>>,
    /// When.
    pub span: Span,
    /// How much time one row stands for.
    pub step: Step,
    /// Only rows after this one.
    pub after: Option<Timestamp>,
    /// How many rows.
    pub rows: u16,
}

/// How much something was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// How often it was allowed.
    pub allowed: i64,
    /// How often not, by class.
    pub denied: [i64; DENIAL_CLASSES],
    /// What the allowed requests cost.
    pub cost: i64,
}

/// The answer to a [`UsageQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTable {
    /// The sum over the whole span.
    pub total: UsageSum,
    /// Steps in which there was something, by their first instants, the oldest first.
    pub steps: Vec<(Timestamp, UsageSum)>,
    /// Whether there are more.
    pub more: bool,
}

impl Store {
    /// Writes a batch, which may be sent again.
    pub async fn record_counts(&self, batch: &CountBatch<'_>) -> Result<(), StoreError> {
        match batch.counts {
            Counts::Keys(counts) => {
                let keys: Vec<KeyId> = counts.iter().map(|count| count.of).collect();
                let keys: Parameter<'_> = (&keys, Type::UUID_ARRAY);
                self.write_counts((WRITE_KEYS, keys), batch, &Columns::of(counts)).await
            }
            Counts::Customers(counts) => {
                let numbers: Vec<i64> = counts.iter().map(|count| count.of.get()).collect();
                let numbers: Parameter<'_> = (&numbers, Type::INT8_ARRAY);
                self.write_counts((WRITE_CUSTOMERS, numbers), batch, &Columns::of(counts)).await
            }
        }
    }

    async fn write_counts(
        &self,
        (statement, of): (&str, Parameter<'_>),
        batch: &CountBatch<'_>,
        Columns { hours, allowed, denied, costs }: &Columns,
    ) -> Result<(), StoreError> {
        let [stopped, misplaced, forbidden, limited] = denied;
        let parameters: [Parameter<'_>; 10] = [
            (&batch.replica, Type::TEXT),
            (&batch.number, Type::INT8),
            of,
            (hours, Type::TIMESTAMPTZ_ARRAY),
            (allowed, Type::INT8_ARRAY),
            (stopped, Type::INT8_ARRAY),
            (misplaced, Type::INT8_ARRAY),
            (forbidden, Type::INT8_ARRAY),
            (limited, Type::INT8_ARRAY),
            (costs, Type::INT8_ARRAY),
        ];
        self.run(statement, &parameters).await.map(drop)
    }

    /// Forgets counts that are older than so long, and the batches of replicas that ended.
    pub async fn forget_counts(&self, retention: Duration) -> Result<(), StoreError> {
        let retention = retention.as_secs_f64();
        for statement in [FORGET_KEYS, FORGET_CUSTOMERS] {
            loop {
                let parameters: [Parameter<'_>; 2] =
                    [(&retention, Type::FLOAT8), (&FORGOTTEN_TOGETHER, Type::INT8)];
                let rows = self.run(statement, &parameters).await?;
                let forgotten: i64 =
                    rows.first().map_or(Ok(0), |row| field(row, TABLE, "forgotten"))?;
                if forgotten < FORGOTTEN_TOGETHER {
                    break;
                }
            }
        }
        self.run(FORGET_BATCHES, &[]).await.map(drop)
    }

    /// How much something was used.
    pub async fn query_usage(&self, query: &UsageQuery) -> Result<UsageTable, StoreError> {
        let (key, user, domain, customer) = match &query.of {
            UsageOf::Key(key) => (Some(*key), None, None, None),
            UsageOf::User(domain, user) => (None, Some(user.as_str()), Some(domain), None),
            UsageOf::Customer(domain, customer) => (None, None, Some(domain), Some(customer)),
            UsageOf::Domain(domain) => (None, None, Some(domain), None),
            UsageOf::All => (None, None, None, None),
        };
        let domain = domain.map(DomainName::as_str);
        let customer = customer.map(CustomerId::as_str);
        let domains = query.domains.as_ref();
        let domains: Option<Vec<&str>> =
            domains.map(|names| names.iter().map(DomainName::as_str).collect());
        let (step, more) = (query.step.as_str(), i64::from(query.rows) + 1);
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&step, Type::TEXT),
            (&query.span.start, Type::TIMESTAMPTZ),
            (&query.span.end, Type::TIMESTAMPTZ),
            (&query.after, Type::TIMESTAMPTZ),
            (&more, Type::INT8), // one more tells whether there are more
        ];
        let statement = if customer.is_some() {
            let own: [Parameter<'_>; 2] = [(&domain, Type::TEXT), (&customer, Type::TEXT)];
            parameters.extend(own);
            QUERY_CUSTOMER
        } else {
            let own: [Parameter<'_>; 3] =
                [(&key, Type::UUID), (&user, Type::TEXT), (&domain, Type::TEXT)];
            parameters.extend(own);
            QUERY_KEYS
        };
        parameters.push((&domains, Type::TEXT_ARRAY));
        let rows = in_time(OPERATION_TIME_MAX, async {
            let mut session = self.session().await?;
            let tx = session.begin(BOUNDS).await?;
            Ok::<_, StoreError>(tx.query_typed(statement, &parameters).await?)
        });
        let mut table = UsageTable::default();
        for row in &rows.await?? {
            match field(row, TABLE, "start_at")? {
                None => table.total = sum(row)?,
                Some(_) if table.steps.len() == usize::from(query.rows) => table.more = true,
                Some(start) => table.steps.push((start, sum(row)?)),
            }
        }
        Ok(table)
    }
}

fn sum(row: &Row) -> Result<UsageSum, StoreError> {
    Ok(UsageSum {
        allowed: field(row, TABLE, "allowed")?,
        denied: [
            field(row, TABLE, "denied_stopped")?,
            field(row, TABLE, "denied_misplaced")?,
            field(row, TABLE, "denied_forbidden")?,
            field(row, TABLE, "denied_limited")?,
        ],
        cost: field(row, TABLE, "cost")?,
    })
}
