//! Requests of odd sizes and bytes, and what operators see of all requests.

use serde_json::{Value as Json, json};

use super::{
    Place, READ,
    place::{denial, ruled},
};
use crate::support::{
    client::{may_read, new_key},
    envoy::Listener,
    http1::{ask, exchange, get, request},
};

fn listeners() -> Vec<Listener> {
    let listener = |name, raw| {
        Listener::new(name, "keyward")
            .filter("encode_raw_headers", json!(raw))
            .all("upstream", &READ)
    };
    vec![listener("merged", false), listener("raw", true)]
}

#[tokio::test]
async fn bytes_that_are_no_text_neither_hide_a_key_nor_stop_a_request() {
    let mut place = Place::start(&[("keyward", &["--detailed-401"])], listeners()).await;
    let made = place.reader().await;
    let other = place.key(new_key("Other")).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            let with = |lines: &[&[u8]]| {
                let mut request = get("/a", "");
                request.truncate(request.len() - 2);
                for line in lines {
                    request.extend([line, &b"\r\n"[..]].concat());
                }
                [request, b"\r\n".to_vec()].concat()
            };
            let claim = format!("{} {listener}", envoy.version);
            let at = envoy.at(listener);
            let key = format!("X-Api-Key: {}", made.token).into_bytes();
            let fine = with(&[b"X-Other: \xff\xfe\x80", &key, b"X-More: \xc0\xaf"]);
            let seen = place.passes(&claim, at, &fine).await;
            assert!(seen.head.fields.contains(&("x-other".into(), b"\xff\xfe\x80".to_vec())));
            for bad in [
                [b"X-Api-Key: \xff".to_vec(), key.clone()],
                [[&key[..], b"\xff"].concat(), b"X-A: b".to_vec()],
                [b"Authorization: Bearer \xff\xfe".to_vec(), key.clone()],
                [
                    [b"X-Api-Key: \xff".to_vec(), other.token.clone().into_bytes()].concat(),
                    key.clone(),
                ],
            ] {
                let request = with(&[&bad[0], &bad[1]]);
                let answer = ask(at, &request).await;
                assert_eq!(answer.status, 401, "{claim}: {bad:?}: {answer:?}");
                assert!(place.upstream.take().is_empty(), "{claim}: {bad:?}");
            }
            // a cookie of other bytes beside ours is passed on, or all is denied; ours never stays
            let cookie = with(&[&key, b"Cookie: a=\xff; b=1"]);
            let seen = place.passes(&claim, at, &cookie).await;
            assert!(!seen.text().contains(&made.token), "{claim}");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_is_denied_or_fails_and_harms_nobody_else() {
    let mut place = Place::start(&[("keyward", &[])], listeners()).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw"] {
            let at = envoy.at(listener);
            let key = format!("X-Api-Key: {}\r\n", made.token);
            for kilobytes in [1, 16, 60, 100, 127, 129, 200, 400] {
                let claim = format!("{} {listener} {kilobytes} kB", envoy.version);
                let line = format!("X-Filler: {}\r\n", "a".repeat(1000));
                for lines in [
                    format!("{key}{}", line.repeat(kilobytes)),
                    format!("{key}X-Filler: {}\r\n", "a".repeat(1000 * kilobytes)),
                    format!("{}{key}", line.repeat(kilobytes)),
                ] {
                    // Envoy itself takes 100 fields at most
                    let answer = exchange(at, &get("/a", &lines)).await;
                    let status = answer.as_ref().map_or(0, |answer| answer.status);
                    assert!(
                        matches!(status, 0 | 200 | 401 | 403 | 431 | 503),
                        "{claim}: {answer:?}"
                    );
                    let seen = place.upstream.take();
                    assert_eq!(seen.len(), usize::from(status == 200), "{claim}: {answer:?}");
                    assert!(kilobytes > 16 || status == 200, "{claim}: {answer:?}");
                    assert!(seen.iter().all(|seen| !seen.text().contains(&made.token)), "{claim}");
                }
                let long = get(&format!("/{}", "a".repeat(1000 * kilobytes)), &key);
                drop(exchange(at, &long).await);
                let seen = place.upstream.take();
                assert!(seen.iter().all(|seen| !seen.text().contains(&made.token)), "{claim}");
                place.passes(&claim, at, &get("/a", &key)).await;
            }
        }
    }
    let mut asker = place.keywards[0].asker();
    assert!(asker.ask(may_read(&made.token)).await.allowed);
}

