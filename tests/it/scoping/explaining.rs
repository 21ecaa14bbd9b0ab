//! `ExplainKey`: what a key may do, and why.

use keyward::rpc::pb::{
    self, AuthorizeRequest, CheckOutcome, CreateKeyRequest, EffectivePermission, ExplainKeyRequest,
    ExplainKeyResponse, Explanation, Key, Mode, Reason,
};
use tonic::{Code, Status};

use super::{World, key_with, may, may_go, texts, user_of};
use crate::support::{
    client::{
        Admin, Made, assert_invalid, assert_not_permitted, assert_status, create, new_admin_key,
        new_key,
    },
    database::Database,
    eventually,
    gate::Gate,
    server::Server,
};

/// What is said of a key and, without its token, of a request.
pub(super) async fn explain(
    admin: &mut Admin,
    id: &str,
    request: Option<AuthorizeRequest>,
) -> Result<ExplainKeyResponse, Status> {
    let request = request.map(|request| AuthorizeRequest { key: String::new(), ..request });
    let request = ExplainKeyRequest { id: id.to_owned(), request };
    Ok(admin.explain_key(request).await?.into_inner())
}

/// A line such as `a.read: DIRECT a, USER ida *`.
fn line(effective: &EffectivePermission) -> String {
    let sources = effective.sources.iter().map(|source| {
        let kind = source.kind().as_str_name().trim_start_matches("PERMISSION_SOURCE_KIND_");
        let name = if source.name.is_empty() { "" } else { " " };
        format!("{kind}{name}{} {}", source.name, source.permission)
    });
    format!("{}: {}", effective.permission, sources.collect::<Vec<_>>().join(", "))
}

/// The checks that came to this, such as `ADDRESS CUSTOMER`.
pub(super) fn checks(explanation: &Explanation, outcome: CheckOutcome) -> String {
    let checks = explanation.checks.iter().filter(|check| check.outcome() == outcome);
    let names = checks.map(|check| check.check().as_str_name().trim_start_matches("CHECK_"));
    names.collect::<Vec<_>>().join(" ")
}

impl World {
    async fn lines(&mut self, made: &Made) -> Vec<String> {
        let said = explain(&mut self.admin, &made.key.id, None).await.unwrap();
        assert_eq!((said.revision, said.explanation), (self.revision, None));
        assert!(!said.permissions_truncated);
        assert_eq!(said.key, Some(self.get(made).await));
        said.permissions.iter().map(line).collect()
    }
}

#[tokio::test]
async fn every_permission_is_told_with_all_that_gives_it() {
    let mut world = World::new().await;
    world.group("readers", &["*.read", "zones"]).await;
    world.group("own", &["systems"]).await;
    world.user(user_of("ida", &["systems", "users.write"], &["readers"])).await;
    world.user(user_of("nobody", &[], &[])).await;
    let request = |user: &str, permissions: &[&str], groups: &[&str]| CreateKeyRequest {
        user: user.into(),
        groups: texts(groups),
        ..key_with(permissions)
    };
    for (request, expected) in [
        (request("", &["public", "a.*"], &[]), vec!["public: DIRECT public", "a.*: DIRECT a.*"]),
        (
            request("", &["systems", "b"], &["own", "readers"]),
            vec![
                "systems: DIRECT systems, GROUP own systems",
                "b: DIRECT b",
                "*.read: GROUP readers *.read",
                "zones: GROUP readers zones",
            ],
        ),
        (
            request("ida", &[], &[]),
            vec![
                "systems: USER ida systems",
                "users.write: USER ida users.write",
                "*.read: USER_GROUP readers *.read",
                "zones: USER_GROUP readers zones",
            ],
        ),
        (
            request("ida", &["*.read", "users"], &["own"]),
            vec![
                "systems.read: DIRECT *.read, USER ida systems, GROUP own systems, \
                 USER_GROUP readers *.read",
                "*.read: DIRECT *.read, USER_GROUP readers *.read",
                "zones.read: DIRECT *.read, USER_GROUP readers zones",
                "users.write: DIRECT users, USER ida users.write",
                "users.read: DIRECT users, USER_GROUP readers *.read",
                "systems: GROUP own systems, USER ida systems",
            ],
        ),
        (
            request("ida", &["other"], &[]),
            vec!["other.read: DIRECT other, USER_GROUP readers *.read"],
        ),
        (request("ida", &["other.write"], &[]), vec![]),
        (request("nobody", &["*"], &[]), vec![]),
        (request("nobody", &[], &[]), vec![]),
        (request("", &[], &[]), vec![]),
    ] {
        let made = world.key(request).await;
        let lines = world.lines(&made).await;
        assert_eq!(lines, expected, "{:?}", made.key.permissions);
        // and what is told is true
        for line in lines {
            let permission =
                line.split(':').next().unwrap().replace("public", "x").replace('*', "x");
            assert_eq!(world.verdict(may(&made.token, &permission)).await, "ALLOWED", "{line}");
        }
    }
}

