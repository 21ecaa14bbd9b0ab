//! Where a key may be, and that it goes no further.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use super::{Place, READ};
use crate::support::{client::new_key, envoy::Listener, http1::get, upstream::call};

const SOURCES: &str = "header:x-api-key,header:x-other-key,bearer,basic:key,query:api_key,\
    query:other_key,cookie:api_key";

/// The same requests to Envoys that tell header fields in each of two ways.
async fn place() -> Place {
    let listener = |name, raw| {
        Listener::new(name, "keyward")
            .filter("encode_raw_headers", json!(raw))
            .all("upstream", &READ)
    };
    let keywards: [(&str, &[&str]); 1] =
        [("keyward", &["--key-sources", SOURCES, "--detailed-401"])];
    Place::start(&keywards, vec![listener("merged", false), listener("raw", true)]).await
}

/// `{basic}` and its like in a template, for one key or two.
fn filled(template: &str, key: &str, other: &str) -> String {
    let basic = |user: &str, key: &str| BASE64.encode(format!("{user}:{key}"));
    let encoded: Vec<_> = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    template
        .replace("{basic}", &basic("key", key))
        .replace("{other basic}", &basic("key", other))
        .replace("{stranger}", &basic("stranger", "password"))
        .replace("{encoded}", &encoded.concat())
        .replace("{key}", key)
        .replace("{other}", other)
}

/// A request of a template: a target, a blank, and header lines with ` | ` between them.
fn request(template: &str, key: &str, other: &str) -> Vec<u8> {
    let filled = filled(template, key, other);
    let (target, lines) = filled.split_once(' ').unwrap_or((&filled, ""));
    let end = if lines.is_empty() { "" } else { "\r\n" };
    get(target, &format!("{}{end}", lines.replace(" | ", "\r\n")))
}

/// A target whose parameters are sorted, as Envoy does when it takes some away.
fn in_order(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let mut parameters: Vec<_> = query.split('&').collect();
    parameters.sort_by_key(|parameter| parameter.split('=').next());
    format!("{path}?{}", parameters.join("&"))
}

/// Each with the target that the upstream gets, and what else it gets of `authorization` and
/// `cookie`.
const GOOD: [(&str, &str, &str); 37] = [
    ("/a X-Api-Key: {key}", "/a", ""),
    ("/a x-api-key: {key}", "/a", ""),
    ("/a X-API-KEY:{key}", "/a", ""),
    ("/a X-Api-Key: \t {key} \t", "/a", ""),
    ("/a X-Other-Key: {key}", "/a", ""),
    ("/a X-Other-Key: {key} | X-Api-Key: {key}", "/a", ""),
    ("/a X-Other-Key: {key} | X-Api-Key:", "/a", ""),
    ("/a Authorization: Bearer {key}", "/a", ""),
    ("/a authorization: bearer {key}", "/a", ""),
    ("/a Authorization: Basic {basic}", "/a", ""),
    ("/a Authorization: BASIC {basic}", "/a", ""),
    ("/a?api_key={key}", "/a", ""),
    ("/a?api_key={encoded}", "/a", ""),
    ("/a?api_key={key}&b=1", "/a?b=1", ""),
    ("/a?b=1&api_key={key}", "/a?b=1", ""),
    ("/a?b=1&api_key={key}&c=2", "/a?b=1&c=2", ""),
    ("/a?other_key={key}&b=1", "/a?b=1", ""),
    ("/a?api_key={key}&other_key={key}", "/a", ""),
    (
        "/a?api_keys=1&xapi_key=2&API_KEY=3&b=%20&api_key={key}",
        "/a?api_keys=1&xapi_key=2&API_KEY=3&b=%20",
        "",
    ),
    ("/a?b=/a?c&api_key={key}", "/a?b=/a?c", ""),
    ("/a?b=2&b=1&api_key={key}&b=3&a=%26", "/a?a=%26&b=2&b=1&b=3", ""),
    ("/a Cookie: api_key={key}", "/a", ""),
    ("/a Cookie: api_key={key}; b=1", "/a", "cookie: b=1"),
    ("/a Cookie: b=1; api_key={key}", "/a", "cookie: b=1"),
    ("/a Cookie: b=1; api_key={key}; c=2", "/a", "cookie: b=1; c=2"),
    ("/a Cookie: b=\"1\"; api_key={key}; api_keys=3", "/a", "cookie: b=\"1\"; api_keys=3"),
    ("/a X-Api-Key: {key} | Authorization: Digest a", "/a", "authorization: Digest a"),
    (
        "/a X-Api-Key: {key} | Authorization: Basic {stranger}",
        "/a",
        "authorization: Basic {stranger}",
    ),
    ("/a X-Api-Key: {key} | Authorization: Bearer {key}", "/a", ""),
    ("/a?api_key={key} X-Api-Key: {key} | Cookie: b=1; api_key={key}", "/a", "cookie: b=1"),
    ("/a?api_key= X-Api-Key: {key}", "/a", ""),
    ("/a?b=1 X-Api-Key: {key} | Cookie: b=1", "/a?b=1", "cookie: b=1"),
    ("/a X-Api-Key: {key} | Cookie: api_key=; b=1", "/a", "cookie: b=1"),
    ("/a X-Api-Key: {key} | X_Api_Key: {other}", "/a", ""),
    ("/a X-Api-Key: {key} | x_api-key: {key}", "/a", ""),
    ("/a X-Api-Key: {key} | X_Other_Key: {other}", "/a", ""),
    ("/a X-Api-Key: {key} | X-Keyward-Key: {other}", "/a", ""),
];

