//! What holds for every file, and the test that runs all rules over the tree.

use std::{collections::HashMap, fmt, fs, path::Path};

use crate::{
    house,
    source::{Source, Text},
};

/// Where a rule is broken, and what to do.
pub(crate) struct Complaint {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

pub(crate) fn complaint(source: &Source, offset: usize, what: &str) -> Complaint {
    Complaint { file: source.path.clone(), line: source.line(offset), what: what.into() }
}

type Rule = fn(&Source) -> Vec<Complaint>;

const RULES: [(&str, Rule); 11] = [
    ("names", house::names),
    ("purity", house::purity),
    ("room named core", room_named_core),
    ("unsafe", unsafety),
    ("length", length),
    ("leftovers", leftovers),
    ("dropped errors", dropped_errors),
    ("status", status),
    ("sql place", sql_place),
    ("sql label", sql_label),
    ("sql changes", sql_changes),
];

const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 600;

fn length(source: &Source) -> Vec<Complaint> {
    let max = if source.is_test_file() { TEST_LINES_MAX } else { LINES_MAX };
    let what = format!(
        "{} lines, {max} are the most: split it by what its parts own, or move its tests to tests.rs",
        source.lines
    );
    let too_long =
        (source.lines > max).then(|| Complaint { file: source.path.clone(), line: max + 1, what });
    too_long.into_iter().collect()
}

fn room_named_core(source: &Source) -> Vec<Complaint> {
    let what = "a module named `core` hides the crate `core`; give it another name";
    let declared = source.declared_modules();
    let inner = declared.iter().filter(|(name, _)| name == "core");
    let inner = inner.map(|(_, block)| complaint(source, block.start, what));
    let named = source.module().contains(&"core".into());
    let itself = named.then(|| complaint(source, 0, what));
    inner.chain(itself).collect()
}

/// A complaint for each place where these tokens stand in code.
fn each(source: &Source, tokens: &[&str], what: &str) -> Vec<Complaint> {
    let found = source.items_after(tokens);
    let found = found.iter().map(|found| complaint(source, found.start, what));
    found.collect()
}

fn unsafety(source: &Source) -> Vec<Complaint> {
    if source.path == "src/postgres/launch.rs" {
        return Vec::new();
    }
    let what = "unsafe code is in src/postgres/launch.rs alone; do without";
    each(source, &["unsafe"], what)
}

fn leftovers(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (tokens, what) in [
        (&["#", "[", "ignore"][..], "a test that does not run proves nothing; mend or delete it"),
        (&["#", "[", "should_panic"], "take the panic or error as a value and compare it"),
        (&["todo", "!"], "finish it"),
        (&["unimplemented", "!"], "finish it"),
        (&["dbg", "!"], "take it out"),
    ] {
        complaints.extend(each(source, tokens, what));
    }
    let marked = source
        .comments
        .iter()
        .filter(|comment| ["FIXME", "TODO", "XXX"].iter().any(|mark| comment.text.contains(mark)));
    let what = "finish it, or say in a sentence what is not done and why";
    complaints.extend(marked.map(|comment| complaint(source, comment.offset, what)));
    complaints
}

fn dropped_errors(source: &Source) -> Vec<Complaint> {
    let tokens = source.tokens();
    let dropping = tokens.windows(4).filter(|t| {
        let [map_err, open, bar, name] = [t[0], t[1], t[2], t[3]].map(|token| token.text);
        (map_err, open, bar) == ("map_err", "(", "|") && name.starts_with('_')
    });
    let what = "the cause is dropped; keep it as the source, or name the pattern that has none";
    let found = dropping.map(|t| complaint(source, t[0].offset, what));
    found.collect()
}

/// gRPC's status is made in one place, so that one table says which error becomes which code. That
/// only the edge has it at all is for `names`: no other room may use tonic.
fn status(source: &Source) -> Vec<Complaint> {
    if source.path == "src/rpc/status.rs" {
        return Vec::new();
    }
    let tokens = source.tokens();
    let pairs = tokens.windows(2);
    let found = pairs.filter(|pair| pair[0].text == "Status" && !source.is_test(pair[0].offset));
    let found = found.filter_map(|pair| {
        let what = match pair[1].text {
            "::" => "only src/rpc/status.rs makes a Status; return an error that it knows",
            "as" => "Status keeps its name, so that this rule sees it",
            _ => return None,
        };
        Some(complaint(source, pair[0].offset, what))
    });
    found.collect()
}

const SQL: [&str; 7] = [
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "TRUNCATE ",
    "MERGE INTO ",
];
const SQL_CHANGES: [&str; 5] =
    ["INSERT INTO ", "UPDATE keyward.", "DELETE FROM ", "TRUNCATE ", "MERGE INTO "];

/// The strings outside of tests that have any of these words in them, whatever stands between.
fn strings_with<'a>(source: &'a Source, words: &'a [&str]) -> impl Iterator<Item = &'a Text> {
    source.strings.iter().filter(move |string| {
        let mut text: String = string.text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push(' ');
        let within = words.iter().any(|word| text.contains(word));
        within && source.path.starts_with("src/") && !source.is_test(string.offset)
    })
}

fn sql_place(source: &Source) -> Vec<Complaint> {
    if source.path.starts_with("src/store/") {
        return Vec::new();
    }
    let what = "SQL is in src/store alone; add a method to Store, Session or WriteTx";
    let found = strings_with(source, &SQL).map(|string| complaint(source, string.offset, what));
    found.collect()
}

fn sql_changes(source: &Source) -> Vec<Complaint> {
    // `things` has what only WriteTx runs, and `peppers` besides which replica has which, and `jobs` besides where a job has come to; `audit/refusal` notes what did not change anything
    if [
        "write",
        "write/request",
        "keys",
        "usage",
        "usage_hours",
        "quota",
        "notices",
        "schema",
        "audit/refusal",
    ]
    .map(|file| format!("src/store/{file}.rs"))
    .contains(&source.path)
        || source.path.starts_with("src/store/things/")
        || source.path.starts_with("src/store/jobs/")
        || source.path.starts_with("src/store/peppers/")
    {
        return Vec::new();
    }
    let what = "statements that change anything are methods of WriteTx, so that their audit event \
                and revision are not forgotten; move it to src/store/write.rs";
    let found = strings_with(source, &SQL_CHANGES);
    found.map(|string| complaint(source, string.offset, what)).collect()
}

/// The first line of a statement, as in `-- keys.get`, if it has one.
fn label(text: &str) -> Option<&str> {
    let (room, name) = text.lines().next()?.strip_prefix("-- ")?.split_once('.')?;
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|char| char.is_ascii_lowercase() || char == '_')
    };
    (word(room) && word(name)).then(|| text.lines().next().unwrap_or_default())
}

