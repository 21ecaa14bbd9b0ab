//! Delegated admins: what they may do, and what they must not get at.

mod admins;
mod allowed;
mod foreign;
mod keys;
mod limits;
mod managed;
mod reads;
mod things;
mod turns;

use std::{collections::BTreeMap, pin::Pin};

use keyward::rpc::pb::{
    self, CreateKeyRequest, CreatePermissionGroupRequest, CreateUserRequest, Delegation, Key,
    UpdateKeyRequest,
};
use prost_types::FieldMask;
use tokio_postgres::Client;
use tonic::{Code, Status};

use crate::support::{
    client::{Access, Admin, Made, assert_status, create, new_admin_key, new_key},
    operator::{NO_USES, Site},
};

/// The domain that the delegated admin is given.
const OWN: &str = "acme";
/// Another one.
const FOREIGN: &str = "rival";
/// What keys of its domain may do at most.
const CEILING: [&str; 2] = ["systems", "reports.read"];

/// Two domains with keys, users and groups below and beyond a ceiling, and an admin who is bound to
/// one of the domains and to that ceiling.
struct World {
    site: Site,
    database: Client,
    /// The operator with the root admin key.
    root: Admin,
    root_access: Access,
    /// The id of that key.
    root_id: String,
    /// The key of the delegated admin, who otherwise may do everything.
    clerk: Made,
    keys: Admin,
    access: Access,
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// A binding to domains and a ceiling.
#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
fn bound(domains: &[&str], ceiling: &[&str]) -> Option<Delegation> {
    Some(Delegation { domains: texts(domains), ceiling: texts(ceiling) })
}

/// A key of a domain, with these permissions.
fn key_in(domain: &str, name: &str, permissions: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest { domain: domain.into(), permissions: texts(permissions), ..new_key(name) }
}

fn user(domain: &str, id: &str, permissions: &[&str], groups: &[&str]) -> pb::User {
    pb::User {
        domain: domain.into(),
        id: id.into(),
        kind: pb::UserKind::Person.into(),
        display_name: id.into(),
        permissions: texts(permissions),
        groups: texts(groups),
        ..pb::User::default()
    }
}

fn group(domain: &str, name: &str, permissions: &[&str]) -> pb::PermissionGroup {
    pb::PermissionGroup {
        domain: domain.into(),
        name: name.into(),
        display_name: name.into(),
        permissions: texts(permissions),
        ..pb::PermissionGroup::default()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: texts(paths) })
}

/// An update of these fields of a key to what they are in `key`.
fn update(id: &str, key: Key, paths: &[&str]) -> UpdateKeyRequest {
    let key = Some(Key { id: id.into(), ..key });
    UpdateKeyRequest { key, update_mask: mask(paths), validate_only: false }
}

impl World {
    async fn start() -> Self {
        let site = Site::start(&NO_USES).await;
        let database = site.database.connect().await;
        let (mut root, mut root_access) = (site.admin(), site.server.access());
        for name in [OWN, FOREIGN] {
            let domain = Some(pb::Domain {
                name: name.into(),
                display_name: name.into(),
                ..pb::Domain::default()
            });
            let request = pb::CreateDomainRequest { domain, validate_only: false };
            root_access.create_domain(request).await.unwrap();
        }
        let request = CreateKeyRequest {
            delegation: bound(&[OWN], &CEILING),
            ..new_admin_key("Clerk", &["keyward"])
        };
        let clerk = create(&mut root, request).await;
        site.knows(clerk.revision).await;
        let root_id = site.root_id().await;
        let (keys, access) =
            (site.server.admin_as(&clerk.token), site.server.access_as(&clerk.token));
        let mut world = Self { site, database, root, root_access, root_id, clerk, keys, access };
        for group in [
            group(OWN, "modest", &["systems.read"]),
            group(OWN, "mighty", &["*"]),
            group(FOREIGN, "theirs", &["systems.read"]),
        ] {
            world.root_group(group).await;
        }
        for user in [
            user(OWN, "intern", &["systems.read"], &["modest"]),
            user(OWN, "boss", &["*"], &[]),
            user(OWN, "heir", &[], &["mighty"]),
            user(FOREIGN, "them", &["systems.read"], &[]),
        ] {
            world.root_user(user).await;
        }
        world
    }

    /// A group that root makes.
    async fn root_group(&mut self, group: pb::PermissionGroup) {
        let request = CreatePermissionGroupRequest { group: Some(group), validate_only: false };
        self.root_access.create_permission_group(request).await.unwrap();
    }

    /// A user that root makes.
    async fn root_user(&mut self, user: pb::User) {
        let request = CreateUserRequest { user: Some(user), validate_only: false };
        self.root_access.create_user(request).await.unwrap();
    }

