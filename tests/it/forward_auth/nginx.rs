//! nginx with `auth_request`.

use keyward::rpc::pb::CreateKeyRequest;
use rustix::process::Signal;

use super::{Place, READ, assert_told, ruled};
use crate::{
    scoping::texts,
    support::{
        client::new_key,
        http1::{Answer, ask, get, request},
        limits::daily,
        nginx::Nginx,
    },
};

const SOURCES: [&str; 2] = ["--key-sources", "header:x-api-key,bearer,query:api_key,cookie:key"];

/// What is told of the caller, as variables and then as header fields.
const IDENTITY: [&str; 6] = ["key_id", "domain", "environment", "decision_id", "user", "customer"];

/// Directives for a Keyward that is asked with this URL, before everything goes to the upstream.
fn directives(place: &Place, url: &str, asked_with: &str) -> String {
    let (keyward, upstream) = (place.keyward.http, place.upstream.address);
    let take =
        |name: &str| format!("auth_request_set $keyward_{name} $upstream_http_x_keyward_{name};\n");
    let give = |name: &str| {
        let field = name.replace('_', "-");
        format!("proxy_set_header X-Keyward-{field} $keyward_{name};\n")
    };
    let taken: String = IDENTITY.iter().map(|name| take(name)).collect();
    let given: String = IDENTITY.iter().map(|name| give(name)).collect();
    format!(
        "location = /keyward {{
            internal;
            proxy_pass http://{keyward}{url};
            proxy_pass_request_body off;
            proxy_set_header Content-Length '';
            {asked_with}
        }}
        location / {{
            auth_request /keyward;
            auth_request_set $keyward_status $upstream_status;
            auth_request_set $keyward_retry_after $upstream_http_retry_after;
            auth_request_set $keyward_cookie $upstream_http_cookie;
            auth_request_set $keyward_uri $upstream_http_x_keyward_uri;
            {taken}
            {given}
            error_page 500 = @otherwise;
            proxy_set_header X-Api-Key '';
            proxy_set_header Authorization '';
            proxy_set_header Cookie $keyward_cookie;
            proxy_pass http://{upstream}$keyward_uri;
        }}
        location @otherwise {{
            if ($keyward_status = 429) {{ add_header Retry-After $keyward_retry_after always; return 429; }}
            if ($keyward_status = 503) {{ add_header Retry-After $keyward_retry_after always; return 503; }}
            return 500;
        }}"
    )
}

/// What every configuration must say.
const ASKED: &str = "proxy_set_header X-Forwarded-Method $request_method;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Forwarded-For $remote_addr;";

async fn status(place: &Place, nginx: &Nginx, request: &[u8]) -> Answer {
    let answer = ask(nginx.address, request).await;
    let seen = place.upstream.take();
    assert_eq!(seen.len(), usize::from(answer.status == 200), "{answer:?}: {seen:?}");
    answer
}

#[tokio::test]
async fn nginx_lets_through_what_may_pass_and_takes_keys_away() {
    let mut place = Place::start(&SOURCES).await;
    let made = place.key(ruled(&["/a", "POST =/b"])).await;
    let nginx = Nginx::start("passes", &directives(&place, READ, ASKED)).await;
    let token = &made.token;
    for (method, target, lines, arrives, cookie) in [
        ("GET", "/a", format!("X-Api-Key: {token}"), "/a", None),
        ("GET", "/a?b=1&c=%2f", format!("Authorization: Bearer {token}"), "/a?b=1&c=%2f", None),
        ("GET", &format!("/a?api_key={token}"), "A: b".into(), "/a", None),
        ("GET", &format!("/a?api_key={token}&b=1"), "A: b".into(), "/a?b=1", None),
        ("GET", &format!("/a?b=1&api_key={token}"), "A: b".into(), "/a?b=1", None),
        ("GET", "/a", format!("Cookie: key={token}"), "/a", None),
        ("GET", "/a", format!("Cookie: b=1; key={token}; c=2"), "/a", Some("b=1; c=2")),
        ("GET", "/a/%40", format!("X-Api-Key: {token}\r\nCookie: b=1"), "/a/%40", Some("b=1")),
        ("POST", "/b", format!("X-Api-Key: {token}\r\nContent-Length: 3\r\n\r\nabc"), "/b", None),
        ("HEAD", "/a", format!("X-Api-Key: {token}"), "/a", None),
    ] {
        let mut request = request(method, target, &format!("{lines}\r\n"));
        if method == "POST" {
            request.truncate(request.len() - 4);
        }
        let answer = ask(nginx.address, &request).await;
        assert_eq!(answer.status, 200, "{target} {answer:?}");
        let seen = place.upstream.take_one();
        assert_told(target, &seen, &made);
        assert_eq!((seen.head.word(0).as_str(), seen.target().as_str()), (method, arrives));
        assert_eq!(seen.head.one("cookie").as_deref(), cookie, "{target}");
        assert_eq!(seen.body, if method == "POST" { &b"abc"[..] } else { b"" });
    }
}

