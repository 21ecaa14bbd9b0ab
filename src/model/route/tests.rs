use proptest::{prelude::*, sample, sample::subsequence};

use super::*;

#[test]
fn rules_match_what_the_grammar_says() {
    for (rule, method, path, expected) in [
        ("/api/v2", "GET", "/api/v2", true),
        ("/api/v2", "", "/api/v2/", true),
        ("/api/v2", "GET", "/api/v2/systems/7", true),
        ("/api/v2", "GET", "/api/v20", false),
        ("/api/v2", "GET", "/api", false),
        ("/api/v2", "GET", "/API/v2", false),
        ("/", "GET", "/", true),
        ("/", "GET", "/anything/at/all", true),
        ("=/", "GET", "/", true),
        ("=/", "GET", "/a", false),
        ("=/api", "GET", "/api", true),
        ("=/api", "GET", "/api/", false),
        ("=/api/", "GET", "/api/", true),
        ("=/api", "GET", "/api/v2", false),
        ("GET,HEAD /api", "GET", "/api/x", true),
        ("GET,HEAD /api", "HEAD", "/api/x", true),
        ("GET,HEAD /api", "POST", "/api/x", false),
        ("GET /api", "get", "/api/x", false),
        ("GET /api", "", "/api/x", false),
        ("GET =/api", "GET", "/api", true),
        ("/caf%C3%A9", "GET", "/caf%C3%A9/x", true),
        ("/caf%C3%A9", "GET", "/caf%c3%a9/x", false),
        ("/%40me", "GET", "/@me", false),
        ("/a", "GET", "/a/.well-known/b..c", true),
        ("/a", "GET", "/a/b%20c", true),
    ] {
        let rule = RouteRule::parse(rule).unwrap();
        assert_eq!(
            rule.matches(method, Path::parse(path).unwrap()),
            expected,
            "{rule} {method} {path}"
        );
    }
}

/// Each is a way in which proxies and servers have been made to disagree.
pub(in crate::model) const AMBIGUOUS: [&str; 119] = [
    "",
    "api",
    "*",
    "http://host/api",
    "//",
    "//api",
    "/api//v2",
    "/api/v2//",
    "/./api",
    "/api/.",
    "/..",
    "/api/../admin",
    "/api/..",
    "/api/..;/admin",
    "/api/.;x=1/v2",
    "/api%2fv2",
    "/api%2Fv2",
    "/api/%2e%2e/admin",
    "/api/%2E",
    "/api/.%2e/x",
    "/api/%252e/x",
    "/api%5cv2",
    "/api%5C",
    "/api\\v2",
    "/api/%00",
    "/api/%0a",
    "/api/%7f",
    "/api/\n",
    "/api/\u{7f}",
    "/api/%",
    "/api/%2",
    "/api/%zz",
    "/api/%+2",
    "/api/..%3bx/admin",
    "/api/%c0%ae%C0%AE/admin",
    "/api?x=/..",
    "/api#x",
    "/api v2",
    "/api/...",
    "/api/.../x",
    "/api/x.",
    "/api/x./y",
    "/api/x%20",
    "/api/..%20/admin",
    "/api/%20",
    "/api/x%2e",
    "/api/.%2E/x",
    "/api/%2e./x",
    "/%2E%2e/x",
    "/api/%2e%2E%2fadmin",
    "/api/%252E%252E/x",
    "/api/%25252e/x",
    "/api/%25%32%65/x",
    "/api/%c0%af",
    "/api/%c1%9c",
    "/api/%e0%80%af",
    "/api/%E0%80%AE/admin",
    "/api/%e0%81%9c",
    "/api/%f0%80%80%af",
    "/api/%f8%80%80%80%af",
    "/api/%fc%80%80%80%80%af",
    "/api/%ed%a0%80",
    "/api/%f4%90%80%80",
    "/api/%e9",
    "/api/%c3",
    "/api/%c3x",
    "/api/%c3/%a9",
    "/api/%a9",
    "/api/%ff",
    "/api/%u002e",
    "/api/%uff0e",
    "/api/%ef%bc%8f",
    "/api/%EF%BC%8e/x",
    "/api/%ef%bc%bc",
    "/api/%ef%bc%85",
    "/api/%ef%bc%9b",
    "/api/%ef%bc%9f",
    "/api/%e2%80%a4",
    "/api/%e2%80%a5/admin",
    "/api/%e2%80%a6",
    "/api/%e2%88%95",
    "/api/%e2%88%96",
    "/api/%e2%81%84",
    "/api/%e2%84%80",
    "/api/%c2%a5",
    "/api/%c2%85",
    "/api/%cd%be",
    "/api/%61dmin",
    "/api/%7E",
    "/api/%2D",
    "/api/%5f",
    "/api/%39",
    "/api/admin;x=1",
    "/api/admin;",
    "/api/;/admin",
    "/api;/admin",
    "/api/admin%3B",
    "/api/admin%3f",
    "/api/admin%3Fx",
    "/api/admin%23",
    "/api/%09",
    "/api/\t",
    "/api/\0",
    "/api/x%00.png",
    "/api/%0D%0A",
    "/api/%1f",
    "/api/\r",
    "/api/..\\admin",
    "/api/\\..\\admin",
    "/api/..%5cadmin",
    "/api/%255c",
    "\\api",
    "/api/caf\u{e9}",
    "/api/\u{ff0e}\u{ff0e}/admin",
    "/api/\u{12e}",
    "/api/\u{2028}",
    "/api/\u{a0}",
    "/api ",
    " /api",
];

