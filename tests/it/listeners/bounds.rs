//! Connections and streams are counted.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{TIME_MAX, database::Database, eventually, server::Server};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const FRAME_PING: u8 = 6;
const FRAME_SETTINGS: u8 = 4;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// A connection as no library shows it.
struct Connection(TcpStream);

impl Connection {
    /// Connects, and returns the settings that the server begins with; `None` if it hangs up.
    async fn open(at: SocketAddr) -> Option<(Self, Vec<(u16, u32)>)> {
        let mut connection = Self(TcpStream::connect(at).await.unwrap());
        let hello = [PREFACE, &EMPTY_SETTINGS].concat();
        connection.0.write_all(&hello).await.ok()?;
        let settings = connection.frame(FRAME_SETTINGS).await?;
        let pairs = settings.chunks_exact(6).map(|pair| {
            let name = u16::from_be_bytes([pair[0], pair[1]]);
            (name, u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]))
        });
        Some((connection, pairs.collect()))
    }

    /// The next frame of a kind; `None` at the end.
    async fn frame(&mut self, wanted: u8) -> Option<Vec<u8>> {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.ok()?;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut body = vec![0; usize::try_from(length).unwrap()];
                self.0.read_exact(&mut body).await.ok()?;
                if head[3] == wanted {
                    return Some(body);
                }
            }
        };
        timeout(TIME_MAX, reading).await.expect("a frame or an end")
    }

    async fn is_alive(&mut self) -> bool {
        self.0.write_all(&PING).await.is_ok() && self.frame(FRAME_PING).await.is_some()
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_the_others_go_on() {
    let database = Database::new();
    let bounds = ["--authorize-connections", "3", "--admin-connections", "2"];
    let server = Server::start_with(&database, &bounds).await;
    for (at, limit) in [(server.authorize, 3), (server.admin, 2)] {
        let mut open = Vec::new();
        for _ in 0..limit {
            // those that health was asked on may take a moment to be gone
            open.push(
                eventually("a connection is let in", async || Connection::open(at).await).await.0,
            );
        }
        for _ in 0..3 {
            assert!(Connection::open(at).await.is_none(), "one too many");
        }
        for connection in &mut open {
            assert!(connection.is_alive().await);
        }
        drop(open.pop());
        eventually("there is room again", async || Connection::open(at).await).await;
    }
}

#[tokio::test]
async fn the_streams_of_a_connection_are_bounded() {
    let database = Database::new();
    let server = Server::start(&database).await;
    for (at, limit) in [(server.authorize, 1024), (server.admin, 64)] {
        let (_connection, settings) = Connection::open(at).await.unwrap();
        assert!(settings.contains(&(MAX_CONCURRENT_STREAMS, limit)), "{settings:?}");
    }
}

/// A connection that does not say how it begins.
struct Silent(TcpStream);

impl Silent {
    /// Connects, and says no more than this.
    async fn open(at: SocketAddr, word: &[u8]) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(word).await.unwrap();
        Self(stream)
    }

    /// Listens until the server hangs up, in whatever way.
    async fn ends(mut self) {
        let mut greeting = Vec::new();
        drop(timeout(TIME_MAX, self.0.read_to_end(&mut greeting)).await.expect("an end"));
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_and_frees_its_place() {
    let database = Database::new();
    let server = Server::start_with(&database, &["--admin-connections", "1"]).await;
    let (mut speaking, _) = Connection::open(server.authorize).await.unwrap();
    let nothing = Silent::open(server.authorize, b"").await;
    let part = Silent::open(server.authorize, &PREFACE[..PREFACE.len() - 1]).await;
    let only = Silent::open(server.admin, b"").await;
    assert!(Connection::open(server.admin).await.is_none(), "the place is taken");
    tokio::join!(nothing.ends(), part.ends(), only.ends());
    eventually("there is room again", async || Connection::open(server.admin).await).await;
    assert!(speaking.is_alive().await, "it had said how it begins");
}
