//! What an operator says of a route, and where else Keyward learns of a request.

use keyward::rpc::pb::CreateKeyRequest;
use serde_json::json;

use super::{Place, READ};
use crate::{
    scoping::texts,
    support::{client::new_key, envoy::Listener, http1::get, limits::daily},
};

/// One listener whose routes differ in their context, and are called after it.
fn routes(listener: Listener, contexts: &[(&str, &[(&str, &str)])]) -> Listener {
    contexts.iter().fold(listener, |listener, (name, context)| {
        let path = format!("/{name}");
        listener.route(&json!({"path_separated_prefix": path}), "upstream", context)
    })
}

type Context = &'static [(&'static str, &'static str)];

const ENVIRONMENT: (&str, &str) = ("environment", "production");
const PERMISSION: (&str, &str) = ("permission", "systems.read");

#[tokio::test]
async fn each_word_of_the_context_counts() {
    let contexts: [(&str, Context); 12] = [
        ("read", &READ),
        ("write", &[ENVIRONMENT, ("permission", "systems.write")]),
        ("staging", &[("environment", "staging"), PERMISSION]),
        ("mapped", &[ENVIRONMENT]),
        ("route", &[ENVIRONMENT, PERMISSION, ("route", "/api/v2")]),
        ("elsewhere", &[ENVIRONMENT, PERMISSION, ("route", "/api")]),
        ("mine", &[ENVIRONMENT, PERMISSION, ("customer", "c-1")]),
        ("theirs", &[ENVIRONMENT, PERMISSION, ("customer", "c-2")]),
        ("costly", &[ENVIRONMENT, PERMISSION, ("cost", "10")]),
        ("look", &[ENVIRONMENT, PERMISSION, ("cost", "10"), ("mode", "check_only")]),
        ("who", &[ENVIRONMENT, ("mode", "authenticate_only")]),
        ("charge", &[ENVIRONMENT, PERMISSION, ("mode", "charge"), ("virtual_host", "any")]),
    ];
    let listener = routes(Listener::new("one", "keyward"), &contexts);
    let mut place = Place::start(&[("keyward", &["--detailed-401"])], vec![listener]).await;
    place.map(&["GET /mapped/read systems.read", "* /mapped/write systems.write"]).await;
    let plain = place.reader().await;
    let routed = place.key(super::place::ruled(&["/api/v2"])).await;
    let request = CreateKeyRequest { customers: texts(&["c-1"]), ..new_key("Customer's") };
    let customers = place.key(request).await;
    for envoy in 0..place.envoys.len() {
        let request = CreateKeyRequest { limits: vec![daily("few", 25)], ..new_key("Limited") };
        let limited = place.key(request).await;
        let envoy = &place.envoys[envoy];
        for (path, made, expected) in [
            ("/read", &plain, ""),
            ("/write", &plain, "403 PERMISSION_DENIED"),
            ("/staging", &plain, "401 ENVIRONMENT_MISMATCH"),
            ("/mapped/read?x=/mapped/write", &plain, ""),
            ("/mapped/write?x=/mapped/read", &plain, "403 PERMISSION_DENIED"),
            ("/mapped/other", &plain, "403 PERMISSION_DENIED"),
            ("/route/..%2f", &routed, ""),
            ("/elsewhere", &routed, "403 ROUTE_DENIED"),
            ("/read/api/v2", &routed, "403 ROUTE_DENIED"),
            ("/mine", &customers, ""),
            ("/theirs", &customers, "403 CUSTOMER_DENIED"),
            ("/read", &customers, "403 CUSTOMER_DENIED"),
            ("/look", &limited, ""),
            ("/look", &limited, ""),
            ("/look", &limited, ""),
            ("/costly", &limited, ""),
            ("/costly", &limited, ""),
            ("/who", &limited, ""),
            ("/look", &limited, "429 QUOTA_EXHAUSTED"),
            ("/costly", &limited, "429 QUOTA_EXHAUSTED"),
            ("/charge", &limited, ""),
            ("/who", &plain, ""),
        ] {
            let claim = format!("{} {path} {}", envoy.version, made.key.display_name);
            let request = get(path, &format!("X-Api-Key: {}\r\n", made.token));
            if expected.is_empty() {
                place.passes(&claim, envoy.at("one"), &request).await;
            } else {
                place.stops(&claim, envoy.at("one"), &request, expected).await;
            }
        }
    }
}

