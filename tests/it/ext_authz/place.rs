//! A database, Keywards over it, upstreams, and Envoys between: what each test here begins with.

use std::net::SocketAddr;

use keyward::rpc::pb::{CreateKeyRequest, Key};

use crate::{
    scoping::{map_of, mask, texts},
    support::{
        client::{Admin, Made, create, new_key},
        database::Database,
        envoy::{Bootstrap, Envoy, Listener, Protocol},
        http1::{Answer, ask},
        server::Server,
        upstream::{GrpcUpstream, Seen, Upstream},
    },
};

/// The context of a route that reads systems in production.
pub(super) const READ: [(&str, &str); 2] =
    [("environment", "production"), ("permission", "systems.read")];

/// Flags for a Keyward that all tests ask from one address, also with bad keys.
const ALWAYS: [&str; 4] = ["--failure-limit", "off", "--usage-flush-interval", "30m"];

/// Everything that takes part.
pub(super) struct Place {
    /// Those in front.
    pub(super) envoys: Vec<Envoy>,
    /// What they lead to as `upstream`.
    pub(super) upstream: Upstream,
    /// What they lead to as `other`.
    pub(super) other: Upstream,
    /// What they lead to as `grpc`, over HTTP/2.
    pub(super) grpc: GrpcUpstream,
    /// Whom they ask, in the order that they were named in.
    pub(super) keywards: Vec<Server>,
    pub(super) admin: Admin,
    pub(super) database: Database,
}

impl Place {
    /// Starts Keywards, each a cluster of this name with these flags, and Envoys of each version
    /// with these listeners.
    pub(super) async fn start(keywards: &[(&str, &[&str])], listeners: Vec<Listener>) -> Self {
        let database = Database::new();
        let mut bootstrap = Bootstrap::default();
        let mut servers = Vec::new();
        for (name, flags) in keywards {
            let flags = [&ALWAYS[..], flags].concat();
            let server = Server::start_with(&database, &flags).await;
            bootstrap = bootstrap.cluster(name, server.authorize, Protocol::Http2);
            servers.push(server);
        }
        Self::of(database, servers, bootstrap, listeners).await
    }

    /// The same around Keywards that are there already and have their clusters.
    pub(super) async fn of(
        database: Database,
        keywards: Vec<Server>,
        bootstrap: Bootstrap,
        listeners: Vec<Listener>,
    ) -> Self {
        let upstream = Upstream::start("upstream").await;
        let other = Upstream::start("other").await;
        let grpc = GrpcUpstream::start().await;
        let bootstrap = bootstrap
            .cluster("upstream", upstream.address, Protocol::Http1)
            .cluster("other", other.address, Protocol::Http1)
            .cluster("grpc", grpc.address, Protocol::Http2);
        let bootstrap = listeners.into_iter().fold(bootstrap, Bootstrap::listener);
        let envoys = Envoy::start_all(&bootstrap).await;
        let admin = keywards[0].admin();
        Self { envoys, upstream, other, grpc, keywards, admin, database }
    }

    /// Makes a key, and waits until all know it.
    pub(super) async fn key(&mut self, request: CreateKeyRequest) -> Made {
        let made = create(&mut self.admin, request).await;
        self.all_know(made.revision).await;
        made
    }

    /// Makes a key that may read systems in production.
    pub(super) async fn reader(&mut self) -> Made {
        self.key(new_key("Reader")).await
    }

    /// Changes fields of a key, and waits until all know it.
    pub(super) async fn change(&mut self, made: &Made, key: Key, paths: &[&str]) {
        let key = Some(Key { id: made.key.id.clone(), ..key });
        let update_mask = Some(mask(paths));
        let request = keyward::rpc::pb::UpdateKeyRequest { key, update_mask, validate_only: false };
        let revision = self.admin.update_key(request).await.unwrap().get_ref().revision;
        self.all_know(revision).await;
    }

    /// Gives the domain `default` a route map, and waits until all know it.
    pub(super) async fn map(&mut self, lines: &[&str]) {
        let route_map = Some(map_of("", lines));
        let request = keyward::rpc::pb::UpdateRouteMapRequest { route_map, validate_only: false };
        let mut access = self.keywards[0].access();
        let revision = access.update_route_map(request).await.unwrap().get_ref().revision;
        self.all_know(revision).await;
    }

    /// Waits until all decide with knowledge of a revision.
    pub(super) async fn all_know(&self, revision: i64) {
        for server in &self.keywards {
            server.asker().verdict("", revision).await;
        }
    }

    /// Sends a request that must be let through, and returns what the upstream got.
    pub(super) async fn passes(&self, claim: &str, at: SocketAddr, request: &[u8]) -> Seen {
        self.answered(claim, at, request).await.1
    }

    /// The same with the answer that the client got.
    pub(super) async fn answered(
        &self,
        claim: &str,
        at: SocketAddr,
        request: &[u8],
    ) -> (Answer, Seen) {
        let answer = ask(at, request).await;
        assert_eq!(answer.status, 200, "{claim}: {answer:?}");
        assert_eq!(answer.field("x-upstream"), "upstream", "{claim}");
        (answer, self.upstream.take_one())
    }

    /// Sends a request that must not be let through, and returns the answer of Keyward.
    pub(super) async fn stops(
        &self,
        claim: &str,
        at: SocketAddr,
        request: &[u8],
        expected: &str,
    ) -> Answer {
        let answer = ask(at, request).await;
        assert_eq!(denial(&answer), expected, "{claim}: {answer:?}");
        let seen = self.upstream.take();
        assert!(seen.is_empty(), "{claim}: it reached the upstream: {seen:?}");
        answer
    }
}

/// The status and the reason of a denial, which must be as RFC 9457 and we say, such as
/// `403 ROUTE_DENIED`.
pub(crate) fn denial(answer: &Answer) -> String {
    assert_eq!(answer.field("content-type"), "application/problem+json", "{answer:?}");
    assert_eq!(answer.field("cache-control"), "no-store", "{answer:?}");
    let problem = answer.json();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("type"), "about:blank");
    assert_eq!(problem["status"], answer.status);
    let title = match answer.status {
        401 => "Unauthorized",
        403 => "Forbidden",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        other => panic!("{other} is no denial: {answer:?}"),
    };
    assert_eq!(text("title"), title);
    assert!(!text("detail").is_empty(), "{answer:?}");
    // where nothing was decided, there is no decision
    let decided = matches!(answer.status, 401 | 403 | 429);
    assert_eq!(text("decision_id").starts_with("dec_"), decided, "{answer:?}");
    format!("{} {}", answer.status, text("reason"))
}

/// A key that may read systems in production, by these route rules alone.
pub(super) fn ruled(rules: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { route_rules: texts(rules), ..new_key("Ruled") }
}
