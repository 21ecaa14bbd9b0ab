//! The listeners of a server that runs with these settings on this machine.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Finding;
use crate::{
    config::{
        ServeArgs,
        tls::{Listeners, Security},
    },
    telemetry::chain,
};

const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
const IS_IT_RUNNING: &str = "is `keyward serve` running here with these settings? See its log";
/// Changes are followed within moments.
const FOLLOW_TRIES: u32 = 20;
const FOLLOW_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn examine(
    args: &ServeArgs,
    listeners: Option<&Listeners>,
    revision: Option<i64>,
) -> Vec<Finding> {
    let Some(security) = listeners.map(Listeners::described) else {
        return Vec::new(); // no server begins to listen with such files
    };
    let mut findings = vec![
        grpc("authorize", args.authorize_listen, security.authorize).await,
        grpc("admin", args.admin_listen, security.admin).await,
    ];
    findings.extend(http(args.proxies.http_listen, security.http, revision).await);
    findings
}

/// Where this machine reaches what listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What can be said without asking: its port is not known, or it wants TLS that may not be for us.
async fn unasked(check: &'static str, to: SocketAddr, security: Security) -> Option<Finding> {
    if to.port() == 0 {
        return Some(Finding::fine(check, "has any port, which is not known here"));
    }
    if security == Security::None {
        return None;
    }
    Some(match in_time(TcpStream::connect(to)).await {
        Ok(_) => Finding::fine(check, format!("{to} takes connections; not asked more, for TLS")),
        Err(error) => Finding::failure(check, format!("{to}: {}", chain(&error)), IS_IT_RUNNING),
    })
}

async fn grpc(check: &'static str, listen: SocketAddr, security: Security) -> Finding {
    let to = reachable(listen);
    if let Some(finding) = unasked(check, to, security).await {
        return finding;
    }
    let failed = |why: String| Finding::failure(check, format!("{to}: {why}"), IS_IT_RUNNING);
    let endpoint = match Endpoint::from_shared(format!("http://{to}")) {
        Ok(endpoint) => endpoint.connect_timeout(ANSWER_TIME_MAX).timeout(ANSWER_TIME_MAX),
        Err(error) => return failed(chain(&error)),
    };
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return failed(chain(&error)),
    };
    let request = HealthCheckRequest { service: String::new() };
    match HealthClient::new(channel).check(request).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => {
            Finding::fine(check, format!("{to} serves"))
        }
        Ok(answer) => {
            let status = answer.get_ref().status().as_str_name();
            let help = "the server cannot decide yet, or goes down; see its log and /readyz";
            Finding::failure(check, format!("{to} says {status}"), help)
        }
        Err(status) => failed(chain(&status)),
    }
}

async fn http(listen: SocketAddr, security: Security, revision: Option<i64>) -> Vec<Finding> {
    let to = reachable(listen);
    if let Some(finding) = unasked("http", to, security).await {
        return vec![finding];
    }
    let ready = match in_time(get(to, "/readyz")).await {
        Ok((200, _)) => Finding::fine("http", format!("{to} is ready")),
        Ok((status, body)) => {
            let found = format!("{to}/readyz says {status}: {}", body.trim());
            Finding::failure("http", found, "see the server's log")
        }
        Err(error) => {
            let found = format!("{to}: {}", chain(&error));
            return vec![Finding::failure("http", found, IS_IT_RUNNING)];
        }
    };
    let mut findings = vec![ready];
    if let Some(revision) = revision {
        findings.push(replica(to, revision).await);
    }
    findings
}

/// Whether the server knows of all changes that the database had a moment ago.
async fn replica(to: SocketAddr, revision: i64) -> Finding {
    const CHECK: &str = "replica";
    let mut known = None;
    for _ in 0..FOLLOW_TRIES {
        known = match in_time(get(to, "/metrics")).await {
            Ok((_, text)) => value(&text, "keyward_replica_revision "),
            Err(error) => {
                let found = format!("{to}/metrics: {}", chain(&error));
                return Finding::warning(CHECK, found, "see the server's log");
            }
        };
        if known.is_some_and(|known| known >= revision) {
            return Finding::fine(CHECK, format!("knows of revision {revision}, the last"));
        }
        sleep(FOLLOW_PAUSE).await;
    }
    let known = known.map_or_else(|| "none".to_owned(), |known| known.to_string());
    let found = format!("knows of revision {known}, and the database is at {revision}");
    Finding::failure(CHECK, found, "is it the same database? See the server's log")
}

/// A value in the text that Prometheus reads.
fn value(text: &str, name: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The status and body that `GET` has (RFC 9112); the server ends the connection.
async fn get(to: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(to).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "does not speak HTTP");
    Ok((status.ok_or_else(unreadable)?, body.to_owned()))
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(ANSWER_TIME_MAX, work).await.unwrap_or_else(|elapsed| Err(elapsed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_this_machine() {
        for (listen, to) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), to.parse().unwrap());
        }
    }

    #[test]
    fn a_metric_is_read_by_its_whole_name() {
        let text = "# HELP a b\nkeyward_replica_revision_x 1\nkeyward_replica_revision 42\n";
        assert_eq!(value(text, "keyward_replica_revision "), Some(42));
        assert_eq!(value("", "keyward_replica_revision "), None);
    }
}