#[test]
fn no_rule_matches_an_ambiguous_path() {
    let rules = RouteRules::parse(&["/", "/api"]).unwrap();
    for path in AMBIGUOUS {
        assert_eq!(Path::parse(path), Err(AmbiguousPath), "{path:?}");
        assert!(!rules.allow("GET", path), "{path:?}");
    }
    assert!(!rules.allow("GET", &format!("/{}", "a".repeat(8192))));
}

#[test]
fn what_has_one_reading_is_a_path() {
    for path in [
        "/",
        "/a/",
        "/.well-known/x.y..z",
        "/users/bob%40example.com",
        "/a%20b/%21%24%26%27%28%29%2a%2B%2c%3a%3D",
        "/%7b%7D%22%3c%3E%5b%5D%5e%60%7c",
        "/caf%c3%a9/%E2%82%AC/%f0%9f%94%91/%EF%BC%A1",
        "/-._~!$&'()*+,=:@{}|^`\"<>[]",
    ] {
        assert_eq!(Path::parse(path).map(|path| path.as_str()), Ok(path));
    }
    let longest = format!("/{}", "a".repeat(8191));
    assert!(Path::parse(&longest).is_ok());
}

/// What a path segment stands for once a server has taken all escapes away, as often as it can.
fn decoded_thoroughly(segment: &str) -> String {
    let mut text = segment.to_owned();
    loop {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            let digits = after.get(..2).and_then(|digits| str::from_utf8(digits).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if *first == b'%' => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                _ => {
                    bytes.push(*first);
                    rest = after;
                }
            }
        }
        let decoded = String::from_utf8(bytes).unwrap();
        if decoded == text {
            return decoded;
        }
        text = decoded;
    }
}

/// One segment of a rule or path, plain or with escapes.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[ab]", 1 => "[ab]{2}", 1 => "[ab]?(%C3%A9|%c3%a9|@|%40)"]
}

#[test]
fn without_rules_routes_do_not_restrict() {
    assert!(RouteRules::default().allow("", ""));
    assert!(RouteRules::default().allow("GET", "/a/../b"));
}

#[test]
fn other_texts_are_refused() {
    use InvalidRouteRule::{Method, Path, Star, TooLong, TrailingSlash};
    let long = format!("/{}", "a".repeat(512));
    for (text, expected) in [
        (long.as_str(), TooLong),
        ("", Path),
        ("api", Path),
        ("=", Path),
        ("==/api", Path),
        ("/api/", TrailingSlash),
        ("/a b", Method),
        (" /a", Method),
        ("get /a", Method),
        ("GET,GET /a", Method),
        ("GET, HEAD /a", Method),
        ("GET  /a", Path),
        ("GET /a b", Path),
        ("/café", Path),
        ("/a/../b", Path),
        ("/a?b", Path),
        ("/a/*", Star),
    ] {
        assert_eq!(RouteRule::parse(text), Err(expected), "{text:?}");
    }
    assert_eq!(RouteRules::parse(&["/a", "/b", "/a"]), Err((2, InvalidRouteRule::Duplicate)));
}

