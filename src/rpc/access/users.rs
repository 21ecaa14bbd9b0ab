//! Users.

use tonic::{Request, Response, Status};

use super::{AccessAdminService, Answer, effect, known};
use crate::{
    admin::{
        Written,
        things::{
            Force, Switch, ThingTarget, catalogues, create_thing, delete_thing, get_thing,
            list_things, update_thing,
        },
    },
    model::user::{User, UserId},
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

fn named(domain: &str, id: &str, etag: &str) -> Result<ThingTarget, Status> {
    access::thing_in_domain((domain, "id", id), etag, known(UserId::parse))
}

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreateUserRequest>,
) -> Answer<pb::CreateUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (user, rest, effect) = access::user_in(request)?;
    let made = create_thing(&service.admin, &call, &user, &rest, effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let user = Some(access::user_out(&thing, None));
    Ok(Response::new(pb::CreateUserResponse { user, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetUserRequest>,
) -> Answer<pb::GetUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = named(&request.domain, &request.id, "")?;
    let found = get_thing::<User>(&service.admin, &call, &target.name).await;
    let user = found.map_err(status::admin)?;
    let catalogue = service.catalogue(&user.domain).await?;
    let user = Some(access::user_out(&user, catalogue.as_ref()));
    Ok(Response::new(pb::GetUserResponse { user }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListUsersRequest>,
) -> Answer<pb::ListUsersResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        domain: &request.domain,
        kind: request.kind,
        group: &request.group,
    };
    let page = list_things::<User>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let domains = page.things.iter().map(|user| user.domain.clone()).collect();
    let known = catalogues(&service.admin, domains).await.map_err(status::admin)?;
    let (shown, next_page_token) =
        list.shown(page, |user| access::user_out(user, known.get(&user.domain)));
    Ok(Response::new(pb::ListUsersResponse { users: shown, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateUserRequest>,
) -> Answer<pb::UpdateUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::user_patch(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let user = Some(access::user_out(&thing, None));
    Ok(Response::new(pb::UpdateUserResponse { user, revision }))
}

pub(super) async fn disable(
    service: &AccessAdminService,
    request: &Request<pb::DisableUserRequest>,
) -> Answer<pb::DisableUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = named(&request.domain, &request.id, &request.etag)?;
    let switched = service.switched::<User>(&call, &target, Switch::Disable).await?;
    let Written { thing, revision } = switched;
    let user = Some(access::user_out(&thing, None));
    Ok(Response::new(pb::DisableUserResponse { user, revision }))
}

pub(super) async fn enable(
    service: &AccessAdminService,
    request: &Request<pb::EnableUserRequest>,
) -> Answer<pb::EnableUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = named(&request.domain, &request.id, &request.etag)?;
    let switched = service.switched::<User>(&call, &target, Switch::Enable).await?;
    let Written { thing, revision } = switched;
    let user = Some(access::user_out(&thing, None));
    Ok(Response::new(pb::EnableUserResponse { user, revision }))
}

pub(super) async fn delete(
    service: &AccessAdminService,
    request: &Request<pb::DeleteUserRequest>,
) -> Answer<pb::DeleteUserResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = named(&request.domain, &request.id, &request.etag)?;
    let how = (Force::No, effect(request.validate_only));
    let gone = delete_thing::<User>(&service.admin, &call, &target, how).await;
    let Written { revision, .. } = service.written(gone).await?;
    Ok(Response::new(pb::DeleteUserResponse { revision }))
}
