//! Each rule against a bad configuration: the example with one change. And the shapes in which
//! configurations come.

use std::{collections::BTreeSet, fs, path::PathBuf};

use proptest::prelude::*;

use super::{
    check,
    example::{Choices, HostPort, render},
    finding::{Finding, Severity, Text, is_bad, to_json},
    rules,
};
use crate::model::{key_source::KeySources, name::EnvironmentName};

fn in_project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn choices() -> Choices {
    Choices {
        listen: "127.0.0.1:8080".parse().unwrap(),
        upstream: HostPort::parse("127.0.0.1:8081").unwrap(),
        keyward: HostPort::parse("127.0.0.1:50051").unwrap(),
        environment: EnvironmentName::parse("production").unwrap(),
        key_sources: KeySources::parse("header:x-api-key,bearer").unwrap(),
    }
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

/// The rules that find something, in the order of lines.
fn found(text: &str) -> Vec<&'static str> {
    names(&check(text, None).unwrap())
}

/// A bad configuration and what is to be found in it.
struct Golden {
    changes: Vec<(String, String)>,
    finds: String,
}

impl Golden {
    fn parse(text: &str) -> Self {
        let (changes, finds) = text.split_once("--- finds\n").unwrap();
        let changes = changes.split("--- change\n").skip(1);
        let changes = changes.map(|change| change.split_once("--- into\n").unwrap());
        let changes = changes.map(|(from, into)| (from.to_owned(), into.to_owned())).collect();
        Self { changes, finds: finds.to_owned() }
    }

    fn apply(&self, example: &str) -> String {
        self.changes.iter().fold(example.to_owned(), |text, (from, into)| {
            assert_eq!(text.matches(from.as_str()).count(), 1, "not once in the example: {from}");
            text.replace(from, into)
        })
    }
}

#[test]
fn each_rule_finds_its_mistake_once_and_says_where() {
    let example = render(&choices());
    for rule in rules::all() {
        let file = in_project(&format!("tests/golden/envoy/{}.txt", rule.name));
        let golden = Golden::parse(&fs::read_to_string(&file).unwrap());
        let findings = check(&golden.apply(&example), None).unwrap();
        let times = findings.iter().filter(|finding| finding.rule == rule.name).count();
        assert_eq!(times, 1, "{}", rule.name);
        let shown = Text { file: "envoy.yaml", findings: &findings }.to_string();
        assert_eq!(shown, golden.finds.trim_end(), "{}", rule.name);
    }
}

#[test]
fn rules_have_names_of_their_own_and_there_are_no_others() {
    let rules: Vec<String> = rules::all().map(|rule| format!("{}.txt", rule.name)).collect();
    let files = fs::read_dir(in_project("tests/golden/envoy")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(rules.iter().cloned().collect::<BTreeSet<_>>(), files);
    assert_eq!(rules.len(), files.len());
}

#[test]
fn nothing_is_found_in_the_example_whatever_is_chosen() {
    assert_eq!(check(&render(&choices()), None).unwrap(), []);
    let other = Choices {
        listen: "[::]:443".parse().unwrap(),
        upstream: HostPort::parse("[2001:db8::1]:80").unwrap(),
        keyward: HostPort::parse("keyward.internal:50051").unwrap(),
        environment: EnvironmentName::parse("staging").unwrap(),
        key_sources: KeySources::parse("header:X-One,header:x-two,basic:key,query:k,cookie:c")
            .unwrap(),
    };
    let text = render(&other);
    assert_eq!(check(&text, None).unwrap(), []);
    for part in ["\"2001:db8::1\"", "keyward.internal:50051", "- x-one", "- x-two", "\"staging\""] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains('@') || !text.contains("_HOST@"), "{text}");
}

/// Changes to the example that are as good as what they replace.
const AS_GOOD: [(&str, &str); 14] = [
    (
        "headers_with_underscores_action: REJECT_REQUEST",
        "headers_with_underscores_action: DROP_HEADER",
    ),
    (
        "path_with_escaped_slashes_action: REJECT_REQUEST",
        "pathWithEscapedSlashesAction: unescape_and_redirect",
    ),
    ("use_remote_address: true", "xff_num_trusted_hops: 1"),
    ("use_remote_address: true", "use_remote_address: {value: true}"),
    (
        "address: {socket_address: {address: 127.0.0.1, port_value: 9901}}",
        "address: {pipe: {path: /run/admin}}",
    ),
    ("status_on_error: {code: ServiceUnavailable}", "statusOnError: {code: 503}"),
    ("failure_mode_allow: false", "filter_enabled: {default_value: {numerator: 100}}"),
    (
        "failure_mode_allow: false",
        "filter_enabled: {default_value: {numerator: 1000000, denominator: MILLION}}",
    ),
    (
        "failure_mode_allow: false",
        "filter_enabled: {default_value: {numerator: 1}}\n              \
         deny_at_disable: {default_value: true, runtime_key: deny}",
    ),
    (
        "failure_mode_allow: false",
        "disallowed_headers: {patterns: [{exact: x-secret}, {safe_regex: {regex: x-.*}}]}",
    ),
    (
        "explicit_http_config:\n          http2_protocol_options:",
        "auto_config:\n          http2_protocol_options:",
    ),
    (
        "- remove: x-rewrite-url",
        "- remove_on_match: {key_matcher: {exact: X-Rewrite-Url, ignore_case: true}}",
    ),
    ("- remove: x-keyward-user", "- remove_on_match: {key_matcher: {prefix: x-keyward-}}"),
    ("permission: reports.read", "mode: check_only\n                        virtual_host: edge"),
];

