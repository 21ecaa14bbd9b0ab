//! Bad input: every field of every request, and what is said of it.

use keyward::rpc::pb;
use prost_types::{Duration, FieldMask};
use tonic::Code;

use super::{Removable, Thing, group_of, made, mask, texts};
use crate::support::{
    client::{Access, assert_invalid, assert_status},
    limits,
    operator::Site,
};

/// One way to spoil a field.
struct Bad<T> {
    /// The field as masks name it.
    path: &'static str,
    /// The field as errors name it.
    told: String,
    spoil: Box<dyn Fn(&mut T)>,
}

/// Ways to spoil one field by each of these values.
fn bad<T, V: Clone + 'static>(
    path: &'static str,
    values: impl IntoIterator<Item = V>,
    set: impl Fn(&mut T, V) + Copy + 'static,
) -> Vec<Bad<T>> {
    let spoilt = values.into_iter().map(|value| Bad {
        path,
        told: path.into(),
        spoil: Box::new(move |thing| set(thing, value.clone())),
    });
    spoilt.collect()
}

/// The same for a list, with the position that is at fault.
fn bad_list<T>(
    path: &'static str,
    values: Vec<(Vec<String>, usize)>,
    set: impl Fn(&mut T, Vec<String>) + Copy + 'static,
) -> Vec<Bad<T>> {
    let spoilt = values.into_iter().map(|(list, at)| Bad {
        path,
        told: format!("{path}[{at}]"),
        spoil: Box::new(move |thing| set(thing, list.clone())),
    });
    spoilt.collect()
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(String::from).into()
}

fn bad_names() -> Vec<String> {
    strings(["", "A", "1a", "-a", "a b", " a", "a_b", "a.b", "ä", "a\n", &"a".repeat(64)])
}

fn bad_customers() -> Vec<String> {
    strings(["", " ", "a b", "a\t", "a\n", "ä", "\u{7f}", &"a".repeat(129)])
}

fn bad_display_names() -> Vec<String> {
    strings(["", " a", "a ", "a\nb", "\u{7f}", &"é".repeat(101)])
}

fn bad_descriptions() -> Vec<String> {
    strings(["a\0b", "\u{1b}[31m", &"é".repeat(1001)])
}

fn bad_permissions() -> Vec<(Vec<String>, usize)> {
    let many = (0..101).map(|number| format!("word{number}")).collect();
    vec![
        (texts(&[""]), 0),
        (texts(&["a", "Systems.read"]), 1),
        (texts(&["a", "b", "a"]), 2),
        (texts(&["a", "a*.b"]), 1),
        (texts(&["public.admin"]), 0),
        (texts(&[&"a".repeat(201)]), 0),
        (texts(&[&["a"; 17].join(".")]), 0),
        (many, 100),
    ]
}

/// What can be wrong with a kind of things.
trait Spoilt: Thing {
    /// In the order in which it is told of a new one, the first way for each field first.
    fn bad() -> Vec<Bad<Self>>;
}

macro_rules! texts_of {
    () => {{
        let mut all =
            bad("display_name", bad_display_names(), |t: &mut Self, v| t.display_name = v);
        all.extend(bad("description", bad_descriptions(), |t: &mut Self, v| t.description = v));
        all
    }};
}

macro_rules! limits_of {
    () => {
        limits::bad().into_iter().map(|(list, told)| Bad {
            path: "limits",
            told: format!("limits{told}"),
            spoil: Box::new(move |thing: &mut Self| thing.limits.clone_from(&list)),
        })
    };
}

impl Spoilt for pb::Domain {
    fn bad() -> Vec<Bad<Self>> {
        let mut all = bad("name", bad_names(), |t: &mut Self, v| t.name = v);
        all.extend(texts_of!());
        all.extend(limits_of!());
        all
    }
}

impl Spoilt for pb::Environment {
    fn bad() -> Vec<Bad<Self>> {
        let mut all = bad("name", bad_names(), |t: &mut Self, v| t.name = v);
        let tags = strings(["", "A", "a-b", "a b", "ä", "abcdefgh"]);
        all.extend(bad("tag", tags, |t: &mut Self, v| t.tag = v));
        all.extend(texts_of!());
        all
    }
}

