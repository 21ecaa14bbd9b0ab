//! Routes: the path that a request asks for, and the rules of a key that say where it may go.
//!
//! A path is compared as it came over the wire, never decoded. What a server behind us could read
//! in another way than we do is [`AmbiguousPath`], and no rule matches it.

use std::fmt;

use thiserror::Error;

const RULES_MAX: usize = 100;
const RULE_BYTES_MAX: usize = 512;
const METHODS_MAX: usize = 10;
const METHOD_BYTES_MAX: usize = 20;
const PATH_BYTES_MAX: usize = 8192;

/// A path that has one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(&'a str);

/// A path that two programs could read in two ways.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "must be an absolute path without empty, `.` or `..` segments, encoded slashes, dots, \
     backslashes or control bytes, query or fragment"
)]
pub struct AmbiguousPath;

impl<'a> Path<'a> {
    /// Checks that a path has one reading.
    pub fn parse(text: &'a str) -> Result<Self, AmbiguousPath> {
        let rest = text.strip_prefix('/').ok_or(AmbiguousPath)?;
        if text.len() > PATH_BYTES_MAX || !text.bytes().all(is_plain) {
            return Err(AmbiguousPath);
        }
        // one empty segment at the very end is the trailing slash of `/a/`, or the root itself
        let segments = rest.strip_suffix('/').unwrap_or(rest);
        if rest == "/" || (!segments.is_empty() && !segments.split('/').all(is_segment)) {
            return Err(AmbiguousPath);
        }
        if has_ambiguous_escape(text) { Err(AmbiguousPath) } else { Ok(Self(text)) }
    }
}

/// Everything but control bytes, blanks, backslashes and what begins a query or a fragment.
fn is_plain(byte: u8) -> bool {
    !(byte <= b' ' || byte == 0x7f || byte == b'\\' || byte == b'?' || byte == b'#')
}

/// Not empty, and not `.` or `..`, also not before a `;`: some servers cut parameters off first.
fn is_segment(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or(segment);
    !segment.is_empty() && !matches!(name, "." | "..")
}

/// An escape of a slash, dot, semicolon, backslash, percent sign or control byte, of none of the bytes
/// of UTF-8, or a `%` that escapes nothing.
fn has_ambiguous_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                // 0xc0 and 0xc1 begin what is overlong UTF-8 of ASCII; `;` begins what some cut off
                let special = matches!(byte, b'/' | b'.' | b'\\' | b'%' | b';' | 0xc0 | 0xc1);
                special || byte < b' ' || byte == 0x7f
            }
            None => true,
        }
    })
}

/// One rule: `/a` (that path and below), `=/a` (that path only), each optionally after methods:
/// `GET,HEAD /a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteRule {
    /// Empty: any method, also none.
    methods: Box<[Box<str>]>,
    exact: bool,
    path: Box<str>,
}

/// A text that is not a route rule.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidRouteRule {
    /// Longer than a rule may be.
    #[error("must be {RULE_BYTES_MAX} bytes at most")]
    TooLong,
    /// A method of another form, twice, or too many.
    #[error(
        "methods must be up to {METHODS_MAX} different words of A-Z, joined by commas, e.g. GET,HEAD /api"
    )]
    Method,
    /// A path that could not be matched safely.
    #[error("the path {AmbiguousPath}; and all of it visible ASCII")]
    Path,
    /// A prefix that ends in a slash.
    #[error("a prefix must not end in a slash: it covers what is below it anyway; `=/…/` is exact")]
    TrailingSlash,
    /// A pattern, which rules do not have.
    #[error("must not have `*`: a prefix covers all that is below it")]
    Star,
    /// One rule twice.
    #[error("is given twice")]
    Duplicate,
    /// More rules than a key takes.
    #[error("must be {RULES_MAX} at most")]
    TooMany,
}

impl RouteRule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Self, InvalidRouteRule> {
        if text.len() > RULE_BYTES_MAX {
            return Err(InvalidRouteRule::TooLong);
        }
        let (methods, target) = match text.split_once(' ') {
            Some((methods, target)) => (parse_methods(methods)?, target),
            None => (Box::default(), text),
        };
        let (exact, path) = match target.strip_prefix('=') {
            Some(path) => (true, path),
            None => (false, target),
        };
        let one_reading = Path::parse(path).is_ok();
        if !one_reading || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidRouteRule::Path);
        }
        if path.contains('*') {
            return Err(InvalidRouteRule::Star);
        }
        if !exact && path.len() > 1 && path.ends_with('/') {
            return Err(InvalidRouteRule::TrailingSlash);
        }
        Ok(Self { methods, exact, path: path.into() })
    }

    /// Whether a request with this method (empty: it names none) and path may pass.
    pub fn matches(&self, method: &str, path: Path<'_>) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|m| **m == *method);
        method_fits && self.matches_path(path.0)
    }

    fn matches_path(&self, path: &str) -> bool {
        if self.exact || &*self.path == "/" {
            return !self.exact || path == &*self.path;
        }
        let rest = path.strip_prefix(&*self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn parse_methods(text: &str) -> Result<Box<[Box<str>]>, InvalidRouteRule> {
    let mut methods: Vec<Box<str>> = Vec::new();
    for method in text.split(',') {
        let fits = (1..=METHOD_BYTES_MAX).contains(&method.len());
        let known = methods.iter().any(|known| **known == *method);
        let word = method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !fits || !word || known || methods.len() == METHODS_MAX {
            return Err(InvalidRouteRule::Method);
        }
        methods.push(method.into());
    }
    Ok(methods.into())
}

impl fmt::Display for RouteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        let exact = if self.exact { "=" } else { "" };
        write!(f, "{exact}{}", self.path)
    }
}

/// All route rules of a key. None: routes do not restrict it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteRules(Box<[RouteRule]>);

impl RouteRules {
    /// Reads a list of rules; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidRouteRule)> {
        if texts.len() > RULES_MAX {
            return Err((RULES_MAX, InvalidRouteRule::TooMany));
        }
        let mut rules: Vec<RouteRule> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            let rule = RouteRule::parse(text.as_ref()).map_err(|error| (position, error))?;
            if rules.contains(&rule) {
                return Err((position, InvalidRouteRule::Duplicate));
            }
            rules.push(rule);
        }
        Ok(Self(rules.into()))
    }

    /// Whether a request may pass. `route` is as the caller sent it, empty if it named none.
    pub fn allow(&self, method: &str, route: &str) -> bool {
        self.0.is_empty()
            || Path::parse(route).is_ok_and(|path| self.0.iter().any(|r| r.matches(method, path)))
    }

    /// The rules in their order.
    pub fn iter(&self) -> impl Iterator<Item = &RouteRule> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("/api/v2", "GET", "/api/%762", false),
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
            ("/a", "GET", "/a;v=1/b", false),
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
    const AMBIGUOUS: [&str; 38] = [
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

    proptest! {
        #[test]
        fn reading_what_was_shown_gives_the_same_rule(
            methods in prop::option::of("[A-Z]{1,5}(,[A-Z]{6,9})?"), exact: bool, path in "(/[a-z0-9.~-]{3,5}){1,4}",
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
        fn any_text_is_read_or_refused(text in "[/%.;\\\\a-f0-9=\\x00-\\x7f]*") {
            drop(RouteRule::parse(&text));
            RouteRules::parse(&["/"]).unwrap().allow(&text, &text);
        }
    }
}
