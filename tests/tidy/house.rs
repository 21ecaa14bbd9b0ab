//! Whether files name only what their rooms may name.

use std::{collections::HashSet, fs, path::Path};

use crate::{
    rooms::{HOUSE, Names, Room, TASKS},
    rules::{Complaint, complaint},
    source::{Named, Source},
};

/// What waits, reads clocks, logs or talks to the world.
const IMPURE_WORDS: [&str; 14] = [
    "async",
    "await",
    "tokio",
    "tracing",
    "SystemTime",
    "Instant",
    "clock_gettime",
    "sleep",
    "print",
    "println",
    "eprint",
    "eprintln",
    "TcpStream",
    "UdpSocket",
];
const IMPURE_STD: [&str; 7] = ["env", "fs", "io", "os", "process", "thread", "backtrace"];

fn room_of(module: &[String]) -> Option<&'static Room> {
    let inside = |place: &str| {
        let place: Vec<&str> = place.split('/').collect();
        module.len() >= place.len() && place.iter().zip(module).all(|(a, b)| a == b)
    };
    let found = HOUSE.iter().filter(|room| inside(room.place));
    found.max_by_key(|room| room.place.len())
}

fn is_in(module: &[String], place: &str) -> bool {
    let module = module.join("/");
    module == place || module.starts_with(&format!("{place}/"))
}

/// What a path leads to.
enum Target {
    /// A module or item of this crate, from its root.
    House(Vec<String>),
    /// `std`, `core` or `alloc`; what is named of it.
    Std(String),
    /// Another crate.
    Crate(String),
    /// Up beyond its room.
    Leaves,
    /// Something that the file itself has or brought in.
    Local,
    /// A name that nothing explains.
    Unexplained(String),
}

/// What a file has of its own: names that are not crates.
struct Scope {
    module: Vec<String>,
    /// Its blocks `mod x { … }` and its declarations `mod x;`.
    modules: Vec<(String, std::ops::Range<usize>)>,
    brought_in: HashSet<String>,
    crates: HashSet<String>,
}

impl Scope {
    fn of(source: &Source, named: &[Named]) -> Self {
        let mut module = source.module();
        if matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs") {
            module.clear();
        }
        let brought_in = named.iter().filter_map(|named| match named.brought_in_as.as_deref() {
            Some("self") => named.segments.iter().rev().nth(1).cloned(),
            other => other.map(String::from),
        });
        Self {
            module,
            modules: source.declared_modules(),
            brought_in: brought_in.collect(),
            crates: crates(),
        }
    }

    /// The module that a place in the file is in.
    fn module_at(&self, offset: usize) -> Vec<String> {
        let around = self.modules.iter().filter(|(_, block)| block.contains(&offset));
        let names = around.map(|(name, _)| name.clone());
        self.module.iter().cloned().chain(names).collect()
    }

    fn target(&self, named: &Named) -> Target {
        let first = named.segments.first().map_or("", String::as_str);
        let rest = || named.segments.iter().skip(1).cloned();
        let here = self.module_at(named.offset);
        match first {
            "crate" => Target::House(rest().collect()),
            "self" => Target::House(here.into_iter().chain(rest()).collect()),
            "super" => {
                let ups = named.segments.iter().take_while(|s| *s == "super").count();
                if ups >= here.len() {
                    return Target::Leaves;
                }
                let below = named.segments.iter().skip(ups).cloned();
                let kept = here.len() - ups;
                Target::House(here.into_iter().take(kept).chain(below).collect())
            }
            "std" | "core" | "alloc" => Target::Std(rest().next().unwrap_or_default()),
            _ if self.modules.iter().any(|(name, _)| name == first) => {
                Target::House(here.into_iter().chain(named.segments.clone()).collect())
            }
            // a `use` may bring in a crate's own name, as in `use http;`
            _ if self.crates.contains(first)
                && (named.brought_in_as.is_some() || !self.brought_in.contains(first)) =>
            {
                Target::Crate(first.into())
            }
            _ if first.starts_with(char::is_uppercase) || self.brought_in.contains(first) => {
                Target::Local
            }
            _ if is_primitive(first) || named.brought_in_as.is_none() => Target::Local,
            _ => Target::Unexplained(first.into()),
        }
    }
}

fn is_primitive(name: &str) -> bool {
    ["str", "char", "bool", "u8", "u32", "u64", "i64", "usize"].contains(&name)
}

