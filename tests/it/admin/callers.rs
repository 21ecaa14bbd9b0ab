//! Who may call: authentication and permissions.

use keyward::rpc::pb::{self, key_admin_client::KeyAdminClient};
use tonic::{Code, Request, Status, metadata::MetadataValue};

use super::{
    activate, another_token, deactivate, delete, every_call, get, in_seconds, regenerate, revoke,
    update, updated,
};
use crate::support::{
    client::{
        Made, assert_not_permitted, assert_outranks, assert_status, create, new_admin_key, new_key,
    },
    operator::{Operator, Site},
    server::connect,
};

/// The calls and the last word of the permission that each needs.
const NEEDED: [(&str, &str); 11] = [
    ("CreateKey", "write"),
    ("GetKey", "read"),
    ("ListKeys", "read"),
    ("LookupKey", "read"),
    ("UpdateKey", "write"),
    ("RegenerateKey", "write"),
    ("DeactivateKey", "write"),
    ("ActivateKey", "write"),
    ("RevokeKey", "revoke"),
    ("DeleteKey", "delete"),
    ("UndeleteKey", "delete"),
];

const ABUSE: pb::RevocationReason = pb::RevocationReason::Abuse;

/// What authentication says to a token.
async fn refusal(site: &Site, token: &str, reason: &str) {
    let mut admin = site.server.admin_as(token);
    let result = admin.list_keys(pb::ListKeysRequest::default()).await;
    assert_status(result, Code::Unauthenticated, reason);
}

#[tokio::test]
async fn no_call_is_answered_without_a_key() {
    let site = Site::shared();
    let key = create(&mut site.admin(), new_key("Guarded")).await;
    let mut nobody = site.server.admin_as("");
    let outcomes = every_call(&mut nobody, &key).await;
    let calls: Vec<_> = outcomes.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, NEEDED.map(|(call, _)| call));
    for (_, result) in outcomes {
        assert_status(result, Code::Unauthenticated, "KEY_MISSING");
    }
    let found = get(&mut site.admin(), &key.key.id).await;
    assert_eq!(found, key.key);
}

