//! What asking costs an Envoy.

use anyhow::{Context, Result, ensure};

use super::Choices;
use crate::{
    envoy::{Asked, Beside, Guarded, ensure_alike, ensure_there},
    fill::KeyPlan,
    keys::unknown_through_proxy,
    load::{Call, Load, probe::Probe},
    machine::Cores,
    program::Program,
    report::{Counted, Report},
    rounds::{Variant, run as run_rounds},
    site::Site,
};

/// The connections and the open calls on each, with where the one that is asked runs.
const SHAPES: [(usize, usize, Beside); 3] =
    [(4, 16, Beside::Generator), (4, 16, Beside::Envoy), (1, 1, Beside::Generator)];

const NOTES: [&str; 4] = [
    "Envoy has one worker, on core 0, and answers by itself (direct_response) after its filter ext_authz. The generator \
     is on core 1.",
    "`apart`: who is asked is on core 1 too, and Envoy has core 0 for itself. `together`: who is asked shares core 0 \
     with Envoy, so that the CPU time of both counts alike.",
    "Server CPU is that of Envoy and of who is asked. `no_op` always allows, with the changes that keyward makes to \
     requests: it is laid out and built like keyward, `no_op_stock` as tonic's guide has it.",
    "Each request has another key and eleven more header fields of a browser. Any status but 200 fails the run.",
];

pub fn run(choices: &Choices) -> Result<Report> {
    ensure_there(&choices.folders.envoy)?;
    let cores = choices.cores.unwrap_or(Cores::One);
    let mut site = choices.site(cores)?;
    site.fill(KeyPlan { limits: true, ..choices.plan() })?;
    ensure_comparable(&mut site)?;
    let (mut variants, mut pairs) = (Vec::new(), Vec::new());
    for (connections, in_flight, beside) in SHAPES {
        // without a core for servers there is nothing to share
        if cores == Cores::One || beside == Beside::Generator {
            add(&mut variants, &mut pairs, (connections, in_flight), beside);
        }
    }
    let mut report = run_rounds(&mut site, choices.effort, &variants)?;
    report.counted = Counted::Requests;
    report.pairs = pairs;
    report.notes = NOTES.map(str::to_owned).into();
    Ok(report)
}

/// Adds the variants of one shape, and what of them is to be compared.
fn add(
    variants: &mut Vec<Variant>,
    pairs: &mut Vec<(String, String)>,
    (connections, in_flight): (usize, usize),
    beside: Beside,
) {
    let load = Load::closed(connections, in_flight).calling(Call::Get);
    let envoy = |asked| Program::Envoy(Guarded { asked, beside });
    let nobody = format!("{connections}x{in_flight} nobody");
    if variants.iter().all(|variant| variant.name != nobody) {
        let alone = Guarded { asked: Asked::Nobody, beside: Beside::Generator };
        variants.push(Variant::new(&nobody, Program::Envoy(alone), load));
    }
    let place = match beside {
        Beside::Envoy => "together",
        Beside::Generator => "apart",
    };
    let name = |asked: &str| format!("{connections}x{in_flight} {place}, {asked}");
    let [stock, no_op, keyward] = ["no_op_stock", "no_op", "keyward"].map(name);
    variants.extend([
        Variant::new(&stock, envoy(Asked::EchoStock), load).against(&nobody),
        Variant::new(&no_op, envoy(Asked::Echo), load).against(&nobody),
        Variant::new(&keyward, envoy(Asked::Keyward), load).against(&nobody),
    ]);
    pairs.extend([(keyward.clone(), stock), (keyward, no_op)]);
}

/// Makes sure that both echoes answer as Keyward does, and that Envoy does what Keyward says.
fn ensure_comparable(site: &mut Site) -> Result<()> {
    let mut start =
        |asked| site.start(Program::Envoy(Guarded { asked, beside: Beside::Generator }));
    let guarded = start(Asked::Keyward)?;
    let mut unknown = Probe::of_pool(guarded.target(), Call::Get, unknown_through_proxy())?;
    ensure!(unknown.ask()?.is_continue(), "Envoy lets a key pass that is not known");
    let keyward = guarded.asked_at().context("nobody is asked")?;
    for echo in [Asked::EchoStock, Asked::Echo] {
        let other = start(echo)?;
        ensure_alike(keyward, other.asked_at().context("nobody is asked")?)?;
    }
    Ok(())
}
