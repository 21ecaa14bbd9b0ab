//! The configuration that `keyward envoy example` prints, in each Envoy.

use keyward::rpc::pb::CreateKeyRequest;

use crate::{
    ext_authz::place::{denial, ruled},
    scoping::{key_with, map_of},
    support::{
        client::{Made, create},
        database::Database,
        envoy::Envoy,
        http1::{ask, get, request},
        program::{program, run},
        server::Server,
        upstream::{Upstream, call},
    },
};

const SOURCES: &str = "header:x-api-key,bearer,query:k,cookie:c";

struct Place {
    envoys: Vec<Envoy>,
    upstream: Upstream,
    keyward: Server,
    _database: Database,
}

impl Place {
    async fn start() -> Self {
        let database = Database::new();
        let flags = ["--key-sources", SOURCES, "--failure-limit", "off"];
        let keyward = Server::start_with(&database, &flags).await;
        let upstream = Upstream::start("upstream").await;
        let [at, leads_to] = [keyward.authorize, upstream.address].map(|at| at.to_string());
        let printed = run(program(&[
            "envoy",
            "example",
            "--listen",
            "127.0.0.1:0",
            "--keyward",
            &at,
            "--upstream",
            &leads_to,
            "--key-sources",
            SOURCES,
        ]));
        let printed = printed.await.printed;
        let admin = "port_value: 9901";
        assert!(printed.contains(admin), "{printed}");
        let envoys = Envoy::start_each(&printed.replace(admin, "port_value: 0")).await;
        let map = map_of("", &["* /api/v2/** systems.read", "* /** systems.admin"]);
        let request =
            keyward::rpc::pb::UpdateRouteMapRequest { route_map: Some(map), validate_only: false };
        keyward.access().update_route_map(request).await.unwrap();
        Self { envoys, upstream, keyward, _database: database }
    }

    async fn key(&self, request: CreateKeyRequest) -> Made {
        let made = create(&mut self.keyward.admin(), request).await;
        self.keyward.asker().verdict("", made.revision).await;
        made
    }
}

#[tokio::test]
async fn the_example_works_as_it_is_printed() {
    let place = Place::start().await;
    let made = place.key(key_with(&["systems.read"])).await;
    let reporter = place.key(key_with(&["reports.read"])).await;
    let ruled = place.key(ruled(&["/api/v2/a"])).await;
    let key = |made: &Made| format!("X-Api-Key: {}\r\n", made.token);
    let spoof = "X-Keyward-User: evil\r\nX-Keyward-Key-Id: evil\r\nX-Original-Url: /evil\r\n\
        X-Rewrite-Url: /evil\r\nX-Http-Method-Override: evil\r\n";
    for envoy in &place.envoys {
        let at = envoy.at("edge");
        let token = &made.token;
        for (target, lines, arrives) in [
            ("/api/v2/a", format!("{}{spoof}", key(&made)), "/api/v2/a"),
            ("/api/v2/a?b=1", format!("Authorization: Bearer {token}\r\n"), "/api/v2/a?b=1"),
            (&*format!("/api/v2/a?k={token}&b=1"), spoof.to_owned(), "/api/v2/a?b=1"),
            ("/api/v2/a", format!("Cookie: b=1; c={token}\r\n"), "/api/v2/a"),
            ("/api/v2//a/./b/../c", key(&made), "/api/v2/a/c"),
            ("/api/v2/a", key(&ruled), "/api/v2/a"),
            ("/reports/x", key(&reporter), "/reports/x"),
            // nobody is asked about these, and nobody is known
            ("/public/a", format!("{}{spoof}", key(&made)), "/public/a"),
            ("/public/a", spoof.to_owned(), "/public/a"),
        ] {
            let claim = format!("{} {target}", envoy.version);
            let answer = ask(at, &get(target, &lines)).await;
            assert_eq!(answer.status, 200, "{claim}: {answer:?}");
            let seen = place.upstream.take_one();
            assert_eq!(seen.target(), arrives, "{claim}");
            let text = seen.text();
            assert!(!text.contains("evil") && !text.contains("kw_"), "{claim}: {text}");
            let told = if target.starts_with("/public") { 0 } else { 4 };
            assert_eq!(seen.names("x-keyward").len(), told, "{claim}: {text}");
        }
        for (target, lines, expected) in [
            ("/api/v2/a", String::new(), "401 UNAUTHENTICATED"),
            ("/api/v2/a", "X-Api-Key: unknown\r\n".into(), "401 UNAUTHENTICATED"),
            (
                "/api/v2/a",
                format!("{}Authorization: Bearer a\r\n", key(&made)),
                "401 UNAUTHENTICATED",
            ),
            ("/admin", key(&made), "403 PERMISSION_DENIED"),
            ("/api/v2/../admin", key(&made), "403 PERMISSION_DENIED"),
            ("/api/v2/%2e%2e/admin", key(&made), "403 PERMISSION_DENIED"),
            ("/public/../admin", key(&made), "403 PERMISSION_DENIED"),
            ("/public/%2e%2e/admin", String::new(), "401 UNAUTHENTICATED"),
            ("/publicity", String::new(), "401 UNAUTHENTICATED"),
            ("/reports/x", key(&made), "403 PERMISSION_DENIED"),
            ("/reports/../api/v2/a", key(&reporter), "403 PERMISSION_DENIED"),
            ("/api/v2/b", key(&ruled), "403 ROUTE_DENIED"),
            ("/api/v2/a;/../../admin", key(&made), "403 PERMISSION_DENIED"),
        ] {
            let claim = format!("{} {target}", envoy.version);
            let answer = ask(at, &get(target, &lines)).await;
            assert_eq!(denial(&answer), expected, "{claim}: {answer:?}");
            assert!(place.upstream.take().is_empty(), "{claim}");
        }
        for target in ["/api/v2/..%2fadmin", "/api/v2/..%5cadmin", "/public%2f..%2fadmin"] {
            let answer = ask(at, &get(target, &key(&made))).await;
            assert_eq!(answer.status, 400, "{target}: {answer:?}");
        }
        let underscores = format!("{}X_Keyward_User: evil\r\n", key(&made));
        assert_eq!(ask(at, &get("/api/v2/a", &underscores)).await.status, 400);
        let probe = ask(at, &request("GET", "/healthz", "")).await;
        assert_eq!((probe.status, probe.body.len()), (200, 0));
        let denied = call(at, "/admin/Method", &[("x-api-key", &made.token)]).await;
        assert_eq!(denied.field("grpc-status"), "7", "{denied:?}");
        assert!(place.upstream.take().is_empty());
    }
}