#[tokio::test]
async fn no_call_is_answered_with_an_ordinary_key() {
    let site = Site::shared();
    let request = pb::CreateKeyRequest {
        permissions: vec!["public".into(), "keyward".into()],
        ..new_key("Ordinary")
    };
    let key = create(&mut site.admin(), request).await;
    site.knows(key.revision).await;
    let mut intruder = site.server.admin_as(&key.token);
    for (_, result) in every_call(&mut intruder, &key).await {
        assert_status(result, Code::Unauthenticated, "KEY_UNKNOWN");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_told_why() {
    let site = Site::shared();
    let operator = site.operator(&["keyward.keys.read"]).await;
    let token = operator.made.token;
    let mistyped = format!("{}x", &token[..token.len() - 1]);
    refusal(&site, &mistyped, "KEY_MALFORMED").await;
    refusal(&site, &token[..20], "KEY_MALFORMED").await;
    refusal(&site, &"a".repeat(600), "KEY_MALFORMED").await;
    refusal(&site, "kw_prod_", "KEY_MALFORMED").await;
    refusal(&site, "of-another-brand", "KEY_UNKNOWN").await;
}

#[tokio::test]
async fn an_admin_key_that_is_not_live_opens_nothing() {
    let site = Site::shared();
    let mut root = site.admin();
    let Operator { made, mut admin } = site.operator(&["keyward.keys.read"]).await;
    let id = made.key.id.as_str();
    let listing = pb::ListKeysRequest::default;
    admin.list_keys(listing()).await.unwrap();

    let change = deactivate(&mut root, id).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_INACTIVE").await;

    let change = activate(&mut root, id).await.unwrap();
    site.knows(change.revision).await;
    admin.list_keys(listing()).await.unwrap();

    let change = revoke(&mut root, id, ABUSE).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_INACTIVE").await;
    activate(&mut root, id).await.unwrap();

    let expired = pb::Key { expire_time: Some(in_seconds(-1)), ..made.key.clone() };
    let expired = pb::Key { etag: String::new(), ..expired };
    let change = updated(&mut root, update(expired.clone(), &["expire_time"])).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_EXPIRED").await;

    let early = pb::Key { expire_time: None, not_before_time: Some(in_seconds(3600)), ..expired };
    let both = ["expire_time", "not_before_time"];
    let change = updated(&mut root, update(early, &both)).await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_NOT_YET_VALID").await;

    let change = delete(&mut root, id, "Operator").await.unwrap();
    site.knows(change.revision).await;
    refusal(&site, &made.token, "KEY_UNKNOWN").await;
}

#[tokio::test]
async fn a_replaced_token_of_an_admin_key_opens_nothing() {
    let site = Site::shared();
    let made = site.operator(&["keyward.keys.read"]).await.made;
    let new = regenerate(&mut site.admin(), another_token(&made.key.id)).await.unwrap();
    site.knows(new.revision).await;
    refusal(&site, &made.token, "KEY_UNKNOWN").await;
    let mut admin = site.server.admin_as(&new.token);
    admin.list_keys(pb::ListKeysRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_authorization_header_is_read_as_rfc_6750_has_it() {
    let site = Site::shared();
    let token = &site.database.root_token;
    let mut client = KeyAdminClient::new(connect(site.server.admin));
    for (value, reason) in [
        (format!("bearer {token}"), None),
        (format!("BEARER  {token} "), None),
        (token.clone(), Some("KEY_MISSING")),
        (format!("Basic {token}"), Some("KEY_MISSING")),
        (String::from("Bearer"), Some("KEY_MISSING")),
        (String::from("Bearer  "), Some("KEY_MISSING")),
        (format!("Bearer {token} {token}"), Some("KEY_MALFORMED")),
    ] {
        let mut request = Request::new(pb::ListKeysRequest::default());
        let value = MetadataValue::try_from(value).unwrap();
        request.metadata_mut().insert("authorization", value);
        let result = client.list_keys(request).await;
        match reason {
            None => drop(result.unwrap()),
            Some(reason) => drop(assert_status(result, Code::Unauthenticated, reason)),
        }
    }
}

/// Calls everything on a fresh key and says which calls were refused for want of permission.
async fn not_permitted(
    site: &Site,
    operator: &mut Operator,
    key: pb::CreateKeyRequest,
) -> Vec<&'static str> {
    let kind = if key.domain == "keyward" { "admins" } else { "keys" };
    let key = create(&mut site.admin(), key).await;
    let mut refused = Vec::new();
    let outcomes = every_call(&mut operator.admin, &key).await;
    for ((call, result), (named, word)) in outcomes.into_iter().zip(NEEDED) {
        assert_eq!(call, named);
        if result.as_ref().is_err_and(|status| status.code() == Code::PermissionDenied) {
            assert_not_permitted(result, &format!("keyward.{kind}.{word}"));
            refused.push(call);
        }
    }
    refused
}

fn all_but(word: &str) -> Vec<&'static str> {
    let others = NEEDED.iter().filter(|(_, needed)| *needed != word);
    others.map(|(call, _)| *call).collect()
}

fn only(word: &str) -> Vec<&'static str> {
    let those = NEEDED.iter().filter(|(_, needed)| *needed == word);
    those.map(|(call, _)| *call).collect()
}

const WORDS: [&str; 4] = ["read", "write", "revoke", "delete"];

#[tokio::test]
async fn each_permission_opens_its_calls_and_no_others() {
    let site = Site::shared();
    for word in WORDS {
        let mut operator = site.operator(&[&format!("keyward.keys.{word}")]).await;
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        assert_eq!(refused, all_but(word), "{word}");
    }
}

#[tokio::test]
async fn admin_keys_take_permissions_of_their_own() {
    let site = Site::shared();
    for word in WORDS {
        let own = format!("keyward.admins.{word}");
        let mut operator = site.operator(&["keyward.keys", &own]).await;
        let refused = not_permitted(&site, &mut operator, new_admin_key("Admin", &[])).await;
        assert_eq!(refused, all_but(word), "{word}");
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        assert_eq!(refused, [""; 0], "{word}");
    }
}

#[tokio::test]
async fn permissions_for_admin_keys_open_no_ordinary_ones() {
    let site = Site::shared();
    for word in WORDS {
        let admins = WORDS.map(|word| format!("keyward.admins.{word}"));
        let others = WORDS.iter().filter(|other| **other != word);
        let keys: Vec<_> = others.map(|other| format!("keyward.keys.{other}")).collect();
        let permissions: Vec<_> = admins.iter().chain(&keys).map(String::as_str).collect();
        let mut operator = site.operator(&permissions).await;
        let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
        // a list of all domains shows what may be read: here it names one
        let expected: Vec<_> = only(word);
        assert_eq!(refused, expected, "{word}");
    }
}

#[tokio::test]
async fn a_key_with_other_permissions_may_do_nothing() {
    let site = Site::shared();
    let mut operator = site.operator(&["keyward.other"]).await;
    let refused = not_permitted(&site, &mut operator, new_key("Ordinary")).await;
    assert_eq!(refused, NEEDED.map(|(call, _)| call));
}

#[tokio::test]
async fn a_permission_that_is_taken_away_is_gone() {
    let site = Site::shared();
    let Operator { made, mut admin } = site.operator(&["keyward.keys"]).await;
    create(&mut admin, new_key("Before")).await;
    let less = pb::Key { permissions: vec!["keyward.keys.read".into()], ..made.key };
    let change = updated(&mut site.admin(), update(less, &["permissions"])).await.unwrap();
    site.knows(change.revision).await;
    let result = admin.create_key(new_key("After")).await;
    assert_not_permitted(result, "keyward.keys.write");
}

/// An operator who may do anything to admin keys, but little else.
async fn deputy(site: &Site) -> Operator {
    site.operator(&["keyward.admins", "keyward.keys.read"]).await
}

#[tokio::test]
async fn nobody_makes_an_admin_key_that_may_do_more_than_its_maker() {
    let site = Site::shared();
    let Operator { mut admin, .. } = deputy(&site).await;
    for permission in [
        "keyward.keys.write",
        "keyward.keys",
        "keyward",
        "keyward.*",
        "keyward.*.read",
        "*",
        "*.read",
        "public",
        "public.read",
        "systems.read",
    ] {
        let request = new_admin_key("Too much", &["keyward.keys.read", permission]);
        assert_outranks(admin.create_key(request.clone()).await);
        let tried = pb::CreateKeyRequest { validate_only: true, ..request };
        assert_outranks(admin.create_key(tried).await);
    }
    for permission in ["keyward.keys.read", "keyward.admins.write", "keyward.admins.*"] {
        create(&mut admin, new_admin_key("As much", &[permission])).await;
    }
}

#[tokio::test]
async fn an_operator_may_give_ordinary_keys_what_it_has_not() {
    let site = Site::shared();
    let Operator { mut admin, .. } = site.operator(&["keyward.keys.write"]).await;
    let request = pb::CreateKeyRequest {
        permissions: vec!["public".into(), "keyward".into()],
        ..new_key("Ordinary")
    };
    create(&mut admin, request).await;
}

#[tokio::test]
async fn nobody_changes_an_admin_key_that_may_do_more() {
    let site = Site::shared();
    let Operator { mut admin, .. } = deputy(&site).await;
    let request = new_admin_key("Higher", &["keyward.admins", "keyward.keys.write"]);
    let higher = create(&mut site.admin(), request).await;
    let (id, mut key) = (higher.key.id.clone(), higher.key.clone());
    get(&mut admin, &id).await;
    key.permissions = vec![];
    assert_outranks(updated(&mut admin, update(key, &["permissions"])).await);
    assert_outranks(regenerate(&mut admin, another_token(&id)).await);
    assert_outranks(deactivate(&mut admin, &id).await);
    assert_outranks(activate(&mut admin, &id).await);
    assert_outranks(revoke(&mut admin, &id, ABUSE).await);
    assert_outranks(delete(&mut admin, &id, "Higher").await);
    assert_outranks(super::undelete(&mut admin, &id).await);
    assert_eq!(get(&mut site.admin(), &id).await, higher.key);
}

#[tokio::test]
async fn nobody_widens_itself() {
    let site = Site::shared();
    let Operator { made, mut admin } = deputy(&site).await;
    let wider = |permissions: &[&str]| {
        let key = pb::Key {
            permissions: permissions.iter().map(ToString::to_string).collect(),
            etag: String::new(),
            ..made.key.clone()
        };
        update(key, &["permissions"])
    };
    assert_outranks(updated(&mut admin, wider(&["keyward"])).await);
    assert_outranks(updated(&mut admin, wider(&["keyward.admins", "systems"])).await);
    assert_eq!(get(&mut admin, &made.key.id).await.permissions, made.key.permissions);
    updated(&mut admin, wider(&["keyward.admins"])).await.unwrap();
}

#[tokio::test]
async fn admin_keys_are_listed_only_to_those_who_may_read_them() {
    let site = Site::shared();
    let mut reader = site.operator(&["keyward.keys.read"]).await.admin;
    let mut auditor = site.operator(&["keyward.admins.read"]).await.admin;
    let mut both = site.operator(&["keyward.*.read"]).await.admin;
    let label = super::labels(&[("test", "who-sees-whom")]);
    for request in [new_key("Ordinary"), new_admin_key("Admin", &[])] {
        let labels = label.clone();
        create(&mut site.admin(), pb::CreateKeyRequest { labels, ..request }).await;
    }
    let request = |domain: &str| pb::ListKeysRequest {
        domain: domain.into(),
        labels: label.clone(),
        ..pb::ListKeysRequest::default()
    };
    for (admin, expected) in [
        (&mut reader, &["Ordinary"][..]),
        (&mut auditor, &["Admin"]),
        (&mut both, &["Ordinary", "Admin"]),
    ] {
        let page = admin.list_keys(request("")).await.unwrap().into_inner();
        let names: Vec<_> = page.keys.iter().map(|key| key.display_name.as_str()).collect();
        assert_eq!(names, expected);
    }
    assert_not_permitted(reader.list_keys(request("keyward")).await, "keyward.admins.read");
    assert_not_permitted(auditor.list_keys(request("default")).await, "keyward.keys.read");
}

#[tokio::test]
async fn what_is_not_permitted_is_refused_before_it_is_looked_for() {
    let site = Site::shared();
    let mut operator = site.operator(&["keyward.other"]).await.admin;
    let mut made: Made = create(&mut site.admin(), new_key("Gone")).await;
    made.key.id = "key_00000000000000000000000000".into();
    for (call, result) in every_call(&mut operator, &made).await {
        let code = result.as_ref().map_err(Status::code);
        assert_eq!(code, Err(Code::PermissionDenied), "{call}");
    }
}
