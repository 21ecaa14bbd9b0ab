//! Stopping keys and letting them work again.

use keyward::rpc::pb::{self, Key, KeyState, Revocation, RevocationReason, RevokeKeyRequest};
use tonic::{Code, Status};

use super::{
    Changed, activate, deactivate, delete, every_change, get, in_seconds, micros, now_micros,
    revoke, rich_key, undelete, update, updated,
};
use crate::support::{
    client::{Admin, assert_invalid, assert_status, create, new_key},
    operator::Site,
};

const COMPROMISED: RevocationReason = RevocationReason::Compromised;

/// The key after a change, but for what every change alters.
fn after(change: &Changed, expected: Key) -> Key {
    Key { etag: change.key.etag.clone(), update_time: change.key.update_time, ..expected }
}

#[tokio::test]
async fn a_deactivated_key_is_denied_until_it_is_activated() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let made = create(&mut admin, new_key("Paused")).await;
    let id = made.key.id.as_str();

    let off = deactivate(&mut admin, id).await.unwrap();
    let expected = Key { state: KeyState::Inactive.into(), ..made.key.clone() };
    assert_eq!(off.key, after(&off, expected));
    assert_ne!(off.key.etag, made.key.etag);
    assert!(off.revision > made.revision);
    assert_eq!(asker.verdict(&made.token, off.revision).await, "401 KEY_INACTIVE");

    let on = activate(&mut admin, id).await.unwrap();
    assert_eq!(on.key, after(&on, made.key.clone()));
    assert!(on.revision > off.revision);
    assert_eq!(asker.verdict(&made.token, on.revision).await, "ALLOWED");
    assert_eq!(get(&mut admin, id).await, on.key);
}

#[tokio::test]
async fn a_revoked_key_is_denied_and_says_why() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let made = create(&mut admin, new_key("Leaked")).await;
    let begun = now_micros();
    let request = RevokeKeyRequest {
        id: made.key.id.clone(),
        reason: COMPROMISED.into(),
        comment: "Found in a public repository.\nBy a scanner.".into(),
        ..RevokeKeyRequest::default()
    };
    let response = admin.revoke_key(request).await.unwrap().into_inner();
    let key = response.key.unwrap();
    let time = key.revocation.as_ref().unwrap().revoke_time;
    assert!((begun..=now_micros()).contains(&micros(&time.unwrap())));
    let expected = Key {
        state: KeyState::Revoked.into(),
        revocation: Some(Revocation {
            reason: COMPROMISED.into(),
            comment: "Found in a public repository.\nBy a scanner.".into(),
            revoke_time: time,
            revoked_by: site.root_id().await,
        }),
        etag: key.etag.clone(),
        update_time: time,
        ..made.key.clone()
    };
    assert_eq!(key, expected);
    assert_eq!(get(&mut admin, &made.key.id).await, key);
    assert_eq!(asker.verdict(&made.token, response.revision).await, "401 KEY_INACTIVE");

    let on = activate(&mut admin, &made.key.id).await.unwrap();
    assert_eq!(on.key, after(&on, made.key));
    assert_eq!(asker.verdict(&made.token, on.revision).await, "ALLOWED");
}

#[tokio::test]
async fn every_reason_is_kept() {
    let site = Site::shared();
    let mut admin = site.admin();
    for reason in [
        RevocationReason::Compromised,
        RevocationReason::NoLongerUsed,
        RevocationReason::Superseded,
        RevocationReason::Abuse,
        RevocationReason::Other,
    ] {
        let made = create(&mut admin, new_key("Ended")).await;
        let request = RevokeKeyRequest {
            id: made.key.id,
            reason: reason.into(),
            comment: "é".repeat(1000),
            ..RevokeKeyRequest::default()
        };
        let key = admin.revoke_key(request).await.unwrap().into_inner().key.unwrap();
        let revocation = key.revocation.unwrap();
        assert_eq!((revocation.reason(), revocation.comment), (reason, "é".repeat(1000)));
    }
}

