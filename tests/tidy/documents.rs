//! Rules about documents: what they link to is there, and they name every setting.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use keyward::config::ServeArgs;

/// Folders that hold no documents of ours.
const ELSEWHERE: [&str; 3] = ["target", "proptest-regressions", ".git"];
const ALERTS: &str = include_str!("../../docs/alerts.md");
const RULES: &str = include_str!("../../deploy/prometheus/alerts.yaml");
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !ELSEWHERE.contains(&name) {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// What follows `](` in a line, up to its parenthesis.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// What a heading is called in a link (as GitHub has it).
fn anchors(text: &str) -> HashSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept =
            words.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(name).collect()
}

/// What is wrong with a link, seen from a document.
fn complaint(document: &Path, text: &str, target: &str) -> Option<String> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { document.to_owned() } else { document.parent()?.join(file) };
    let name = document.display();
    if !path.exists() {
        return Some(format!("{name}: {target} is not there"));
    }
    let there = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&path).ok()? };
    let is_known = anchor.is_empty() || anchors(&there).contains(anchor);
    (!is_known).then(|| format!("{name}: {target} has no such heading"))
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut found = Vec::new();
    documents(root(), &mut found);
    assert!(found.contains(&root().join("README.md")), "{found:?}");
    let mut wrong = Vec::new();
    for document in found {
        let text = fs::read_to_string(&document).unwrap();
        for target in prose(&text).flat_map(targets) {
            wrong.extend(complaint(&document, &text, target));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let readme = root().join("README.md");
    for (target, is_wrong) in [
        ("docs/tls.md", false),
        ("#five-minutes", false),
        ("https://example.org/nothing", false),
        ("docs/nothing.md", true),
        ("#nothing", true),
        ("docs/tls.md#nothing", true),
    ] {
        let found = complaint(&readme, "## Five minutes\n", target);
        assert_eq!(found.is_some(), is_wrong, "{target} {found:?}");
    }
}

#[test]
fn every_setting_is_documented_and_no_other() {
    let command = ServeArgs::command();
    let flags: HashSet<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect();
    let rows = CONFIGURATION.lines().filter(|line| line.starts_with("| `--"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let documented: HashSet<String> = cells
        .flat_map(|cell| cell.split('`'))
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    let undocumented: Vec<_> = flags.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&flags).collect();
    assert!(undocumented.is_empty(), "without a row in docs/configuration.md: {undocumented:?}");
    assert!(unknown.is_empty(), "rows of settings that there are not: {unknown:?}");
}

#[test]
fn every_alert_is_documented_with_its_words_and_no_other() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rules: Vec<String> = RULES.split("- alert:").skip(1).map(words).collect();
    let rows: Vec<&str> = ALERTS.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rules.len(), rows.len());
    for (rule, row) in rules.iter().zip(rows) {
        let cells: Vec<String> = row.replace("\\|", "/").split('|').map(words).collect();
        let (name, meaning) = (cells[1].trim_matches('`'), &cells[4]);
        assert!(rule.starts_with(&format!("{name} ")), "{row}\n{rule}");
        assert!(rule.replace('|', "/").contains(&**meaning), "{row}\n{rule}");
    }
}
