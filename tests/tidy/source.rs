//! Reads Rust source far enough for rules about it: which text is code, comment or string, which
//! parts are tests, and which paths are named. It knows no types and expands no macros.

use std::ops::Range;

/// One file.
pub(crate) struct Source {
    /// From the root of the package, e.g. `src/store/keys.rs`.
    pub(crate) path: String,
    /// All of it, with comments and the content of strings blanked.
    pub(crate) code: String,
    pub(crate) strings: Vec<Text>,
    pub(crate) comments: Vec<Text>,
    pub(crate) lines: usize,
    line_starts: Vec<usize>,
    /// What `#[cfg(test)]` stands before.
    tests: Vec<Range<usize>>,
}

/// A string or a comment.
pub(crate) struct Text {
    pub(crate) offset: usize,
    pub(crate) text: String,
}

/// A word of code, `::`, or one other character.
#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) offset: usize,
    pub(crate) text: &'a str,
}

/// A path that is named, also as a part of a `use` tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) offset: usize,
    pub(crate) segments: Vec<String>,
    /// What it is called from then on, if a `use` brings it in.
    pub(crate) brought_in_as: Option<String>,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let mut lexer = Lexer {
            text,
            code: text.as_bytes().to_vec(),
            strings: Vec::new(),
            comments: Vec::new(),
        };
        lexer.run();
        let starts = text.match_indices('\n').map(|(offset, _)| offset + 1);
        let mut source = Self {
            path: path.into(),
            code: String::from_utf8(lexer.code).unwrap(),
            strings: lexer.strings,
            comments: lexer.comments,
            lines: text.lines().count(),
            line_starts: starts.collect(),
            tests: Vec::new(),
        };
        source.tests = source.items_after(&["#", "[", "cfg", "(", "test", ")", "]"]);
        source
    }

    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Whether all of the file is tests or serves tests.
    pub(crate) fn is_test_file(&self) -> bool {
        let (folders, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        folders.split('/').any(|folder| folder == "tests")
            || matches!(name, "tests.rs" | "fixture.rs")
    }

    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.is_test_file() || self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The modules from the root of the crate down to this file: `["store", "keys"]`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        inner.split('/').map(String::from).collect()
    }

    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        let mut rest = self.code.as_str();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|char| !is_word(char)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, after) = rest.split_at(length);
            if !first.is_whitespace() {
                let offset = self.code.len() - rest.len();
                tokens.push(Token { offset, text });
            }
            rest = after;
        }
        tokens
    }

    /// What follows each place where these tokens stand: up to the end of its block, or its `;`.
    pub(crate) fn items_after(&self, start: &[&str]) -> Vec<Range<usize>> {
        let tokens = self.tokens();
        let begins = |at: &usize| {
            let here = tokens[*at..].iter().map(|token| token.text);
            here.take(start.len()).eq(start.iter().copied())
        };
        let places = (0..tokens.len()).filter(begins);
        let ranges = places.map(|at| tokens[at].offset..item_end(&tokens[at + start.len()..]));
        ranges.collect()
    }

    /// The modules that are declared in this file, and the block of each that is in it.
    pub(crate) fn declared_modules(&self) -> Vec<(String, Range<usize>)> {
        let tokens = self.tokens();
        let pairs = tokens.windows(3).enumerate();
        let modules = pairs.filter(|(_, t)| t[0].text == "mod" && is_word_token(t[1].text));
        let found = modules.map(|(at, t)| {
            let end = match t[2].text {
                "{" => item_end(&tokens[at + 2..]),
                _ => t[2].offset,
            };
            (t[1].text.to_owned(), t[2].offset..end)
        });
        found.collect()
    }

    /// All paths of two and more segments, and all that `use` brings in.
    pub(crate) fn named(&self) -> Vec<Named> {
        let tokens = self.tokens();
        let mut named = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let next = tokens.get(at + 1).map_or("", |token| token.text);
            let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
            if tokens[at].text == "use" && next != "<" {
                at = use_tree(&tokens, at + 1, &[], &mut named);
            } else if is_word_token(tokens[at].text) && next == "::" && before != "::" {
                let offset = tokens[at].offset;
                let mut segments = vec![tokens[at].text.to_owned()];
                while at + 2 < tokens.len()
                    && tokens[at + 1].text == "::"
                    && is_word_token(tokens[at + 2].text)
                {
                    at += 2;
                    segments.push(tokens[at].text.to_owned());
                }
                named.push(Named { offset, segments, brought_in_as: None });
                at += 1;
            } else {
                at += 1;
            }
        }
        named
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn is_word_token(text: &str) -> bool {
    text.starts_with(is_word)
}

/// Where an item ends: at the end of its first block, or at a `;` before any.
fn item_end(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(token.text, "}" | ";") {
            return token.offset + 1;
        }
    }
    tokens.last().map_or(0, |token| token.offset + 1)
}

