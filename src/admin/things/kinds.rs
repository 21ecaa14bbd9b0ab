//! What is particular to each kind: what it must fit, what the caller may give, what keeps it.

use std::borrow::Cow;

use crate::{
    admin::{
        AdminError, Call, resolve,
        things::{Force, Managed, Removable, not_found},
    },
    model::{
        caller::Noun,
        catalogue::Catalogue,
        customer::Customer,
        domain::{Domain, DomainRoutes},
        environment::Environment,
        group::PermissionGroup,
        name::{DomainName, EnvironmentName},
        permission::{Grants, Permission},
        record::{Kind, ThingName},
        template::Template,
        user::User,
    },
    store::{references::GroupUses, things::Stored, write::WriteTx},
};

/// How many keys an error names.
const KEYS_NAMED: i64 = 10;
/// How many permissions an error names.
const PERMISSIONS_NAMED: usize = 10;

/// E.g. `1 key`, `2 keys`.
fn counted(number: i64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// Whether a domain is there and may have users, groups and the like.
async fn check_domain(
    tx: &WriteTx<'_>,
    name: &DomainName,
    field: &'static str,
) -> Result<(), AdminError> {
    if name.is_of_admins() {
        let message = "must not be keyward: an admin key has permissions of its own alone";
        return Err(AdminError::invalid(field, message));
    }
    let thing = ThingName::in_domain(name, "");
    match tx.share::<Domain>(&thing).await? {
        Some(_) => Ok(()),
        None => Err(not_found(Kind::Domain, &thing)),
    }
}

impl Managed for Domain {
    const NOUN: Noun = Noun::Domains;

    /// To enable a domain lets all of its keys work again, also those beyond the caller's ceiling. Its
    /// limits are what whoever has the whole installation bounds a tenant with.
    async fn check(
        &self,
        before: Option<&Self>,
        _tx: &WriteTx<'_>,
        call: &Call,
    ) -> Result<(), AdminError> {
        if before.is_some_and(|before| before.disabled) && !self.disabled {
            call.require_no_ceiling()?;
        }
        let had = before.map(|before| before.limits.clone()).unwrap_or_default();
        if self.limits != had {
            call.require_not_delegated()?;
        }
        if !self.limits.is_empty() && self.name.is_of_admins() {
            let message = "must be empty for keyward: an admin key has limits of its own alone";
            return Err(AdminError::invalid("domain.limits", message));
        }
        if self.disabled && self.name.is_of_admins() {
            return Err(AdminError::Protected { kind: Kind::Domain, name: Stored::name(self) });
        }
        Ok(())
    }
}

impl Managed for Catalogue {
    const NOUN: Noun = Noun::Domains;

    async fn check(
        &self,
        _before: Option<&Self>,
        tx: &WriteTx<'_>,
        _call: &Call,
    ) -> Result<(), AdminError> {
        check_domain(tx, &self.domain, "catalogue.domain").await
    }
}

impl Managed for DomainRoutes {
    const NOUN: Noun = Noun::Routes;

    /// What a route needs decides what all keys of the domain may do there: that is for no one with a
    /// ceiling.
    async fn check(
        &self,
        before: Option<&Self>,
        tx: &WriteTx<'_>,
        call: &Call,
    ) -> Result<(), AdminError> {
        call.require_no_ceiling()?;
        check_domain(tx, &self.domain, "route_map.domain").await?;
        let catalogue = tx.share::<Catalogue>(&ThingName::in_domain(&self.domain, "")).await?;
        let Some(catalogue) = catalogue else { return Ok(()) };
        for (at, entry) in self.map.iter().enumerate() {
            let was_there = before.is_some_and(|before| before.map.iter().any(|old| old == entry));
            let is_unknown = |given: Permission<'_>| {
                let given = Grants::parse(&[given.as_str()]);
                given.is_ok_and(|given| catalogue.entries.first_unknown(&given).is_some())
            };
            if !was_there && entry.permissions().into_iter().any(is_unknown) {
                return Err(AdminError::Invalid {
                    field: format!("route_map.entries[{at}].permission").into(),
                    message: Cow::Borrowed(resolve::UNKNOWN_PERMISSION),
                });
            }
        }
        Ok(())
    }
}

impl Managed for Environment {
    const NOUN: Noun = Noun::Environments;

    async fn check(
        &self,
        _before: Option<&Self>,
        _tx: &WriteTx<'_>,
        _call: &Call,
    ) -> Result<(), AdminError> {
        Ok(())
    }
}

impl Removable for Environment {
    async fn release(
        &self,
        tx: &WriteTx<'_>,
        _call: &Call,
        _force: Force,
    ) -> Result<GroupUses, AdminError> {
        let name = &self.name;
        if name.as_str() == EnvironmentName::OF_ADMINS {
            let name = Stored::name(self);
            return Err(AdminError::Protected { kind: Kind::Environment, name });
        }
        let uses = tx.uses_of_environment(name).await?;
        if uses.keys == 0 && uses.templates == 0 {
            return Ok(GroupUses::default());
        }
        let message = format!(
            "the environment {name} has {}, {} of them deleted, and is named by {}; it can be \
             removed when there are none",
            counted(uses.keys, "key"),
            uses.deleted_keys,
            counted(uses.templates, "template")
        );
        Err(AdminError::InUse { kind: Kind::Environment, message, details: Vec::new() })
    }
}