impl Spoilt for pb::User {
    fn bad() -> Vec<Bad<Self>> {
        let domains = bad_names().into_iter().filter(|name| !name.is_empty());
        let mut all = bad("domain", domains, |t: &mut Self, v| t.domain = v);
        let ids = strings(["", "a b", "a/b", "ä", "a\n", "a,b", &"a".repeat(129)]);
        all.extend(bad("id", ids, |t: &mut Self, v| t.id = v));
        all.extend(bad("kind", [0, 3, -1], |t: &mut Self, v| t.kind = v));
        all.extend(texts_of!());
        all.extend(bad_list("permissions", bad_permissions(), |t: &mut Self, v| t.permissions = v));
        let many = (0..11).map(|number| format!("group{number}")).collect();
        let groups = vec![
            (texts(&["A"]), 0),
            (texts(&["a", ""]), 1),
            (texts(&["a", "b", "a"]), 2),
            (many, 10),
        ];
        all.extend(bad_list("groups", groups, |t: &mut Self, v| t.groups = v));
        all.extend(limits_of!());
        all
    }
}

impl Spoilt for pb::PermissionGroup {
    fn bad() -> Vec<Bad<Self>> {
        let domains = bad_names().into_iter().filter(|name| !name.is_empty());
        let mut all = bad("domain", domains, |t: &mut Self, v| t.domain = v);
        all.extend(bad("name", bad_names(), |t: &mut Self, v| t.name = v));
        all.extend(texts_of!());
        all.extend(bad_list("permissions", bad_permissions(), |t: &mut Self, v| t.permissions = v));
        all
    }
}

impl Spoilt for pb::Template {
    fn bad() -> Vec<Bad<Self>> {
        let mut all = bad("name", bad_names(), |t: &mut Self, v| t.name = v);
        all.extend(texts_of!());
        let required = |t: &mut Self, v| t.required_permissions = v;
        all.extend(bad_list("required_permissions", bad_permissions(), required));
        let optional = |t: &mut Self, v| t.optional_permissions = v;
        all.extend(bad_list("optional_permissions", bad_permissions(), optional));
        let environments = strings(["A", "a b", &"a".repeat(64)]);
        let environment = |t: &mut Self, v| t.default_environment = v;
        all.extend(bad("default_environment", environments, environment));
        let century = 100 * 366 * 24 * 60 * 60;
        let lifetimes = [(0, 0), (-1, 0), (1, 1), (century + 1, 0), (i64::MAX, 0), (0, -1)];
        let lifetimes = lifetimes.map(|(seconds, nanos)| Some(Duration { seconds, nanos }));
        all.extend(bad("default_lifetime", lifetimes, |t: &mut Self, v| t.default_lifetime = v));
        all.extend(limits_of!());
        all
    }
}

impl Spoilt for pb::Customer {
    fn bad() -> Vec<Bad<Self>> {
        let domains = bad_names().into_iter().filter(|name| !name.is_empty());
        let mut all = bad("domain", domains, |t: &mut Self, v| t.domain = v);
        all.extend(bad("id", bad_customers(), |t: &mut Self, v| t.id = v));
        all.extend(texts_of!());
        all.extend(limits_of!());
        all
    }
}

fn field<T: Thing>(told: &str) -> String {
    format!("{}.{told}", T::FIELD)
}

async fn bad_values<T: Spoilt>() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let there = made(&site, T::whole(&site).await).await;
    let new = T::whole(&site).await;
    for Bad { path, told, spoil } in T::bad() {
        let told = &field::<T>(&told);
        let mut thing = new.clone();
        spoil(&mut thing);
        assert_invalid(thing.create(access, false).await, &[told]);
        assert_invalid(thing.create(access, true).await, &[told]);

        let mut thing = there.clone();
        spoil(&mut thing);
        let paths = if T::PATHS.contains(&path) { [path] } else { ["description"] };
        let result = thing.update(access, &paths, false).await;
        match path {
            "kind" => assert_eq!(result.unwrap().0, there), // it never changes
            _ => assert_invalid(result, &[told]),
        }
    }
    assert_eq!(there.get(access).await.unwrap(), there);
    let not_found = format!("{}_NOT_FOUND", T::FIELD.to_uppercase());
    assert_status(new.get(access).await, Code::NotFound, &not_found);
    all_at_once(access, &there, &new).await;
    masks(access, &there).await;
}

