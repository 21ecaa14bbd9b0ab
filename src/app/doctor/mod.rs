//! `keyward doctor`: looks at a server's set-up with the server's own settings. Changes nothing.

mod database;
mod finding;
mod listeners;
mod redis;
mod role;
mod tls;

use std::time::Duration;

use serde_json::json;

use self::finding::{Finding, Level};
use super::{banner::say, commands::run, envoy::Outcome};
use crate::{
    cli::output::messages::harmless,
    clock,
    config::{
        ServeArgs,
        doctor::{DoctorArgs, DoctorFormat},
    },
    model::time::Timestamp,
    telemetry::{chain, check_level},
};

/// Clocks that differ by more are told of: limits by time, expiry and certificates are a little off then.
const CLOCK_DIFFERENCE_WARN: Duration = Duration::from_secs(1);
/// Clocks that differ by more make keys expire, and leases end, at other times than people expect.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// Runs `keyward doctor`.
pub fn doctor(args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let findings = run(async { Ok(examine(args).await) })?;
    let worst = findings.iter().map(|finding| finding.level).max();
    match args.output {
        DoctorFormat::Table => {
            for finding in &findings {
                say(&finding.to_string())?;
            }
        }
        DoctorFormat::Json => {
            say(&json_of(&findings))?;
        }
    }
    Ok(if worst == Some(Level::Failure) { Outcome::Bad } else { Outcome::Good })
}

fn json_of(findings: &[Finding]) -> String {
    let all: Vec<_> = findings.iter().map(Finding::json).collect();
    harmless(&format!("{:#}", json!(all)))
}

async fn examine(args: &DoctorArgs) -> Vec<Finding> {
    let serve = &args.serve;
    let mut findings = settings(serve);
    let (listeners, mut found) = tls::examine(serve);
    findings.append(&mut found);
    let (revision, mut found) = database::examine(serve).await;
    findings.append(&mut found);
    findings.extend(redis::examine(serve).await);
    findings.append(&mut listeners::examine(serve, listeners.as_ref(), revision).await);
    findings
}

/// Settings with which a server would end at its start.
fn settings(serve: &ServeArgs) -> Vec<Finding> {
    let checks: [Result<(), String>; 3] = [
        serve.check().map_err(|invalid| chain(&invalid)),
        serve.notices.receiver().map(drop).map_err(|invalid| chain(&invalid)),
        check_level(&serve.log.log_level).map_err(|invalid| chain(&invalid)),
    ];
    let problems = checks.into_iter().filter_map(Result::err);
    problems
        .map(|problem| Finding::failure("settings", problem, "the server will not start"))
        .collect()
}

/// What another machine's clock says, asked for between two looks at ours.
fn clocks(
    check: &'static str,
    whose: &str,
    (before, theirs, after): (Timestamp, i64, Timestamp),
) -> Finding {
    let ours = before.micros().midpoint(after.micros());
    let difference = Duration::from_micros(theirs.abs_diff(ours));
    let way = if theirs > ours { "ahead of" } else { "behind" };
    let found = format!("{whose} clock is {difference:.1?} {way} this machine's");
    let help = "let both be set by NTP: keys expire by the server's clock";
    match difference {
        it if it > CLOCK_DIFFERENCE_MAX => Finding::failure(check, found, help),
        it if it > CLOCK_DIFFERENCE_WARN => Finding::warning(check, found, help),
        _ => Finding::fine(check, found),
    }
}

fn now() -> Timestamp {
    clock::wall()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_does_nothing_to_a_terminal() {
        let said = "role \u{9b}2J\u{202e}\u{200b}";
        let shown = json_of(&[Finding::fine("database", said)]);
        assert!(shown.is_ascii(), "{shown:?}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read[0]["found"], said);
    }

    #[test]
    fn clocks_that_differ_too_much_are_told_of() {
        let at = |micros: i64| Timestamp::from_micros(1_800_000_000_000_000 + micros);
        for (theirs, level) in [
            (50_000, Level::Fine),
            (-900_000, Level::Fine),
            (2_000_000, Level::Warning),
            (-40_000_000, Level::Failure),
        ] {
            let found = clocks("clock", "its", (at(0), at(theirs).micros(), at(100)));
            assert_eq!(found.level, level, "{found}");
            assert_eq!(found.found.contains("ahead of"), theirs > 0, "{found}");
        }
    }
}
