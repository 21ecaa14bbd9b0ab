//! What the decision log costs those who ask.

use anyhow::Result;

use super::Choices;
use crate::{
    load::Load,
    machine::Cores,
    program::{Logging, Program},
    report::Report,
    rounds::{Variant, measure_once, run as run_rounds},
};

const CONNECTIONS: usize = 16;
/// Of what is reached without the log in a closed loop.
const SHARE: f64 = 0.2;

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let off = Program::KeywardLogging(Logging::Off);
    let all = Program::KeywardLogging(Logging::All);
    let most = Variant::new("off, closed loop", off, Load::closed(CONNECTIONS, 16));
    let most = measure_once(&mut site, &most, choices.effort.span)?;
    let rate = SHARE * most.calls as f64 / most.span.as_secs_f64();
    let load = Load::open(CONNECTIONS, rate);
    let variants = [Variant::new("off", off, load), Variant::new("all", all, load).against("off")];
    let mut report = run_rounds(&mut site, choices.effort, &variants)?;
    report.facts.push(("offered".into(), rate, "calls a second"));
    Ok(report)
}
