//! Permission groups.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer, effect, known};
use crate::{
    admin::{
        Written,
        things::{
            Force, catalogues, create_thing, delete_thing, get_thing, list_things, update_thing,
        },
    },
    model::{group::PermissionGroup, name::GroupName},
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreatePermissionGroupRequest>,
) -> Answer<pb::CreatePermissionGroupResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (group, effect) = access::group_in(request)?;
    let made = create_thing(&service.admin, &call, &group, &(), effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let group = Some(access::group_out(&thing, None));
    Ok(Response::new(pb::CreatePermissionGroupResponse { group, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetPermissionGroupRequest>,
) -> Answer<pb::GetPermissionGroupResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_in_domain(
        (&request.domain, "name", &request.name),
        "",
        known(GroupName::parse),
    )?;
    let found = get_thing::<PermissionGroup>(&service.admin, &call, &target.name).await;
    let group = found.map_err(status::admin)?;
    let catalogue = service.catalogue(&group.domain).await?;
    let group = Some(access::group_out(&group, catalogue.as_ref()));
    Ok(Response::new(pb::GetPermissionGroupResponse { group }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListPermissionGroupsRequest>,
) -> Answer<pb::ListPermissionGroupsResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        domain: &request.domain,
        ..ListOf::default()
    };
    let page = list_things::<PermissionGroup>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let domains = page.things.iter().map(|group| group.domain.clone()).collect();
    let known = catalogues(&service.admin, domains).await.map_err(status::admin)?;
    let (shown, next_page_token) =
        list.shown(page, |group| access::group_out(group, known.get(&group.domain)));
    Ok(Response::new(pb::ListPermissionGroupsResponse { groups: shown, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdatePermissionGroupRequest>,
) -> Answer<pb::UpdatePermissionGroupResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::group_patch(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let group = Some(access::group_out(&thing, None));
    Ok(Response::new(pb::UpdatePermissionGroupResponse { group, revision }))
}

pub(super) async fn delete(
    service: &AccessAdminService,
    request: &Request<pb::DeletePermissionGroupRequest>,
) -> Answer<pb::DeletePermissionGroupResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_in_domain(
        (&request.domain, "name", &request.name),
        &request.etag,
        known(GroupName::parse),
    )?;
    let force = if request.force { Force::Yes } else { Force::No };
    let how = (force, effect(request.validate_only));
    let gone = delete_thing::<PermissionGroup>(&service.admin, &call, &target, how).await;
    let Written { thing, revision } = service.written(gone).await?;
    Ok(Response::new(pb::DeletePermissionGroupResponse {
        revision,
        affected_keys: thing.keys,
        affected_users: thing.users,
    }))
}
