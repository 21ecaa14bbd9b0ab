//! One request, one answer.

use std::{collections::BTreeMap, time::Duration};

use keyward::{
    clock,
    rpc::pb::{
        AuthorizeRequest, AuthorizeResponse, CreateKeyRequest, DeactivateKeyRequest,
        DeleteKeyRequest, Mode, Reason, RegenerateKeyRequest, RevocationReason, RevokeKeyRequest,
    },
};

use crate::support::{
    TIME_MAX,
    client::{Admin, Made, assert_invalid, create, may_read, new_key, verdict},
    database::Database,
    server::Server,
};

/// A time so far from now.
fn in_time(span: Duration) -> prost_types::Timestamp {
    let micros = clock::wall().micros() + i64::try_from(span.as_micros()).unwrap();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap(),
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A table of requests and what comes of them.
#[derive(Default)]
struct Table(Vec<(String, AuthorizeRequest, &'static str)>);

impl Table {
    fn row(&mut self, claim: &str, request: AuthorizeRequest, expected: &'static str) {
        self.0.push((claim.to_owned(), request, expected));
    }

    async fn check(self, server: &Server) {
        let mut asker = server.asker();
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (claim, request, verdict_expected) in self.0 {
            found.push((claim.clone(), verdict(&asker.ask(request).await)));
            expected.push((claim, verdict_expected.to_owned()));
        }
        assert_eq!(found, expected);
    }
}

/// Keys in every state that denies.
struct Stopped {
    deactivated: Made,
    revoked: Made,
    deleted: Made,
    regenerated: Made,
    future: Made,
    expired: Made,
}

async fn stopped(admin: &mut Admin) -> Stopped {
    let mut keys = Vec::new();
    for name in ["Deactivated", "Revoked", "Deleted", "Regenerated"] {
        keys.push(create(admin, new_key(name)).await);
    }
    let future = CreateKeyRequest { not_before_time: Some(in_time(YEAR)), ..new_key("Future") };
    let expiring = CreateKeyRequest {
        expire_time: Some(in_time(Duration::from_secs(2))),
        ..new_key("Expired")
    };
    let (future, expired) = (create(admin, future).await, create(admin, expiring).await);
    let mut id = keys.iter().map(|made| made.key.id.clone());
    let mut id = || id.next().unwrap();
    let request = DeactivateKeyRequest { id: id(), ..DeactivateKeyRequest::default() };
    admin.deactivate_key(request).await.unwrap();
    let request = RevokeKeyRequest {
        id: id(),
        reason: RevocationReason::Compromised.into(),
        ..RevokeKeyRequest::default()
    };
    admin.revoke_key(request).await.unwrap();
    let request =
        DeleteKeyRequest { id: id(), confirm: "Deleted".into(), ..DeleteKeyRequest::default() };
    admin.delete_key(request).await.unwrap();
    let request = RegenerateKeyRequest { id: id(), ..RegenerateKeyRequest::default() };
    admin.regenerate_key(request).await.unwrap();
    let mut keys = keys.into_iter();
    let mut key = || keys.next().unwrap();
    Stopped {
        deactivated: key(),
        revoked: key(),
        deleted: key(),
        regenerated: key(),
        future,
        expired,
    }
}

#[tokio::test]
async fn every_reason_to_deny_a_key_is_given() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut admin = server.admin();
    let keys = stopped(&mut admin).await;
    let reader = create(&mut admin, new_key("Reader")).await;
    let mut asker = server.asker();
    assert_eq!(asker.verdict(&reader.token, reader.revision).await, "ALLOWED");
    asker.until(&keys.expired.token, "401 KEY_EXPIRED").await;

    let read = |token: &str| may_read(token);
    let mistyped = format!("{}0", &reader.token[..reader.token.len() - 1]);
    let mistyped =
        if mistyped == reader.token { mistyped.replace("kw_prod_", "kw_prox_") } else { mistyped };
    let mut table = Table::default();
    table.row("no key", read(""), "401 KEY_MISSING");
    table.row("mistyped", read(&mistyped), "401 KEY_MALFORMED");
    table.row("only a brand", read("kw_"), "401 KEY_MALFORMED");
    table.row("513 bytes", read(&"x".repeat(513)), "401 KEY_MALFORMED");
    table.row("512 bytes", read(&"x".repeat(512)), "401 KEY_UNKNOWN");
    table.row("no such key", read("another-brand"), "401 KEY_UNKNOWN");
    let schemed = format!("Bearer {}", reader.token);
    table.row("with a scheme", read(&schemed), "401 KEY_UNKNOWN");
    table.row("deleted", read(&keys.deleted.token), "401 KEY_UNKNOWN");
    let replaced = &keys.regenerated.token;
    table.row("replaced", read(replaced), "401 KEY_UNKNOWN");
    let root = &database.root_token;
    table.row("an admin key", read(root), "401 KEY_UNKNOWN");
    let off = &keys.deactivated.token;
    table.row("deactivated", read(off), "401 KEY_INACTIVE");
    table.row("revoked", read(&keys.revoked.token), "401 KEY_INACTIVE");
    table.row("expired", read(&keys.expired.token), "401 KEY_EXPIRED");
    let future = &keys.future.token;
    table.row("not yet", read(future), "401 KEY_NOT_YET_VALID");
    for environment in ["staging", "moon", "Production", "production "] {
        let request = AuthorizeRequest { environment: environment.into(), ..read(&reader.token) };
        table.row(environment, request, "401 ENVIRONMENT_MISMATCH");
    }
    let other = AuthorizeRequest { environment: "staging".into(), ..read(off) };
    table.row("state before environment", other, "401 KEY_INACTIVE");
    for (permission, expected) in [
        ("systems.read", "ALLOWED"),
        ("systems.write", "403 PERMISSION_DENIED"),
        ("systems", "403 PERMISSION_DENIED"),
        ("systems.read.all", "ALLOWED"),
    ] {
        let request = AuthorizeRequest { permission: permission.into(), ..read(&reader.token) };
        table.row(permission, request, expected);
    }
    table.check(&server).await;
}

#[tokio::test]
async fn routes_and_methods_are_held_to_the_rules() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut admin = server.admin();
    let everything =
        CreateKeyRequest { permissions: vec!["public".into()], ..new_key("Everything") };
    let ruled = CreateKeyRequest {
        route_rules: vec!["/api/v2".into(), "GET,HEAD /reports".into(), "=/exact".into()],
        ..everything.clone()
    };
    let free = create(&mut admin, everything).await;
    let ruled = create(&mut admin, ruled).await;
    let mut asker = server.asker();
    assert_eq!(asker.verdict(&free.token, ruled.revision).await, "ALLOWED");

    let ask = |made: &Made, method: &str, route: &str| AuthorizeRequest {
        method: method.into(),
        route: route.into(),
        ..may_read(&made.token)
    };
    let long = format!("/api/v2/{}", "x".repeat(8185));
    let mut table = Table::default();
    for (method, route, expected) in [
        ("", "/api/v2", "ALLOWED"),
        ("POST", "/api/v2/systems/7/", "ALLOWED"),
        ("GET", "/reports/today", "ALLOWED"),
        ("HEAD", "/reports", "ALLOWED"),
        ("", "/exact", "ALLOWED"),
        ("", "", "403 ROUTE_DENIED"),
        ("GET", "", "403 ROUTE_DENIED"),
        ("", "/api/v20", "403 ROUTE_DENIED"),
        ("", "/api", "403 ROUTE_DENIED"),
        ("", "/exact/more", "403 ROUTE_DENIED"),
        ("", "/reports", "403 ROUTE_DENIED"),
        ("get", "/reports", "403 ROUTE_DENIED"),
        ("POST", "/reports", "403 ROUTE_DENIED"),
        ("", "api/v2", "403 ROUTE_DENIED"),
        ("", "/api/v2//x", "403 ROUTE_DENIED"),
        ("", "/api/v2/../admin", "403 ROUTE_DENIED"),
        ("", "/api/v2/./x", "403 ROUTE_DENIED"),
        ("", "/api/v2/%2e%2e/x", "403 ROUTE_DENIED"),
        ("", "/api/v2/a%2Fb", "403 ROUTE_DENIED"),
        ("", "/api/v2/a%5cb", "403 ROUTE_DENIED"),
        ("", "/api/v2/a\\b", "403 ROUTE_DENIED"),
        ("", "/api/v2/a%00", "403 ROUTE_DENIED"),
        ("", "/api/v2/a\n", "403 ROUTE_DENIED"),
        ("", "/api/v2?x=1", "403 ROUTE_DENIED"),
        ("", "/api/v2#x", "403 ROUTE_DENIED"),
        ("", "/api/v2/%zz", "403 ROUTE_DENIED"),
        ("", &long, "403 ROUTE_DENIED"),
    ] {
        let claim = format!("{method} {}", &route[..route.len().min(40)]);
        table.row(&claim, ask(&ruled, method, route), expected);
    }
    // where no rule has to read it, a route is only told
    table.row("no rules", ask(&free, "", "/a//../b"), "ALLOWED");
    for (claim, made) in [("a route without permission", &free), ("the same with rules", &ruled)] {
        let request = AuthorizeRequest { permission: String::new(), ..ask(made, "GET", "/api/v2") };
        table.row(claim, request, "403 PERMISSION_DENIED");
    }
    table.check(&server).await;
}

#[tokio::test]
async fn an_answer_tells_of_the_key_and_of_what_the_replica_knew() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let labels = BTreeMap::from([
        ("team".to_owned(), "booking = panel".to_owned()),
        ("tier".to_owned(), String::new()),
    ]);
    let request = CreateKeyRequest { labels: labels.clone(), ..new_key("Labelled") };
    let made = create(&mut server.admin(), request).await;
    let mut asker = server.asker();
    let known = AuthorizeRequest { min_revision: made.revision, ..may_read(&made.token) };
    let unknown = AuthorizeRequest { key: "unheard-of".into(), ..known.clone() };
    let denied = AuthorizeRequest { permission: "systems.write".into(), ..known.clone() };
    let about_the_key = AuthorizeResponse {
        key_id: made.key.id.clone(),
        domain: "default".into(),
        labels,
        revision: made.revision,
        ..AuthorizeResponse::default()
    };
    let allowing = AuthorizeResponse { allowed: true, http_status: 200, ..about_the_key.clone() };
    let denying = AuthorizeResponse {
        http_status: 403,
        reason: Reason::PermissionDenied.into(),
        ..about_the_key
    };
    let not_knowing = AuthorizeResponse {
        http_status: 401,
        reason: Reason::KeyUnknown.into(),
        revision: made.revision,
        ..AuthorizeResponse::default()
    };
    let mut ids = Vec::new();
    for (request, expected) in [(known, allowing), (denied, denying), (unknown, not_knowing)] {
        let mut response = asker.ask(request).await;
        ids.push(std::mem::take(&mut response.decision_id));
        let age = Duration::try_from(response.data_age.take().unwrap()).unwrap();
        assert!(age < TIME_MAX, "{age:?}");
        assert_eq!(response, expected);
    }
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == 3 && ids.iter().all(|id| !id.is_empty()), "{ids:?}");
}

