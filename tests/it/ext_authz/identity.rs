//! Who the caller is, as the upstream is told: by Keyward alone.

use keyward::rpc::pb::{self, CreateKeyRequest};
use serde_json::json;

use super::{Place, READ};
use crate::{
    scoping::user_of,
    support::{
        client::{Made, new_key},
        envoy::Listener,
        http1::get,
        upstream::Seen,
    },
};

const ALWAYS: [&str; 4] =
    ["x-keyward-decision-id", "x-keyward-domain", "x-keyward-environment", "x-keyward-key-id"];

async fn place() -> Place {
    let listener = |name, raw| {
        let listener = Listener::new(name, "keyward").filter("encode_raw_headers", json!(raw));
        let customer = [READ[0], READ[1], ("customer", "c/1")];
        listener
            .route(&json!({"path_separated_prefix": "/customer"}), "upstream", &customer)
            .all("upstream", &READ)
    };
    let listeners = vec![listener("merged", false), listener("raw", true)];
    Place::start(&[("keyward", &[])], listeners).await
}

/// Asserts that all that is said of the caller is said once, and true.
fn assert_told(claim: &str, seen: &Seen, made: &Made, more: &[(&str, &str)]) {
    let mut names: Vec<_> = ALWAYS.iter().chain(more.iter().map(|(name, _)| name)).collect();
    names.sort();
    assert_eq!(seen.names("x-keyward"), names.into_iter().copied().collect::<Vec<_>>(), "{claim}");
    let always = [
        ("x-keyward-key-id", made.key.id.as_str()),
        ("x-keyward-domain", "default"),
        ("x-keyward-environment", "production"),
    ];
    for (name, value) in always.iter().chain(more) {
        assert_eq!(seen.head.one(name).as_deref(), Some(*value), "{claim}: {name}");
    }
    let decision = seen.head.one("x-keyward-decision-id").unwrap();
    assert!(decision.starts_with("dec_"), "{claim}: {decision}");
    let text = seen.text();
    assert!(!text.contains("evil") && !text.contains(&made.token), "{claim}: {text}");
}

const SPOOFS: [&str; 22] = [
    "",
    "X-Keyward-Key-Id: evil\r\n",
    "x-keyward-key-id: evil\r\n",
    "X-KEYWARD-KEY-ID: evil\r\n",
    "X-Keyward-Key-Id: evil\r\nX-Keyward-Key-Id: evil\r\n",
    "X-Keyward-Key-Id: evil\r\nx-keyward-key-id: evil2\r\nX-KEYWARD-KEY-ID: evil3\r\n",
    "X_Keyward_Key_Id: evil\r\n",
    "x-keyward_key-id: evil\r\n",
    "x_keyward-key_id: evil\r\nX-Keyward-Key-Id: evil\r\n",
    "X-Keyward-User: evil\r\n",
    "X_KEYWARD_USER: evil\r\n",
    "X-Keyward-Customer: evil\r\nX-Keyward-Domain: evil\r\nX-Keyward-Environment: evil\r\n",
    "X-Keyward-Decision-Id: evil\r\n",
    "X-Keyward-Anything: evil\r\n",
    "X-Keyward-: evil\r\n",
    "X_Keyward_: evil\r\n",
    "X-Keyward-Admin: evil\r\nX_KEYWARD_ADMIN: evil\r\nx-keyward_admin: evil\r\n",
    "Connection: x-keyward-key-id\r\n",
    "Connection: close, x-keyward-key-id, x-keyward-domain\r\n",
    "X-Keyward-User: äevil\r\n",
    "X-Keyward-User:\r\n",
    "X-Keyward-Key-Id: evil, evil\r\nX-Keyward-User: a b; evil\r\n",
];

#[tokio::test]
async fn what_the_client_says_of_itself_never_arrives() {
    let mut place = place().await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            for spoof in SPOOFS {
                let claim = format!("{} {listener}: {spoof:?}", envoy.version);
                let key = format!("X-Api-Key: {}\r\n", made.token);
                for lines in [format!("{spoof}{key}"), format!("{key}{spoof}")] {
                    let request = get("/a", &lines);
                    let seen = place.passes(&claim, envoy.at(listener), &request).await;
                    assert_told(&claim, &seen, &made, &[]);
                }
            }
            // many at once, and bytes that are no UTF-8
            let many: Vec<_> = (0..40).map(|at| format!("X-Keyward-N{at}: evil\r\n")).collect();
            let many = many.concat();
            let mut request = get("/a", &format!("X-Api-Key: {}\r\n{many}", made.token));
            let end = request.len() - 2;
            let bytes = b"X-Keyward-User: \xff\xfeevil\r\nX_Keyward_Other: \x80evil\r\n";
            request.splice(end..end, bytes.iter().copied());
            let claim = format!("{} {listener}: many", envoy.version);
            let seen = place.passes(&claim, envoy.at(listener), &request).await;
            assert_told(&claim, &seen, &made, &[]);
        }
    }
}

/// Envoy may be told to show Keyward but a few fields; what it may set, it takes away unseen.
#[tokio::test]
async fn what_keyward_is_not_shown_is_taken_away_too() {
    let shown = json!({"patterns": [{"exact": "x-api-key", "ignore_case": true}]});
    let listener =
        Listener::new("one", "keyward").filter("allowed_headers", shown).all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        let names = ["Key-Id", "Domain", "Environment", "Decision-Id", "User", "Customer"];
        let lines: Vec<_> = names
            .iter()
            .map(|name| {
                let underscores = name.replace('-', "_");
                format!("X-Keyward-{name}: evil\r\nX_Keyward_{underscores}: evil\r\n")
            })
            .collect();
        let spoof = format!("{}X_Api_Key: evil\r\n", lines.concat());
        let request = get("/a", &format!("{spoof}X-Api-Key: {}\r\n{spoof}", made.token));
        let seen = place.passes(envoy.version, envoy.at("one"), &request).await;
        assert_told(envoy.version, &seen, &made, &[]);
    }
}

#[tokio::test]
async fn user_and_customer_are_told_in_visible_ascii() {
    let mut place = place().await;
    let mut access = place.keywards[0].access();
    let user = Some(user_of("ida@example.org", &["systems"], &[]));
    let request = pb::CreateUserRequest { user, validate_only: false };
    access.create_user(request).await.unwrap();
    let request = CreateKeyRequest { user: "ida@example.org".into(), ..new_key("Ida's") };
    let made = place.key(request).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            let claim = format!("{} {listener}", envoy.version);
            let lines = format!("X-Api-Key: {}\r\nX-Keyward-User: evil\r\n", made.token);
            let at = envoy.at(listener);
            let user = ("x-keyward-user", "ida@example.org");
            let seen = place.passes(&claim, at, &get("/a", &lines)).await;
            assert_told(&claim, &seen, &made, &[user]);
            let seen = place.passes(&claim, at, &get("/customer", &lines)).await;
            assert_told(&claim, &seen, &made, &[user, ("x-keyward-customer", "c/1")]);
        }
    }
}

#[tokio::test]
async fn what_is_denied_tells_the_client_nothing_of_the_key() {
    let mut place = place().await;
    let made = place.key(super::place::ruled(&["/other"])).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            let claim = format!("{} {listener}", envoy.version);
            let request = get("/a", &format!("X-Api-Key: {}\r\n", made.token));
            let answer =
                place.stops(&claim, envoy.at(listener), &request, "403 ROUTE_DENIED").await;
            let text = format!("{answer:?}");
            assert!(!text.contains(&made.token) && !text.contains(&made.key.id), "{claim}: {text}");
        }
    }
}