/// Everything that is wrong is told at once, in the order of the fields.
async fn all_at_once<T: Spoilt>(access: &mut Access, there: &T, new: &T) {
    let mut worst = (new.clone(), vec![]);
    let mut last = "";
    for Bad { path, told, spoil } in T::bad() {
        if path != last {
            spoil(&mut worst.0);
            worst.1.push((path, field::<T>(&told)));
            last = path;
        }
    }
    let (mut thing, told) = worst;
    let all: Vec<&str> = told.iter().map(|(_, told)| told.as_str()).collect();
    assert_invalid(thing.create(access, false).await, &all);

    // in an update: what names the thing, its etag, then the paths as they come
    *thing.record().2 = "x".repeat(65);
    let paths: Vec<_> = T::PATHS.iter().rev().copied().chain(["etag"]).collect();
    let names = told.iter().filter(|(path, _)| ["domain", "name", "id"].contains(path));
    let mut all: Vec<_> = names.map(|(_, told)| told.clone()).collect();
    all.push(field::<T>("etag"));
    let told_of =
        |path: &&str| told.iter().find(|(other, _)| other == path).map(|(_, t)| t.clone());
    all.extend(T::PATHS.iter().rev().filter_map(told_of));
    all.push("update_mask".into());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_invalid(thing.update(access, &paths, false).await, &all);
    assert_eq!(there.get(access).await.unwrap(), *there);
}

/// What is no path, or no path of a field that may change; and no paths.
async fn masks<T: Spoilt>(access: &mut Access, there: &T) {
    let mut changed = there.clone();
    let bad = T::bad();
    for Bad { spoil, .. } in bad.iter().filter(|bad| bad.path == "description") {
        spoil(&mut changed); // not looked at
    }
    let longer = format!("{}.display_name", T::FIELD);
    for path in [
        "",
        "*",
        "name",
        "id",
        "domain",
        "kind",
        "etag",
        "disabled",
        "create_time",
        "update_time",
        "displayName",
        "Display_name",
        "display_name,description",
        "permission_names",
        "deleted_groups",
        "default_lifetime.seconds",
        "ä",
        &longer,
    ] {
        assert_invalid(changed.update(access, &[path], false).await, &["update_mask"]);
        let result = there.update(access, &["display_name", path], false).await;
        assert_invalid(result, &["update_mask"]);
    }
    assert_invalid(changed.update(access, &[], false).await, &["update_mask"]);
    assert_eq!(there.get(access).await.unwrap(), *there);
}

macro_rules! for_kinds {
    ($($name:ident $thing:ident;)*) => {$(
        #[tokio::test]
        async fn $name() {
            bad_values::<pb::$thing>().await;
        }
    )*};
}

for_kinds! {
    bad_values_of_domains_are_told Domain;
    bad_values_of_environments_are_told Environment;
    bad_values_of_users_are_told User;
    bad_values_of_groups_are_told PermissionGroup;
    bad_values_of_templates_are_told Template;
    bad_values_of_customers_are_told Customer;
}

/// A request in which only this is set.
fn with<T: Default>(set: impl FnOnce(&mut T)) -> T {
    let mut request = T::default();
    set(&mut request);
    request
}

