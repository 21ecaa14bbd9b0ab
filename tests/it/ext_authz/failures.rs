//! What happens when Keyward cannot be asked, or cannot know.

use rustix::process::Signal;
use serde_json::json;

use super::{Place, READ};
use crate::support::{
    client::create,
    client::new_key,
    database::Database,
    envoy::{Bootstrap, Envoy, Listener, Protocol},
    eventually,
    gate::Gate,
    http1::{Answer, ask, get},
    server::Server,
    upstream::call,
};

/// One listener that stays shut when Keyward fails, and one that opens.
fn both(shut: &'static str, open: &'static str, cluster: &str) -> Vec<Listener> {
    let listener = |name, opens: bool| {
        Listener::new(name, cluster)
            .filter("failure_mode_allow", json!(opens))
            .filter("failure_mode_allow_header_add", json!(true))
            .all("upstream", &READ)
    };
    vec![listener(shut, false), listener(open, true)]
}

/// Asserts what Envoy does when it has no answer of Keyward.
async fn assert_failing(place: &Place, envoy: &Envoy, claim: &str, token: &str) {
    let claim = format!("{} {claim}", envoy.version);
    let request = get("/a", &format!("X-Api-Key: {token}\r\n"));
    let shut = ask(envoy.at("shut"), &request).await;
    assert_eq!((shut.status, shut.body.len()), (503, 0), "{claim}: {shut:?}");
    assert!(place.upstream.take().is_empty(), "{claim}");
    let open = ask(envoy.at("open"), &request).await;
    assert_eq!(open.status, 200, "{claim}: {open:?}");
    let seen = place.upstream.take_one();
    let marked = seen.head.one("x-envoy-auth-failure-mode-allowed");
    assert_eq!(marked.as_deref(), Some("true"), "{claim}: it was the failure mode");
}

#[tokio::test]
async fn when_keyward_is_killed_or_hangs_the_failure_mode_decides() {
    let mut listeners = both("shut", "open", "keyward");
    for listener in &mut listeners {
        *listener = listener.clone().asking("timeout", json!("0.3s"));
    }
    let mut place = Place::start(&[("keyward", &[])], listeners).await;
    let made = place.reader().await;
    let request = get("/a", &format!("X-Api-Key: {}\r\n", made.token));
    let answers_again = async |place: &Place| {
        for envoy in &place.envoys {
            eventually("Keyward is asked again", async || {
                let answer = ask(envoy.at("shut"), &request).await;
                (answer.status == 200).then_some(())
            })
            .await;
        }
        place.upstream.take();
    };
    answers_again(&place).await;
    place.keywards[0].pause();
    for envoy in &place.envoys {
        assert_failing(&place, envoy, "halted", &made.token).await;
    }
    place.keywards[0].signal(Signal::CONT);
    answers_again(&place).await;
    place.keywards[0].signal(Signal::KILL);
    place.keywards[0].ended().await;
    for envoy in &place.envoys {
        assert_failing(&place, envoy, "killed", &made.token).await;
    }
}

/// Two Keywards that never saw their database, the second of which denies what it cannot know.
async fn blind(name: &str) -> (Place, Gate, String) {
    let database = Database::new();
    let made = {
        let server = Server::start(&database).await;
        create(&mut server.admin(), new_key("Reader")).await
    };
    let (gate, beyond) = Gate::new(name, &database);
    let mut servers = Vec::new();
    for flags in [&[][..], &["--deny-when-unavailable"]] {
        servers.push(Server::launch(&beyond, flags).await);
    }
    let bootstrap = Bootstrap::default()
        .cluster("keyward", servers[0].authorize, Protocol::Http2)
        .cluster("strict", servers[1].authorize, Protocol::Http2);
    let mut listeners = both("shut", "open", "keyward");
    listeners.extend(both("strict-shut", "strict-open", "strict"));
    let place = Place::of(database, servers, bootstrap, listeners).await;
    (place, gate, made.token)
}

fn assert_503(claim: &str, answer: &Answer) {
    assert_eq!(super::place::denial(answer).split(' ').next(), Some("503"), "{claim}");
    let after: u64 = answer.field("retry-after").parse().unwrap();
    assert!((1..=60).contains(&after), "{claim}: {answer:?}");
}

#[tokio::test]
async fn who_does_not_know_the_keys_yet_does_not_decide_or_denies_by_503() {
    let (place, mut gate, token) = blind("envoy").await;
    for envoy in &place.envoys {
        for token in [token.as_str(), "unknown", ""] {
            assert_failing(&place, envoy, "not loaded", token).await;
            let request = get("/a", &format!("X-Api-Key: {token}\r\n"));
            for listener in ["strict-shut", "strict-open"] {
                let claim = format!("{} {listener} {}", envoy.version, token.len());
                let answer = ask(envoy.at(listener), &request).await;
                assert_503(&claim, &answer);
                assert!(place.upstream.take().is_empty(), "{claim}");
                let answer = call(envoy.at(listener), "/a/b", &[("x-api-key", token)]).await;
                let status = (answer.status, answer.field("grpc-status"));
                assert_eq!(status, (200, "14"), "{claim}: {answer:?}");
            }
        }
    }
    gate.open();
    for server in &place.keywards {
        server.until_serving().await;
    }
    for envoy in &place.envoys {
        for listener in ["shut", "open", "strict-shut", "strict-open"] {
            let claim = format!("{} {listener}", envoy.version);
            let request = get("/a", &format!("X-Api-Key: {token}\r\n"));
            let seen = place.passes(&claim, envoy.at(listener), &request).await;
            assert_eq!(seen.head.all("x-envoy-auth-failure-mode-allowed"), [""; 0], "{claim}");
            let unknown = get("/a", "X-Api-Key: unknown\r\n");
            let denied = "401 UNAUTHENTICATED";
            place.stops(&claim, envoy.at(listener), &unknown, denied).await;
        }
    }
}
