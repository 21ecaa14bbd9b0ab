//! Many changes of all that says what a key may do.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use keyward::rpc::pb::{CreateKeyRequest, Key};
use tokio::task::JoinSet;

use super::{World, key_with, may, texts, user_of};
use crate::support::{
    client::{Asker, Made},
    eventually,
};

const WORDS: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const USERS: [&str; 2] = ["u0", "u1"];

type Words = BTreeSet<&'static str>;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn some(&mut self, of: &[&'static str]) -> Words {
        of.iter().copied().filter(|_| self.roll(2) == 0).collect()
    }
}

/// What something has of its own, and which groups.
#[derive(Clone, Default)]
struct Has {
    own: Words,
    groups: Words,
}

impl Has {
    fn roll(dice: &mut Dice) -> Self {
        Self { own: dice.some(&WORDS), groups: dice.some(&GROUPS) }
    }
}

/// All that says what keys may do, as the contract puts it.
struct Model {
    groups: [Words; 3],
    users: [Has; 2],
    keys: Vec<(Made, Has, Option<usize>)>,
}

impl Model {
    fn gives(&self, has: &Has, word: &str) -> bool {
        let of = |name: &&str| &self.groups[GROUPS.iter().position(|group| group == name).unwrap()];
        has.own.contains(word) || has.groups.iter().any(|name| of(name).contains(word))
    }

    fn may(&self, has: &Has, user: Option<usize>, word: &str) -> bool {
        let Some(user) = user else { return self.gives(has, word) };
        let has_none = has.own.is_empty() && has.groups.is_empty();
        self.gives(&self.users[user], word) && (has_none || self.gives(has, word))
    }
}

fn list(words: &Words) -> Vec<&'static str> {
    words.iter().copied().collect()
}

#[tokio::test]
async fn after_any_changes_a_key_may_what_the_contract_says() {
    let mut world = World::new().await;
    let mut dice = Dice(7);
    let mut model = Model { groups: Default::default(), users: Default::default(), keys: vec![] };
    for name in GROUPS {
        world.group(name, &[]).await;
    }
    for name in USERS {
        world.user(user_of(name, &[], &[])).await;
    }
    for _ in 0..4 {
        let made = world.key(key_with(&[])).await;
        model.keys.push((made, Has::default(), None));
    }
    let mut allowed = 0;
    for _ in 0..60 {
        match dice.roll(3) {
            0 => {
                let at = dice.roll(3);
                model.groups[at] = dice.some(&WORDS);
                world.change_group(GROUPS[at], &list(&model.groups[at])).await;
            }
            1 => {
                let at = dice.roll(2);
                let has = Has::roll(&mut dice);
                world.change_user(user_of(USERS[at], &list(&has.own), &list(&has.groups))).await;
                model.users[at] = has;
            }
            _ => {
                let at = dice.roll(4);
                let has = if dice.roll(3) == 0 { Has::default() } else { Has::roll(&mut dice) };
                let user = [None, Some(0), Some(1)][dice.roll(3)];
                let key = Key {
                    permissions: texts(&list(&has.own)),
                    groups: texts(&list(&has.groups)),
                    user: user.map_or("", |user| USERS[user]).into(),
                    ..Key::default()
                };
                let paths = ["permissions", "groups", "user"];
                world.change_key(&model.keys[at].0, key, &paths).await;
                (model.keys[at].1, model.keys[at].2) = (has, user);
            }
        }
        for (made, has, user) in &model.keys {
            let cases = WORDS.map(|word| (word, model.may(has, *user, word)));
            allowed += cases.iter().filter(|(_, allowed)| *allowed).count();
            world.permits("as the contract says", &made.token, &cases).await;
        }
    }
    assert!((100..620).contains(&allowed), "both answers are frequent: {allowed} of 720");
}

/// The key's group and user never give it the same at one time. A reader that sees several changes at
/// once must not put an old half to a new one.
#[tokio::test]
async fn no_mixture_of_old_and_new_allows_what_never_was_allowed() {
    let mut world = World::new().await;
    world.group("group", &["a"]).await;
    world.user(user_of("ida", &["b"], &[])).await;
    let request =
        CreateKeyRequest { user: "ida".into(), groups: texts(&["group"]), ..key_with(&[]) };
    let made = world.key(request).await;
    world.permits("from the start", &made.token, &[("a", false), ("b", false)]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let mut askers = JoinSet::new();
    for server in [&world.writer, &world.reader] {
        for permission in ["a", "b"] {
            let (Asker(mut client), request) = (server.asker(), may(&made.token, permission));
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            askers.spawn(async move {
                while !stop.load(Relaxed) {
                    let answer = client.authorize(request.clone()).await.unwrap();
                    assert!(!answer.get_ref().allowed, "{permission}");
                    asked.fetch_add(1, Relaxed);
                }
            });
        }
    }
    for _ in 0..25 {
        world.change_group("group", &[]).await;
        world.change_user(user_of("ida", &["a"], &[])).await;
        world.change_group("group", &["b"]).await;
        world.change_user(user_of("ida", &[], &[])).await;
        world.change_group("group", &["a"]).await;
        world.change_user(user_of("ida", &["b"], &[])).await;
    }
    eventually("much was asked", async || (asked.load(Relaxed) >= 200).then_some(())).await;
    stop.store(true, Relaxed);
    while let Some(ended) = askers.join_next().await {
        ended.unwrap();
    }
}
