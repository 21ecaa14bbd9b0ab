//! Revoking and deactivating all keys that a filter finds.

use keyward::rpc::pb::{
    self, DeactivateKeysRequest, JobState, ListKeysRequest, RevocationReason, RevokeKeysRequest,
};
use tonic::Code;

use super::{counts, ended};
use crate::support::{
    client::{assert_invalid, assert_status, create, new_key},
    operator::{NO_USES, Site},
};

fn leaked() -> ListKeysRequest {
    ListKeysRequest {
        labels: [("batch".into(), "leaked".into())].into(),
        ..ListKeysRequest::default()
    }
}

fn revoke(expected_count: i64) -> RevokeKeysRequest {
    RevokeKeysRequest {
        filter: Some(leaked()),
        reason: RevocationReason::Compromised.into(),
        comment: "found in a repository".into(),
        validate_only: false,
        expected_count,
    }
}

/// Some keys with a label and one without.
async fn site_with_keys(keys: usize) -> (Site, Vec<String>, String) {
    let site = Site::start(&NO_USES).await;
    let mut tokens = Vec::new();
    for number in 0..keys {
        let labels = [("batch".into(), "leaked".into())].into();
        let request = pb::CreateKeyRequest { labels, ..new_key(&format!("Leaked {number}")) };
        tokens.push(create(&mut site.admin(), request).await.token);
    }
    let other = create(&mut site.admin(), new_key("Not leaked")).await;
    (site, tokens, other.token)
}

#[tokio::test]
async fn keys_are_revoked_that_a_filter_finds_and_no_other() {
    let (site, tokens, other) = site_with_keys(3).await;
    let (mut admin, mut insight) = (site.admin(), site.server.insight());
    let tried = RevokeKeysRequest { validate_only: true, ..revoke(0) };
    let tried = admin.revoke_keys(tried).await.unwrap().into_inner();
    assert_eq!((tried.count, tried.sample.len(), tried.job), (3, 3, None));
    assert_status(admin.revoke_keys(revoke(2)).await, Code::FailedPrecondition, "COUNT_MISMATCH");
    let made = admin.revoke_keys(revoke(3)).await.unwrap().into_inner();
    let done = ended(&mut insight, &made.job.unwrap().id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [3, 3, 0, 0]));
    assert_eq!(done.parameters.get("reason").map(String::as_str), Some("compromised"));
    for token in &tokens {
        site.server.asker().until(token, "401 KEY_INACTIVE").await;
    }
    assert_eq!(site.server.asker().verdict(&other, 0).await, "ALLOWED");
    // each key has an event of its own, which names the job
    let filter = pb::AuditFilter { request_id: done.id.clone(), ..Default::default() };
    let request = pb::ListAuditEventsRequest { filter: Some(filter), ..Default::default() };
    let events = insight.list_audit_events(request).await.unwrap().into_inner().events;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.action == "keys.revoke" && event.before.is_some()));
    // once more there is nothing to do
    let made = admin.revoke_keys(revoke(3)).await.unwrap().into_inner();
    let done = ended(&mut insight, &made.job.unwrap().id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [3, 0, 0, 3]));
}

#[tokio::test]
async fn keys_are_deactivated_in_several_batches() {
    let (site, tokens, _other) = site_with_keys(230).await;
    let request =
        DeactivateKeysRequest { filter: Some(leaked()), validate_only: false, expected_count: 230 };
    let made = site.admin().deactivate_keys(request).await.unwrap().into_inner();
    let done = ended(&mut site.server.insight(), &made.job.unwrap().id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [230, 230, 0, 0]));
    for token in [&tokens[0], &tokens[229]] {
        site.server.asker().until(token, "401 KEY_INACTIVE").await;
    }
}

#[tokio::test]
async fn admin_keys_are_found_only_by_their_domain_and_the_callers_own_never() {
    let site = Site::start(&NO_USES).await;
    let spare = site.operator(&["keyward.keys.read"]).await;
    let all = |domain: &str| RevokeKeysRequest {
        filter: Some(ListKeysRequest { domain: domain.into(), ..ListKeysRequest::default() }),
        validate_only: true,
        ..revoke(0)
    };
    let tried = site.admin().revoke_keys(all("")).await.unwrap().into_inner();
    assert_eq!(tried.count, 0);
    let tried = site.admin().revoke_keys(all("keyward")).await.unwrap().into_inner();
    let ids: Vec<_> = tried.sample.iter().map(|key| key.id.as_str()).collect();
    assert_eq!((tried.count, ids), (1, vec![spare.made.key.id.as_str()]));
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_named() {
    let site = Site::shared();
    let request = RevokeKeysRequest {
        filter: Some(ListKeysRequest { page_size: 1, descending: true, ..leaked() }),
        reason: 0,
        ..revoke(0)
    };
    let fields = ["reason", "filter.page_size", "filter.order", "expected_count"];
    assert_invalid(site.admin().revoke_keys(request).await, &fields);
    let filter = ListKeysRequest { domain: "Not one".into(), ..ListKeysRequest::default() };
    let request =
        DeactivateKeysRequest { filter: Some(filter), validate_only: true, expected_count: 0 };
    assert_invalid(site.admin().deactivate_keys(request).await, &["domain"]);
}
