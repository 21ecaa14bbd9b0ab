//! Memory against a database that is asked each time.

use anyhow::Result;

use super::Choices;
use crate::{
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::Both)?;
    let mut variants = Vec::new();
    for (connections, in_flight) in [(4, 16), (16, 16)] {
        let load = Load::closed(connections, in_flight);
        let name = |program: &str| format!("{program} {connections}x{in_flight}");
        let naive = name("naive");
        variants.extend([
            Variant::new(&naive, Program::Naive { update: true }, load),
            Variant::new(name("naive --no-update"), Program::Naive { update: false }, load)
                .against(&naive),
            Variant::new(name("keyward"), Program::Keyward, load).against(&naive),
        ]);
    }
    run_rounds(&mut site, choices.effort, &variants)
}
