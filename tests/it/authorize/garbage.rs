//! Bytes that no client of ours would send.

use bytes::Bytes;
use http::uri::PathAndQuery;
use keyward::rpc::pb::BatchAuthorizeRequest;
use prost::Message;
use tokio_stream::iter;
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};

use crate::support::{
    client::{assert_invalid, may_read, reason_of, verdict},
    database::Database,
    raw::Raw,
    server::{Server, connect},
};

/// An `AuthorizeRequest` whose `key` is not UTF-8.
pub(super) const NOT_UTF8: Bytes = Bytes::from_static(b"\x0a\x01\xff");

async fn raw(channel: &Channel, method: &'static str, message: Bytes) -> Result<Bytes, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    let response = client.unary(Request::new(message), path, Raw).await?;
    Ok(response.into_inner())
}

/// Opens a stream and sends these messages.
pub(super) async fn raw_stream(
    channel: Channel,
    messages: Vec<Bytes>,
) -> Result<Streaming<Bytes>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/keyward.v1.Authorize/StreamAuthorize");
    let messages = Request::new(iter(messages));
    let response = client.streaming(messages, path, Raw).await?;
    Ok(response.into_inner())
}

const ONE: &str = "/keyward.v1.Authorize/Authorize";
const BATCH: &str = "/keyward.v1.Authorize/BatchAuthorize";

#[tokio::test]
async fn a_text_that_is_not_utf8_is_named() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let channel = connect(server.authorize);
    let fields = ["key", "environment", "route", "permission", "method"];
    for (number, field) in (1_u8..).zip(fields) {
        let message = vec![number << 3 | 2, 2, b'a', 0xff];
        assert_invalid(raw(&channel, ONE, message.into()).await, &[field]);
    }
    let message = Bytes::from_static(b"\x0a\x03\x0a\x01\xff");
    assert_invalid(raw(&channel, BATCH, message).await, &["requests.key"]);
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Half of them noise, half of them a good message with a few bytes changed, lost or added.
fn strange(numbers: &mut Numbers, good: &[u8]) -> Bytes {
    if numbers.below(2) == 0 {
        let length = numbers.below(80);
        return (0..length).map(|_| numbers.byte()).collect();
    }
    let mut message = good.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(message.len());
        match numbers.below(3) {
            0 => message[at] = numbers.byte(),
            1 => message.insert(at, numbers.byte()),
            _ => drop(message.remove(at)),
        }
    }
    message.into()
}

#[tokio::test]
async fn any_bytes_get_an_answer_or_a_status_of_ours() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let channel = connect(server.authorize);
    let mut numbers = Numbers(1);
    let (mut answers, mut refusals) = (0, 0);
    let one = may_read("unheard-of");
    let batch = BatchAuthorizeRequest { requests: vec![one.clone(), one.clone()] };
    for _ in 0..500 {
        for (method, good) in [(ONE, one.encode_to_vec()), (BATCH, batch.encode_to_vec())] {
            let message = strange(&mut numbers, &good);
            // a status that tonic makes of a broken connection has no such details
            match raw(&channel, method, message.clone()).await {
                Ok(_) => answers += 1,
                Err(status) => {
                    assert_ne!(reason_of(&status), "", "{status:?} for {message:?}");
                    refusals += 1;
                }
            }
        }
    }
    assert!(answers > 10 && refusals > 10, "{answers} {refusals}");
    let mut asker = server.asker();
    let answer = asker.ask(may_read("")).await;
    assert_eq!(verdict(&answer), "401 KEY_MISSING");
}

#[tokio::test]
async fn a_message_of_more_than_a_mebibyte_is_refused() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    let mut request = may_read("unheard-of");
    request.route = "/".repeat(1 << 20);
    let status = asker.0.authorize(request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    // the connection goes on, and a little less is decided
    request.route.truncate((1 << 20) - 100);
    assert_eq!(verdict(&asker.ask(request).await), "401 KEY_UNKNOWN");
}
