//! What stands behind a proxy: servers that keep exactly what they were sent.

mod grpc;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

pub(crate) use self::grpc::{GrpcUpstream, call};
use super::http1::{Connection, Head};

/// A request that an upstream got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Its line and fields, as they came.
    pub(crate) head: Head,
    /// Its body, without the framing.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The target of the request line.
    pub(crate) fn target(&self) -> String {
        self.head.word(1)
    }

    /// All that came, as text to search.
    pub(crate) fn text(&self) -> String {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let fields = self.head.fields.iter();
        let mut lines = vec![text(&self.head.first)];
        lines.extend(fields.map(|(name, value)| format!("{name}: {}", text(value))));
        format!("{}\n\n{}", lines.join("\n"), text(&self.body))
    }

    /// The names of all fields that begin with this, in lower case and with `-` for `_`, sorted.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let names = self.head.fields.iter().map(|(name, _)| name.to_ascii_lowercase());
        let mut names: Vec<_> =
            names.filter(|name| name.replace('_', "-").starts_with(prefix)).collect();
        names.sort();
        names
    }
}

type Record = Arc<Mutex<Vec<Seen>>>;

/// An HTTP/1.1 server on loopback. It answers each request with 200, its own name in `x-upstream`,
/// and a body that says what came; an upgrade to `websocket` with 101, and then sends back each byte.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Record,
    serving: AbortHandle,
}

impl Upstream {
    /// Starts one.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Record::default();
        let record = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, name, Arc::clone(&record)));
            }
        });
        Self { address, seen, serving: serving.abort_handle() }
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The one request that came since this was asked last.
    pub(crate) fn take_one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, name: &'static str, record: Record) {
    let mut connection = Connection::accepted(stream);
    while let Some(head) = connection.head().await {
        let upgrade = head.one("upgrade");
        let body = match upgrade {
            Some(_) => Vec::new(),
            None => connection.request_body(&head).await,
        };
        let seen = Seen { head, body };
        let text = seen.text();
        let method = seen.head.word(0);
        record.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        if let Some(protocol) = upgrade {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\r\n"
            );
            connection.send(answer.as_bytes()).await;
            return echo(connection).await;
        }
        let length = text.len();
        let body = if method == "HEAD" { "" } else { &text };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nx-upstream: {name}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        // in one piece: the second of two would wait for the first to be acknowledged
        connection.send(answer.as_bytes()).await;
    }
}

async fn echo(connection: Connection) {
    let (mut stream, mut bytes) = connection.into_parts();
    while stream.write_all(&bytes).await.is_ok() {
        bytes.resize(16 * 1024, 0);
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.truncate(count),
        }
    }
}