#[tokio::test]
async fn a_mistake_of_the_operator_is_a_500_that_no_failure_mode_opens() {
    let long = "a".repeat(10_000);
    let long = long.as_str();
    let contexts: [(&str, &[(&str, &str)]); 28] = [
        ("none", &[PERMISSION]),
        ("environment-empty", &[("environment", ""), PERMISSION]),
        ("environment-bad", &[("environment", "Pro duction"), PERMISSION]),
        ("environment-long", &[("environment", long), PERMISSION]),
        ("permission-bad", &[ENVIRONMENT, ("permission", "a b")]),
        ("permission-star", &[ENVIRONMENT, ("permission", "*")]),
        ("permission-long", &[ENVIRONMENT, ("permission", long)]),
        ("route-long", &[ENVIRONMENT, PERMISSION, ("route", long)]),
        ("customer-long", &[ENVIRONMENT, PERMISSION, ("customer", long)]),
        ("cost-blank-before", &[ENVIRONMENT, PERMISSION, ("cost", " 1")]),
        ("cost-sign", &[ENVIRONMENT, PERMISSION, ("cost", "+1")]),
        ("cost-less", &[ENVIRONMENT, PERMISSION, ("cost", "-1")]),
        ("cost-part", &[ENVIRONMENT, PERMISSION, ("cost", "1.5")]),
        ("cost-text", &[ENVIRONMENT, PERMISSION, ("cost", "one")]),
        ("cost-blank", &[ENVIRONMENT, PERMISSION, ("cost", "1 0")]),
        ("cost-empty", &[ENVIRONMENT, PERMISSION, ("cost", "")]),
        ("cost-huge", &[ENVIRONMENT, PERMISSION, ("cost", "99999999999999999999")]),
        ("mode-empty", &[ENVIRONMENT, PERMISSION, ("mode", "")]),
        ("mode-other", &[ENVIRONMENT, PERMISSION, ("mode", "allow")]),
        ("mode-case", &[ENVIRONMENT, PERMISSION, ("mode", "CHECK_ONLY")]),
        ("mode-and-more", &[ENVIRONMENT, PERMISSION, ("mode", "authenticate_only")]),
        ("key", &[ENVIRONMENT, PERMISSION, ("key", "a")]),
        ("permissions", &[ENVIRONMENT, PERMISSION, ("permissions", "a")]),
        ("case", &[ENVIRONMENT, PERMISSION, ("Permission", "a")]),
        ("blank", &[ENVIRONMENT, PERMISSION, ("permission ", "a")]),
        ("client-address", &[ENVIRONMENT, PERMISSION, ("client_address", "::1")]),
        ("domain", &[ENVIRONMENT, PERMISSION, ("domain", "default")]),
        ("empty-key", &[ENVIRONMENT, PERMISSION, ("", "")]),
    ];
    let listener = Listener::new("one", "keyward").filter("failure_mode_allow", json!(true));
    let listener = routes(listener, &contexts);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for (name, _) in contexts {
            for key in [made.token.as_str(), "unknown"] {
                let claim = format!("{} {name}", envoy.version);
                let request = get(&format!("/{name}"), &format!("X-Api-Key: {key}\r\n"));
                let answer = ask_500(&place, &claim, envoy.at("one"), &request).await;
                assert!(!answer.contains(&made.token), "{claim}");
            }
        }
    }
    let logged = place.keywards[0].logged();
    let told = logged
        .lines()
        .filter(|line| line.contains("\"level\":\"ERROR\"") || line.contains("\"level\":\"WARN\""));
    assert!(told.count() > 0, "the operator is told in the log");
}

async fn ask_500(place: &Place, claim: &str, at: std::net::SocketAddr, request: &[u8]) -> String {
    let answer = crate::support::http1::ask(at, request).await;
    let kind = super::place::denial(&answer);
    assert!(kind.starts_with("500 "), "{claim}: {answer:?}");
    assert!(place.upstream.take().is_empty(), "{claim}");
    format!("{answer:?}")
}

