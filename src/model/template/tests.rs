use super::*;

fn permissions(required: &[&str], optional: &[&str]) -> TemplatePermissions {
    TemplatePermissions {
        required: Grants::parse(required).unwrap(),
        optional: Grants::parse(optional).unwrap(),
    }
}

fn texts(grants: &Grants) -> Vec<&str> {
    grants.iter().collect()
}

#[test]
fn a_key_gets_what_is_required_and_of_the_optional_what_is_chosen() {
    let recipe = permissions(&["users.read", "systems.read"], &["zones.read", "control"]);
    let with = |chosen: &[&str]| recipe.with(chosen).map(|grants| texts(&grants).join(" "));
    assert_eq!(with(&[]).unwrap(), "users.read systems.read");
    assert_eq!(with(&["control"]).unwrap(), "users.read systems.read control");
    let all = "users.read systems.read control zones.read";
    assert_eq!(with(&["control", "zones.read"]).unwrap(), all);
}

#[test]
fn what_is_not_optional_or_chosen_twice_is_told_by_its_position() {
    use InvalidPermission::{Duplicate, NotOptional};
    let recipe = permissions(&["users.read", "systems.read"], &["zones", "control"]);
    for (chosen, expected) in [
        (&["users.read"][..], (0, NotOptional)),
        (&["zones", "other"], (1, NotOptional)),
        (&["zones.read"], (0, NotOptional)),
        (&["*"], (0, NotOptional)),
        (&["Not A Permission"], (0, NotOptional)),
        (&[""], (0, NotOptional)),
        (&["zones", "zones"], (1, Duplicate)),
        (&["zones", "control", "zones"], (2, Duplicate)),
    ] {
        assert_eq!(recipe.with(chosen), Err(expected), "{chosen:?}");
    }
}

#[test]
fn a_template_whose_keys_could_not_have_all_of_it_is_refused() {
    use InvalidPermission::{Duplicate, TooMany};
    let check = |required: &[&str], optional: &[&str]| permissions(required, optional).check();
    assert_eq!(check(&[], &[]), Ok(()));
    assert_eq!(check(&["a"], &["b", "c"]), Ok(()));
    let field = |at: usize| format!("optional_permissions[{at}]");
    assert_eq!(check(&["a", "b"], &["c", "b"]), Err((field(1), Duplicate)));
    assert_eq!(check(&["a"], &["a"]), Err((field(0), Duplicate)));
    let many = |name: &str, count: usize| -> Vec<String> {
        (0..count).map(|n| format!("{name}{n}")).collect()
    };
    let (required, optional) = (many("r", 60), many("o", 41));
    let slices = |texts: &[String]| Grants::parse(texts).unwrap();
    let both = |optional: &[String]| TemplatePermissions {
        required: slices(&required),
        optional: slices(optional),
    };
    assert_eq!(both(&optional[..40]).check(), Ok(()));
    assert_eq!(both(&optional).check(), Err((field(40), TooMany)));
}

#[test]
fn a_lifetime_is_of_whole_seconds_up_to_a_hundred_years() {
    let longest = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    for span in [Duration::from_secs(1), Duration::from_secs(90), longest] {
        assert_eq!(Lifetime::parse(span).unwrap().span(), span);
    }
    for span in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(1500),
        longest + Duration::from_secs(1),
        longest + Duration::from_nanos(1),
        Duration::MAX,
    ] {
        assert_eq!(Lifetime::parse(span), Err(InvalidLifetime), "{span:?}");
    }
}
