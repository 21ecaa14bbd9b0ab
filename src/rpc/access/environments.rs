//! Environments.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer, effect, known};
use crate::{
    admin::{
        Written,
        things::{Force, create_thing, delete_thing, get_thing, list_things, update_thing},
    },
    model::{environment::Environment, name::EnvironmentName},
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreateEnvironmentRequest>,
) -> Answer<pb::CreateEnvironmentResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (environment, effect) = access::environment_in(request)?;
    let made = create_thing(&service.admin, &call, &environment, &(), effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let environment = Some(access::environment_out(&thing));
    Ok(Response::new(pb::CreateEnvironmentResponse { environment, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetEnvironmentRequest>,
) -> Answer<pb::GetEnvironmentResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_of_all(&request.name, "", known(EnvironmentName::parse))?;
    let found = get_thing::<Environment>(&service.admin, &call, &target.name).await;
    let environment = Some(access::environment_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetEnvironmentResponse { environment }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListEnvironmentsRequest>,
) -> Answer<pb::ListEnvironmentsResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        ..ListOf::default()
    };
    let page = list_things::<Environment>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let (shown, next_page_token) = list.shown(page, access::environment_out);
    Ok(Response::new(pb::ListEnvironmentsResponse { environments: shown, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateEnvironmentRequest>,
) -> Answer<pb::UpdateEnvironmentResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::environment_patch(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let environment = Some(access::environment_out(&thing));
    Ok(Response::new(pb::UpdateEnvironmentResponse { environment, revision }))
}

pub(super) async fn delete(
    service: &AccessAdminService,
    request: &Request<pb::DeleteEnvironmentRequest>,
) -> Answer<pb::DeleteEnvironmentResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_of_all(&request.name, &request.etag, known(EnvironmentName::parse))?;
    let how = (Force::No, effect(request.validate_only));
    let gone = delete_thing::<Environment>(&service.admin, &call, &target, how).await;
    let Written { revision, .. } = service.written(gone).await?;
    Ok(Response::new(pb::DeleteEnvironmentResponse { revision }))
}