macro_rules! refused {
    ($access:ident: $($call:ident $Request:ident {$($fields:tt)*} [$($told:expr),*];)*) => {$(
        let request = refused!(@ $Request $($fields)*);
        assert_invalid($access.$call(request).await, &[$($told),*]);
    )*};
    (@ $Request:ident) => {
        pb::$Request::default()
    };
    (@ $Request:ident $($field:ident: $value:expr),*) => {
        with(|request: &mut pb::$Request| {
            $(request.$field = $value;)*
        })
    };
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let site = Site::shared();
    let mut access = site.server.access();
    let mask = Some(mask(&["description"]));
    let none = Some(FieldMask { paths: vec![] });
    refused! { access:
        create_domain CreateDomainRequest {} ["domain"];
        create_environment CreateEnvironmentRequest {} ["environment"];
        create_user CreateUserRequest {} ["user"];
        create_permission_group CreatePermissionGroupRequest {} ["group"];
        create_template CreateTemplateRequest {} ["template"];
        create_customer CreateCustomerRequest {} ["customer"];
        update_customer UpdateCustomerRequest { update_mask: mask.clone() } ["customer.id"];
        update_customer UpdateCustomerRequest {} ["customer.id", "update_mask"];
        get_quota_usage GetQuotaUsageRequest {} ["owner"];
        adjust_quota AdjustQuotaRequest {} ["owner", "quota", "used"];
        update_domain UpdateDomainRequest { update_mask: mask.clone() } ["domain.name"];
        update_environment UpdateEnvironmentRequest { update_mask: mask.clone() }
            ["environment.name"];
        update_user UpdateUserRequest { update_mask: mask.clone() } ["user.id"];
        update_permission_group UpdatePermissionGroupRequest { update_mask: mask } ["group.name"];
        update_template UpdateTemplateRequest { update_mask: none } ["template.name", "update_mask"];
        update_domain UpdateDomainRequest {} ["domain.name", "update_mask"];
        update_environment UpdateEnvironmentRequest {} ["environment.name", "update_mask"];
        update_user UpdateUserRequest {} ["user.id", "update_mask"];
        update_permission_group UpdatePermissionGroupRequest {} ["group.name", "update_mask"];
        update_catalogue UpdateCatalogueRequest {} ["catalogue"];
        update_route_map UpdateRouteMapRequest {} ["route_map"];
    }
}

#[tokio::test]
async fn names_and_etags_that_cannot_be_are_told() {
    let site = Site::shared();
    let mut access = site.server.access();
    let etag = || "x".repeat(65);
    for name in bad_names() {
        refused! { access:
            get_domain GetDomainRequest { name: name.clone() } ["name"];
            disable_domain DisableDomainRequest { name: name.clone(), etag: etag() } ["name", "etag"];
            enable_domain EnableDomainRequest { name: name.clone(), etag: etag() } ["name", "etag"];
            get_environment GetEnvironmentRequest { name: name.clone() } ["name"];
            delete_environment DeleteEnvironmentRequest { name: name.clone(), etag: etag() }
                ["name", "etag"];
            get_permission_group GetPermissionGroupRequest { name: name.clone() } ["name"];
            delete_permission_group
                DeletePermissionGroupRequest { name: name.clone(), etag: etag(), force: true }
                ["name", "etag"];
            get_template GetTemplateRequest { name: name.clone() } ["name"];
            delete_template DeleteTemplateRequest { name: name.clone(), etag: etag() }
                ["name", "etag"];
        }
        if name.is_empty() {
            continue; // stands for `default`
        }
        let domain = || name.clone();
        refused! { access:
            get_catalogue GetCatalogueRequest { domain: domain() } ["domain"];
            get_route_map GetRouteMapRequest { domain: domain() } ["domain"];
            get_permission_group GetPermissionGroupRequest { domain: domain() } ["domain", "name"];
            delete_permission_group DeletePermissionGroupRequest { domain: domain() }
                ["domain", "name"];
            get_user GetUserRequest { domain: domain() } ["domain", "id"];
            delete_user DeleteUserRequest { domain: domain() } ["domain", "id"];
            list_users ListUsersRequest { domain: domain() } ["domain"];
            list_users ListUsersRequest { group: domain() } ["group"];
            list_permission_groups ListPermissionGroupsRequest { domain: domain() } ["domain"];
            get_customer GetCustomerRequest { domain: domain() } ["domain", "id"];
            delete_customer DeleteCustomerRequest { domain: domain() } ["domain", "id"];
            list_customers ListCustomersRequest { domain: domain() } ["domain"];
        }
    }
    for id in ["", "a b", "ä", "a/b", &"a".repeat(129)] {
        let id = || String::from(id);
        refused! { access:
            get_user GetUserRequest { id: id() } ["id"];
            disable_user DisableUserRequest { id: id(), etag: etag() } ["id", "etag"];
            enable_user EnableUserRequest { id: id(), etag: etag() } ["id", "etag"];
            delete_user DeleteUserRequest { id: id(), etag: etag() } ["id", "etag"];
        }
    }
    for id in bad_customers() {
        let id = || id.clone();
        refused! { access:
            get_customer GetCustomerRequest { id: id() } ["id"];
            delete_customer DeleteCustomerRequest { id: id(), etag: etag() } ["id", "etag"];
        }
    }
}

