//! What Envoy hears: always the same, with the changes that Keyward makes to the request of a key with one
//! limit.

use keyward::rpc::{
    envoy::{
        config::core::v3::{
            HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
        },
        service::auth::v3::{
            CheckRequest, CheckResponse, OkHttpResponse, authorization_server::Authorization,
            check_response::HttpResponse,
        },
    },
    google::rpc::Status as RpcStatus,
};
use prost_types::{Struct, Value, value::Kind};
use tonic::{Request, Response, Status};

use super::Echo;

const KEY_ID: &str = "key_01hf7yat00fzzvzzzzzzzzzzzz";
const DECISION_ID: &str = "dec_0123456789abcdef012345";
const IDENTITY: [(&str, &str); 4] = [
    ("x-keyward-key-id", KEY_ID),
    ("x-keyward-domain", "default"),
    ("x-keyward-environment", "production"),
    ("x-keyward-decision-id", DECISION_ID),
];
const REMOVED: [&str; 10] = [
    "x_keyward_key_id",
    "x_keyward_domain",
    "x_keyward_environment",
    "x_keyward_decision_id",
    "x-keyward-user",
    "x_keyward_user",
    "x-keyward-customer",
    "x_keyward_customer",
    "x-api-key",
    "x_api_key",
];
const LIMITS: [(&str, &str); 2] =
    [("ratelimit-policy", "\"steady\";q=1000000;w=1"), ("ratelimit", "\"steady\";r=999999;t=1")];
const TOLD: [(&str, &str); 5] = [
    ("decision_id", DECISION_ID),
    ("domain", "default"),
    ("environment", "production"),
    ("key_id", KEY_ID),
    ("revision", "1"),
];

#[tonic::async_trait]
impl Authorization for Echo {
    async fn check(
        &self,
        _request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let allowed = OkHttpResponse {
            headers: IDENTITY.map(field).into(),
            headers_to_remove: REMOVED.map(str::to_owned).into(),
            response_headers_to_add: LIMITS.map(field).into(),
            query_parameters_to_remove: Vec::new(),
        };
        let told = TOLD.map(|(name, text)| {
            (name.to_owned(), Value { kind: Some(Kind::StringValue(text.to_owned())) })
        });
        Ok(Response::new(CheckResponse {
            status: Some(RpcStatus::default()),
            http_response: Some(HttpResponse::OkResponse(allowed)),
            dynamic_metadata: Some(Struct { fields: told.into() }),
        }))
    }
}

fn field((name, value): (&str, &str)) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            raw_value: Vec::new(),
        }),
        append: Some(false),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}
