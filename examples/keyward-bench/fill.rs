//! Fills the table of keys by COPY, as many at a time as the database takes.

use std::{
    fmt::Write,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt, future::try_join_all};
use keyward::{
    model::{
        pepper::Peppers,
        secret::{Brand, Pepper},
    },
    store::{Address, Store},
};
use tokio_postgres::{Client, NoTls};

use crate::{
    keys::{PEPPER, digest, id, permissions, profile, route_rules},
    signals,
    tokens::token,
};

/// COPY runs on so many connections at once.
const COPIES: u64 = 2;
/// Rows that are sent together.
const ROWS_AT_ONCE: u64 = 2000;
const PROGRESS_EVERY: u64 = 500_000;

const COPY: &str = "COPY keyward.key (id, domain, environment, display_name, description,
    permissions, route_rules, labels, standing, digest, hint, created_by, created_at, updated_at,
    version, limits, groups) FROM STDIN";

/// The name of the permission group that keys can have, and what only it gives.
pub const GROUP: &str = "staff";
pub const GROUP_PERMISSION: &str = "systems.read";
const INSERT_GROUP: &str = "INSERT INTO keyward.permission_group (domain, name, display_name,
    description, permissions, created_at, updated_at, version)
    VALUES ('default', $1, 'Staff', '', ARRAY[$2], now(), now(), 1) RETURNING uid";

/// The indexes that are made anew when all rows are there, which is sooner than to keep them up; all
/// but the primary key, whose order is the order of the rows.
const INDEXES: &str =
    "SELECT conname::text AS name, pg_get_constraintdef(oid) AS definition, true AS is_constraint
    FROM pg_constraint WHERE conrelid = 'keyward.key'::regclass AND contype = 'u'
    UNION ALL
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), false
    FROM pg_index WHERE indrelid = 'keyward.key'::regclass AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid)";

/// Which keys there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlan {
    /// How many.
    pub count: u64,
    /// Whether each has a rate limit of its own, which never denies.
    pub limits: bool,
    /// Whether each has [`GROUP`].
    pub group: bool,
}

/// A rate limit that never denies.
const LIMIT: &str = "{steady:rate:1000000:1000000:1000000}";

/// What is the same in all rows, in COPY's text.
#[derive(Clone, Copy, Debug)]
struct Kept<'a> {
    limits: &'a str,
    groups: &'a str,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    /// Until all rows were there.
    pub rows: Duration,
    /// After that, until all indexes were there and statistics were taken.
    pub indexes: Duration,
}

/// Makes the schema and fills it.
pub fn fill(config: &tokio_postgres::Config, plan: KeyPlan) -> Result<Filled> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::new(&Address { config: config.clone(), tls: None }, 2)?;
        store.migrate().await?;
        let peppers = Peppers::single(Pepper::parse(PEPPER.as_bytes())?);
        store.recognise_peppers(&peppers).await?;
        let client = connect(config).await?;
        let mut groups = String::from("{}");
        if plan.group {
            let row = client.query_one(INSERT_GROUP, &[&GROUP, &GROUP_PERMISSION]).await?;
            groups = format!("{{{}}}", row.try_get::<_, i64>(0)?);
        }
        let kept = Kept { limits: if plan.limits { LIMIT } else { "{}" }, groups: &groups };
        let begun = Instant::now();
        let indexes = drop_indexes(&client).await?;
        let part = plan.count.div_ceil(COPIES);
        let copies = (0..COPIES).map(|number| {
            let keys = (number * part).min(plan.count)..((number + 1) * part).min(plan.count);
            copy(config, keys, kept, begun)
        });
        try_join_all(copies).await?;
        let rows = begun.elapsed();
        for statement in indexes {
            client.batch_execute(&statement).await?;
        }
        client.batch_execute("VACUUM ANALYZE keyward.key").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(Filled { rows, indexes: begun.elapsed().saturating_sub(rows) })
    })
}

/// Opens a connection for what the service has no function for.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await.context("cannot reach PostgreSQL")?;
    // ends with its client
    drop(tokio::spawn(connection));
    // what refers to domains and environments is right: both are there from the beginning
    let settings = "SET synchronous_commit = off; SET session_replication_role = replica;
        SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 2";
    client.batch_execute(settings).await?;
    Ok(client)
}

/// Drops what can be made again; returns the statements that do.
async fn drop_indexes(client: &Client) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    for row in client.query(INDEXES, &[]).await? {
        let (name, definition): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let is_constraint: bool = row.try_get(2)?;
        if is_constraint {
            client
                .batch_execute(&format!("ALTER TABLE keyward.key DROP CONSTRAINT {name}"))
                .await?;
            statements.push(format!("ALTER TABLE keyward.key ADD CONSTRAINT {name} {definition}"));
        } else {
            client.batch_execute(&format!("DROP INDEX {name}")).await?;
            statements.push(definition);
        }
    }
    Ok(statements)
}

async fn copy(
    config: &tokio_postgres::Config,
    keys: Range<u64>,
    kept: Kept<'_>,
    begun: Instant,
) -> Result<()> {
    let client = connect(config).await?;
    let brand = Brand::parse("kw")?;
    let pepper = Pepper::parse(PEPPER.as_bytes())?;
    let sink = client.copy_in::<_, Bytes>(COPY).await?;
    futures_util::pin_mut!(sink);
    let mut rows = String::new();
    for number in keys.clone() {
        put_row(&mut rows, number, kept, &brand, &pepper);
        let sent = number + 1 - keys.start;
        if sent.is_multiple_of(ROWS_AT_ONCE) || number + 1 == keys.end {
            signals::check()?;
            sink.send(Bytes::from(std::mem::take(&mut rows))).await?;
        }
        if sent.is_multiple_of(PROGRESS_EVERY) {
            eprintln!("  {sent} of {} keys after {:.1?}", keys.end - keys.start, begun.elapsed());
        }
    }
    sink.finish().await?;
    Ok(())
}

/// One row in COPY's text.
fn put_row(out: &mut String, number: u64, kept: Kept<'_>, brand: &Brand, pepper: &Pepper) {
    let token = token(number);
    let uuid = u128::from_be_bytes(*id(number).bytes());
    let profile = profile(number);
    write!(out, "{uuid:032x}\tdefault\tproduction\tKey {number}\t\t").unwrap();
    write!(out, "{{{}}}\t", permissions(profile).join(",")).unwrap();
    write!(out, "{{\"{}\"}}\t", route_rules(profile).join("\",\"")).unwrap();
    out.push_str("{}\tactive\t\\\\x");
    for byte in digest(&token, brand, pepper).bytes() {
        write!(out, "{byte:02x}").unwrap();
    }
    write!(out, "\t{}…{}\tbootstrap\t", &token[..12], &token[42..]).unwrap();
    out.push_str("2025-01-01 00:00:00Z\t2025-01-01 00:00:00Z\t1\t");
    writeln!(out, "{}\t{}", kept.limits, kept.groups).unwrap();
}
