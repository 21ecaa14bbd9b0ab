//! Giving a key another token, with and without an overlap.

use keyward::rpc::pb::{self, Key, KeyState, RegenerateKeyRequest};
use prost_types::Duration;
use tonic::Code;

use super::{
    activate, another_token, deactivate, get, in_seconds, micros, now_micros, regenerate, revoke,
    rich_key, turns_at, update, updated,
};
use crate::support::{
    client::{Made, assert_status, create, new_key},
    operator::Site,
};

fn with_overlap(id: &str, seconds: i64) -> RegenerateKeyRequest {
    RegenerateKeyRequest { overlap: Some(Duration { seconds, nanos: 0 }), ..another_token(id) }
}

#[tokio::test]
async fn the_key_stays_itself() {
    let site = Site::shared();
    let mut admin = site.admin();
    let before = create(&mut admin, rich_key("Rotated")).await;
    let after = regenerate(&mut admin, another_token(&before.key.id)).await.unwrap();
    assert_ne!(after.token, before.token);
    assert!(after.revision > before.revision);
    let expected = Key {
        hint: after.key.hint.clone(),
        etag: after.key.etag.clone(),
        update_time: after.key.update_time,
        ..before.key.clone()
    };
    assert_eq!(after.key, expected);
    assert_ne!(after.key.hint, before.key.hint);
    assert_ne!(after.key.etag, before.key.etag);
    assert_eq!(get(&mut admin, &before.key.id).await, after.key);
}

#[tokio::test]
async fn without_overlap_the_old_token_stops_at_once() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let old = create(&mut admin, new_key("Rotated")).await;
    let zero = with_overlap(&old.key.id, 0);
    for request in [another_token(&old.key.id), zero] {
        let new = regenerate(&mut admin, request).await.unwrap();
        assert_eq!(new.key.retiring_secret, None);
        assert_eq!(asker.verdict(&old.token, new.revision).await, "401 KEY_UNKNOWN");
        assert_eq!(asker.verdict(&new.token, new.revision).await, "ALLOWED");
    }
}

#[tokio::test]
async fn the_old_token_works_until_its_deadline_and_no_longer() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let old = create(&mut admin, new_key("Rotated")).await;
    let begun = now_micros();
    let new = regenerate(&mut admin, with_overlap(&old.key.id, 2)).await.unwrap();
    let retiring = new.key.retiring_secret.clone().unwrap();
    let deadline = micros(&retiring.expire_time.unwrap());
    assert!((begun..=now_micros()).contains(&(deadline - 2_000_000)));
    assert_eq!(retiring.hint, old.key.hint);

    site.knows(new.revision).await;
    assert_eq!(asker.verdict(&new.token, 0).await, "ALLOWED");
    let verdicts = ["ALLOWED", "401 KEY_UNKNOWN"];
    turns_at(&mut asker, &old.token, deadline, verdicts).await;
    assert_eq!(asker.verdict(&new.token, 0).await, "ALLOWED");
    let shown = get(&mut admin, &old.key.id).await;
    assert_eq!(shown, Key { retiring_secret: None, ..new.key });
}

#[tokio::test]
async fn another_regeneration_ends_an_older_overlap() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let first = create(&mut admin, new_key("Rotated")).await;
    let id = first.key.id.as_str();
    let second = regenerate(&mut admin, with_overlap(id, 600)).await.unwrap();
    for token in [&first.token, &second.token] {
        assert_eq!(asker.verdict(token, second.revision).await, "ALLOWED");
    }
    let third = regenerate(&mut admin, with_overlap(id, 600)).await.unwrap();
    assert_eq!(asker.verdict(&first.token, third.revision).await, "401 KEY_UNKNOWN");
    for token in [&second.token, &third.token] {
        assert_eq!(asker.verdict(token, third.revision).await, "ALLOWED");
    }
    let retiring = third.key.retiring_secret.unwrap();
    assert_eq!(retiring.hint, second.key.hint);
    let fourth = regenerate(&mut admin, another_token(id)).await.unwrap();
    for token in [&first.token, &second.token, &third.token] {
        assert_eq!(asker.verdict(token, fourth.revision).await, "401 KEY_UNKNOWN");
    }
}