#[tokio::test]
async fn a_key_opens_from_each_place_and_is_taken_away_from_it() {
    let mut place = place().await;
    let made = place.reader().await;
    let other = place.key(new_key("Other")).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            for (template, target, kept) in GOOD {
                let claim = format!("{} {listener}: {template}", envoy.version);
                let request = request(template, &made.token, &other.token);
                let seen = place.passes(&claim, envoy.at(listener), &request).await;
                assert_eq!(in_order(&seen.target()), in_order(target), "{claim}");
                let fields = ["authorization", "cookie"].into_iter().flat_map(|name| {
                    let values = seen.head.all(name).into_iter();
                    values.map(move |value| format!("{name}: {value}"))
                });
                let fields: Vec<_> = fields.collect();
                assert_eq!(fields.join(" | "), filled(kept, "", ""), "{claim}");
                let text = seen.text();
                for token in [&made.token, &other.token] {
                    let basic = BASE64.encode(format!("key:{token}"));
                    assert!(!text.contains(token) && !text.contains(&basic), "{claim}: {text}");
                }
                for name in ["x-api-key", "x-other-key"] {
                    assert_eq!(seen.names(name), [""; 0], "{claim}");
                }
            }
        }
    }
}

/// Names and values.
type Fields<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn over_http2_a_key_is_found_and_taken_away_just_so() {
    let mut place = place().await;
    let made = place.reader().await;
    let token = made.token.as_str();
    let cookie = format!("api_key={token}");
    let query = format!("/a?b=1&api_key={token}");
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            let claim = format!("{} {listener}", envoy.version);
            // a browser sends each cookie in a field of its own
            let crumbs = [("cookie", "b=1"), ("cookie", &*cookie), ("cookie", "c=2")];
            let cases: [(&str, Fields<'_>, &str, Option<&str>); 4] = [
                ("/a", &[("x-api-key", token)], "/a", None),
                (&query, &[("x-other", "b")], "/a?b=1", None),
                ("/a", &crumbs, "/a", Some("b=1; c=2")),
                ("/a", &[("cookie", &cookie), ("x-api-key", token)], "/a", None),
            ];
            for (path, fields, target, cookie) in cases {
                let answer = call(envoy.at(listener), path, fields).await;
                assert_eq!(answer.status, 200, "{claim} {path} {answer:?}");
                assert_eq!(answer.field("grpc-status"), "", "{claim} {path} {answer:?}");
                let seen = place.upstream.take_one();
                assert_eq!(seen.target(), target, "{claim}");
                assert_eq!(seen.head.one("cookie").as_deref(), cookie, "{claim} {path}");
                assert!(!seen.text().contains(token), "{claim} {path}");
            }
            for fields in [
                &[("x-api-key", token), ("x-api-key", token)][..],
                &[("x-api-key", token), ("x-other-key", "other")],
                &[("cookie", &cookie), ("cookie", &cookie)],
                &[("cookie", "api_key=a"), ("cookie", "b=1"), ("x-api-key", token)],
            ] {
                let answer = call(envoy.at(listener), "/a", fields).await;
                assert_eq!(answer.field("grpc-status"), "16", "{claim} {answer:?}");
                assert!(place.upstream.take().is_empty(), "{claim}");
            }
        }
    }
}

