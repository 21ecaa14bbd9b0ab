//! The chart itself: Helm finds nothing wrong with it, it makes what it is known to make, and refuses what it should.

use std::{fmt::Write as _, fs};

use serde_json::Value;

use crate::{
    support::{KUBERNETES, file, files, helm, read, rendered, template, text, value_files},
    yaml,
};

const SNAPSHOT: &str = ".snapshot.yaml";
const VALUES: &str = "helm/keyward/values.yaml";
const README: &str = "helm/keyward/README.md";

/// Values that are explained where others are that they are like.
const ALIKE: [&str; 5] =
    ["services.admin.", "services.http.", "tls.admin.", "tls.http.", "tests.image."];

/// Values that Kubernetes explains.
const OF_KUBERNETES: [&str; 5] =
    ["strategy.", "resources.", "migrations.resources.", "podSecurityContext.", "securityContext."];

#[test]
fn helm_finds_nothing_wrong_with_the_chart() {
    for values in value_files() {
        let place = ["lint", "helm/keyward", "--strict", "--values", &values];
        let output = helm(&[&place[..], &["--kube-version", KUBERNETES[1]]].concat());
        assert!(output.status.success(), "{values}: {}", text(&output.stdout));
    }
}

/// `KEYWARD_WRITE_SNAPSHOTS=1` writes what is made now, to be looked through before it is committed.
#[test]
fn the_chart_makes_what_it_is_known_to_make() {
    let write = std::env::var_os("KEYWARD_WRITE_SNAPSHOTS").is_some();
    for values in value_files() {
        let snapshot = values.replace(".yaml", SNAPSHOT);
        let made = rendered(&values);
        assert!(!made.lines().any(|line| line.ends_with(' ')), "{values}: a line ends in blanks");
        if write {
            fs::write(file(&snapshot), &made).unwrap();
        }
        let known = fs::read_to_string(file(&snapshot)).unwrap_or_default();
        let differs = known.lines().zip(made.lines()).position(|(known, made)| known != made);
        assert!(
            known == made,
            "{snapshot} is not what is made now, from line {}: if it should be, \
             KEYWARD_WRITE_SNAPSHOTS=1 cargo test --test ship, and look through the difference",
            differs.map_or(known.lines().count(), |line| line) + 1
        );
    }
    let snapshots = files("helm/keyward/tests/values", SNAPSHOT);
    assert_eq!(snapshots.len(), value_files().len(), "each has values: {snapshots:?}");
}

#[test]
fn the_oldest_kubernetes_gets_the_same_and_older_ones_nothing() {
    for values in value_files() {
        let output = template(&values, KUBERNETES[0]);
        assert!(output.status.success(), "{values}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), rendered(&values), "{values}");
        assert!(!template(&values, "1.26.0").status.success());
    }
}

/// The first line of each file says what the refusal must say.
#[test]
fn values_that_make_no_sense_are_refused_with_the_reason() {
    let refused = files("helm/keyward/tests/refused", ".yaml");
    assert!(refused.len() > 10, "{refused:?}");
    for values in refused {
        let reason = read(&values);
        let reason =
            reason.lines().next().and_then(|line| line.strip_prefix("# refused: ")).unwrap();
        let output = template(&values, KUBERNETES[1]);
        let complaint = text(&output.stderr);
        assert!(!output.status.success() && complaint.contains(reason), "{values}: {complaint}");
    }
}

/// What Kubernetes describes, and not this chart, is open: there `properties` are not told.
fn assert_closed(schema: &Value, place: &str) {
    if let Some(properties) = schema.get("properties") {
        let is_condition = place.ends_with("/if") || place.ends_with("/then");
        assert!(schema["additionalProperties"] == false || is_condition, "{place} is open");
        assert!(properties.is_object(), "{place}");
    }
    match schema {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, field)| assert_closed(field, &format!("{place}/{name}")));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_closed(item, place)),
        _ => {}
    }
}

/// Asserts that a schema describes exactly the names of a value.
fn assert_described(schema: &Value, root: &Value, value: &Value, place: &str) {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let schema = reference.map_or(schema, |it| root.pointer(it.trim_start_matches('#')).unwrap());
    let (Some(known), Some(fields)) =
        (schema.get("properties").and_then(Value::as_object), value.as_object())
    else {
        return;
    };
    for (name, field) in fields {
        let inner =
            known.get(name).unwrap_or_else(|| panic!("{place}.{name} is not in the schema"));
        assert_described(inner, root, field, &format!("{place}.{name}"));
    }
    // `claims` and the parts of an affinity are Kubernetes' own, and `global` is Helm's
    let ours = ["global", "claims", "nodeAffinity", "podAffinity", "podAntiAffinity"];
    let untold =
        known.keys().find(|&name| !fields.contains_key(name) && !ours.contains(&name.as_str()));
    assert_eq!(untold, None, "{place} of values.yaml has not all that the schema knows");
}

