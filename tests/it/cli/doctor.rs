//! `keyward doctor` finds what is wrong, names it, and says what to do.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    database::{Database, PEPPER},
    operator::Site,
    pgbouncer::PgBouncer,
    program::{program, run},
    redis::Redis,
    server::Server,
};

fn doctor(database: &Database, arguments: &[&str]) -> Command {
    let mut command = program(&[&["doctor", "--output", "json"], arguments].concat());
    command.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
    command
}

/// The exit code, and everything that was found.
async fn found(command: Command) -> (i32, Vec<Value>) {
    let ended = run(command).await;
    let all: Value = serde_json::from_str(&ended.printed).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, all.as_array().unwrap().clone())
}

/// Asserts that one check, and no other, has this level.
fn assert_only(all: &[Value], level: &str, check: &str) -> String {
    let such: Vec<_> = all.iter().filter(|it| it["level"] == level).collect();
    let checks: Vec<_> = such.iter().map(|it| it["check"].as_str().unwrap()).collect();
    assert_eq!(checks, [check], "{all:#?}");
    assert!(!such[0]["help"].as_str().unwrap().is_empty(), "{all:#?}");
    such[0]["found"].as_str().unwrap().to_owned()
}

fn listeners(server: &Server) -> Vec<String> {
    [("authorize", server.authorize), ("admin", server.admin), ("http", server.http)]
        .iter()
        .flat_map(|(name, address)| [format!("--{name}-listen"), address.to_string()])
        .collect()
}

async fn name(database: &Database) -> String {
    let row = database.connect().await.query_one("SELECT current_database()::text", &[]).await;
    row.unwrap().get(0)
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_server_that_is_well_has_nothing_to_object_to() {
    let site = Site::start(&[]).await;
    let redis = Redis::start_with("doctor-well", &["--maxmemory-policy", "noeviction"]).await;
    let url = redis.url();
    let at = listeners(&site.server);
    let arguments = [&texts(&at)[..], &["--redis-url", &url]].concat();
    let (code, all) = found(doctor(&site.database, &arguments)).await;
    assert_eq!(code, 0, "{all:#?}");
    assert!(all.iter().all(|it| it["level"] == "ok"), "{all:#?}");
    let checks: Vec<_> = all.iter().map(|it| it["check"].as_str().unwrap()).collect();
    for check in ["database", "role: serve", "pepper", "notifications", "redis", "replica"] {
        assert!(checks.contains(&check), "{checks:?}");
    }
}

#[tokio::test]
async fn a_wrong_pepper_and_a_missing_one_are_found() {
    let database = Database::new();
    let mut wrong = doctor(&database, &[]);
    wrong.env("KEYWARD_PEPPER", "another pepper, 32 bytes and a lot more");
    let (code, all) = found(wrong).await;
    assert_eq!(code, 1);
    assert!(assert_only(&all, "fail", "pepper").contains("is needed"));
    let mut none = doctor(&database, &[]);
    none.env_remove("KEYWARD_PEPPER");
    assert!(assert_only(&found(none).await.1, "fail", "pepper").contains("is needed"));
}

#[tokio::test]
async fn a_missing_migration_is_found() {
    let database = Database::new();
    let undo = "DELETE FROM keyward.migration
        WHERE version = (SELECT max(version) FROM keyward.migration)";
    database.connect().await.batch_execute(undo).await.unwrap();
    let (code, all) = found(doctor(&database, &[])).await;
    assert_eq!(code, 0, "a server migrates it by itself: {all:#?}");
    assert!(assert_only(&all, "warn", "schema").contains("1 migration(s) are missing"));
    let mut manual = doctor(&database, &[]);
    manual.env("KEYWARD_NO_MIGRATE", "true");
    let (code, all) = found(manual).await;
    assert_eq!(code, 1);
    assert_only(&all, "fail", "schema");
}

#[tokio::test]
async fn an_empty_database_is_fit_to_begin_with() {
    let (code, all) = found(doctor(&Database::empty(), &[])).await;
    assert_eq!(code, 0, "{all:#?}");
    assert_only(&all, "warn", "schema");
}

#[tokio::test]
async fn a_role_that_only_reads_is_found() {
    let database = Database::new();
    let role = format!("reader_of_{}", name(&database).await);
    let make = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA keyward TO {role};
         GRANT SELECT ON ALL TABLES IN SCHEMA keyward TO {role}"
    );
    database.connect().await.batch_execute(&make).await.unwrap();
    let mut reads = doctor(&database, &["--no-migrate"]);
    reads.env("DATABASE_URL", database.url.replace("user=keyward", &format!("user={role}")));
    let (code, all) = found(reads).await;
    assert_eq!(code, 1, "{all:#?}");
    let lacking = assert_only(&all, "fail", "role: serve");
    assert!(lacking.contains("key (INSERT, UPDATE, DELETE)"), "{lacking}");
    let grant = format!("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keyward TO {role}");
    database.connect().await.batch_execute(&grant).await.unwrap();
    let mut writes = doctor(&database, &["--no-migrate"]);
    writes.env("DATABASE_URL", database.url.replace("user=keyward", &format!("user={role}")));
    let (code, all) = found(writes).await;
    assert_eq!(code, 0, "{all:#?}");
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    database.connect().await.batch_execute(&drop).await.unwrap();
}