/// Requests with several keys, or with one that a proxy would not take away.
const AMBIGUOUS: [&str; 31] = [
    "/a X-Api-Key: {key} | X-Other-Key: {other}",
    "/a X-Api-Key: {key} | X-Api-Key: {other}",
    "/a X-Api-Key: {other} | X-Api-Key: {key}",
    "/a X-Api-Key: {key} | X-Api-Key: {key}",
    "/a X-Api-Key: {key},{other}",
    "/a X-Api-Key: {key}, {key}",
    "/a X-Api-Key: {key} | Authorization: Bearer {other}",
    "/a X-Api-Key: {key} | Authorization: Bearer unknown",
    "/a X-Api-Key: unknown | Authorization: Bearer {key}",
    "/a Authorization: Bearer {key} | Authorization: Bearer {other}",
    "/a Authorization: Bearer {key},Bearer {other}",
    "/a Authorization: Bearer {key}, {other}",
    "/a Authorization: Bearer {key} | Authorization: Basic {other basic}",
    "/a X-Api-Key: {key} | Authorization: Basic {other basic}",
    "/a?api_key={key} X-Api-Key: {other}",
    "/a?api_key={key}&api_key={other}",
    "/a?api_key={key}&api_key={key}",
    "/a?api_key={key}&b=1&api_key={other}",
    "/a?api_key={key}&other_key={other}",
    "/a?%61pi_key={key}",
    "/a?api%5fkey={key}",
    "/a?api_key={key}&api%5Fkey={key}",
    "/a?b=1;api_key={key}",
    "/a?%61pi_key={key} X-Api-Key: {key}",
    "/a?b=1;api_key={key} X-Api-Key: {key}",
    "/a Cookie: api_key={key}; api_key={other}",
    "/a Cookie: api_key={key}; b=1; api_key={key}",
    "/a Cookie: %61pi_key={key}",
    "/a Cookie: b=1, api_key={key}",
    "/a Cookie: api_key={key} | Cookie: api_key={other}",
    "/a X-Api-Key: {key} | Cookie: api_key={other}",
];

#[tokio::test]
async fn several_keys_or_one_that_would_stay_are_ambiguous_and_none_wins() {
    let mut place = place().await;
    let made = place.reader().await;
    let other = place.key(new_key("Other")).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            for template in AMBIGUOUS {
                let claim = format!("{} {listener}: {template}", envoy.version);
                let request = request(template, &made.token, &other.token);
                let expected = "401 KEY_AMBIGUOUS";
                place.stops(&claim, envoy.at(listener), &request, expected).await;
            }
        }
    }
}

#[tokio::test]
async fn without_a_key_where_one_may_be_nothing_passes() {
    let mut place = place().await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            for (template, expected) in [
                ("/a", "KEY_MISSING"),
                ("/a X-Api-Key:", "KEY_MISSING"),
                ("/a?api_key=", "KEY_MISSING"),
                ("/a?api_key", "KEY_MISSING"),
                ("/a Cookie: api_key=", "KEY_MISSING"),
                ("/a Authorization: Bearer", "KEY_MISSING"),
                ("/a Authorization: {key}", "KEY_MISSING"),
                ("/a Authorization: Basic {stranger}", "KEY_MISSING"),
                ("/a Authorization: Digest {key}", "KEY_MISSING"),
                ("/a X_Api_Key: {key}", "KEY_MISSING"),
                ("/a X-Api-Keys: {key}", "KEY_MISSING"),
                ("/a X-Keyward-Key: {key}", "KEY_MISSING"),
                ("/a Proxy-Authorization: Bearer {key}", "KEY_MISSING"),
                ("/a?API_KEY={key}", "KEY_MISSING"),
                ("/{key}", "KEY_MISSING"),
                ("/a X-Api-Key: unknown", "KEY_UNKNOWN"),
                ("/a X-Api-Key: {key}x", "KEY_MALFORMED"),
                ("/a Authorization: Bearer unknown", "KEY_UNKNOWN"),
                ("/a?api_key=%6bw_unknown", "KEY_MALFORMED"),
            ] {
                let claim = format!("{} {listener}: {template}", envoy.version);
                let request = request(template, &made.token, "");
                let expected = format!("401 {expected}");
                place.stops(&claim, envoy.at(listener), &request, &expected).await;
            }
        }
    }
}