#[test]
fn nothing_is_found_in_what_is_as_good() {
    let admin = "address:\n    socket_address: {address: 127.0.0.1, port_value: 9901}";
    let in_one_line = "address: {socket_address: {address: 127.0.0.1, port_value: 9901}}";
    let example = render(&choices()).replacen(admin, in_one_line, 1);
    for (from, into) in AS_GOOD {
        assert_eq!(example.matches(from).count(), 1, "{from}");
        assert_eq!(check(&example.replace(from, into), None).unwrap(), [], "{into}");
    }
}

#[test]
fn identity_may_be_removed_by_a_filter_before_the_decision() {
    let example = render(&choices());
    let removals: String =
        super::names::IDENTITY.iter().flat_map(|name| ["{remove: ", name, "}, "]).collect();
    let filter = format!(
        "          - name: clean\n            typed_config:\n              \
         \"@type\": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation\n              \
         mutations: {{request_mutations: [{removals}]}}\n"
    );
    let bare = example.replace("              - remove: x-keyward-user\n", "");
    let bare = bare.replace("                - x-keyward-user\n", "");
    assert_eq!(found(&bare), ["spoofable-identity"]);
    let first = "          - name: envoy.filters.http.ext_authz\n";
    assert_eq!(found(&bare.replace(first, &format!("{filter}{first}"))), [""; 0]);
    let router = "          - name: envoy.filters.http.router\n";
    let late = bare.replace(router, &format!("{filter}{router}"));
    assert_eq!(found(&late), ["changes-after", "spoofable-identity"]);
}

#[test]
fn the_committed_example_is_what_the_command_prints() {
    let committed = fs::read_to_string(in_project("examples/envoy/envoy.yaml")).unwrap();
    assert_eq!(committed, render(&choices()));
}

#[test]
fn hosts_and_sources_that_would_be_no_yaml_are_refused() {
    for text in ["", "a", "a:", "a:0", "a:65536", ":1", "a b:1", "a\"b:1", "[::1:1", "[a]:1", "::1"]
    {
        assert!(HostPort::parse(text).is_err(), "{text}");
    }
    for text in [
        "",
        "header",
        "header:",
        "header:a b",
        "bearer:x",
        "query:a\nb",
        "bearer,",
        "x:y",
        "bearer,bearer",
        "header:Authorization",
        "header:x-forwarded-for",
        "header:x-keyward-key-id",
        "query:a,query:a",
    ] {
        assert!(KeySources::parse(text).is_err(), "{text}");
    }
}

const MANAGER: &str = "\
\"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
http_filters:
- name: envoy.filters.http.router
  typed_config: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
route_config:
  virtual_hosts:
  - name: all
    domains: ['*']
    routes: [{match: {prefix: /}, route: {cluster: upstream}}]
";

/// A text further in.
fn indent(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    text.lines().flat_map(|line| [blanks.as_str(), line, "\n"]).collect()
}

#[test]
fn managers_are_found_wherever_they_are() {
    let inner = indent(MANAGER, 8);
    let listener =
        |chain: &str| format!("{chain}filters:\n    - name: x\n      typed_config:\n{inner}");
    for text in [
        MANAGER.to_owned(),
        listener("filter_chains:\n  - "),
        listener("default_filter_chain:\n    "),
        format!("api_listener:\n  api_listener:\n{}", indent(MANAGER, 4)),
        format!(
            "resources:\n- name: x\n  filter_chains:\n  - {}",
            listener("").replace('\n', "\n  ")
        ),
        format!("node: {{id: x}}\n---\n{MANAGER}"),
    ] {
        assert_eq!(found(&text), ["no-ext-authz"], "{text}");
    }
}

#[test]
fn a_manager_without_routes_to_clusters_needs_no_decision() {
    let answers = MANAGER.replace("route: {cluster: upstream}", "direct_response: {status: 200}");
    assert_eq!(found(&answers), [""; 0]);
    let moves = MANAGER.replace("route: {cluster: upstream}", "redirect: {https_redirect: true}");
    assert_eq!(found(&moves), [""; 0]);
}

