//! `AccessAdmin`, call by call: domains, environments, users, groups, route maps, catalogues, templates,
//! customers, quotas.

mod callers;
mod catalogues;
mod customers;
mod domains;
mod down;
mod environments;
mod from_template;
mod groups;
mod invalid;
mod limits;
mod lists;
mod quota_callers;
mod quota_races;
mod quotas;
mod races;
mod route_maps;
mod rpcs;
mod templates;
mod things;
mod users;
mod works;

use std::{
    fmt::Debug,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use keyward::rpc::pb;
use prost_types::{FieldMask, Timestamp};
use serde_json::Value;
use tonic::Status;

use crate::support::{
    client::{Access, Admin, Made, create, new_key},
    operator::Site,
};

/// A thing, and the revision of the change.
type Answer<T> = Result<(T, i64), Status>;

/// What is made, read and changed, and in pages. `Self` is both the value and the way to name it.
trait Thing: Clone + PartialEq + Debug + Default {
    /// What requests and audit events call it.
    const FIELD: &'static str;
    /// What may be in an update mask.
    const PATHS: &'static [&'static str];

    /// One that is not made yet, with all that can be set; what it refers to is made.
    async fn whole(site: &Site) -> Self;
    /// Other values for all that can be changed.
    async fn other(&self, site: &Site) -> Self;
    /// What an audit event calls it.
    fn subject(&self) -> String;
    /// What an audit event shows of it.
    fn snapshot(&self) -> Value;
    /// Takes one field of another one.
    fn take(&mut self, path: &str, from: &Self);
    /// When it was made, when it changed, and its etag.
    fn record(&mut self) -> (&mut Option<Timestamp>, &mut Option<Timestamp>, &mut String);

    async fn create(&self, access: &mut Access, validate_only: bool) -> Answer<Self>;
    async fn get(&self, access: &mut Access) -> Result<Self, Status>;
    async fn update(
        &self,
        access: &mut Access,
        paths: &[&str],
        validate_only: bool,
    ) -> Answer<Self>;
}

/// What is removed, in the version that the value says if it does.
trait Removable: Thing {
    async fn delete(&self, access: &mut Access, validate_only: bool) -> Result<i64, Status>;
}

macro_rules! things {
    ($(
        $thing:ident $field:ident [$($key:ident)*] [$($path:ident)*]
        $create:ident $Create:ident $get:ident $Get:ident $update:ident $Update:ident;
    )*) => {$(
        impl Thing for pb::$thing {
            const FIELD: &'static str = stringify!($field);
            const PATHS: &'static [&'static str] = &[$(stringify!($path)),*];

            async fn whole(site: &Site) -> Self {
                things::$field(site).await
            }

            async fn other(&self, site: &Site) -> Self {
                things::other::$field(self, site).await
            }

            fn subject(&self) -> String {
                [$(self.$key.as_str()),*].join("/")
            }

            fn snapshot(&self) -> Value {
                things::snapshot::$field(self)
            }

            fn take(&mut self, path: &str, from: &Self) {
                match path {
                    $(stringify!($path) => self.$path.clone_from(&from.$path),)*
                    _ => panic!("{path}"),
                }
            }

            fn record(&mut self) -> (&mut Option<Timestamp>, &mut Option<Timestamp>, &mut String) {
                (&mut self.create_time, &mut self.update_time, &mut self.etag)
            }

            async fn create(&self, access: &mut Access, validate_only: bool) -> Answer<Self> {
                let request = pb::$Create { $field: Some(self.clone()), validate_only };
                let response = access.$create(request).await?.into_inner();
                Ok((response.$field.unwrap(), response.revision))
            }

            async fn get(&self, access: &mut Access) -> Result<Self, Status> {
                let request = pb::$Get { $($key: self.$key.clone()),* };
                Ok(access.$get(request).await?.into_inner().$field.unwrap())
            }

            async fn update(
                &self,
                access: &mut Access,
                paths: &[&str],
                validate_only: bool,
            ) -> Answer<Self> {
                let update_mask = Some(mask(paths));
                let request =
                    pb::$Update { $field: Some(self.clone()), update_mask, validate_only };
                let response = access.$update(request).await?.into_inner();
                Ok((response.$field.unwrap(), response.revision))
            }
        }
    )*};
}

things! {
    Domain domain [name] [display_name description limits]
        create_domain CreateDomainRequest get_domain GetDomainRequest
        update_domain UpdateDomainRequest;
    Environment environment [name] [tag display_name description]
        create_environment CreateEnvironmentRequest get_environment GetEnvironmentRequest
        update_environment UpdateEnvironmentRequest;
    User user [domain id] [display_name description permissions groups limits]
        create_user CreateUserRequest get_user GetUserRequest
        update_user UpdateUserRequest;
    PermissionGroup group [domain name] [display_name description permissions]
        create_permission_group CreatePermissionGroupRequest
        get_permission_group GetPermissionGroupRequest
        update_permission_group UpdatePermissionGroupRequest;
    Template template [name]
        [display_name description required_permissions optional_permissions default_environment
         default_lifetime limits]
        create_template CreateTemplateRequest get_template GetTemplateRequest
        update_template UpdateTemplateRequest;
    Customer customer [domain id] [display_name description limits]
        create_customer CreateCustomerRequest get_customer GetCustomerRequest
        update_customer UpdateCustomerRequest;
}