#[tokio::test]
async fn what_a_client_says_in_nginxs_place_does_not_count() {
    let mut place = Place::start(&SOURCES).await;
    let made = place.key(ruled(&["GET /a"])).await;
    let nginx = Nginx::start("spoofed", &directives(&place, READ, ASKED)).await;
    let key = format!("X-Api-Key: {}\r\n", made.token);
    for spoof in [
        "X-Forwarded-Uri: /a\r\n",
        "X-Forwarded-Uri: /a\r\nX-Forwarded-Uri: /a\r\n",
        "X_Forwarded_Uri: /a\r\n",
        "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a\r\n",
        "X-Original-Uri: /a\r\nX-Original-Url: /a\r\nX-Rewrite-Url: /a\r\n",
        "X-Original-Method: GET\r\nX-Http-Method-Override: GET\r\n",
    ] {
        for (method, target) in [("GET", "/b"), ("DELETE", "/a"), ("GET", "/a/../b")] {
            let request = request(method, target, &format!("{key}{spoof}"));
            let answer = status(&place, &nginx, &request).await;
            assert_eq!(answer.status, 403, "{method} {target} {spoof:?}: {answer:?}");
        }
        let answer = ask(nginx.address, &get("/a", &format!("{key}{spoof}"))).await;
        assert_eq!(answer.status, 200, "{spoof:?}: {answer:?}");
        place.upstream.take();
    }
    for spoof in [
        "X-Keyward-Key-Id: evil\r\n",
        "x-keyward-key-id: evil\r\nX-KEYWARD-KEY-ID: evil\r\n",
        "X_Keyward_Key_Id: evil\r\nX-Keyward_Key-Id: evil\r\n",
        "X-Keyward-User: evil\r\nX-Keyward-Customer: evil\r\nX-Keyward-Domain: evil\r\n",
        "X-Keyward-Decision-Id: evil\r\nX-Keyward-Environment: evil\r\n",
    ] {
        let request = get("/a", &format!("{spoof}{key}{spoof}"));
        let answer = ask(nginx.address, &request).await;
        assert_eq!(answer.status, 200, "{spoof:?}: {answer:?}");
        assert_told(spoof, &place.upstream.take_one(), &made);
    }
}

#[tokio::test]
async fn nginx_stops_what_may_not_pass_and_can_say_why() {
    let flags = [&SOURCES[..], &["--www-authenticate", "Bearer realm=\"api\""]].concat();
    let mut place = Place::start(&flags).await;
    let limits = vec![daily("few", 1)];
    let limited = place.key(CreateKeyRequest { limits, ..new_key("Limited") }).await;
    let request = CreateKeyRequest { allowed_addresses: texts(&["192.0.2.7"]), ..new_key("Far") };
    let far = place.key(request).await;
    let made = place.key(ruled(&["/a"])).await;
    let nginx = Nginx::start("stops", &directives(&place, READ, ASKED)).await;
    let with = |token: &str| get("/b", &format!("X-Api-Key: {token}\r\n"));
    for (claim, request, expected) in [
        ("no key", get("/b", ""), 401),
        ("unknown", with("unknown"), 401),
        ("two keys", get("/b", &format!("X-Api-Key: a\r\nX-Api-Key: {}\r\n", made.token)), 401),
        ("route", with(&made.token), 403),
        ("address", with(&far.token), 403),
        (
            "spoofed address",
            get("/b", &format!("X-Forwarded-For: 192.0.2.7\r\nX-Api-Key: {}\r\n", far.token)),
            403,
        ),
        ("limit not reached", with(&limited.token), 200),
        ("limit", with(&limited.token), 429),
    ] {
        let answer = status(&place, &nginx, &request).await;
        assert_eq!(answer.status, expected, "{claim}: {answer:?}");
        let challenge = answer.head.all("www-authenticate");
        assert_eq!(challenge.len(), usize::from(expected == 401), "{claim}: {answer:?}");
        let after = answer.head.all("retry-after");
        assert_eq!(after.len(), usize::from(expected == 429), "{claim}: {answer:?}");
    }
    place.keyward.signal(Signal::KILL);
    let answer = status(&place, &nginx, &with(&made.token)).await;
    assert_eq!(answer.status, 500, "nobody answers: {answer:?}");
}

#[tokio::test]
async fn an_nginx_that_does_not_tell_enough_lets_nothing_through() {
    let mut place = Place::start(&SOURCES).await;
    let made = place.key(new_key("Reader")).await;
    let method = "proxy_set_header X-Forwarded-Method $request_method;";
    let uri = "proxy_set_header X-Forwarded-Uri $request_uri;";
    for (name, url, asked) in [
        ("no-method", READ, uri),
        ("no-uri", READ, method),
        ("two-uris", READ, &format!("{method} {uri} {uri}")),
        ("no-environment", "/authorize?permission=systems.read", ASKED),
        ("mistaken", "/authorize?environment=production&permision=systems.read", ASKED),
        ("wrong-mode", &format!("{READ}&mode=allow"), ASKED),
    ] {
        let nginx = Nginx::start(name, &directives(&place, url, asked)).await;
        let request = get("/a", &format!("X-Api-Key: {}\r\n", made.token));
        let answer = status(&place, &nginx, &request).await;
        assert_eq!(answer.status, 500, "{name}: {answer:?}");
    }
    assert!(place.keyward.count_logged("a proxy is set up wrongly") > 0);
}
