//! Proxies that ask for each request over HTTP/1.1 whether it may pass.

mod caddy;
mod examples;
mod listener;
mod nginx;

use keyward::rpc::pb::CreateKeyRequest;

use crate::{
    scoping::texts,
    support::{
        client::{Admin, Made, create, new_key},
        database::Database,
        server::Server,
        upstream::{Seen, Upstream},
    },
};

/// Flags for a Keyward that all tests ask from one address, also with bad keys.
const ALWAYS: [&str; 4] = ["--failure-limit", "off", "--usage-flush-interval", "30m"];

/// What a proxy's URL says of a route that reads systems in production.
const READ: &str = "/authorize?environment=production&permission=systems.read";

/// A Keyward and an upstream.
struct Place {
    upstream: Upstream,
    keyward: Server,
    admin: Admin,
}

impl Place {
    async fn start(flags: &[&str]) -> Self {
        let database = Database::new();
        let flags = [&ALWAYS[..], flags].concat();
        let keyward = Server::start_with(&database, &flags).await;
        let upstream = Upstream::start("upstream").await;
        Self { admin: keyward.admin(), upstream, keyward }
    }

    async fn key(&mut self, request: CreateKeyRequest) -> Made {
        let made = create(&mut self.admin, request).await;
        self.keyward.asker().verdict("", made.revision).await;
        made
    }
}

/// A key that may read systems in production, by these route rules alone.
fn ruled(rules: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { route_rules: texts(rules), ..new_key("Ruled") }
}

/// Asserts that all that the upstream is told of the caller is said once, and true.
fn assert_told(claim: &str, seen: &Seen, made: &Made) {
    let names =
        ["x-keyward-decision-id", "x-keyward-domain", "x-keyward-environment", "x-keyward-key-id"];
    assert_eq!(seen.names("x-keyward"), names, "{claim}: {seen:?}");
    assert_eq!(seen.head.one("x-keyward-key-id").as_deref(), Some(&*made.key.id), "{claim}");
    assert_eq!(seen.head.one("x-keyward-domain").as_deref(), Some("default"), "{claim}");
    let text = seen.text();
    assert!(!text.contains("evil") && !text.contains(&made.token), "{claim}: {text}");
}
