//! Databases of versions before, and their keys.

use keyward::{
    model::secret::{Brand, Pepper, PresentedKey},
    rpc::pb::{
        self, AuthorizeRequest, CreateKeyRequest, Delegation, Key, KeyState, LookupKeyRequest,
    },
};
use tokio_postgres::Client;
use tonic::Code;

use super::{World, may, texts, user_of};
use crate::support::{
    client::{assert_status, create, new_key},
    database::{Database, PEPPER},
    limits::daily,
    log::{change, conclude},
    server::Server,
};

/// The migrations of versions before.
const OLD: [(&str, &str); 2] = [
    ("keys", include_str!("../../../src/store/migrations/0001_keys.sql")),
    ("access", include_str!("../../../src/store/migrations/0002_access.sql")),
];

const BASE: &str = "CREATE SCHEMA keyward;
    CREATE TABLE keyward.migration (
        version integer CONSTRAINT migration_pkey PRIMARY KEY,
        name text NOT NULL,
        checksum bytea NOT NULL,
        serves_from integer NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

const RECORD: &str = "INSERT INTO keyward.migration (version, name, checksum, serves_from)
    VALUES ($1, $2, sha256(convert_to($3, 'UTF8')), $1)";

const INSERT: &str = "INSERT INTO keyward.key (id, domain, environment, display_name, description,
        permissions, route_rules, labels, standing, revoke_reason, revoke_comment, revoked_at,
        revoked_by, digest, hint, created_by, created_at, updated_at, version)
    VALUES (gen_random_uuid(), $1, $2, $3, 'Old', $4, $5, '{\"team\": \"red\"}', $6,
        CASE $6 WHEN 'revoked' THEN 'abuse' END, CASE $6 WHEN 'revoked' THEN '' END,
        CASE $6 WHEN 'revoked' THEN now() END, CASE $6 WHEN 'revoked' THEN 'bootstrap' END,
        $7, 'old…hint', 'bootstrap', now(), now(), 3)";

/// The stored form of a token.
fn digest(token: &str) -> Vec<u8> {
    let pepper = Pepper::parse(PEPPER.as_bytes()).unwrap();
    let presented = PresentedKey::parse(token, &Brand::parse("kw").unwrap()).unwrap();
    presented.digest(&pepper).bytes().to_vec()
}

/// Stores a key as versions before did. Its token is its name in small letters.
async fn insert(client: &Client, (domain, environment, name): (&str, &str, &str), key: Key) {
    let standing = match key.state() {
        KeyState::Revoked => "revoked",
        KeyState::Inactive => "inactive",
        _ => "active",
    };
    let token = format!("old-{}", name.to_lowercase());
    let (permissions, rules) = (key.permissions, key.route_rules);
    client
        .execute(
            INSERT,
            &[&domain, &environment, &name, &permissions, &rules, &standing, &digest(&token)],
        )
        .await
        .unwrap();
}

/// A database as an older version left it.
async fn old_database(version: usize) -> Database {
    let database = Database::empty();
    let mut client = database.connect().await;
    client.batch_execute(BASE).await.unwrap();
    for ((name, sql), version) in OLD.iter().take(version).zip(1_i32..) {
        client.batch_execute(sql).await.unwrap();
        client.execute(RECORD, &[&version, name, sql]).await.unwrap();
    }
    let key = |permissions: &[&str]| Key { permissions: texts(permissions), ..Key::default() };
    let ruled = Key { route_rules: texts(&["/a", "GET =/b"]), ..key(&["systems"]) };
    let revoked = Key { state: KeyState::Revoked.into(), ..key(&["systems"]) };
    let stopped = Key { state: KeyState::Inactive.into(), ..key(&["systems"]) };
    for (place, key) in [
        (("keyward", "production", "Root"), key(&["keyward"])),
        (("default", "production", "Reader"), key(&["systems.read"])),
        (("default", "production", "Ruled"), ruled),
        (("default", "staging", "Staged"), key(&["*"])),
        (("default", "production", "Revoked"), revoked),
        (("default", "production", "Stopped"), stopped),
        (("default", "production", "Nothing"), key(&[])),
    ] {
        insert(&client, place, key).await;
    }
    let tx = client.transaction().await.unwrap();
    conclude(&tx, &["key_00000000000000000000000000"]).await;
    tx.commit().await.unwrap();
    Database { url: database.url, root_token: "old-root".into() }
}

