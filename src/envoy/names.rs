//! Names of header fields that matter to Keyward, and how lists and rules of Envoy's choose names.

use super::place::Place;

/// What Keyward tells the upstream about who asks. A client must not be able to send any of them.
pub(super) const IDENTITY: [&str; 6] = [
    "x-keyward-key-id",
    "x-keyward-domain",
    "x-keyward-environment",
    "x-keyward-decision-id",
    "x-keyward-user",
    "x-keyward-customer",
];

/// The beginning of all of these.
pub(super) const IDENTITY_PREFIX: &str = "x-keyward-";

/// What Keyward reads of a request with its default sources of keys.
pub(super) const READ: [&str; 5] =
    ["x-api-key", "authorization", "cookie", "content-type", "x-forwarded-for"];

/// What some upstreams take in place of the path or method that was decided.
pub(super) const OVERRIDES: [&str; 3] =
    ["x-original-url", "x-rewrite-url", "x-http-method-override"];

/// Whether a `StringMatcher` surely chooses this name. A regular expression is not looked into: what
/// it chooses is not known.
pub(super) fn matches(matcher: &Place<'_>, name: &str) -> Option<bool> {
    let is_any_case = matcher.is_true("ignore_case");
    let text = |field| {
        let text = matcher.text_of(field)?;
        Some(if is_any_case { text.to_ascii_lowercase() } else { text.to_owned() })
    };
    if let Some(exact) = text("exact") {
        return Some(name == exact);
    }
    if let Some(prefix) = text("prefix") {
        return Some(name.starts_with(&prefix));
    }
    if let Some(suffix) = text("suffix") {
        return Some(name.ends_with(&suffix));
    }
    text("contains").map(|part| name.contains(&part))
}

/// Whether a `ListStringMatcher` chooses this name; nothing if that is not known.
pub(super) fn lists(list: &Place<'_>, name: &str) -> Option<bool> {
    let mut all_known = true;
    for pattern in list.list("patterns") {
        match matches(&pattern, name) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(false)
}

/// Whether one mutation of header fields takes a name away.
pub(super) fn mutation_removes(mutation: &Place<'_>, name: &str) -> bool {
    let by_name = mutation.text_of("remove");
    let by_rule = mutation.find("remove_on_match.key_matcher");
    by_name.is_some_and(|text| text.eq_ignore_ascii_case(name))
        || by_rule.is_some_and(|matcher| matches(&matcher, name) == Some(true))
}

/// Whether the list in `request_headers_to_remove` has a name. Envoy does not care about case.
pub(super) fn removes(at: &Place<'_>, name: &str) -> bool {
    let mut removed = at.list("request_headers_to_remove");
    removed.any(|item| item.text().is_some_and(|text| text.eq_ignore_ascii_case(name)))
}
