//! Things of each kind, with all that can be set.

use keyward::rpc::pb;
use prost_types::Duration;

use super::{fresh, fresh_tag, made, texts};
use crate::support::{limits::of_each_kind, operator::Site};

pub(super) async fn domain(_site: &Site) -> pb::Domain {
    pb::Domain {
        name: fresh("domain"),
        display_name: "Käse & Co".into(),
        description: "Line one.\n\tLine two.".into(),
        limits: of_each_kind(),
        ..pb::Domain::default()
    }
}

pub(super) async fn environment(_site: &Site) -> pb::Environment {
    pb::Environment {
        name: fresh("environment"),
        tag: fresh_tag(),
        display_name: "Preview".into(),
        description: "For what comes next.".into(),
        ..pb::Environment::default()
    }
}

pub(super) async fn user(site: &Site) -> pb::User {
    let group = made(site, group(site).await).await;
    pb::User {
        domain: "default".into(),
        id: fresh("Ida.Ödegaard+x_@example:1").replace('Ö', "O"),
        kind: pb::UserKind::Service.into(),
        display_name: "Ida".into(),
        description: "Books rooms.".into(),
        permissions: texts(&["systems", "*.read"]),
        groups: vec![group.name],
        limits: of_each_kind(),
        ..pb::User::default()
    }
}

pub(super) async fn group(_site: &Site) -> pb::PermissionGroup {
    pb::PermissionGroup {
        domain: "default".into(),
        name: fresh("group"),
        display_name: "Readers".into(),
        description: "Who reads.".into(),
        permissions: texts(&["public.read", "zones.write"]),
        ..pb::PermissionGroup::default()
    }
}

pub(super) async fn template(_site: &Site) -> pb::Template {
    pb::Template {
        name: fresh("template"),
        display_name: "Door panel".into(),
        description: "Opens doors.".into(),
        required_permissions: texts(&["doors.open", "doors.read"]),
        optional_permissions: texts(&["doors.write"]),
        default_environment: "staging".into(),
        default_lifetime: Some(Duration { seconds: 3600, nanos: 0 }),
        limits: of_each_kind(),
        ..pb::Template::default()
    }
}

pub(super) async fn customer(_site: &Site) -> pb::Customer {
    pb::Customer {
        domain: "default".into(),
        id: fresh("C/2:~\"%"),
        display_name: "ACME".into(),
        description: "Pays.".into(),
        limits: of_each_kind(),
        ..pb::Customer::default()
    }
}

/// Other values for all that can be changed.
pub(super) mod other {
    use super::{Duration, Site, fresh_tag, made, pb, texts};
    use crate::support::limits::{daily, fixed, slots, span};

    pub(in super::super) async fn domain(thing: &pb::Domain, _site: &Site) -> pb::Domain {
        pb::Domain {
            display_name: "Other".into(),
            description: String::new(),
            limits: vec![],
            ..thing.clone()
        }
    }

    pub(in super::super) async fn customer(thing: &pb::Customer, _site: &Site) -> pb::Customer {
        pb::Customer {
            display_name: "Other".into(),
            description: String::new(),
            limits: vec![fixed("other", 7, span(3600, 0)), slots("at-once", 1)],
            ..thing.clone()
        }
    }

    pub(in super::super) async fn environment(
        thing: &pb::Environment,
        _site: &Site,
    ) -> pb::Environment {
        pb::Environment {
            tag: fresh_tag(),
            display_name: "Other".into(),
            description: String::new(),
            ..thing.clone()
        }
    }

    pub(in super::super) async fn user(thing: &pb::User, site: &Site) -> pb::User {
        let more = made(site, super::group(site).await).await;
        pb::User {
            display_name: "Other".into(),
            description: String::new(),
            permissions: vec![],
            groups: vec![more.name, thing.groups[0].clone()],
            limits: vec![daily("other", 7)],
            ..thing.clone()
        }
    }

    pub(in super::super) async fn group(
        thing: &pb::PermissionGroup,
        _site: &Site,
    ) -> pb::PermissionGroup {
        pb::PermissionGroup {
            display_name: "Other".into(),
            description: String::new(),
            permissions: texts(&["control"]),
            ..thing.clone()
        }
    }

    pub(in super::super) async fn template(thing: &pb::Template, _site: &Site) -> pb::Template {
        pb::Template {
            display_name: "Other".into(),
            description: String::new(),
            required_permissions: texts(&["public"]),
            optional_permissions: texts(&["control", "zones"]),
            default_environment: String::new(),
            default_lifetime: Some(Duration { seconds: 1, nanos: 0 }),
            limits: vec![slots("other", 7)],
            ..thing.clone()
        }
    }
}

/// What audit events show.
pub(super) mod snapshot {
    use serde_json::{Value, json};

    use super::pb;
    use crate::support::limits::stored;

    fn version(etag: &str) -> i64 {
        let digits: String = etag.chars().skip(1).take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    pub(in super::super) fn domain(thing: &pb::Domain) -> Value {
        json!({
            "display_name": thing.display_name,
            "description": thing.description,
            "limits": stored(&thing.limits),
            "disabled": thing.disabled,
            "version": version(&thing.etag),
        })
    }

    pub(in super::super) fn customer(thing: &pb::Customer) -> Value {
        json!({
            "display_name": thing.display_name,
            "description": thing.description,
            "limits": stored(&thing.limits),
            "version": version(&thing.etag),
        })
    }

    pub(in super::super) fn environment(thing: &pb::Environment) -> Value {
        json!({
            "tag": thing.tag,
            "display_name": thing.display_name,
            "description": thing.description,
            "version": version(&thing.etag),
        })
    }

    pub(in super::super) fn user(thing: &pb::User) -> Value {
        let kind = if thing.kind() == pb::UserKind::Person { "person" } else { "service" };
        json!({
            "kind": kind,
            "display_name": thing.display_name,
            "description": thing.description,
            "permissions": thing.permissions,
            "groups": thing.groups,
            "limits": stored(&thing.limits),
            "disabled": thing.disabled,
            "version": version(&thing.etag),
        })
    }

    pub(in super::super) fn group(thing: &pb::PermissionGroup) -> Value {
        json!({
            "display_name": thing.display_name,
            "description": thing.description,
            "permissions": thing.permissions,
            "version": version(&thing.etag),
        })
    }

    pub(in super::super) fn template(thing: &pb::Template) -> Value {
        let environment = &thing.default_environment;
        let environment = (!environment.is_empty()).then_some(environment);
        json!({
            "display_name": thing.display_name,
            "description": thing.description,
            "required_permissions": thing.required_permissions,
            "optional_permissions": thing.optional_permissions,
            "default_environment": environment,
            "lifetime_seconds": thing.default_lifetime.map(|span| span.seconds),
            "limits": stored(&thing.limits),
            "version": version(&thing.etag),
        })
    }
}