#[tokio::test]
async fn keys_of_the_version_before_work_as_they_did() {
    work_as_they_did(old_database(2).await).await;
}

#[tokio::test]
async fn keys_of_the_version_before_that_one_work_as_they_did() {
    work_as_they_did(old_database(1).await).await;
}

async fn work_as_they_did(database: Database) {
    // both migrate, and one does
    let (writer, reader) = tokio::join!(Server::start(&database), Server::start(&database));
    let applied = "SELECT count(*) FROM keyward.migration";
    assert_eq!(database.number(applied).await, 9);
    let mut world = World::of(database, writer, reader);
    let routed = |token: &str, method: &str, route: &str| AuthorizeRequest {
        method: method.into(),
        route: route.into(),
        ..may(token, "systems.read")
    };
    for (request, expected) in [
        (may("old-reader", "systems.read"), "ALLOWED"),
        (may("old-reader", "systems.write"), "403 PERMISSION_DENIED"),
        (routed("old-reader", "", "/a//b"), "ALLOWED"),
        (routed("old-ruled", "POST", "/a/x"), "ALLOWED"),
        (routed("old-ruled", "GET", "/b"), "ALLOWED"),
        (routed("old-ruled", "POST", "/b"), "403 ROUTE_DENIED"),
        (may("old-ruled", "systems.read"), "403 ROUTE_DENIED"),
        (may("old-staged", "systems.read"), "401 ENVIRONMENT_MISMATCH"),
        (may("old-revoked", "systems.read"), "401 KEY_INACTIVE"),
        (may("old-stopped", "systems.read"), "401 KEY_INACTIVE"),
        (may("old-nothing", "systems.read"), "403 PERMISSION_DENIED"),
        (may("old-root", "systems.read"), "401 KEY_UNKNOWN"),
    ] {
        assert_eq!(world.verdict(request.clone()).await, expected, "{request:?}");
    }
    let staging =
        AuthorizeRequest { environment: "staging".into(), ..may("old-staged", "systems.read") };
    assert_eq!(world.verdict(staging).await, "ALLOWED");
}

#[tokio::test]
async fn keys_of_the_version_before_are_changed_like_others() {
    let database = old_database(1).await;
    let (writer, reader) = tokio::join!(Server::start(&database), Server::start(&database));
    let mut world = World::of(database, writer, reader);
    let request = LookupKeyRequest { token: "old-ruled".into() };
    let found = world.admin.lookup_key(request).await.unwrap().into_inner().key.unwrap();
    let expected = Key {
        id: found.id.clone(),
        domain: "default".into(),
        environment: "production".into(),
        display_name: "Ruled".into(),
        description: "Old".into(),
        permissions: texts(&["systems"]),
        route_rules: texts(&["/a", "GET =/b"]),
        labels: [("team".to_owned(), "red".to_owned())].into(),
        hint: "old…hint".into(),
        state: KeyState::Active.into(),
        created_by: "bootstrap".into(),
        create_time: found.create_time,
        update_time: found.update_time,
        etag: found.etag.clone(),
        ..Key::default()
    };
    assert_eq!(found, expected);

    world.group("readers", &["systems.read"]).await;
    world.user(user_of("ida", &["*.read"], &["readers"])).await;
    let key = Key {
        id: found.id.clone(),
        user: "ida".into(),
        groups: texts(&["readers"]),
        customers: texts(&["c-1"]),
        ..Key::default()
    };
    let request = pb::UpdateKeyRequest {
        key: Some(key),
        update_mask: Some(super::mask(&[
            "user",
            "groups",
            "customers",
            "permissions",
            "route_rules",
        ])),
        validate_only: false,
    };
    world.revision = world.admin.update_key(request).await.unwrap().get_ref().revision;
    assert_eq!(world.verdict(may("old-ruled", "systems.read")).await, "403 CUSTOMER_DENIED");
    let asked = AuthorizeRequest { customer: "c-1".into(), ..may("old-ruled", "systems.read") };
    assert_eq!(world.ask(asked.clone()).await.user, "ida");
    assert_eq!(world.verdict(asked.clone()).await, "ALLOWED");
    let writing = AuthorizeRequest { permission: "systems.write".into(), ..asked };
    assert_eq!(world.verdict(writing).await, "403 PERMISSION_DENIED");
    // domains and environments of before are as new ones
    world.map("", &["* /a systems.{action}"]).await;
    world.enable_domain("default", false).await;
    assert_eq!(world.verdict(may("old-reader", "systems.read")).await, "401 DOMAIN_DISABLED");
}

