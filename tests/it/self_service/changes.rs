//! A new token, and the end of all tokens.

use keyward::rpc::pb;
use tonic::Code;

use super::{abuse, events, get, held, renewable, seconds};
use crate::support::{
    client::{assert_invalid, assert_status, create, new_admin_key, new_key},
    database::Database,
    operator::{NO_USES, Site},
    pgbouncer::PgBouncer,
    server::Server,
};

fn another() -> pb::RegenerateMyKeyRequest {
    pb::RegenerateMyKeyRequest::default()
}

#[tokio::test]
async fn a_holder_gets_a_new_token_and_the_old_one_stops() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, renewable("Renewed")).await;
    let new = holder.regenerate_my_key(another()).await.unwrap().into_inner();
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&made.token, new.revision).await, "401 KEY_UNKNOWN");
    assert_eq!(asker.verdict(&new.token, new.revision).await, "ALLOWED");
    let key = get(&site, &made.key.id).await;
    assert_eq!((&new.hint, &key.retiring_secret), (&key.hint, &None));
    assert!(new.token.ends_with(&new.hint[new.hint.len() - 4..]));
    let result = holder.regenerate_my_key(another()).await;
    assert_status(result, Code::Unauthenticated, "KEY_UNKNOWN");
    let (action, actor) = events(&site, &made.key.id).await.pop().unwrap();
    assert_eq!((action.as_str(), &actor), ("keys.self_regenerate", &made.key.id));
}

#[tokio::test]
async fn with_an_overlap_both_tokens_work() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, renewable("Overlapping")).await;
    let request = pb::RegenerateMyKeyRequest { overlap: seconds(3600), ..another() };
    let new = holder.regenerate_my_key(request).await.unwrap().into_inner();
    let mut asker = site.server.asker();
    for token in [&made.token, &new.token] {
        assert_eq!(asker.verdict(token, new.revision).await, "ALLOWED");
    }
    assert_ne!(get(&site, &made.key.id).await.retiring_secret, None);
}

#[tokio::test]
async fn a_repeated_request_makes_no_second_token() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, renewable("Repeated")).await;
    let request =
        pb::RegenerateMyKeyRequest { overlap: seconds(3600), request_id: "self-again".into() };
    let first = holder.regenerate_my_key(request.clone()).await.unwrap().into_inner();
    let key = get(&site, &made.key.id).await;
    for token in [&made.token, &first.token] {
        let mut holder = site.server.holder(token);
        let again = holder.regenerate_my_key(request.clone()).await.unwrap().into_inner();
        assert_eq!((again.token.as_str(), &again.hint), ("", &first.hint));
    }
    let other = pb::RegenerateMyKeyRequest { overlap: None, ..request };
    assert_invalid(holder.regenerate_my_key(other).await, &["request_id"]);
    assert_eq!(get(&site, &made.key.id).await, key);
}

#[tokio::test]
async fn a_key_that_does_not_allow_it_is_not_renewed_by_its_holder() {
    let site = Site::shared();
    for request in [new_key("Fixed"), new_admin_key("Fixed", &["keyward"])] {
        let (made, mut holder) = held(&site, request).await;
        for request_id in ["", "fixed"] {
            let request = pb::RegenerateMyKeyRequest { request_id: request_id.into(), ..another() };
            let result = holder.regenerate_my_key(request).await;
            assert_status(result, Code::PermissionDenied, "SELF_REGENERATE_NOT_ALLOWED");
        }
        assert_eq!(get(&site, &made.key.id).await, made.key);
        let query = format!(
            "SELECT sum(times)::bigint FROM keyward.refusal WHERE actor = '{id}'
                AND last_subject = '{id}' AND action = 'keys.self_regenerate'
                AND reason = 'SELF_REGENERATE_NOT_ALLOWED'",
            id = made.key.id
        );
        assert_eq!(site.database.number(&query).await, 2);
    }
}

#[tokio::test]
async fn a_holder_stops_all_of_its_tokens() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, renewable("Lost")).await;
    let request = pb::RegenerateMyKeyRequest { overlap: seconds(3600), ..another() };
    let new = holder.regenerate_my_key(request).await.unwrap().into_inner();
    let request = pb::RevokeMyKeyRequest {
        reason: pb::RevocationReason::Compromised.into(),
        comment: "On a train.".into(),
    };
    // with the token that was replaced: it works still
    let revoked = holder.revoke_my_key(request).await.unwrap().into_inner();
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&new.token, revoked.revision).await, "401 KEY_INACTIVE");
    assert!(asker.verdict(&made.token, revoked.revision).await.starts_with("401"));
    let key = get(&site, &made.key.id).await;
    let revocation = key.revocation.clone().unwrap();
    assert_eq!(key.state(), pb::KeyState::Revoked);
    assert_eq!(revocation.reason(), pb::RevocationReason::Compromised);
    assert_eq!((revocation.comment.as_str(), &revocation.revoked_by), ("On a train.", &key.id));
    let (action, actor) = events(&site, &key.id).await.pop().unwrap();
    assert_eq!((action.as_str(), &actor), ("keys.self_revoke", &key.id));
    let mut holder = site.server.holder(&new.token);
    assert_status(holder.revoke_my_key(abuse()).await, Code::Unauthenticated, "KEY_INACTIVE");
}

