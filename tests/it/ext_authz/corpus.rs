//! Requests that try to be one thing for Keyward and another one for whom it protects.
//!
//! What the upstream got is what counts, and an oracle that knows nothing of Keyward judges it.

mod lines;
mod oracle;
mod paths;

use std::{collections::BTreeSet, net::SocketAddr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use super::{
    Place, READ,
    place::{denial, ruled},
};
use crate::{
    scoping::key_with,
    support::{
        client::Made,
        envoy::Listener,
        http1::{Answer, Connection},
        upstream::Seen,
    },
};

const SOURCES: [&str; 2] = ["--key-sources", "header:x-api-key,bearer,basic:key,query:k,cookie:c"];

/// The keys of a corpus: two that may the same, one by rules, the other by the route map.
struct Keys {
    ruled: Made,
    mapped: Made,
}

/// Envoys that change nothing and such that normalise, each for both keys; one that opens when Keyward
/// fails; and one with two routes.
async fn place() -> (Place, Keys) {
    let mut listeners = Vec::new();
    for (name, context) in [("rules", &READ[..]), ("map", &READ[..1])] {
        let [plain, safe] = match name {
            "rules" => ["rules", "safe-rules"],
            _ => ["map", "safe-map"],
        };
        listeners.push(Listener::new(plain, "keyward").all("upstream", context));
        listeners.push(Listener::new(safe, "keyward").normalising().all("upstream", context));
    }
    // where an error opens, no client may cause one
    let open = Listener::new("open-rules", "keyward").filter("failure_mode_allow", json!(true));
    listeners.push(open.all("upstream", &READ));
    for raw in [false, true] {
        let name = if raw { "routed-raw" } else { "routed" };
        let listener = Listener::new(name, "keyward")
            .filter("encode_raw_headers", json!(raw))
            .route(&json!({"path_separated_prefix": "/api/v2"}), "upstream", &READ)
            .route(&json!({"path": "/exact"}), "upstream", &READ)
            .all("other", &READ);
        listeners.push(listener);
    }
    let mut place = Place::start(&[("keyward", &SOURCES)], listeners).await;
    let map = [
        "* /api/v2 systems.read",
        "* /api/v2/ systems.read",
        "* /api/v2/** systems.read",
        "* /exact systems.read",
        "* /** systems.admin",
        "* / systems.admin",
    ];
    place.map(&map).await;
    let ruled = place.key(ruled(&["/api/v2", "=/exact"])).await;
    let mapped = place.key(key_with(&["systems.read"])).await;
    (place, Keys { ruled, mapped })
}

impl Keys {
    fn of(&self, listener: &str) -> (&Made, &Made) {
        if listener.ends_with("map") {
            (&self.mapped, &self.ruled)
        } else {
            (&self.ruled, &self.mapped)
        }
    }

    /// Why something that an upstream got should not have come; `None` if all is well.
    fn fault(&self, seen: &Seen) -> Option<String> {
        let target = seen.head.first.splitn(2, |&byte| byte == b' ').nth(1).unwrap_or_default();
        let end = target.windows(6).rposition(|bytes| bytes == b" HTTP/").unwrap_or(target.len());
        if !oracle::lies_within(&target[..end]) {
            let readings = oracle::readings(&target[..end]);
            return Some(format!("it may be read as more: {:?}", texts(&readings)));
        }
        let text = seen.text();
        for made in [&self.ruled, &self.mapped] {
            if carries(&text, &made.token) {
                return Some("a key's text".into());
            }
        }
        let spoofed = seen.head.fields.iter().any(|(name, value)| {
            let name = name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            name.trim_matches('-').starts_with("x-keyward")
                && value.windows(4).any(|at| at == b"evil")
        });
        if spoofed {
            return Some("a spoofed identity".into());
        }
        let ids = [&self.ruled, &self.mapped].map(|made| made.key.id.clone());
        match seen.head.all("x-keyward-key-id").as_slice() {
            [id] if ids.contains(id) => None,
            other => Some(format!("{other:?} as the key's id")),
        }
    }
}

/// Whether a text has a token as it is, or as a server may decode it.
fn carries(text: &str, token: &str) -> bool {
    let basic = BASE64.encode(format!("key:{token}"));
    text.contains(token) || text.contains(basic.trim_end_matches('='))
}

fn texts(readings: &BTreeSet<Vec<u8>>) -> Vec<String> {
    readings.iter().map(|bytes| bytes.escape_ascii().to_string()).collect()
}

/// What went wrong, of everything that was tried.
#[derive(Default)]
struct Tally {
    tried: usize,
    passed: usize,
    faults: Vec<String>,
}

impl Tally {
    /// Sends a request and everything that it may set off, and judges what the upstream got.
    async fn try_one(
        &mut self,
        place: &Place,
        keys: &Keys,
        claim: &str,
        at: SocketAddr,
        bytes: &[u8],
    ) -> Option<Answer> {
        let mut connection = Connection::open(at).await;
        connection.send(bytes).await;
        let method = if bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" };
        let answer = connection.answer_to(method).await;
        self.tried += 1;
        let seen = [place.upstream.take(), place.other.take()].concat();
        self.passed += usize::from(!seen.is_empty());
        for seen in seen {
            if let Some(fault) = keys.fault(&seen) {
                self.faults.push(format!("{claim}: {fault}\n    upstream: {:?}", seen.head));
            }
        }
        if answer.as_ref().is_some_and(|answer| matches!(answer.status, 500 | 502..)) {
            self.faults.push(format!("{claim}: {answer:?}"));
        }
        answer
    }

    fn conclude(self, tried_min: usize) {
        let Self { tried, passed, faults } = self;
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        assert!(tried >= tried_min, "only {tried} were tried");
        assert!(passed > 0 && passed < tried, "{passed} of {tried} passed");
    }
}

fn get(target: &[u8], token: &str) -> Vec<u8> {
    let rest = format!(" HTTP/1.1\r\nHost: api.example\r\nX-Api-Key: {token}\r\n\r\n");
    [b"GET ", target, rest.as_bytes()].concat()
}

#[tokio::test]
async fn no_way_to_write_a_path_leads_further_than_the_key_may_go() {
    let (place, keys) = place().await;
    let mut tally = Tally::default();
    for envoy in &place.envoys {
        for listener in ["rules", "open-rules", "safe-rules", "map", "safe-map"] {
            let (made, _) = keys.of(listener);
            for target in paths::all() {
                let shown = target[..target.len().min(120)].escape_ascii();
                let claim = format!("{} {listener} {shown}", envoy.version);
                let request = get(&target, &made.token);
                let at = envoy.at(listener);
                let answer = tally.try_one(&place, &keys, &claim, at, &request).await;
                let good = paths::GOOD.iter().any(|good| good.as_bytes() == target);
                let passed = answer.as_ref().is_some_and(|answer| answer.status == 200);
                if good && !passed {
                    tally.faults.push(format!("{claim}: it should pass: {answer:?}"));
                }
            }
        }
    }
    tally.conclude(4000);
}

#[tokio::test]
async fn where_envoy_leads_a_clear_path_is_where_keyward_saw_it_go() {
    let (place, keys) = place().await;
    let mut tally = Tally::default();
    let mut agreed = 0;
    for envoy in &place.envoys {
        for listener in ["routed", "routed-raw"] {
            for target in paths::all() {
                let shown = target[..target.len().min(120)].escape_ascii();
                let claim = format!("{} {listener} {shown}", envoy.version);
                let request = get(&target, &keys.ruled.token);
                let at = envoy.at(listener);
                let answer = tally.try_one(&place, &keys, &claim, at, &request).await;
                let Some(answer) = answer else { continue };
                let routed = answer.field("x-routed");
                if routed.is_empty() {
                    // refused by Envoy itself
                    continue;
                }
                let passed = answer.status == 200;
                if !passed && denial(&answer) != "403 ROUTE_DENIED" {
                    tally.faults.push(format!("{claim}: {answer:?}"));
                }
                let clear = target.starts_with(b"/") && oracle::is_clear(&target);
                let disagree = if clear {
                    passed != (routed == "upstream")
                } else {
                    passed && routed == "other"
                };
                if disagree && target.len() < 8000 {
                    tally.faults.push(format!("{claim}: Envoy led to {routed}: {answer:?}"));
                }
                agreed += usize::from(clear);
            }
        }
    }
    assert!(agreed > 40, "{agreed} were clear");
    tally.conclude(1500);
}

fn filled(template: &str, key: &str, other: &str) -> String {
    let basic = |key: &str| BASE64.encode(format!("key:{key}"));
    template
        .replace("{inner}", lines::INNER)
        .replace("{b64}", &basic(key))
        .replace("{other b64}", &basic(other))
        .replace("{key}", key)
        .replace("{other}", other)
        .replace('|', "\r\n")
}

#[tokio::test]
async fn no_way_to_send_a_key_or_an_identity_gets_either_past_keyward() {
    let (place, keys) = place().await;
    let mut templates = Vec::new();
    for target in lines::TARGETS {
        let (target, field) = target.split_once(' ').unwrap_or((target, "A: b"));
        templates.push(format!("GET /api/v2/x{target} HTTP/1.1|Host: a|{field}||"));
    }
    for cookie in lines::COOKIES {
        for beside in ["A: b", "X-Api-Key: {key}", "X-Api-Key: {other}", "Cookie: d=1"] {
            templates.push(format!("GET /api/v2/x HTTP/1.1|Host: a|{beside}|Cookie: {cookie}||"));
        }
    }
    for fields in lines::FIELDS {
        templates.push(format!("GET /api/v2/x HTTP/1.1|Host: a|{fields}||"));
        templates.push(format!("POST /exact HTTP/1.1|Host: a|{fields}|Content-Length: 0||"));
    }
    templates.extend(lines::FRAMES.iter().map(ToString::to_string));
    let mut tally = Tally::default();
    for envoy in &place.envoys {
        for listener in ["rules", "open-rules", "safe-rules", "map", "routed-raw"] {
            let (made, other) = keys.of(listener);
            for template in &templates {
                let claim = format!("{} {listener} {template:?}", envoy.version);
                let request = filled(template, &made.token, &other.token);
                let at = envoy.at(listener);
                tally.try_one(&place, &keys, &claim, at, request.as_bytes()).await;
            }
        }
    }
    // what came late
    for seen in [place.upstream.take(), place.other.take()].concat() {
        tally.faults.extend(keys.fault(&seen));
    }
    tally.conclude(2000);
}