fn sql_label(source: &Source) -> Vec<Complaint> {
    if !source.path.starts_with("src/store/") {
        return Vec::new();
    }
    let file = source.module().pop().unwrap_or_default();
    let macros = source.items_after(&["macro_rules", "!"]);
    let mut complaints = Vec::new();
    for string in strings_with(source, &SQL) {
        // what begins with a blank is put behind a statement
        let is_part = macros.iter().any(|block| block.contains(&string.offset));
        if is_part || string.text.starts_with(' ') {
            continue;
        }
        let statement = source.code[..string.offset].rfind([';', '{', '}']).unwrap_or(0);
        // a later piece of one statement, which begins with the first
        let pieces = source
            .strings
            .iter()
            .filter(|piece| (statement..string.offset).contains(&piece.offset));
        let joined = source.code[statement..string.offset].contains("concat!");
        let first = pieces.map(|piece| piece.text.as_str()).next().filter(|_| joined);
        let right = label(first.unwrap_or(&string.text));
        if !right.is_some_and(|label| label.starts_with(&format!("-- {file}."))) {
            let what =
                format!("the first line of a statement names it: `-- {file}.<what_it_does>`");
            complaints.push(complaint(source, string.offset, &what));
        }
    }
    complaints
}

/// Every file of `src` and `tests`.
fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let inner = path.strip_prefix(root).unwrap().to_str().unwrap();
                sources.push(Source::parse(inner, &text));
            }
        }
    }
    sources
}

mod tests {
    use super::*;

    #[test]
    fn the_tree_keeps_all_rules() {
        let sources = tree();
        assert!(sources.len() > 30, "the tree was not found");
        let mut told = Vec::new();
        for source in &sources {
            for (rule, check) in RULES {
                let complaints = check(source);
                told.extend(complaints.iter().map(|complaint| format!("{complaint} [{rule}]")));
            }
        }
        assert!(told.is_empty(), "\n\n{}\n", told.join("\n"));
    }

    #[test]
    fn every_statement_has_a_name_of_its_own() {
        let mut places: HashMap<String, String> = HashMap::new();
        for source in tree().iter().filter(|source| source.path.starts_with("src/store/")) {
            for name in source.strings.iter().filter_map(|string| label(&string.text)) {
                let before = places.insert(name.into(), source.path.clone());
                assert_eq!(before, None, "{name} is in {} too: rename one", source.path);
            }
        }
        assert!(places.len() > 10, "no statements were found");
    }

    fn bites(rule: Rule, path: &str, text: &str) -> bool {
        !rule(&Source::parse(path, text)).is_empty()
    }

