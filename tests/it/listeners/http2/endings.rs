//! Clients that give up, and a server that goes away.

use bytes::Bytes;
use h2::Reason;
use keyward::rpc::pb::AuthorizeRequest;
use rustix::process::Signal;

use super::client::{Answer, Raw, connected};
use crate::support::{client::may_read, database::Database, eventually, server::Server};

#[tokio::test]
async fn a_client_that_gives_up_requests_is_answered_on_the_same_connection() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let at = server.authorize;
    let requests = connected(at).await;
    let waits = Raw::of(&AuthorizeRequest { min_revision: i64::MAX, ..may_read("unheard-of") });
    for raw in [Raw::plain(), waits] {
        for parts in 0..3 {
            let mut ready = requests.clone().ready().await.unwrap();
            let (response, mut body) = ready.send_request(raw.head(at), false).unwrap();
            if parts > 0 {
                let part = Bytes::from(raw.frames[0][..7].to_vec());
                body.send_data(part, false).unwrap();
            }
            if parts > 1 {
                body.send_data(Bytes::from(raw.frames[0][7..].to_vec()), true).unwrap();
            }
            // another request gives the server time to see the first
            assert!(Raw::plain().ask(&requests, at).await.unwrap().is_unknown());
            body.send_reset(Reason::CANCEL);
            drop(response);
            assert!(Raw::plain().ask(&requests, at).await.unwrap().is_unknown());
        }
        // after its answer
        let mut ready = requests.clone().ready().await.unwrap();
        let (response, mut body) = ready.send_request(raw.head(at), false).unwrap();
        body.send_data(Bytes::from(raw.frames[0].clone()), true).unwrap();
        Answer::read(response).await.unwrap();
        body.send_reset(Reason::CANCEL);
        assert!(Raw::plain().ask(&requests, at).await.unwrap().is_unknown());
    }
}

#[tokio::test]
async fn open_requests_are_answered_when_the_server_goes_down_and_no_others_are_taken() {
    let database = Database::new();
    let mut server = Server::start_with(&database, &["--drain-timeout", "20s"]).await;
    let at = server.authorize;
    let requests = connected(at).await;
    let raw = Raw::plain();
    let mut open = Vec::new();
    for _ in 0..20 {
        let mut ready = requests.clone().ready().await.unwrap();
        let (response, mut body) = ready.send_request(raw.head(at), false).unwrap();
        body.send_data(Bytes::from(raw.frames[0][..9].to_vec()), false).unwrap();
        open.push((response, body));
    }
    assert!(raw.ask(&requests, at).await.unwrap().is_unknown());
    server.signal(Signal::TERM);
    eventually("the server asks its clients to go", async || {
        raw.ask(&requests, at).await.is_err().then_some(())
    })
    .await;
    for (response, mut body) in open {
        body.send_data(Bytes::from(raw.frames[0][9..].to_vec()), true).unwrap();
        let answer = Answer::read(response).await.unwrap();
        assert!(answer.is_unknown(), "{answer:?}");
    }
    let status = server.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(server.log_line("were cut off"), None);
}
