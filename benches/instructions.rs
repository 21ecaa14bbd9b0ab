//! Makes a number of decisions, for a tool that counts instructions: `scripts/count-instructions` runs
//! it under callgrind with two numbers, and the difference is what a decision takes. Such counts are the
//! same whatever else the machine does.
//!
//! Arguments: `one`, `together` or `counted`, which is `together` with what the service counts; and how many
//! decisions.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

#[path = "support/loaded.rs"]
mod loaded;

use std::{hint::black_box, time::Duration};

use keyward::{
    authorize::{Case, authorize, authorize_together},
    metrics::Decisions,
    model::decision::Way,
    model::time::{BootTime, Now, Timestamp},
    replica::TOGETHER,
};
use loaded::{Loaded, question, terms};

const KEYS: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let [way, decisions] = arguments.as_slice() else {
        return; // `cargo bench` without arguments runs all benches
    };
    let decisions: usize = decisions.parse().unwrap();
    let loaded = Loaded::with(KEYS, true);
    let question = question();
    // always the same time, so that every run does the same; and callgrind does not like the clocks
    let (wall, boot) =
        (Timestamp::from_micros(1_750_000_000_000_000), BootTime::from_nanos(1 << 40));
    let terms = terms(&question, Now { wall, boot });
    let token = |number: usize| loaded.tokens[number % KEYS].as_str();
    match way.as_str() {
        "one" => {
            for number in 0..decisions {
                black_box(authorize(&loaded.hot, token(number), &question, terms).unwrap());
            }
        }
        way => {
            let tally = Decisions::default().tally();
            for group in 0..decisions / TOGETHER {
                let case =
                    |at| Case { presented: token(group * TOGETHER + at).into(), question, terms };
                let cases = std::array::from_fn(|at| Some(case(at)));
                authorize_together(&loaded.hot, &cases, |_, outcome| {
                    let outcome = black_box(outcome.unwrap());
                    if way == "counted" {
                        tally.decided(Way::Authorize, outcome.decision, false);
                    }
                });
                if way == "counted" {
                    tally.took(Way::Authorize, 6, black_box(Duration::from_micros(3)));
                }
            }
        }
    }
}
