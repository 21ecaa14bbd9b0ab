//! Changes at once: all are made or say that they are not, and what excludes each other does.

use keyward::rpc::pb;
use tonic::{Code, Status};

use super::{Removable, Thing, delete_key, events, group_of, key, key_of, made, texts, user_of};
use crate::support::{
    client::{Access, assert_status, reason_of},
    operator::Site,
};

const ROUNDS: usize = 12;

#[tokio::test]
async fn of_many_updates_of_one_group_each_is_made_or_aborted() {
    let site = Site::shared();
    let group = made(&site, group_of("default", &[])).await;
    let clients = (0..6).map(|client| (client, site.server.access()));
    let writers = clients.map(async |(client, mut access): (usize, Access)| {
        let mut applied = vec![];
        for turn in 0..8 {
            // adds a permission of its own to those that it sees
            let mut seen = group.get(&mut access).await.unwrap();
            let mine = format!("client{client}.turn{turn}");
            seen.permissions.push(mine.clone());
            match seen.update(&mut access, &["permissions"], false).await {
                Ok((shown, revision)) => {
                    assert_eq!(shown.permissions, seen.permissions);
                    applied.push((revision, mine));
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::Aborted, "{status:?}");
                    assert!(["ETAG_MISMATCH", "CONFLICT"].contains(&&*reason_of(&status)));
                }
            }
        }
        applied
    });
    let applied = futures_util::future::join_all(writers).await;
    let mut applied: Vec<_> = applied.into_iter().flatten().collect();
    applied.sort();
    let expected: Vec<_> = applied.iter().map(|(_, mine)| mine.clone()).collect();
    let access = &mut site.server.access();
    assert_eq!(group.get(access).await.unwrap().permissions, expected);
    let changes = events(&site, "group", &group.subject()).await;
    assert_eq!(changes.len(), 1 + applied.len());
    for pair in changes.windows(2) {
        assert_eq!(pair[0].3, pair[1].2);
    }
}

#[tokio::test]
async fn updates_without_an_etag_are_all_made() {
    let site = Site::shared();
    let group = made(&site, group_of("default", &[])).await;
    let clients = (0..6).map(|client| (client, site.server.access()));
    let writers = clients.map(async |(client, mut access): (usize, Access)| {
        let sent = pb::PermissionGroup {
            description: format!("By {client}"),
            permissions: texts(&["a"]),
            etag: String::new(),
            ..group.clone()
        };
        let path = if client % 2 == 0 { "description" } else { "permissions" };
        match sent.update(&mut access, &[path], false).await {
            Ok((_, revision)) => revision,
            Err(status) => {
                assert_status(Err::<(), Status>(status), Code::Aborted, "CONFLICT");
                0
            }
        }
    });
    let revisions = futures_util::future::join_all(writers).await;
    let shown = group.get(&mut site.server.access()).await.unwrap();
    assert_eq!(shown.permissions, ["a"]);
    let changes = events(&site, "group", &group.subject()).await;
    for pair in changes.windows(2) {
        assert_eq!(pair[0].3, pair[1].2);
    }
    for (_, revision, ..) in &changes[1..] {
        assert!(revisions.contains(revision));
    }
}

/// Of two that exclude each other one succeeds, and the other says why it does not.
fn assert_exclusive<A, B>(one: Result<A, Status>, other: Result<B, Status>, reasons: [&str; 2]) {
    let told = |result: Result<(), Status>| result.map_err(|status| reason_of(&status));
    let found = (told(one.map(drop)), told(other.map(drop)));
    let [one, other] = reasons.map(|reason| Err(reason.to_owned()));
    assert!(found == (Ok(()), other.clone()) || found == (one.clone(), Ok(())), "{found:?}");
}

#[tokio::test]
async fn nobody_makes_a_key_for_a_user_who_goes() {
    let site = Site::shared();
    let (mut admin, mut access) = (site.admin(), site.server.access());
    for _ in 0..ROUNDS {
        let user = made(&site, user_of("default", &[])).await;
        let request = pb::CreateKeyRequest { user: user.id.clone(), ..key_of("default") };
        let (made, gone) = tokio::join!(admin.create_key(request), user.delete(&mut access, false));
        assert_exclusive(made, gone, ["INVALID_FIELD", "USER_IN_USE"]);
    }
}

