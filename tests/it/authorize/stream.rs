//! Requests as they come.

use std::sync::atomic::Ordering::Relaxed;

use keyward::rpc::pb::{AuthorizeRequest, AuthorizeResponse};
use rustix::process::Signal;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{StreamExt, iter, wrappers::ReceiverStream};
use tonic::{Code, Status, Streaming};

use super::garbage::{NOT_UTF8, raw_stream};
use crate::support::{
    TIME_MAX,
    client::{assert_invalid, assert_status, create, may_read, new_key, verdict},
    database::Database,
    eventually,
    server::{Server, connect},
    wire::Connection,
};

async fn next(answers: &mut Streaming<AuthorizeResponse>) -> Option<Result<String, Status>> {
    let next = timeout(TIME_MAX, answers.next()).await.unwrap()?;
    Some(next.map(|answer| verdict(&answer)))
}

#[tokio::test]
async fn a_stream_answers_each_request_before_the_next_is_sent() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Stream")).await;
    let (send, requests) = mpsc::channel(1);
    let requests = ReceiverStream::new(requests);
    let mut asker = server.asker();
    asker.until(&made.token, "ALLOWED").await;
    let mut answers = asker.0.stream_authorize(requests).await.unwrap().into_inner();
    for (token, expected) in [(made.token.as_str(), "ALLOWED"), ("", "401 KEY_MISSING")] {
        let request = AuthorizeRequest { min_revision: made.revision, ..may_read(token) };
        send.send(request).await.unwrap();
        assert_eq!(next(&mut answers).await.unwrap().unwrap(), expected);
    }
    drop(send);
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn many_requests_in_flight_are_answered_in_order() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Stream")).await;
    let mut asker = server.asker();
    asker.until(&made.token, "ALLOWED").await;
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for number in 0..5000_u32 {
        let (token, answer) = match number * number % 5 {
            0 => (made.token.as_str(), "ALLOWED"),
            1 => ("", "401 KEY_MISSING"),
            _ => ("unheard-of", "401 KEY_UNKNOWN"),
        };
        requests.push(AuthorizeRequest { min_revision: made.revision, ..may_read(token) });
        expected.push(answer);
    }
    let answers = asker.0.stream_authorize(iter(requests)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    let found: Vec<_> = answers.into_iter().map(|one| verdict(&one.unwrap())).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_wrong_request_ends_the_stream_after_the_answers_before_it() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut wrong = may_read("unheard-of");
    wrong.environment.clear();
    let requests = vec![may_read("unheard-of"), may_read(""), wrong, may_read("")];
    let mut asker = server.asker();
    let answers = asker.0.stream_authorize(iter(requests)).await.unwrap();
    let mut answers = answers.into_inner();
    for expected in ["401 KEY_UNKNOWN", "401 KEY_MISSING"] {
        assert_eq!(next(&mut answers).await.unwrap().unwrap(), expected);
    }
    assert_invalid(next(&mut answers).await.unwrap(), &["environment"]);
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn a_stream_ends_at_what_is_no_message() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let right = prost::Message::encode_to_vec(&may_read("unheard-of"));
    let messages = vec![right.into(), NOT_UTF8];
    let channel = connect(server.authorize);
    let mut answers = raw_stream(channel, messages).await.unwrap();
    assert!(timeout(TIME_MAX, answers.message()).await.unwrap().is_ok());
    let end = timeout(TIME_MAX, answers.message()).await.unwrap();
    assert_invalid(end, &["key"]);
}

#[tokio::test]
async fn a_stream_ends_where_a_revision_is_not_reached() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let ahead = AuthorizeRequest { min_revision: i64::MAX, ..may_read("") };
    let mut asker = server.asker();
    let answers = asker.0.stream_authorize(iter(vec![may_read(""), ahead])).await;
    let mut answers = answers.unwrap().into_inner();
    assert_eq!(next(&mut answers).await.unwrap().unwrap(), "401 KEY_MISSING");
    let end = next(&mut answers).await.unwrap();
    assert_status(end, Code::Unavailable, "REVISION_NOT_REACHED");
}

#[tokio::test]
async fn a_stream_without_a_pause_is_told_that_the_server_goes_down() {
    let database = Database::new();
    let mut server = Server::start_with(&database, &["--drain-timeout", "20s"]).await;
    let mut connection = Connection::open(server.authorize).await;
    let method = "/keyward.v1.Authorize/StreamAuthorize";
    let (answered, end) = connection.flood(method, &may_read("unheard-of")).await;
    let end = tokio::spawn(end);
    let megabytes = 1 << 20;
    eventually("it is answered", async || (answered.load(Relaxed) > megabytes).then_some(())).await;
    server.signal(Signal::TERM);
    let end = timeout(TIME_MAX, end).await.expect("an end").unwrap();
    assert_status(Err::<(), _>(end), Code::Unavailable, "DRAINING");
    let status = server.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(server.log_line("were cut off"), None);
}
