//! Routes: the path that a request asks for, and the rules of a key that say where it may go.
//!
//! A path is compared as it came over the wire, never decoded. What a server behind us could read
//! in another way than we do is [`AmbiguousPath`], and no rule matches it: `/a%2fb` and `/a/b` are one
//! path to some servers and two to others, and `/%61` and `/a` are one to nearly all.

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
    "must be an absolute path of visible ASCII without empty segments or such that end in a dot or \
     blank, without `;`, backslash, query or fragment, and with escapes of UTF-8 only, of nothing \
     that could be mistaken for these and of no letter, digit, `-`, `.`, `_` or `~`"
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

    /// The path as it came.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// Visible ASCII but backslashes, what begins a query or a fragment, and `;`: some servers cut off
/// what follows it in a segment and others do not.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'?' | b'#' | b';')
}

/// Not empty, and without a dot or blank at its end, as `.` and `..` have: some file systems drop
/// those.
fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && !segment.ends_with('.') && !segment.ends_with("%20")
}

fn has_ambiguous_escape(text: &str) -> bool {
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        let escaped = rest.get(start..).and_then(split_escaped_char);
        match escaped {
            Some((char, after)) if !is_ambiguous_escaped(char) => rest = after,
            Some(_) | None => return true,
        }
    }
    false
}

/// The character whose UTF-8 the escapes at the beginning of a text are, and what follows them.
/// None: they are of other bytes (overlong ones, say) or no escapes.
fn split_escaped_char(text: &str) -> Option<(char, &str)> {
    let (lead, mut rest) = split_escape(text)?;
    let mut bytes = [lead, 0, 0, 0];
    let length = match lead {
        0x00..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    for byte in bytes.iter_mut().take(length).skip(1) {
        (*byte, rest) = split_escape(rest)?;
    }
    let char = str::from_utf8(bytes.get(..length)?).ok()?.chars().next()?;
    Some((char, rest))
}

fn split_escape(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('%')?.split_at_checked(2)?;
    // a number may have a sign, an escape may not
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(digits, 16).ok()?, rest))
}

/// Whether a character means something else once a server has taken its escape away: it would
/// split, end or rename a segment, be taken away again, or is the same as without an escape.
fn is_ambiguous_escaped(char: char) -> bool {
    let unreserved = char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_' | '~');
    let special = matches!(char, '/' | '\\' | '%' | ';' | '?' | '#');
    unreserved || special || char.is_control() || is_look_alike(char)
}

/// Whether a server that folds characters to simpler ones, be it by Unicode's compatibility
/// mappings or to a code page, could make this one a dot, slash, backslash, `%`, `;`, `?` or `#`.
fn is_look_alike(char: char) -> bool {
    matches!(
        char,
        '\u{a5}' | '\u{37e}' | '\u{2024}'..='\u{2026}' | '\u{2044}' | '\u{2047}'..='\u{2049}'
            | '\u{20a9}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' | '\u{2215}'
            | '\u{2216}' | '\u{fe14}' | '\u{fe16}' | '\u{fe19}' | '\u{fe30}' | '\u{fe52}'
            | '\u{fe54}' | '\u{fe56}' | '\u{fe5f}' | '\u{fe68}' | '\u{fe6a}' | '\u{ff03}'
            | '\u{ff05}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff1b}' | '\u{ff1f}' | '\u{ff3c}'
    )
}

/// The bytes that a text with escapes stands for.
pub(super) fn unescaped(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let Some((byte, after)) = split_escape(rest) {
            rest = after;
            return Some(byte);
        }
        let byte = rest.bytes().next()?;
        rest = rest.get(1..)?;
        Some(byte)
    })
}

/// The methods that a rule is for. Empty: any method, also none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Methods(Box<[Box<str>]>);

impl Methods {
    /// Up to ten different words of A-Z; none if they are others.
    pub(super) fn parse<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut methods: Vec<Box<str>> = Vec::new();
        for method in words {
            let method = method.as_ref();
            let fits = (1..=METHOD_BYTES_MAX).contains(&method.len());
            let known = methods.iter().any(|known| **known == *method);
            let word = method.bytes().all(|byte| byte.is_ascii_uppercase());
            if !fits || !word || known || methods.len() == METHODS_MAX {
                return None;
            }
            methods.push(method.into());
        }
        Some(Self(methods.into()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|method| &**method)
    }

    pub(super) fn is_any(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// One rule: `/a` (that path and below), `=/a` (that path only), each optionally after methods:
/// `GET,HEAD /a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteRule {
    methods: Methods,
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
    #[error("the path {AmbiguousPath}")]
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
            Some((methods, target)) => {
                let methods = Methods::parse(methods.split(','));
                (methods.ok_or(InvalidRouteRule::Method)?, target)
            }
            None => (Methods::default(), text),
        };
        let (exact, path) = match target.strip_prefix('=') {
            Some(path) => (true, path),
            None => (false, target),
        };
        if Path::parse(path).is_err() {
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
        let method_fits = self.methods.is_any() || self.methods.iter().any(|m| m == method);
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

impl fmt::Display for RouteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_any() {
            write!(f, "{} ", self.methods)?;
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests;
