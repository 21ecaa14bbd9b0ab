//! What imports cost those who ask, and how long a large one takes whose server is killed in its middle.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keyward::rpc::pb::{AuthorizeRequest, Job, JobState};
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

use super::Choices;
use crate::{
    admin::Access,
    imports::{Imports, send, token, until},
    keys::{Answers, Mix, permissions, pool, profile},
    load::{Load, Target, pool::Pool, probe::Probe},
    machine::Cores,
    program::Program,
    report::{Report, Row},
    rounds::{REQUESTS_MAX, check, note},
    site::{Server, Site},
};

const QUIET: &str = "quiet";
/// What imports do to latencies beside the bare service is what PostgreSQL and the importer take of the
/// generator's core, and the job of the server's.
const ECHO_QUIET: &str = "echo, quiet";
const CONNECTIONS: usize = 16;
const SPAN: Duration = Duration::from_secs(10);
const MIB: f64 = 1024.0 * 1024.0;
/// The large import has the numbers from here on, those of flows are below.
const LARGE: u64 = 1 << 40;
/// Every so many imported keys is asked for.
const ASKED_EVERY: u64 = 997;
const COUNT: &str = "SELECT count(*) FROM keyward.key WHERE display_name LIKE 'Imported %'";

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Arguments {
    /// How many decisions are asked for a second
    #[arg(long, default_value = "20000")]
    rate: f64,
    /// How many keys the large import has
    #[arg(long, default_value = "1000000")]
    imported: u64,
}

pub fn run(choices: &Choices, arguments: Arguments) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let mut report = beside(choices, arguments.rate, &mut site)?;
    report.facts.push(("offered".into(), arguments.rate, "decisions a second"));
    // a database without keys, so that what is counted is what was imported
    site.fill(crate::fill::KeyPlan { count: 0, ..choices.plan() })?;
    report.facts.extend(large(&mut site, arguments.imported)?);
    Ok(report)
}

/// Latencies with imports and without.
fn beside(choices: &Choices, rate: f64, site: &mut Site) -> Result<Report> {
    let span = choices.seconds.unwrap_or(SPAN);
    let load = Load::open(CONNECTIONS, rate).lasting(span);
    let keys = site.plan.count;
    let token = site.root_token()?;
    let mut server = site.start(Program::Keyward)?;
    let access = server.admin(token)?;
    let echo = site.start(Program::Echo { limits: choices.limits })?;
    let pool = |answers| pool(keys, keys.min(REQUESTS_MAX), Mix::Good, answers);
    let mut asked = [
        (server.target(), pool(Answers::Decided), Row::new(QUIET, None), importing(QUIET)),
        (
            echo.target(),
            pool(Answers::AllAllowed),
            Row::new(ECHO_QUIET, None),
            importing(ECHO_QUIET),
        ),
    ];
    let (mut first, mut rates) = (0, Vec::new());
    for round in 0..choices.effort.rounds {
        eprintln!("round {} of {}", round + 1, choices.effort.rounds);
        for (target, pool, quiet, busy) in &mut asked {
            measure(&load, *target, pool, quiet)?;
            let imports = Imports::start(&access, first);
            measure(&load, *target, pool, busy)?;
            rates.push(imports.end()?);
            first += 1 << 30;
        }
    }
    let [(.., quiet, busy), (.., echo_quiet, echo_busy)] = asked;
    let mut report = Report { rows: vec![quiet, busy, echo_quiet, echo_busy], ..Report::default() };
    report.facts.push((
        "imported meanwhile".into(),
        rates.iter().sum::<f64>() / rates.len() as f64,
        "keys a second",
    ));
    Ok(report)
}

fn importing(quiet: &str) -> Row {
    Row::new(&quiet.replace("quiet", "keyward imports"), Some(quiet))
}

fn measure(load: &Load, target: Target, pool: &mut Pool, row: &mut Row) -> Result<()> {
    let measured = load.run(target, pool)?;
    check(&row.name, &measured)?;
    note(row, &measured)
}

/// One import, whose server is killed when half is done and started again, with a replica that follows.
fn large(site: &mut Site, count: u64) -> Result<Vec<(String, f64, &'static str)>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let root = site.root_token()?;
    let mut server = site.start(Program::Keyward)?;
    let access = server.admin(root.clone())?;
    eprintln!("importing {count} keys");
    let begun = Instant::now();
    let (sent, half) = runtime.block_on(received(&access, count))?;
    let stored = begun.elapsed();
    let before = server.memory_max()?;
    server.kill()?;
    let killed = Instant::now();
    let mut server = site.start(Program::Keyward)?;
    let access = server.admin(root)?;
    let follower = site.start(Program::Keyward)?;
    let ended = runtime.block_on(async {
        let admin = access.connect().await?;
        until(&admin, &sent.id, |job| job.finish_time.is_some()).await
    })?;
    let resumed = killed.elapsed();
    let expected = i64::try_from(count)?;
    ensure!(
        (ended.state(), ended.done, ended.failed) == (JobState::Succeeded, expected, 0),
        "the import did not make all keys: {ended:?}"
    );
    ensure!(runtime.block_on(keys(site))? == expected, "the database has another number of keys");
    let all_made = Instant::now();
    all_known(&follower, count)?;
    Ok(vec![
        ("import".into(), count as f64, "keys"),
        ("done when killed".into(), half.done as f64, "keys"),
        ("from the first item to the kill".into(), stored.as_secs_f64(), "s"),
        ("from the kill to the end".into(), resumed.as_secs_f64(), "s"),
        ("from the end until a replica knew all".into(), all_made.elapsed().as_secs_f64(), "s"),
        ("memory until the kill, at most".into(), before as f64 / MIB, "MiB"),
        ("memory after it, at most".into(), server.memory_max()? as f64 / MIB, "MiB"),
        ("memory of the replica, at most".into(), follower.memory_max()? as f64 / MIB, "MiB"),
    ])
}

/// Sends all items and waits until half of them are keys.
async fn received(access: &Access, count: u64) -> Result<(Job, Job)> {
    let admin = access.connect().await?;
    let sent = send(&admin, LARGE, count).await?;
    let half = i64::try_from(count / 2)?;
    let at_half = until(&admin, &sent.id, |job| job.done >= half).await?;
    Ok((sent, at_half))
}

async fn keys(site: &Site) -> Result<i64> {
    let url = site.postgres()?.connection().url();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    // ends with its client
    drop(tokio::spawn(connection));
    Ok(client.query_one(COUNT, &[]).await?.try_get(0)?)
}

/// Asks for some of the imported keys until each is allowed.
fn all_known(replica: &Server, count: u64) -> Result<()> {
    for number in (LARGE..LARGE + count).rev().step_by(usize::try_from(ASKED_EVERY)?) {
        let [permission, ..] = permissions(profile(number));
        let question = AuthorizeRequest {
            key: token(number),
            environment: "production".into(),
            permission,
            ..AuthorizeRequest::default()
        };
        Probe::open(replica.target(), &question, 200)?.wait()?;
    }
    Ok(())
}
