//! `KeyAdmin`: what each call does, and whom and what it refuses.

mod audit;
mod callers;
mod create;
mod down;
mod invalid;
mod lifecycle;
mod limits;
mod list;
mod lookup;
mod regenerate;
mod repeat;
mod undecodable;
mod update;

use keyward::{clock, model::id::KeyId, rpc::pb};
use prost_types::{FieldMask, Timestamp};
use tonic::{Code, Status};

use crate::support::{
    client::{Admin, Asker, Made, assert_status, new_key},
    eventually,
    limits::of_each_kind,
    operator::Site,
};

/// A whole second of the wall clock, so far from now.
fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp { seconds: clock::wall().micros() / 1_000_000 + seconds, nanos: 0 }
}

/// In microseconds, as the database has it.
fn micros(time: &Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1000
}

/// The wall clock.
fn now_micros() -> i64 {
    clock::wall().micros()
}

/// A key with everything that can be set.
fn rich_key(name: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest {
        environment: "staging".into(),
        description: "For the booking panel.\nAsk Ida.".into(),
        permissions: vec!["systems".into(), "*.read".into()],
        route_rules: vec!["GET,HEAD /api/v2".into(), "=/health".into()],
        not_before_time: Some(in_seconds(-60)),
        expire_time: Some(in_seconds(3600)),
        labels: labels(&[("team", "red"), ("cost/center", "Käse 17")]),
        customers: texts(&["c-1", "C/2"]),
        allowed_addresses: texts(&["192.0.2.0/24", "2001:db8::/32"]),
        denied_addresses: texts(&["192.0.2.7"]),
        allow_self_regenerate: true,
        limits: of_each_kind(),
        ..new_key(name)
    }
}

/// The same with a user and groups that are there, and managed by the root admin key.
async fn richest_key(site: &Site, name: &str) -> pb::CreateKeyRequest {
    let mut access = site.server.access();
    for name in ["rich", "richer", "other"] {
        let group = pb::PermissionGroup {
            name: name.into(),
            display_name: "Group".into(),
            ..pb::PermissionGroup::default()
        };
        let group = Some(group);
        let request = pb::CreatePermissionGroupRequest { group, validate_only: false };
        there(access.create_permission_group(request).await, "GROUP_EXISTS");
        let user = pb::User {
            id: name.into(),
            kind: pb::UserKind::Person.into(),
            display_name: "User".into(),
            ..pb::User::default()
        };
        let request = pb::CreateUserRequest { user: Some(user), validate_only: false };
        there(access.create_user(request).await, "USER_EXISTS");
    }
    pb::CreateKeyRequest {
        user: "rich".into(),
        groups: texts(&["richer", "rich"]),
        managed_by: site.root_id().await,
        ..rich_key(name)
    }
}