impl Managed for Customer {
    const NOUN: Noun = Noun::Customers;

    async fn check(
        &self,
        _before: Option<&Self>,
        tx: &WriteTx<'_>,
        _call: &Call,
    ) -> Result<(), AdminError> {
        check_domain(tx, &self.domain, "customer.domain").await
    }
}

impl Removable for Customer {
    /// Nothing needs it.
    async fn release(
        &self,
        _tx: &WriteTx<'_>,
        _call: &Call,
        _force: Force,
    ) -> Result<GroupUses, AdminError> {
        Ok(GroupUses::default())
    }
}

impl Managed for Template {
    const NOUN: Noun = Noun::Templates;

    async fn check(
        &self,
        _before: Option<&Self>,
        tx: &WriteTx<'_>,
        _call: &Call,
    ) -> Result<(), AdminError> {
        let Some(environment) = &self.environment else { return Ok(()) };
        let name = ThingName::of_all(environment.as_str());
        if tx.share::<Environment>(&name).await?.is_none() {
            let message = "must be an environment that exists";
            return Err(AdminError::invalid("template.default_environment", message));
        }
        Ok(())
    }
}

impl Removable for Template {
    async fn release(
        &self,
        _tx: &WriteTx<'_>,
        _call: &Call,
        _force: Force,
    ) -> Result<GroupUses, AdminError> {
        Ok(GroupUses::default())
    }
}

impl Managed for PermissionGroup {
    const NOUN: Noun = Noun::Groups;

    async fn check(
        &self,
        before: Option<&Self>,
        tx: &WriteTx<'_>,
        call: &Call,
    ) -> Result<(), AdminError> {
        check_domain(tx, &self.domain, "group.domain").await?;
        call.require_ceiling(&self.grants)?;
        if let Some(before) = before {
            call.require_ceiling(&before.grants)?;
        }
        if before.is_none_or(|before| before.grants != self.grants) {
            resolve::permissions(tx, &self.domain, &self.grants, "group.permissions").await?;
        }
        Ok(())
    }
}

impl Removable for PermissionGroup {
    async fn release(
        &self,
        tx: &WriteTx<'_>,
        call: &Call,
        force: Force,
    ) -> Result<GroupUses, AdminError> {
        call.require_ceiling(&self.grants)?;
        let uses = tx.uses_of_group(self.uid).await?;
        if force == Force::Yes || uses == GroupUses::default() {
            return Ok(uses);
        }
        let GroupUses { keys, users } = uses;
        let name = &self.name;
        let lost: Vec<&str> = self.grants.iter().take(PERMISSIONS_NAMED).collect();
        let more = match self.grants.iter().count().saturating_sub(PERMISSIONS_NAMED) {
            0 if lost.is_empty() => "nothing".into(),
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "the group {name} is that of {}, of some through their user, and of {}; with `force` \
             they lose {}{more}",
            counted(keys, "key"),
            counted(users, "user"),
            lost.join(", ")
        );
        let details = vec![
            ("affected_keys", keys.to_string()),
            ("affected_users", users.to_string()),
            ("permissions", lost.join(",")),
        ];
        Err(AdminError::InUse { kind: Kind::Group, message, details })
    }
}

impl Managed for User {
    const NOUN: Noun = Noun::Users;

    async fn check(
        &self,
        before: Option<&Self>,
        tx: &WriteTx<'_>,
        call: &Call,
    ) -> Result<(), AdminError> {
        check_domain(tx, &self.domain, "user.domain").await?;
        // to disable one is an emergency, and gives nobody anything
        let only_disabled = before.is_some_and(|before| {
            self.disabled && *self == Self { disabled: true, ..before.clone() }
        });
        if !only_disabled {
            call.require_ceiling_of_user(tx, self).await?;
            if let Some(before) = before {
                call.require_ceiling_of_user(tx, before).await?;
            }
        }
        if before.is_none_or(|before| before.grants != self.grants) {
            resolve::permissions(tx, &self.domain, &self.grants, "user.permissions").await?;
        }
        Ok(())
    }
}

impl Removable for User {
    async fn release(
        &self,
        tx: &WriteTx<'_>,
        call: &Call,
        _force: Force,
    ) -> Result<GroupUses, AdminError> {
        call.require_ceiling_of_user(tx, self).await?;
        let of_user = tx.keys_of_user(self.uid, KEYS_NAMED).await?;
        if of_user.keys == 0 {
            return Ok(GroupUses::default());
        }
        let by: Vec<String> = of_user.first.iter().map(ToString::to_string).collect();
        let message = format!(
            "the user {} has {}, among them {}; delete them or give them another user first",
            self.id,
            counted(of_user.keys, "key"),
            by.join(", ")
        );
        let details = vec![("keys", by.join(","))];
        Err(AdminError::InUse { kind: Kind::User, message, details })
    }
}
