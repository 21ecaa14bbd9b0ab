//! What limits cost that replicas share.

use anyhow::Result;

use super::Choices;
use crate::{
    fill::KeyPlan,
    load::Load,
    machine::Cores,
    program::{Program, Sharing},
    report::Report,
    rounds::{Variant, run as run_rounds},
};

pub fn run(choices: &Choices) -> Result<Report> {
    let mut site = choices.site(Cores::One)?;
    site.fill(KeyPlan { limits: true, ..choices.plan() })?;
    let load = Load::closed(4, 16);
    let variant =
        |sharing: Sharing| Variant::new(sharing.name(), Program::KeywardSharing(sharing), load);
    let local = Sharing::Local.name();
    let variants = [
        variant(Sharing::Local),
        variant(Sharing::Fast).against(local),
        variant(Sharing::Exact).against(local),
    ];
    run_rounds(&mut site, choices.effort, &variants)
}
