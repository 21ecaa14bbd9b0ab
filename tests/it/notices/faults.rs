//! Receivers that refuse, hang or are not who they should be; servers and databases that go away.

use rustix::process::Signal;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::{
    ending, grow_old, many_ending,
    receiver::{Receiver, Reply},
    start,
};
use crate::{
    support::{database::Database, eventually, gate::Gate, server::Server},
    telemetry::Shown,
    tls::authority::{Authority, Pair, Valid, replace},
};

/// Waits until a server has counted this much.
async fn until(server: &Server, metric: &str, least: f64) {
    eventually(metric, async || {
        (Shown::by(server.http).await.value(metric) >= least).then_some(())
    })
    .await;
}

const FAILURES: &str = "keyward_notice_failures_total";

/// That a notice is sent again, with the same id and body, after this answer.
async fn again_after(name: &str, reply: Reply, more: &[&str]) {
    let receiver = Receiver::start(name, &[reply]).await;
    let database = Database::new();
    let mut flags = receiver.flags();
    flags.extend(more.iter().map(|flag| (*flag).to_owned()));
    let server = start(&database, &flags).await;
    ending(&server, "Old", 3600).await;
    grow_old(&database, "Old").await;
    let arrived = receiver.until(2).await;
    assert_eq!(receiver.ids().len(), 1);
    assert_eq!(arrived[0].verified(), arrived[1].verified());
    until(&server, FAILURES, 1.0).await;
    until(&server, "keyward_notices_total{outcome=\"sent\"}", 1.0).await;
    until(&server, "keyward_keys_expiring{within=\"1d\"}", 1.0).await;
    server.until_logged("a notice was not taken; it will be sent again").await;
    server.until_logged("a notice was sent").await;
}

