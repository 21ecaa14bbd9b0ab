//! What keys may do, by all that says so, on two replicas.

mod addresses;
mod crash;
mod customers;
mod domains;
mod explained;
mod explaining;
mod groups;
mod maps;
mod mixtures;
mod order;
mod permissions;
mod routes;
mod upgrade;
mod users;

use keyward::rpc::pb::{
    self, AuthorizeRequest, AuthorizeResponse, CreateKeyRequest, Domain, Key, Mode,
    PermissionGroup, RouteMap, RouteMapEntry, UpdateKeyRequest, User, UserKind,
};
use prost_types::FieldMask;
use tonic::Status;

use crate::support::{
    client::{Access, Admin, Asker, Made, create, may_read, new_key, verdict},
    database::Database,
    server::Server,
};

/// Two replicas over one database: one is where everything is changed, and both decide.
pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) writer: Server,
    pub(crate) reader: Server,
    pub(crate) admin: Admin,
    pub(crate) access: Access,
    askers: [Asker; 2],
    /// The last revision that a change made.
    pub(crate) revision: i64,
}

pub(crate) fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub(crate) fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: texts(paths) }
}

/// A key with these permissions of its own.
pub(crate) fn key_with(permissions: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { permissions: texts(permissions), ..new_key("Key") }
}

/// A user of the domain `default`, or of another one as in `tenant/ida`.
pub(crate) fn user_of(name: &str, permissions: &[&str], groups: &[&str]) -> User {
    let (domain, id) = name.split_once('/').unwrap_or(("", name));
    User {
        domain: domain.into(),
        id: id.into(),
        kind: UserKind::Person.into(),
        display_name: "User".into(),
        permissions: texts(permissions),
        groups: texts(groups),
        ..User::default()
    }
}

pub(crate) fn group_of(name: &str, permissions: &[&str]) -> PermissionGroup {
    let (domain, name) = name.split_once('/').unwrap_or(("", name));
    PermissionGroup {
        domain: domain.into(),
        name: name.into(),
        display_name: "Group".into(),
        permissions: texts(permissions),
        ..PermissionGroup::default()
    }
}

/// A route map of lines such as `GET,HEAD /api/{id} api.read`; `*` is for every method.
pub(crate) fn map_of(domain: &str, lines: &[&str]) -> RouteMap {
    let entries = lines.iter().map(|line| {
        let parts: Vec<&str> = line.split(' ').collect();
        let methods = parts[0].split(',').filter(|method| *method != "*");
        RouteMapEntry {
            methods: methods.map(String::from).collect(),
            path_template: parts[1].into(),
            permission: parts[2].into(),
        }
    });
    RouteMap { domain: domain.into(), entries: entries.collect(), ..RouteMap::default() }
}

/// Whether a token may do something in production.
pub(crate) fn may(token: &str, permission: &str) -> AuthorizeRequest {
    AuthorizeRequest { permission: permission.into(), ..may_read(token) }
}

/// Whether a token may do what a route needs.
pub(crate) fn may_go(token: &str, method: &str, route: &str) -> AuthorizeRequest {
    AuthorizeRequest { method: method.into(), route: route.into(), ..may(token, "") }
}

