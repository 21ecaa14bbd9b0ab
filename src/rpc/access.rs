//! The service `AccessAdmin`.

mod catalogues;
mod customers;
mod domains;
mod environments;
mod groups;
mod quotas;
mod route_maps;
mod templates;
mod users;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    admin::{
        Admin, AdminError, Call, Effect, Written,
        things::{self, Managed, Patch, Switch, ThingTarget, update_thing},
    },
    authorize::Hot,
    model::{catalogue::Catalogue, name::DomainName},
    rpc::{caller::authenticate, pb, reached::Reached, status},
};

/// Answers operators about what keys share.
#[derive(Clone, Debug)]
pub struct AccessAdminService {
    /// Judges the callers' keys.
    pub hot: Arc<Hot>,
    /// Does what they want.
    pub admin: Arc<Admin>,
    /// Tells of the revisions that the replica reaches.
    pub reached: Reached,
}

type Answer<T> = Result<Response<T>, Status>;

impl AccessAdminService {
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        authenticate((&self.hot, &self.admin.logins), request)
    }

    /// What a change came to. Waits a moment for this process's own replica, so that who asks here
    /// next finds the change.
    async fn written<T>(
        &self,
        result: Result<Written<T>, AdminError>,
    ) -> Result<Written<T>, Status> {
        let written = result.map_err(status::admin)?;
        self.reached.wait_for(written.revision).await;
        Ok(written)
    }

    /// Stops all keys of something, or lets them work again.
    async fn switched<T: Managed>(
        &self,
        call: &Call,
        target: &ThingTarget,
        switch: Switch,
    ) -> Result<Written<T>, Status>
    where
        Switch: Patch<T>,
    {
        let verb = match switch {
            Switch::Disable => "disable",
            Switch::Enable => "enable",
        };
        let task = (verb, target);
        self.written(update_thing(&self.admin, call, task, &switch, Effect::Apply).await).await
    }

    /// What a domain calls its permissions.
    async fn catalogue(&self, domain: &DomainName) -> Result<Option<Catalogue>, Status> {
        let known = things::catalogues(&self.admin, vec![domain.clone()]).await;
        Ok(known.map_err(status::admin)?.remove(domain))
    }
}

/// Only whether a name is one.
fn known<T, E>(parse: impl Fn(&str) -> Result<T, E>) -> impl Fn(&str) -> Result<(), E> {
    move |text| parse(text).map(drop)
}

const fn effect(validate_only: bool) -> Effect {
    if validate_only { Effect::ValidateOnly } else { Effect::Apply }
}

#[tonic::async_trait]
impl pb::access_admin_server::AccessAdmin for AccessAdminService {
    async fn create_domain(
        &self,
        request: Request<pb::CreateDomainRequest>,
    ) -> Answer<pb::CreateDomainResponse> {
        domains::create(self, &request).await
    }

    async fn get_domain(
        &self,
        request: Request<pb::GetDomainRequest>,
    ) -> Answer<pb::GetDomainResponse> {
        domains::get(self, &request).await
    }

    async fn list_domains(
        &self,
        request: Request<pb::ListDomainsRequest>,
    ) -> Answer<pb::ListDomainsResponse> {
        domains::list(self, &request).await
    }

    async fn update_domain(
        &self,
        request: Request<pb::UpdateDomainRequest>,
    ) -> Answer<pb::UpdateDomainResponse> {
        domains::update(self, &request).await
    }

    async fn disable_domain(
        &self,
        request: Request<pb::DisableDomainRequest>,
    ) -> Answer<pb::DisableDomainResponse> {
        domains::disable(self, &request).await
    }

    async fn enable_domain(
        &self,
        request: Request<pb::EnableDomainRequest>,
    ) -> Answer<pb::EnableDomainResponse> {
        domains::enable(self, &request).await
    }

    async fn get_catalogue(
        &self,
        request: Request<pb::GetCatalogueRequest>,
    ) -> Answer<pb::GetCatalogueResponse> {
        catalogues::get(self, &request).await
    }

    async fn update_catalogue(
        &self,
        request: Request<pb::UpdateCatalogueRequest>,
    ) -> Answer<pb::UpdateCatalogueResponse> {
        catalogues::update(self, &request).await
    }

    async fn get_route_map(
        &self,
        request: Request<pb::GetRouteMapRequest>,
    ) -> Answer<pb::GetRouteMapResponse> {
        route_maps::get(self, &request).await
    }

    async fn update_route_map(
        &self,
        request: Request<pb::UpdateRouteMapRequest>,
    ) -> Answer<pb::UpdateRouteMapResponse> {
        route_maps::update(self, &request).await
    }

    async fn create_environment(
        &self,
        request: Request<pb::CreateEnvironmentRequest>,
    ) -> Answer<pb::CreateEnvironmentResponse> {
        environments::create(self, &request).await
    }