/// Made now, or there before.
fn there<T>(made: Result<T, Status>, reason: &str) {
    if made.is_err() {
        assert_status(made, Code::AlreadyExists, reason);
    }
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn labels(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// The key as it is now.
async fn get(admin: &mut Admin, id: &str) -> pb::Key {
    let request = pb::GetKeyRequest { id: id.to_owned() };
    let response = admin.get_key(request).await.unwrap();
    response.into_inner().key.unwrap()
}

/// An update of these fields to what they are in `key`.
fn update(key: pb::Key, paths: &[&str]) -> pb::UpdateKeyRequest {
    pb::UpdateKeyRequest {
        key: Some(key),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        validate_only: false,
    }
}

/// A key after a change, and the revision of the change.
#[derive(Clone, Debug, PartialEq)]
struct Changed {
    key: pb::Key,
    revision: i64,
}

macro_rules! changes {
    ($($name:ident: $call:ident($request:ident { $($field:ident),* });)*) => {$(
        /// The call on the key of this id, with its other required fields.
        async fn $name(
            admin: &mut Admin,
            id: &str,
            $($field: pb_type!($field)),*
        ) -> Result<Changed, Status> {
            let request = pb::$request {
                id: id.to_owned(),
                $($field: $field.into(),)*
                ..pb::$request::default()
            };
            let response = admin.$call(request).await?.into_inner();
            Ok(Changed { key: response.key.unwrap(), revision: response.revision })
        }
    )*};
}

macro_rules! pb_type {
    (confirm) => {
        &str
    };
    (reason) => {
        pb::RevocationReason
    };
}

changes! {
    activate: activate_key(ActivateKeyRequest {});
    deactivate: deactivate_key(DeactivateKeyRequest {});
    revoke: revoke_key(RevokeKeyRequest { reason });
    delete: delete_key(DeleteKeyRequest { confirm });
    undelete: undelete_key(UndeleteKeyRequest {});
}

/// Updates and returns what came of it.
async fn updated(admin: &mut Admin, request: pb::UpdateKeyRequest) -> Result<Changed, Status> {
    let response = admin.update_key(request).await?.into_inner();
    Ok(Changed { key: response.key.unwrap(), revision: response.revision })
}

/// Gives a key another token.
async fn regenerate(admin: &mut Admin, request: pb::RegenerateKeyRequest) -> Result<Made, Status> {
    let response = admin.regenerate_key(request).await?.into_inner();
    Ok(Made { key: response.key.unwrap(), token: response.token, revision: response.revision })
}

/// A request for another token, without overlap.
fn another_token(id: &str) -> pb::RegenerateKeyRequest {
    pb::RegenerateKeyRequest { id: id.to_owned(), ..pb::RegenerateKeyRequest::default() }
}

/// Asks about a token again and again: until the deadline it must have the one verdict, from then on
/// the other. The server's clock is ours.
async fn turns_at(asker: &mut Asker, token: &str, deadline: i64, verdicts: [&str; 2]) {
    let [early, late] = verdicts;
    eventually("the verdict turns", async || {
        let before = now_micros();
        let said = asker.verdict(token, 0).await;
        if said == late {
            assert!(now_micros() >= deadline, "too early");
            return Some(());
        }
        assert_eq!(said, early);
        assert!(before < deadline, "too late");
        None
    })
    .await;
}

/// An id as the database has it.
fn uuid(id: &str) -> String {
    let id = KeyId::parse(id).unwrap();
    format!("{:032x}", u128::from_be_bytes(*id.bytes()))
}

/// What one call of the service came to.
type Outcome = (&'static str, Result<(), Status>);

/// Every call of the service about one key, well-formed, in an order in which all succeed.
async fn every_call(admin: &mut Admin, key: &Made) -> Vec<Outcome> {
    let (domain, id) = (key.key.domain.as_str(), key.key.id.as_str());
    let mut outcomes = vec![
        ("CreateKey", {
            let domain = domain.into();
            let permissions = Vec::new();
            let request = pb::CreateKeyRequest { domain, permissions, ..new_key("Another") };
            admin.create_key(request).await.map(drop)
        }),
        ("GetKey", {
            let id = id.into();
            admin.get_key(pb::GetKeyRequest { id }).await.map(drop)
        }),
        ("ListKeys", {
            let domain = domain.into();
            let request = pb::ListKeysRequest { domain, ..pb::ListKeysRequest::default() };
            admin.list_keys(request).await.map(drop)
        }),
        ("LookupKey", {
            let token = key.token.clone();
            admin.lookup_key(pb::LookupKeyRequest { token }).await.map(drop)
        }),
    ];
    outcomes.extend(every_change(admin, &key.key).await);
    outcomes
}

/// Every call that changes one key, in an order in which all succeed.
async fn every_change(admin: &mut Admin, key: &pb::Key) -> Vec<Outcome> {
    let id = key.id.as_str();
    let described = pb::Key {
        id: id.into(),
        description: format!("As of {}", now_micros()),
        ..pb::Key::default()
    };
    let abuse = pb::RevocationReason::Abuse;
    vec![
        ("UpdateKey", updated(admin, update(described, &["description"])).await.map(drop)),
        ("RegenerateKey", regenerate(admin, another_token(id)).await.map(drop)),
        ("DeactivateKey", deactivate(admin, id).await.map(drop)),
        ("ActivateKey", activate(admin, id).await.map(drop)),
        ("RevokeKey", revoke(admin, id, abuse).await.map(drop)),
        ("DeleteKey", delete(admin, id, &key.display_name).await.map(drop)),
        ("UndeleteKey", undelete(admin, id).await.map(drop)),
    ]
}