#[tokio::test]
async fn what_is_malformed_is_named_and_changes_nothing() {
    let site = Site::shared();
    let (made, mut holder) = held(&site, renewable("Kept")).await;
    let long = "x".repeat(65);
    for (overlap, request_id, fields) in [
        (seconds(-1), "", &["overlap"][..]),
        (seconds(30 * 86400 + 1), "", &["overlap"]),
        (None, "with blank", &["request_id"]),
        (None, &long, &["request_id"]),
    ] {
        let request = pb::RegenerateMyKeyRequest { overlap, request_id: request_id.into() };
        assert_invalid(holder.regenerate_my_key(request).await, fields);
    }
    let other = pb::RevocationReason::Other.into();
    for (reason, comment, fields) in [
        (0, String::new(), &["reason"][..]),
        (99, String::new(), &["reason"]),
        (other, String::new(), &["comment"]),
        (other, "x".repeat(1001), &["comment"]),
    ] {
        let request = pb::RevokeMyKeyRequest { reason, comment };
        assert_invalid(holder.revoke_my_key(request).await, fields);
    }
    assert_eq!(get(&site, &made.key.id).await, made.key);
}

#[tokio::test]
async fn the_holder_of_a_managed_or_admin_key_may_do_this_as_well() {
    let site = Site::shared();
    let managed_by = site.root_id().await;
    for request in [
        pb::CreateKeyRequest { managed_by, ..renewable("Managed") },
        pb::CreateKeyRequest {
            allow_self_regenerate: true,
            ..new_admin_key("Bound", &["keyward"])
        },
    ] {
        let (made, mut holder) = held(&site, request).await;
        let new = holder.regenerate_my_key(another()).await.unwrap().into_inner();
        site.knows(new.revision).await;
        let key = get(&site, &made.key.id).await;
        assert_eq!(
            (&key.managed_by, &key.permissions),
            (&made.key.managed_by, &made.key.permissions)
        );
        let mut holder = site.server.holder(&new.token);
        holder.revoke_my_key(abuse()).await.unwrap();
        assert_eq!(get(&site, &made.key.id).await.state(), pb::KeyState::Revoked);
    }
}

#[tokio::test]
async fn another_replica_takes_the_new_token_and_no_revoked_one() {
    let database = Database::new();
    let server = Server::start_with(&database, &NO_USES).await;
    let other = Server::start_with(&database, &NO_USES).await;
    let site = Site { database, server };
    let (made, mut holder) = held(&site, renewable("Two replicas")).await;
    let new = holder.regenerate_my_key(another()).await.unwrap().into_inner();
    let mut asker = other.asker();
    assert_eq!(asker.verdict(&new.token, new.revision).await, "ALLOWED");
    assert_eq!(asker.verdict(&made.token, new.revision).await, "401 KEY_UNKNOWN");
    let mut holder = other.holder(&new.token);
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!(told.key_id, made.key.id);
    let revoked = holder.revoke_my_key(abuse()).await.unwrap().into_inner();
    site.knows(revoked.revision).await;
    let mut holder = site.server.holder(&new.token);
    let result = holder.who_am_i(pb::WhoAmIRequest {}).await;
    assert_status(result, Code::Unauthenticated, "KEY_INACTIVE");
}

#[tokio::test]
async fn a_replica_that_lags_gives_no_token_for_a_user_or_domain_that_was_disabled() {
    let site = Site::start(&NO_USES).await;
    let mut access = site.server.access();
    for (domain, user) in [("red", "ida"), ("blue", "")] {
        let made = pb::Domain {
            name: domain.into(),
            display_name: domain.into(),
            ..pb::Domain::default()
        };
        let request = pb::CreateDomainRequest { domain: Some(made), validate_only: false };
        access.create_domain(request).await.unwrap();
        if !user.is_empty() {
            let made = pb::User {
                domain: domain.into(),
                id: user.into(),
                kind: pb::UserKind::Person.into(),
                display_name: user.into(),
                ..pb::User::default()
            };
            let request = pb::CreateUserRequest { user: Some(made), validate_only: false };
            access.create_user(request).await.unwrap();
        }
    }
    let key_of = |domain: &str, user: &str| pb::CreateKeyRequest {
        domain: domain.into(),
        user: user.into(),
        ..renewable("Held")
    };
    let (of_user, _) = held(&site, key_of("red", "ida")).await;
    let (of_domain, _) = held(&site, key_of("blue", "")).await;
    let (_bouncer, behind) = PgBouncer::start("self_service", &site.database).await;
    let replica = Server::start_with(&behind, &["--poll-interval", "30m"]).await;
    // its follower may look once more after it has loaded, but not again
    create(&mut site.admin(), new_key("Later")).await;
    let request =
        pb::DisableUserRequest { domain: "red".into(), id: "ida".into(), etag: String::new() };
    access.disable_user(request).await.unwrap();
    let request = pb::DisableDomainRequest { name: "blue".into(), etag: String::new() };
    access.disable_domain(request).await.unwrap();
    for made in [of_user, of_domain] {
        let result = replica.holder(&made.token).regenerate_my_key(another()).await;
        assert_status(result, Code::Unauthenticated, "KEY_INACTIVE");
    }
}
