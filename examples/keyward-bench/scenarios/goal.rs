//! The two comparisons that count, with a million keys that have limits and whose uses are noted.

use anyhow::Result;

use super::Choices;
use crate::{
    fill::KeyPlan,
    load::Load,
    machine::Cores,
    program::Program,
    report::Report,
    rounds::{Variant, run as run_rounds},
};

pub fn run(choices: &Choices) -> Result<Report> {
    let choices = Choices { cores: None, limits: true, ..choices.clone() };
    let mut report = Report::default();
    let stock = (Program::EchoStock { limits: true }, "both cores, 16x16, echo_stock");
    let bare = (Program::Echo { limits: true }, "one core, 4x16, echo");
    for (cores, load, (program, baseline), name) in [
        (Cores::Both, Load::closed(16, 16), stock, "both cores, 16x16, keyward"),
        (Cores::One, Load::closed(4, 16), bare, "one core, 4x16, keyward"),
    ] {
        let mut site = choices.site(cores)?;
        site.fill(KeyPlan { limits: true, ..choices.plan() })?;
        let variants = [
            Variant::new(baseline, program, load),
            Variant::new(name, Program::Keyward, load).against(baseline),
        ];
        report.rows.extend(run_rounds(&mut site, choices.effort, &variants)?.rows);
    }
    Ok(report)
}
