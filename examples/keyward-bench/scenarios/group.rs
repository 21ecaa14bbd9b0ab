//! An edit of a permission group that all keys have.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use keyward::rpc::pb::AuthorizeRequest;
use tokio::runtime::Builder;

use super::Choices;
use crate::{
    admin::Access,
    fill::{GROUP_PERMISSION, KeyPlan},
    keys::{Answers, Mix, pool, request},
    load::{Load, Target, probe::Probe},
    machine::Cores,
    program::Program,
    report::{Report, Row},
    rounds::{REQUESTS_MAX, check, note},
};

const CONNECTIONS: usize = 16;
/// Decisions a second: a closed loop would leave no core to those who edit and follow.
const RATE: f64 = 20_000.0;
const QUIET: &str = "nothing changes";
const EDITED: &str = "the group is edited all the time";
/// What it gives in between; no key asks for it.
const OTHER_PERMISSION: &str = "users.read";
const MIB: f64 = 1024.0 * 1024.0;

/// What passed until another replica decided by an edit.
#[derive(Default)]
struct Seen {
    from_sending: Vec<Duration>,
    from_answer: Vec<Duration>,
}

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.site(Cores::Both)?;
    site.fill(KeyPlan { group: true, ..choices.plan() })?;
    let token = site.root_token()?;
    let mut writer = site.start(Program::Keyward)?;
    let mut reader = site.start(Program::Keyward)?;
    let access = writer.admin(token)?;
    let keys = site.plan.count;
    let mut pool = pool(keys, keys.min(REQUESTS_MAX), Mix::Good, Answers::Decided);
    let load = Load::open(CONNECTIONS, RATE).lasting(choices.effort.span);
    let mut rows = [Row::new(QUIET, None), Row::new(EDITED, Some(QUIET))];
    let mut seen = Seen::default();
    for round in 0..choices.effort.rounds {
        eprintln!("round {} of {}", round + 1, choices.effort.rounds);
        let quiet = load.run(reader.target(), &mut pool)?;
        let over = AtomicBool::new(false);
        let edited = thread::scope(|scope| {
            let editing = scope.spawn(|| edit(&access, reader.target(), &over));
            let edited = load.run(reader.target(), &mut pool);
            over.store(true, Relaxed);
            let edits = editing.join().ok().context("the thread that edits ended")??;
            seen.from_sending.extend(edits.from_sending);
            seen.from_answer.extend(edits.from_answer);
            edited
        })?;
        for (row, measured) in rows.iter_mut().zip([quiet, edited]) {
            check(&row.name, &measured)?;
            note(row, &measured)?;
        }
    }
    let mut report = Report { rows: rows.into(), ..Report::default() };
    let loading: f64 = reader.logged("loaded all keys", "took_ms")?.parse()?;
    report.facts.push(("offered".into(), RATE, "decisions a second"));
    report.facts.push(("loading".into(), loading / 1000.0, "s"));
    report.facts.push(("memory".into(), reader.memory()? as f64 / MIB, "MiB"));
    report.add_spans("edit answered to seen on the other replica", seen.from_answer);
    report.add_spans("edit sent to seen on the other replica", seen.from_sending);
    Ok(report)
}

/// Takes a permission from the group and gives it back, again and again, and waits each time until the
/// other replica decides by it. At the end it is given.
fn edit(access: &Access, replica: Target, over: &AtomicBool) -> Result<Seen> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let admin = runtime.block_on(access.connect())?;
    let question = AuthorizeRequest { permission: GROUP_PERMISSION.into(), ..request(0) };
    let mut allowed = Probe::open(replica, &question, 200)?;
    let mut denied = Probe::open(replica, &question, 403)?;
    let mut seen = Seen::default();
    while !over.load(Relaxed) {
        for (permission, probe) in
            [(OTHER_PERMISSION, &mut denied), (GROUP_PERMISSION, &mut allowed)]
        {
            let sent = Instant::now();
            runtime.block_on(admin.edit_group(permission))?;
            let answered = Instant::now();
            let decided = probe.wait()?;
            seen.from_sending.push(decided.saturating_duration_since(sent));
            seen.from_answer.push(decided.saturating_duration_since(answered));
        }
    }
    Ok(seen)
}