#[tokio::test]
async fn what_is_told_follows_every_change() {
    let mut world = World::new().await;
    world.group("readers", &["a"]).await;
    world.user(user_of("ida", &["*"], &[])).await;
    let request =
        CreateKeyRequest { user: "ida".into(), groups: texts(&["readers"]), ..key_with(&[]) };
    let made = world.key(request).await;
    assert_eq!(world.lines(&made).await, ["a: GROUP readers a, USER ida *"]);
    world.change_group("readers", &["b.c"]).await;
    assert_eq!(world.lines(&made).await, ["b.c: GROUP readers b.c, USER ida *"]);
    world.change_user(user_of("ida", &["b"], &["readers"])).await;
    let both = "b.c: GROUP readers b.c, USER ida b, USER_GROUP readers b.c";
    assert_eq!(world.lines(&made).await, [both]);
    world.drop_group("readers").await;
    assert!(world.lines(&made).await.is_empty());
    world.change_key(&made, Key::default(), &["groups"]).await;
    assert_eq!(world.lines(&made).await, ["b: USER ida b"]);
}

#[tokio::test]
async fn of_very_many_permissions_a_part_is_told() {
    let mut world = World::new().await;
    let many = |number: i32| (0..100).map(move |at| format!("*.w{number}.x{at}"));
    let names: Vec<String> = (0..10).map(|number| format!("g{number}")).collect();
    for (number, name) in (0..).zip(&names) {
        let permissions: Vec<String> = many(number).collect();
        let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
        world.group(name, &permissions).await;
    }
    let full = CreateKeyRequest { groups: names.clone(), ..key_with(&[]) };
    let full = world.key(full).await;
    assert_eq!(world.lines(&full).await.len(), 1000);
    let over = CreateKeyRequest { groups: names, ..key_with(&["more"]) };
    let over = world.key(over).await;
    let said = explain(&mut world.admin, &over.key.id, None).await.unwrap();
    assert_eq!((said.permissions.len(), said.permissions_truncated), (1000, true));
}

/// A key that everything restricts, and a request that it may.
pub(super) async fn restricted(world: &mut World) -> (Made, AuthorizeRequest) {
    world.domain("tenant").await;
    world.user(user_of("tenant/ida", &["systems"], &[])).await;
    world.map("tenant", &["* /a/{id} systems.{action}", "* /b/** other"]).await;
    let request = CreateKeyRequest {
        domain: "tenant".into(),
        user: "ida".into(),
        customers: texts(&["c-1"]),
        allowed_addresses: texts(&["192.0.2.0/24"]),
        route_rules: texts(&["GET /a", "/b"]),
        ..key_with(&["systems"])
    };
    let made = world.key(request).await;
    let request = AuthorizeRequest {
        client_address: "192.0.2.7".into(),
        customer: "c-1".into(),
        ..may_go(&made.token, "GET", "/a/7")
    };
    (made, request)
}

