//! Route maps.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer};
use crate::{
    admin::{
        Written,
        things::{get_thing, update_thing},
    },
    model::domain::DomainRoutes,
    rpc::{convert::access, pb, status},
};

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetRouteMapRequest>,
) -> Answer<pb::GetRouteMapResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let name = access::of_domain(&request.domain)?;
    let found = get_thing::<DomainRoutes>(&service.admin, &call, &name).await;
    let route_map = Some(access::routes_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetRouteMapResponse { route_map }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateRouteMapRequest>,
) -> Answer<pb::UpdateRouteMapResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::routes_in(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let route_map = Some(access::routes_out(&thing));
    Ok(Response::new(pb::UpdateRouteMapResponse { route_map, revision }))
}
