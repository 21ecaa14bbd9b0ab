//! Single calls in several shapes.

use anyhow::Result;

use super::Choices;
use crate::{
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

const SHAPES: [(usize, usize); 5] = [(1, 1), (8, 1), (64, 1), (4, 16), (16, 16)];

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let limits = choices.limits;
    let mut variants = Vec::new();
    for (connections, in_flight) in SHAPES {
        let load = Load::closed(connections, in_flight);
        let name = |program: &str| format!("{program} {connections}x{in_flight}");
        variants.extend([
            Variant::new(name("echo"), Program::Echo { limits }, load),
            Variant::new(name("echo_stock"), Program::EchoStock { limits }, load)
                .against(name("echo")),
            Variant::new(name("keyward"), Program::Keyward, load).against(name("echo")),
        ]);
    }
    run_rounds(&mut site, choices.effort, &variants)
}