#[tokio::test]
async fn the_environment_is_the_routes_else_the_filters_else_the_flags() {
    let metadata = |value: &str| json!([{"key": "keyward-environment", "value": value}]);
    let all = |name, cluster| {
        let listener = Listener::new(name, cluster);
        routes(listener, &[("own", &[ENVIRONMENT, PERMISSION]), ("none", &[PERMISSION])])
    };
    let listeners = vec![
        all("bare", "bare"),
        all("flag", "flag"),
        all("other-flag", "staging"),
        all("metadata", "bare").asking("initial_metadata", metadata("production")),
        all("metadata-over-flag", "staging").asking("initial_metadata", metadata("production")),
        all("other-metadata", "flag").asking("initial_metadata", metadata("staging")),
        all("bad-metadata", "flag").asking("initial_metadata", metadata("Pro duction")),
    ];
    let keywards: [(&str, &[&str]); 3] = [
        ("bare", &["--detailed-401"]),
        ("flag", &["--detailed-401", "--proxy-environment", "production"]),
        ("staging", &["--detailed-401", "--proxy-environment", "staging"]),
    ];
    let mut place = Place::start(&keywards, listeners).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        // what the client says is no metadata of the filter
        let lines = format!("X-Api-Key: {}\r\nKeyward-Environment: production\r\n", made.token);
        for (listener, expected) in [
            ("bare", "500"),
            ("flag", ""),
            ("other-flag", "401 ENVIRONMENT_MISMATCH"),
            ("metadata", ""),
            ("metadata-over-flag", ""),
            ("other-metadata", "401 ENVIRONMENT_MISMATCH"),
            ("bad-metadata", "500"),
        ] {
            let claim = format!("{} {listener}", envoy.version);
            let at = envoy.at(listener);
            let request = get("/none", &lines);
            match expected {
                "" => drop(place.passes(&claim, at, &request).await),
                "500" => drop(ask_500(&place, &claim, at, &request).await),
                expected => drop(place.stops(&claim, at, &request, expected).await),
            }
            if listener != "bad-metadata" {
                place.passes(&claim, at, &get("/own", &lines)).await;
            }
        }
    }
}

#[tokio::test]
async fn the_customer_is_the_routes_else_that_of_the_header() {
    let listener = routes(
        Listener::new("one", "keyward"),
        &[("free", &READ), ("fixed", &[ENVIRONMENT, PERMISSION, ("customer", "c-1")])],
    );
    let keywards: [(&str, &[&str]); 1] = [("keyward", &["--customer-header", "x-customer"])];
    let mut place = Place::start(&keywards, vec![listener]).await;
    let request = CreateKeyRequest { customers: texts(&["c-1", "c-2"]), ..new_key("Customers'") };
    let made = place.key(request).await;
    for envoy in &place.envoys {
        for (path, lines, expected) in [
            ("/free", "X-Customer: c-1\r\n", "c-1"),
            ("/free", "x-customer: c-2\r\n", "c-2"),
            ("/free", "X-Customer: c-3\r\n", ""),
            ("/free", "", ""),
            ("/free", "X-Customer: \r\n", ""),
            ("/free", "X-Keyward-Customer: c-1\r\n", ""),
            ("/free", "X-Customer: c-1,c-2\r\n", ""),
            ("/free", "X-Customer: c-1\r\nX-Customer: c-2\r\n", ""),
            ("/fixed", "X-Customer: c-2\r\n", "c-1"),
            ("/fixed", "X-Customer: c-3\r\n", "c-1"),
            ("/fixed", "X-Keyward-Customer: c-2\r\n", "c-1"),
        ] {
            let claim = format!("{} {path} {lines:?}", envoy.version);
            let request = get(path, &format!("X-Api-Key: {}\r\n{lines}", made.token));
            if expected.is_empty() {
                let denied = "403 CUSTOMER_DENIED";
                place.stops(&claim, envoy.at("one"), &request, denied).await;
            } else {
                let seen = place.passes(&claim, envoy.at("one"), &request).await;
                assert_eq!(seen.head.all("x-keyward-customer"), [expected], "{claim}");
            }
        }
    }
}