macro_rules! removable {
    ($($thing:ident $delete:ident $Delete:ident [$($key:ident)*] [$($rest:ident)*];)*) => {$(
        impl Removable for pb::$thing {
            async fn delete(
                &self,
                access: &mut Access,
                validate_only: bool,
            ) -> Result<i64, Status> {
                let request = pb::$Delete {
                    $($key: self.$key.clone(),)*
                    $($rest: false,)*
                    validate_only,
                };
                Ok(access.$delete(request).await?.into_inner().revision)
            }
        }
    )*};
}

removable! {
    Environment delete_environment DeleteEnvironmentRequest [name etag] [];
    User delete_user DeleteUserRequest [domain id etag] [];
    PermissionGroup delete_permission_group DeletePermissionGroupRequest [domain name etag] [force];
    Template delete_template DeleteTemplateRequest [name etag] [];
    Customer delete_customer DeleteCustomerRequest [domain id etag] [];
}

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: texts(paths) }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// A name that no other test has.
fn fresh(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{word}-{}", COUNT.fetch_add(1, Relaxed))
}

/// A tag that no other test has.
fn fresh_tag() -> String {
    fresh("t").replace('-', "")
}

/// A thing that is made.
async fn made<T: Thing>(site: &Site, thing: T) -> T {
    let (thing, revision) = thing.create(&mut site.server.access(), false).await.unwrap();
    site.knows(revision).await;
    thing
}

/// Without the etag, for what may have changed meanwhile.
fn present<T: Thing>(thing: &T) -> T {
    let mut thing = thing.clone();
    thing.record().2.clear();
    thing
}

/// A domain that is made.
async fn domain(site: &Site) -> String {
    made(site, pb::Domain::whole(site).await).await.name
}

/// A group in this domain with these permissions, not made yet.
fn group_of(domain: &str, permissions: &[&str]) -> pb::PermissionGroup {
    pb::PermissionGroup {
        domain: domain.into(),
        name: fresh("group"),
        display_name: "A group".into(),
        permissions: texts(permissions),
        ..pb::PermissionGroup::default()
    }
}

/// A user of this domain with these permissions, not made yet.
fn user_of(domain: &str, permissions: &[&str]) -> pb::User {
    pb::User {
        domain: domain.into(),
        id: fresh("user"),
        kind: pb::UserKind::Person.into(),
        display_name: "A user".into(),
        permissions: texts(permissions),
        ..pb::User::default()
    }
}

/// A key of this domain without permissions.
fn key_of(domain: &str) -> pb::CreateKeyRequest {
    pb::CreateKeyRequest { domain: domain.into(), permissions: vec![], ..new_key("A key") }
}

/// Makes a key and waits until it is known.
async fn key(site: &Site, request: pb::CreateKeyRequest) -> Made {
    let made = create(&mut site.admin(), request).await;
    site.knows(made.revision).await;
    made
}

async fn get_key(site: &Site, id: &str) -> pb::Key {
    let request = pb::GetKeyRequest { id: id.to_owned() };
    site.admin().get_key(request).await.unwrap().into_inner().key.unwrap()
}

/// Changes one field of a key to what it is in `key`; returns the revision.
async fn update_key(admin: &mut Admin, key: &pb::Key, path: &str) -> Result<i64, Status> {
    let key = Some(key.clone());
    let update_mask = Some(mask(&[path]));
    let request = pb::UpdateKeyRequest { key, update_mask, validate_only: false };
    Ok(admin.update_key(request).await?.into_inner().revision)
}

async fn delete_key(admin: &mut Admin, key: &pb::Key) -> Result<i64, Status> {
    let request = pb::DeleteKeyRequest {
        id: key.id.clone(),
        confirm: key.display_name.clone(),
        ..pb::DeleteKeyRequest::default()
    };
    Ok(admin.delete_key(request).await?.into_inner().revision)
}

/// What the permission `systems.read` in production comes to for a token, with knowledge of a
/// revision.
async fn verdict(site: &Site, token: &str, revision: i64) -> String {
    site.server.asker().verdict(token, revision).await
}

/// One audit event: its action, its revision, what was and what is.
type Event = (String, i64, Option<Value>, Option<Value>);

/// The audit events of a thing. The numbers that the store gives are left out.
async fn events(site: &Site, kind: &str, subject: &str) -> Vec<Event> {
    let query = "SELECT action, revision, before, after FROM keyward.audit_event
        WHERE kind = $1 AND subject = $2 ORDER BY revision, position";
    let rows = site.database.connect().await.query(query, &[&kind, &subject]).await.unwrap();
    let shown = |mut shown: Option<Value>| {
        if let Some(object) = shown.as_mut().and_then(Value::as_object_mut) {
            object.remove("uid");
        }
        shown
    };
    let event = |row: &tokio_postgres::Row| {
        let [before, after] = [row.get("before"), row.get("after")].map(shown);
        (row.get("action"), row.get("revision"), before, after)
    };
    rows.iter().map(event).collect()
}
