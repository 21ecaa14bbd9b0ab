//! Says to Envoy what becomes of a request.

use std::collections::BTreeMap;

use prost_types::{Struct, Value, value::Kind};

use crate::{
    proxy::{cleaning::Cleaning, identity::Identity, refusal::Refusal},
    rpc::{
        envoy::{
            config::core::v3::{
                HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
            },
            service::auth::v3::{
                CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse,
            },
            r#type::v3::HttpStatus,
        },
        proxies::{Facts, Ruled, Ruling},
        status,
    },
};

/// The answer to Envoy.
pub(super) fn response((ruling, facts): Ruled, is_grpc: bool) -> CheckResponse {
    let (refused, answer) = match ruling {
        Ruling::Pass { identity, cleaning, fields } => {
            (None, HttpResponse::OkResponse(passed(identity, cleaning, fields)))
        }
        Ruling::Refuse(refusal) => {
            let meaning = refusal.meaning;
            (Some(meaning), HttpResponse::DeniedResponse(refusal_to_pb(refusal, is_grpc)))
        }
    };
    CheckResponse {
        status: Some(status::of_check(refused)),
        http_response: Some(answer),
        dynamic_metadata: Some(metadata(facts)),
    }
}

fn passed(
    identity: Identity,
    cleaning: Cleaning,
    fields: Vec<(&'static str, String)>,
) -> OkHttpResponse {
    let Cleaning { fields: mut headers_to_remove, parameters, cookie } = cleaning;
    let mut headers: Vec<HeaderValueOption> =
        identity.into_iter().map(|(name, value)| field(name, value)).collect();
    match cookie {
        Some(rest) if rest.is_empty() => headers_to_remove.push("cookie".to_owned()),
        Some(rest) => headers.push(bytes_field("cookie", rest)),
        None => {}
    }
    OkHttpResponse {
        headers,
        headers_to_remove,
        response_headers_to_add: each_field(fields),
        query_parameters_to_remove: parameters,
    }
}

fn refusal_to_pb(refusal: Refusal, is_grpc: bool) -> DeniedHttpResponse {
    let Refusal { meaning, mut fields, mut body, detail } = refusal;
    if is_grpc {
        // Envoy makes trailers of these, in an answer with HTTP status 200 and a content type of its own
        fields.retain(|(name, _)| *name != "content-type");
        fields.push(("grpc-status", meaning.grpc_code().to_string()));
        fields.push(("grpc-message", detail.to_owned()));
        body.clear();
    }
    DeniedHttpResponse {
        status: Some(HttpStatus { code: meaning.http_status().into() }),
        headers: each_field(fields),
        body,
    }
}

fn each_field(fields: Vec<(&'static str, String)>) -> Vec<HeaderValueOption> {
    fields.into_iter().map(|(name, value)| field(name, value)).collect()
}

/// A field that replaces all others of its name. Versions of Envoy look at one or the other of the two
/// that say so, and take the absence of either for the contrary.
fn field(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }),
        append: Some(false),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}

/// The same of a value that need not be text.
fn bytes_field(name: &str, value: Vec<u8>) -> HeaderValueOption {
    match String::from_utf8(value) {
        Ok(text) => field(name, text),
        Err(other) => {
            let mut option = field(name, String::new());
            if let Some(header) = &mut option.header {
                header.raw_value = other.into_bytes();
            }
            option
        }
    }
}

/// What access logs and later filters can read.
fn metadata(facts: Facts) -> Struct {
    let value = |kind| Value { kind: Some(kind) };
    let texts = facts.texts.into_iter();
    let mut fields: BTreeMap<String, Value> =
        texts.map(|(name, text)| (name.to_owned(), value(Kind::StringValue(text)))).collect();
    if let Some(revision) = facts.revision {
        // as text, since numbers there are floating-point
        let revision = value(Kind::StringValue(revision.to_string()));
        fields.insert("revision".to_owned(), revision);
    }
    Struct { fields }
}
