//! `SelfService`: what the holder of a key may do.

mod callers;
mod changes;
mod down;
mod who;

use keyward::{clock, rpc::pb};
use prost_types::{Duration, Timestamp};

use crate::support::{
    client::{Holder, Made, create, new_key},
    operator::Site,
};

/// A whole second of the wall clock, so far from now.
fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp { seconds: clock::wall().micros() / 1_000_000 + seconds, nanos: 0 }
}

#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
const fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// A key whose holder may renew it.
fn renewable(name: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest { allow_self_regenerate: true, ..new_key(name) }
}

/// A key that the server knows of, and its holder.
async fn held(site: &Site, request: pb::CreateKeyRequest) -> (Made, Holder) {
    let made = create(&mut site.admin(), request).await;
    site.knows(made.revision).await;
    let holder = site.server.holder(&made.token);
    (made, holder)
}

fn abuse() -> pb::RevokeMyKeyRequest {
    pb::RevokeMyKeyRequest { reason: pb::RevocationReason::Abuse.into(), comment: String::new() }
}

async fn get(site: &Site, id: &str) -> pb::Key {
    let request = pb::GetKeyRequest { id: id.to_owned() };
    site.admin().get_key(request).await.unwrap().into_inner().key.unwrap()
}

/// What is recorded of a key: who did what.
async fn events(site: &Site, id: &str) -> Vec<(String, String)> {
    let query = "SELECT action, actor FROM keyward.audit_event
        WHERE kind = 'key' AND subject = $1 ORDER BY revision, position";
    let rows = site.database.connect().await.query(query, &[&id]).await.unwrap();
    rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
}
