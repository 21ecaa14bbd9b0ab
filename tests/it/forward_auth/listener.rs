//! The http listener itself, without a proxy in front.

use std::net::SocketAddr;

use keyward::rpc::pb::CreateKeyRequest;

use super::{Place, READ, ruled};
use crate::{
    ext_authz::denial,
    scoping::texts,
    support::{
        client::{create, new_key},
        database::Database,
        gate::Gate,
        http1::{Answer, Connection, ask, exchange, get, request},
        limits::daily,
        server::Server,
    },
};

/// A question as a proxy asks it, about this method and target.
fn about(line: &str, lines: &str) -> Vec<u8> {
    let (method, target) = line.split_once(' ').unwrap();
    let told = format!("X-Forwarded-Method: {method}\r\nX-Forwarded-Uri: {target}\r\n{lines}");
    get(READ, &told)
}

async fn answers(at: SocketAddr, request: &[u8]) -> String {
    let answer = ask(at, request).await;
    if answer.status == 200 { "200".into() } else { denial(&answer) }
}

#[tokio::test]
async fn an_allowance_is_empty_and_says_who_it_is() {
    let mut place = Place::start(&["--key-sources", "header:x-api-key,query:k,cookie:c"]).await;
    let limits = vec![daily("few", 100)];
    let made = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
    let at = place.keyward.http;
    let (key, token) = (format!("X-Api-Key: {}\r\n", made.token), &made.token);
    let uri = |answer: &Answer| answer.field("x-keyward-uri");
    for method in ["GET", "HEAD", "POST"] {
        let lines = format!("X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a?b\r\n{key}");
        let answer = ask(at, &request(method, READ, &lines)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{method}: {answer:?}");
        assert_eq!(answer.field("x-keyward-key-id"), made.key.id);
        assert_eq!(answer.field("x-keyward-domain"), "default");
        assert_eq!(answer.field("x-keyward-environment"), "production");
        assert!(answer.field("x-keyward-decision-id").starts_with("dec_"));
        assert!(answer.field("ratelimit").starts_with("\"few\";r="), "{answer:?}");
        assert!(answer.field("ratelimit-policy").starts_with("\"few\";q=100"), "{answer:?}");
        assert_eq!(uri(&answer), "/a?b");
    }
    for (target, lines, left, cookie) in [
        (format!("/a?k={token}"), String::new(), "/a", ""),
        (format!("/a?k={token}&b=2&b=1"), String::new(), "/a?b=2&b=1", ""),
        (format!("/a?b&k={token}&c?d"), String::new(), "/a?b&c?d", ""),
        ("/a".into(), format!("Cookie: b=1; c={token}; d=2\r\n"), "/a", "b=1; d=2"),
        ("/a".into(), format!("Cookie: c={token}\r\n"), "/a", ""),
        ("/a".into(), format!("{key}Cookie: b=1\r\n"), "/a", "b=1"),
        (format!("/a?k={token}"), format!("{key}Cookie: c={token}\r\n"), "/a", ""),
    ] {
        let answer = ask(at, &about(&format!("GET {target}"), &lines)).await;
        assert_eq!(answer.status, 200, "{target} {lines:?}: {answer:?}");
        assert_eq!((uri(&answer).as_str(), answer.field("cookie").as_str()), (left, cookie));
        assert!(!format!("{answer:?}").contains(token), "{answer:?}");
    }
}

#[tokio::test]
async fn a_question_is_judged_by_what_the_proxy_tells_of_the_request() {
    let mut place = Place::start(&["--detailed-401"]).await;
    let made = place.key(ruled(&["GET /a"])).await;
    let request = CreateKeyRequest { allowed_addresses: texts(&["192.0.2.7"]), ..new_key("There") };
    let there = place.key(request).await;
    let at = place.keyward.http;
    let key = format!("X-Api-Key: {}\r\n", made.token);
    let from = |entry: &str| format!("X-Api-Key: {}\r\nX-Forwarded-For: {entry}\r\n", there.token);
    for (line, lines, expected) in [
        ("GET /a", key.clone(), "200"),
        ("GET /a/b?/../c", key.clone(), "200"),
        ("POST /a", key.clone(), "403 ROUTE_DENIED"),
        ("get /a", key.clone(), "403 ROUTE_DENIED"),
        ("GET /b", key.clone(), "403 ROUTE_DENIED"),
        ("GET /a/..%2fb", key.clone(), "403 ROUTE_DENIED"),
        ("GET //a", key.clone(), "403 ROUTE_DENIED"),
        ("GET http://host/a", key.clone(), "403 ROUTE_DENIED"),
        ("GET *", key.clone(), "403 ROUTE_DENIED"),
        ("GET /a", String::new(), "401 KEY_MISSING"),
        ("GET /a", "X-Api-Key: unknown\r\n".into(), "401 KEY_UNKNOWN"),
        ("GET /a", format!("{key}{key}"), "401 KEY_AMBIGUOUS"),
        ("GET /a", format!("{key}Authorization: Bearer b\r\n"), "401 KEY_AMBIGUOUS"),
        ("GET /a", from("192.0.2.7"), "200"),
        ("GET /a", from("198.51.100.1, 192.0.2.7"), "200"),
        ("GET /a", from("192.0.2.7, 198.51.100.1"), "403 ADDRESS_DENIED"),
        ("GET /a", from("192.0.2.7\r\nX-Forwarded-For: 198.51.100.1"), "403 ADDRESS_DENIED"),
        ("GET /a", from("unknown"), "403 ADDRESS_DENIED"),
        ("GET /a", from(""), "403 ADDRESS_DENIED"),
    ] {
        assert_eq!(answers(at, &about(line, &lines)).await, expected, "{line} {lines:?}");
    }
    let twice = "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\n";
    for told in [
        "",
        "X-Forwarded-Method: GET\r\n",
        "X-Forwarded-Uri: /a\r\n",
        "X-Forwarded-Method: \r\nX-Forwarded-Uri: /a\r\n",
        "X-Forwarded-Method: GET\r\nX-Forwarded-Uri:\r\n",
        &format!("{twice}X-Forwarded-Uri: /a\r\n"),
        &format!("{twice}X-Forwarded-Method: GET\r\n"),
    ] {
        let answer = ask(at, &get(READ, &format!("{told}{key}"))).await;
        assert_eq!(answer.status, 500, "{told:?}: {answer:?}");
        denial(&answer);
    }
}

#[tokio::test]
async fn a_proxys_url_is_read_strictly() {
    let mut place = Place::start(&[]).await;
    let made = place.key(new_key("Reader")).await;
    let told =
        format!("X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\nX-Api-Key: {}\r\n", made.token);
    for (query, expected) in [
        ("?environment=production&permission=systems.read", 200),
        ("?permission=systems.read&environment=production", 200),
        ("?environment=production&permission=systems%2eread", 200),
        ("?environment=production&mode=authenticate_only", 200),
        ("?environment=production&permission=systems.write", 403),
        ("?environment=staging&permission=systems.read", 401),
        ("", 500),
        ("?", 500),
        ("?permission=systems.read", 500),
        ("?environment=&permission=systems.read", 500),
        ("?environment=production&permission=", 500),
        ("?environment=production&permission", 500),
        ("?environment=production&permission=systems+read", 500),
        ("?environment=production&permission=systems.read&other=1", 500),
        ("?environment=production&Permission=systems.read", 500),
        ("?environment=production;permission=systems.read", 500),
        ("?environment=production&permission=%ff", 500),
    ] {
        let answer = ask(place.keyward.http, &get(&format!("/authorize{query}"), &told)).await;
        assert_eq!(answer.status, expected, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_known_yet_is_a_503_and_so_says_the_probe() {
    let database = Database::new();
    let made = {
        let server = Server::start(&database).await;
        create(&mut server.admin(), new_key("Reader")).await
    };
    let (mut gate, beyond) = Gate::new("forward-auth", &database);
    let server = Server::launch(&beyond, &[]).await;
    let question = about("GET /a", &format!("X-Api-Key: {}\r\n", made.token));
    let answer = ask(server.http, &question).await;
    assert_eq!(denial(&answer), "503 UNAVAILABLE");
    assert!(!answer.field("retry-after").is_empty(), "{answer:?}");
    assert_eq!(ask(server.http, &get("/livez", "")).await.status, 200);
    assert_eq!(ask(server.http, &get("/readyz", "")).await.status, 503);
    gate.open();
    server.until_serving().await;
    assert_eq!(ask(server.http, &question).await.status, 200);
    assert_eq!(ask(server.http, &get("/readyz", "")).await.status, 200);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_by_their_names() {
    let place = Place::start(&[]).await;
    let at = place.keyward.http;
    for (method, path, expected) in [
        ("GET", "/", 404),
        ("GET", "/authorize/", 404),
        ("GET", "/Authorize", 404),
        ("GET", "/authorize/../livez", 404),
        ("GET", "//authorize", 404),
        ("GET", "/metric", 404),
        ("POST", "/keyward.v1.Authorize/Authorize", 404),
        ("OPTIONS", "*", 404),
        ("PUT", "/authorize", 405),
        ("DELETE", "/authorize", 405),
        ("OPTIONS", "/authorize", 405),
        ("POST", "/livez", 405),
        ("PUT", "/readyz", 405),
        ("DELETE", "/metrics", 405),
        ("HEAD", "/livez", 200),
        ("HEAD", "/readyz", 200),
        ("HEAD", "/metrics", 200),
        ("HEAD", "/other", 404),
    ] {
        let answer = ask(at, &request(method, path, "Content-Length: 0\r\n")).await;
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        assert_eq!(answer.head.all("allow").len(), usize::from(expected == 405), "{answer:?}");
        assert_eq!(answer.body.is_empty(), method == "HEAD", "{answer:?}");
    }
}

#[tokio::test]
async fn garbage_and_excess_end_their_own_connection_only() {
    let mut place = Place::start(&[]).await;
    let made = place.key(new_key("Reader")).await;
    let at = place.keyward.http;
    let good = about("GET /a", &format!("X-Api-Key: {}\r\n", made.token));
    let mut silent = Connection::open(at).await;
    silent.send(b"GET /authorize HTTP/1.1\r\nHost: a\r\nX-Api").await;
    let long = "a".repeat(1 << 20);
    let many = "A: b\r\n".repeat(1000);
    for garbage in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /authorize HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n".to_vec(),
        b"GET /authorize HTTP/1.1\r\nHost: a\r\nContent-Length: a\r\n\r\n".to_vec(),
        b"GET /authorize HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
            .to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
        get(&format!("/authorize?{long}"), ""),
        get("/authorize", &format!("A: {long}\r\n")),
        get("/authorize", &many),
    ] {
        let shown = garbage[..garbage.len().min(60)].escape_ascii().to_string();
        if let Some(answer) = exchange(at, &garbage).await {
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
        }
        assert_eq!(answers(at, &good).await, "200", "after {shown}");
    }
    // who is slow is waited for
    let rest = format!("-Key: {}\r\n", made.token);
    for byte in rest.as_bytes() {
        silent.send(&[*byte]).await;
    }
    silent.send(b"X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\n\r\n").await;
    let answer = silent.answer_to("GET").await.unwrap();
    assert_eq!(answer.status, 500, "it named no environment: {answer:?}");
}

#[tokio::test]
async fn questions_that_are_sent_together_are_answered_in_their_order() {
    let mut place = Place::start(&["--detailed-401"]).await;
    let made = place.key(ruled(&["/a"])).await;
    let key = format!("X-Api-Key: {}\r\n", made.token);
    let mut connection = Connection::open(place.keyward.http).await;
    let questions = [
        (about("GET /a", &key), 200),
        (about("GET /b", &key), 403),
        (about("GET /a", "X-Api-Key: unknown\r\n"), 401),
        (get("/other", ""), 404),
        (get(READ, &key), 500),
        (about("GET /a/b", &key), 200),
    ];
    let together: Vec<u8> = questions.iter().flat_map(|(question, _)| question.clone()).collect();
    connection.send(&together).await;
    for (question, expected) in questions {
        let answer = connection.answer_to("GET").await.unwrap();
        assert_eq!(answer.status, expected, "{}: {answer:?}", question.escape_ascii());
    }
}