/// All crates that the manifest names, and this one as its program sees it.
fn crates() -> HashSet<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest = manifest.unwrap();
    let mut crates = HashSet::from([String::from("keyward")]);
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_dependencies) {
            crates.insert(name.trim().replace('-', "_"));
        }
    }
    crates
}

/// Crates that tests may name wherever they are.
const TEST_CRATES: [&str; 1] = ["proptest"];

/// Names only what its room may name.
pub(crate) fn names(source: &Source) -> Vec<Complaint> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let Some(room) = room_of(&source.module()) else {
        let what =
            "no row of HOUSE has this room; add one to tests/tidy/rooms.rs and to the design";
        return vec![complaint(source, 0, what)];
    };
    let named = source.named();
    let scope = Scope::of(source, &named);
    let mut complaints = Vec::new();
    for named in &named {
        let wrong = match scope.target(named) {
            Target::House(path) => wrong_room(source, room, &path),
            Target::Crate(name) => wrong_crate(source, room, &name, named.offset),
            Target::Std(name) if room.pure && !source.is_test(named.offset) => {
                IMPURE_STD.contains(&name.as_str()).then(|| {
                    format!("a pure room has no std::{name}; take what it gives as an argument")
                })
            }
            Target::Std(_) | Target::Local => None,
            Target::Leaves => Some("`super` leaves the room; name other rooms by `crate::`".into()),
            Target::Unexplained(name) => {
                Some(format!("`{name}` is no module of this file and no crate of Cargo.toml"))
            }
        };
        complaints.extend(wrong.map(|what| complaint(source, named.offset, &what)));
    }
    complaints
}

fn wrong_room(source: &Source, room: &Room, path: &[String]) -> Option<String> {
    let module = source.module();
    let Names::Only(others) = room.rooms else {
        return None;
    };
    let other = path.first()?;
    let task = TASKS.iter().find(|task| is_in(path, task));
    if let Some(task) = task.filter(|task| !is_in(&module, task)) {
        return Some(format!(
            "only app and cli name the task {task}; move what is shared out of it"
        ));
    }
    // a row may have a whole room, or one thing of it
    if module.first() == Some(other) || others.iter().any(|named| is_in(path, named)) {
        return None;
    }
    Some(format!(
        "{} must not name crate::{other}; it may name: {}. Move the code to a room above, or give it \
         what it needs as an argument",
        room.place,
        or_nothing(others)
    ))
}

fn wrong_crate(source: &Source, room: &Room, name: &str, offset: usize) -> Option<String> {
    let Names::Only(crates) = room.crates else {
        return None;
    };
    let for_tests = source.is_test(offset) && TEST_CRATES.contains(&name);
    (!crates.contains(&name) && !for_tests).then(|| {
        format!(
            "{} must not use the crate {name}; it may use: {}. Move the code to the room that owns it",
            room.place,
            or_nothing(crates)
        )
    })
}

