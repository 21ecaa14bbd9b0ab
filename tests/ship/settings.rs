//! Every setting of the program has a place in the chart, and what is set where the program is shipped is a setting
//! that the program accepts.

use std::collections::{BTreeMap, BTreeSet};

use clap::{ArgAction, Command, CommandFactory, Parser};
use keyward::config::{Cli, ServeArgs};
use serde_json::Value;

use crate::{
    support::{items, manifests, read, word},
    yaml,
};

/// Settings of `keyward serve` that have no place in the chart, and why.
const NOT_IN_CHART: [(&str, &str); 6] = [
    ("DATABASE_URL", "it is a secret: a Secret is mounted, and DATABASE_URL_FILE names the file"),
    (
        "KEYWARD_PEPPER",
        "it is a secret: a Secret is mounted, and KEYWARD_PEPPER_FILE names the file",
    ),
    ("REDIS_URL", "it is a secret: a Secret is mounted, and REDIS_URL_FILE names the file"),
    ("KEYWARD_EPHEMERAL", "the image has no PostgreSQL"),
    ("KEYWARD_DATA_DIR", "the image has no PostgreSQL"),
    ("PGBIN", "the image has no PostgreSQL"),
];

/// Variables of the chart that are not read by the program but used in others.
const ONLY_IN_CHART: [&str; 2] = ["POD_NAME", "POD_NAMESPACE"];

/// Flags by the variables that stand for them, of a command of the program.
pub(crate) fn flags(command: &[&str]) -> BTreeMap<String, (String, ArgAction)> {
    let mut found: Command = Cli::command();
    for name in command {
        found = found.find_subcommand(name).unwrap().clone();
    }
    let flags = found.get_arguments().filter_map(|flag| {
        let variable = flag.get_env()?.to_str().unwrap().to_owned();
        Some((variable, (format!("--{}", flag.get_long().unwrap()), flag.get_action().clone())))
    });
    flags.collect()
}

/// Asserts that the program takes these variables, as flags of a command.
pub(crate) fn assert_accepted(command: &[&str], variables: &BTreeMap<String, String>, place: &str) {
    let flags = flags(command);
    let mut line: Vec<String> =
        [&["keyward"], command].concat().iter().map(|&it| it.into()).collect();
    for (variable, value) in variables {
        let Some((flag, action)) = flags.get(variable) else {
            panic!("{place}: {variable} is no setting of `keyward {}`", command.join(" "));
        };
        match (action, value.as_str()) {
            (ArgAction::SetTrue, "true") => line.push(flag.clone()),
            (ArgAction::SetTrue, "false") => {}
            (ArgAction::SetTrue, other) => panic!("{place}: {variable} is {other}"),
            _ => line.push(format!("{flag}={value}")),
        }
    }
    if let Err(error) = Cli::try_parse_from(&line) {
        panic!("{place}: {error}");
    }
}

/// The variables of a container, with those that Kubernetes fills in as what they could be.
fn variables(container: &Value) -> BTreeMap<String, String> {
    let pairs = items(container, "/env").iter().map(|variable| {
        let value = variable["value"].as_str().unwrap_or("filled-in").to_owned();
        (word(variable, "/name").to_owned(), value)
    });
    pairs.collect()
}

/// Variables that a file with values adds by itself.
fn extra(values: &str) -> BTreeSet<String> {
    let values = yaml::parse_one(&read(values));
    items(&values, "/extraEnv").iter().map(|it| word(it, "/name").to_owned()).collect()
}

