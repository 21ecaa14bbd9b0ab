use proptest::{collection::vec, prelude::*, sample::select, sample::subsequence};

use super::*;
use crate::model::route::tests::AMBIGUOUS;

fn map(lines: &[&str]) -> RouteMap {
    RouteMap::parse(lines).unwrap()
}

fn needed<'a>(map: &'a RouteMap, method: &str, path: &str) -> Option<&'a str> {
    map.permission(method, Path::parse(path).unwrap()).map(|permission| permission.as_str())
}

#[test]
fn templates_match_what_the_grammar_says() {
    for (template, path, expected) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/a", "/a", true),
        ("/a", "/a/", false),
        ("/a", "/A", false),
        ("/a", "/a/b", false),
        ("/a/", "/a/", true),
        ("/a/", "/a", false),
        ("/a/{id}", "/a/7", true),
        ("/a/{id}", "/a/{id}", true),
        ("/a/{id}", "/a/", false),
        ("/a/{id}", "/a", false),
        ("/a/{id}", "/a/7/", false),
        ("/a/{id}/", "/a/7/", true),
        ("/a/{id}/b", "/a/7/b", true),
        ("/a/{id}/b", "/a/7/c", false),
        ("/{x}", "/", false),
        ("/{x}/{x}", "/a/b", true),
        ("/files/**", "/files", true),
        ("/files/**", "/files/", true),
        ("/files/**", "/files/a/b", true),
        ("/files/**", "/files/a/b/", true),
        ("/files/**", "/filesx", false),
        ("/files/**", "/", false),
        ("/**", "/", true),
        ("/**", "/a/b", true),
        ("/{x}/**", "/", false),
        ("/{x}/**", "/a", true),
        ("/users/@me", "/users/%40me", true),
        ("/users/%40me", "/users/@me", true),
        ("/caf%C3%A9", "/caf%c3%a9", true),
        ("/caf%C3%A9", "/caf%C3%A8", false),
        ("/a%2Ab", "/a*b", true),
    ] {
        let map = map(&[&format!("* {template} p")]);
        assert_eq!(needed(&map, "", path).is_some(), expected, "{template} {path}");
    }
}

#[test]
fn the_most_specific_entry_decides() {
    let map = map(&[
        "* /** all.{action}",
        "* /api/** api.{action}",
        "GET /api/{id} one",
        "* /api/{id} one.any",
        "GET /api/new new.get",
        "PUT /api/new new.put",
        "* /api/{id}/b/** below",
        "* /api/new/{b}/x x",
        "* /{x}/new/b right",
        "* /api/{id}/ slash",
    ]);
    for (method, path, expected) in [
        ("GET", "/api/new", "new.get"),
        ("PUT", "/api/new", "new.put"),
        ("POST", "/api/new", "one.any"),
        ("", "/api/new", "one.any"),
        ("GET", "/api/7", "one"),
        ("get", "/api/7", "one.any"),
        ("GET", "/api", "api.read"),
        ("POST", "/api", "api.write"),
        ("GET", "/api/", "api.read"),
        ("GET", "/api/7/", "slash"),
        ("GET", "/api/7/x", "api.read"),
        ("GET", "/api/new/b", "below"),
        ("GET", "/api/new/b/x", "x"),
        ("GET", "/api/new/b/y", "below"),
        ("GET", "/other/new/b", "right"),
        ("GET", "/other", "all.read"),
        ("", "/", "all.write"),
    ] {
        assert_eq!(needed(&map, method, path), Some(expected), "{method} {path}");
    }
}

#[test]
fn an_escape_leads_around_no_entry() {
    let map = map(&["* /** open", "* /@me closed", "* /caf%C3%A9 closed", "* /{x}/@me closed"]);
    for path in ["/@me", "/%40me", "/caf%C3%A9", "/caf%c3%A9", "/7/%40me"] {
        assert_eq!(needed(&map, "GET", path), Some("closed"), "{path}");
    }
    assert_eq!(needed(&map, "GET", "/%40you"), Some("open"));
}