#[tokio::test]
async fn list_requests_that_cannot_be_are_told() {
    let site = Site::shared();
    let mut access = site.server.access();
    let search = || "é".repeat(101);
    let token = || "x".repeat(1025);
    refused! { access:
        list_domains ListDomainsRequest
            { page_size: -1, search: search(), page_token: token() }
            ["page_size", "search", "page_token"];
        list_environments ListEnvironmentsRequest
            { page_size: i32::MIN, search: "\n".into(), page_token: "%".into() }
            ["page_size", "search", "page_token"];
        list_users ListUsersRequest
            { page_size: -1, search: search(), page_token: token(), domain: "A".into(), kind: 3,
              group: "A".into() }
            ["page_size", "domain", "search", "kind", "group", "page_token"];
        list_users ListUsersRequest { kind: -1 } ["kind"];
        list_permission_groups ListPermissionGroupsRequest
            { page_size: -1, search: search(), page_token: "e30".into(), domain: "A".into() }
            ["page_size", "domain", "search", "page_token"];
        list_customers ListCustomersRequest
            { page_size: -1, search: search(), page_token: "e30".into(), domain: "A".into() }
            ["page_size", "domain", "search", "page_token"];
        list_templates ListTemplatesRequest
            { page_size: -1, search: "\0".into(), page_token: " ".into() }
            ["page_size", "search", "page_token"];
    }
}

#[tokio::test]
async fn the_largest_values_are_taken() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let name = "a".repeat(63);
    let (display_name, description) = ("é".repeat(100), "🎉\r\n\t".repeat(250));
    let many: Vec<_> = (0..100).map(|number| format!("word{number}")).collect();
    let domain = pb::Domain {
        name: name.clone(),
        display_name: display_name.clone(),
        description: description.clone(),
        ..pb::Domain::default()
    };
    domain.create(access, true).await.unwrap();
    let environment = pb::Environment {
        name: name.clone(),
        tag: "abcdef9".into(),
        display_name: display_name.clone(),
        description: description.clone(),
        ..pb::Environment::default()
    };
    environment.create(access, true).await.unwrap();
    let mut groups = vec![];
    for _ in 0..10 {
        groups.push(made(&site, group_of("", &[])).await.name);
    }
    let user = pb::User {
        id: "a".repeat(128),
        kind: pb::UserKind::Person.into(),
        display_name: display_name.clone(),
        description: description.clone(),
        permissions: many.clone(),
        groups,
        ..pb::User::default()
    };
    let user = made(&site, user).await;
    assert_eq!(user.domain, "default");
    user.delete(access, false).await.unwrap();
    let group = pb::PermissionGroup {
        name: name.clone(),
        display_name: display_name.clone(),
        description: description.clone(),
        permissions: many.clone(),
        ..pb::PermissionGroup::default()
    };
    group.create(access, true).await.unwrap();
    let customer = pb::Customer {
        id: "~".repeat(128),
        display_name: display_name.clone(),
        description: description.clone(),
        limits: limits::extreme()[2].clone(),
        ..pb::Customer::default()
    };
    let customer = made(&site, customer).await;
    assert_eq!(customer.domain, "default");
    customer.delete(access, false).await.unwrap();
    for seconds in [1, 100 * 366 * 24 * 60 * 60] {
        let template = pb::Template {
            name: name.clone(),
            display_name: display_name.clone(),
            description: description.clone(),
            required_permissions: many[..60].to_vec(),
            optional_permissions: many[60..].to_vec(),
            default_lifetime: Some(Duration { seconds, nanos: 0 }),
            ..pb::Template::default()
        };
        template.create(access, true).await.unwrap();
    }
}
