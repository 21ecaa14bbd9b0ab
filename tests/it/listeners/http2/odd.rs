//! Odd requests: the admin listener, which tonic serves, says what they get.

use http::Method;
use prost::Message;

use super::client::{Answer, ONE, Raw, connected, crumbling, framed};
use crate::support::{client::may_read, database::Database, server::Server};

/// Requests as nobody should send them, by what is odd about them.
fn odd() -> Vec<(&'static str, Raw)> {
    let message = may_read("unheard-of").encode_to_vec();
    let body = framed(&message);
    let twice = [body.clone(), body.clone()].concat();
    let (one, two) = body.split_at(3);
    let garbage = |tail: &[u8]| [body.as_slice(), tail].concat();
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    let mut compressed = body.clone();
    compressed[0] = 1;
    let mut strange_flag = body.clone();
    strange_flag[0] = 2;
    let too_long = [&[0][..], &(1_u32 << 20 | 1).to_be_bytes(), &message].concat();
    let wrong = framed(&may_read("unheard-of").encode_to_vec()[..9]);
    let mut invalid = may_read("unheard-of");
    invalid.environment.clear();
    let plain = Raw::plain;
    vec![
        ("nothing", plain()),
        ("an end in a frame of its own", Raw { ends_apart: true, ..plain() }),
        ("trailers", Raw { has_trailers: true, ..plain() }),
        ("two frames", plain().frames(&[one, two])),
        ("a frame for each byte", plain().frames(&bytes)),
        ("frames and an end apart", Raw { ends_apart: true, ..plain().frames(&bytes) }),
        ("two messages", plain().frames(&[&twice])),
        ("two messages in two frames", plain().frames(&[&body, &body])),
        ("one byte too much", plain().frames(&[&garbage(&[0])])),
        ("eight bytes too much", plain().frames(&[&garbage(b"\x00\x00\x00\x00\x01abc")])),
        ("a broken second message", plain().frames(&[&garbage(b"\x00\x00\x00\x00\x01\xff")])),
        ("one byte too few", plain().frames(&[&body[..body.len() - 1]])),
        ("half a prefix", plain().frames(&[one])),
        ("an empty body", plain().frames(&[b""])),
        ("no body", plain().frames(&[])),
        ("an empty message", plain().frames(&[&framed(b"")])),
        ("a compressed flag", plain().frames(&[&compressed])),
        ("an unknown flag", plain().frames(&[&strange_flag])),
        ("a message beyond the limit", plain().frames(&[&too_long])),
        ("no protobuf", plain().frames(&[&wrong])),
        ("a wrong field", Raw::of(&invalid)),
        ("gzip", plain().header("grpc-encoding", "gzip")),
        ("identity", plain().header("grpc-encoding", "identity")),
        ("an encoding that is none", plain().header("grpc-encoding", "\t")),
        ("another content type", plain().header("content-type", "text/plain")),
        ("the long content type", plain().header("content-type", "application/grpc+proto")),
        ("a time that is over", plain().header("grpc-timeout", "0n")),
        ("a time that is none", plain().header("grpc-timeout", "soon")),
        ("GET", Raw { method: Method::GET, ..plain() }),
        ("GET without a body", Raw { method: Method::GET, ..plain().frames(&[]) }),
        ("an unknown method", Raw { path: "/keyward.v1.Authorize/Other".into(), ..plain() }),
        ("no method", Raw { path: "/keyward.v1.Authorize/".into(), ..plain() }),
        ("an unknown service", Raw { path: "/keyward.v1.Other/Authorize".into(), ..plain() }),
        ("two slashes", Raw { path: format!("/{ONE}"), ..plain() }),
        ("a path of one word", Raw { path: "/keyward.v1.Authorize".into(), ..plain() }),
        ("a query", Raw { path: format!("{ONE}?a=b"), ..plain() }),
        ("no path", Raw { path: "/".into(), ..plain() }),
        ("a stream", Raw { path: "/keyward.v1.Authorize/StreamAuthorize".into(), ..plain() }),
        (
            "a stream of two",
            Raw {
                path: "/keyward.v1.Authorize/StreamAuthorize".into(),
                ..plain().frames(&[&twice])
            },
        ),
        (
            "a stream with too few bytes",
            Raw {
                path: "/keyward.v1.Authorize/StreamAuthorize".into(),
                ..plain().frames(&[&twice[..twice.len() - 2]])
            },
        ),
    ]
}

#[tokio::test]
async fn odd_requests_get_what_tonic_answers() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let bearer = format!("Bearer {}", database.root_token);
    let [ours, tonics] = [connected(server.authorize).await, connected(server.admin).await];
    for (what, raw) in odd() {
        let raw = raw.header("authorization", &bearer);
        let told = |answer: Result<Answer, h2::Error>| {
            let mut answer = answer.map_err(|error| error.reason())?;
            // the two have different limits
            let message = answer.grpc_message.take();
            answer.grpc_message = message.map(|text| text.replace("1048576", "262144"));
            Ok(answer)
        };
        let ours = told(raw.ask(&ours, server.authorize).await);
        let expected: Result<Answer, Option<h2::Reason>> =
            told(raw.ask(&tonics, server.admin).await);
        assert_eq!(ours, expected, "{what}");
    }
}

#[tokio::test]
async fn a_client_that_writes_a_few_bytes_at_a_time_is_answered() {
    let database = Database::new();
    let server = Server::start(&database).await;
    for bytes in [1, 2, 7, 9, 20] {
        let requests = crumbling(server.authorize, bytes).await;
        for ends_apart in [false, true] {
            let raw = Raw { ends_apart, ..Raw::plain() };
            let asked = (0..5).map(|_| raw.ask(&requests, server.authorize));
            for answer in futures_util::future::join_all(asked).await {
                let answer = answer.unwrap();
                assert!(answer.is_unknown(), "{bytes} {answer:?}");
            }
        }
    }
}
