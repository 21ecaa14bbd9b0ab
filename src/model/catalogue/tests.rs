use super::*;

fn entry(name: &str) -> CatalogueEntry {
    let display_name = DisplayName::parse(&format!("The {name}")).unwrap();
    CatalogueEntry::new(name, display_name, Prose::default()).unwrap()
}

fn entries(names: &[&str]) -> CatalogueEntries {
    CatalogueEntries::new(names.iter().map(|name| entry(name)).collect()).unwrap()
}

fn is_inside(names: &[&str], grant: &str) -> bool {
    entries(names).first_unknown(&Grants::parse(&[grant]).unwrap()).is_none()
}

#[test]
fn grants_of_a_catalogue_are_inside_and_typing_errors_are_not() {
    const KNOWN: [&str; 3] = ["systems", "users.read", "zones.own.write"];
    for (grant, expected) in [
        // what it has
        ("systems", true),
        ("users.read", true),
        ("zones.own.write", true),
        // reading and writing of a scope
        ("systems.read", true),
        ("systems.write", true),
        // a scope that has an entry below it
        ("users", true),
        ("zones", true),
        ("zones.own", true),
        // wild words and aliases that cover an entry, or its reading or writing
        ("*", true),
        ("public", true),
        ("*.read", true),
        ("*.write", true),
        ("public.read", true),
        ("public.write", true),
        ("systems.*", true),
        ("users.*", true),
        ("*.own", true),
        ("*.own.write", true),
        ("zones.*.write", true),
        ("*.*.*.*", true),
        // typing errors
        ("system", false),
        ("systemsx", false),
        ("systems-read", false),
        ("systemsx.read", false),
        ("systems.reads", false),
        ("systems.delete", false),
        ("systems.read.own", false),
        ("users.write", false),
        ("users.read.own", false),
        ("user.read", false),
        ("zones.write", false),
        ("zones.own.read", false),
        ("zones.other", false),
        // wild words that cover nothing of it
        ("*.delete", false),
        ("*.own.read", false),
        ("users.*.own", false),
        ("*.*.*.*.*", false),
    ] {
        assert_eq!(is_inside(&KNOWN, grant), expected, "{grant}");
    }
}

#[test]
fn wild_grants_are_inside_only_where_there_is_something_for_them() {
    for (known, grant, expected) in [
        ("systems.read", "*.read", true),
        ("systems.read", "*.write", false),
        ("systems.read", "public.read", true),
        ("systems.read", "public.write", false),
        ("systems.read", "public", true),
        ("systems", "*.*", true),
        ("systems", "*.*.*", false),
    ] {
        assert_eq!(is_inside(&[known], grant), expected, "{known} {grant}");
    }
}

#[test]
fn without_entries_every_grant_is_inside() {
    assert!(is_inside(&[], "anything.at.all"));
    assert!(is_inside(&[], "*"));
}

#[test]
fn the_first_grant_outside_is_told_by_its_position() {
    let grants = Grants::parse(&["systems", "*.read", "sytems", "user"]).unwrap();
    assert_eq!(entries(&["systems"]).first_unknown(&grants), Some(2));
    assert_eq!(entries(&["systems", "sytems"]).first_unknown(&grants), Some(3));
    assert_eq!(entries(&["systems"]).first_unknown(&Grants::default()), None);
}

#[test]
fn a_scope_as_deep_as_permissions_go_is_inside_its_own_catalogue() {
    let deep = ["a"; 16].join(".");
    assert!(is_inside(&[&deep], &deep));
    assert!(is_inside(&[&deep], "a.a"));
}

#[test]
fn entries_are_permissions_without_wild_words() {
    let name = || DisplayName::parse("x").unwrap();
    for text in ["*", "*.read", "Systems", "", "a..b"] {
        assert!(CatalogueEntry::new(text, name(), Prose::default()).is_err(), "{text}");
    }
    assert!(CatalogueEntry::new("public.systems", name(), Prose::default()).is_err());
    assert_eq!(entry("systems.read").name(), "systems.read");
}

#[test]
fn no_entry_comes_twice_and_a_thousand_are_the_most() {
    let new = |names: &[&str]| CatalogueEntries::new(names.iter().map(|n| entry(n)).collect());
    assert_eq!(new(&["a", "b", "a", "b"]), Err((2, InvalidCatalogue::Duplicate)));
    let many = |count: usize| (0..count).map(|n| entry(&format!("p{n}"))).collect::<Vec<_>>();
    assert_eq!(CatalogueEntries::new(many(1000)).unwrap().iter().count(), 1000);
    assert_eq!(CatalogueEntries::new(many(1001)), Err((1000, InvalidCatalogue::TooMany)));
}

#[test]
fn a_permission_has_the_name_for_people_of_its_own_entry_alone() {
    let known = entries(&["systems", "systems.read"]);
    assert_eq!(known.display_name("systems.read"), Some("The systems.read"));
    assert_eq!(known.display_name("systems"), Some("The systems"));
    assert_eq!(known.display_name("systems.write"), None);
}