    async fn get_environment(
        &self,
        request: Request<pb::GetEnvironmentRequest>,
    ) -> Answer<pb::GetEnvironmentResponse> {
        environments::get(self, &request).await
    }

    async fn list_environments(
        &self,
        request: Request<pb::ListEnvironmentsRequest>,
    ) -> Answer<pb::ListEnvironmentsResponse> {
        environments::list(self, &request).await
    }

    async fn update_environment(
        &self,
        request: Request<pb::UpdateEnvironmentRequest>,
    ) -> Answer<pb::UpdateEnvironmentResponse> {
        environments::update(self, &request).await
    }

    async fn delete_environment(
        &self,
        request: Request<pb::DeleteEnvironmentRequest>,
    ) -> Answer<pb::DeleteEnvironmentResponse> {
        environments::delete(self, &request).await
    }

    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Answer<pb::CreateUserResponse> {
        users::create(self, &request).await
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Answer<pb::GetUserResponse> {
        users::get(self, &request).await
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Answer<pb::ListUsersResponse> {
        users::list(self, &request).await
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Answer<pb::UpdateUserResponse> {
        users::update(self, &request).await
    }

    async fn disable_user(
        &self,
        request: Request<pb::DisableUserRequest>,
    ) -> Answer<pb::DisableUserResponse> {
        users::disable(self, &request).await
    }

    async fn enable_user(
        &self,
        request: Request<pb::EnableUserRequest>,
    ) -> Answer<pb::EnableUserResponse> {
        users::enable(self, &request).await
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Answer<pb::DeleteUserResponse> {
        users::delete(self, &request).await
    }

    async fn create_permission_group(
        &self,
        request: Request<pb::CreatePermissionGroupRequest>,
    ) -> Answer<pb::CreatePermissionGroupResponse> {
        groups::create(self, &request).await
    }

    async fn get_permission_group(
        &self,
        request: Request<pb::GetPermissionGroupRequest>,
    ) -> Answer<pb::GetPermissionGroupResponse> {
        groups::get(self, &request).await
    }

    async fn list_permission_groups(
        &self,
        request: Request<pb::ListPermissionGroupsRequest>,
    ) -> Answer<pb::ListPermissionGroupsResponse> {
        groups::list(self, &request).await
    }

    async fn update_permission_group(
        &self,
        request: Request<pb::UpdatePermissionGroupRequest>,
    ) -> Answer<pb::UpdatePermissionGroupResponse> {
        groups::update(self, &request).await
    }

    async fn delete_permission_group(
        &self,
        request: Request<pb::DeletePermissionGroupRequest>,
    ) -> Answer<pb::DeletePermissionGroupResponse> {
        groups::delete(self, &request).await
    }

    async fn create_template(
        &self,
        request: Request<pb::CreateTemplateRequest>,
    ) -> Answer<pb::CreateTemplateResponse> {
        templates::create(self, &request).await
    }

    async fn get_template(
        &self,
        request: Request<pb::GetTemplateRequest>,
    ) -> Answer<pb::GetTemplateResponse> {
        templates::get(self, &request).await
    }

    async fn list_templates(
        &self,
        request: Request<pb::ListTemplatesRequest>,
    ) -> Answer<pb::ListTemplatesResponse> {
        templates::list(self, &request).await
    }

    async fn update_template(
        &self,
        request: Request<pb::UpdateTemplateRequest>,
    ) -> Answer<pb::UpdateTemplateResponse> {
        templates::update(self, &request).await
    }

    async fn delete_template(
        &self,
        request: Request<pb::DeleteTemplateRequest>,
    ) -> Answer<pb::DeleteTemplateResponse> {
        templates::delete(self, &request).await
    }

    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Answer<pb::CreateCustomerResponse> {
        customers::create(self, &request).await
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Answer<pb::GetCustomerResponse> {
        customers::get(self, &request).await
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Answer<pb::ListCustomersResponse> {
        customers::list(self, &request).await
    }

    async fn update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Answer<pb::UpdateCustomerResponse> {
        customers::update(self, &request).await
    }

    async fn delete_customer(
        &self,
        request: Request<pb::DeleteCustomerRequest>,
    ) -> Answer<pb::DeleteCustomerResponse> {
        customers::delete(self, &request).await
    }

    async fn get_quota_usage(
        &self,
        request: Request<pb::GetQuotaUsageRequest>,
    ) -> Answer<pb::GetQuotaUsageResponse> {
        quotas::get(self, &request).await
    }

    async fn adjust_quota(
        &self,
        request: Request<pb::AdjustQuotaRequest>,
    ) -> Answer<pb::AdjustQuotaResponse> {
        quotas::adjust(self, &request).await
    }
}