#[test]
fn every_setting_of_the_program_has_a_place_in_the_chart() {
    let mut missing: BTreeSet<String> = flags(&["serve"]).into_keys().collect();
    for (variable, reason) in NOT_IN_CHART {
        assert!(missing.remove(variable), "{variable} is no setting any more ({reason})");
    }
    for (_values, objects) in manifests() {
        for object in objects.iter().filter(|object| object["kind"] == "Deployment") {
            for variable in variables(&object["spec"]["template"]["spec"]["containers"][0]).keys() {
                assert!(
                    NOT_IN_CHART.iter().all(|(name, _)| name != variable),
                    "{variable} is in the chart"
                );
                missing.remove(variable);
            }
        }
    }
    let flags = flags(&["serve"]);
    let missing: Vec<_> = missing.iter().map(|it| format!("{it} ({})", flags[it].0)).collect();
    assert!(
        missing.is_empty(),
        "these settings are in no Deployment that the chart makes: {missing:#?}\n\
         For a plain value: a line in helm/keyward/files/settings.yaml, its name with a comment and `null` below `settings` in \
         helm/keyward/values.yaml and in values.schema.json, and a value in \
         helm/keyward/tests/values/settings.yaml. For a file with a secret: a value with the Secret's name, a volume in \
         templates/_files.tpl, a variable in templates/_environment.tpl, as for `pepper`. Then \
         KEYWARD_WRITE_SNAPSHOTS=1 cargo test --test ship. If it makes no sense in Kubernetes: a row with the reason in \
         NOT_IN_CHART of tests/ship/settings.rs."
    );
}

#[test]
fn what_the_chart_sets_the_program_accepts() {
    for (values, objects) in manifests() {
        let extra = extra(values);
        for object in objects {
            let kind = word(object, "/kind");
            if !matches!(kind, "Deployment" | "Job") {
                continue;
            }
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            let mut variables = variables(container);
            variables
                .retain(|name, _| !extra.contains(name) && !ONLY_IN_CHART.contains(&name.as_str()));
            let command: Vec<&str> =
                items(container, "/args").iter().map(|it| it.as_str().unwrap()).collect();
            assert_accepted(&command, &variables, &format!("{values}, {kind}"));
        }
    }
}

#[test]
fn a_variable_that_is_no_setting_and_a_value_that_is_refused_are_noticed() {
    let accepted = |name: &str, value: &str| {
        let variables = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        std::panic::catch_unwind(|| assert_accepted(&["serve"], &variables, "a test")).is_ok()
    };
    assert!(accepted("KEYWARD_MAX_STALENESS", "1h"));
    assert!(!accepted("KEYWARD_MAX_STALENESS", "long"));
    assert!(!accepted("KEYWARD_MAX_STALENES", "1h"));
    assert!(accepted("KEYWARD_NO_MIGRATE", "true"));
    assert!(!accepted("KEYWARD_NO_MIGRATE", "perhaps"));
}

/// The default that a comment ends with, in brackets.
fn told_default(comment: &str) -> Option<&str> {
    let (_, rest) = comment.rsplit_once('[')?;
    rest.strip_suffix(']')
}

#[test]
fn values_tell_the_defaults_that_the_program_has() {
    let variables = yaml::parse_one(&read("helm/keyward/files/settings.yaml"));
    let serve = ServeArgs::command();
    let values = read("helm/keyward/values.yaml");
    let (_, settings) = values.split_once("\nsettings:\n").unwrap();
    let lines: Vec<&str> = settings.lines().collect();
    let mut told = BTreeSet::new();
    for pair in lines.windows(2) {
        let (Some(comment), Some((name, _))) =
            (pair[0].trim().strip_prefix("# "), pair[1].trim().split_once(':'))
        else {
            continue;
        };
        let Some(variable) = variables[name].as_str() else { continue };
        let flag =
            serve.get_arguments().find(|flag| flag.get_env().is_some_and(|it| it == variable));
        let flag = flag.unwrap_or_else(|| panic!("{name}: {variable} is no setting"));
        let defaults = flag.get_default_values();
        let own =
            defaults.first().map(|it| it.to_str().unwrap().replace(',', ", ")).unwrap_or_default();
        // a switch is off by default; what depends on something is told in words
        let is_switch = matches!(flag.get_action(), ArgAction::SetTrue);
        match told_default(comment) {
            Some(text) if is_switch => assert_eq!(text, "false", "{name}"),
            Some(text) if own.is_empty() => {
                assert!(text.contains(' '), "{name} has no default: [{text}]");
            }
            text => assert_eq!(text.unwrap_or_default(), own, "{name}"),
        }
        told.insert(name.to_owned());
    }
    let all: BTreeSet<String> = variables.as_object().unwrap().keys().cloned().collect();
    assert_eq!(told, all, "each has its line below a comment");
}
