//! Clients that are not let in, and what the log says of them.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    LISTENER,
    authority::{Authority, Pair, Valid},
    client::Client,
    flags, launch,
};
use crate::support::{TIME_MAX, database::Database, server::Server};

const ALLOWED: &str = "spiffe://example.org/orders, spiffe://partner.example/*, tool.example.org";

/// A server that lets in who is on a list, and the files of its authority.
async fn listed(name: &str) -> (Authority, Server, Client) {
    let authority = Authority::new(name).await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let mut settings = flags("authorize", &own, Some(&authority.certificate()));
    settings.push(format!("--authorize-tls-clients={ALLOWED}"));
    let server = launch(&Database::new(), &settings).await;
    let orders = authority.issue("orders", "URI:spiffe://example.org/orders", Valid::Now).await;
    let client = Client::new(&authority.certificate(), Some(&orders));
    client.until_serving(server.authorize).await;
    (authority, server, client)
}

/// Asserts that a client is refused, and that the log says why.
async fn assert_refused(server: &Server, client: &Client, words: &str) {
    let answer = client.health(server.authorize).await;
    assert!(answer.is_err(), "{words}: {answer:?}");
    let line = server.until_logged(words).await;
    assert!(line.contains("\"level\":\"WARN\""), "{line}");
    assert!(line.contains("\"listener\":\"authorize listener\""), "{line}");
}

#[tokio::test]
async fn who_has_no_good_certificate_is_refused() {
    let (authority, server, good) = listed("no-good").await;
    let other = Authority::new("no-good-other").await;
    let name = "URI:spiffe://example.org/orders";
    let certificates = [
        (other.issue("foreign", name, Valid::Now).await, "UnknownIssuer"),
        (authority.issue("late", name, Valid::Before).await, "certificate expired"),
        (authority.issue("early", name, Valid::Later).await, "not valid yet"),
    ];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = |own| Client::with_versions(&authority.certificate(), own, &[version]);
        assert_refused(&server, &client(None), "the client has no certificate").await;
        for (own, words) in &certificates {
            assert_refused(&server, &client(Some(own)), words).await;
        }
    }
    good.health(server.authorize).await.unwrap();
}

#[tokio::test]
async fn only_who_is_on_the_list_is_let_in() {
    let (authority, server, _) = listed("list").await;
    let client = |own: &Pair| Client::new(&authority.certificate(), Some(own));
    for (number, (names, is_let_in)) in [
        ("URI:spiffe://example.org/orders", true),
        ("URI:spiffe://example.org/orders/2", false),
        ("URI:spiffe://example.org/other", false),
        ("URI:spiffe://partner.example/ns/a/sa/b", true),
        ("URI:spiffe://partner.example.org/ns/a/sa/b", false),
        ("URI:spiffe://example.org/orders, URI:spiffe://example.org/other", false),
        ("DNS:tool.example.org", true),
        ("DNS:x.tool.example.org, DNS:tool.example", false),
        ("DNS:*.example.org", false),
        ("email:orders@example.org", false),
    ]
    .into_iter()
    .enumerate()
    {
        let own = authority.issue(&format!("client-{number}"), names, Valid::Now).await;
        let answer = client(&own).health(server.authorize).await;
        assert_eq!(answer.is_ok(), is_let_in, "{names}: {answer:?}");
    }
    // not even by a common name that is on the list
    let own = authority.issue("tool.example.org", "email:a@example.org", Valid::Now).await;
    assert_refused(
        &server,
        &client(&own),
        "has no name that is on the list of clients: it has no name",
    )
    .await;
    server.until_logged("it has spiffe://example.org/other").await;
}

#[tokio::test]
async fn who_cannot_speak_grpc_over_tls_is_refused() {
    let (_authority, server, client) = listed("protocols").await;
    for offered in [&[][..], &[&b"http/1.1"[..]]] {
        let before = server.count_logged("does not offer the listener's protocol (ALPN)");
        let client = client.clone().offering(offered);
        let answer = client.health(server.authorize).await;
        assert!(answer.is_err(), "{offered:?}");
        crate::support::eventually("the log says so", async || {
            let now = server.count_logged("does not offer the listener's protocol (ALPN)");
            (now > before).then_some(())
        })
        .await;
    }
    client.health(server.authorize).await.unwrap();
}

/// Sends bytes and waits for the end of the connection.
async fn until_closed(at: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut rest = Vec::new();
    // closed in order, or reset with bytes that were not read
    drop(timeout(TIME_MAX, stream.read_to_end(&mut rest)).await.expect("it is closed"));
}

#[tokio::test]
async fn a_client_without_tls_is_refused_where_there_is_tls() {
    let (_authority, server, client) = listed("plain").await;
    until_closed(server.authorize, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    server.until_logged("the client does not speak TLS").await;
    assert_eq!(server.health(server.authorize, "").await, None);
    client.health(server.authorize).await.unwrap();
}

#[tokio::test]
async fn a_client_with_tls_is_refused_where_there_is_none() {
    let authority = Authority::new("unexpected").await;
    let server = Server::start(&Database::new()).await;
    let client = Client::new(&authority.certificate(), None);
    for at in [server.authorize, server.admin, server.http] {
        assert!(client.connect(at).await.is_err());
    }
    crate::support::eventually("the log says so, for each listener", async || {
        let said = server.count_logged("a client speaks TLS, but the listener has none");
        (said >= 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up_and_keeps_nobody_waiting() {
    let (_authority, server, client) = listed("slow").await;
    let at = server.authorize;
    // nothing; and a record of TLS that says it is longer than what comes
    let slow: Vec<_> = [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"]
        .into_iter()
        .cycle()
        .take(40)
        .map(|bytes| tokio::spawn(until_closed(at, bytes)))
        .collect();
    server.until_logged("\"peer\"").await;
    for _ in 0..20 {
        client.health(at).await.unwrap();
    }
    assert!(slow.iter().any(|task| !task.is_finished()), "others were served meanwhile");
    for task in slow {
        task.await.unwrap();
    }
    server.until_logged("the client did not end the handshake in time").await;
}