#[test]
fn json_says_the_same_as_yaml() {
    let json = r#"{"staticResources": {"listeners": [{"filterChains": [{"filters": [{"typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "httpFilters": [{"name": "a", "typedConfig": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transportApiVersion": 2, "failureModeAllow": true,
            "statusOnError": {"code": 503}}}]}}]}]}]}}"#;
    let findings = check(json, None).unwrap();
    let severe = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let severe: Vec<_> = severe.map(|finding| (finding.line, finding.rule)).collect();
    let expected = [
        (1, "escaped-slashes"),
        (1, "normalize-path"),
        (5, "failure-mode-allow"),
        (5, "spoofable-in-outage"),
    ];
    assert_eq!(severe, expected);
}

#[test]
fn only_the_named_filter_is_ours() {
    let example = render(&choices());
    let bad = example.replace("failure_mode_allow: false", "failure_mode_allow: true");
    let ours = check(&bad, Some("envoy.filters.http.ext_authz")).unwrap();
    assert_eq!(names(&ours), ["failure-mode-allow"]);
    let other = check(&bad, Some("another")).unwrap();
    assert_eq!(names(&other), ["no-ext-authz"]);
}

const ROUTES: &str = "
name: edge
virtual_hosts:
- name: all
  typed_per_filter_config:
    envoy.filters.http.ext_authz: {disabled: true}
  routes:
  - match: {prefix: /on}
    route: {cluster: upstream}
    typed_per_filter_config:
      envoy.filters.http.ext_authz: {check_settings: {context_extensions: {permission: a.read}}}
  - match: {prefix: /weighted}
    route:
      weighted_clusters:
        clusters:
        - name: one
          typed_per_filter_config:
            envoy.filters.http.ext_authz: {config: {check_settings: {context_extensions: {mode: no}}}}
        - name: two
  - match: {prefix: /answered}
    direct_response: {status: 200}
";

#[test]
fn the_most_particular_setting_of_a_route_counts() {
    let findings = check(ROUTES, None).unwrap();
    let told: Vec<_> = findings.iter().map(|one| (one.line, one.rule)).collect();
    assert_eq!(told, [(6, "spoofable-identity"), (18, "context-value")]);
    assert!(findings[0].problem.contains("routes[1]"), "{findings:?}");
}

#[test]
fn what_envoy_hides_in_a_dump_is_not_judged() {
    let dumped = ROUTES.replace("mode: no", "mode: '[redacted]', other: '[redacted]'");
    assert_eq!(found(&dumped), ["spoofable-identity", "context-key"]);
}

#[test]
fn routes_that_a_manager_asks_for_by_name_are_its_own() {
    let manager = MANAGER.split("route_config").next().unwrap();
    let routes = "---\nname: edge\nvirtual_hosts:\n- routes: [{redirect: {}}]\n";
    let asks = |name: &str| format!("{manager}rds: {{route_config_name: {name}}}\n{routes}");
    assert_eq!(found(&asks("edge")), [""; 0]);
    assert_eq!(found(&asks("other")), ["no-ext-authz"]);
}

#[test]
fn what_has_nothing_of_envoys_is_refused() {
    for text in ["", "a: b", "[]", "- 1\n- 2", "text", "---\n---\n"] {
        let refusal = check(text, None).unwrap_err().to_string();
        assert!(refusal.contains("nothing of an Envoy configuration"), "{text}: {refusal}");
    }
}

#[test]
fn only_errors_and_warnings_are_bad() {
    let finding = |severity| Finding {
        line: 3,
        rule: "x",
        severity,
        path: String::from("a.b"),
        problem: String::from("wrong"),
        help: "mend it",
    };
    assert!(!is_bad(&[]) && !is_bad(&[finding(Severity::Advice)]));
    assert!(is_bad(&[finding(Severity::Advice), finding(Severity::Warning)]));
    assert!(is_bad(&[finding(Severity::Error)]));
    let json = to_json("f", &[finding(Severity::Error)]);
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!([{"file": "f", "line": 3, "rule": "x", "severity": "error",
        "path": "a.b", "problem": "wrong", "help": "mend it"}]);
    assert_eq!(read, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_checked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _checked = check(&String::from_utf8_lossy(&bytes), None).is_ok();
    }

    #[test]
    fn the_example_without_some_lines_is_checked_or_refused(
        from in 0..180_usize,
        lines in 1..20_usize,
        put in "[-\\[\\]{}:a1 ]{0,6}",
    ) {
        let example = render(&choices());
        let before = example.lines().take(from);
        let after = example.lines().skip(from + lines);
        let text: Vec<&str> = before.chain([put.as_str()]).chain(after).collect();
        let _checked = check(&text.join("\n"), None).is_ok();
    }
}
