//! Finding keys by id and by token.

use keyward::rpc::pb::{self, Key, KeyState};
use tonic::{Code, Status};

use super::{
    Outcome, another_token, deactivate, delete, every_call, get, in_seconds, regenerate, revoke,
    update, updated,
};
use crate::support::{
    client::{Admin, Made, assert_invalid, assert_not_permitted, assert_status, create, new_key},
    operator::Site,
};

async fn look_up(admin: &mut Admin, token: &str) -> Result<Key, Status> {
    let token = token.to_owned();
    let response = admin.lookup_key(pb::LookupKeyRequest { token }).await?;
    Ok(response.into_inner().key.unwrap())
}

#[tokio::test]
async fn a_token_finds_its_key_in_whatever_state() {
    let site = Site::shared();
    let mut admin = site.admin();
    let Made { key, token, .. } = create(&mut admin, new_key("Found")).await;
    assert_eq!(look_up(&mut admin, &token).await.unwrap(), key);

    let expired = Key { expire_time: Some(in_seconds(-5)), ..key.clone() };
    updated(&mut admin, update(expired, &["expire_time"])).await.unwrap();
    assert_eq!(look_up(&mut admin, &token).await.unwrap().state(), KeyState::Expired);
    deactivate(&mut admin, &key.id).await.unwrap();
    assert_eq!(look_up(&mut admin, &token).await.unwrap().state(), KeyState::Inactive);
    revoke(&mut admin, &key.id, pb::RevocationReason::Compromised).await.unwrap();
    assert_eq!(look_up(&mut admin, &token).await.unwrap().state(), KeyState::Revoked);
    delete(&mut admin, &key.id, "Found").await.unwrap();
    assert_eq!(look_up(&mut admin, &token).await.unwrap().state(), KeyState::Deleted);
}

#[tokio::test]
async fn a_replaced_token_finds_its_key_only_while_it_works() {
    let site = Site::shared();
    let mut admin = site.admin();
    let first = create(&mut admin, new_key("Rotated")).await;
    let request = pb::RegenerateKeyRequest {
        overlap: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        ..another_token(&first.key.id)
    };
    let second = regenerate(&mut admin, request).await.unwrap();
    assert_eq!(look_up(&mut admin, &first.token).await.unwrap(), second.key);
    assert_eq!(look_up(&mut admin, &second.token).await.unwrap(), second.key);

    let third = regenerate(&mut admin, another_token(&first.key.id)).await.unwrap();
    assert_eq!(look_up(&mut admin, &third.token).await.unwrap(), third.key);
    for token in [first.token, second.token] {
        let result = look_up(&mut admin, &token).await;
        assert_status(result, Code::NotFound, "KEY_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_text_that_is_no_token_is_invalid_and_an_unknown_one_not_found() {
    let site = Site::shared();
    let mut admin = site.admin();
    let long = "x".repeat(513);
    for token in ["", "kw_prod_", "kw_prod_0123456789", long.as_str()] {
        assert_invalid(look_up(&mut admin, token).await, &["token"]);
    }
    let made = create(&mut admin, new_key("Mistyped")).await;
    let mistyped = made.token.replace("kw_prod_", "kw_stag_");
    assert_invalid(look_up(&mut admin, &mistyped).await, &["token"]);
    for token in ["someone-else's", "key_00000000000000000000000000", " ", "ä\0\u{7f}"] {
        let result = look_up(&mut admin, token).await;
        assert_status(result, Code::NotFound, "KEY_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_token_of_an_admin_key_takes_the_permission_to_read_admins() {
    let site = Site::shared();
    let mut reader = site.operator(&["keyward.keys.read"]).await;
    let result = look_up(&mut reader.admin, &reader.made.token).await;
    assert_not_permitted(result, "keyward.admins.read");
    let result = reader.admin.get_key(pb::GetKeyRequest { id: reader.made.key.id }).await;
    assert_not_permitted(result, "keyward.admins.read");
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut made = create(&mut admin, new_key("Gone")).await;
    made.key.id = "key_7zzzzzzzzzzzzzzzzzzzzzzzzz".into();
    let by_id = |(call, _): &Outcome| !["CreateKey", "ListKeys", "LookupKey"].contains(call);
    let outcomes = every_call(&mut admin, &made).await;
    let outcomes: Vec<_> = outcomes.into_iter().filter(by_id).collect();
    assert_eq!(outcomes.len(), 8);
    for (_, result) in outcomes {
        assert_status(result, Code::NotFound, "KEY_NOT_FOUND");
    }
}

#[tokio::test]
async fn get_shows_a_deleted_key() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, new_key("Deleted")).await;
    let change = delete(&mut admin, &made.key.id, "Deleted").await.unwrap();
    assert_eq!(get(&mut admin, &made.key.id).await, change.key);
    assert_eq!(change.key.state(), KeyState::Deleted);
}