#[test]
fn the_schema_is_closed_and_describes_all_values() {
    let schema: Value = serde_json::from_str(&read("helm/keyward/values.schema.json")).unwrap();
    assert_closed(&schema, "");
    assert_described(&schema, &schema, &yaml::parse_one(&read(VALUES)), "values");
}

/// Names at the beginning of lines of values.yaml, with all names above them, and the lines.
fn told_values() -> Vec<(Vec<String>, usize)> {
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut told = Vec::new();
    for (number, line) in read(VALUES).lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((name, _)) = line.trim_start().split_once(':') else { continue };
        if !name.chars().all(char::is_alphanumeric) {
            continue;
        }
        path.retain(|(above, _)| *above < indent);
        path.push((indent, name.to_owned()));
        told.push((path.iter().map(|(_, name)| name.clone()).collect(), number));
    }
    told
}

/// The comment that ends above a line, in one line; empty if there is none.
fn comment(lines: &[&str], line: usize) -> String {
    let above = lines[..line].iter().rev().map_while(|line| line.trim().strip_prefix("# "));
    let mut comment: Vec<&str> = above.collect();
    comment.reverse();
    comment.join(" ")
}

#[test]
fn every_value_is_explained_where_it_is() {
    let values = read(VALUES);
    let lines: Vec<&str> = values.lines().collect();
    let told = told_values();
    assert!(told.len() > 100, "{told:?}");
    for (path, line) in told {
        let path = path.join(".");
        let is_head = lines[line].ends_with(':');
        let elsewhere = ALIKE.iter().chain(&OF_KUBERNETES).any(|place| path.starts_with(place));
        assert!(
            is_head || elsewhere || !comment(&lines, line).is_empty(),
            "a comment above {path}"
        );
    }
}

/// `KEYWARD_WRITE_SNAPSHOTS=1` writes the table.
#[test]
fn the_table_of_the_readme_is_made_of_the_values() {
    let values = read(VALUES);
    let lines: Vec<&str> = values.lines().collect();
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    for (path, line) in told_values() {
        let meaning = comment(&lines, line).replace('|', "\\|");
        if !meaning.is_empty() {
            let (_, default) = lines[line].split_once(':').unwrap();
            let default = match default.trim() {
                "" | "null" => String::new(),
                text => format!("`{text}`"),
            };
            let name = path.join(".");
            writeln!(table, "| `{name}` | {default} | {meaning} |").unwrap();
        }
    }
    let readme = read(README);
    let (text, known) = readme.split_at(readme.find("| value |").unwrap_or(readme.len()));
    if std::env::var_os("KEYWARD_WRITE_SNAPSHOTS").is_some() {
        fs::write(file(README), format!("{text}{table}")).unwrap();
    } else {
        assert!(known == table, "KEYWARD_WRITE_SNAPSHOTS=1 cargo test --test ship writes {README}");
    }
}

#[test]
fn a_value_that_nothing_is_made_of_is_noticed() {
    let templates: String = ["", "/tests"]
        .iter()
        .flat_map(|folder| files(&format!("helm/keyward/templates{folder}"), "l"))
        .map(|path| read(&path))
        .collect();
    for (path, _) in told_values() {
        // these are looked up by their names, and kubernetes' own are copied as a whole
        if path[0] == "settings" || path.len() > 2 {
            continue;
        }
        let name = path.last().unwrap();
        let used = [
            format!(".{name} "),
            format!(".{name}\n"),
            format!(".{name}."),
            format!(".{name})"),
            format!("\"{name}\""),
        ];
        let top = format!("Values.{}", path[0]);
        let is_copied = ["strategy", "resources", "podSecurityContext", "securityContext"]
            .contains(&path[0].as_str());
        let is_used = used.iter().any(|it| templates.contains(it)) || is_copied;
        assert!(templates.contains(&top) && is_used, "{path:?} is in no template");
    }
}

#[test]
fn the_rules_are_those_of_the_project_and_the_version_is_the_program_s() {
    assert_eq!(
        read("helm/keyward/files/alerts.yaml"),
        read("deploy/prometheus/alerts.yaml"),
        "cp deploy/prometheus/alerts.yaml helm/keyward/files/"
    );
    let chart = yaml::parse_one(&read("helm/keyward/Chart.yaml"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
