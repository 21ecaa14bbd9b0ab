//! The order of reasons: a key with everything wrong, repaired step by step.

use keyward::rpc::pb::{
    self, ActivateKeyRequest, AuthorizeRequest, CreateKeyRequest, DeactivateKeyRequest, Key,
};
use prost_types::Timestamp;

use super::{World, key_with, may_go, texts, user_of};
use crate::support::client::verdict;

fn in_seconds(seconds: i64) -> Timestamp {
    let now = keyward::clock::wall().micros() / 1_000_000;
    Timestamp { seconds: now + seconds, nanos: 0 }
}

#[tokio::test]
async fn of_all_that_is_wrong_the_first_check_gives_the_reason() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    world.user(user_of("tenant/ida", &["users"], &[])).await;
    let request = CreateKeyRequest {
        domain: "tenant".into(),
        user: "ida".into(),
        customers: texts(&["c-1"]),
        allowed_addresses: texts(&["192.0.2.0/24"]),
        route_rules: texts(&["/a"]),
        ..key_with(&["systems"])
    };
    let made = world.key(request).await;
    let id = made.key.id.clone();
    let expired = Key { expire_time: Some(in_seconds(-100)), ..Key::default() };
    world.change_key(&made, expired, &["expire_time"]).await;
    let request = DeactivateKeyRequest { id: id.clone(), ..DeactivateKeyRequest::default() };
    world.revision = world.admin.deactivate_key(request).await.unwrap().get_ref().revision;
    let request =
        pb::DisableUserRequest { domain: "tenant".into(), id: "ida".into(), etag: String::new() };
    world.revision = world.access.disable_user(request).await.unwrap().get_ref().revision;
    world.enable_domain("tenant", false).await;

    // what is asked: everything wrong, the key first
    let bad = AuthorizeRequest {
        environment: "staging".into(),
        client_address: "198.51.100.7".into(),
        customer: "c-2".into(),
        ..may_go("", "GET", "/b/../c")
    };
    let missing = bad.clone();
    assert_eq!(world.verdict(missing).await, "401 KEY_MISSING");
    let malformed = AuthorizeRequest { key: "kw_prod_x".into(), ..bad.clone() };
    assert_eq!(world.verdict(malformed).await, "401 KEY_MALFORMED");
    let unknown = AuthorizeRequest { key: "unheard-of".into(), ..bad.clone() };
    assert_eq!(world.verdict(unknown).await, "401 KEY_UNKNOWN");
    let mut request = AuthorizeRequest { key: made.token.clone(), ..bad };
    assert_eq!(world.verdict(request.clone()).await, "401 KEY_INACTIVE");

    let activate = ActivateKeyRequest { id, ..ActivateKeyRequest::default() };
    world.revision = world.admin.activate_key(activate).await.unwrap().get_ref().revision;
    assert_eq!(world.verdict(request.clone()).await, "401 KEY_EXPIRED");
    let early = Key { not_before_time: Some(in_seconds(1000)), ..Key::default() };
    world.change_key(&made, early, &["not_before_time", "expire_time"]).await;
    assert_eq!(world.verdict(request.clone()).await, "401 KEY_NOT_YET_VALID");
    world.change_key(&made, Key::default(), &["not_before_time"]).await;
    assert_eq!(world.verdict(request.clone()).await, "401 USER_DISABLED");
    let enable =
        pb::EnableUserRequest { domain: "tenant".into(), id: "ida".into(), etag: String::new() };
    world.revision = world.access.enable_user(enable).await.unwrap().get_ref().revision;
    assert_eq!(world.verdict(request.clone()).await, "401 DOMAIN_DISABLED");
    world.enable_domain("tenant", true).await;

    assert_eq!(world.verdict(request.clone()).await, "401 ENVIRONMENT_MISMATCH");
    request.environment = "production".into();
    assert_eq!(world.verdict(request.clone()).await, "403 ADDRESS_DENIED");
    request.client_address = "192.0.2.7".into();
    assert_eq!(world.verdict(request.clone()).await, "403 CUSTOMER_DENIED");
    request.customer = "c-1".into();
    assert_eq!(world.verdict(request.clone()).await, "403 ROUTE_DENIED");
    request.route = "/b/c".into();
    assert_eq!(world.verdict(request.clone()).await, "403 ROUTE_DENIED");
    request.route = "/a/c".into();
    assert_eq!(world.verdict(request.clone()).await, "403 PERMISSION_DENIED");
    world.map("tenant", &["GET /a/{id} systems.{action}"]).await;
    assert_eq!(world.verdict(request.clone()).await, "403 PERMISSION_DENIED", "its user has not");
    world.change_user(user_of("tenant/ida", &["systems.read"], &[])).await;
    let answer = world.ask(request.clone()).await;
    assert_eq!(verdict(&answer), "ALLOWED");
    assert_eq!((answer.domain.as_str(), answer.user.as_str()), ("tenant", "ida"));
    let writing = AuthorizeRequest { method: "POST".into(), ..request };
    assert_eq!(world.verdict(writing).await, "403 PERMISSION_DENIED");
}
