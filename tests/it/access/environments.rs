//! Environments: their tags, their keys, and what keeps one.

use keyward::rpc::pb;
use tonic::Code;

use super::{Removable, Thing, delete_key, fresh, fresh_tag, get_key, key, made};
use crate::support::{
    client::{Access, assert_invalid, assert_status, may_read, new_key, verdict},
    operator::Site,
};

async fn asked_in(site: &Site, environment: &str, token: &str) -> String {
    let environment = environment.into();
    let request = pb::AuthorizeRequest { environment, ..may_read(token) };
    verdict(&site.server.asker().ask(request).await)
}

fn request_in(environment: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest { environment: environment.into(), ..new_key("A key") }
}

/// The tag that a token shows.
fn tag_of(token: &str) -> &str {
    token.split('_').nth(1).unwrap()
}

#[tokio::test]
async fn keys_of_a_new_environment_work_there_and_nowhere_else() {
    let site = Site::shared();
    let environment = made(&site, pb::Environment::whole(&site).await).await;
    let made = key(&site, request_in(&environment.name)).await;
    assert_eq!(made.key.environment, environment.name);
    assert_eq!(tag_of(&made.token), environment.tag);
    assert_eq!(asked_in(&site, &environment.name, &made.token).await, "ALLOWED");
    let elsewhere = asked_in(&site, "production", &made.token).await;
    assert_eq!(elsewhere, "401 ENVIRONMENT_MISMATCH");
    let of_production = key(&site, request_in("production")).await;
    let result = asked_in(&site, &environment.name, &of_production.token).await;
    assert_eq!(result, "401 ENVIRONMENT_MISMATCH");
}

#[tokio::test]
async fn a_new_tag_is_in_new_tokens_and_old_ones_still_work() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let environment = made(&site, pb::Environment::whole(&site).await).await;
    let old = key(&site, request_in(&environment.name)).await;
    let retagged = pb::Environment { tag: fresh_tag(), ..environment.clone() };
    retagged.update(access, &["tag"], false).await.unwrap();
    let new = key(&site, request_in(&environment.name)).await;
    assert_eq!(tag_of(&old.token), environment.tag);
    assert_eq!(tag_of(&new.token), retagged.tag);
    for token in [&old.token, &new.token] {
        assert_eq!(asked_in(&site, &environment.name, token).await, "ALLOWED");
    }
    let id = old.key.id.clone();
    let request = pb::RegenerateKeyRequest { id, ..pb::RegenerateKeyRequest::default() };
    let again = site.admin().regenerate_key(request).await.unwrap().into_inner();
    assert_eq!(tag_of(&again.token), retagged.tag);
    // the old tag is free
    let other = pb::Environment { tag: environment.tag, ..pb::Environment::whole(&site).await };
    made(&site, other).await;
}

#[tokio::test]
async fn no_two_environments_have_the_same_tag() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let one = made(&site, pb::Environment::whole(&site).await).await;
    let other = made(&site, pb::Environment::whole(&site).await).await;
    let new = pb::Environment { tag: one.tag.clone(), ..pb::Environment::whole(&site).await };
    assert_invalid(new.create(access, false).await, &["environment.tag"]);
    assert_status(new.get(access).await, Code::NotFound, "ENVIRONMENT_NOT_FOUND");
    let same = pb::Environment { tag: one.tag.clone(), ..other.clone() };
    assert_invalid(same.update(access, &["tag"], false).await, &["environment.tag"]);
    assert_eq!(other.get(access).await.unwrap(), other);

    // two at once
    for _ in 0..5 {
        let tag = fresh_tag();
        let tagged = |environment: &pb::Environment| pb::Environment {
            tag: tag.clone(),
            etag: String::new(),
            ..environment.clone()
        };
        let new = tagged(&pb::Environment::whole(&site).await);
        let (one, other) = (tagged(&one), tagged(&other));
        let [mut a, mut b, mut c]: [Access; 3] = std::array::from_fn(|_| site.server.access());
        let results = tokio::join!(
            new.create(&mut a, false),
            one.update(&mut b, &["tag"], false),
            other.update(&mut c, &["tag"], false),
        );
        let results: [_; 3] = results.into();
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{lost:?}");
        for result in lost {
            assert_invalid(result, &["environment.tag"]);
        }
    }
}