#[test]
fn only_some_methods_read() {
    let map = map(&["* /a a.{action}"]);
    for (method, expected) in [
        ("GET", "a.read"),
        ("HEAD", "a.read"),
        ("OPTIONS", "a.read"),
        ("POST", "a.write"),
        ("TRACE", "a.write"),
        ("get", "a.write"),
        ("", "a.write"),
    ] {
        assert_eq!(needed(&map, method, "/a"), Some(expected), "{method}");
    }
}

#[test]
fn no_entry_matches_an_ambiguous_path() {
    let map = map(&["* /** all", "* /api/** api"]);
    for path in AMBIGUOUS {
        let found = Path::parse(path).ok().and_then(|path| map.permission("GET", path));
        assert_eq!(found, None, "{path:?}");
    }
}

#[test]
fn without_entries_nothing_is_needed() {
    assert!(RouteMap::default().is_empty());
    assert_eq!(needed(&RouteMap::default(), "GET", "/"), None);
    assert_eq!(RouteMap::parse::<&str>(&[]), Ok(RouteMap::default()));
}

#[test]
fn an_entry_gives_back_its_parts() {
    let entry = RouteMapEntry::new(&["GET", "PUT"], "/a/{id}", "a.{action}").unwrap();
    assert_eq!(entry.methods().collect::<Vec<_>>(), ["GET", "PUT"]);
    assert_eq!(entry.template(), "/a/{id}");
    assert_eq!(entry.permission(), "a.{action}");
    assert_eq!(entry.permissions().map(|permission| permission.as_str()), ["a.read", "a.write"]);
    assert_eq!(entry.to_string(), "GET,PUT /a/{id} a.{action}");
    let all = RouteMapEntry::new(&["*"], "/", "a").unwrap();
    assert_eq!(RouteMapEntry::new(&[""; 0], "/", "a"), Ok(all.clone()));
    assert_eq!(all.methods().count(), 0);
    assert_eq!(all.to_string(), "* / a");
}

#[test]
fn other_texts_are_refused() {
    use InvalidRouteMapEntry::{Form, Method, Path, Permission, Size, Wild};
    let deep = format!("* {} p", "/a".repeat(33));
    let long = format!("* /{} p", "a".repeat(512));
    for (line, expected) in [
        ("", Form),
        ("GET /a", Form),
        ("/a p", Form),
        (" /a p", Method),
        ("get /a p", Method),
        ("GET,GET /a p", Method),
        ("GET,* /a p", Method),
        ("*,* /a p", Method),
        ("GET, /a p", Method),
        ("ABCDEFGHIJKLMNOPQRSTU /a p", Method),
        ("A,B,C,D,E,F,G,H,I,J,K /a p", Method),
        (&deep, Size),
        (&long, Size),
        ("* a p", Path),
        ("*  /a p", Path),
        ("* // p", Path),
        ("* /a//b p", Path),
        ("* /a/../b p", Path),
        ("* /a;x p", Path),
        ("* /%61 p", Path),
        ("* /a?b p", Path),
        ("* /café p", Path),
        ("* /a* p", Wild),
        ("* /* p", Wild),
        ("* /*** p", Wild),
        ("* /**/a p", Wild),
        ("* /**/ p", Wild),
        ("* /{} p", Wild),
        ("* /{A} p", Wild),
        ("* /{a-b} p", Wild),
        ("* /{a}b p", Wild),
        ("* /{a}{b} p", Wild),
        ("* /{a p", Wild),
        ("* /a} p", Wild),
        ("* /a  p", Permission(InvalidPermission::Word)),
        ("* /a p q", Permission(InvalidPermission::Word)),
        ("* /a ", Permission(InvalidPermission::Size)),
        ("* /a *.read", Permission(InvalidPermission::Word)),
        ("* /a a.{id}", Permission(InvalidPermission::Word)),
    ] {
        assert_eq!(RouteMapEntry::parse(line), Err(expected), "{line:?}");
    }
    assert!(RouteMapEntry::parse(&format!("* {} p", "/a".repeat(32))).is_ok());
    assert!(RouteMapEntry::parse(&format!("* /{} p", "a".repeat(511))).is_ok());
}

