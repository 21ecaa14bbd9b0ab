//! The service that Envoy asks, whole: from the bytes of a question to those of the answer.

#[path = "../../benches/support/loaded.rs"]
#[expect(dead_code, reason = "benches need more of it")]
mod loaded;

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use keyward::{
    authorize::Hot,
    journal::{Journal, Mask, Selection},
    metrics::Decisions,
    model::{key_source::KeySources, name::EnvironmentName},
    proxy::Settings,
    rpc::{
        authorize::{AuthorizeService, Door},
        envoy::service::auth::v3::{CheckResponse, check_response::HttpResponse},
        ext_authz::ExtAuthzServer,
        proxies::ProxyService,
        reached::Reached,
    },
};
use loaded::Loaded;
use prost::Message;
use ring::rand::SystemRandom;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A key that may read systems below `/api/systems`.
pub fn good_key() -> &'static str {
    &Loaded::with(1, false).tokens[0]
}

fn server() -> ExtAuthzServer {
    static SERVER: OnceLock<ExtAuthzServer> = OnceLock::new();
    let made = SERVER.get_or_init(|| {
        let hot = &Loaded::with(1, false).hot;
        let hot = Hot {
            replica: Arc::clone(&hot.replica),
            ledger: Arc::clone(&hot.ledger),
            peppers: Arc::clone(&hot.peppers),
            upgrades: Arc::clone(&hot.upgrades),
            brand: hot.brand.clone(),
            limiter: Arc::clone(&hot.limiter),
        };
        let decisions = Decisions::default();
        let (_sender, revision) = watch::channel(1);
        let authorize = AuthorizeService {
            hot: Arc::new(hot),
            reached: Reached { revision, nudge: Arc::default() },
            stop: CancellationToken::new(),
            door: Door::Decisions,
            logins: Arc::default(),
            journal: Arc::new(Journal::new(Selection::nothing(), Mask::default())),
            tally: decisions.tally(),
            decisions,
            shared: None,
            random: SystemRandom::new(),
        };
        let sources = "header:x-api-key,bearer,basic:haplo,query:api-key,cookie:api-key";
        let settings = Settings {
            sources: KeySources::parse(sources).unwrap(),
            environment: Some(EnvironmentName::parse("production").unwrap()),
            customer_field: Some("x-customer".into()),
            trusted_hops: 1,
            deny_when_unavailable: false,
            detailed_401: true,
            www_authenticate: None,
        };
        let service =
            ProxyService { authorize, settings: Arc::new(settings), complained: Arc::default() };
        ExtAuthzServer::new(service, MESSAGE_BYTES_MAX)
    });
    made.clone()
}

/// Asks, and says what is answered; `None` if the question was refused as one that cannot be read.
pub fn ask(message: &[u8]) -> Option<CheckResponse> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let request = Request::post("/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .body(Body::new(Full::from(framed)))
        .unwrap();
    let answered = server().respond(request).now_or_never().expect("nothing waits");
    let body = answered.into_body().collect().now_or_never().expect("nothing waits").unwrap();
    let bytes = body.to_bytes();
    let message = bytes.get(5..)?;
    Some(CheckResponse::decode(message).unwrap())
}

/// Makes sure that an answer is whole and never both a refusal and an allowance. Says whether it allows.
pub fn is_allowance(answer: &CheckResponse) -> bool {
    let allows = answer.status.as_ref().expect("a status").code == 0;
    match answer.http_response.as_ref().expect("what goes with it") {
        HttpResponse::OkResponse(_) => assert!(allows),
        HttpResponse::DeniedResponse(denied) => {
            assert!(!allows);
            let code = denied.status.expect("an HTTP status").code;
            assert!(matches!(code, 401 | 403 | 429 | 500), "{code}");
        }
    }
    allows
}