/// Adds what a `use` tree brings in; returns the place behind it.
fn use_tree(tokens: &[Token<'_>], from: usize, above: &[String], named: &mut Vec<Named>) -> usize {
    let mut segments = above.to_vec();
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(tokens, at, &segments, named);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|token| token.text.to_owned());
                if let Some(last) = named.last_mut() {
                    last.brought_in_as = name;
                }
                return at + 2;
            }
            text if text == "*" || is_word_token(text) => {
                segments.push(text.to_owned());
                at += 1;
                let next = tokens.get(at).map_or("", |token| token.text);
                if next != "::" {
                    named.push(Named {
                        offset: token.offset,
                        segments: segments.clone(),
                        brought_in_as: segments.last().cloned(),
                    });
                    if next != "as" {
                        return at;
                    }
                }
            }
            _ => return at + 1,
        }
    }
    at
}

struct Lexer<'a> {
    text: &'a str,
    code: Vec<u8>,
    strings: Vec<Text>,
    comments: Vec<Text>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(first) = self.text[at..].chars().next() {
            let rest = &self.text[at..];
            let after_word = self.text[..at].ends_with(is_word);
            at += if rest.starts_with("//") {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.comment(at, end)
            } else if rest.starts_with("/*") {
                self.comment(at, block_comment_length(rest))
            } else if let Some((quote, close)) = raw_string(rest).filter(|_| !after_word) {
                let inner = &rest[quote..];
                let length = inner.find(&close).unwrap_or(inner.len());
                self.string(at + quote, length);
                quote + length + close.len()
            } else if first == '"' {
                let length = until_unescaped(&rest[1..], '"');
                self.string(at + 1, length);
                length + 2
            } else if first == '\'' {
                self.character_or_lifetime(at)
            } else {
                first.len_utf8()
            };
        }
    }

    fn comment(&mut self, offset: usize, length: usize) -> usize {
        let text = self.text[offset..offset + length].to_owned();
        self.comments.push(Text { offset, text });
        self.blank(offset, length);
        length
    }

    fn string(&mut self, offset: usize, length: usize) {
        let text = self.text[offset..offset + length].replace("\\n", "\n");
        self.strings.push(Text { offset, text });
        self.blank(offset, length);
    }

    fn character_or_lifetime(&mut self, at: usize) -> usize {
        let rest = &self.text[at + 1..];
        let length = match rest.chars().next() {
            Some('\\') => until_unescaped(rest, '\''),
            Some(char) if rest[char.len_utf8()..].starts_with('\'') => char.len_utf8(),
            _ => return 1,
        };
        self.blank(at + 1, length);
        length + 2
    }

    fn blank(&mut self, offset: usize, length: usize) {
        for byte in &mut self.code[offset..offset + length] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
}

/// If a raw string begins here: how long what opens it is, and what closes it.
fn raw_string(rest: &str) -> Option<(usize, String)> {
    let after = rest.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let opened = after[hashes..].strip_prefix('"')?;
    Some((rest.len() - opened.len(), format!("\"{}", "#".repeat(hashes))))
}

fn until_unescaped(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (offset, char) in text.char_indices() {
        if char == end && !escaped {
            return offset;
        }
        escaped = char == '\\' && !escaped;
    }
    text.len()
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        at += if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth -= 1;
            2
        } else {
            here.chars().next().map_or(1, char::len_utf8)
        };
        if depth == 0 {
            break;
        }
    }
    at
}

mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let source = Source::parse("src/x.rs", text);
        source.code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        for (text, expected) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("a \" b", c)"#, "f(\" \", c)"),
            ("r#\"a \" b\"# c", "r#\" \"# c"),
            ("br\"a\\\" c", "br\" \" c"),
            ("'\"' 'a '\\'' b", "' ' 'a ' ' b"),
            ("'é' c", "' ' c"),
            ("\"// no\" c", "\" \" c"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn use_trees_and_inline_paths_are_named() {
        let text =
            "use a::{b, c::{self, D as E}, *};\nfn f() -> impl F + use<> { g::H::<i::J>::k() }";
        let named = Source::parse("src/x.rs", text).named();
        let shown: Vec<String> = named
            .iter()
            .map(|named| {
                let name = named.brought_in_as.as_deref().unwrap_or("-");
                format!("{} {name}", named.segments.join("::"))
            })
            .collect();
        let expected = ["a::b b", "a::c::self self", "a::c::D E", "a::* *", "g::H -", "i::J -"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_configured_for_tests_is_a_test() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}";
        let source = Source::parse("src/x.rs", text);
        let tests = ["a()", "b()", "c()", "d;", "e()"]
            .map(|place| source.is_test(text.find(place).unwrap()));
        assert_eq!(tests, [false, true, false, true, false]);
        assert_eq!(source.line(text.find("c()").unwrap()), 4);
    }
}
