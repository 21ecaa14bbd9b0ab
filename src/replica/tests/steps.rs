//! While several things change together, nothing is permitted that neither all old nor all new
//! contents permit.

use super::{scoping::*, *};

const GRANTS: [&str; 4] = ["a", "b", "*", "c.read"];
const NEEDED: [&str; 3] = ["a", "b", "c.read"];
const ROUTE_MAPS: [&str; 3] = ["* /r a", "* /r b", ""];
const GROUPS: [i64; 2] = [1, 2];
const USER: i64 = 7;

/// All that there is: a domain, perhaps groups, a user and a key.
#[derive(Clone, Debug)]
struct State {
    enabled: bool,
    route_map: usize,
    /// What each gives; `None`: there is no such group.
    groups: [Option<String>; 2],
    user: Option<User>,
    key: Option<Key>,
}

#[derive(Clone, Debug)]
struct User {
    enabled: bool,
    grants: String,
    groups: String,
}

#[derive(Clone, Debug)]
struct Key {
    active: bool,
    grants: Vec<&'static str>,
    user: bool,
    groups: String,
}

fn grants() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(GRANTS.to_vec(), 0..=2)
}

fn text() -> impl Strategy<Value = String> {
    grants().prop_map(|grants| grants.join(" "))
}

fn numbers() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "1", "2", "1 2"]).prop_map(String::from)
}

fn states() -> impl Strategy<Value = State> {
    let mostly = || prop::bool::weighted(0.85);
    let user = (mostly(), text(), numbers()).prop_map(|(enabled, grants, groups)| User {
        enabled,
        grants,
        groups,
    });
    let key = (mostly(), grants(), any::<bool>(), numbers())
        .prop_map(|(active, grants, user, groups)| Key { active, grants, user, groups });
    let group = || prop::option::weighted(0.7, text());
    let shared = (mostly(), 0..ROUTE_MAPS.len(), [group(), group()]);
    (shared, prop::option::weighted(0.8, user), prop::option::weighted(0.9, key)).prop_map(
        |((enabled, route_map, groups), user, key)| State { enabled, route_map, groups, user, key },
    )
}

/// One step of applying a state; the steps of what keys share come first.
type Step<'a> = Box<dyn Fn(&mut Applier) + 'a>;

impl State {
    fn shared_steps(&self, remove: bool) -> Vec<Step<'_>> {
        let mut steps: Vec<Step<'_>> = Vec::new();
        steps.push(Box::new(|applier| {
            put_domain(applier, self.enabled, ROUTE_MAPS[self.route_map]);
        }));
        for (uid, grants) in GROUPS.into_iter().zip(&self.groups) {
            match grants {
                Some(grants) => {
                    steps.push(Box::new(move |applier| put_group(applier, uid, grants)));
                }
                None if remove => steps.push(Box::new(move |applier| applier.remove_group(uid))),
                None => {}
            }
        }
        match &self.user {
            Some(User { enabled, grants, groups }) => steps.push(Box::new(move |applier| {
                put_user(applier, USER, *enabled, grants, groups);
            })),
            None if remove => steps.push(Box::new(|applier| applier.remove_user(USER))),
            None => {}
        }
        steps
    }

    fn key_steps(&self, remove: bool) -> Vec<Step<'_>> {
        match &self.key {
            Some(Key { active, grants, user, groups }) => {
                let number = USER.to_string();
                let user = if *user { number.as_str() } else { "" };
                let key = numbered(1).grants(grants).numbers(user, groups);
                let key = if *active { key } else { key.inactive() };
                vec![Box::new(move |applier| put(applier, &key))]
            }
            None if remove => vec![Box::new(|applier| applier.remove(id(1)))],
            None => Vec::new(),
        }
    }

    /// As a batch of the change log is applied.
    fn batch(&self) -> Vec<Step<'_>> {
        let mut steps = self.shared_steps(true);
        steps.extend(self.key_steps(true));
        steps
    }

    /// As all is loaded anew: what is gone is not named.
    fn reload(&self) -> Vec<Step<'_>> {
        let mut steps = self.shared_steps(false);
        steps.push(Box::new(|applier| applier.retain_shared(&self.present())));
        steps.extend(self.key_steps(false));
        steps.push(Box::new(|applier| applier.retain(&self.present())));
        steps
    }

    fn present(&self) -> Present {
        let there = GROUPS.into_iter().zip(&self.groups).filter(|(_, grants)| grants.is_some());
        Present {
            groups: there.map(|(uid, _)| uid).collect(),
            users: self.user.iter().map(|_| USER).collect(),
            ..present(self.key.iter().map(|_| 1))
        }
    }

    /// What is permitted when there is this and nothing else.
    fn permitted(&self) -> Vec<&'static str> {
        let (replica, mut applier) = Replica::new(Duration::from_secs(10));
        for step in self.batch() {
            step(&mut applier);
        }
        applier.reached(1, None);
        permitted(&replica)
    }
}

/// Which of the permissions, and the route, the key is let through for.
fn permitted(replica: &Replica) -> Vec<&'static str> {
    let mut permitted: Vec<_> =
        NEEDED.into_iter().filter(|needed| may(replica, 1, needed)).collect();
    if may_go(replica, 1, "/r") {
        permitted.push("/r");
    }
    permitted
}

fn assert_in_either(replica: &Replica, old: &[&str], new: &[&str]) -> Result<(), TestCaseError> {
    for one in permitted(replica) {
        prop_assert!(
            old.contains(&one) || new.contains(&one),
            "{}, not in {:?} {:?}",
            one,
            old,
            new
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn at_every_step_of_a_change_only_what_all_old_or_all_new_contents_permit_is_permitted(
        old in states(), new in states(), anew: bool,
    ) {
        let (before, after) = (old.permitted(), new.permitted());
        let (replica, mut applier) = Replica::new(Duration::from_secs(10));
        for step in old.batch() {
            step(&mut applier);
        }
        applier.reached(1, None);
        prop_assert_eq!(&permitted(&replica), &before);
        for step in if anew { new.reload() } else { new.batch() } {
            step(&mut applier);
            assert_in_either(&replica, &before, &after)?;
        }
        applier.reached(2, None);
        prop_assert_eq!(permitted(&replica), after);
    }

    #[test]
    fn so_it_is_when_a_change_is_broken_off_and_a_later_one_begins(
        old in states(), lost in states(), new in states(), done in 0..5_usize, anew: bool,
    ) {
        let (before, after) = (old.permitted(), new.permitted());
        let (replica, mut applier) = Replica::new(Duration::from_secs(10));
        for step in old.batch() {
            step(&mut applier);
        }
        applier.reached(1, None);
        for step in lost.shared_steps(true).into_iter().take(done) {
            step(&mut applier);
            assert_in_either(&replica, &before, &after)?;
        }
        if anew {
            applier.restart();
        }
        for step in if anew { new.reload() } else { new.batch() } {
            assert_in_either(&replica, &before, &after)?;
            step(&mut applier);
        }
        assert_in_either(&replica, &before, &after)?;
        applier.reached(2, None);
        prop_assert_eq!(permitted(&replica), after);
    }
}