/// What admin keys of before may do is what they could, and nothing that came with the new version
/// is closed to one that may everything.
#[tokio::test]
async fn an_admin_key_of_the_version_before_may_what_it_could() {
    let database = old_database(1).await;
    let client = database.connect().await;
    let reader_key = Key { permissions: texts(&["keyward.keys.read"]), ..Key::default() };
    insert(&client, ("keyward", "production", "Auditor"), reader_key).await;
    let server = Server::start(&database).await;
    let mut auditor = server.admin_as("old-auditor");
    auditor.list_keys(pb::ListKeysRequest::default()).await.unwrap();
    let refused = auditor.create_key(new_key("Key")).await;
    assert_status(refused, Code::PermissionDenied, "PERMISSION_MISSING");
    let refused = server.access_as("old-auditor").list_users(pb::ListUsersRequest::default()).await;
    assert_status(refused, Code::PermissionDenied, "PERMISSION_MISSING");
    let bound = Delegation { domains: texts(&["default"]), ceiling: texts(&["systems"]) };
    let request = CreateKeyRequest {
        delegation: Some(bound),
        domain: "keyward".into(),
        permissions: texts(&["keyward.keys"]),
        ..new_key("Delegate")
    };
    create(&mut server.admin(), request).await;
}

/// While replicas are replaced, those of the version before read and write on the new schema. They
/// know of no limits, and leave those that are there.
#[tokio::test]
async fn programs_of_the_version_before_may_run_beside() {
    let database = old_database(2).await;
    let server = Server::start(&database).await;
    let oldest = "SELECT serves_from::int8 FROM keyward.migration WHERE version = 3";
    assert_eq!(database.number(oldest).await, 2);

    let mut client = database.connect().await;
    let key = Key { permissions: texts(&["systems"]), ..Key::default() };
    insert(&client, ("default", "production", "Beside"), key).await;
    let tx = client.transaction().await.unwrap();
    let revision = conclude(&tx, &["key_00000000000000000000000000"]).await;
    tx.commit().await.unwrap();
    let request = LookupKeyRequest { token: "old-beside".into() };
    let found = server.admin().lookup_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!(found.limits, []);
    conclude(&client, &[&found.id]).await;
    server.asker().until("old-beside", "ALLOWED").await;

    let limits = vec![daily("none", 0)];
    let request = pb::UpdateKeyRequest {
        key: Some(Key { id: found.id.clone(), limits: limits.clone(), ..Key::default() }),
        update_mask: Some(super::mask(&["limits"])),
        validate_only: false,
    };
    let limited = server.admin().update_key(request).await.unwrap().into_inner().revision;
    assert!(limited > revision);
    let mut asker = server.asker();
    assert_eq!(asker.verdict("old-beside", limited).await, "429 QUOTA_EXHAUSTED");
    let rename = "UPDATE keyward.key SET display_name = 'Renamed' WHERE display_name = 'Beside'";
    let revision = change(&mut client, rename, &[&found.id]).await;
    assert_eq!(asker.verdict("old-beside", revision).await, "429 QUOTA_EXHAUSTED");
    let request = pb::GetKeyRequest { id: found.id };
    let found = server.admin().get_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!((found.display_name.as_str(), found.limits), ("Renamed", limits));
}
