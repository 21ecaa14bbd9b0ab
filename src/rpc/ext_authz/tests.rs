//! What Envoy asks is read as it was written, and a refusal never looks like an allowance.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{read::Check, *};
use crate::{
    decide::Decision,
    model::key_source::KeySources,
    proxy::{Inquiry, Settings, refusal::Refusal},
    rpc::{
        envoy::{
            config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress},
            service::auth::v3::{
                AttributeContext, CheckResponse,
                attribute_context::{HttpRequest as Http, Peer, Request as Asked},
                check_response::HttpResponse,
            },
        },
        proxies::{Facts, Ruled, Ruling, ruled},
        wire::tests::answers::answers,
    },
};

fn request(http: Http, peer: &str, context: BTreeMap<String, String>) -> CheckRequest {
    let socket_address = Some(SocketAddress { address: peer.to_owned() });
    let source = Some(Peer { address: Some(Address { socket_address }) });
    let request = Some(Asked { http: Some(http) });
    let attributes = Some(AttributeContext { source, request, context_extensions: context });
    CheckRequest { attributes }
}

fn settings() -> Settings {
    Settings {
        sources: KeySources::parse("header:x-api-key,bearer,query:k,cookie:k").unwrap(),
        environment: Some(EnvironmentName::parse("production").unwrap()),
        customer_field: None,
        trusted_hops: 0,
        deny_when_unavailable: false,
        detailed_401: true,
        www_authenticate: Some("Bearer".into()),
    }
}

/// What is written, read with prost, which would have written the same.
fn response(ruled: Ruled, is_grpc: bool) -> CheckResponse {
    let mut written = Vec::new();
    write::write(ruled, is_grpc, &mut written);
    let response = CheckResponse::decode(&*written).unwrap();
    assert_eq!(response.encode_to_vec(), written);
    response
}

/// What Envoy does with a response, as its documentation says: it looks at nothing but the code.
fn passes(response: &[u8]) -> bool {
    let response = CheckResponse::decode(response).unwrap();
    response.status.is_none_or(|status| status.code == 0)
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written(
        (method, path) in ("[A-Z]{0,7}", "(/[ -~]{0,20})?"),
        headers in prop::collection::btree_map("[a-z:-]{1,10}", "[!-~]{0,20}", 0..5),
        raw in option::of(vec(("[a-z-]{1,10}", vec(any::<u8>(), 0..20)), 0..5)),
        context in prop::collection::btree_map("[a-z]{1,10}", ".{0,20}", 0..4),
        peer in select(vec!["", "192.0.2.1", "2001:db8::1", "/run/socket"]),
    ) {
        let each = raw.iter().flatten().map(|(key, value)| HeaderValue {
            key: key.clone(),
            value: String::new(),
            raw_value: value.clone(),
        });
        let header_map = raw.as_ref().map(|_| HeaderMap { headers: each.collect() });
        let http = Http { method: method.clone(), headers: headers.clone(), path: path.clone(), header_map };
        let message = request(http, peer, context.clone()).encode_to_vec();
        let check = Check::read(&message).unwrap();
        let told: Vec<_> = check.context.iter().copied().collect();
        let expected: Vec<_> = context.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        prop_assert_eq!(told, expected);
        let inquiry = check.into_inquiry();
        prop_assert_eq!(inquiry.method, method);
        prop_assert_eq!(inquiry.target, path.as_bytes());
        prop_assert_eq!(inquiry.peer, peer.parse().ok());
        let plain = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let raw = raw.iter().flatten().map(|(name, value)| (name.as_bytes(), value.trim_ascii()));
        let expected: Vec<_> = plain.chain(raw).collect();
        prop_assert_eq!(inquiry.fields.to_vec(), expected);
    }

    #[test]
    fn what_is_no_request_is_not_read(message in vec(any::<u8>(), 0..200)) {
        if let Some(check) = Check::read(&message) {
            let _inquiry = check.into_inquiry();
        }
    }

    #[test]
    fn only_what_is_allowed_passes(
        answer in answers(),
        cookie in option::of("[ -~]{0,40}"),
        is_grpc in any::<bool>(),
    ) {
        let settings = settings();
        let mut inquiry = Inquiry { method: "GET", target: b"/a?k=1", ..Inquiry::default() };
        if let Some(cookie) = &cookie {
            inquiry.fields.push((b"cookie", cookie.as_bytes()));
        }
        let context = Context::parse([]).unwrap();
        let reading = inquiry.read(&settings, context, None).unwrap();
        let response = response(ruled(&settings, &inquiry, &reading, &answer), is_grpc);
        let allowed = answer.outcome.decision == Decision::Allow;
        prop_assert_eq!(passes(&response.encode_to_vec()), allowed);
        let (headers, removed) = match response.http_response.unwrap() {
            HttpResponse::OkResponse(passed) => {
                prop_assert!(allowed);
                prop_assert_eq!(passed.query_parameters_to_remove, ["k"]);
                (passed.headers, passed.headers_to_remove)
            }
            HttpResponse::DeniedResponse(denied) => {
                prop_assert!(!allowed);
                let code = denied.status.unwrap().code;
                prop_assert!(matches!(code, 401 | 403 | 429));
                (denied.headers, Vec::new())
            }
        };
        for option in headers {
            prop_assert_eq!(option.append, Some(false));
            prop_assert_eq!(option.append_action, 2);
            let name = option.header.unwrap().key;
            prop_assert!(!removed.contains(&name), "{name} is set and then removed");
        }
    }
}

#[test]
fn a_refusal_that_no_decision_made_does_not_pass_either() {
    for refusal in [Refusal::misconfigured(), Refusal::unavailable()] {
        for is_grpc in [false, true] {
            let ruled = (Ruling::Refuse(refusal.clone()), Facts::default());
            let response = response(ruled, is_grpc);
            assert!(!passes(&response.encode_to_vec()), "{refusal:?}");
        }
    }
}

#[test]
fn a_refusal_of_grpc_has_a_status_and_no_body() {
    let ruled = (Ruling::Refuse(Refusal::unavailable()), Facts::default());
    let Some(HttpResponse::DeniedResponse(denied)) = response(ruled, true).http_response else {
        panic!("not denied");
    };
    let headers: BTreeMap<_, _> = denied
        .headers
        .into_iter()
        .filter_map(|option| option.header.map(|header| (header.key, header.value)))
        .collect();
    assert_eq!(headers.get("grpc-status").map(String::as_str), Some("14"));
    assert_eq!(
        headers.get("grpc-message").map(String::as_str),
        Some("API keys cannot be checked now; try again")
    );
    assert!(!headers.contains_key("content-type") && denied.body.is_empty());
}