#[tokio::test]
async fn authenticate_only_asks_for_no_permission() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let nothing = CreateKeyRequest {
        permissions: Vec::new(),
        route_rules: vec!["/api".into()],
        ..new_key("Nothing")
    };
    let made = create(&mut server.admin(), nothing).await;
    let request = AuthorizeRequest {
        key: made.token,
        environment: "production".into(),
        mode: Mode::AuthenticateOnly.into(),
        min_revision: made.revision,
        ..AuthorizeRequest::default()
    };
    let elsewhere = AuthorizeRequest { environment: "staging".into(), ..request.clone() };
    let mut table = Table::default();
    table.row("here", request, "ALLOWED");
    table.row("elsewhere", elsewhere, "401 ENVIRONMENT_MISMATCH");
    table.check(&server).await;
}

#[tokio::test]
async fn a_request_that_is_wrong_names_all_its_fields() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    let right = may_read("some-key");
    let nothing = AuthorizeRequest::default;
    let cases = [
        (nothing(), vec!["environment", "permission"]),
        (AuthorizeRequest { permission: String::new(), ..right.clone() }, vec!["permission"]),
        (AuthorizeRequest { permission: "Systems.*".into(), ..right.clone() }, vec!["permission"]),
        (AuthorizeRequest { mode: 99, ..right.clone() }, vec!["mode"]),
        (AuthorizeRequest { min_revision: -1, ..right.clone() }, vec!["min_revision"]),
        (
            AuthorizeRequest {
                permission: "a..b".into(),
                mode: -1,
                min_revision: i64::MIN,
                ..nothing()
            },
            vec!["environment", "permission", "min_revision", "mode"],
        ),
        (
            AuthorizeRequest {
                route: "/x".into(),
                method: "GET".into(),
                mode: Mode::AuthenticateOnly.into(),
                ..right.clone()
            },
            vec!["route", "method", "permission"],
        ),
    ];
    for (request, fields) in cases {
        assert_invalid(asker.0.authorize(request).await, &fields);
    }
}
