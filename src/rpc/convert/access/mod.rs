//! `AccessAdmin`: things in and out.

mod customer;
mod domain;
mod environment;
mod group;
mod quota;
mod template;
mod user;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use tonic::Status;

pub(in crate::rpc) use customer::{customer_in, customer_out, customer_patch};
pub(in crate::rpc) use domain::{
    catalogue_in, catalogue_out, domain_in, domain_out, domain_patch, routes_in, routes_out,
};
pub(in crate::rpc) use environment::{environment_in, environment_out, environment_patch};
pub(in crate::rpc) use group::{group_in, group_out, group_patch};
pub(in crate::rpc) use quota::{QuotaTask, adjustment, owner_in, quota_out};
pub(in crate::rpc) use template::{template_in, template_out, template_patch};
pub(in crate::rpc) use user::{user_in, user_kind, user_kind_to_pb, user_out, user_patch};

use super::{Violations, list::PAGE_BYTES_MAX, number};
use crate::{
    admin::things::{Managed, ThingTarget},
    model::{
        catalogue::Catalogue,
        list::{PageSize, ThingFilter, ThingPage},
        name::{DomainName, GroupName},
        permission::Grants,
        record::{Record, ThingName},
        text::{DisplayName, Prose, SearchText},
        time::Timestamp,
        user::UserKind,
    },
};

const ETAG_BYTES_MAX: usize = 64;
const TOKEN_BYTES_MAX: usize = 1024;
const FOREIGN_TOKEN: &str = "must be the next_page_token of a page with the same filters";

impl Violations {
    /// A domain; an empty name is the default one.
    pub(super) fn domain(&mut self, field: &str, name: &str) -> Option<DomainName> {
        match name {
            "" => Some(DomainName::from_stored(DomainName::DEFAULT)),
            name => self.check(field, DomainName::parse(name)),
        }
    }

    fn display_name(&mut self, thing: &str, text: &str) -> Option<DisplayName> {
        self.required(&format!("{thing}.display_name"), text, DisplayName::parse)
    }

    fn description(&mut self, thing: &str, text: &str) -> Option<Prose> {
        self.check(&format!("{thing}.description"), Prose::parse(text))
    }

    pub(super) fn etag(&mut self, field: &str, etag: &str) -> Option<Box<str>> {
        if etag.len() > ETAG_BYTES_MAX {
            self.add(field, "must be an etag that was returned");
        }
        (!etag.is_empty()).then(|| etag.into())
    }

    /// What a target is made of.
    fn thing(&mut self, etag: &str, name: Option<ThingName>) -> Option<ThingTarget> {
        let etag = self.etag("etag", etag);
        name.map(|name| ThingTarget { name, etag })
    }

    /// Notes a path of a mask that is none of these.
    pub(super) fn unknown_path(&mut self, path: &str, known: &str) {
        let path: String = path.chars().take(64).collect();
        self.add("update_mask", format!("has the path {path:?}; must be of {known}"));
    }

    /// The paths of a mask, of which there must be one.
    pub(super) fn paths<'a>(&mut self, mask: Option<&'a prost_types::FieldMask>) -> &'a [String] {
        let paths = mask.map_or(&[][..], |mask| &mask.paths);
        if paths.is_empty() {
            self.add("update_mask", "is required: it names the fields to change");
        }
        paths
    }
}

/// What is used of a thing that was not sent.
fn required<'a, T>(
    violations: &mut Violations,
    field: &str,
    thing: Option<&'a T>,
) -> Option<&'a T> {
    if thing.is_none() {
        violations.add(field, "is required");
    }
    thing
}

/// Of a thing that is not made yet.
fn not_yet() -> Record {
    Record::new(Timestamp::FIRST)
}

/// Something of a domain, as calls name it.
pub(in crate::rpc) fn thing_in_domain<E: ToString>(
    (domain, field, name): (&str, &str, &str),
    etag: &str,
    parse: impl Fn(&str) -> Result<(), E>,
) -> Result<ThingTarget, Status> {
    let mut violations = Violations::default();
    let domain = violations.domain("domain", domain);
    let known = violations.required(field, name, parse);
    let name = domain.zip(known).map(|(domain, ())| ThingName::in_domain(&domain, name));
    let target = violations.thing(etag, name);
    violations.finish(target)
}

/// Something of the whole installation, as calls name it.
pub(in crate::rpc) fn thing_of_all<E: ToString>(
    name: &str,
    etag: &str,
    parse: impl Fn(&str) -> Result<(), E>,
) -> Result<ThingTarget, Status> {
    let mut violations = Violations::default();
    let known = violations.required("name", name, parse);
    let target = violations.thing(etag, known.map(|()| ThingName::of_all(name)));
    violations.finish(target)
}

