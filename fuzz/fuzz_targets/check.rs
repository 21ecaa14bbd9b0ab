//! Requests with keys, cookies, forged identities and settings in any order: what is allowed holds one key,
//! and what goes upstream neither that nor an identity that is not ours.
#![no_main]

mod envoy;

use arbitrary::Arbitrary;
use keyward::rpc::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{
        AttributeContext, CheckRequest,
        attribute_context::{HttpRequest, Request},
        check_response::HttpResponse,
    },
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// A piece of a text.
#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Key,
    Word(&'a str),
    Bytes(&'a [u8]),
}

const WORDS: [&str; 20] = [
    "api-key",
    "=",
    "; ",
    "&",
    "?",
    ",",
    " ",
    "Bearer ",
    "Basic ",
    "%2D",
    "%61",
    "/api/systems",
    "/",
    "..",
    "%2f",
    "\"",
    "evil",
    "haplo:",
    "+",
    ";",
];
const NAMES: [&str; 14] = [
    "x-api-key",
    "X-Api-Key",
    "x_api_key",
    "authorization",
    "cookie",
    "x-keyward-key-id",
    "x_keyward_user",
    "x-keyward-any",
    "x-customer",
    "x-forwarded-for",
    "content-type",
    "accept",
    "host",
    "proxy-authorization",
];
const SETTINGS: [(&str, &str); 9] = [
    ("permission", "systems.read"),
    ("permission", "other.write"),
    ("environment", "production"),
    ("environment", "staging"),
    ("route", "/api/systems"),
    ("mode", "authenticate_only"),
    ("mode", "check_only"),
    ("cost", "0"),
    ("unknown", ""),
];

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    is_raw: bool,
    path: Vec<Piece<'a>>,
    fields: Vec<(u8, Vec<Piece<'a>>)>,
    settings: Vec<u8>,
}

fn text(pieces: &[Piece<'_>]) -> Vec<u8> {
    let each = pieces.iter().map(|piece| match piece {
        Piece::Key => envoy::good_key().as_bytes().to_vec(),
        Piece::Word(text) => WORDS[text.len() % WORDS.len()].as_bytes().to_vec(),
        Piece::Bytes(bytes) => bytes.to_vec(),
    });
    each.collect::<Vec<_>>().concat()
}

fuzz_target!(|case: Case<'_>| {
    let fields: Vec<(String, Vec<u8>)> = case
        .fields
        .iter()
        .map(|(name, value)| (NAMES[usize::from(*name) % NAMES.len()].to_owned(), text(value)))
        .collect();
    let path = [b"/api/systems".to_vec(), text(&case.path)].concat();
    let path = String::from_utf8_lossy(&path).into_owned();
    let mut http =
        HttpRequest { method: "GET".into(), path: path.clone(), ..HttpRequest::default() };
    for (name, value) in &fields {
        if case.is_raw {
            let header =
                HeaderValue { key: name.clone(), value: String::new(), raw_value: value.clone() };
            http.header_map.get_or_insert_with(HeaderMap::default).headers.push(header);
        } else {
            // as Envoy joins them
            let value = String::from_utf8_lossy(value);
            let joined = http.headers.entry(name.to_ascii_lowercase()).or_default();
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&value);
        }
    }
    let settings = case.settings.iter().map(|at| SETTINGS[usize::from(*at) % SETTINGS.len()]);
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let attributes = AttributeContext {
        request: Some(Request { http: Some(http) }),
        context_extensions: settings.collect(),
        ..AttributeContext::default()
    };
    let message = CheckRequest { attributes: Some(attributes) }.encode_to_vec();
    let answer = envoy::ask(&message).expect("an answer");
    if !envoy::is_allowance(&answer) {
        return;
    }
    let Some(HttpResponse::OkResponse(passed)) = answer.http_response else { unreachable!() };
    let set: Vec<&str> =
        passed.headers.iter().map(|it| it.header.as_ref().unwrap().key.as_str()).collect();
    let removed = |name: &str| passed.headers_to_remove.iter().any(|it| it == name);
    for (name, _) in &fields {
        let name = name.to_ascii_lowercase();
        if name.replace('_', "-").starts_with("x-keyward-") {
            assert!(removed(&name) || set.contains(&&*name), "{name} stays");
        }
    }
    let key = envoy::good_key();
    for option in &passed.headers {
        let header = option.header.as_ref().unwrap();
        // what a client writes into other cookies or calls its customer is not taken for a key
        let is_sent = matches!(&*header.key, "cookie" | "x-keyward-customer");
        assert!(is_sent || !header.value.contains(key), "{}", header.key);
        assert!(!removed(&header.key), "{} is set and removed", header.key);
    }
    assert!(removed("x-api-key") && removed("x_api_key"));
});
