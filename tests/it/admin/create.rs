//! Creating, and reading what was created.

use std::collections::BTreeSet;

use keyward::rpc::pb::{self, Key, KeyState};
use prost::Message;

use super::{
    activate, another_token, deactivate, every_call, get, in_seconds, labels, micros, now_micros,
    regenerate, rich_key, richest_key, turns_at, update, updated,
};
use crate::support::{
    client::{create, may_read, new_admin_key, new_key, verdict},
    operator::Site,
};

#[tokio::test]
async fn a_new_key_is_allowed_what_it_was_granted_and_nothing_else() {
    let site = Site::shared();
    let made = create(&mut site.admin(), new_key("First")).await;
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
    for (permission, expected) in [
        ("systems.read", "ALLOWED"),
        ("systems.read.deeper", "ALLOWED"),
        ("systems.write", "403 PERMISSION_DENIED"),
        ("systems", "403 PERMISSION_DENIED"),
        ("keyward.keys.read", "403 PERMISSION_DENIED"),
    ] {
        let request =
            pb::AuthorizeRequest { permission: permission.into(), ..may_read(&made.token) };
        assert_eq!(verdict(&asker.ask(request).await), expected, "{permission}");
    }
    let elsewhere = pb::AuthorizeRequest { environment: "staging".into(), ..may_read(&made.token) };
    let response = asker.ask(elsewhere).await;
    assert_eq!(verdict(&response), "401 ENVIRONMENT_MISMATCH");
}

#[tokio::test]
async fn a_new_key_has_what_was_asked_for() {
    let site = Site::shared();
    let mut admin = site.admin();
    let request = richest_key(&site, "  inner  spaces and émojis 🎉".trim()).await;
    let begun = now_micros();
    let made = create(&mut admin, request.clone()).await;
    let created = micros(&made.key.create_time.unwrap());
    assert!((begun..=now_micros()).contains(&created));
    let expected = Key {
        limits: request.limits,
        id: made.key.id.clone(),
        domain: "default".into(),
        environment: request.environment,
        display_name: request.display_name,
        description: request.description,
        permissions: request.permissions,
        route_rules: request.route_rules,
        not_before_time: request.not_before_time,
        expire_time: request.expire_time,
        labels: request.labels,
        hint: hint_of(&made.token),
        state: KeyState::Active.into(),
        created_by: site.root_id().await,
        create_time: made.key.create_time,
        update_time: made.key.create_time,
        last_used_time: None,
        last_used_address: String::new(),
        delete_time: None,
        revocation: None,
        retiring_secret: None,
        etag: made.key.etag.clone(),
        user: request.user,
        groups: request.groups,
        deleted_groups: vec![],
        customers: request.customers,
        allowed_addresses: request.allowed_addresses,
        denied_addresses: request.denied_addresses,
        managed_by: request.managed_by,
        allow_self_regenerate: true,
        delegation: None,
        template: String::new(),
        permission_names: labels(&[]),
    };
    assert_eq!(made.key, expected);
    assert_eq!(get(&mut admin, &made.key.id).await, expected);
    assert!(!made.key.etag.is_empty());
}

/// The beginning, `…` and the last four.
fn hint_of(token: &str) -> String {
    let (head, _) = token.split_at("kw_stag_".len() + 4);
    format!("{head}…{}", &token[token.len() - 4..])
}

#[tokio::test]
async fn ids_and_tokens_have_their_documented_form() {
    let site = Site::shared();
    let mut admin = site.admin();
    for (environment, tag) in [("production", "prod"), ("staging", "stag"), ("development", "dev")]
    {
        let request = pb::CreateKeyRequest { environment: environment.into(), ..new_key("Formed") };
        let made = create(&mut admin, request).await;
        let digits = made.key.id.strip_prefix("key_").unwrap();
        assert_eq!(digits.len(), 26);
        let random = made.token.strip_prefix(&format!("kw_{tag}_")).unwrap();
        assert_eq!(random.len(), 38);
        assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(!made.key.hint.contains(&random[..8]));
    }
}

#[tokio::test]
async fn a_token_is_in_the_answer_that_made_it_and_in_no_other() {
    let site = Site::shared();
    let mut admin = site.admin();
    let made = create(&mut admin, rich_key("Shown once")).await;
    let id = made.key.id.as_str();
    let token = made.token.clone();
    let listing =
        pb::ListKeysRequest { search: "Shown once".into(), ..pb::ListKeysRequest::default() };
    let described = Key { description: "Updated".into(), ..made.key.clone() };
    let found = pb::LookupKeyRequest { token };
    let answers = [
        made.key.encode_to_vec(),
        get(&mut admin, id).await.encode_to_vec(),
        admin.list_keys(listing).await.unwrap().into_inner().encode_to_vec(),
        admin.lookup_key(found).await.unwrap().into_inner().encode_to_vec(),
        updated(&mut admin, update(described, &["description"])).await.unwrap().key.encode_to_vec(),
        deactivate(&mut admin, id).await.unwrap().key.encode_to_vec(),
        activate(&mut admin, id).await.unwrap().key.encode_to_vec(),
        regenerate(&mut admin, another_token(id)).await.unwrap().key.encode_to_vec(),
    ];
    // what the hint shows is no secret
    let secret = &made.token.as_bytes()["kw_stag_".len() + 4..made.token.len() - 4];
    for (number, answer) in answers.iter().enumerate() {
        assert!(answer.len() > 100, "{number}");
        for part in secret.windows(6) {
            let shown = answer.windows(6).any(|bytes| bytes == part);
            assert!(!shown, "answer {number} has a part of the token");
        }
    }
}

