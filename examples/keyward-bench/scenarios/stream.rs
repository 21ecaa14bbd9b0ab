//! Messages on streams beside single calls.

use anyhow::Result;

use super::Choices;
use crate::{
    load::{Call, Load},
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.filled_site(Cores::One)?;
    let limits = choices.limits;
    let streams = Load::closed(16, 64).calling(Call::Stream);
    let single = "echo, single calls 4x16";
    let variants = [
        Variant::new(single, Program::Echo { limits }, Load::closed(4, 16)),
        Variant::new("keyward, streams 16x64", Program::Keyward, streams).against(single),
        Variant::new("echo, streams 16x64", Program::Echo { limits }, streams).against(single),
    ];
    run_rounds(&mut site, choices.effort, &variants)
}