    /// A rule, a file, a text that breaks it there and one that comes as near as it may.
    const CASES: [(Rule, &str, &str, &str); 19] = [
        (unsafety, "src/store/x.rs", "unsafe { f() }", "#[expect(unsafe_code)] // unsafe"),
        (unsafety, "src/postgres/ready.rs", "unsafe fn f() {}", "fn not_unsafe() {}"),
        (room_named_core, "src/core/mod.rs", "", ""),
        (room_named_core, "src/lib.rs", "pub mod core;", "use core::fmt;"),
        (leftovers, "tests/it/x.rs", "#[ignore]", "fn ignore() {}"),
        (leftovers, "src/x.rs", "#[ignore = \"slow\"]", "\"#[ignore]\""),
        (leftovers, "src/x.rs", "#[should_panic]", "fn should_panic() {}"),
        (leftovers, "src/x.rs", "fn f() { todo!() }", "fn todo() {}"),
        (leftovers, "src/x.rs", "fn f() { unimplemented!() }", "// unimplemented!"),
        (leftovers, "src/x.rs", "fn f() { dbg!(x); }", "fn dbg() {}"),
        (leftovers, "src/x.rs", "// FIXME later", "\"FIXME\""),
        (dropped_errors, "src/x.rs", "a.map_err(|_| B)", "a.map_err(|(_, b)| b)"),
        (dropped_errors, "src/x.rs", "a.map_err(\n|_error| B)", "a.map_err(|E| B)"),
        (
            status,
            "src/rpc/convert.rs",
            "fn f() { tonic::Status::internal(a) }",
            "fn f() -> Result<(), Status> {}",
        ),
        (status, "src/rpc/codec.rs", "use tonic::Status as S;", "use tonic::Status;"),
        (
            status,
            "src/admin.rs",
            "fn f() { Status::new(a) }",
            "fn f() { ExitStatus::x(End::Status(a)) }",
        ),
        (
            sql_place,
            "src/admin.rs",
            "const A: &str = \"-- a.b\\nSELECT 1\";",
            "const A: &str = \"selected\";",
        ),
        (sql_place, "src/rpc/x.rs", "f(\"UPDATE\n x\")", "// UPDATE x\nf(\"OUTDATED\")"),
        (
            sql_changes,
            "src/store/log.rs",
            "const A: &str = \"-- log.a\\nDELETE FROM x\";",
            "const A: &str = \"-- log.a\\nSELECT 1\";",
        ),
    ];

    #[test]
    fn each_rule_bites_what_breaks_it_and_nothing_else() {
        for (rule, path, broken, kept) in CASES {
            assert!(bites(rule, path, broken), "{path} {broken}");
            if !path.contains("core") {
                assert!(!bites(rule, path, kept), "{path} {kept}");
            }
        }
    }

    #[test]
    fn statements_without_their_name_are_reported() {
        let columns = "macro_rules! columns { () => { \"SELECT a\" }; }\n";
        for (text, expected) in [
            ("const A: &str = \"-- keys.get\\nSELECT 1\";", false),
            ("const A: &str = \"-- keys.get\n    SELECT 1\";", false),
            (
                "const A: &str = concat!(\"-- keys.get\\nSELECT \", columns!(), \" UPDATE x\");",
                false,
            ),
            ("const A: &str = \"SELECT 1\";", true),
            ("const A: &str = \"-- Keys get\\nSELECT 1\";", true),
            ("const A: &str = \"-- log.get\\nSELECT 1\";", true),
            ("const A: &str = \"-- keys.get SELECT 1\";", true),
            ("const A: &str = concat!(\"SELECT \", columns!());", true),
            ("fn f() { g(\"-- keys.get\\nSELECT 1\", \"SELECT 2\") }", true),
        ] {
            let text = format!("{columns}{text}");
            assert_eq!(bites(sql_label, "src/store/keys.rs", &text), expected, "{text}");
        }
        assert!(!bites(sql_label, "src/store/mod.rs", "f(\"-- store.x\\nSELECT 1\")"));
    }

    #[test]
    fn files_that_are_too_long_are_reported() {
        for (path, lines, expected) in [
            ("src/x.rs", 400, false),
            ("src/x.rs", 401, true),
            ("src/x/tests.rs", 600, false),
            ("src/x/tests/y.rs", 600, false),
            ("src/x/tests/y.rs", 601, true),
            ("src/xtests/y.rs", 401, true),
            ("tests/it/x.rs", 601, true),
        ] {
            assert_eq!(bites(length, path, &"\n".repeat(lines)), expected, "{path} {lines}");
        }
    }

    #[test]
    fn a_complaint_names_file_line_and_what_to_do() {
        let source = Source::parse("src/store/x.rs", "\n\nfn f() { todo!() }");
        let told: Vec<String> = leftovers(&source).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["src/store/x.rs:3: finish it"]);
    }
}