fn or_nothing(names: &[&str]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

/// Does not wait, read clocks, log or talk to the world where it must not.
pub(crate) fn purity(source: &Source) -> Vec<Complaint> {
    let inside = source.path.starts_with("src/");
    if !inside || !room_of(&source.module()).is_some_and(|room| room.pure) {
        return Vec::new();
    }
    let tokens = source.tokens();
    let impure = tokens
        .iter()
        .filter(|token| IMPURE_WORDS.contains(&token.text) && !source.is_test(token.offset));
    impure
        .map(|token| {
            let what = format!(
                "`{}` in a pure room; what it gives must come in as an argument, or the code \
                 belongs to a task or an edge",
                token.text
            );
            complaint(source, token.offset, &what)
        })
        .collect()
}

mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let source = Source::parse(path, text);
        let all = names(&source).into_iter().chain(purity(&source));
        all.map(|complaint| complaint.to_string()).collect()
    }

    const WRONG_ROOMS: [(&str, &str, &str); 18] = [
        ("src/decide/x.rs", "use crate::store::Store;", "decide must not name crate::store"),
        ("src/decide/x.rs", "fn f() { crate::clock::now(); }", "crate::clock"),
        ("src/decide/x.rs", "use crate::{model::id::KeyId, usage::Ledger};", "crate::usage"),
        ("src/model/x.rs", "use crate::decide;", "crate::decide"),
        ("src/model/x.rs", "use super::super::decide::Reason;", "`super` leaves"),
        ("src/authorize.rs", "use super::model::id::KeyId;", "`super` leaves"),
        ("src/authorize.rs", "use super::*;", "`super` leaves"),
        ("src/authorize.rs", "mod inner { use super::super::store; }", "`super` leaves"),
        ("src/usage/mod.rs", "use crate::replica::Replica;", "crate::replica"),
        ("src/replica/lease.rs", "use crate::store::Store;", "crate::store"),
        ("src/replica/mod.rs", "pub mod follow;\nuse follow::Follower;", "task replica/follow"),
        ("src/rpc/health.rs", "use crate::usage::flush::Flush;", "task usage/flush"),
        ("src/admin.rs", "use crate::replica::Replica;", "crate::replica"),
        ("src/store/x.rs", "use crate::admin::Admin;", "crate::admin"),
        ("src/rpc/x.rs", "use crate::app::App;", "crate::app"),
        ("src/postgres/x.rs", "use crate::store::Store;", "crate::store"),
        ("src/tools.rs", "fn f() {}", "no row of HOUSE"),
        ("src/decide/tests.rs", "use crate::replica::Replica;", "crate::replica"),
    ];

    #[test]
    fn a_room_that_names_what_it_must_not_is_reported() {
        for (path, text, told) in WRONG_ROOMS {
            let found = complaints(path, text);
            assert!(
                found.iter().any(|complaint| complaint.contains(told)),
                "{path} {text} {found:?}"
            );
        }
    }

    #[test]
    fn a_room_that_uses_another_rooms_crate_is_reported() {
        for (path, text, told) in [
            ("src/decide/x.rs", "use ring::digest;", "crate ring"),
            ("src/model/x.rs", "fn f() { serde_json::json!(1); }", "crate serde_json"),
            ("src/admin.rs", "#[tonic::async_trait] trait X {}", "crate tonic"),
            ("src/rpc/x.rs", "use tokio_postgres::Row;", "crate tokio_postgres"),
            ("src/store/x.rs", "use tonic as t;", "crate tonic"),
            ("src/store/x.rs", "use proptest::prelude::*;", "crate proptest"),
            ("src/store/x.rs", "use somewhere::Else;", "no crate of Cargo.toml"),
            ("src/usage/mod.rs", "use std::{sync::Arc, thread};", "std::thread"),
            ("src/authorize.rs", "fn f() { std::fs::read(p); }", "std::fs"),
        ] {
            let found = complaints(path, text);
            assert!(
                found.iter().any(|complaint| complaint.contains(told)),
                "{path} {text} {found:?}"
            );
        }
    }

    #[test]
    fn a_pure_room_that_waits_reads_clocks_or_logs_is_reported() {
        for text in [
            "async fn f() {}",
            "fn f() { g().await; }",
            "fn f() { std::time::Instant::now(); }",
            "use std::time::SystemTime;",
            "fn f() { tracing::info!(a); }",
            "fn f() { println!(); }",
        ] {
            for path in
                ["src/model/x.rs", "src/decide/mod.rs", "src/authorize.rs", "src/replica/lease.rs"]
            {
                assert_ne!(complaints(path, text), [""; 0], "{path} {text}");
            }
        }
    }

    #[test]
    fn what_rooms_may_do_is_not_reported() {
        for (path, text) in [
            ("src/decide/mod.rs", "use crate::model::view::KeyView;"),
            (
                "src/decide/mod.rs",
                "#[cfg(test)]\nmod tests { use super::*; use proptest::prelude::*; use std::fs; }",
            ),
            (
                "src/replica/follow.rs",
                "use super::Applier;\nuse crate::store::Store;\nasync fn f() { tokio::select! {} }",
            ),
            (
                "src/store/keys.rs",
                "use super::row::field;\nuse tokio_postgres::{Row, types};\nfn f() { types::x(); }",
            ),
            ("src/model/x.rs", "use ring::digest;\nfn f() { digest::digest(); u64::from(1); }"),
            (
                "src/app.rs",
                "use crate::{admin, replica::follow};\nasync fn f() { tokio::spawn(g()); }",
            ),
            ("src/model/x.rs", "// use crate::store;\nconst A: &str = \"async tokio::spawn\";"),
            ("src/main.rs", "use keyward::app;"),
        ] {
            assert_eq!(complaints(path, text), [""; 0], "{path} {text}");
        }
    }
}
