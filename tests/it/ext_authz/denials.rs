//! What a client is told that is not let through.

use keyward::rpc::pb::{
    CreateKeyRequest, DeactivateKeyRequest, Key, RevocationReason, RevokeKeyRequest,
};
use prost_types::Timestamp;
use serde_json::json;

use super::{
    Place, READ,
    place::{denial, ruled},
};
use crate::support::{
    client::new_key,
    envoy::Listener,
    http1::{Answer, ask, get, request},
    limits::{daily, rate, span},
    upstream::call,
};

/// Tokens that are no good, each for a reason of its own.
async fn bad_tokens(place: &mut Place) -> Vec<(&'static str, String)> {
    let mut admin = place.keywards[0].admin();
    let staging = CreateKeyRequest { environment: "staging".into(), ..new_key("Staging") };
    let staging = place.key(staging).await;
    let deactivated = place.reader().await;
    let id = deactivated.key.id.clone();
    let request = DeactivateKeyRequest { id, ..DeactivateKeyRequest::default() };
    admin.deactivate_key(request).await.unwrap();
    let revoked = place.reader().await;
    let request = RevokeKeyRequest {
        id: revoked.key.id.clone(),
        reason: RevocationReason::Compromised.into(),
        ..RevokeKeyRequest::default()
    };
    admin.revoke_key(request).await.unwrap();
    let expired = place.reader().await;
    let early = place.reader().await;
    let soon = expired.key.create_time.unwrap();
    let gone = Key { expire_time: Some(soon), ..Key::default() };
    place.change(&expired, gone, &["expire_time"]).await;
    let far = Timestamp { seconds: soon.seconds + 100_000, nanos: 0 };
    let later = Key { not_before_time: Some(far), ..Key::default() };
    place.change(&early, later, &["not_before_time"]).await;
    let admin_key = place.database.root_token.clone();
    vec![
        ("KEY_MISSING", String::new()),
        ("KEY_UNKNOWN", "unknown".into()),
        ("KEY_UNKNOWN", admin_key),
        ("KEY_MALFORMED", format!("{}x", revoked.token)),
        ("KEY_INACTIVE", deactivated.token),
        ("KEY_INACTIVE", revoked.token),
        ("KEY_EXPIRED", expired.token),
        ("KEY_NOT_YET_VALID", early.token),
        ("ENVIRONMENT_MISMATCH", staging.token),
        ("KEY_AMBIGUOUS", "one,two".into()),
    ]
}

/// An answer without what differs each time.
fn lasting(answer: &Answer) -> String {
    let problem = answer.json();
    let id = problem["decision_id"].as_str().unwrap();
    let fields = answer.head.fields.iter().filter(|(name, _)| name != "date");
    let fields: Vec<_> =
        fields.map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect();
    let body = String::from_utf8_lossy(&answer.body);
    format!("{}\n{}\n{body}", answer.status, fields.join("\n")).replace(id, "dec_")
}

#[tokio::test]
async fn all_401s_are_the_same_unless_details_are_wanted() {
    let challenge = "Bearer realm=\"api\"";
    let keywards: [(&str, &[&str]); 3] = [
        ("plain", &[]),
        ("detailed", &["--detailed-401"]),
        ("challenging", &["--www-authenticate", challenge]),
    ];
    let listeners = keywards.map(|(name, _)| Listener::new(name, name).all("upstream", &READ));
    let mut place = Place::start(&keywards, listeners.into()).await;
    let tokens = bad_tokens(&mut place).await;
    let denied = place.key(ruled(&["/other"])).await;
    for envoy in &place.envoys {
        let mut answers = Vec::new();
        for (reason, token) in &tokens {
            let claim = format!("{} {reason}", envoy.version);
            let request = get("/a", &format!("X-Api-Key: {token}\r\n"));
            let expected = "401 UNAUTHENTICATED";
            let plain = place.stops(&claim, envoy.at("plain"), &request, expected).await;
            assert_eq!(plain.head.all("www-authenticate"), [""; 0], "{claim}");
            answers.push((reason, lasting(&plain)));
            let at = envoy.at("challenging");
            let challenging = place.stops(&claim, at, &request, expected).await;
            assert_eq!(challenging.head.all("www-authenticate"), [challenge], "{claim}");
            let detailed = format!("401 {reason}");
            place.stops(&claim, envoy.at("detailed"), &request, &detailed).await;
        }
        for (reason, answer) in &answers {
            assert_eq!(answer, &answers[0].1, "{} {reason}", envoy.version);
        }
        let request = get("/a", &format!("X-Api-Key: {}\r\n", denied.token));
        let at = envoy.at("challenging");
        let forbidden = place.stops("403", at, &request, "403 ROUTE_DENIED").await;
        assert_eq!(forbidden.head.all("www-authenticate"), [""; 0]);
    }
}