/// A client must not be able to make an error of what would be a denial.
#[tokio::test]
async fn no_request_that_envoy_takes_by_default_is_too_large_to_be_denied() {
    let listener = |name, cluster, raw| {
        Listener::new(name, cluster)
            .manager("max_request_headers_kb", json!(60))
            .filter("encode_raw_headers", json!(raw))
            .filter("failure_mode_allow", json!(true))
            .all("upstream", &READ)
    };
    let listeners = vec![
        listener("merged", "keyward", false),
        listener("raw", "keyward", true),
        listener("strict", "strict", true),
    ];
    let keywards: [(&str, &[&str]); 2] =
        [("keyward", &[]), ("strict", &["--deny-when-unavailable"])];
    let place = Place::start(&keywards, listeners).await;
    for envoy in &place.envoys {
        for listener in ["merged", "raw", "strict"] {
            let mut denied = 0;
            for bytes in [1_000, 30_000, 50_000, 59_000, 60_000, 60_500, 61_000, 61_440, 62_000] {
                let long = "a".repeat(bytes);
                let each = "a".repeat(bytes / 90);
                let many: Vec<_> = (0..90).map(|at| format!("X-F{at}: {each}\r\n")).collect();
                for request in [
                    get(&format!("/{long}"), ""),
                    get(&format!("/?{long}"), ""),
                    get("/", &format!("X-Filler: {long}\r\n")),
                    get("/", &format!("X-Api-Key: {long}\r\n")),
                    get("/", &format!("Cookie: {long}\r\n")),
                    get("/", &format!("X-Keyward-{long}: a\r\n")),
                    get("/", &many.concat()),
                ] {
                    let claim = format!("{} {listener} {bytes}", envoy.version);
                    let answer = exchange(envoy.at(listener), &request).await;
                    let status = answer.as_ref().map(|answer| answer.status);
                    // refused by Envoy, or by Keyward
                    assert!(matches!(status, None | Some(401 | 431)), "{claim}: {answer:?}");
                    denied += usize::from(status == Some(401));
                    assert!(place.upstream.take().is_empty(), "{claim}");
                }
            }
            assert!(denied > 30, "{} {listener}: only {denied} came to Keyward", envoy.version);
        }
    }
}

#[tokio::test]
async fn a_body_that_envoy_shows_changes_nothing() {
    let listener = Listener::new("one", "keyward")
        .filter(
            "with_request_body",
            json!({"max_request_bytes": 8192, "allow_partial_message": true}),
        )
        .all("upstream", &READ);
    let mut place = Place::start(&[("keyward", &[])], vec![listener]).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for length in [0, 1, 8191, 8192, 8193, 100_000] {
            let body = "b".repeat(length);
            let post = |key: &str| {
                let lines = format!("X-Api-Key: {key}\r\nContent-Length: {length}\r\n");
                let mut whole = request("POST", "/a", &lines);
                whole.extend(body.as_bytes());
                whole
            };
            let claim = format!("{} {length}", envoy.version);
            let seen = place.passes(&claim, envoy.at("one"), &post(&made.token)).await;
            assert_eq!(seen.body.len(), length, "{claim}");
            let denied = "401 UNAUTHENTICATED";
            place.stops(&claim, envoy.at("one"), &post("unknown"), denied).await;
        }
    }
}