#[tokio::test]
async fn doing_it_again_changes_nothing() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Twice")).await;
    let id = made.key.id.as_str();
    let same = activate(&mut admin, id).await.unwrap();
    assert_eq!((same.key, same.revision), (made.key.clone(), made.revision));

    let off = deactivate(&mut admin, id).await.unwrap();
    assert_eq!(deactivate(&mut admin, id).await.unwrap(), off);

    let revoked = revoke(&mut admin, id, COMPROMISED).await.unwrap();
    assert_eq!(revoke(&mut admin, id, RevocationReason::Abuse).await.unwrap(), revoked);

    let head = "SELECT revision FROM keyward.log_head";
    assert_eq!(site.database.number(head).await, revoked.revision);
    let events = format!("SELECT count(*) FROM keyward.audit_event WHERE subject = '{id}'");
    assert_eq!(site.database.number(&events).await, 3);
}

#[tokio::test]
async fn an_inactive_key_can_be_revoked_and_a_revoked_one_not_deactivated() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Stopped")).await;
    let id = made.key.id.as_str();
    deactivate(&mut admin, id).await.unwrap();
    let revoked = revoke(&mut admin, id, COMPROMISED).await.unwrap();
    assert_eq!(revoked.key.state(), KeyState::Revoked);
    let result = deactivate(&mut admin, id).await;
    assert_status(result, Code::FailedPrecondition, "KEY_REVOKED");
    assert_eq!(get(&mut admin, id).await, revoked.key);
}

#[tokio::test]
async fn an_expired_key_can_be_stopped_and_stays_expired_when_activated() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Expired")).await;
    let id = made.key.id.as_str();
    let expired = Key { expire_time: Some(in_seconds(-1)), ..made.key.clone() };
    updated(&mut admin, update(expired, &["expire_time"])).await.unwrap();
    assert_eq!(deactivate(&mut admin, id).await.unwrap().key.state(), KeyState::Inactive);
    assert_eq!(revoke(&mut admin, id, COMPROMISED).await.unwrap().key.state(), KeyState::Revoked);
    assert_eq!(activate(&mut admin, id).await.unwrap().key.state(), KeyState::Expired);
}

#[tokio::test]
async fn a_deleted_key_is_unknown_and_hidden_and_comes_back_as_it_was() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    let label = super::labels(&[("test", "deleted-and-back")]);
    let request = pb::CreateKeyRequest { labels: label.clone(), ..new_key("Deleted") };
    let made = create(&mut admin, request).await;
    let begun = now_micros();
    let gone = delete(&mut admin, &made.key.id, "Deleted").await.unwrap();
    let time = gone.key.delete_time.unwrap();
    assert!((begun..=now_micros()).contains(&micros(&time)));
    let expected =
        Key { state: KeyState::Deleted.into(), delete_time: Some(time), ..made.key.clone() };
    assert_eq!(gone.key, after(&gone, expected));
    assert_eq!(get(&mut admin, &made.key.id).await, gone.key);
    let listing = pb::ListKeysRequest { labels: label, ..pb::ListKeysRequest::default() };
    let page = admin.list_keys(listing.clone()).await.unwrap().into_inner();
    assert_eq!(page.keys, []);
    assert_eq!(asker.verdict(&made.token, gone.revision).await, "401 KEY_UNKNOWN");

    let back = undelete(&mut admin, &made.key.id).await.unwrap();
    assert_eq!(back.key, after(&back, made.key));
    let page = admin.list_keys(listing).await.unwrap().into_inner();
    assert_eq!(page.keys, [back.key]);
    assert_eq!(asker.verdict(&made.token, back.revision).await, "ALLOWED");
}

#[tokio::test]
async fn undeleting_restores_every_state() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut asker = site.server.asker();
    for (state, verdict) in [
        (KeyState::Inactive, "401 KEY_INACTIVE"),
        (KeyState::Revoked, "401 KEY_INACTIVE"),
        (KeyState::Expired, "401 KEY_EXPIRED"),
    ] {
        let made = create(&mut admin, rich_key("Restored")).await;
        let id = made.key.id.as_str();
        let before = bring_to(&mut admin, &made.key, state).await.unwrap();
        assert_eq!(before.key.state(), state);
        delete(&mut admin, id, "Restored").await.unwrap();
        let back = undelete(&mut admin, id).await.unwrap();
        assert_eq!(back.key, after(&back, before.key));
        assert_eq!(asker.verdict(&made.token, back.revision).await, verdict);
    }
}

