//! HTTP/1.1 by hand: a client that sends any bytes, and reads whatever is answered to them.

use std::{fmt, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::TIME_MAX;

/// The head of a request or of an answer, as it was on the wire.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) first: Vec<u8>,
    /// Names as they were written and values without the blanks around them, in their order.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Reads a head without the empty line at its end. What has no colon is a name without a value.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|&byte| byte == b'\n').map(trim);
        let first = lines.next().unwrap_or_default().to_vec();
        let fields = lines.filter(|line| !line.is_empty()).map(|line| {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = trim(value.strip_prefix(b":").unwrap_or_default());
            (String::from_utf8_lossy(name).into_owned(), value.to_vec())
        });
        Self { first, fields: fields.collect() }
    }

    /// The values of all fields of this name, whatever its case, as text.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let fields = self.fields.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The value of the one field of this name; `None` if there is none.
    pub(crate) fn one(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() < 2, "several fields {name}: {self:?}");
        all.pop()
    }

    /// A word of the first line, counted from 0; empty if it has fewer.
    pub(crate) fn word(&self, number: usize) -> String {
        let mut words = self.first.split(|&byte| byte == b' ');
        String::from_utf8_lossy(words.nth(number).unwrap_or_default()).into_owned()
    }

    /// How long the body is that follows, as the head says; `None` if it comes in chunks.
    fn body_length(&self) -> Option<usize> {
        let chunked = |value: &String| value.to_ascii_lowercase().contains("chunked");
        if self.all("transfer-encoding").iter().any(chunked) {
            return None;
        }
        let length = self.all("content-length");
        Some(length.first().map_or(0, |length| length.parse().unwrap_or(0)))
    }
}

fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.escape_ascii())?;
        self.fields
            .iter()
            .try_for_each(|(name, value)| write!(f, " | {name}: {}", value.escape_ascii()))
    }
}

/// A request with these further header lines, each with its end, to `Host: api.example`.
pub(crate) fn get(target: &str, lines: &str) -> Vec<u8> {
    request("GET", target, lines)
}

/// The same with any method.
pub(crate) fn request(method: &str, target: &str, lines: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: api.example\r\n{lines}\r\n").into_bytes()
}

/// An answer.
pub(crate) struct Answer {
    /// Its status, such as 200.
    pub(crate) status: u16,
    /// Its head.
    pub(crate) head: Head,
    /// Its body, without the framing.
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} | {}", self.head, self.body.escape_ascii())
    }
}

impl Answer {
    /// The value of the one field of this name; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> String {
        self.head.one(name).unwrap_or_default()
    }

    /// The body, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// One connection, from either side.
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read and not yet asked for.
    unread: Vec<u8>,
    /// How long to wait for something to read.
    patience: Duration,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(at: SocketAddr) -> Self {
        Self { patience: TIME_MAX, ..Self::accepted(TcpStream::connect(at).await.unwrap()) }
    }

    /// Connects from another address of this machine.
    pub(crate) async fn open_from(from: [u8; 4], at: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        Self { patience: TIME_MAX, ..Self::accepted(socket.connect(at).await.unwrap()) }
    }

    /// A connection that a client made, who may be silent for long.
    pub(crate) fn accepted(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new(), patience: Duration::MAX }
    }

    /// Sends bytes; that the other side has hung up is seen when its answer is read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Reads more; false at the end.
    async fn more(&mut self) -> bool {
        let count = timeout(self.patience, self.stream.read_buf(&mut self.unread)).await;
        count.expect("something comes, or an end").unwrap_or(0) > 0
    }

    /// Reads a head; `None` if the other side ends before it is whole.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        loop {
            let end = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                let head = Head::parse(&self.unread[..end]);
                self.unread.drain(..end + 4);
                return Some(head);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads so many bytes, or what comes before the end.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.more().await {}
        let count = count.min(self.unread.len());
        self.unread.drain(..count).collect()
    }

    /// Reads all that comes until the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                return self.unread.drain(..=end).collect();
            }
            if !self.more().await {
                return Vec::new();
            }
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next().unwrap_or(""), 16);
            match size {
                Ok(0) | Err(_) => break,
                Ok(size) => body.extend(self.bytes(size).await),
            }
            self.line().await;
        }
        // trailers, to the empty line
        while self.line().await.len() > 2 {}
        body
    }

    /// Reads the body of a request.
    pub(crate) async fn request_body(&mut self, head: &Head) -> Vec<u8> {
        match head.body_length() {
            Some(length) => self.bytes(length).await,
            None => self.chunks().await,
        }
    }

    /// Reads the answer to a request of this method; `None` if the other side ends before.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        loop {
            let head = self.head().await?;
            let status = head.word(1).parse().expect("a status");
            if status == 100 {
                continue;
            }
            let empty = method == "HEAD" || matches!(status, 101 | 204 | 304);
            let framed = ["content-length", "transfer-encoding"];
            let framed = framed.iter().any(|name| !head.all(name).is_empty());
            let body = match (empty, framed, head.body_length()) {
                (true, _, _) => Vec::new(),
                (false, true, Some(length)) => self.bytes(length).await,
                (false, true, None) => self.chunks().await,
                (false, false, _) => self.rest().await,
            };
            return Some(Answer { status, head, body });
        }
    }

    /// The two directions, for what is no HTTP any more; what was read already comes with it.
    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.unread)
    }
}

/// Sends bytes on a connection of their own and reads the answer; `None` if none comes.
pub(crate) async fn exchange(at: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let method = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
    let mut connection = Connection::open(at).await;
    connection.send(bytes).await;
    connection.answer_to(&String::from_utf8_lossy(method)).await
}

/// The same where an answer must come.
pub(crate) async fn ask(at: SocketAddr, bytes: &[u8]) -> Answer {
    let answer = exchange(at, bytes).await;
    answer.unwrap_or_else(|| panic!("no answer to {}", String::from_utf8_lossy(bytes)))
}