/// Whether a token is good at all.
pub(crate) fn is_good(token: &str) -> AuthorizeRequest {
    AuthorizeRequest { mode: Mode::AuthenticateOnly.into(), ..may(token, "") }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Two replicas that are started with more arguments.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let database = Database::new();
        let writer = Server::start_with(&database, arguments).await;
        let reader = Server::start_with(&database, arguments).await;
        Self::of(database, writer, reader)
    }

    /// Two replicas that are there already.
    pub(crate) fn of(database: Database, writer: Server, reader: Server) -> Self {
        Self {
            admin: writer.admin(),
            access: writer.access(),
            askers: [writer.asker(), reader.asker()],
            revision: 0,
            database,
            writer,
            reader,
        }
    }

    pub(crate) async fn key(&mut self, request: CreateKeyRequest) -> Made {
        let made = create(&mut self.admin, request).await;
        self.revision = made.revision;
        made
    }

    pub(crate) async fn get(&mut self, made: &Made) -> Key {
        let request = pb::GetKeyRequest { id: made.key.id.clone() };
        self.admin.get_key(request).await.unwrap().into_inner().key.unwrap()
    }

    /// Changes fields of a key to what they are in `key`.
    pub(crate) async fn change_key(&mut self, made: &Made, key: Key, paths: &[&str]) -> Key {
        let key = Key { id: made.key.id.clone(), ..key };
        let request = UpdateKeyRequest {
            key: Some(key),
            update_mask: Some(mask(paths)),
            validate_only: false,
        };
        let changed = self.admin.update_key(request).await.unwrap().into_inner();
        self.revision = changed.revision;
        changed.key.unwrap()
    }

    pub(crate) async fn domain(&mut self, name: &str) {
        let domain =
            Domain { name: name.into(), display_name: "Tenant".into(), ..Domain::default() };
        let request = pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
        self.revision = self.access.create_domain(request).await.unwrap().get_ref().revision;
    }

    pub(crate) async fn enable_domain(&mut self, name: &str, enabled: bool) {
        let (name, etag) = (name.to_owned(), String::new());
        self.revision = if enabled {
            let request = pb::EnableDomainRequest { name, etag };
            self.access.enable_domain(request).await.unwrap().get_ref().revision
        } else {
            let request = pb::DisableDomainRequest { name, etag };
            self.access.disable_domain(request).await.unwrap().get_ref().revision
        };
    }

    pub(crate) async fn user(&mut self, user: User) {
        let request = pb::CreateUserRequest { user: Some(user), validate_only: false };
        self.revision = self.access.create_user(request).await.unwrap().get_ref().revision;
    }

    /// Gives a user these permissions and groups in place of those that it has.
    pub(crate) async fn change_user(&mut self, user: User) {
        let request = pb::UpdateUserRequest {
            user: Some(user),
            update_mask: Some(mask(&["permissions", "groups"])),
            validate_only: false,
        };
        self.revision = self.access.update_user(request).await.unwrap().get_ref().revision;
    }

    pub(crate) async fn enable_user(&mut self, id: &str, enabled: bool) {
        let User { domain, id, .. } = user_of(id, &[], &[]);
        let etag = String::new();
        self.revision = if enabled {
            let request = pb::EnableUserRequest { domain, id, etag };
            self.access.enable_user(request).await.unwrap().get_ref().revision
        } else {
            let request = pb::DisableUserRequest { domain, id, etag };
            self.access.disable_user(request).await.unwrap().get_ref().revision
        };
    }

    pub(crate) async fn group(&mut self, name: &str, permissions: &[&str]) {
        let group = Some(group_of(name, permissions));
        let request = pb::CreatePermissionGroupRequest { group, validate_only: false };
        let made = self.access.create_permission_group(request).await.unwrap();
        self.revision = made.get_ref().revision;
    }

    /// Gives a group these permissions in place of those that it has.
    pub(crate) async fn change_group(&mut self, name: &str, permissions: &[&str]) {
        let request = pb::UpdatePermissionGroupRequest {
            group: Some(group_of(name, permissions)),
            update_mask: Some(mask(&["permissions"])),
            validate_only: false,
        };
        let changed = self.access.update_permission_group(request).await.unwrap();
        self.revision = changed.get_ref().revision;
    }

    /// Removes a group that keys and users may have.
    pub(crate) async fn drop_group(&mut self, name: &str) -> pb::DeletePermissionGroupResponse {
        let PermissionGroup { domain, name, .. } = group_of(name, &[]);
        let request = pb::DeletePermissionGroupRequest {
            domain,
            name,
            force: true,
            ..pb::DeletePermissionGroupRequest::default()
        };
        let dropped = self.access.delete_permission_group(request).await.unwrap().into_inner();
        self.revision = dropped.revision;
        dropped
    }

    pub(crate) async fn map(&mut self, domain: &str, lines: &[&str]) {
        let route_map = Some(map_of(domain, lines));
        let request = pb::UpdateRouteMapRequest { route_map, validate_only: false };
        self.revision = self.access.update_route_map(request).await.unwrap().get_ref().revision;
    }

    /// The answer of both replicas, with knowledge of the last change.
    pub(crate) async fn ask(&mut self, request: AuthorizeRequest) -> AuthorizeResponse {
        let request = AuthorizeRequest { min_revision: self.revision, ..request };
        let [one, other] = &mut self.askers;
        let told = |answer: AuthorizeResponse| AuthorizeResponse {
            data_age: None,
            decision_id: String::new(),
            ..answer
        };
        let one = told(one.ask(request.clone()).await);
        let other = told(other.ask(request).await);
        assert_eq!(one, other, "the replicas agree");
        one
    }

    pub(crate) async fn verdict(&mut self, request: AuthorizeRequest) -> String {
        verdict(&self.ask(request).await)
    }

    /// Asserts what a token may do, on both replicas.
    pub(crate) async fn permits(&mut self, claim: &str, token: &str, cases: &[(&str, bool)]) {
        for (permission, allowed) in cases {
            let expected = if *allowed { "ALLOWED" } else { "403 PERMISSION_DENIED" };
            let found = self.verdict(may(token, permission)).await;
            assert_eq!(found, expected, "{claim}: {permission}");
        }
    }

    /// Asserts that both replicas refuse to decide.
    pub(crate) async fn refuses(&mut self, request: AuthorizeRequest) -> Status {
        let [one, other] = &mut self.askers;
        let one = one.0.authorize(request.clone()).await.unwrap_err();
        let other = other.0.authorize(request).await.unwrap_err();
        assert_eq!((one.code(), one.message()), (other.code(), other.message()));
        one
    }
}
