//! What many keys cost.

use std::time::Duration;

use anyhow::Result;

use super::Choices;
use crate::{
    fill::KeyPlan,
    keys::{Answers, Mix, pool},
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

const MIB: f64 = 1024.0 * 1024.0;

pub fn run(choices: &Choices) -> Result<Report> {
    let plan = choices.plan();
    let mut site = choices.site(Cores::One)?;
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: f64, unit| facts.push((name.to_owned(), value, unit));

    site.fill(KeyPlan { count: 0, ..plan })?;
    let empty = site.start(Program::Keyward)?.memory()? as f64;

    let filled = site.fill(plan)?;
    let keys = plan.count as f64;
    fact("keys", keys, "");
    fact("fill", keys / filled.rows.as_secs_f64(), "rows a second");
    fact("fill with indexes", keys / (filled.rows + filled.indexes).as_secs_f64(), "rows a second");

    let mut server = site.start(Program::Keyward)?;
    let mut one = pool(plan.count, 1, Mix::Good, Answers::Decided);
    let first = Load::closed(1, 1).warming(Duration::ZERO).lasting(Duration::from_millis(1));
    first.run(server.target(), &mut one)?;
    fact("start to first allowed answer", server.begun.elapsed().as_secs_f64(), "s");
    fact("start to all keys loaded", server.ready.as_secs_f64(), "s");
    let took: f64 = server.logged("loaded all keys", "took_ms")?.parse()?;
    fact("loading", took / 1000.0, "s");
    let full = server.memory()? as f64;
    fact("memory without keys", empty / MIB, "MiB");
    fact("memory", full / MIB, "MiB");
    fact("memory a key", (full - empty) / keys, "bytes");
    drop(server);

    let load = Load::closed(4, 16);
    let variants = [
        Variant::new("echo 4x16", Program::Echo { limits: plan.limits }, load),
        Variant::new("keyward 4x16", Program::Keyward, load).against("echo 4x16"),
    ];
    let mut report = run_rounds(&mut site, choices.effort, &variants)?;
    report.facts = facts;
    Ok(report)
}