/// A domain itself, as calls name it.
pub(in crate::rpc) fn domain_named(name: &str, etag: &str) -> Result<ThingTarget, Status> {
    let mut violations = Violations::default();
    let domain = violations.required("name", name, DomainName::parse);
    let name = domain.map(|domain| ThingName::in_domain(&domain, ""));
    let target = violations.thing(etag, name);
    violations.finish(target)
}

/// What a domain has one of; an empty name is the default one.
pub(in crate::rpc) fn of_domain(name: &str) -> Result<ThingName, Status> {
    let mut violations = Violations::default();
    let domain = violations.domain("domain", name);
    violations.finish(domain.map(|domain| ThingName::in_domain(&domain, "")))
}

/// The parts of a list request that all kinds have.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::rpc) struct ListOf<'a> {
    pub(in crate::rpc) page_size: i32,
    pub(in crate::rpc) page_token: &'a str,
    pub(in crate::rpc) domain: &'a str,
    pub(in crate::rpc) search: &'a str,
    /// Of users.
    pub(in crate::rpc) kind: i32,
    /// Of users.
    pub(in crate::rpc) group: &'a str,
}

impl ListOf<'_> {
    /// Reads a request.
    pub(in crate::rpc) fn parse(&self) -> Result<ThingFilter, Status> {
        let mut violations = Violations::default();
        let size = violations.check("page_size", PageSize::parse(self.page_size));
        let domain = violations.optional("domain", self.domain, DomainName::parse);
        let search = violations.optional("search", self.search, SearchText::parse);
        let kind = optional_user_kind(&mut violations, "kind", self.kind);
        let group = violations.optional("group", self.group, GroupName::parse);
        let after = violations.optional("page_token", self.page_token, |token| {
            name_from_token(token, self.checksum()).ok_or(FOREIGN_TOKEN)
        });
        let domains = domain.map(|domain| vec![domain]);
        let filter = size.map(|size| ThingFilter { domains, search, kind, group, after, size });
        violations.finish(filter)
    }

    /// Tells requests with other filters apart: their pages do not continue each other.
    fn checksum(&self) -> u32 {
        let filters = [self.domain, self.search, self.group, &self.kind.to_string()];
        crc32fast::hash(filters.join("\n").as_bytes())
    }

    /// A page outward, cut where it grows too large for a client to read, and the token of the next
    /// one.
    pub(in crate::rpc) fn shown<T: Managed, P: Message>(
        &self,
        page: ThingPage<T>,
        to_pb: impl Fn(&T) -> P,
    ) -> (Vec<P>, String) {
        let ThingPage { things, mut next } = page;
        let mut shown = Vec::with_capacity(things.len());
        let mut bytes = 0;
        for thing in &things {
            let one = to_pb(thing);
            bytes += one.encoded_len();
            shown.push(one);
            if bytes > PAGE_BYTES_MAX && shown.len() < things.len() {
                next = Some(thing.name());
                break;
            }
        }
        (shown, self.token(next.as_ref()))
    }

    /// Where the page after this one begins, as its caller is to send it back.
    fn token(&self, next: Option<&ThingName>) -> String {
        next.map_or_else(String::new, |name| {
            let domain = name.domain.as_ref().map_or("", DomainName::as_str);
            URL_SAFE_NO_PAD.encode(format!("1 {} {domain} {}", self.checksum(), name.name))
        })
    }
}

fn name_from_token(token: &str, checksum: u32) -> Option<ThingName> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(4, ' ');
    let (version, sum) = (parts.next()?, parts.next()?);
    let (domain, name) = (parts.next()?, parts.next()?);
    if version != "1" || number(sum) != Some(checksum) || name.contains('\0') {
        return None;
    }
    let domain = match domain {
        "" => None,
        domain => Some(DomainName::parse(domain).ok()?),
    };
    Some(ThingName { domain, name: name.into() })
}

/// What a catalogue calls these permissions, by name.
pub(in crate::rpc) fn permission_names(
    grants: &Grants,
    catalogue: Option<&Catalogue>,
) -> BTreeMap<String, String> {
    let Some(catalogue) = catalogue else { return BTreeMap::new() };
    let named = grants.iter().filter_map(|permission| {
        let name = catalogue.entries.display_name(permission)?;
        Some((permission.to_owned(), name.to_owned()))
    });
    named.collect()
}

/// The kinds of users that a filter knows.
pub(in crate::rpc) fn optional_user_kind(
    violations: &mut Violations,
    field: &str,
    kind: i32,
) -> Option<UserKind> {
    if kind == 0 { None } else { user_kind(violations, field, kind) }
}