#[test]
fn two_entries_for_the_same_requests_are_refused() {
    for (one, other, clash) in [
        ("GET /a/{x} p", "GET /a/{y} q", true),
        ("GET,PUT /a p", "POST,PUT /a q", true),
        ("* /a p", "* /a q", true),
        ("GET /** p", "GET /** q", true),
        ("GET /@ p", "GET /%40 q", true),
        ("GET /%c3%a9 p", "GET /%C3%A9 q", true),
        ("GET /a p", "* /a q", false),
        ("GET /a p", "PUT /a q", false),
        ("GET /a p", "GET /a/ q", false),
        ("GET /a p", "GET /a/** q", false),
        ("GET /{a} p", "GET /a q", false),
        ("GET /{a} p", "GET /** q", false),
    ] {
        let expected = if clash { Err((1, InvalidRouteMapEntry::Duplicate)) } else { Ok(()) };
        for lines in [[one, other], [other, one]] {
            assert_eq!(RouteMap::parse(&lines).map(drop), expected, "{lines:?}");
        }
    }
}

#[test]
fn a_map_has_no_more_than_a_thousand_entries() {
    let lines = |count: usize| (0..count).map(|at| format!("* /{at} p")).collect::<Vec<_>>();
    let map = RouteMap::parse(&lines(1000)).unwrap();
    assert_eq!(map.iter().map(ToString::to_string).collect::<Vec<_>>(), lines(1000));
    assert_eq!(RouteMap::parse(&lines(1001)), Err((1000, InvalidRouteMapEntry::TooMany)));
    let entry = |line: &String| RouteMapEntry::parse(line).unwrap();
    let entries = |count| lines(count).iter().map(entry).collect();
    assert_eq!(RouteMap::new(entries(1000)), Ok(map));
    assert_eq!(RouteMap::new(entries(1001)), Err((1000, InvalidRouteMapEntry::TooMany)));
    let mut wrong = lines(3);
    wrong[1] = "* p".into();
    assert_eq!(RouteMap::parse(&wrong), Err((1, InvalidRouteMapEntry::Form)));
}

/// What a path looks like to a server that takes its escapes away.
fn plain(segment: &str) -> String {
    segment.replace("%40", "@").replace("%C3%A9", "é").replace("%c3%a9", "é")
}

fn rank(segment: &str) -> u8 {
    match segment {
        "**" => 2,
        _ if segment.starts_with('{') => 1,
        _ => 0,
    }
}

fn fits(template: &[&str], path: &[&str]) -> bool {
    match (template, path) {
        (["**"], _) | ([], []) => true,
        ([], [_, ..]) | ([_, ..], []) => false,
        ([first, template @ ..], [segment, path @ ..]) => {
            let same = match rank(first) {
                0 => plain(first) == plain(segment),
                _ => !segment.is_empty(),
            };
            same && fits(template, path)
        }
    }
}

/// The entry that decides, by its line: of all that match the one with the least key.
fn slowly<'a>(lines: &'a [String], method: &str, path: &str) -> Option<&'a String> {
    let path: Vec<&str> = path[1..].split('/').collect();
    let matching = lines.iter().filter_map(|line| {
        let [methods, template, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a line has three parts: {line}")
        };
        let template: Vec<&str> = template[1..].split('/').collect();
        let named = methods.split(',').any(|one| one == method);
        if !(named || methods == "*") || !fits(&template, &path) {
            return None;
        }
        let key: Vec<u8> = template.iter().map(|segment| rank(segment)).collect();
        Some(((key, !named), line))
    });
    matching.min_by_key(|(key, _)| key.clone()).map(|(_, line)| line)
}

fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        3 => select(vec!["a", "b"]),
        1 => select(vec!["@", "%40", "%C3%A9"]),
        3 => select(vec!["{x}", "{y}"]),
    ];
    (vec(segment, 0..4), select(vec!["", "", "/", "/**"])).prop_map(|(segments, end)| {
        match (segments.is_empty(), end) {
            (true, "") => "/".into(),
            (true, end) => end.into(),
            (false, end) => format!("/{}{end}", segments.join("/")),
        }
    })
}

fn methods() -> impl Strategy<Value = String> {
    let named = subsequence(vec!["GET", "PUT", "DELETE"], 1..3);
    prop_oneof![named.prop_map(|methods| methods.join(",")), Just(String::from("*"))]
}

fn path() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "c", "@", "%40", "%c3%a9", "a", "b"]);
    (vec(segment, 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let text = format!("/{}", segments.join("/"));
        if slash && text.len() > 1 { text + "/" } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_tree_finds_what_a_look_at_every_entry_finds(
        parts in vec((methods(), template()), 0..20),
        requests in vec((select(vec!["", "GET", "PUT", "DELETE", "HEAD"]), path()), 1..10),
    ) {
        let mut lines: Vec<String> = Vec::new();
        for (methods, template) in parts {
            lines.push(format!("{methods} {template} p{}.{{action}}", lines.len()));
            if RouteMap::parse(&lines).is_err() {
                lines.pop();
            }
        }
        let map = RouteMap::parse(&lines).unwrap();
        for (method, path) in requests {
            let expected = slowly(&lines, method, &path).map(|line| {
                let action = if ["GET", "HEAD"].contains(&method) { "read" } else { "write" };
                line.split(' ').nth(2).unwrap().replace("{action}", action)
            });
            let found = needed(&map, method, &path).map(String::from);
            prop_assert_eq!(found, expected, "{} {} {:?}", method, path, lines);
        }
    }

    #[test]
    fn entries_clash_if_neither_is_more_specific(
        one in (methods(), template()), other in (methods(), template()),
    ) {
        let shape = |template: &str| template.split('/').map(plain).map(|segment| match rank(&segment) {
            1 => "{}".into(),
            _ => segment,
        }).collect::<Vec<_>>();
        let common = one.0.split(',').any(|method| other.0.split(',').any(|that| method == that));
        let clash = common && shape(&one.1) == shape(&other.1);
        let lines = [one, other].map(|(methods, template)| format!("{methods} {template} p"));
        prop_assert_eq!(RouteMap::parse(&lines).is_err(), clash);
    }

    #[test]
    fn reading_what_was_shown_gives_the_same_entry(
        methods in methods(), template in template(), permission in "(a|\\{action\\})(\\.(b|\\{action\\})){0,2}",
    ) {
        let line = format!("{methods} {template} {permission}");
        let entry = RouteMapEntry::parse(&line).unwrap();
        prop_assert_eq!(entry.to_string(), line.clone());
        prop_assert_eq!(RouteMapEntry::parse(&line), Ok(entry));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[GET,*]{0,4} [/a{}*%40 .;]* [a.{}ction*]*", path in "(/[a%40]{0,3}){1,3}") {
        if let Ok(map) = RouteMap::parse(&[&text])
            && let Ok(path) = Path::parse(&path)
        {
            let template = text.split(' ').nth(1).unwrap();
            let segments: Vec<&str> = template[1..].split('/').collect();
            let path_segments: Vec<&str> = path.as_str()[1..].split('/').collect();
            let found = map.permission("GET", path).is_some();
            prop_assert!(!found || fits(&segments, &path_segments), "{} {}", text, path.as_str());
        }
    }
}
