//! Rows of what keys share that cannot be read: they give nothing, and harm no others.

use keyward::rpc::pb::{AuthorizeRequest, CreateKeyRequest};

use crate::{
    scoping::{World, key_with, may, may_go, texts, user_of},
    support::{client::verdict, eventually, log::conclude_all, server::Server},
};

/// A row that is made unreadable, as the log names it, and what it comes to.
struct Harm {
    statement: &'static str,
    repair: &'static str,
    kind: &'static str,
    subject: &'static str,
    logged: &'static str,
    request: AuthorizeRequest,
    expected: &'static str,
}

fn harms(token: &str) -> [Harm; 4] {
    let group = Harm {
        statement: "UPDATE keyward.permission_group SET permissions = '{a,\"Not one!\"}'
            WHERE name = 'readers'",
        repair: "UPDATE keyward.permission_group SET permissions = '{a}' WHERE name = 'readers'",
        kind: "group",
        subject: "SELECT uid::text FROM keyward.permission_group WHERE name = 'readers'",
        logged: "a group cannot be read and gives nothing",
        request: may(token, "a"),
        expected: "403 PERMISSION_DENIED",
    };
    let user = Harm {
        statement: "UPDATE keyward.domain_user SET permissions = '{*,\"Not one!\"}'
            WHERE id = 'ida'",
        repair: "UPDATE keyward.domain_user SET permissions = '{*}' WHERE id = 'ida'",
        kind: "user",
        subject: "SELECT uid::text FROM keyward.domain_user WHERE id = 'ida'",
        logged: "a user cannot be read and is denied",
        request: may(token, "a"),
        expected: "401 USER_DISABLED",
    };
    let map = |statement| Harm {
        statement,
        repair: "UPDATE keyward.route_map SET entries = '{* /x a}' WHERE domain = 'tenant'",
        kind: "route_map",
        subject: "SELECT 'tenant'",
        logged: "a domain cannot be read and is denied",
        request: may_go(token, "GET", "/x"),
        expected: "401 DOMAIN_DISABLED",
    };
    [
        group,
        user,
        map("UPDATE keyward.route_map SET entries = '{* /x a,nothing}' WHERE domain = 'tenant'"),
        map("UPDATE keyward.route_map SET entries = '{* /x a,* /x b}' WHERE domain = 'tenant'"),
    ]
}

#[tokio::test]
async fn what_cannot_be_read_denies_is_logged_and_recovers() {
    for number in 0..4 {
        let mut world = World::new().await;
        world.domain("tenant").await;
        world.group("tenant/readers", &["a"]).await;
        world.group("others", &["a"]).await;
        world.user(user_of("tenant/ida", &["*"], &[])).await;
        world.user(user_of("ole", &["*"], &[])).await;
        world.map("tenant", &["* /x a"]).await;
        world.map("", &["* /x a"]).await;
        let request = CreateKeyRequest {
            domain: "tenant".into(),
            user: "ida".into(),
            groups: texts(&["readers"]),
            ..key_with(&[])
        };
        let made = world.key(request).await;
        let other =
            CreateKeyRequest { user: "ole".into(), groups: texts(&["others"]), ..key_with(&[]) };
        let other = world.key(other).await;
        let harm = harms(&made.token).into_iter().nth(number).unwrap();
        assert_eq!(world.verdict(harm.request.clone()).await, "ALLOWED");

        let mut client = world.database.connect().await;
        let drop = "ALTER TABLE keyward.permission_group
                DROP CONSTRAINT permission_group_permissions_plain;
            ALTER TABLE keyward.domain_user DROP CONSTRAINT domain_user_permissions_plain";
        client.batch_execute(drop).await.unwrap();
        let subject: String = client.query_one(harm.subject, &[]).await.unwrap().get(0);
        let tx = client.transaction().await.unwrap();
        tx.batch_execute(harm.statement).await.unwrap();
        world.revision = conclude_all(&tx, &[(harm.kind, &subject)]).await;
        tx.commit().await.unwrap();
        println!("{}", harm.statement);
        assert_eq!(world.verdict(harm.request.clone()).await, harm.expected);
        for request in [may(&other.token, "a"), may_go(&other.token, "GET", "/x")] {
            assert_eq!(world.verdict(request).await, "ALLOWED", "others are not harmed");
        }
        // the same for who finds it when all is loaded
        let late = Server::start(&world.database).await;
        let told = verdict(&late.asker().ask(harm.request.clone()).await);
        assert_eq!(told, harm.expected);
        for server in [&world.writer, &world.reader, &late] {
            assert!(server.log_line(harm.logged).is_some(), "{}", harm.logged);
        }

        let tx = client.transaction().await.unwrap();
        tx.batch_execute(harm.repair).await.unwrap();
        world.revision = conclude_all(&tx, &[(harm.kind, &subject)]).await;
        tx.commit().await.unwrap();
        assert_eq!(world.verdict(harm.request.clone()).await, "ALLOWED");
        eventually("the late one recovers", async || {
            let told = verdict(&late.asker().ask(harm.request.clone()).await);
            (told == "ALLOWED").then_some(())
        })
        .await;
    }
}

/// A group that is null must not make a key one without groups, which has all that its user has.
#[tokio::test]
async fn a_group_that_is_null_gives_nothing() {
    let mut world = World::new().await;
    world.group("readers", &["a"]).await;
    world.user(user_of("ida", &["*"], &[])).await;
    world.user(user_of("ole", &["*"], &["readers"])).await;
    let key = |user: &str, groups: &[&str]| CreateKeyRequest {
        user: user.into(),
        groups: texts(groups),
        ..key_with(&[])
    };
    let bound = world.key(key("ida", &["readers"])).await;
    let acting = world.key(key("ole", &[])).await;
    world.permits("before", &bound.token, &[("a", true), ("b", false)]).await;
    let mut client = world.database.connect().await;
    let uid = "SELECT uid::text FROM keyward.domain_user WHERE id = 'ole'";
    let uid: String = client.query_one(uid, &[]).await.unwrap().get(0);
    let tx = client.transaction().await.unwrap();
    let harm = "UPDATE keyward.key SET groups = '{NULL}' WHERE groups <> '{}';
        UPDATE keyward.domain_user SET groups = '{NULL}' WHERE id = 'ole'";
    tx.batch_execute(harm).await.unwrap();
    let changed = [("key", bound.key.id.as_str()), ("user", &uid)];
    world.revision = conclude_all(&tx, &changed).await;
    tx.commit().await.unwrap();
    for permission in ["a", "b"] {
        let found = world.verdict(may(&bound.token, permission)).await;
        assert_eq!(found, "401 KEY_INACTIVE", "{permission}");
        let found = world.verdict(may(&acting.token, permission)).await;
        assert_eq!(found, "401 USER_DISABLED", "{permission}");
    }
}
