//! Telling people what went wrong: what, and what to do, in a line each.

use std::{error::Error, fmt::Write};

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt};

use super::{
    Described,
    error::{CliError, Doubt},
    output::{note, text::plain},
};
use crate::telemetry::chain;

/// What is wrong, and what helps; nothing if nothing is known to.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    problems: Vec<String>,
    help: String,
}

/// Prints an error for people on standard error.
pub fn tell(error: &CliError, described: &Described) {
    if error.is_broken_pipe() {
        return;
    }
    let told = match error {
        CliError::Server { status, server, doubt } => of_status(status, server, doubt, described),
        CliError::Usage { problem, help }
        | CliError::Failed { problem, help }
        | CliError::NotFound { problem, help } => one(problem, help),
        CliError::Contexts { help, .. } => one(&error.to_string(), help),
        CliError::NotLoggedIn { problem } => one(
            problem,
            "`keyward login` asks for one and remembers it; or set KEYWARD_TOKEN, or give --token-file FILE",
        ),
        CliError::Interrupted => one("stopped; nothing was changed", ""),
        CliError::Tls(_) | CliError::Io { .. } => one(&chain(error), ""),
    };
    note(&told.to_string());
}

fn one(problem: &str, help: &str) -> Told {
    Told { problems: vec![problem.to_owned()], help: help.to_owned() }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for problem in &self.problems {
            writeln!(text, "error: {}", plain(problem))?;
        }
        if !self.help.is_empty() {
            writeln!(text, " help: {}", plain(&self.help))?;
        }
        f.write_str(text.trim_end())
    }
}

fn of_status(status: &Status, server: &str, doubt: &Doubt, described: &Described) -> Told {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations);
    if let Some(violations) = violations.filter(|all| !all.is_empty()) {
        return of_violations(&violations, described);
    }
    let info = status.get_details_error_info();
    let reason = info.as_ref().map_or("", |info| info.reason.as_str());
    let permission = info.as_ref().and_then(|info| info.metadata.get("permission"));
    if reason.is_empty() {
        return without_reason(status, server, doubt);
    }
    let problem = format!("{} ({reason})", status.message());
    let help = match (status.code(), permission) {
        (Code::PermissionDenied, Some(permission)) => {
            format!("the admin key needs the permission {permission}")
        }
        (Code::Unauthenticated, _) => {
            format!("{server} does not take this admin key; `keyward login` gives it another one")
        }
        (Code::Unavailable, _) if *doubt != Doubt::Nothing => unknown_effect(doubt),
        _ => help_for(reason).to_owned(),
    };
    Told { problems: vec![problem], help }
}

/// What to do where a change may have been made; nothing where there is no doubt.
fn unknown_effect(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Nothing => String::new(),
        Doubt::Change => "whether the change was made is not known: look before you try again, as by `keyward keys show`".to_owned(),
        Doubt::Repeatable { request_id } => format!(
            "whether the change was made is not known: the same again with `--request-id {request_id}` \
             makes it if it was not, and makes nothing twice"
        ),
    }
}

/// What to do about a reason, where the message does not say it.
fn help_for(reason: &str) -> &'static str {
    match reason {
        "KEY_NOT_FOUND" => "`keyward keys list` shows which keys there are",
        "ETAG_MISMATCH" => {
            "somebody changed it meanwhile: look at it again, then repeat with its etag of now"
        }
        "CONFLICT" => "try again",
        "KEY_DELETED" => "`keyward keys undelete` brings it back",
        "KEY_NOT_DELETED" => "it is there: `keyward keys show`",
        "KEY_REVOKED" => "`keyward keys activate` undoes that",
        "KEY_NOT_ACTIVE" => "`keyward keys activate` makes it work again",
        "REPLICA_NOT_READY" | "REPLICA_STALE" | "DATABASE_UNAVAILABLE" => {
            "the server cannot answer just now: try again, and look at its log if that lasts"
        }
        "OTHER_LISTENER" => {
            "--server must be the admin listener, which has port 50052 if none is set"
        }
        _ => "",
    }
}

