//! Every call of the service, well-formed, on things that are made for it.

use keyward::rpc::pb::{
    self, adjust_quota_request::Adjustment, limit_owner::Thing as LimitedThing,
};
use tonic::Status;

use super::{Removable, Thing, fresh, made, present};
use crate::support::{client::Access, operator::Site};

/// The calls and the permission that each needs.
pub(super) const RPCS: [(&str, &str); 39] = [
    ("CreateDomain", "keyward.domains.write"),
    ("GetDomain", "keyward.domains.read"),
    ("ListDomains", "keyward.domains.read"),
    ("UpdateDomain", "keyward.domains.write"),
    ("DisableDomain", "keyward.domains.write"),
    ("EnableDomain", "keyward.domains.write"),
    ("GetCatalogue", "keyward.domains.read"),
    ("UpdateCatalogue", "keyward.domains.write"),
    ("GetRouteMap", "keyward.routes.read"),
    ("UpdateRouteMap", "keyward.routes.write"),
    ("CreateEnvironment", "keyward.environments.write"),
    ("GetEnvironment", "keyward.environments.read"),
    ("ListEnvironments", "keyward.environments.read"),
    ("UpdateEnvironment", "keyward.environments.write"),
    ("DeleteEnvironment", "keyward.environments.delete"),
    ("CreateUser", "keyward.users.write"),
    ("GetUser", "keyward.users.read"),
    ("ListUsers", "keyward.users.read"),
    ("UpdateUser", "keyward.users.write"),
    ("DisableUser", "keyward.users.write"),
    ("EnableUser", "keyward.users.write"),
    ("DeleteUser", "keyward.users.delete"),
    ("CreatePermissionGroup", "keyward.groups.write"),
    ("GetPermissionGroup", "keyward.groups.read"),
    ("ListPermissionGroups", "keyward.groups.read"),
    ("UpdatePermissionGroup", "keyward.groups.write"),
    ("DeletePermissionGroup", "keyward.groups.delete"),
    ("CreateTemplate", "keyward.templates.write"),
    ("GetTemplate", "keyward.templates.read"),
    ("ListTemplates", "keyward.templates.read"),
    ("UpdateTemplate", "keyward.templates.write"),
    ("DeleteTemplate", "keyward.templates.delete"),
    ("CreateCustomer", "keyward.customers.write"),
    ("GetCustomer", "keyward.customers.read"),
    ("ListCustomers", "keyward.customers.read"),
    ("UpdateCustomer", "keyward.customers.write"),
    // of the customer; of other things in `quota_callers`
    ("GetQuotaUsage", "keyward.customers.read"),
    ("AdjustQuota", "keyward.customers.write"),
    ("DeleteCustomer", "keyward.customers.delete"),
];

/// What calls are made on: one thing of each kind, and one of each that is not made yet.
pub(super) struct Things {
    pub(super) domain: pb::Domain,
    pub(super) environment: pb::Environment,
    pub(super) user: pb::User,
    pub(super) group: pb::PermissionGroup,
    pub(super) template: pb::Template,
    pub(super) customer: pb::Customer,
    new: New,
}

/// One of each kind that is not made yet.
struct New {
    domain: pb::Domain,
    environment: pb::Environment,
    user: pb::User,
    group: pb::PermissionGroup,
    template: pb::Template,
    customer: pb::Customer,
}

impl Things {
    pub(super) async fn new(site: &Site) -> Self {
        let group = pb::PermissionGroup::whole(site).await;
        Self {
            domain: made(site, pb::Domain::whole(site).await).await,
            environment: made(site, pb::Environment::whole(site).await).await,
            user: made(site, pb::User::whole(site).await).await,
            group: made(site, group.clone()).await,
            template: made(site, pb::Template::whole(site).await).await,
            customer: made(site, pb::Customer::whole(site).await).await,
            new: New {
                domain: pb::Domain::whole(site).await,
                environment: pb::Environment::whole(site).await,
                user: pb::User::whole(site).await,
                group: pb::PermissionGroup { name: fresh("group"), ..group },
                template: pb::Template::whole(site).await,
                customer: pb::Customer::whole(site).await,
            },
        }
    }