#[tokio::test]
async fn two_keys_of_the_same_name_are_two() {
    let site = Site::shared();
    let mut admin = site.admin();
    let mut ids = BTreeSet::new();
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        let made = create(&mut admin, new_key("Twin")).await;
        ids.insert(made.key.id);
        tokens.insert(made.token);
    }
    assert_eq!((ids.len(), tokens.len()), (3, 3));
}

#[tokio::test]
async fn an_admin_key_opens_the_admin_services_and_nothing_else() {
    let site = Site::shared();
    let operator = site.operator(&["keyward.keys.write"]).await;
    let mut admin = operator.admin;
    create(&mut admin, new_key("By an operator")).await;
    let mut asker = site.server.asker();
    let made = operator.made;
    let said = asker.verdict(&made.token, made.revision).await;
    assert_eq!(said, "401 KEY_UNKNOWN");
}

#[tokio::test]
async fn a_key_works_from_its_not_before_time_on() {
    let site = Site::shared();
    let start = in_seconds(2);
    let request = pb::CreateKeyRequest { not_before_time: Some(start), ..new_key("Early") };
    let made = create(&mut site.admin(), request).await;
    assert_eq!(made.key.state(), KeyState::Active);
    site.knows(made.revision).await;
    let mut asker = site.server.asker();
    let verdicts = ["401 KEY_NOT_YET_VALID", "ALLOWED"];
    turns_at(&mut asker, &made.token, micros(&start), verdicts).await;
}

#[tokio::test]
async fn a_key_works_until_its_expire_time() {
    let site = Site::shared();
    let mut admin = site.admin();
    let end = in_seconds(2);
    let request = pb::CreateKeyRequest { expire_time: Some(end), ..new_key("Late") };
    let made = create(&mut admin, request).await;
    site.knows(made.revision).await;
    let mut asker = site.server.asker();
    let verdicts = ["ALLOWED", "401 KEY_EXPIRED"];
    turns_at(&mut asker, &made.token, micros(&end), verdicts).await;
    assert_eq!(get(&mut admin, &made.key.id).await.state(), KeyState::Expired);
}

#[tokio::test]
async fn validate_only_checks_everything_and_makes_nothing() {
    let site = Site::start(&[]).await;
    let mut admin = site.admin();
    let counts = "SELECT (SELECT count(*) FROM keyward.key) * 1000000
        + (SELECT count(*) FROM keyward.audit_event) * 10000
        + (SELECT count(*) FROM keyward.request) * 100
        + (SELECT revision FROM keyward.log_head)";
    let richest = richest_key(&site, "Tried").await;
    let before = site.database.number(counts).await;
    let request =
        pb::CreateKeyRequest { validate_only: true, request_id: "rehearsal".into(), ..richest };
    let response = admin.create_key(request.clone()).await.unwrap().into_inner();
    let key = response.key.clone().unwrap();
    let expected = pb::CreateKeyResponse {
        key: Some(Key {
            domain: "default".into(),
            environment: request.environment.clone(),
            display_name: request.display_name.clone(),
            description: request.description.clone(),
            permissions: request.permissions.clone(),
            route_rules: request.route_rules.clone(),
            not_before_time: request.not_before_time,
            expire_time: request.expire_time,
            labels: request.labels.clone(),
            state: KeyState::Active.into(),
            created_by: site.root_id().await,
            create_time: key.create_time,
            update_time: key.create_time,
            user: request.user.clone(),
            groups: request.groups.clone(),
            customers: request.customers.clone(),
            allowed_addresses: request.allowed_addresses.clone(),
            denied_addresses: request.denied_addresses.clone(),
            managed_by: request.managed_by.clone(),
            allow_self_regenerate: true,
            limits: request.limits.clone(),
            ..Key::default()
        }),
        token: String::new(),
        revision: 0,
    };
    assert_eq!(response, expected);
    assert_eq!(site.database.number(counts).await, before);

    let real = pb::CreateKeyRequest { validate_only: false, ..request };
    let made = create(&mut admin, real).await;
    assert_eq!(made.key.display_name, "Tried");
}

#[tokio::test]
async fn every_call_works_for_the_root_key_on_keys_of_both_kinds() {
    let site = Site::shared();
    let mut admin = site.admin();
    for request in [new_key("Ordinary"), new_admin_key("Admin", &["keyward.keys.read"])] {
        let key = create(&mut admin, request).await;
        let outcomes = every_call(&mut admin, &key).await;
        assert_eq!(outcomes.len(), 11);
        for (call, result) in outcomes {
            assert!(result.is_ok(), "{call}: {result:?}");
        }
    }
}
