//! `Debug` of the messages that hold a token, which prost would print.

use std::fmt;

use crate::rpc::pb;

macro_rules! redacted {
    ($($message:ident),*) => {$(
        impl fmt::Debug for pb::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(..)"))
            }
        }
    )*};
}

redacted!(
    AuthorizeRequest,
    BatchAuthorizeRequest,
    CreateKeyResponse,
    RegenerateKeyResponse,
    LookupKeyRequest,
    ExplainKeyRequest,
    RegenerateMyKeyResponse
);
