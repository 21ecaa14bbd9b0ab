//! Batches beside single calls.

use anyhow::Result;

use super::Choices;
use crate::{
    load::{Call, Load},
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

const REQUESTS: usize = 100;

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let limits = choices.limits;
    let batches = Load::closed(4, 4).calling(Call::Batch(REQUESTS));
    let single = "echo, single calls 4x16";
    let variants = [
        Variant::new(single, Program::Echo { limits }, Load::closed(4, 16)),
        Variant::new("keyward, batches of 100 4x4", Program::Keyward, batches).against(single),
        Variant::new("echo, batches of 100 4x4", Program::Echo { limits }, batches).against(single),
    ];
    run_rounds(&mut site, choices.effort, &variants)
}
