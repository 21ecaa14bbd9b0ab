//! TLS on each listener, as clients have it.

use keyward::rpc::pb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic_health::pb::health_check_response::ServingStatus;

use super::{
    LISTENER,
    authority::{Authority, Valid},
    client::Client,
    flags, launch,
};
use crate::support::{
    TIME_MAX,
    client::{Asker, admin_with, create, may_read, new_key},
    database::Database,
    server::Server,
};

const ALL: [&str; 3] = ["authorize", "admin", "http"];

#[tokio::test]
async fn every_listener_serves_over_tls_of_both_versions() {
    let authority = Authority::new("works").await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let database = Database::new();
    let all: Vec<String> = ALL.iter().flat_map(|name| flags(name, &own, None)).collect();
    let server = launch(&database, &all).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Client::with_versions(&authority.certificate(), None, &[version]);
        client.until_serving(server.authorize).await;
        assert_eq!(client.health(server.admin).await.unwrap(), ServingStatus::Serving);
        client.health(server.admin).await.unwrap();
        assert!(client.has_resumed(), "who needs no certificate is spared a whole handshake");
        let mut admin = admin_with(client.channel(server.admin), &database.root_token);
        let made = create(&mut admin, new_key("Key")).await;
        let mut asker = Asker::new(client.channel(server.authorize));
        assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
        for offered in [&[&b"http/1.1"[..]][..], &[]] {
            let client = client.clone().offering(offered);
            let answer = get(&client, &server, "/readyz").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    }
    let listening = server.until_logged("\"message\":\"listening\"").await;
    for listener in ALL {
        assert!(listening.contains(&format!("\"{listener}_tls\":\"server\"")), "{listening}");
    }
    server.stop().await;
}

/// What the http listener answers.
async fn get(client: &Client, server: &Server, path: &str) -> String {
    let mut stream = client.connect(server.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: keyward\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(TIME_MAX, stream.read_to_string(&mut answer));
    read.await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_client_with_a_certificate_is_known_by_its_names() {
    let authority = Authority::new("mutual").await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let orders = "URI:spiffe://example.org/orders, DNS:orders.example.org";
    let orders = authority.issue("orders", orders, Valid::Now).await;
    let mut settings = flags("authorize", &own, Some(&authority.certificate()));
    settings.extend(flags("http", &own, Some(&authority.certificate())));
    let server = launch(&Database::new(), &settings).await;
    let client = Client::new(&authority.certificate(), Some(&orders));
    client.until_serving(server.authorize).await;
    let answer = get(&client.clone().offering(&[b"http/1.1"]), &server, "/livez").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for listener in ["authorize", "http"] {
        let line = server.log_line(&format!("\"listener\":\"{listener} listener\"")).unwrap();
        let names = "\"client\":\"spiffe://example.org/orders, orders.example.org\"";
        assert!(line.contains(names) && line.contains("a connection has TLS"), "{line}");
    }
    let listening = server.until_logged("\"message\":\"listening\"").await;
    for described in ["\"authorize_tls\":\"mutual\"", "\"admin_tls\":\"none\""] {
        assert!(listening.contains(described), "{listening}");
    }
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Client::with_versions(&authority.certificate(), Some(&orders), &[version]);
        for _ in 0..3 {
            client.health(server.authorize).await.unwrap();
            assert!(!client.has_resumed(), "its certificate is verified each time");
        }
    }
    // the admin listener has none
    assert_eq!(server.health(server.admin, "").await, Some(ServingStatus::Serving));
}

#[tokio::test]
async fn large_requests_and_answers_pass_through_tls() {
    let authority = Authority::new("large").await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let server = launch(&Database::new(), &flags("authorize", &own, None)).await;
    let client = Client::new(&authority.certificate(), None);
    client.until_serving(server.authorize).await;
    let requests: Vec<_> = (0..1000).map(|at| may_read(&format!("unheard-of-{at}"))).collect();
    let request = pb::BatchAuthorizeRequest { requests };
    let mut asker = Asker::new(client.channel(server.authorize));
    let before = client.made();
    for _ in 0..3 {
        let answers = asker.0.batch_authorize(request.clone()).await.unwrap().into_inner();
        assert_eq!(answers.responses.len(), 1000);
    }
    assert_eq!(client.made(), before + 1, "all on one connection");
}
