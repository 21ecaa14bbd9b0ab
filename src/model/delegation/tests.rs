use super::*;

fn grants(texts: &[&str]) -> Grants {
    Grants::parse(texts).unwrap()
}

fn new(domains: &[&str]) -> Result<Delegation, (usize, InvalidDelegation)> {
    Delegation::new(domains, grants(&["systems"]))
}

#[test]
fn a_delegation_reaches_its_domains_and_no_other() {
    let bound = new(&["lab", "shop-2"]).unwrap();
    for (name, expected) in [
        ("lab", true),
        ("shop-2", true),
        ("default", false),
        ("keyward", false),
        ("la", false),
        ("labs", false),
    ] {
        assert_eq!(bound.reaches(&DomainName::parse(name).unwrap()), expected, "{name}");
    }
    let names: Vec<&str> = bound.domains().iter().map(DomainName::as_str).collect();
    assert_eq!(names, ["lab", "shop-2"]);
    assert_eq!(bound.ceiling, grants(&["systems"]));
}

#[test]
fn an_empty_ceiling_is_one_that_lets_nothing_through() {
    let bound = Delegation::new(&["lab"], Grants::default()).unwrap();
    let asked = grants(&["systems"]);
    assert!(bound.ceiling.first_uncovered(&asked).is_some());
}

#[test]
fn other_domains_are_refused_by_their_position() {
    use InvalidDelegation::{Duplicate, Name, Number, OfAdmins};
    for (domains, expected) in [
        (&[][..], (0, Number)),
        (&["keyward"], (0, OfAdmins)),
        (&["lab", "keyward"], (1, OfAdmins)),
        (&["lab", "shop", "lab"], (2, Duplicate)),
        (&["lab", "No Domain"], (1, Name(InvalidName))),
        (&["*"], (0, Name(InvalidName))),
        (&[""], (0, Name(InvalidName))),
    ] {
        assert_eq!(new(domains), Err(expected), "{domains:?}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("d{n}")).collect();
    assert_eq!(Delegation::new(&many, grants(&[])), Err((100, Number)));
    assert_eq!(Delegation::new(&many[..100], grants(&[])).unwrap().domains().len(), 100);
}
