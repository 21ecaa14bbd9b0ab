//! What is to change of each kind; `None`: not that.

use crate::{
    admin::{AdminError, resolve, things::Patch},
    model::{
        catalogue::{Catalogue, CatalogueEntries},
        customer::Customer,
        domain::{Domain, DomainRoutes},
        environment::{Environment, EnvironmentTag},
        group::{GroupNames, PermissionGroup},
        limit::Limits,
        name::EnvironmentName,
        permission::Grants,
        route_map::RouteMap,
        template::{Lifetime, Template, TemplatePermissions},
        text::{DisplayName, Prose},
        user::User,
    },
    store::write::WriteTx,
};

/// Nothing is to change.
impl<T: Clone + Send + Sync> Patch<T> for () {
    async fn applied_to(&self, before: &T, _tx: &WriteTx<'_>) -> Result<T, AdminError> {
        Ok(before.clone())
    }
}

/// Whether all keys of something work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// They do not.
    Disable,
    /// They do, as they did.
    Enable,
}

impl Patch<Domain> for Switch {
    async fn applied_to(&self, before: &Domain, _tx: &WriteTx<'_>) -> Result<Domain, AdminError> {
        Ok(Domain { disabled: *self == Self::Disable, ..before.clone() })
    }
}

impl Patch<User> for Switch {
    async fn applied_to(&self, before: &User, _tx: &WriteTx<'_>) -> Result<User, AdminError> {
        Ok(User { disabled: *self == Self::Disable, ..before.clone() })
    }
}

/// Of a domain.
#[derive(Clone, Debug, Default)]
pub struct DomainPatch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What its keys share.
    pub limits: Option<Limits>,
}

impl Patch<Domain> for DomainPatch {
    async fn applied_to(&self, before: &Domain, _tx: &WriteTx<'_>) -> Result<Domain, AdminError> {
        let mut domain = before.clone();
        replace(&mut domain.display_name, self.display_name.as_ref());
        replace(&mut domain.description, self.description.as_ref());
        replace(&mut domain.limits, self.limits.as_ref());
        Ok(domain)
    }
}

/// Of an environment.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentPatch {
    /// What new tokens show of it.
    pub tag: Option<EnvironmentTag>,
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
}

impl Patch<Environment> for EnvironmentPatch {
    async fn applied_to(
        &self,
        before: &Environment,
        _tx: &WriteTx<'_>,
    ) -> Result<Environment, AdminError> {
        let mut environment = before.clone();
        replace(&mut environment.tag, self.tag.as_ref());
        replace(&mut environment.display_name, self.display_name.as_ref());
        replace(&mut environment.description, self.description.as_ref());
        Ok(environment)
    }
}

/// Of a user.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What it may do.
    pub grants: Option<Grants>,
    /// Which groups it has.
    pub groups: Option<GroupNames>,
    /// What its keys share.
    pub limits: Option<Limits>,
}

impl Patch<User> for UserPatch {
    async fn applied_to(&self, before: &User, tx: &WriteTx<'_>) -> Result<User, AdminError> {
        let mut user = before.clone();
        replace(&mut user.display_name, self.display_name.as_ref());
        replace(&mut user.description, self.description.as_ref());
        replace(&mut user.grants, self.grants.as_ref());
        replace(&mut user.limits, self.limits.as_ref());
        if let Some(names) = &self.groups {
            user.groups = resolve::groups(tx, &user.domain, names, "user.groups").await?;
        }
        Ok(user)
    }
}

/// Of a permission group.
#[derive(Clone, Debug, Default)]
pub struct GroupPatch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What it gives.
    pub grants: Option<Grants>,
}

impl Patch<PermissionGroup> for GroupPatch {
    async fn applied_to(
        &self,
        before: &PermissionGroup,
        _tx: &WriteTx<'_>,
    ) -> Result<PermissionGroup, AdminError> {
        let mut group = before.clone();
        replace(&mut group.display_name, self.display_name.as_ref());
        replace(&mut group.description, self.description.as_ref());
        replace(&mut group.grants, self.grants.as_ref());
        Ok(group)
    }
}

/// Of a template.
#[derive(Clone, Debug, Default)]
pub struct TemplatePatch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What every key of it may do.
    pub required: Option<Grants>,
    /// What a key of it may do besides.
    pub optional: Option<Grants>,
    /// The environment of its keys; `Some(None)`: none.
    pub environment: Option<Option<EnvironmentName>>,
    /// How long its keys live; `Some(None)`: for ever.
    pub lifetime: Option<Option<Lifetime>>,
    /// The limits of its keys.
    pub limits: Option<Limits>,
}

impl Patch<Template> for TemplatePatch {
    async fn applied_to(
        &self,
        before: &Template,
        _tx: &WriteTx<'_>,
    ) -> Result<Template, AdminError> {
        let mut template = before.clone();
        replace(&mut template.display_name, self.display_name.as_ref());
        replace(&mut template.description, self.description.as_ref());
        replace(&mut template.environment, self.environment.as_ref());
        replace(&mut template.lifetime, self.lifetime.as_ref());
        replace(&mut template.limits, self.limits.as_ref());
        let TemplatePermissions { required, optional } = &mut template.permissions;
        replace(required, self.required.as_ref());
        replace(optional, self.optional.as_ref());
        template.permissions.check().map_err(|(field, error)| AdminError::Invalid {
            field: format!("template.{field}").into(),
            message: error.to_string().into(),
        })?;
        Ok(template)
    }
}

/// Of a customer.
#[derive(Clone, Debug, Default)]
pub struct CustomerPatch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What requests for it share.
    pub limits: Option<Limits>,
}

impl Patch<Customer> for CustomerPatch {
    async fn applied_to(
        &self,
        before: &Customer,
        _tx: &WriteTx<'_>,
    ) -> Result<Customer, AdminError> {
        let mut customer = before.clone();
        replace(&mut customer.display_name, self.display_name.as_ref());
        replace(&mut customer.description, self.description.as_ref());
        replace(&mut customer.limits, self.limits.as_ref());
        Ok(customer)
    }
}

/// All of a route map.
#[derive(Clone, Debug, Default)]
pub struct RoutesPatch(pub RouteMap);

impl Patch<DomainRoutes> for RoutesPatch {
    async fn applied_to(
        &self,
        before: &DomainRoutes,
        _tx: &WriteTx<'_>,
    ) -> Result<DomainRoutes, AdminError> {
        Ok(DomainRoutes { map: self.0.clone(), ..before.clone() })
    }
}

/// All of a catalogue.
#[derive(Clone, Debug, Default)]
pub struct CataloguePatch(pub CatalogueEntries);

impl Patch<Catalogue> for CataloguePatch {
    async fn applied_to(
        &self,
        before: &Catalogue,
        _tx: &WriteTx<'_>,
    ) -> Result<Catalogue, AdminError> {
        Ok(Catalogue { entries: self.0.clone(), ..before.clone() })
    }
}

fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}
