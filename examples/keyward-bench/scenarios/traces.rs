//! What traces and metrics cost those who ask, with collectors that take them and that do not.

use anyhow::Result;

use super::Choices;
use crate::{
    collector::Collector,
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, measure_once, run as run_rounds},
};

const CONNECTIONS: usize = 16;
/// Of what is reached without in a closed loop.
const SHARE: f64 = 0.2;
const OFF: &str = "off";

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let most = Variant::new("off, closed loop", Program::Keyward, Load::closed(CONNECTIONS, 16));
    let most = measure_once(&mut site, &most, choices.effort.span)?;
    let rate = SHARE * most.calls as f64 / most.span.as_secs_f64();
    let load = Load::open(CONNECTIONS, rate);
    let traced = |name: &str, collector| {
        Variant::new(name, Program::KeywardTracing(collector), load).against(OFF)
    };
    let variants = [
        Variant::new(OFF, Program::Keyward, load),
        traced("1 % traced", Collector::Takes),
        traced("1 % traced, the collector hangs", Collector::Hangs),
        traced("1 % traced, no collector there", Collector::Absent),
    ];
    let mut report = run_rounds(&mut site, choices.effort, &variants)?;
    report.facts.push(("offered".into(), rate, "calls a second"));
    Ok(report)
}
