use super::*;

fn names(parsed: &GroupNames) -> Vec<&str> {
    parsed.iter().map(GroupName::as_str).collect()
}

#[test]
fn names_of_groups_keep_their_order() {
    assert_eq!(names(&GroupNames::parse(&["staff", "a-1"]).unwrap()), ["staff", "a-1"]);
    let none: [&str; 0] = [];
    assert_eq!(GroupNames::parse(&none).unwrap(), GroupNames::default());
}

#[test]
fn other_names_are_refused_by_their_position() {
    use InvalidGroups::{Duplicate, Name, TooMany};
    let long = "a".repeat(64);
    for (texts, expected) in [
        (&["staff", ""][..], (1, Name(InvalidName))),
        (&["Staff"], (0, Name(InvalidName))),
        (&["1st"], (0, Name(InvalidName))),
        (&["a b"], (0, Name(InvalidName))),
        (&["a", &long], (1, Name(InvalidName))),
        (&["a", "b", "a"], (2, Duplicate)),
    ] {
        assert_eq!(GroupNames::parse(texts), Err(expected), "{texts:?}");
    }
    assert!(GroupNames::parse(&[&long[..63]]).is_ok());
    let many: Vec<String> = (0..11).map(|n| format!("g{n}")).collect();
    assert_eq!(GroupNames::parse(&many), Err((10, TooMany)));
    assert_eq!(names(&GroupNames::parse(&many[..10]).unwrap()), many[..10]);
}

#[test]
fn a_group_that_was_deleted_still_counts_as_one() {
    let gone = GroupRef { uid: 1, name: GroupName::parse("staff").unwrap(), deleted: true };
    let groups = Groups::new(vec![gone.clone()]);
    assert!(!groups.is_empty());
    assert_eq!(groups.iter().collect::<Vec<_>>(), [&gone]);
    assert!(Groups::default().is_empty());
}