#[tokio::test]
async fn of_several_who_make_an_environment_one_wins() {
    let site = Site::shared();
    let name = fresh("environment");
    let calls = (0..4).map(|_| site.server.access()).map(async |mut access: Access| {
        let whole = pb::Environment::whole(&site).await;
        let environment = pb::Environment { name: name.clone(), ..whole };
        environment.create(&mut access, false).await
    });
    let results = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{lost:?}");
    for result in lost {
        assert_status(result, Code::AlreadyExists, "ENVIRONMENT_EXISTS");
    }
}

#[tokio::test]
async fn an_environment_stays_while_it_has_keys_or_a_template_names_it() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let mut admin = site.admin();
    let environment = made(&site, pb::Environment::whole(&site).await).await;
    let refused = async |words: &str| {
        let access = &mut site.server.access();
        for validate_only in [true, false] {
            let result = environment.delete(access, validate_only).await;
            let status = assert_status(result, Code::FailedPrecondition, "ENVIRONMENT_IN_USE");
            assert!(status.message().contains(words), "{status:?}");
        }
        assert_eq!(environment.get(access).await.unwrap(), environment);
    };
    let template = pb::Template {
        default_environment: environment.name.clone(),
        ..pb::Template::whole(&site).await
    };
    let template = made(&site, template).await;
    refused("0 keys, 0 of them deleted, and is named by 1 template;").await;
    let [first, second] = [
        key(&site, request_in(&environment.name)).await,
        key(&site, request_in(&environment.name)).await,
    ];
    delete_key(&mut admin, &first.key).await.unwrap();
    refused("2 keys, 1 of them deleted, and is named by 1 template;").await;
    template.delete(access, false).await.unwrap();
    delete_key(&mut admin, &second.key).await.unwrap();
    refused("2 keys, 2 of them deleted, and is named by 0 templates").await;
    assert_eq!(get_key(&site, &second.key.id).await.environment, environment.name);

    // one that only had templates goes
    let environment = made(&site, pb::Environment::whole(&site).await).await;
    let template = pb::Template {
        default_environment: environment.name.clone(),
        ..pb::Template::whole(&site).await
    };
    let template = made(&site, template).await;
    let cleared = pb::Template { default_environment: String::new(), ..template };
    cleared.update(access, &["default_environment"], false).await.unwrap();
    environment.delete(access, false).await.unwrap();
    let result = admin.create_key(request_in(&environment.name)).await;
    assert_invalid(result, &["environment"]);
}

#[tokio::test]
async fn the_environment_of_admin_keys_is_protected() {
    let site = Site::start(&[]).await;
    let access = &mut site.server.access();
    let named = |name: &str| pb::Environment { name: name.into(), ..pb::Environment::default() };
    let before = named("production").get(access).await.unwrap();
    assert_eq!((before.tag.as_str(), before.display_name.as_str()), ("prod", "Production"));
    for validate_only in [true, false] {
        let result = named("production").delete(access, validate_only).await;
        assert_status(result, Code::FailedPrecondition, "ENVIRONMENT_PROTECTED");
    }
    assert_eq!(named("production").get(access).await.unwrap(), before);
    // the others are like any, and production is described like any
    for name in ["staging", "development"] {
        named(name).delete(access, false).await.unwrap();
    }
    let described = pb::Environment { tag: "live".into(), ..before };
    let shown = described.update(access, &["tag"], false).await.unwrap().0;
    assert_eq!(shown.tag, "live");
    let request = pb::ListEnvironmentsRequest::default();
    let listed = access.list_environments(request).await.unwrap().into_inner();
    assert_eq!(listed.environments, [shown]);
}
