//! Files of the project, programs that check them, and what Helm makes of the chart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;

use crate::yaml;

/// The oldest Kubernetes that the chart is for, and a new one.
pub(crate) const KUBERNETES: [&str; 2] = ["1.27.0", "1.35.0"];

/// The path of a file of the project.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a program that `script` fetches, in the folder of the project.
pub(crate) fn run(program: &str, script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(file(""));
    let missing =
        |error| panic!("{program}: {error}; {script} fetches it: add the folder it prints to PATH");
    command.output().unwrap_or_else(missing)
}

/// Runs Helm.
pub(crate) fn helm(arguments: &[&str]) -> Output {
    run("helm", "scripts/ensure-helm", arguments)
}

/// What Helm makes of the chart and a file with values, for a release `keyward` in the namespace `apps`.
pub(crate) fn template(values: &str, kubernetes: &str) -> Output {
    let place = ["template", "keyward", "helm/keyward", "--namespace", "apps"];
    helm(&[&place[..], &["--kube-version", kubernetes, "--values", values]].concat())
}

/// The same as text, which there must be.
pub(crate) fn rendered(values: &str) -> String {
    let output = template(values, KUBERNETES[1]);
    assert!(output.status.success(), "{values}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Files of a folder of the project with this ending, as paths in the project, in order.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(file(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names
        .filter(|name| name.ends_with(ending))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    found.sort();
    found
}

/// Files with values that the chart is tested with.
pub(crate) fn value_files() -> Vec<String> {
    let mut found = files("helm/keyward/tests/values", ".yaml");
    found.retain(|path| !path.ends_with(".snapshot.yaml"));
    assert!(found.len() >= 6, "{found:?}");
    found
}

/// All objects that are made of each of these files.
pub(crate) fn manifests() -> &'static [(String, Vec<Value>)] {
    static MADE: OnceLock<Vec<(String, Vec<Value>)>> = OnceLock::new();
    let objects = |path: String| {
        let objects = yaml::parse(&rendered(&path));
        (path, objects)
    };
    MADE.get_or_init(|| value_files().into_iter().map(objects).collect())
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A text in a value.
pub(crate) fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer} of {value:#}"))
}

/// The items of a list in a value; of nothing if there is none.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
