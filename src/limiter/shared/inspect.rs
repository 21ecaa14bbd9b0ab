//! What Redis says of itself.

use std::{collections::HashMap, time::Duration};

use redis::{ErrorKind, InfoDict, RedisError, cmd};
use tokio::time::timeout;

use super::server::Server;

const INSPECTION_TIME_MAX: Duration = Duration::from_secs(3);

/// What Redis says of itself.
#[derive(Clone, Debug)]
pub struct RedisFacts {
    /// Its name and version, such as `redis 7.4.1`.
    pub version: String,
    /// What it forgets when its memory is full, such as `noeviction`; `None` if it does not say.
    pub eviction: Option<String>,
    /// Its clock, in microseconds since 1970.
    pub clock_micros: i64,
}

/// Asks Redis what it is. Gives up after some seconds.
pub async fn inspect(server: &Server) -> Result<RedisFacts, RedisError> {
    let late = |_elapsed: &_| RedisError::from((ErrorKind::Io, "no answer in time"));
    let asked = timeout(INSPECTION_TIME_MAX, ask(server)).await;
    asked.unwrap_or_else(|elapsed| Err(late(&elapsed)))
}

async fn ask(server: &Server) -> Result<RedisFacts, RedisError> {
    let connection = server.connect().await?;
    let (seconds, micros): (i64, i64) = connection.ask(&cmd("TIME")).await?;
    // each node of a cluster says it; they are alike
    let info: HashMap<String, redis::Value> = if server.is_cluster() {
        connection.ask(cmd("INFO").arg("everything")).await.unwrap_or_default()
    } else {
        HashMap::new()
    };
    let info: InfoDict = match info.into_values().next() {
        Some(node) => redis::from_redis_value(node)?,
        None => connection.ask(cmd("INFO").arg("everything")).await?,
    };
    let text = |name: &str| info.get::<String>(name);
    let name = if text("valkey_version").is_some() { "valkey" } else { "redis" };
    let version = text("valkey_version").or_else(|| text("redis_version")).unwrap_or_default();
    Ok(RedisFacts {
        version: format!("{name} {version}"),
        eviction: text("maxmemory_policy"),
        clock_micros: seconds.saturating_mul(1_000_000).saturating_add(micros),
    })
}
