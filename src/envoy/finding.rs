//! What a check found, and how it is shown.

use std::fmt;

use serde_json::json;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing needs to change.
    Advice,
    /// Something is weaker than it seems.
    Warning,
    /// Requests pass undecided, identities can be forged, or Keyward cannot be asked as it is set up.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The name of the rule. It stays the same from version to version.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is in the document.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: &'static str,
}

/// What a check found, for people: a line and what to do for each, and a last line with counts.
#[derive(Debug)]
pub struct Text<'a> {
    /// How the file is called.
    pub file: &'a str,
    /// What was found.
    pub findings: &'a [Finding],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { line, rule, severity, path, problem, help } in self.findings {
            writeln!(f, "{}:{line}: {severity}[{rule}]: {problem}", self.file)?;
            if !path.is_empty() {
                writeln!(f, "    at: {path}")?;
            }
            writeln!(f, "    do: {help}")?;
        }
        let count = |wanted| self.findings.iter().filter(|one| one.severity == wanted).count();
        write!(
            f,
            "{}: {} error(s), {} warning(s), {} advice",
            self.file,
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Advice)
        )
    }
}

/// What a check found, for programs: a list of objects.
pub fn to_json(file: &str, findings: &[Finding]) -> String {
    let objects = findings.iter().map(|Finding { line, rule, severity, path, problem, help }| {
        json!({
            "file": file,
            "line": line,
            "rule": rule,
            "severity": severity.to_string(),
            "path": path,
            "problem": problem,
            "help": help,
        })
    });
    format!("{:#}", serde_json::Value::Array(objects.collect()))
}

/// Whether any finding is more than advice.
pub fn is_bad(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity > Severity::Advice)
}
