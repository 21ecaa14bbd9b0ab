//! Bad input: every field of every request, and what is said of it.

mod changes;
mod creating;
mod listing;
mod restricting;
mod updating;

use keyward::rpc::pb::{CreateKeyRequest, Key};
use prost_types::Timestamp;
use tonic_types::StatusExt;

use super::{labels, update, updated};
use crate::support::{
    client::{assert_invalid, create, new_key},
    operator::Site,
};

const EARLIEST: i64 = -62_135_596_800;
const LATEST: i64 = 253_402_300_799;

/// Times that are none.
fn bad_times() -> Vec<Timestamp> {
    let time = |seconds, nanos| Timestamp { seconds, nanos };
    vec![
        time(EARLIEST - 1, 0),
        time(LATEST + 1, 0),
        time(i64::MAX, 0),
        time(i64::MIN, 0),
        time(4_000_000_000, -1),
        time(4_000_000_000, 1_000_000_000),
        time(4_000_000_000, i32::MIN),
    ]
}

/// Texts that are too long by one, in characters of `n` bytes each, or not of one line.
fn bad_lines(max: usize) -> Vec<String> {
    let too_long = ["a", "é", "€", "🎉"].map(|char| char.repeat(max + 1));
    let garbling = ["a\nb", "a\tb", "a\0b", "a\u{7f}", "a\u{85}b", "\u{1b}[31m"];
    too_long.into_iter().chain(garbling.map(String::from)).collect()
}

fn bad_names() -> Vec<String> {
    let untrimmed = ["", " ", " a", "a ", "\u{a0}a", "a\u{2003}"].map(String::from);
    bad_lines(100).into_iter().chain(untrimmed).collect()
}

fn bad_proses() -> Vec<String> {
    let too_long = ["a", "é", "🎉"].map(|char| char.repeat(1001));
    let garbling = ["a\0b", "a\u{7f}", "\u{1b}[31m"].map(String::from);
    too_long.into_iter().chain(garbling).collect()
}

/// Lists of permissions, and which of them is at fault.
fn bad_permissions() -> Vec<(Vec<String>, usize)> {
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let many = (0..101).map(|number| format!("word{number}")).collect();
    vec![
        (list(&[""]), 0),
        (list(&["a", "Systems.read"]), 1),
        (list(&["a", "b", "a..b"]), 2),
        (list(&["a.", "b"]), 0),
        (list(&["a", ".b"]), 1),
        (list(&["a b"]), 0),
        (list(&["a\nb"]), 0),
        (list(&["größe"]), 0),
        (list(&["a*.b"]), 0),
        (list(&["public.admin"]), 0),
        (list(&["a", "b", "a"]), 2),
        (list(&[&"a".repeat(201)]), 0),
        (list(&[&["a"; 17].join(".")]), 0),
        (many, 100),
    ]
}

/// Lists of route rules, and which of them is at fault.
fn bad_rules() -> Vec<(Vec<String>, usize)> {
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let many = (0..101).map(|number| format!("/{number}")).collect();
    vec![
        (list(&[""]), 0),
        (list(&["/a", "b"]), 1),
        (list(&["/a/"]), 0),
        (list(&["/a", "/b/*"]), 1),
        (list(&["get /a"]), 0),
        (list(&["GET, HEAD /a"]), 0),
        (list(&["GET,GET /a"]), 0),
        (list(&["/a//b"]), 0),
        (list(&["/a/../b"]), 0),
        (list(&["/a%2fb"]), 0),
        (list(&["/a?b"]), 0),
        (list(&["/a\nb"]), 0),
        (list(&["/größe"]), 0),
        (list(&["/a", "/b", "/a"]), 2),
        (list(&[&format!("/{}", "a".repeat(512))]), 0),
        (many, 100),
    ]
}

type Labels = std::collections::BTreeMap<String, String>;

fn bad_labels() -> Vec<Labels> {
    let long_name = "a".repeat(64);
    let long_value = "é".repeat(256);
    let mut bad: Vec<_> = ["", "A", "1a", "-a", "a b", "a=b", "ä", "a\nb", &long_name]
        .iter()
        .map(|name| labels(&[(name, "value")]))
        .collect();
    for value in [long_value.as_str(), "a\nb", "a\0b", "\u{7f}"] {
        bad.push(labels(&[("name", value)]));
    }
    bad.push((0..65).map(|number| (format!("n{number}"), String::new())).collect());
    for (name, more) in [("l62", "v"), ("l00", "é")] {
        let mut labels = widest_labels();
        labels.get_mut(name).unwrap().push_str(more);
        bad.push(labels);
    }
    bad
}

/// 64 labels of 4096 bytes in all, one with the longest name and value.
fn widest_labels() -> Labels {
    let longest = ("a".repeat(63), "é".repeat(255));
    let left = 4096 - longest.0.len() - longest.1.len();
    let others = (0..63).map(|number| {
        let name = format!("l{number:02}");
        let bytes = left / 63 + usize::from(number < left % 63) - name.len();
        (name, "v".repeat(bytes))
    });
    others.chain([longest]).collect()
}

#[tokio::test]
async fn all_violations_are_told_at_once() {
    let site = Site::shared();
    let mut admin = site.admin();
    let worst = CreateKeyRequest {
        domain: "?".into(),
        environment: String::new(),
        display_name: " ".into(),
        description: "\0".into(),
        permissions: vec!["a".into(), "!".into()],
        route_rules: vec!["!".into()],
        not_before_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        expire_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
        labels: labels(&[("!", "")]),
        request_id: " ".into(),
        validate_only: false,
        ..CreateKeyRequest::default()
    };
    let result = admin.create_key(worst).await;
    let fields = [
        "request_id",
        "domain",
        "environment",
        "display_name",
        "description",
        "permissions[1]",
        "route_rules[0]",
        "not_before_time",
        "expire_time",
        "labels",
    ];
    assert_told(&result.as_ref().unwrap_err().get_error_details());
    assert_invalid(result, &fields);

    let key = Key {
        display_name: " ".into(),
        permissions: vec!["!".into()],
        etag: "x".repeat(65),
        ..Key::default()
    };
    let paths = ["display_name", "permissions", "description", "key.labels"];
    let result = updated(&mut admin, update(key, &paths)).await;
    let fields = ["key.id", "key.etag", "key.display_name", "key.permissions[0]", "update_mask"];
    assert_invalid(result, &fields);
}

/// Each violation says something.
fn assert_told(details: &tonic_types::ErrorDetails) {
    for violation in &details.bad_request().unwrap().field_violations {
        assert!(violation.description.len() > 5, "{violation:?}");
    }
}

#[tokio::test]
async fn however_much_is_wrong_the_answer_arrives() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Attacked")).await;
    for text in ["🎉", "\u{1}", "\"", "a", "%", " "] {
        let path = text.repeat(2000);
        let paths = vec![path.as_str(); 20];
        let status = updated(&mut admin, update(made.key.clone(), &paths)).await.unwrap_err();
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| bad.field_violations.clone());
        let fields = fields.unwrap_or_default();
        assert!(!fields.is_empty(), "{text:?}: {status:?}");
        assert!(fields.iter().all(|violation| violation.field == "update_mask"));
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