/// How large a request is, its client chooses; so that must not be an error, which a failure mode may
/// open.
#[tokio::test]
async fn what_is_too_large_to_read_is_denied_and_opens_no_failure_mode() {
    let listener = |name, cluster| {
        let body = json!({"max_request_bytes": 4 << 20, "allow_partial_message": true});
        Listener::new(name, cluster)
            .manager("max_request_headers_kb", json!(2048))
            .filter("with_request_body", body)
            .filter("failure_mode_allow", json!(true))
            .all("upstream", &READ)
    };
    let listeners = vec![listener("keyward", "keyward"), listener("strict", "strict")];
    let keywards: [(&str, &[&str]); 2] =
        [("keyward", &[]), ("strict", &["--deny-when-unavailable"])];
    let mut place = Place::start(&keywards, listeners).await;
    let made = place.reader().await;
    for envoy in &place.envoys {
        for listener in ["keyward", "strict"] {
            for key in ["unknown", &made.token] {
                let lines = format!("X-Api-Key: {key}\r\nContent-Length: {}\r\n", 1 << 20);
                let mut body = request("POST", "/a", &lines);
                body.extend(b"b".repeat(1 << 20));
                let filler = "a".repeat(1_100_000);
                let head = get("/a", &format!("X-Api-Key: {key}\r\nX-Filler: {filler}\r\n"));
                for (claim, large) in [("body", body), ("head", head)] {
                    let claim = format!("{} {listener} {claim}", envoy.version);
                    let answer = ask(envoy.at(listener), &large).await;
                    assert_eq!(denial(&answer), "500 MISCONFIGURED", "{claim}");
                    assert!(place.upstream.take().is_empty(), "{claim}");
                }
            }
        }
        let small = get("/a", &format!("X-Api-Key: {}\r\n", made.token));
        place.passes(envoy.version, envoy.at("strict"), &small).await;
    }
    place.keywards[0].until_logged("the request that it shows: is larger than").await;
}

#[tokio::test]
async fn the_access_log_can_say_who_it_was_and_why_not() {
    let listener = Listener::new("one", "keyward").all("upstream", &READ);
    let mut place =
        Place::start(&[("keyward", &["--key-sources", "query:k"])], vec![listener]).await;
    let made = place.reader().await;
    let denied = place.key(ruled(&["/other"])).await;
    for envoy in &place.envoys {
        let metadata_of = async |mark: &str, key: &str| {
            let lines = format!("X-Request-Mark: {mark}\r\n");
            let request = get(&format!("/a?k={key}"), &lines);
            let answer = ask(envoy.at("one"), &request).await;
            place.upstream.take();
            let line = envoy.access_line(mark).await;
            let mut words = line.splitn(4, ' ').skip(1);
            assert_eq!(words.next(), Some(answer.status.to_string().as_str()), "{line}");
            let metadata: Json = serde_json::from_str(words.last().unwrap()).unwrap();
            for token in [&made.token, &denied.token] {
                assert!(!line.contains(token), "{line}");
            }
            metadata
        };
        let allowed = metadata_of("allowed", &made.token).await;
        for (name, value) in
            [("key_id", made.key.id.as_str()), ("domain", "default"), ("environment", "production")]
        {
            assert_eq!(allowed[name], value, "{allowed}");
        }
        assert!(allowed["decision_id"].as_str().unwrap().starts_with("dec_"), "{allowed}");
        assert!(!allowed["revision"].is_null(), "{allowed}");
        let forbidden = metadata_of("forbidden", &denied.token).await;
        assert_eq!(forbidden["key_id"], denied.key.id.as_str(), "{forbidden}");
        assert_eq!(forbidden["reason"], "ROUTE_DENIED", "{forbidden}");
        for (mark, key, reason) in
            [("missing", "", "KEY_MISSING"), ("unknown", "unknown", "KEY_UNKNOWN")]
        {
            let unknown = metadata_of(mark, key).await;
            assert_eq!(unknown["reason"], reason, "{unknown}");
            assert!(unknown["key_id"].as_str().unwrap_or("").is_empty(), "{unknown}");
        }
    }
}
