//! Notices of keys that are about to expire: the list, the metrics, and what a receiver gets.

mod faults;
mod metrics;
mod receiver;
mod sent;
mod settings;

use keyward::{
    clock,
    rpc::pb::{CreateKeyRequest, Key},
};
use prost_types::Timestamp;

use crate::support::{
    client::{create, new_key},
    database::Database,
    server::Server,
};

const DAY: i64 = 86_400;

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp { seconds: clock::wall().micros() / 1_000_000 + seconds, nanos: 0 }
}

/// A server with these flags, as soon as it serves.
async fn start(database: &Database, flags: &[String]) -> Server {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Server::start_with(database, &flags).await
}

/// Makes a key that ends in so many seconds.
async fn ending(server: &Server, name: &str, seconds: i64) -> Key {
    let request = CreateKeyRequest { expire_time: Some(in_seconds(seconds)), ..new_key(name) };
    create(&mut server.admin(), request).await.key
}

/// Lets keys whose names begin so be a year old: their lives were longer than any threshold.
async fn grow_old(database: &Database, prefix: &str) {
    let statement = format!(
        "UPDATE keyward.key SET created_at = created_at - interval '400 days',
            updated_at = updated_at - interval '399 days' WHERE display_name LIKE '{prefix}%'"
    );
    database.connect().await.batch_execute(&statement).await.unwrap();
}

/// Makes so many keys that end in an hour and are to be told of, all at once.
async fn many_ending(database: &Database, server: &Server, count: i64) {
    ending(server, "Many", 3600).await;
    let statement = format!(
        "INSERT INTO keyward.key (id, domain, environment, display_name, description, permissions,
            route_rules, labels, expire_at, standing, digest, hint, created_by, created_at,
            updated_at, version)
        SELECT gen_random_uuid(), domain, environment, display_name || n, description, permissions,
            route_rules, labels, expire_at, standing, sha256(n::text::bytea), hint, created_by,
            created_at, updated_at, version
        FROM keyward.key, generate_series(2, {count}) AS n WHERE display_name = 'Many'"
    );
    database.connect().await.batch_execute(&statement).await.unwrap();
    grow_old(database, "Many").await;
}