#[tokio::test]
async fn limits_are_told_when_they_let_pass_and_when_they_do_not() {
    let listener = Listener::new("one", "keyward").all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let free = place.reader().await;
    for envoy in 0..place.envoys.len() {
        let limits = vec![rate("slow", 1, span(3600, 0), 2), daily("few", 100)];
        let limited = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
        let used_up = CreateKeyRequest { limits: vec![daily("one", 1)], ..new_key("Used up") };
        let used_up = place.key(used_up).await;
        let at = place.envoys[envoy].at("one");
        let key = |token: &str| get("/a", &format!("X-Api-Key: {token}\r\n"));
        let (answer, _) = place.answered("no limits", at, &key(&free.token)).await;
        for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
            assert_eq!(answer.head.all(name), [""; 0], "{answer:?}");
        }
        for left in [1, 0] {
            let (answer, _) = place.answered("limited", at, &key(&limited.token)).await;
            let remaining = answer.head.all("ratelimit").join(", ");
            assert!(remaining.contains(&format!("\"slow\";r={left};t=")), "{answer:?}");
            assert!(remaining.contains(&format!("\"few\";r={};t=", 98 + left)), "{answer:?}");
            let policy = answer.head.all("ratelimit-policy").join(", ");
            assert!(policy.contains("\"slow\";q=") && policy.contains("\"few\";q=100"), "{policy}");
            assert_eq!(answer.head.all("retry-after"), [""; 0]);
        }
        let denied = "429 RATE_LIMITED";
        let answer = place.stops("used", at, &key(&limited.token), denied).await;
        let after: u64 = answer.field("retry-after").parse().unwrap();
        assert!((3000..=3600).contains(&after), "{answer:?}");
        let remaining = answer.head.all("ratelimit").join(", ");
        assert!(remaining.contains("\"slow\";r=0;t="), "{answer:?}");
        assert!(!answer.head.all("ratelimit-policy").is_empty(), "{answer:?}");
        place.passes("one", at, &key(&used_up.token)).await;
        let answer = place.stops("none", at, &key(&used_up.token), "429 QUOTA_EXHAUSTED").await;
        let after: u64 = answer.field("retry-after").parse().unwrap();
        assert!((1..=86_400).contains(&after), "{answer:?}");
    }
}

#[tokio::test]
async fn a_denial_has_a_body_but_for_head_whatever_the_method() {
    let listener = Listener::new("one", "keyward").all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.key(ruled(&["/a"])).await;
    for envoy in &place.envoys {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
            let lines = format!("X-Api-Key: {}\r\nContent-Length: 0\r\n", made.token);
            let wrong = request(method, "/b", &lines);
            place.stops(method, envoy.at("one"), &wrong, "403 ROUTE_DENIED").await;
            let seen = place.passes(method, envoy.at("one"), &request(method, "/a", &lines)).await;
            assert_eq!(seen.head.word(0), method);
        }
        let head = |path: &str| request("HEAD", path, &format!("X-Api-Key: {}\r\n", made.token));
        let answer = ask(envoy.at("one"), &head("/b")).await;
        assert_eq!((answer.status, answer.body.len()), (403, 0), "{answer:?}");
        assert_eq!(answer.field("content-type"), "application/problem+json");
        assert!(place.upstream.take().is_empty());
        let seen = place.passes("HEAD", envoy.at("one"), &head("/a")).await;
        assert_eq!(seen.head.word(0), "HEAD");
    }
}

#[tokio::test]
async fn a_denied_call_of_grpc_ends_as_grpc() {
    let listener = Listener::new("one", "keyward").all("grpc", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.key(ruled(&["=/shop.Orders/Get"])).await;
    let limits = vec![daily("none", 0)];
    let limited = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
    for envoy in &place.envoys {
        let at = envoy.at("one");
        for (path, token, status, reason) in [
            ("/shop.Orders/Get", "unknown", "16", ""),
            ("/shop.Orders/Get", "", "16", ""),
            ("/shop.Orders/Delete", made.token.as_str(), "7", "ROUTE_DENIED"),
            ("/shop.Orders/Get/x", made.token.as_str(), "7", "ROUTE_DENIED"),
            ("/shop.Orders/Get", limited.token.as_str(), "8", "QUOTA_EXHAUSTED"),
        ] {
            let claim = format!("{} {path} {reason}", envoy.version);
            let answer = call(at, path, &[("x-api-key", token)]).await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{claim}: {answer:?}");
            assert_eq!(answer.trailers, None, "{claim}: all is in the head");
            assert_eq!(answer.field("content-type"), "application/grpc", "{claim}: {answer:?}");
            assert_eq!(answer.field("grpc-status"), status, "{claim}: {answer:?}");
            let message = answer.field("grpc-message");
            assert!(!message.is_empty() && message.len() < 300, "{claim}: {message}");
            assert!(!message.contains(['{', '<', '\n']), "{claim}: {message}");
            assert!(place.grpc.take().is_empty(), "{claim}");
        }
        let answer = call(at, "/shop.Orders/Get", &[("x-api-key", &made.token)]).await;
        let trailers = answer.trailers.expect("the upstream's trailers");
        assert_eq!(trailers.get("grpc-status").unwrap(), "0");
        let seen = place.grpc.take();
        assert_eq!(seen.len(), 1);
        assert!(!seen[0].text().contains(&made.token));
        assert_eq!(seen[0].head.one("x-keyward-key-id").as_deref(), Some(&*made.key.id));
        // what only looks like it in another protocol keeps its status
        let request = get("/x", "Content-Type: application/json\r\nX-Api-Key: unknown\r\n");
        let answer = ask(at, &request).await;
        assert_eq!(denial(&answer), "401 UNAUTHENTICATED");
        assert_eq!(answer.head.all("grpc-status"), [""; 0]);
    }
}

#[tokio::test]
async fn a_denial_that_an_operator_caused_is_no_leak() {
    let listener = Listener::new("one", "keyward")
        .filter("failure_mode_allow", json!(true))
        .all("upstream", &[("environment", "production"), ("permision", "systems.read")]);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        let answer =
            ask(envoy.at("one"), &get("/a", &format!("X-Api-Key: {}\r\n", made.token))).await;
        assert_eq!(answer.status, 500);
        let text = format!("{answer:?}");
        assert!(!text.contains("permision") && !text.contains(&made.token), "{text}");
        let grpc = call(envoy.at("one"), "/a/b", &[("x-api-key", &made.token)]).await;
        assert_eq!(grpc.field("grpc-status"), "13", "{grpc:?}");
        assert!(place.upstream.take().is_empty());
    }
}
