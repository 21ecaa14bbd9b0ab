//! Latencies at a rate that both servers sustain.

use anyhow::Result;

use super::Choices;
use crate::{
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, measure_once, run as run_rounds},
};

const CONNECTIONS: usize = 16;
/// Of what the echo reaches in a closed loop.
const SHARE: f64 = 0.5;

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let echo = Program::Echo { limits: choices.limits };
    let most = Variant::new("echo, closed loop", echo, Load::closed(CONNECTIONS, 16));
    let most = measure_once(&mut site, &most, choices.effort.span)?;
    let rate = SHARE * most.calls as f64 / most.span.as_secs_f64();
    let load = Load::open(CONNECTIONS, rate);
    let variants = [
        Variant::new("echo", echo, load),
        Variant::new("keyward", Program::Keyward, load).against("echo"),
    ];
    let mut report = run_rounds(&mut site, choices.effort, &variants)?;
    report.facts.push(("offered".into(), rate, "calls a second"));
    Ok(report)
}
