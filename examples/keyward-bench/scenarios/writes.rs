//! Admin writes beside plain rows of the database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::Choices;
use crate::{
    admin::{Access, Admin},
    keys::{permissions, profile, route_rules},
    machine::{Cores, cpu_of_process},
    program::Program,
    report::{Counted, Report, Row},
    signals,
};

const CALLERS: [u64; 3] = [1, 8, 16];
const WARM: Duration = Duration::from_millis(500);

const TABLE: &str = "CREATE TABLE public.plain (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, display_name text NOT NULL,
    permissions text[] NOT NULL, route_rules text[] NOT NULL, digest bytea NOT NULL,
    created_at timestamptz NOT NULL)";
/// Committed by itself, as each statement outside of a transaction is.
const INSERT: &str = "INSERT INTO public.plain
    (display_name, permissions, route_rules, digest, created_at)
    VALUES ($1, $2, $3, sha256($1::text::bytea), now())";

const COUNT: &str = "SELECT count(*) FROM public.plain";

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Insert,
    Create,
    Update,
}

impl Write {
    const ALL: [Self; 3] = [Self::Insert, Self::Create, Self::Update];

    const fn name(self) -> &'static str {
        match self {
            Self::Insert => "plain INSERT",
            Self::Create => "CreateKey",
            Self::Update => "UpdateKey",
        }
    }
}

/// Whom a caller calls.
enum Called {
    Database(Client, Statement),
    Admin(Admin),
}

/// Who writes, and where.
struct Site {
    runtime: Runtime,
    access: Access,
    database: Config,
    keys: u64,
    server: u32,
}

/// What came of it.
struct Written {
    latency: Histogram<u64>,
    span: Duration,
    server_cpu: Duration,
}

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::Both)?;
    ensure!(site.plan.count >= 1000, "1000 keys are needed, so that no two callers meet on one");
    let token = site.root_token()?;
    let mut server = site.start(Program::Keyward)?;
    let writers = Site {
        runtime: Builder::new_current_thread().enable_all().build()?,
        access: server.admin(token)?,
        database: site.postgres()?.connection().url().parse()?,
        keys: site.plan.count,
        server: server.target().pid,
    };
    writers
        .runtime
        .block_on(async { anyhow::Ok(writers.connect().await?.batch_execute(TABLE).await?) })?;

    let name = |write: Write, callers: u64| format!("{}, {callers} callers", write.name());
    let variants: Vec<(Write, u64)> =
        CALLERS.into_iter().flat_map(|callers| Write::ALL.map(|write| (write, callers))).collect();
    let row = |(write, callers): &(Write, u64)| {
        let baseline = (*write != Write::Insert).then(|| name(Write::Insert, *callers));
        Row::new(&name(*write, *callers), baseline.as_deref())
    };
    let mut rows: Vec<Row> = variants.iter().map(row).collect();
    for round in 0..choices.effort.rounds {
        eprintln!("round {} of {}", round + 1, choices.effort.rounds);
        for turn in 0..variants.len() {
            let at = (round + turn) % variants.len();
            let (write, callers) = variants[at];
            let written = writers.write(write, callers, choices.effort.span)?;
            written.note(&mut rows[at], write)?;
        }
    }
    let mut report = Report { counted: Counted::Writes, rows, ..Report::default() };
    let stored = writers.runtime.block_on(writers.count())?;
    report.facts.push(("plain rows, stored".into(), stored as f64, ""));
    Ok(report)
}

impl Site {
    async fn connect(&self) -> Result<Client> {
        let (client, connection) =
            self.database.connect(NoTls).await.context("cannot reach PostgreSQL")?;
        // ends with its client
        drop(tokio::spawn(connection));
        Ok(client)
    }

    /// How many plain rows there are.
    async fn count(&self) -> Result<i64> {
        let row = self.connect().await?.query_one(COUNT, &[]).await?;
        Ok(row.try_get(0)?)
    }

    async fn call(&self, write: Write) -> Result<Called> {
        if write != Write::Insert {
            return Ok(Called::Admin(self.access.connect().await?));
        }
        let client = self.connect().await?;
        let statement = client.prepare(INSERT).await?;
        Ok(Called::Database(client, statement))
    }

    /// Writes with so many callers, each of which waits for its answer before it writes again.
    fn write(&self, write: Write, callers: u64, span: Duration) -> Result<Written> {
        self.runtime.block_on(async {
            let called = try_join_all((0..callers).map(|_| self.call(write))).await?;
            let begun = Instant::now();
            let turns = called.iter().zip(0..).map(|(called, first)| {
                let numbers = (first..).step_by(usize::try_from(callers).unwrap_or(1));
                self.turns(called, write, numbers, begun + WARM..begun + WARM + span)
            });
            let cpu = async {
                tokio::time::sleep_until((begun + WARM).into()).await;
                let before = cpu_of_process(self.server)?;
                tokio::time::sleep_until((begun + WARM + span).into()).await;
                Ok(cpu_of_process(self.server)?.saturating_sub(before))
            };
            let (latencies, server_cpu) = tokio::try_join!(try_join_all(turns), cpu)?;
            let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
            latencies.into_iter().try_for_each(|of_one| latency.add(of_one))?;
            Ok(Written { latency, span, server_cpu })
        })
    }

    /// The turns of one caller: what those took that were answered within the span.
    async fn turns(
        &self,
        called: &Called,
        write: Write,
        numbers: impl Iterator<Item = u64>,
        span: std::ops::Range<Instant>,
    ) -> Result<Histogram<u64>> {
        let mut latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        for number in numbers {
            signals::check()?;
            let sent = Instant::now();
            if sent >= span.end {
                break;
            }
            called.write(write, number, self.keys).await?;
            let answered = Instant::now();
            if span.contains(&answered) {
                latency.saturating_record(u64::try_from((answered - sent).as_nanos())?);
            }
        }
        Ok(latency)
    }
}

impl Called {
    async fn write(&self, write: Write, number: u64, keys: u64) -> Result<()> {
        match (self, write) {
            (Self::Database(client, statement), _) => {
                let profile = profile(number);
                let (permissions, rules) = (permissions(profile), route_rules(profile));
                let display_name = format!("Made {number}");
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                    [&display_name, &permissions.as_slice(), &rules.as_slice()];
                let rows = client.execute(statement, &values).await?;
                ensure!(rows == 1, "{rows} rows were inserted, not 1");
                Ok(())
            }
            (Self::Admin(admin), Write::Update) => {
                admin.rename(number % keys, format!("Renamed {number}")).await
            }
            (Self::Admin(admin), Write::Create | Write::Insert) => admin.create(number).await,
        }
    }
}

impl Written {
    fn note(&self, row: &mut Row, write: Write) -> Result<()> {
        let count = self.latency.len() as f64;
        ensure!(count > 0.0, "{}: nothing was written", row.name);
        let latency = |share: f64| self.latency.value_at_quantile(share) as f64 / 1000.0;
        row.add("rate", count / self.span.as_secs_f64());
        row.add("p50_us", latency(0.5));
        row.add("p90_us", latency(0.9));
        row.add("p99_us", latency(0.99));
        row.add("p999_us", latency(0.999));
        row.add("max_us", self.latency.max() as f64 / 1000.0);
        if write != Write::Insert {
            row.add("cpu_us", self.server_cpu.as_secs_f64() * 1e6 / count);
        }
        Ok(())
    }
}