#[tokio::test]
async fn after_an_error_a_notice_is_sent_again() {
    again_after("error", Reply::Status(500, ""), &[]).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_tried_again() {
    let elsewhere = Reply::Status(302, "location: http://127.0.0.1:1/elsewhere\r\n");
    again_after("redirect", elsewhere, &[]).await;
}

#[tokio::test]
async fn a_receiver_that_is_silent_is_given_up_for_now() {
    again_after("silent", Reply::Silence, &["--notice-timeout", "200ms"]).await;
}

#[tokio::test]
async fn the_body_of_an_answer_does_not_matter() {
    let receiver = Receiver::start("body", &[Reply::Flood, Reply::Unfinished]).await;
    let database = Database::new();
    let mut flags = receiver.flags();
    flags.extend(["--notice-timeout", "300ms"].map(String::from));
    let server = start(&database, &flags).await;
    many_ending(&database, &server, 2).await;
    until(&server, "keyward_notices_total{outcome=\"sent\"}", 2.0).await;
    assert_eq!(receiver.arrived().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let receiver = Receiver::start("gone", &[Reply::Status(410, "")]).await;
    let database = Database::new();
    let server = start(&database, &receiver.flags()).await;
    many_ending(&database, &server, 3).await;
    until(&server, FAILURES, 1.0).await;
    until(&server, "keyward_notices_waiting", 3.0).await;
    until(&server, "keyward_notices_age_seconds", 6.0).await;
    assert_eq!(receiver.arrived().len(), 1, "a retry was due by then");
    // as if three days were over
    let old = "UPDATE keyward.notice SET made_at = made_at - interval '73 hours'";
    database.connect().await.batch_execute(old).await.unwrap();
    until(&server, "keyward_notices_total{outcome=\"given_up\"}", 3.0).await;
    eventually("none waits", async || {
        (Shown::by(server.http).await.value("keyward_notices_waiting") < 1.0).then_some(())
    })
    .await;
    server.until_logged("notices are given up: nobody took them for three days").await;
}

/// Puts TLS before a receiver; returns where.
async fn with_tls(receiver: &Receiver, own: &Pair) -> std::net::SocketAddr {
    let chain = CertificateDer::pem_file_iter(&own.certificate).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, target) = (listener.local_addr().unwrap(), receiver.address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = acceptor.accept(stream).await?;
                let mut far = TcpStream::connect(target).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    address
}

#[tokio::test]
async fn a_receiver_with_a_foreign_certificate_gets_nothing_until_its_authority_is_known() {
    let receiver = Receiver::start("tls", &[]).await;
    let (ours, foreign) =
        (Authority::new("notices-ours").await, Authority::new("notices-foreign").await);
    let own = ours.issue("own", "IP:127.0.0.1", Valid::Now).await;
    let address = with_tls(&receiver, &own).await;
    let file = foreign.folder().join("known.pem");
    replace(&file, &foreign.certificate());
    let mut flags = receiver.flags_to(&format!("https://{address}/hook"));
    flags.extend(["--notice-ca".into(), file.display().to_string()]);
    flags.extend(["--tls-reload-interval", "50ms"].map(String::from));
    let database = Database::new();
    let server = start(&database, &flags).await;
    ending(&server, "Old", 3600).await;
    grow_old(&database, "Old").await;
    until(&server, FAILURES, 1.0).await;
    server.until_logged("UnknownIssuer").await;
    assert_eq!(receiver.arrived().len(), 0);
    replace(&file, &ours.certificate());
    assert_eq!(receiver.until(1).await[0].name(), "Old");
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let receiver = Receiver::start("tls-name", &[]).await;
    let authority = Authority::new("notices-name").await;
    let own = authority.issue("own", "DNS:elsewhere.example", Valid::Now).await;
    let address = with_tls(&receiver, &own).await;
    let mut flags = receiver.flags_to(&format!("https://{address}/hook"));
    flags.extend(["--notice-ca".into(), authority.certificate().display().to_string()]);
    let database = Database::new();
    let server = start(&database, &flags).await;
    ending(&server, "Old", 3600).await;
    grow_old(&database, "Old").await;
    until(&server, FAILURES, 1.0).await;
    assert_eq!(receiver.arrived().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_and_repeats_only_with_the_same_id() {
    const KEYS: i64 = 60;
    let receiver = Receiver::start("killed", &[]).await;
    let database = Database::new();
    let first = start(&database, &receiver.flags()).await;
    many_ending(&database, &first, KEYS).await;
    receiver.until(10).await;
    first.signal(Signal::KILL);
    // as if the time of its hold were over
    let hold = "UPDATE keyward.notice_head SET lease_expire_at = '-infinity'";
    database.connect().await.batch_execute(hold).await.unwrap();
    let second = start(&database, &receiver.flags()).await;
    let sent = "SELECT count(*) FROM keyward.notice WHERE state = 'sent'";
    eventually("all are sent", async || (database.number(sent).await == KEYS).then_some(())).await;
    assert_eq!(receiver.ids().len(), 60);
    let repeated = receiver.arrived().len() - 60;
    assert!(repeated <= 1, "{repeated}: the one that was on its way");
    drop(second);
}

#[tokio::test]
async fn a_server_that_ends_while_a_receiver_is_silent_leaves_the_notice_to_the_next_one() {
    let receiver = Receiver::start("ending", &[Reply::Silence]).await;
    let database = Database::new();
    let mut flags = receiver.flags();
    flags.extend(["--notice-timeout", "30s"].map(String::from));
    let mut first = start(&database, &flags).await;
    ending(&first, "Old", 3600).await;
    grow_old(&database, "Old").await;
    receiver.until(1).await;
    first.signal(Signal::TERM);
    assert!(first.ended().await.success());
    assert_eq!(first.count_logged("some tasks did not end in time"), 0);
    let _second = start(&database, &flags).await;
    receiver.until(2).await;
    assert_eq!(receiver.ids().len(), 1);
}

#[tokio::test]
async fn without_the_database_notices_wait_and_then_go_on() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("notices", &database);
    gate.open();
    let receiver = Receiver::start("database", &[Reply::Status(503, "retry-after: 2\r\n")]).await;
    let server = start(&beyond, &receiver.flags()).await;
    ending(&server, "Old", 3600).await;
    grow_old(&database, "Old").await;
    receiver.until(1).await;
    gate.shut();
    server.until_logged("notices have to wait for the database").await;
    assert_eq!(receiver.arrived().len(), 1);
    gate.open();
    let arrived = receiver.until(2).await;
    assert_eq!((receiver.ids().len(), arrived[1].name()), (1, "Old".to_owned()));
}
