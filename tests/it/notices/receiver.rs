//! Who gets notices: an HTTP server that keeps what it was sent and answers as it is told to.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use crate::{
    postgres::support::Scratch,
    support::{
        eventually,
        http1::{Connection, Head},
    },
};

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// With this status, and these lines in the head.
    Status(u16, &'static str),
    /// Not at all, though it holds the connection.
    Silence,
    /// With success, and more of a body than anybody wants.
    Flood,
    /// With success, and a body that never comes.
    Unfinished,
}

/// A notice as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    head: Head,
    body: String,
}

impl Arrived {
    fn field(&self, name: &str) -> String {
        self.head.one(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The id of the notice.
    pub(super) fn id(&self) -> String {
        self.field("webhook-id")
    }

    /// The target of the request.
    pub(super) fn target(&self) -> String {
        format!("{} {}", self.head.word(0), self.head.word(1))
    }

    /// The body as it came.
    pub(super) fn text(&self) -> &str {
        &self.body
    }

    /// The body, if the signature is that of the specification.
    pub(super) fn verified(&self) -> Value {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
        let time = self.field("webhook-timestamp");
        let signed = format!("{}.{time}.{}", self.id(), self.body);
        let signature = self.field("webhook-signature");
        let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).expect("the signature is good");
        let age = keyward::clock::wall().micros() / 1_000_000 - time.parse::<i64>().unwrap();
        assert!((-1..60).contains(&age), "sent {age} seconds ago");
        assert_eq!(self.field("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The display name of the key that it is about.
    pub(super) fn name(&self) -> String {
        self.verified()["data"]["display_name"].as_str().unwrap().to_owned()
    }
}

const SECRET: [u8; 32] = *b"a secret of notices for tests ..";

#[derive(Debug, Default)]
struct Record {
    arrived: Mutex<Vec<Arrived>>,
    replies: Mutex<VecDeque<Reply>>,
}

/// A receiver on loopback.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    folder: Scratch,
    record: Arc<Record>,
    serving: AbortHandle,
}

impl Receiver {
    /// Starts one that answers so, and with success after that. `name` is of one test.
    pub(super) async fn start(name: &str, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = Scratch::new(&format!("notices-{name}"));
        let secret = format!("whsec_{}\n", STANDARD.encode(SECRET));
        std::fs::write(folder.0.join("secret"), secret).unwrap();
        let replies = Mutex::new(replies.iter().copied().collect());
        let record = Arc::new(Record { arrived: Mutex::default(), replies });
        let kept = Arc::clone(&record);
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, folder, record, serving: serving.abort_handle() }
    }

    /// The file with the secret.
    pub(super) fn secret_file(&self) -> PathBuf {
        self.folder.0.join("secret")
    }

    /// The flags of a server that sends there by this URL.
    pub(super) fn flags_to(&self, url: &str) -> Vec<String> {
        let secret = self.secret_file().display().to_string();
        ["--notice-url", url, "--notice-secret-file", &secret, "--notice-interval", "20ms"]
            .map(String::from)
            .into()
    }

    /// The flags of a server that sends there.
    pub(super) fn flags(&self) -> Vec<String> {
        self.flags_to(&format!("http://{}/hook?from=keyward", self.address))
    }

    /// All that came by now.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        self.record.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many came.
    pub(super) async fn until(&self, count: usize) -> Vec<Arrived> {
        eventually("notices arrive", async || {
            Some(self.arrived()).filter(|arrived| arrived.len() >= count)
        })
        .await
    }

    /// The different ids of what came by now.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.arrived().iter().map(Arrived::id).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, record: Arc<Record>) {
    let mut connection = Connection::accepted(stream);
    while let Some(head) = connection.head().await {
        let body = String::from_utf8(connection.request_body(&head).await).unwrap();
        let next = record.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let arrived = Arrived { head, body };
        record.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrived);
        match next.unwrap_or(Reply::Status(204, "")) {
            Reply::Status(status, lines) => {
                let answer = format!("HTTP/1.1 {status} Told\r\n{lines}content-length: 0\r\n\r\n");
                connection.send(answer.as_bytes()).await;
            }
            Reply::Silence => std::future::pending::<()>().await,
            Reply::Unfinished => {
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
                std::future::pending::<()>().await;
            }
            Reply::Flood => {
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
                for _ in 0..100 {
                    connection.send(&[b'x'; 10_000]).await;
                }
                std::future::pending::<()>().await;
            }
        }
    }
}
