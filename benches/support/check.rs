//! What Envoy asks about one request of a browser, and what answers it.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use http::HeaderMap;
use keyward::{
    authorize::Hot,
    clock,
    journal::{Journal, Mask, Selection},
    metrics::Decisions,
    model::key_source::KeySources,
    proxy::Settings,
    rpc::{
        authorize::{AuthorizeService, Door},
        envoy::{
            config::core::v3::{Address, SocketAddress},
            service::auth::v3::{
                AttributeContext, CheckRequest, CheckResponse,
                attribute_context::{HttpRequest, Peer, Request},
                check_response::HttpResponse,
            },
        },
        ext_authz::ExtAuthzServer,
        listen::AUTHORIZE_MESSAGE_BYTES_MAX,
        proxies::ProxyService,
        reached::Reached,
    },
};
use prost::Message;
use ring::rand::SystemRandom;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::loaded::Loaded;

/// As long as a token.
const TOKEN: &str = "TOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENTOKENT";
/// As Envoy tells them: those of the client, and its own.
const FIELDS: [(&str, &str); 17] = [
    (":authority", "api.example.com"),
    (":method", "GET"),
    (":path", "/api/systems/7?full=true"),
    (":scheme", "http"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.8,de;q=0.5"),
    ("cache-control", "no-cache"),
    ("cookie", "session=6f1c5b7e0a9d4c2f8b3e; theme=dark"),
    ("origin", "https://console.example.com"),
    ("referer", "https://console.example.com/projects/4711/overview"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("x-api-key", TOKEN),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "http"),
    ("x-request-id", "8f1c5b7e-0a9d-4c2f-8b3e-4bf92f3577b3"),
];

/// Answers Envoy by the keys of a replica.
pub struct Checking {
    server: ExtAuthzServer,
    message: Vec<u8>,
    /// Where the token is in the message.
    place: usize,
    metadata: HeaderMap,
    answer: Vec<u8>,
}

impl Checking {
    pub fn of(loaded: &Loaded) -> Self {
        let message = question().encode_to_vec();
        let place = message.windows(TOKEN.len()).position(|part| part == TOKEN.as_bytes());
        let metadata = HeaderMap::from_iter([(
            "keyward-environment".parse().unwrap(),
            "production".parse().unwrap(),
        )]);
        let place = place.unwrap();
        let mut checking =
            Self { server: server(loaded), message, place, metadata, answer: Vec::new() };
        let answer = CheckResponse::decode(checking.answer(&loaded.tokens[0])).unwrap();
        assert!(matches!(answer.http_response, Some(HttpResponse::OkResponse(_))));
        checking
    }

    /// The answer to a request with this token.
    pub fn answer(&mut self, token: &str) -> &[u8] {
        self.message[self.place..self.place + TOKEN.len()].copy_from_slice(token.as_bytes());
        self.answer.clear();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        let now = clock::now();
        let asker = (peer, now);
        self.server.answer_now(&self.message, &self.metadata, asker, &mut self.answer).unwrap();
        self.server.took(1, now);
        &self.answer
    }
}

fn server(loaded: &Loaded) -> ExtAuthzServer {
    let (_, revision) = watch::channel(1);
    let decisions = Decisions::default();
    let authorize = AuthorizeService {
        hot: Arc::new(Hot {
            replica: Arc::clone(&loaded.hot.replica),
            ledger: Arc::clone(&loaded.hot.ledger),
            peppers: Arc::clone(&loaded.hot.peppers),
            upgrades: Arc::clone(&loaded.hot.upgrades),
            brand: loaded.hot.brand.clone(),
            limiter: Arc::clone(&loaded.hot.limiter),
        }),
        reached: Reached { revision, nudge: Arc::default() },
        stop: CancellationToken::default(),
        door: Door::Decisions,
        logins: Arc::default(),
        journal: Arc::new(Journal::new(Selection::nothing(), Mask::default())),
        shared: None,
        random: SystemRandom::new(),
        tally: decisions.tally(),
        decisions,
    };
    let settings = Settings {
        sources: KeySources::parse("header:x-api-key,bearer").unwrap(),
        environment: None,
        customer_field: None,
        trusted_hops: 0,
        deny_when_unavailable: false,
        detailed_401: false,
        www_authenticate: None,
    };
    let (settings, complained) = (Arc::new(settings), Arc::default());
    let service = ProxyService { authorize, settings, complained };
    ExtAuthzServer::new(service, AUTHORIZE_MESSAGE_BYTES_MAX)
}

fn question() -> CheckRequest {
    let text = |text: &str| text.to_owned();
    let http = HttpRequest {
        method: text("GET"),
        path: text("/api/systems/7?full=true"),
        headers: FIELDS.map(|(name, value)| (text(name), text(value))).into(),
        ..HttpRequest::default()
    };
    let address = SocketAddress { address: text("192.0.2.7") };
    let address = Address { socket_address: Some(address) };
    let attributes = AttributeContext {
        source: Some(Peer { address: Some(address) }),
        request: Some(Request { http: Some(http) }),
        context_extensions: BTreeMap::from([(text("permission"), text("systems.read"))]),
    };
    CheckRequest { attributes: Some(attributes) }
}
