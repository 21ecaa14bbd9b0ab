//! What Envoy asks, on both ways: a plain request is answered in the task of its connection, one that is a
//! little odd in a task of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use keyward::rpc::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse,
    attribute_context::{HttpRequest, Request as Attributed},
    check_response::HttpResponse,
};
use prost::Message;
use prost_types::value::Kind;
use tokio::time::timeout;

use super::client::{Raw, connected, framed};
use crate::support::{
    TIME_MAX,
    client::{create, new_key},
    database::Database,
    server::Server,
};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// A content type that clients may send and none does.
const ODD: &str = "application/grpc; odd";

/// A question about a key, with settings of the route.
fn question(key: &str, context: &[(&str, &str)]) -> CheckRequest {
    let http = HttpRequest {
        method: "GET".to_owned(),
        path: "/api".to_owned(),
        headers: BTreeMap::from([("x-api-key".to_owned(), key.to_owned())]),
        ..HttpRequest::default()
    };
    let pairs = context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let attributes = AttributeContext {
        request: Some(Attributed { http: Some(http) }),
        context_extensions: pairs.collect(),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

fn raw(message: &[u8]) -> Raw {
    let raw = Raw { path: CHECK.into(), ..Raw::plain() }.frames(&[&framed(message)]);
    raw.header("keyward-environment", "production")
}

/// The gRPC status and the answer, without what differs from one to the next.
async fn ask(raw: &Raw, requests: &SendRequest<Bytes>, at: SocketAddr) -> (String, CheckResponse) {
    let mut requests = requests.clone().ready().await.unwrap();
    let (response, mut body) = requests.send_request(raw.head(at), false).unwrap();
    body.send_data(Bytes::from(raw.frames[0].clone()), true).unwrap();
    let reading = async {
        let (head, mut body) = response.await.unwrap().into_parts();
        let mut bytes = BytesMut::new();
        while let Some(data) = body.data().await {
            bytes.extend_from_slice(&data.unwrap());
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let status = head.headers.get("grpc-status").or_else(|| trailers.get("grpc-status"));
        let message = bytes.get(5..).unwrap_or_default();
        (status.unwrap().to_str().unwrap().to_owned(), CheckResponse::decode(message).unwrap())
    };
    let (status, response) = timeout(TIME_MAX, reading).await.expect("an answer");
    (status, without_ids(response))
}

fn without_ids(mut response: CheckResponse) -> CheckResponse {
    let metadata = response.dynamic_metadata.get_or_insert_default();
    let Some(id) = metadata.fields.remove("decision_id") else { return response };
    let Some(Kind::StringValue(id)) = id.kind else { panic!("an id that is no text") };
    match response.http_response.as_mut().unwrap() {
        HttpResponse::DeniedResponse(denied) => denied.body = denied.body.replace(&id, "dec_"),
        HttpResponse::OkResponse(allowed) => {
            for header in allowed.headers.iter_mut().filter_map(|option| option.header.as_mut()) {
                header.value = header.value.replace(&id, "dec_");
            }
        }
    }
    response
}

fn code(response: &CheckResponse) -> i32 {
    response.status.as_ref().unwrap().code
}

#[tokio::test]
async fn envoy_hears_the_same_on_both_ways() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Asked for by Envoy")).await;
    let at = server.authorize;
    let requests = connected(at).await;
    let permission = [("permission", "systems.read")];
    for (what, message, code_expected) in [
        ("a good key", question(&made.token, &permission), 0),
        ("a permission that it has not", question(&made.token, &[("permission", "a.b")]), 7),
        ("no key", question("", &permission), 16),
        ("an unknown key", question("unheard-of", &permission), 16),
        ("a mistake of the operator", question(&made.token, &[("permision", "a.b")]), 13),
        ("nothing at all", CheckRequest::default(), 16),
    ] {
        let raw = raw(&message.encode_to_vec());
        let plain = ask(&raw, &requests, at).await;
        let odd = ask(&raw.clone().header("content-type", ODD), &requests, at).await;
        assert_eq!(plain, odd, "{what}");
        assert_eq!((plain.0.as_str(), code(&plain.1)), ("0", code_expected), "{what}");
    }
    let garbage = raw(b"\x0a\xff");
    let plain = ask(&garbage, &requests, at).await;
    assert_eq!(plain, ask(&garbage.header("content-type", ODD), &requests, at).await);
    assert_eq!(plain.0, "3");
}

#[tokio::test]
async fn checks_and_other_questions_that_come_together_get_their_own_answers() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Asked for by Envoy")).await;
    let at = server.authorize;
    let requests = connected(at).await;
    let permission = [("permission", "systems.read")];
    let [good, bad] = [made.token.as_str(), "unheard-of"]
        .map(|key| raw(&question(key, &permission).encode_to_vec()));
    let other = Raw::plain();
    let asked = (0..30).map(async |number| match number % 3 {
        0 => assert_eq!(code(&ask(&good, &requests, at).await.1), 0, "{number}"),
        1 => assert_eq!(code(&ask(&bad, &requests, at).await.1), 16, "{number}"),
        _ => assert!(other.ask(&requests, at).await.unwrap().is_unknown(), "{number}"),
    });
    futures_util::future::join_all(asked).await;
}