/// Requests that differ from a good one, and which checks of each fail.
pub(super) fn variations(good: &AuthorizeRequest) -> Vec<(AuthorizeRequest, &'static str)> {
    let with = |change: fn(&mut AuthorizeRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    vec![
        (good.clone(), ""),
        (with(|r| r.environment = "staging".into()), "ENVIRONMENT"),
        (with(|r| r.client_address = "192.0.3.7".into()), "ADDRESS"),
        (with(|r| r.client_address.clear()), "ADDRESS"),
        (with(|r| r.customer = "c-2".into()), "CUSTOMER"),
        (with(|r| r.method = "POST".into()), "ROUTE"),
        (with(|r| r.route = "/a/../b".into()), "ROUTE PERMISSION"),
        (with(|r| r.route = "/c".into()), "ROUTE PERMISSION"),
        (with(|r| r.route = "/b/x".into()), "PERMISSION"),
        (with(|r| r.permission = "users.read".into()), "PERMISSION"),
        (
            with(|r| {
                r.customer.clear();
                r.client_address.clear();
                r.environment = "moon".into();
                r.permission = "x".into();
                r.route.clear();
            }),
            "ENVIRONMENT ADDRESS CUSTOMER ROUTE PERMISSION",
        ),
    ]
}

#[tokio::test]
async fn the_explanation_of_a_request_shows_each_check_and_agrees_with_the_decision() {
    let mut world = World::new().await;
    let (made, good) = restricted(&mut world).await;
    for (request, expected) in variations(&good) {
        let said = explain(&mut world.admin, &made.key.id, Some(request.clone())).await.unwrap();
        let explanation = said.explanation.unwrap();
        assert_eq!(explanation.checks.len(), 10);
        assert_eq!(checks(&explanation, CheckOutcome::Failed), expected, "{explanation:#?}");
        // nothing is limited
        assert_eq!(checks(&explanation, CheckOutcome::Skipped), "LIMITS");
        let decided = world.ask(request).await;
        assert_eq!((explanation.allowed, explanation.reason), (decided.allowed, decided.reason));
        for check in &explanation.checks {
            let failed = check.outcome() == CheckOutcome::Failed;
            assert_eq!(failed, check.reason() != Reason::Unspecified);
            assert!(!check.detail.is_empty() && !check.detail.contains(&made.token));
        }
        let first = explanation.checks.iter().find(|check| check.reason != 0);
        assert_eq!(first.map_or(0, |check| check.reason), explanation.reason);
    }
    for (route, permission, needed) in [
        ("/a/7", "", "systems.read"),
        ("/b/x", "", "other"),
        ("/c", "", ""),
        ("/a//b", "", ""),
        ("/a/7", "told.so", "told.so"),
    ] {
        let request =
            AuthorizeRequest { route: route.into(), permission: permission.into(), ..good.clone() };
        let said = explain(&mut world.admin, &made.key.id, Some(request)).await.unwrap();
        assert_eq!(said.explanation.unwrap().permission, needed, "{route}");
    }
}

#[tokio::test]
async fn the_state_of_a_key_of_its_user_and_of_its_domain_is_explained() {
    let mut world = World::new().await;
    let (made, good) = restricted(&mut world).await;
    let id = made.key.id.clone();
    let failed = async |world: &mut World| {
        let said = explain(&mut world.admin, &made.key.id, Some(good.clone())).await.unwrap();
        let explanation = said.explanation.unwrap();
        let decided = world.ask(good.clone()).await;
        assert_eq!((explanation.allowed, explanation.reason), (decided.allowed, decided.reason));
        checks(&explanation, CheckOutcome::Failed)
    };
    let request = pb::DeactivateKeyRequest { id: id.clone(), ..Default::default() };
    world.revision = world.admin.deactivate_key(request).await.unwrap().get_ref().revision;
    assert_eq!(failed(&mut world).await, "KEY_LIVE");
    let (domain, user) = ("tenant".to_owned(), "ida".to_owned());
    let request = pb::DisableUserRequest { domain, id: user, etag: String::new() };
    world.revision = world.access.disable_user(request).await.unwrap().get_ref().revision;
    assert_eq!(failed(&mut world).await, "KEY_LIVE USER");
    world.enable_domain("tenant", false).await;
    assert_eq!(failed(&mut world).await, "KEY_LIVE USER DOMAIN");
    let request = pb::ActivateKeyRequest { id: id.clone(), ..Default::default() };
    world.revision = world.admin.activate_key(request).await.unwrap().get_ref().revision;
    assert_eq!(failed(&mut world).await, "USER DOMAIN");

    let confirm = made.key.display_name.clone();
    let request = pb::DeleteKeyRequest { id: id.clone(), confirm, etag: String::new() };
    world.revision = world.admin.delete_key(request).await.unwrap().get_ref().revision;
    let said = explain(&mut world.admin, &id, Some(good.clone())).await.unwrap();
    assert_eq!(said.key.unwrap().state(), pb::KeyState::Deleted);
    assert!(said.permissions.is_empty());
    let explanation = said.explanation.unwrap();
    assert_eq!(explanation.reason(), Reason::KeyUnknown);
    assert_eq!(checks(&explanation, CheckOutcome::Failed), "KEY");
    assert_eq!(world.verdict(good).await, "401 KEY_UNKNOWN");
}

#[tokio::test]
async fn what_is_not_asked_for_is_skipped() {
    let mut world = World::new().await;
    let free = world.key(key_with(&["systems"])).await;
    let (made, _) = restricted(&mut world).await;
    let good = AuthorizeRequest {
        mode: Mode::AuthenticateOnly.into(),
        client_address: "192.0.2.7".into(),
        ..may("", "")
    };
    for (id, request, expected) in [
        (&free.key.id, may("", "systems.read"), "USER ADDRESS CUSTOMER ROUTE LIMITS"),
        (&free.key.id, good.clone(), "USER ADDRESS CUSTOMER ROUTE PERMISSION LIMITS"),
        (&made.key.id, good, "CUSTOMER ROUTE PERMISSION LIMITS"),
    ] {
        let said = explain(&mut world.admin, id, Some(request)).await.unwrap();
        let explanation = said.explanation.unwrap();
        assert!(explanation.allowed);
        assert_eq!(checks(&explanation, CheckOutcome::Skipped), expected);
    }
}

#[tokio::test]
async fn what_cannot_be_explained_is_refused() {
    let mut world = World::new().await;
    let made = world.key(new_key("Key")).await;
    let right = may("", "systems.read");
    let with = |change: fn(&mut AuthorizeRequest)| {
        let mut request = right.clone();
        change(&mut request);
        ExplainKeyRequest { id: made.key.id.clone(), request: Some(request) }
    };
    for (request, fields) in [
        (ExplainKeyRequest::default(), vec!["id"]),
        (ExplainKeyRequest { id: "x".into(), request: None }, vec!["id"]),
        (with(|r| r.key = "some-key".into()), vec!["request.key"]),
        (with(|r| r.min_revision = 1), vec!["request.min_revision"]),
        (with(|r| r.environment.clear()), vec!["request.environment"]),
        (with(|r| r.permission.clear()), vec!["request.permission"]),
        (with(|r| r.permission = "A".into()), vec!["request.permission"]),
        (with(|r| r.client_address = "x".into()), vec!["request.client_address"]),
        (with(|r| r.mode = 77), vec!["request.mode"]),
        (with(|r| r.mode = 3), vec!["request.permission"]),
    ] {
        assert_invalid(world.admin.explain_key(request).await, &fields);
    }
    let unknown = explain(&mut world.admin, "key_00000000000000000000000000", None).await;
    assert_status(unknown, Code::NotFound, "KEY_NOT_FOUND");
}

#[tokio::test]
async fn who_may_not_read_a_key_gets_no_explanation_of_it() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    let made = world.key(new_key("Key")).await;
    let root = world.writer.admin_as(&world.database.root_token);
    let mut nobody = world.writer.admin_as("");
    let nobody = explain(&mut nobody, &made.key.id, None).await;
    assert_eq!(nobody.unwrap_err().code(), Code::Unauthenticated);
    let operator = async |world: &mut World, request: CreateKeyRequest| {
        let made = create(&mut root.clone(), request).await;
        world.revision = made.revision;
        world.verdict(may("", "x")).await;
        (world.writer.admin_as(&made.token), made)
    };
    let permissions = ["keyward.keys.write", "keyward.admins.read", "keyward.users"];
    let (mut other, _) = operator(&mut world, new_admin_key("Other", &permissions)).await;
    let refused = explain(&mut other, &made.key.id, None).await;
    assert_not_permitted(refused, "keyward.keys.read");
    let (mut reader, admin_key) =
        operator(&mut world, new_admin_key("Reader", &["keyward.keys.read"])).await;
    explain(&mut reader, &made.key.id, None).await.unwrap();
    let refused = explain(&mut reader, &admin_key.key.id, None).await;
    assert_not_permitted(refused, "keyward.admins.read");
    let delegation = pb::Delegation { domains: texts(&["tenant"]), ceiling: texts(&["*"]) };
    let request = CreateKeyRequest {
        delegation: Some(delegation),
        ..new_admin_key("Delegate", &["keyward.keys"])
    };
    let (mut delegate, _) = operator(&mut world, request).await;
    let refused = explain(&mut delegate, &made.key.id, None).await;
    assert_status(refused, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
    // an admin key is explained to who may read it: no decision knows it
    let said = explain(&mut world.admin, &admin_key.key.id, Some(may("", "x"))).await.unwrap();
    assert_eq!(said.explanation.unwrap().reason(), Reason::KeyUnknown);
    assert_eq!(said.permissions.len(), 1);
}

#[tokio::test]
async fn to_explain_is_no_use_of_the_key() {
    let mut world = World::with(&["--usage-flush-interval", "20ms"]).await;
    let made = world.key(new_key("Explained")).await;
    let used = world.key(new_key("Used")).await;
    let said = explain(&mut world.admin, &made.key.id, Some(may("", "systems.read"))).await;
    assert!(said.unwrap().explanation.unwrap().allowed);
    assert_eq!(world.verdict(may(&used.token, "systems.read")).await, "ALLOWED");
    for admin in [world.writer.admin(), world.reader.admin()] {
        world.admin = admin;
        eventually("the use is reported", async || world.get(&used).await.last_used_time).await;
    }
    assert_eq!(world.get(&made).await, made.key);
}

#[tokio::test]
async fn without_a_database_nothing_is_explained() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("explain", &database);
    gate.open();
    let server = Server::start(&beyond).await;
    let mut admin = server.admin();
    let made = create(&mut admin, new_key("Key")).await;
    explain(&mut admin, &made.key.id, None).await.unwrap();
    gate.shut();
    let request = Some(may("", "systems.read"));
    let refused = explain(&mut admin, &made.key.id, request.clone()).await;
    assert_status(refused, Code::Unavailable, "DATABASE_UNAVAILABLE");
    gate.open();
    let said = eventually("it is explained again", async || {
        explain(&mut admin, &made.key.id, request.clone()).await.ok()
    });
    assert!(said.await.explanation.unwrap().allowed);
}
