//! `Debug` of the messages that hold a token, which prost would print.

use std::fmt;

use crate::rpc::{
    envoy::{config::core::v3::HeaderValue, service::auth::v3::attribute_context::HttpRequest},
    pb,
};

macro_rules! redacted {
    ($($message:path),*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(..)"))
            }
        }
    )*};
}

redacted!(
    pb::AuthorizeRequest,
    pb::BatchAuthorizeRequest,
    pb::CreateKeyResponse,
    pb::RegenerateKeyResponse,
    pb::LookupKeyRequest,
    pb::ExplainKeyRequest,
    pb::RegenerateMyKeyResponse,
    pb::ImportKeyItem,
    HeaderValue,
    HttpRequest
);
