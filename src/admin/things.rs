//! Domains, environments, users, groups, route maps, catalogues, templates: all read and changed in
//! the same way. What is particular to each kind is in its implementation of [`Managed`].

use std::{collections::HashMap, future::Future};

use crate::{
    admin::{Admin, AdminError, Call, Effect, Written, check_etag, read::require_known},
    model::{
        caller::{Action, Noun, Right},
        catalogue::Catalogue,
        list::{PageSize, ThingFilter, ThingPage},
        name::DomainName,
        record::{Kind, Record, ThingName},
    },
    store::{
        error::StoreError,
        references::GroupUses,
        things::{Created, Deleted, Listed, Stored},
        write::WriteTx,
    },
};

mod kinds;
mod patches;

pub use patches::{
    CataloguePatch, CustomerPatch, DomainPatch, EnvironmentPatch, GroupPatch, RoutesPatch, Switch,
    TemplatePatch, UserPatch,
};

/// What an operator manages.
pub trait Managed: Stored {
    /// What rights on it are called by.
    const NOUN: Noun;

    /// Whether it may become as it is, from `before` or from nothing: what only the database shows,
    /// and what the caller may give.
    fn check(
        &self,
        before: Option<&Self>,
        tx: &WriteTx<'_>,
        call: &Call,
    ) -> impl Future<Output = Result<(), AdminError>> + Send;
}

/// What an operator removes.
pub trait Removable: Managed + Deleted {
    /// Whether it may be removed; says who has it.
    fn release(
        &self,
        tx: &WriteTx<'_>,
        call: &Call,
        force: Force,
    ) -> impl Future<Output = Result<GroupUses, AdminError>> + Send;
}

/// Whether something is removed although others have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What is to change of a thing.
pub trait Patch<T>: Sync {
    /// What the thing becomes.
    fn applied_to(
        &self,
        before: &T,
        tx: &WriteTx<'_>,
    ) -> impl Future<Output = Result<T, AdminError>> + Send;
}

/// Which thing is meant, and in which version if that matters.
#[derive(Clone, Debug)]
pub struct ThingTarget {
    /// The thing.
    pub name: ThingName,
    /// If given, it must have this etag.
    pub etag: Option<Box<str>>,
}

const fn right<T: Managed>(action: Action) -> Right {
    Right { noun: T::NOUN, action }
}

/// A thing by its name.
pub async fn get_thing<T: Managed>(
    admin: &Admin,
    call: &Call,
    name: &ThingName,
) -> Result<T, AdminError> {
    call.require_on(right::<T>(Action::Read), name)?;
    require_known(admin, call).await?;
    admin.store.get_thing(name).await?.ok_or_else(|| not_found(T::KIND, name))
}

/// A page of the things that the caller may read.
pub async fn list_things<T: Managed + Listed>(
    admin: &Admin,
    call: &Call,
    mut filter: ThingFilter,
) -> Result<ThingPage<T>, AdminError> {
    call.require(right::<T>(Action::Read))?;
    match &filter.domains {
        Some(domains) => {
            for domain in domains {
                call.require_on(right::<T>(Action::Read), &ThingName::in_domain(domain, ""))?;
            }
        }
        None => filter.domains = call.caller.domains(),
    }
    require_known(admin, call).await?;
    Ok(admin.store.list_things(&filter).await?)
}

/// Makes a thing, as it is after a patch.
pub async fn create_thing<T: Managed + Created>(
    admin: &Admin,
    call: &Call,
    thing: &T,
    rest: &impl Patch<T>,
    effect: Effect,
) -> Result<Written<T>, AdminError> {
    let name = thing.name();
    let action = &action::<T>("create");
    let result = admin
        .attempt(call, (action, &name.to_string()), || async {
            call.require_on(right::<T>(Action::Write), &name)?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, action).await?;
            if tx.share::<T>(&name).await?.is_some() {
                return Err(AdminError::Exists { kind: T::KIND, name: name.clone() });
            }
            let mut thing = rest.applied_to(thing, &tx).await?;
            *thing.record_mut() = Record::new(call.now);
            thing.check(None, &tx, call).await?;
            let revision = match effect {
                Effect::Apply => {
                    tx.insert(&mut thing).await?;
                    tx.commit().await?
                }
                Effect::ValidateOnly => tx.abandon().await?,
            };
            Ok(Written { thing, revision })
        })
        .await;
    result.map_err(|error| constraint(error, T::KIND, &name))
}