#[tokio::test]
async fn an_overlap_of_thirty_days_is_the_longest() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Rotated")).await;
    let begun = now_micros();
    let days = 30 * 24 * 60 * 60;
    let new = regenerate(&mut admin, with_overlap(&made.key.id, days)).await.unwrap();
    let end = new.key.retiring_secret.unwrap().expire_time.unwrap();
    assert!((begun..=now_micros()).contains(&(micros(&end) - days * 1_000_000)));
}

#[tokio::test]
async fn a_key_that_is_not_active_gets_no_token() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Stopped")).await;
    let id = made.key.id.as_str();
    let abuse = pb::RevocationReason::Abuse;

    deactivate(&mut admin, id).await.unwrap();
    let result = regenerate(&mut admin, another_token(id)).await;
    assert_status(result, Code::FailedPrecondition, "KEY_NOT_ACTIVE");

    revoke(&mut admin, id, abuse).await.unwrap();
    let result = regenerate(&mut admin, with_overlap(id, 60)).await;
    assert_status(result, Code::FailedPrecondition, "KEY_NOT_ACTIVE");

    let active = activate(&mut admin, id).await.unwrap();
    let expired = Key { expire_time: Some(in_seconds(-1)), ..active.key };
    let expired = updated(&mut admin, update(expired, &["expire_time"])).await.unwrap();
    let result = regenerate(&mut admin, another_token(id)).await;
    assert_status(result, Code::FailedPrecondition, "KEY_NOT_ACTIVE");
    assert_eq!(expired.key.state(), KeyState::Expired);
    assert_eq!(get(&mut admin, id).await, expired.key);
}

#[tokio::test]
async fn an_old_etag_gives_no_token() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Etag")).await;
    let request =
        |etag: &str| RegenerateKeyRequest { etag: etag.into(), ..another_token(&made.key.id) };
    let Made { key, .. } = regenerate(&mut admin, request(&made.key.etag)).await.unwrap();
    let result = regenerate(&mut admin, request(&made.key.etag)).await;
    assert_status(result, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(get(&mut admin, &made.key.id).await, key);
}

#[tokio::test]
async fn revoking_ends_an_overlap_for_good() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let old = create(&mut admin, new_key("Leaked")).await;
    let id = old.key.id.as_str();
    let new = regenerate(&mut admin, with_overlap(id, 600)).await.unwrap();
    let revoked = revoke(&mut admin, id, pb::RevocationReason::Compromised).await.unwrap();
    assert_eq!(revoked.key.retiring_secret, None);
    assert_eq!(asker.verdict(&new.token, revoked.revision).await, "401 KEY_INACTIVE");
    assert_eq!(asker.verdict(&old.token, revoked.revision).await, "401 KEY_UNKNOWN");
    let active = activate(&mut admin, id).await.unwrap();
    assert_eq!(asker.verdict(&new.token, active.revision).await, "ALLOWED");
    assert_eq!(asker.verdict(&old.token, active.revision).await, "401 KEY_UNKNOWN");
}

#[tokio::test]
async fn deactivating_leaves_an_overlap_as_it_is() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let old = create(&mut admin, new_key("Paused")).await;
    let id = old.key.id.as_str();
    let new = regenerate(&mut admin, with_overlap(id, 600)).await.unwrap();
    let change = deactivate(&mut admin, id).await.unwrap();
    for token in [&old.token, &new.token] {
        assert_eq!(asker.verdict(token, change.revision).await, "401 KEY_INACTIVE");
    }
    let change = activate(&mut admin, id).await.unwrap();
    assert_eq!(change.key.retiring_secret, new.key.retiring_secret);
    for token in [&old.token, &new.token] {
        assert_eq!(asker.verdict(token, change.revision).await, "ALLOWED");
    }
}
