//! What is compared must say the same: the echoes set, remove and tell by the same names as Keyward, and
//! nearly as much.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use keyward::rpc::{
    envoy::{
        config::core::v3::HeaderValueOption,
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse,
            attribute_context::{HttpRequest, Request as AttributedRequest},
            authorization_client::AuthorizationClient,
            check_response::HttpResponse,
        },
    },
    pb::AuthorizeRequest,
};
use prost::Message;
use tokio::runtime::Builder;
use tonic::{Request, transport::Channel};

use crate::keys::request;

/// How much longer or shorter an answer may be, since ids and numbers in them differ.
const LENGTH_SHARE_MAX: f64 = 0.05;

/// What an answer does to a request, without values.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    code: Option<i32>,
    set: Vec<(String, i32)>,
    removed: Vec<String>,
    added: Vec<(String, i32)>,
    parameters: Vec<String>,
    told: Vec<String>,
}

/// Refuses two services that answer differently to the same question.
pub fn ensure_alike(one: SocketAddr, other: SocketAddr) -> Result<()> {
    let (one, other) = (answer(one)?, answer(other)?);
    let lengths = [&one, &other].map(|answer| answer.encoded_len() as f64);
    let (one, other) = (shape(one)?, shape(other)?);
    ensure!(one == other, "what is compared does not say the same:\n{one:?}\n{other:?}");
    let [length, other_length] = lengths;
    ensure!(
        (length / other_length - 1.0).abs() < LENGTH_SHARE_MAX,
        "what is compared does not say as much: {length} and {other_length} bytes"
    );
    Ok(())
}

/// The answer to a good request of the first key.
fn answer(address: SocketAddr) -> Result<CheckResponse> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
        let mut request = Request::new(question());
        request.metadata_mut().insert("keyward-environment", "production".parse()?);
        Ok(AuthorizationClient::new(channel).check(request).await?.into_inner())
    })
}

fn question() -> CheckRequest {
    let AuthorizeRequest { key, route, method, permission, .. } = request(0);
    let http = HttpRequest {
        method,
        path: route,
        headers: BTreeMap::from([("x-api-key".to_owned(), key)]),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext {
        request: Some(AttributedRequest { http: Some(http) }),
        context_extensions: BTreeMap::from([("permission".to_owned(), permission)]),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

fn shape(answer: CheckResponse) -> Result<Shape> {
    let Some(HttpResponse::OkResponse(allowed)) = answer.http_response else {
        anyhow::bail!("a good key is denied: {:?}", answer.status);
    };
    let mut removed = allowed.headers_to_remove;
    removed.sort_unstable(); // their order means nothing
    let told = answer.dynamic_metadata.context("nothing for logs")?.fields;
    Ok(Shape {
        code: answer.status.map(|status| status.code),
        set: names(allowed.headers),
        removed,
        added: names(allowed.response_headers_to_add),
        parameters: allowed.query_parameters_to_remove,
        told: told.into_keys().collect(),
    })
}

fn names(fields: Vec<HeaderValueOption>) -> Vec<(String, i32)> {
    let name = |field: HeaderValueOption| {
        (field.header.map(|header| header.key).unwrap_or_default(), field.append_action)
    };
    fields.into_iter().map(name).collect()
}