#[test]
fn an_escape_is_two_hexadecimal_digits() {
    assert_eq!(split_escape("%4ax"), Some((b'J', "x")));
    for text in ["", "%", "%4", "%+4", "%-4", "%4g", "% 4", "4a", "x%4a"] {
        assert_eq!(split_escape(text), None, "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn reading_what_was_shown_gives_the_same_rule(
        methods in prop::option::of("[A-Z]{1,5}(,[A-Z]{6,9})?"), exact: bool, path in "(/[a-z0-9.~-]{2,4}[a-z0-9~-]){1,4}",
    ) {
        let methods = methods.map(|methods| methods + " ").unwrap_or_default();
        let text = format!("{methods}{}{path}", if exact { "=" } else { "" });
        prop_assert_eq!(RouteRule::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn a_prefix_matches_by_whole_segments(rule in "(/[ab]{1,2}){1,3}", path in "(/[ab]{1,2}){1,4}") {
        let words = |text: &str| text.split('/').map(String::from).collect::<Vec<_>>();
        let matched = RouteRule::parse(&rule).unwrap().matches("", Path::parse(&path).unwrap());
        prop_assert_eq!(matched, words(&path).starts_with(&words(&rule)));
    }

    #[test]
    fn rules_match_what_a_list_of_segments_says(
        methods in subsequence(vec!["GET", "HEAD", "POST"], 0..3),
        exact: bool,
        rule in prop::collection::vec(segment(), 0..4),
        rule_slash: bool,
        method in sample::select(vec!["", "GET", "HEAD", "POST", "get"]),
        path in prop::collection::vec(segment(), 0..5),
        path_slash: bool,
    ) {
        // a path as its segments, with an empty one for a slash at its end
        let with_slash = |mut segments: Vec<String>, slash: bool| {
            if slash || segments.is_empty() {
                segments.push(String::new());
            }
            segments
        };
        let rule = with_slash(rule, exact && rule_slash);
        let path = with_slash(path, path_slash);
        let within = if exact {
            path == rule
        } else {
            rule == [""] || path.iter().take(rule.len()).eq(&rule)
        };
        let expected = within && (methods.is_empty() || methods.contains(&method));

        let mut text = methods.join(",");
        text += if methods.is_empty() { "" } else { " " };
        text += if exact { "=/" } else { "/" };
        text += &rule.join("/");
        let rules = RouteRules::parse(&["=/never", &text]).unwrap();
        let path = format!("/{}", path.join("/"));
        prop_assert_eq!(rules.allow(method, &path), expected, "{} {} {}", text, method, path);
    }

    #[test]
    fn no_server_finds_another_path_in_one_that_is_read(
        path in "(/(%[0-9a-fA-F]{2}|%(25|2e|2F|5c|3B|C3%A9)|[ab.;\\\\-]){0,4}){1,3}",
    ) {
        if Path::parse(&path).is_ok() {
            for segment in path.split('/').skip(1) {
                let decoded = decoded_thoroughly(segment);
                let splits = decoded.contains(['/', '\\', ';', '?', '#', '%']);
                prop_assert!(!splits && !decoded.ends_with(['.', ' ']), "{} {}", path, decoded);
                prop_assert!(!decoded.chars().any(char::is_control), "{} {}", path, decoded);
            }
        }
    }

    #[test]
    fn what_is_unescaped_is_what_a_decoder_reads(segment in "(%C3%A9|%40|%f0%9f%94%91|[ab@])*") {
        let bytes: Vec<u8> = unescaped(&segment).collect();
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), decoded_thoroughly(&segment));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[/%.;\\\\a-f0-9=\\x00-\\x7f]*") {
        drop(RouteRule::parse(&text));
        RouteRules::parse(&["/"]).unwrap().allow(&text, &text);
    }
}