/// The names of what failed, with what was found.
fn failed(all: &[Value]) -> Vec<(&str, &str)> {
    let such = all.iter().filter(|it| it["level"] == "fail");
    such.map(|it| (it["check"].as_str().unwrap(), it["found"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_role_that_may_not_look_into_the_schema_or_at_its_migrations_is_found() {
    let database = Database::new();
    let role = format!("stranger_of_{}", name(&database).await);
    let owner = database.connect().await;
    owner.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    let ask = async || {
        let mut command = doctor(&database, &[]);
        command.env("DATABASE_URL", database.url.replace("user=keyward", &format!("user={role}")));
        found(command).await.1
    };
    let all = ask().await;
    assert!(assert_only(&all, "fail", "role: serve").contains("USAGE"), "{all:#?}");
    let grant = format!(
        "GRANT USAGE ON SCHEMA keyward TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keyward TO {role};
         REVOKE SELECT ON keyward.migration FROM {role}"
    );
    owner.batch_execute(&grant).await.unwrap();
    let all = ask().await;
    let [(serve, lacking), (schema, refused)] = failed(&all)[..] else { panic!("{all:#?}") };
    assert_eq!((serve, schema), ("role: serve", "schema"));
    assert!(lacking.ends_with("migration (SELECT)"), "{lacking}");
    assert!(refused.contains("permission denied"), "{refused}");
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    owner.batch_execute(&drop).await.unwrap();
}

#[tokio::test]
async fn settings_with_which_a_server_would_end_are_found() {
    let database = Database::new();
    for (arguments, told) in [
        (&["--ephemeral"][..], "--ephemeral"),
        (&["--notice-url", "https://hooks.example.org/x"], "--notice-secret-file"),
        (&["--log-level", "keyward=loud"], "--log-level"),
        (&["--poll-interval", "1h"], "--max-staleness"),
    ] {
        let (code, all) = found(doctor(&database, arguments)).await;
        assert_eq!(code, 1, "{all:#?}");
        assert!(assert_only(&all, "fail", "settings").contains(told), "{all:#?}");
    }
    let mut without = doctor(&database, &["--require-database-url", "--data-dir", "/none"]);
    without.env_remove("DATABASE_URL");
    let (_, all) = found(without).await;
    assert!(failed(&all)[0].1.contains("--database-url"), "{all:#?}");
    assert_eq!(failed(&all)[0].0, "settings");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_and_one_that_is_away_are_found() {
    let database = Database::new();
    let set =
        format!("ALTER DATABASE {} SET default_transaction_read_only = on", name(&database).await);
    database.connect().await.batch_execute(&set).await.unwrap();
    let (code, all) = found(doctor(&database, &[])).await;
    assert_eq!(code, 1);
    assert!(assert_only(&all, "fail", "database").contains("read-only"));
    let mut away = doctor(&database, &[]);
    away.env("DATABASE_URL", "postgresql://127.0.0.1:1/keyward");
    let (code, all) = found(away).await;
    assert_eq!(code, 1);
    assert!(assert_only(&all, "fail", "database").contains("not available"));
}

#[tokio::test]
async fn a_pooler_that_swallows_notifications_is_noticed() {
    let database = Database::new();
    let (_bouncer, beyond) = PgBouncer::start("doctor", &database).await;
    let (code, all) = found(doctor(&beyond, &[])).await;
    assert_eq!(code, 0, "{all:#?}");
    assert!(assert_only(&all, "warn", "notifications").contains("LISTEN"));
    let pooler = all.iter().find(|it| it["check"] == "pooler").unwrap();
    assert!(pooler["found"].as_str().unwrap().contains("shared"), "{pooler}");
}

#[tokio::test]
async fn a_redis_that_is_away_or_forgets_is_found() {
    let database = Database::new();
    let mut redis = Redis::start_with("doctor-ill", &["--maxmemory-policy", "allkeys-lru"]).await;
    let url = redis.url();
    let (code, all) = found(doctor(&database, &["--redis-url", &url])).await;
    assert_eq!(code, 0, "{all:#?}");
    assert!(assert_only(&all, "warn", "redis memory").contains("allkeys-lru"));
    redis.kill();
    let (code, all) = found(doctor(&database, &["--redis-url", &url])).await;
    assert_eq!(code, 1);
    assert_only(&all, "fail", "redis");
}

#[tokio::test]
async fn a_stopped_server_and_one_of_another_database_are_found() {
    let site = Site::start(&[]).await;
    let at = listeners(&site.server);
    let other = Site::start(&[]).await;
    let advance = "UPDATE keyward.log_head SET revision = 1000";
    other.database.connect().await.batch_execute(advance).await.unwrap();
    let (code, all) = found(doctor(&other.database, &texts(&at))).await;
    assert_eq!(code, 1);
    assert!(assert_only(&all, "fail", "replica").contains("1000"));
    let Site { database, server } = site;
    drop(server);
    let (code, all) = found(doctor(&database, &texts(&at))).await;
    assert_eq!(code, 1);
    let failed = all.iter().filter(|it| it["level"] == "fail");
    let failed: Vec<_> = failed.map(|it| it["check"].as_str().unwrap()).collect();
    assert_eq!(failed, ["authorize", "admin", "http"], "{all:#?}");
}