    /// Makes the call of this name.
    pub(super) async fn call(&self, access: &mut Access, rpc: &str) -> Result<(), Status> {
        let name = self.domain.name.clone();
        match rpc {
            "DisableDomain" => {
                let request = pb::DisableDomainRequest { name, etag: String::new() };
                access.disable_domain(request).await.map(drop)
            }
            "EnableDomain" => {
                let request = pb::EnableDomainRequest { name, etag: String::new() };
                access.enable_domain(request).await.map(drop)
            }
            "GetCatalogue" => {
                let request = pb::GetCatalogueRequest { domain: name };
                access.get_catalogue(request).await.map(drop)
            }
            "UpdateCatalogue" => {
                let catalogue = pb::Catalogue { domain: name, ..pb::Catalogue::default() };
                let catalogue = Some(catalogue);
                let request = pb::UpdateCatalogueRequest { catalogue, validate_only: false };
                access.update_catalogue(request).await.map(drop)
            }
            "GetRouteMap" => {
                let request = pb::GetRouteMapRequest { domain: name };
                access.get_route_map(request).await.map(drop)
            }
            "UpdateRouteMap" => {
                let route_map = Some(pb::RouteMap { domain: name, ..pb::RouteMap::default() });
                let request = pb::UpdateRouteMapRequest { route_map, validate_only: false };
                access.update_route_map(request).await.map(drop)
            }
            "DisableUser" => {
                let pb::User { domain, id, .. } = self.user.clone();
                let request = pb::DisableUserRequest { domain, id, etag: String::new() };
                access.disable_user(request).await.map(drop)
            }
            "EnableUser" => {
                let pb::User { domain, id, .. } = self.user.clone();
                let request = pb::EnableUserRequest { domain, id, etag: String::new() };
                access.enable_user(request).await.map(drop)
            }
            "GetQuotaUsage" => {
                let request = pb::GetQuotaUsageRequest { owner: Some(self.owner()) };
                access.get_quota_usage(request).await.map(drop)
            }
            "AdjustQuota" => {
                let request = pb::AdjustQuotaRequest {
                    owner: Some(self.owner()),
                    quota: "much".into(),
                    adjustment: Some(Adjustment::Used(7)),
                    validate_only: false,
                };
                access.adjust_quota(request).await.map(drop)
            }
            _ => self.usual_call(access, rpc).await,
        }
    }

    /// The customer, as what has limits.
    fn owner(&self) -> pb::LimitOwner {
        let pb::Customer { domain, id, .. } = self.customer.clone();
        pb::LimitOwner { domain, thing: Some(LimitedThing::Customer(id)) }
    }

    /// One of those that most kinds have.
    async fn usual_call(&self, access: &mut Access, rpc: &str) -> Result<(), Status> {
        let kind = rpc[1..].find(|char: char| char.is_ascii_uppercase()).unwrap() + 1;
        let (verb, kind) = rpc.split_at(kind);
        match (verb, kind) {
            ("List", kind) => list(access, kind).await,
            ("Delete", "Environment") => {
                present(&self.environment).delete(access, false).await.map(drop)
            }
            ("Delete", "User") => present(&self.user).delete(access, false).await.map(drop),
            ("Delete", "PermissionGroup") => {
                present(&self.group).delete(access, false).await.map(drop)
            }
            ("Delete", "Template") => present(&self.template).delete(access, false).await.map(drop),
            ("Delete", "Customer") => present(&self.customer).delete(access, false).await.map(drop),
            (_, "Domain") => usual(access, verb, &self.domain, &self.new.domain).await,
            (_, "Environment") => {
                usual(access, verb, &self.environment, &self.new.environment).await
            }
            (_, "User") => usual(access, verb, &self.user, &self.new.user).await,
            (_, "PermissionGroup") => usual(access, verb, &self.group, &self.new.group).await,
            (_, "Template") => usual(access, verb, &self.template, &self.new.template).await,
            (_, "Customer") => usual(access, verb, &self.customer, &self.new.customer).await,
            _ => panic!("{rpc}"),
        }
    }
}

async fn usual<T: Thing>(
    access: &mut Access,
    verb: &str,
    there: &T,
    new: &T,
) -> Result<(), Status> {
    match verb {
        "Create" => new.create(access, false).await.map(drop),
        "Get" => there.get(access).await.map(drop),
        "Update" => present(there).update(access, &["description"], false).await.map(drop),
        _ => panic!("{verb}"),
    }
}

async fn list(access: &mut Access, kind: &str) -> Result<(), Status> {
    match kind {
        "Domains" => access.list_domains(pb::ListDomainsRequest::default()).await.map(drop),
        "Environments" => {
            access.list_environments(pb::ListEnvironmentsRequest::default()).await.map(drop)
        }
        "Users" => access.list_users(pb::ListUsersRequest::default()).await.map(drop),
        "PermissionGroups" => {
            let request = pb::ListPermissionGroupsRequest::default();
            access.list_permission_groups(request).await.map(drop)
        }
        "Templates" => access.list_templates(pb::ListTemplatesRequest::default()).await.map(drop),
        "Customers" => access.list_customers(pb::ListCustomersRequest::default()).await.map(drop),
        _ => panic!("{kind}"),
    }
}
