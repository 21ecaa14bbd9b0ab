//! The grammar of permissions, over the wire.

use keyward::rpc::pb::AuthorizeRequest;

use super::{World, key_with, may, user_of};
use crate::support::client::assert_invalid;

/// What is granted, what that covers, and what it does not.
const GRANTS: [(&[&str], &str, &str); 14] = [
    (
        &["systems"],
        "systems systems.read systems.write systems.read.deep",
        "system systemsx x.systems",
    ),
    (&["systems.read"], "systems.read systems.read.x", "systems systems.write systems.readx"),
    (&["*"], "a a.b a.read keyward.keys.read", ""),
    (&["*.read"], "a.read b.read.c", "read a a.b.read a.write"),
    (&["*.*"], "a.b a.b.c", "a"),
    (&["a.*.read"], "a.b.read a.c.read.d", "a.read a.b a.b.c.read b.b.read"),
    (&["a.*"], "a.b a.b.c", "a b.a"),
    (&["public"], "a a.b public public.x", ""),
    (&["public.read"], "a.read systems.read.x", "a a.write public"),
    (&["public.write"], "a.write systems.write.x", "a a.read public"),
    (&["public.read", "own"], "a.read own own.write", "a.write"),
    (&["a.b", "a.c"], "a.b a.c.d", "a a.d"),
    (&["a-b_1.c"], "a-b_1.c", "a-b_1 a.c"),
    (&[], "", "a a.read public *x"),
];

fn cases<'a>(covered: &'a str, uncovered: &'a str) -> Vec<(&'a str, bool)> {
    let covered = covered.split_ascii_whitespace().map(|text| (text, true));
    let uncovered = uncovered.split_ascii_whitespace().map(|text| (text, false));
    covered.chain(uncovered).filter(|(text, _)| !text.contains('*')).collect()
}

#[tokio::test]
async fn a_grant_covers_the_same_wherever_it_is_given() {
    let mut world = World::new().await;
    for (number, (grants, covered, uncovered)) in GRANTS.into_iter().enumerate() {
        let name = format!("g{number}");
        world.group(&name, grants).await;
        world.user(user_of(&format!("by-{name}"), &[], &[&name])).await;
        world.user(user_of(&name, grants, &[])).await;
        let mut requests = vec![key_with(grants), key_with(&[]), key_with(&[]), key_with(&["*"])];
        requests[1].groups = vec![name.clone()];
        requests[2].user.clone_from(&name);
        requests[3].user = format!("by-{name}");
        for request in requests {
            let made = world.key(request).await;
            let claim = format!("{grants:?} for {:?}", made.key);
            world.permits(&claim, &made.token, &cases(covered, uncovered)).await;
        }
    }
}

#[tokio::test]
async fn what_is_needed_is_a_permission_without_stars() {
    let mut world = World::new().await;
    let made = world.key(key_with(&["*"])).await;
    let long = ["a"; 17].join(".");
    for permission in ["*", "a.*", "A", "a..b", ".a", "a.", "a b", "ä", "a.{action}", &long] {
        for token in [made.token.as_str(), "unknown"] {
            let refused = world.refuses(may(token, permission)).await;
            assert_invalid(Err::<(), _>(refused), &["permission"]);
        }
    }
    let right = ["a"; 16].join(".");
    assert_eq!(world.verdict(may(&made.token, &right)).await, "ALLOWED");
    let neither = AuthorizeRequest { permission: String::new(), ..may(&made.token, "") };
    assert_invalid(Err::<(), _>(world.refuses(neither).await), &["permission"]);
}