#[tokio::test]
async fn nobody_gives_a_group_that_goes() {
    let site = Site::shared();
    let (mut admin, mut access) = (site.admin(), site.server.access());
    let mut other = site.server.access();
    for _ in 0..ROUNDS {
        let group = made(&site, group_of("default", &[])).await;
        let groups = vec![group.name.clone()];
        let request = pb::CreateKeyRequest { groups: groups.clone(), ..key_of("default") };
        let (made_key, gone) =
            tokio::join!(admin.create_key(request), group.delete(&mut access, false));
        assert_exclusive(made_key, gone, ["INVALID_FIELD", "GROUP_IN_USE"]);

        let group = made(&site, group_of("default", &[])).await;
        let user = made(&site, user_of("default", &[])).await;
        let user = pb::User { groups: vec![group.name.clone()], ..user };
        let (given, gone) = tokio::join!(
            user.update(&mut other, &["groups"], false),
            group.delete(&mut access, false)
        );
        assert_exclusive(given, gone, ["INVALID_FIELD", "GROUP_IN_USE"]);
    }
}

#[tokio::test]
async fn nobody_makes_a_key_or_a_template_for_an_environment_that_goes() {
    let site = Site::shared();
    let (mut admin, mut access) = (site.admin(), site.server.access());
    let mut other = site.server.access();
    for _ in 0..ROUNDS {
        let environment = made(&site, pb::Environment::whole(&site).await).await;
        let name = environment.name.clone();
        let request = pb::CreateKeyRequest { environment: name, ..key_of("default") };
        let (made_key, gone) =
            tokio::join!(admin.create_key(request), environment.delete(&mut access, false));
        assert_exclusive(made_key, gone, ["INVALID_FIELD", "ENVIRONMENT_IN_USE"]);

        let environment = made(&site, pb::Environment::whole(&site).await).await;
        let template = pb::Template {
            default_environment: environment.name.clone(),
            ..pb::Template::whole(&site).await
        };
        let (made_template, gone) = tokio::join!(
            template.create(&mut other, false),
            environment.delete(&mut access, false)
        );
        assert_exclusive(made_template, gone, ["INVALID_FIELD", "ENVIRONMENT_IN_USE"]);
    }
}

#[tokio::test]
async fn no_key_comes_back_to_a_user_who_goes() {
    let site = Site::shared();
    let (mut admin, mut access) = (site.admin(), site.server.access());
    for _ in 0..ROUNDS {
        let user = made(&site, user_of("default", &[])).await;
        let request = pb::CreateKeyRequest { user: user.id.clone(), ..key_of("default") };
        let its = key(&site, request).await.key;
        delete_key(&mut admin, &its).await.unwrap();
        let request = pb::UndeleteKeyRequest { id: its.id, etag: String::new() };
        let (back, gone) =
            tokio::join!(admin.undelete_key(request), user.delete(&mut access, false));
        assert_exclusive(back, gone, ["USER_NOT_FOUND", "USER_IN_USE"]);
    }
}

#[tokio::test]
async fn of_two_who_remove_a_thing_one_does() {
    let site = Site::shared();
    let (mut access, mut other) = (site.server.access(), site.server.access());
    for _ in 0..ROUNDS {
        let group = made(&site, group_of("default", &[])).await;
        let (one, two) =
            tokio::join!(group.delete(&mut access, false), group.delete(&mut other, false));
        assert_exclusive(one, two, ["GROUP_NOT_FOUND"; 2]);
        let template = made(&site, pb::Template::whole(&site).await).await;
        let (one, two) =
            tokio::join!(template.delete(&mut access, false), template.delete(&mut other, false));
        assert_exclusive(one, two, ["TEMPLATE_NOT_FOUND"; 2]);
    }
}
