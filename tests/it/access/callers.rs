//! Who may call: authentication and permissions.

use std::collections::BTreeSet;

use keyward::rpc::pb;
use tonic::Code;

use super::{
    Removable, Thing,
    rpcs::{RPCS, Things},
};
use crate::support::{
    client::{assert_not_permitted, assert_status, create, new_key},
    operator::Site,
};

/// All permissions that calls need.
fn permissions() -> BTreeSet<&'static str> {
    RPCS.iter().map(|(_, permission)| *permission).collect()
}

/// That a refused call changed nothing, and that nothing was made.
async fn assert_untouched(site: &Site, things: &Things) {
    let access = &mut site.server.access();
    assert_eq!(things.domain.get(access).await.unwrap(), things.domain);
    assert_eq!(things.environment.get(access).await.unwrap(), things.environment);
    assert_eq!(things.user.get(access).await.unwrap(), things.user);
    assert_eq!(things.group.get(access).await.unwrap(), things.group);
    assert_eq!(things.template.get(access).await.unwrap(), things.template);
    assert_eq!(things.customer.get(access).await.unwrap(), things.customer);
}

#[tokio::test]
async fn each_call_takes_exactly_the_permission_that_is_documented() {
    let site = Site::shared();
    for permission in permissions() {
        let others: Vec<_> =
            permissions().into_iter().filter(|other| *other != permission).collect();
        let without = site.operator(&others).await.made.token;
        let with = site.operator(&[permission]).await.made.token;
        let mut without = site.server.access_as(&without);
        let mut with = site.server.access_as(&with);
        let things = Things::new(&site).await;
        let those = RPCS.iter().filter(|(_, needed)| *needed == permission);
        for (rpc, _) in those.clone() {
            assert_not_permitted(things.call(&mut without, rpc).await, permission);
        }
        assert_untouched(&site, &things).await;
        for (rpc, _) in those {
            let result = things.call(&mut with, rpc).await;
            assert!(result.is_ok(), "{rpc}: {result:?}");
        }
    }
}

#[tokio::test]
async fn with_the_permission_of_one_call_no_other_is_answered() {
    let site = Site::shared();
    let things = Things::new(&site).await;
    for permission in permissions() {
        let token = site.operator(&[permission]).await.made.token;
        let mut access = site.server.access_as(&token);
        for (rpc, needed) in RPCS.iter().filter(|(_, needed)| *needed != permission) {
            assert_not_permitted(things.call(&mut access, rpc).await, needed);
        }
    }
    assert_untouched(&site, &things).await;
}

#[tokio::test]
async fn trying_takes_the_same_permission_as_doing() {
    let site = Site::shared();
    let things = Things::new(&site).await;
    let nouns = ["domains", "environments", "users", "groups", "routes", "templates", "customers"];
    let readers: Vec<_> = nouns.iter().map(|noun| format!("keyward.{noun}.read")).collect();
    let readers: Vec<_> = readers.iter().map(String::as_str).collect();
    let token = site.operator(&readers).await.made.token;
    let access = &mut site.server.access_as(&token);
    let Things { domain, environment, user, group, template, customer, .. } = &things;
    let catalogue = pb::UpdateCatalogueRequest {
        catalogue: Some(pb::Catalogue::default()),
        validate_only: true,
    };
    let routes =
        pb::UpdateRouteMapRequest { route_map: Some(pb::RouteMap::default()), validate_only: true };
    let description = &["description"];
    for (result, needed) in [
        (domain.create(access, true).await.map(drop), "domains.write"),
        (domain.update(access, description, true).await.map(drop), "domains.write"),
        (access.update_catalogue(catalogue).await.map(drop), "domains.write"),
        (access.update_route_map(routes).await.map(drop), "routes.write"),
        (environment.create(access, true).await.map(drop), "environments.write"),
        (environment.update(access, description, true).await.map(drop), "environments.write"),
        (environment.delete(access, true).await.map(drop), "environments.delete"),
        (user.create(access, true).await.map(drop), "users.write"),
        (user.update(access, description, true).await.map(drop), "users.write"),
        (user.delete(access, true).await.map(drop), "users.delete"),
        (group.create(access, true).await.map(drop), "groups.write"),
        (group.update(access, description, true).await.map(drop), "groups.write"),
        (group.delete(access, true).await.map(drop), "groups.delete"),
        (template.create(access, true).await.map(drop), "templates.write"),
        (template.update(access, description, true).await.map(drop), "templates.write"),
        (template.delete(access, true).await.map(drop), "templates.delete"),
        (customer.create(access, true).await.map(drop), "customers.write"),
        (customer.update(access, description, true).await.map(drop), "customers.write"),
        (customer.delete(access, true).await.map(drop), "customers.delete"),
    ] {
        assert_not_permitted(result, &format!("keyward.{needed}"));
    }
}

#[tokio::test]
async fn a_change_tells_who_made_it_and_a_refused_one_who_tried() {
    let site = Site::shared();
    let things = Things::new(&site).await;
    let subject = things.user.subject();
    let operator = site.operator(&["keyward.users.write"]).await.made;
    let access = &mut site.server.access_as(&operator.token);
    things.call(access, "DisableUser").await.unwrap();
    for _ in 0..2 {
        assert_not_permitted(things.call(access, "DeleteUser").await, "keyward.users.delete");
    }
    let database = site.database.connect().await;
    let query = "SELECT actor, peer FROM keyward.audit_event
        WHERE kind = 'user' AND subject = $1 AND action = 'users.disable'";
    let row = database.query_one(query, &[&subject]).await.unwrap();
    let peer: String = row.get("peer");
    assert_eq!((row.get("actor"), peer.as_str()), (operator.key.id.as_str(), "127.0.0.1"));
    let query = "SELECT sum(times)::int8 AS times, min(first_subject) AS subject,
            min(last_peer) AS peer FROM keyward.refusal
        WHERE actor = $1 AND action = 'users.delete' AND reason = 'PERMISSION_MISSING'";
    let row = database.query_one(query, &[&operator.key.id]).await.unwrap();
    let (times, tried): (i64, String) = (row.get("times"), row.get("subject"));
    assert_eq!((times, tried), (2, subject));
    assert_eq!(row.get::<_, String>("peer"), "127.0.0.1");
}

#[tokio::test]
async fn no_call_is_answered_without_an_admin_key() {
    let site = Site::shared();
    let things = Things::new(&site).await;
    let permissions = vec!["public".into(), "keyward".into()];
    let ordinary = pb::CreateKeyRequest { permissions, ..new_key("Ordinary") };
    let ordinary = create(&mut site.admin(), ordinary).await;
    site.knows(ordinary.revision).await;
    for (token, reason) in
        [("", "KEY_MISSING"), (ordinary.token.as_str(), "KEY_UNKNOWN"), ("x", "KEY_UNKNOWN")]
    {
        let mut access = site.server.access_as(token);
        for (rpc, _) in RPCS {
            assert_status(things.call(&mut access, rpc).await, Code::Unauthenticated, reason);
        }
    }
    assert_untouched(&site, &things).await;
}