    /// A key of its domain that root makes, with these permissions.
    async fn key(&mut self, name: &str, permissions: &[&str]) -> Made {
        create(&mut self.root, key_in(OWN, name, permissions)).await
    }

    /// A key of its domain that root makes, with a user and groups.
    async fn key_of(
        &mut self,
        name: &str,
        permissions: &[&str],
        (user, groups): (&str, &[&str]),
    ) -> Made {
        let request = CreateKeyRequest {
            user: user.into(),
            groups: texts(groups),
            ..key_in(OWN, name, permissions)
        };
        create(&mut self.root, request).await
    }

    /// All that the database has, by table, but for refusals and what servers write of their own accord.
    async fn content(&self) -> BTreeMap<String, String> {
        let query = "SELECT tablename::text FROM pg_tables
            WHERE schemaname = 'keyward' AND tablename !~ '^(refusal|decision|usage|key_usage)'";
        let tables = self.database.query(query, &[]).await.unwrap();
        let mut content = BTreeMap::new();
        for row in tables {
            let table: String = row.try_get(0).unwrap();
            let query = format!(
                "SELECT coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')
                 FROM keyward.{table} AS t {}",
                if table == "job" { "WHERE kind <> 'trim_change_log'" } else { "" }
            );
            let row = self.database.query_one(&query, &[]).await.unwrap();
            content.insert(table, row.try_get(0).unwrap());
        }
        assert!(content.contains_key("key") && content.contains_key("audit_event"));
        content
    }

    /// How often the delegated admin was refused this for this reason, and on what last.
    async fn refusals(&self, actor: &str, (action, reason): (&str, &str)) -> (i64, String) {
        let query = "SELECT coalesce(sum(times), 0)::bigint,
                coalesce((array_agg(last_subject ORDER BY last_at DESC))[1], '')
            FROM keyward.refusal WHERE actor = $1 AND action = $2 AND reason = $3";
        let row = self.database.query_one(query, &[&actor, &action, &reason]).await.unwrap();
        (row.try_get(0).unwrap(), row.try_get(1).unwrap())
    }

    /// How many refusals of anything are noted.
    async fn all_refusals(&self) -> i64 {
        let query = "SELECT coalesce(sum(times), 0)::bigint FROM keyward.refusal";
        self.database.query_one(query, &[]).await.unwrap().try_get(0).unwrap()
    }

    /// Makes attempts, one after the other: each is refused for its reason, changes nothing and is
    /// noted.
    async fn assert_refused(&self, attempts: Vec<Attempt>) {
        let mut before = self.content().await;
        let actor = self.clerk.key.id.as_str();
        for Attempt { name, work, reason, noted } in attempts {
            println!("{name}");
            let all = self.all_refusals().await;
            let known = match &noted {
                Some((action, _)) => self.refusals(actor, (action, reason)).await.0,
                None => 0,
            };
            assert_status(work.await, Code::PermissionDenied, reason);
            let after = self.content().await;
            assert_eq!(after, before, "{name}");
            before = after;
            match noted {
                None => assert_eq!(self.all_refusals().await, all, "{name}: noted"),
                Some((action, subject)) => {
                    let now = self.refusals(actor, (action, reason)).await;
                    assert_eq!(now, (known + 1, subject), "{name}");
                    assert_eq!(self.all_refusals().await, all + 1, "{name}");
                }
            }
        }
    }
}

/// Something that must not succeed.
struct Attempt {
    name: String,
    work: Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>,
    reason: &'static str,
    /// The action and the subject that are noted of it; nothing of a question.
    noted: Option<(&'static str, String)>,
}

/// What an attempt is refused for.
const CEILED: &str = "EXCEEDS_CEILING";
const ELSEWHERE: &str = "DOMAIN_NOT_DELEGATED";
const GLOBAL: &str = "DELEGATED";
const MANAGED: &str = "MANAGED_BY_ANOTHER";

/// A change: its name, the client and the call, the request, why it is refused, what is noted.
macro_rules! change {
    ($name:expr, $client:expr, $call:ident, $request:expr, $reason:expr, $action:expr, $subject:expr) => {{
        let (mut client, request) = ($client.clone(), $request);
        $crate::delegation::Attempt {
            name: $name.to_string(),
            work: Box::pin(async move { client.$call(request).await.map(drop) }),
            reason: $reason,
            noted: Some(($action, $subject.to_string())),
        }
    }};
}

/// A question: its name, the client and the call, the request, why it is refused.
macro_rules! question {
    ($name:expr, $client:expr, $call:ident, $request:expr, $reason:expr) => {{
        let (mut client, request) = ($client.clone(), $request);
        $crate::delegation::Attempt {
            name: $name.to_string(),
            work: Box::pin(async move { client.$call(request).await.map(drop) }),
            reason: $reason,
            noted: None,
        }
    }};
}

use {change, question};