/// How tonic says that a deadline has passed.
pub(super) const TIMEOUT: &str = "Timeout expired";

/// What did not come from Keyward: a connection that failed, a deadline, another server.
fn without_reason(status: &Status, server: &str, doubt: &Doubt) -> Told {
    let (problem, help) = match status.code() {
        _ if status.source().is_some() && status.message() != TIMEOUT => {
            let cause = status.source().map(last_cause).unwrap_or_default();
            (
                format!("{server} does not answer: {cause}"),
                "is it running, and is --server (KEYWARD_SERVER) its admin listener, with http or https as there?",
            )
        }
        Code::Cancelled | Code::DeadlineExceeded => {
            (format!("{server} did not answer in time"), "--timeout TIME waits longer")
        }
        Code::Unimplemented => (
            format!("{server} knows no such call"),
            "--server must be the admin listener (port 50052 if none is set) of a server that is not older than this program",
        ),
        code => (format!("{server}: {code:?}: {}", status.message()), ""),
    };
    // who knows no such call has not made it
    let is_certain = status.code() == Code::Unimplemented;
    let unknown = if is_certain { String::new() } else { unknown_effect(doubt) };
    let parts = [unknown.as_str(), help].into_iter().filter(|part| !part.is_empty());
    Told { problems: vec![problem], help: parts.collect::<Vec<_>>().join("; ") }
}

fn last_cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// Each bad field by the name of the flag that it came from.
fn of_violations(violations: &[FieldViolation], described: &Described) -> Told {
    let leaf = described.leaf();
    let problems = violations
        .iter()
        .map(|violation| format!("{}: {}", flag_of(&violation.field, leaf), violation.description));
    let mut path = described.path.join(" ");
    path.insert_str(0, "keyward ");
    Told { problems: problems.collect(), help: format!("`{path} --help` says what is taken") }
}

impl Described {
    /// The command that was called.
    fn leaf(&self) -> &clap::Command {
        let deeper = |command, name: &String| -> Option<&clap::Command> {
            clap::Command::find_subcommand(command, name)
        };
        self.path.iter().try_fold(&self.root, deeper).unwrap_or(&self.root)
    }
}

/// The flag for a field: flags have the names of the fields that they set, or these as their ids.
fn flag_of(field: &str, command: &clap::Command) -> String {
    const AROUND: [&str; 6] = ["key", "options", "filter", "request", "update_mask", "paths"];
    let is_name = |part: &&str| !part.is_empty() && !part.chars().all(|c| c.is_ascii_digit());
    let parts = field.split(['.', '[', ']']).filter(is_name);
    if field.contains("limits[") {
        return "--rate, --quota, --concurrency".to_owned();
    }
    for part in parts.filter(|part| !AROUND.contains(part)) {
        let argument = command.get_arguments().find(|argument| argument.get_id().as_str() == part);
        let Some(argument) = argument else {
            continue;
        };
        if let Some(long) = argument.get_long() {
            return format!("--{long}");
        }
        let names = argument.get_value_names().and_then(<[_]>::first);
        return names.map_or_else(|| part.to_uppercase(), ToString::to_string);
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn described() -> Described {
        let create = Command::new("create")
            .arg(Arg::new("display_name").value_name("NAME"))
            .arg(Arg::new("permissions").long("permission"));
        let root = Command::new("keyward").subcommand(Command::new("keys").subcommand(create));
        Described { root, path: vec!["keys".into(), "create".into()] }
    }

    #[test]
    fn a_bad_field_is_told_by_its_flag() {
        let violations = [
            FieldViolation::new("permissions[3]", "is wrong"),
            FieldViolation::new("key.display_name", "is \x1b[2J"),
            FieldViolation::new("key.limits[0].name", "is empty"),
            FieldViolation::new("domain", "is unknown"),
        ];
        let told = of_violations(&violations, &described()).to_string();
        assert_eq!(
            told,
            "error: --permission: is wrong\n\
             error: NAME: is \\u{1b}[2J\n\
             error: --rate, --quota, --concurrency: is empty\n\
             error: domain: is unknown\n \
             help: `keyward keys create --help` says what is taken"
        );
    }
}
