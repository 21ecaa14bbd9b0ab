//! Calls that change a key's token or state.

use keyward::rpc::pb::{self, RegenerateKeyRequest, RevocationReason, RevokeKeyRequest};
use prost_types::Duration;

use super::{
    super::{another_token, get, regenerate},
    bad_proses,
};
use crate::support::{
    client::{assert_invalid, create, new_key},
    operator::Site,
};

#[tokio::test]
async fn regenerate_refuses_bad_fields() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Kept")).await.key;
    let base = another_token(&made.id);
    let days = 30 * 24 * 60 * 60;
    for (seconds, nanos) in [
        (-1, 0),
        (0, -1),
        (1, -1),
        (-1, 1),
        (days, 1),
        (days + 1, 0),
        (i64::MAX, 0),
        (i64::MIN, i32::MIN),
        (1, 1_000_000_000),
    ] {
        let overlap = Some(Duration { seconds, nanos });
        let result = regenerate(&mut admin, RegenerateKeyRequest { overlap, ..base.clone() }).await;
        assert_invalid(result, &["overlap"]);
    }
    let worst = RegenerateKeyRequest {
        id: "x".into(),
        overlap: Some(Duration { seconds: -1, nanos: 0 }),
        etag: "x".repeat(65),
        request_id: "\u{e9}".into(),
    };
    let fields = ["request_id", "id", "etag", "overlap"];
    assert_invalid(regenerate(&mut admin, worst).await, &fields);
    assert_eq!(get(&mut admin, &made.id).await, made);
}

#[tokio::test]
async fn revoke_refuses_bad_reasons_and_comments() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Kept")).await.key;
    let base = RevokeKeyRequest {
        id: made.id.clone(),
        reason: RevocationReason::Abuse.into(),
        ..RevokeKeyRequest::default()
    };
    for reason in [0, 6, -1, i32::MAX] {
        let request = RevokeKeyRequest { reason, ..base.clone() };
        assert_invalid(admin.revoke_key(request).await, &["reason"]);
    }
    for comment in bad_proses() {
        let request = RevokeKeyRequest { comment, ..base.clone() };
        assert_invalid(admin.revoke_key(request).await, &["comment"]);
    }
    for comment in ["", " ", "\n\t"] {
        let reason = RevocationReason::Other.into();
        let request = RevokeKeyRequest { reason, comment: comment.into(), ..base.clone() };
        assert_invalid(admin.revoke_key(request).await, &["comment"]);
    }
    let worst = RevokeKeyRequest {
        id: String::new(),
        reason: 0,
        comment: "\0".into(),
        etag: "x".repeat(65),
    };
    assert_invalid(admin.revoke_key(worst).await, &["id", "etag", "comment", "reason"]);
    assert_eq!(get(&mut admin, &made.id).await, made);
}

#[tokio::test]
async fn ids_and_etags_are_checked_by_every_call() {
    let site = Site::shared();
    let mut admin = site.admin();
    let long = "k".repeat(10_000);
    for id in ["", "x", "key_", "key_8zzzzzzzzzzzzzzzzzzzzzzzzz", long.as_str()] {
        let id = id.to_owned();
        assert_invalid(admin.get_key(pb::GetKeyRequest { id: id.clone() }).await, &["id"]);
        let etag = "x".repeat(65);
        let both = ["id", "etag"];
        let request = pb::ActivateKeyRequest { id: id.clone(), etag: etag.clone() };
        assert_invalid(admin.activate_key(request).await, &both);
        let request = pb::DeactivateKeyRequest { id: id.clone(), etag: etag.clone() };
        assert_invalid(admin.deactivate_key(request).await, &both);
        let request = pb::UndeleteKeyRequest { id: id.clone(), etag: etag.clone() };
        assert_invalid(admin.undelete_key(request).await, &both);
        let request = pb::DeleteKeyRequest { id, etag, confirm: String::new() };
        assert_invalid(admin.delete_key(request).await, &["id", "etag", "confirm"]);
    }
}
