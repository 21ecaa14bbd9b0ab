//! Whose key is good, and from where.

use keyward::rpc::pb;
use tonic::{Code, Status};

use super::{abuse, get, held, in_seconds, renewable};
use crate::support::{client::assert_status, operator::Site};

/// Every call, in an order in which all succeed.
async fn every_call(site: &Site, token: &str) -> [Result<(), Status>; 3] {
    let mut holder = site.server.holder(token);
    let another = pb::RegenerateMyKeyRequest::default();
    [
        holder.who_am_i(pb::WhoAmIRequest {}).await.map(drop),
        holder.regenerate_my_key(another).await.map(drop),
        holder.revoke_my_key(abuse()).await.map(drop),
    ]
}

async fn assert_unauthenticated(site: &Site, token: &str, reason: &str) {
    for result in every_call(site, token).await {
        assert_status(result, Code::Unauthenticated, reason);
    }
}

#[tokio::test]
async fn no_call_is_answered_without_a_good_token() {
    let site = Site::shared();
    assert_unauthenticated(&site, "", "KEY_MISSING").await;
    assert_unauthenticated(&site, "of-another-brand", "KEY_UNKNOWN").await;
    assert_unauthenticated(&site, "kw_prod_", "KEY_MALFORMED").await;
}

#[tokio::test]
async fn a_key_that_is_not_live_is_told_why() {
    let site = Site::shared();
    let mut root = site.admin();
    let (made, _) = held(&site, renewable("Stopped")).await;
    let id = || made.key.id.clone();
    let request = pb::DeactivateKeyRequest { id: id(), etag: String::new() };
    let off = root.deactivate_key(request).await.unwrap().into_inner();
    site.knows(off.revision).await;
    assert_unauthenticated(&site, &made.token, "KEY_INACTIVE").await;
    let request = pb::RevokeKeyRequest {
        id: id(),
        reason: pb::RevocationReason::Abuse.into(),
        ..Default::default()
    };
    let revoked = root.revoke_key(request).await.unwrap().into_inner();
    site.knows(revoked.revision).await;
    assert_unauthenticated(&site, &made.token, "KEY_INACTIVE").await;
    let request = pb::DeleteKeyRequest { id: id(), confirm: "Stopped".into(), etag: String::new() };
    let gone = root.delete_key(request).await.unwrap().into_inner();
    site.knows(gone.revision).await;
    assert_unauthenticated(&site, &made.token, "KEY_UNKNOWN").await;

    let (made, _) = held(&site, renewable("Expired")).await;
    let request = pb::UpdateKeyRequest {
        key: Some(pb::Key {
            id: made.key.id.clone(),
            expire_time: Some(in_seconds(-1)),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["expire_time".into()] }),
        validate_only: false,
    };
    let expired = root.update_key(request).await.unwrap().into_inner();
    site.knows(expired.revision).await;
    assert_unauthenticated(&site, &made.token, "KEY_EXPIRED").await;
    let request =
        pb::CreateKeyRequest { not_before_time: Some(in_seconds(3600)), ..renewable("Early") };
    let (made, _) = held(&site, request).await;
    assert_unauthenticated(&site, &made.token, "KEY_NOT_YET_VALID").await;
}

#[tokio::test]
async fn a_key_of_a_disabled_user_or_domain_is_told_so() {
    let site = Site::shared();
    let mut access = site.server.access();
    let name = || String::from("self-off");
    let domain = pb::Domain { name: name(), display_name: name(), ..Default::default() };
    let request = pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
    access.create_domain(request).await.unwrap();
    let user = pb::User {
        domain: name(),
        id: "ida".into(),
        kind: pb::UserKind::Service.into(),
        display_name: "Ida".into(),
        ..Default::default()
    };
    let request = pb::CreateUserRequest { user: Some(user), validate_only: false };
    access.create_user(request).await.unwrap();
    let request = pb::CreateKeyRequest { domain: name(), user: "ida".into(), ..renewable("Ida's") };
    let (made, mut holder) = held(&site, request).await;
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!(told.user_kind(), pb::UserKind::Service);
    let before = get(&site, &made.key.id).await;
    let (id, etag) = (|| String::from("ida"), String::new);
    let request = pb::DisableUserRequest { domain: name(), id: id(), etag: etag() };
    let off = access.disable_user(request).await.unwrap().into_inner();
    site.knows(off.revision).await;
    assert_unauthenticated(&site, &made.token, "USER_DISABLED").await;
    let request = pb::EnableUserRequest { domain: name(), id: id(), etag: etag() };
    access.enable_user(request).await.unwrap();
    let request = pb::DisableDomainRequest { name: name(), etag: etag() };
    let off = access.disable_domain(request).await.unwrap().into_inner();
    site.knows(off.revision).await;
    assert_unauthenticated(&site, &made.token, "DOMAIN_DISABLED").await;
    assert_eq!(get(&site, &made.key.id).await, before);
}

#[tokio::test]
async fn address_lists_apply_to_where_the_call_comes_from() {
    let site = Site::shared();
    let list = |text: &str| vec![text.to_owned()];
    for (allowed, denied) in [
        (list("192.0.2.0/24"), vec![]),
        (vec![], list("127.0.0.0/8")),
        (list("127.0.0.1"), list("127.0.0.1")),
        (list("::/0"), vec![]),
    ] {
        let request = pb::CreateKeyRequest {
            allowed_addresses: allowed,
            denied_addresses: denied,
            ..renewable("Elsewhere")
        };
        let (made, _) = held(&site, request).await;
        for result in every_call(&site, &made.token).await {
            assert_status(result, Code::PermissionDenied, "ADDRESS_DENIED");
        }
        assert_eq!(get(&site, &made.key.id).await, made.key);
    }
    let request = pb::CreateKeyRequest {
        allowed_addresses: list("127.0.0.0/8"),
        denied_addresses: list("127.0.0.2"),
        ..renewable("Here")
    };
    let (_, mut holder) = held(&site, request).await;
    holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    holder.revoke_my_key(abuse()).await.unwrap();
}
