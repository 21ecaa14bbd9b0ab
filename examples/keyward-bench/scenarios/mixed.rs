//! Requests of which some are denied.

use anyhow::Result;

use super::Choices;
use crate::{
    keys::Mix,
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let load = Load::closed(4, 16);
    let echo = Program::Echo { limits: choices.limits };
    let variants = [
        Variant::new("echo 4x16", echo, load).asking(Mix::Mixed),
        Variant::new("keyward 4x16, mixed", Program::Keyward, load)
            .asking(Mix::Mixed)
            .against("echo 4x16"),
        Variant::new("keyward 4x16, good", Program::Keyward, load).against("echo 4x16"),
    ];
    run_rounds(&mut site, choices.effort, &variants)
}
