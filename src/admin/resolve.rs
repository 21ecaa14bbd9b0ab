//! From names to what they name, and whether a domain knows the permissions that are given.

use std::borrow::Cow;

use crate::{
    admin::{AdminError, Call},
    model::{
        catalogue::Catalogue,
        group::{GroupNames, GroupRef, Groups, PermissionGroup},
        id::KeyId,
        key::{Key, Settings},
        name::DomainName,
        permission::Grants,
        record::ThingName,
        user::{User, UserId, UserRef},
    },
    store::write::WriteTx,
};

/// The user of a domain, which nobody deletes until the end.
pub(super) async fn user(
    tx: &WriteTx<'_>,
    domain: &DomainName,
    id: &UserId,
    field: &'static str,
) -> Result<UserRef, AdminError> {
    let name = ThingName::in_domain(domain, id.as_str());
    let user = tx.share::<User>(&name).await?;
    let user = user.ok_or(AdminError::invalid(field, "must be a user of the key's domain"))?;
    Ok(UserRef { uid: user.uid, id: user.id })
}

/// The groups of a domain, which nobody changes until the end, in the order of their names.
pub(super) async fn groups(
    tx: &WriteTx<'_>,
    domain: &DomainName,
    names: &GroupNames,
    field: &str,
) -> Result<Groups, AdminError> {
    let found = tx.groups_by_name(domain, names).await?;
    let mut refs = Vec::with_capacity(found.len());
    for (at, name) in names.iter().enumerate() {
        let Some(PermissionGroup { uid, .. }) = found.iter().find(|group| group.name == *name)
        else {
            return Err(AdminError::Invalid {
                field: format!("{field}[{at}]").into(),
                message: Cow::Borrowed("must be a permission group of the domain"),
            });
        };
        refs.push(GroupRef { uid: *uid, name: name.clone(), deleted: false });
    }
    Ok(Groups::new(refs))
}

/// Whether a domain knows permissions that are given to something in it.
pub(super) async fn permissions(
    tx: &WriteTx<'_>,
    domain: &DomainName,
    given: &Grants,
    field: &str,
) -> Result<(), AdminError> {
    if given.is_empty() {
        return Ok(());
    }
    let catalogue = tx.share::<Catalogue>(&ThingName::in_domain(domain, "")).await?;
    match catalogue.and_then(|catalogue| catalogue.entries.first_unknown(given)) {
        None => Ok(()),
        Some(at) => Err(AdminError::Invalid {
            field: format!("{field}[{at}]").into(),
            message: Cow::Borrowed(UNKNOWN_PERMISSION),
        }),
    }
}

/// What is wrong with a permission that a domain's catalogue does not have.
pub(super) const UNKNOWN_PERMISSION: &str =
    "must be a permission that the domain's catalogue has, or cover one";

/// Whether settings fit a key of its domain. `prefix` is where they stand in the request.
pub(super) async fn settings(
    tx: &WriteTx<'_>,
    call: &Call,
    (before, key): (Option<&Key>, &Key),
    prefix: &str,
) -> Result<(), AdminError> {
    let settings = &key.settings;
    let invalid = |field: &str, message| {
        let field = Cow::Owned(format!("{prefix}{field}"));
        Err(AdminError::Invalid { field, message: Cow::Borrowed(message) })
    };
    if key.domain.is_of_admins() {
        if settings.user.is_some() {
            return invalid("user", "must be empty: admin keys act for nobody");
        }
        if !settings.groups.is_empty() {
            return invalid("groups", "must be empty: admin keys have permissions of their own");
        }
        if !settings.customers.is_empty() {
            return invalid("customers", "must be empty: admin calls are for no customer");
        }
        if !settings.route_rules.is_empty() {
            return invalid("route_rules", "must be empty: admin calls have no routes");
        }
    } else if settings.delegation.is_some() {
        return invalid("delegation", "is for admin keys, which are those of domain keyward");
    }
    let old = before.map(|before| &before.settings);
    if let Some(bound) = &settings.delegation
        && let Some(at) = tx.first_unknown_domain(bound.domains()).await?
    {
        return invalid(&format!("delegation.domains[{at}]"), "must be a domain that exists");
    }
    if let Some(manager) = settings.managed_by
        && old.is_none_or(|old| old.managed_by != Some(manager))
        && manager != call.caller.key
    {
        if call.caller.profile.delegation.is_some() {
            return invalid("managed_by", "must be the caller's own id: it is delegated domains");
        }
        if !is_admin_key(tx, manager).await? {
            return invalid("managed_by", "must be the id of an admin key");
        }
    }
    if old.is_none_or(|old| old.grants != settings.grants) {
        let field = format!("{prefix}permissions");
        permissions(tx, &key.domain, &settings.grants, &field).await?;
    }
    Ok(())
}

async fn is_admin_key(tx: &WriteTx<'_>, id: KeyId) -> Result<bool, AdminError> {
    let key = tx.share_key(id).await?;
    Ok(key.is_some_and(|key| key.domain.is_of_admins() && key.delete_time.is_none()))
}

/// Nothing more than the settings of a new key, with what they name.
pub(super) async fn named(
    tx: &WriteTx<'_>,
    domain: &DomainName,
    settings: &Settings,
    (user_id, group_names): (Option<&UserId>, &GroupNames),
) -> Result<Settings, AdminError> {
    let mut settings = settings.clone();
    if let Some(id) = user_id {
        settings.user = Some(user(tx, domain, id, "user").await?);
    }
    settings.groups = groups(tx, domain, group_names, "groups").await?;
    Ok(settings)
}