/// Changes a thing. One that is as asked already stays as it is.
pub async fn update_thing<T: Managed>(
    admin: &Admin,
    call: &Call,
    (verb, target): (&str, &ThingTarget),
    patch: &impl Patch<T>,
    effect: Effect,
) -> Result<Written<T>, AdminError> {
    let name = &target.name;
    let action = &action::<T>(verb);
    let result = admin
        .attempt(call, (action, &name.to_string()), || async {
            call.require_on(right::<T>(Action::Write), name)?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, action).await?;
            let before: T = tx.lock(name).await?.ok_or_else(|| not_found(T::KIND, name))?;
            check_etag(target.etag.as_deref(), &before.record().etag())?;
            let mut thing = patch.applied_to(&before, &tx).await?;
            thing.check(Some(&before), &tx, call).await?;
            let revision = match effect {
                Effect::Apply if thing != before => {
                    *thing.record_mut() = before.record().changed(call.now);
                    tx.update(&before, &thing).await?;
                    tx.commit().await?
                }
                Effect::Apply | Effect::ValidateOnly => tx.abandon().await?,
            };
            Ok(Written { thing, revision })
        })
        .await;
    result.map_err(|error| constraint(error, T::KIND, name))
}

/// Removes a thing.
pub async fn delete_thing<T: Removable>(
    admin: &Admin,
    call: &Call,
    target: &ThingTarget,
    (force, effect): (Force, Effect),
) -> Result<Written<GroupUses>, AdminError> {
    let name = &target.name;
    let action = &action::<T>("delete");
    admin
        .attempt(call, (action, &name.to_string()), || async {
            call.require_on(right::<T>(Action::Delete), name)?;
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, action).await?;
            let thing: T = tx.lock(name).await?.ok_or_else(|| not_found(T::KIND, name))?;
            check_etag(target.etag.as_deref(), &thing.record().etag())?;
            let uses = thing.release(&tx, call, force).await?;
            let revision = match effect {
                Effect::Apply => {
                    tx.delete(&thing).await?;
                    tx.commit().await?
                }
                Effect::ValidateOnly => tx.abandon().await?,
            };
            Ok(Written { thing: uses, revision })
        })
        .await
}

/// The catalogues of some domains, for what they call permissions.
pub async fn catalogues(
    admin: &Admin,
    mut domains: Vec<DomainName>,
) -> Result<HashMap<DomainName, Catalogue>, AdminError> {
    domains.sort_unstable();
    domains.dedup();
    if domains.is_empty() {
        return Ok(HashMap::new());
    }
    let filter = ThingFilter {
        domains: Some(domains),
        search: None,
        kind: None,
        group: None,
        after: None,
        size: PageSize::MAX, // no page shows things of more domains
    };
    let page = admin.store.list_things::<Catalogue>(&filter).await?;
    Ok(page.things.into_iter().map(|catalogue| (catalogue.domain.clone(), catalogue)).collect())
}

fn not_found(kind: Kind, name: &ThingName) -> AdminError {
    AdminError::NotFound { kind, name: name.clone() }
}

/// What it means that a constraint of the schema does not hold.
fn constraint(error: AdminError, kind: Kind, name: &ThingName) -> AdminError {
    let AdminError::Store(StoreError::Constraint { name: constraint }) = &error else {
        return error;
    };
    match &**constraint {
        "environment_tag_unique" => {
            AdminError::invalid("environment.tag", "must be one that no other environment has")
        }
        // made by someone else since it was looked for
        "domain_pkey"
        | "environment_pkey"
        | "template_pkey"
        | "permission_group_name_unique"
        | "customer_pkey"
        | "domain_user_id_unique" => AdminError::Exists { kind, name: name.clone() },
        _ => error,
    }
}

/// What audit events call a change, e.g. `group.update`.
fn action<T: Managed>(verb: &str) -> String {
    format!("{}.{verb}", T::KIND.plural())
}
