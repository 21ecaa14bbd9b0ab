//! Clients that take little, or nothing, and clients that ask for much at once.

use std::{fs, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use h2::client::Builder;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::client::{ONE, Raw, connected};
use crate::support::{TIME_MAX, database::Database, server::Server};

#[tokio::test]
async fn a_client_with_a_tiny_window_gets_its_whole_answer() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let raw = Raw::plain();
    for window in [1, 2, 10] {
        let stream = TcpStream::connect(server.authorize).await.unwrap();
        let handshake = Builder::new().initial_window_size(window).handshake::<_, Bytes>(stream);
        let (requests, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let asked = (0..20).map(|_| raw.ask(&requests, server.authorize));
        for answer in try_join_all(asked).await.unwrap() {
            assert!(answer.is_unknown(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_opens_its_window_late_gets_its_whole_answer() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let stream = TcpStream::connect(server.authorize).await.unwrap();
    let handshake = Builder::new().initial_window_size(0).handshake(stream);
    let (requests, mut connection) = handshake.await.unwrap();
    let (raw, mut requests) = (Raw::plain(), requests.ready().await.unwrap());
    let (response, mut body) = requests.send_request(raw.head(server.authorize), false).unwrap();
    body.send_data(Bytes::from(raw.frames[0].clone()), true).unwrap();
    let head = tokio::select! {
        head = response => head.unwrap(),
        end = &mut connection => panic!("{end:?}"),
    };
    let mut body = head.into_body();
    connection.set_initial_window_size(65_535).unwrap();
    tokio::spawn(connection);
    let taken = async {
        let mut bytes = 0;
        while let Some(data) = body.data().await {
            bytes += data.unwrap().len();
        }
        (bytes, body.trailers().await.unwrap().unwrap())
    };
    let (bytes, trailers) = timeout(TIME_MAX, taken).await.expect("the whole answer");
    assert!(bytes > 20, "{bytes}");
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_all_answered() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let requests = connected(server.authorize).await;
    let raw = Raw::plain();
    let asked = (0..1000).map(|_| raw.ask(&requests, server.authorize));
    for answer in try_join_all(asked).await.unwrap() {
        assert!(answer.is_unknown(), "{answer:?}");
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field that is written out and not to be remembered (HPACK, RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// How much memory a server holds, in KiB.
fn memory(server: &Server) -> u64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_make_memory_grow() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut stream = TcpStream::connect(server.authorize).await.unwrap();
    let settings = frame(4, 0, 0, &[]);
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()).await.unwrap();
    let head = [
        field(":method", "POST"),
        field(":scheme", "http"),
        field(":path", ONE),
        field("content-type", "application/grpc"),
    ]
    .concat();
    let body = &Raw::plain().frames[0];
    let before = memory(&server);
    let mut sent = 0_u32;
    // until the server takes no more, hangs up, or has had enough to tell
    while sent < 200_000 {
        let id = sent * 2 + 1;
        let request = [frame(1, 4, id, &head), frame(0, 1, id, body)].concat();
        match timeout(Duration::from_secs(2), stream.write_all(&request)).await {
            Ok(Ok(())) => sent += 1,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    assert!(sent > 1000, "{sent}");
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more after {sent} requests");
    let others = connected(server.authorize).await;
    assert!(Raw::plain().ask(&others, server.authorize).await.unwrap().is_unknown());
}