async fn bring_to(admin: &mut Admin, key: &Key, state: KeyState) -> Result<Changed, Status> {
    match state {
        KeyState::Inactive => deactivate(admin, &key.id).await,
        KeyState::Revoked => revoke(admin, &key.id, COMPROMISED).await,
        KeyState::Expired => {
            let expired = Key { expire_time: Some(in_seconds(-1)), ..key.clone() };
            updated(admin, update(expired, &["expire_time"])).await
        }
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn deleting_takes_the_exact_name() {
    let site = Site::shared();
    let mut admin = site.admin();
    let name = "Käse & Brot";
    let made = create(&mut admin, new_key(name)).await;
    let id = made.key.id.as_str();
    // the last one has the letter of two characters that look like one
    for confirm in
        ["", "käse & brot", "Käse & Brot ", " Käse & Brot", "Käse", id, "Ka\u{308}se & Brot"]
    {
        assert_invalid(delete(&mut admin, id, confirm).await, &["confirm"]);
    }
    assert_eq!(get(&mut admin, id).await, made.key);
    delete(&mut admin, id, name).await.unwrap();
}

#[tokio::test]
async fn a_deleted_key_takes_no_change_but_undelete() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Deleted")).await;
    let gone = delete(&mut admin, &made.key.id, "Deleted").await.unwrap();
    let outcomes = every_change(&mut admin, &made.key).await;
    assert_eq!(outcomes.len(), 7);
    for (call, result) in outcomes {
        if call == "UndeleteKey" {
            result.unwrap();
        } else {
            assert_status(result, Code::FailedPrecondition, "KEY_DELETED");
        }
    }
    let back = get(&mut admin, &made.key.id).await;
    let etag = back.etag.clone();
    let expected = Key {
        delete_time: None,
        state: KeyState::Active.into(),
        etag,
        update_time: back.update_time,
        ..gone.key
    };
    assert_eq!(back, expected);
}

#[tokio::test]
async fn a_key_that_is_not_deleted_cannot_be_undeleted() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("There")).await;
    let result = undelete(&mut admin, &made.key.id).await;
    assert_status(result, Code::AlreadyExists, "KEY_NOT_DELETED");
}

#[tokio::test]
async fn an_old_etag_stops_every_change() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Etag")).await;
    let (id, etag) = (made.key.id.clone(), String::from("v77"));
    let reason = COMPROMISED.into();
    let (confirm, comment) = ("Etag".into(), String::new());
    let request = pb::ActivateKeyRequest { id: id.clone(), etag: etag.clone() };
    assert_status(admin.activate_key(request).await, Code::Aborted, "ETAG_MISMATCH");
    let request = pb::DeactivateKeyRequest { id: id.clone(), etag: etag.clone() };
    assert_status(admin.deactivate_key(request).await, Code::Aborted, "ETAG_MISMATCH");
    let request = RevokeKeyRequest { id: id.clone(), reason, comment, etag: etag.clone() };
    assert_status(admin.revoke_key(request).await, Code::Aborted, "ETAG_MISMATCH");
    let request = pb::DeleteKeyRequest { id: id.clone(), confirm, etag: etag.clone() };
    assert_status(admin.delete_key(request).await, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(get(&mut admin, &id).await, made.key);
    let gone = delete(&mut admin, &id, "Etag").await.unwrap();
    let request = pb::UndeleteKeyRequest { id: id.clone(), etag };
    assert_status(admin.undelete_key(request).await, Code::Aborted, "ETAG_MISMATCH");
    let request = pb::UndeleteKeyRequest { id, etag: gone.key.etag };
    admin.undelete_key(request).await.unwrap();
}
