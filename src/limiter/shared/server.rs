//! Where Redis or Valkey is: one server, a cluster, or a master that sentinels know of.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    ScriptInvocation, TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use thiserror::Error;
use tokio::sync::Mutex;

/// A server that is not there is given up after this.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);

/// Where Redis is.
pub struct Server(Kind);

enum Kind {
    Single(Client),
    Cluster(Box<ClusterClient>),
    Sentinel(Mutex<SentinelClient>),
}

/// A URL that leads to no server.
#[derive(Debug, Error)]
pub enum InvalidServer {
    /// Of another form.
    #[error(
        "must be like redis://user:password@host:6379/0, redis+cluster://host1:6379,host2:6379 or \
         redis+sentinel://host1:26379,host2:26379/master-name; with TLS rediss instead of redis"
    )]
    Form,
    /// A certificate that nothing would be compared with.
    #[error("--redis-ca-file (KEYWARD_REDIS_CA_FILE) is for TLS: rediss instead of redis")]
    NoTls,
    /// What the client says.
    #[error("cannot be used")]
    Client(#[from] RedisError),
}

/// A connection, which many use at once.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

/// Without its URL, which may have a password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Single(_) => "Single",
            Kind::Cluster(_) => "Cluster",
            Kind::Sentinel(_) => "Sentinel",
        })
    }
}

impl Server {
    /// Reads a URL. With TLS, `authority` is the certificate of whoever signs the server's, in PEM; without
    /// one, those that the system trusts count.
    pub fn parse(url: &str, authority: Option<Vec<u8>>) -> Result<Self, InvalidServer> {
        if authority.is_some() && !url.starts_with("rediss") {
            return Err(InvalidServer::NoTls);
        }
        let certificates = TlsCertificates { client_tls: None, root_cert: authority };
        let (scheme, rest) = url.split_once("://").ok_or(InvalidServer::Form)?;
        let kind = match scheme {
            "redis" => Kind::Single(Client::open(url)?),
            "rediss" => Kind::Single(Client::build_with_tls(url, certificates)?),
            "redis+cluster" | "rediss+cluster" => {
                let tls = scheme.starts_with("rediss");
                let (nodes, _) = nodes(tls, rest, "")?;
                let mut builder = ClusterClient::builder(nodes)
                    .retries(0) // whoever asks decides without us after a few milliseconds
                    .connection_timeout(CONNECT_TIME_MAX)
                    .response_timeout(CONNECT_TIME_MAX);
                if tls {
                    builder = builder.tls(TlsMode::Secure).certs(certificates);
                }
                Kind::Cluster(Box::new(builder.build()?))
            }
            "redis+sentinel" | "rediss+sentinel" => {
                Kind::Sentinel(sentinel(scheme.starts_with("rediss"), rest, certificates)?.into())
            }
            _ => return Err(InvalidServer::Form),
        };
        Ok(Self(kind))
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_response_timeout(Some(CONNECT_TIME_MAX));
        match &self.0 {
            Kind::Single(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&settings).await?;
                Ok(Connection::Single(made))
            }
            Kind::Cluster(client) => Ok(Connection::Cluster(client.get_async_connection().await?)),
            Kind::Sentinel(client) => {
                let mut client = client.lock().await;
                let made = client.get_async_connection_with_config(&settings).await?;
                Ok(Connection::Single(made))
            }
        }
    }
}

impl Connection {
    pub(super) async fn run<T: redis::FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        match self.clone() {
            Self::Single(mut connection) => script.invoke_async(&mut connection).await,
            Self::Cluster(mut connection) => script.invoke_async(&mut connection).await,
        }
    }

    pub(super) async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> Result<T, RedisError> {
        match self.clone() {
            Self::Single(mut connection) => command.query_async(&mut connection).await,
            Self::Cluster(mut connection) => command.query_async(&mut connection).await,
        }
    }
}

/// The nodes of `user:password@host1:port,host2:port/path`, and what is in the path before `/`.
fn nodes<'a>(
    tls: bool,
    rest: &'a str,
    database: &str,
) -> Result<(Vec<ConnectionInfo>, &'a str), InvalidServer> {
    let scheme = if tls { "rediss" } else { "redis" };
    let (user, hosts) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (hosts, path) = hosts.split_once('/').unwrap_or((hosts, ""));
    let at = if user.is_empty() { "" } else { "@" };
    let node =
        |host: &str| format!("{scheme}://{user}{at}{host}/{database}").into_connection_info();
    let nodes = hosts.split(',').map(node).collect::<Result<Vec<_>, _>>()?;
    Ok((nodes, path))
}

fn sentinel(
    tls: bool,
    rest: &str,
    certificates: TlsCertificates,
) -> Result<SentinelClient, InvalidServer> {
    let (_, path) = nodes(tls, rest, "")?;
    let (name, database) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() {
        return Err(InvalidServer::Form);
    }
    let (nodes, _) = nodes(tls, rest, database)?;
    let addresses = nodes.iter().map(|node| node.addr().clone());
    let addresses: Vec<ConnectionAddr> = addresses.collect();
    let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?;
    if let Some(settings) = nodes.first().map(ConnectionInfo::redis_settings) {
        builder = builder.set_client_to_redis_db(settings.db());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
    }
    if tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(builder.build()?)
}
