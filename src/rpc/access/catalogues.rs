//! Catalogues.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer};
use crate::{
    admin::{
        Written,
        things::{get_thing, update_thing},
    },
    model::catalogue::Catalogue,
    rpc::{convert::access, pb, status},
};

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetCatalogueRequest>,
) -> Answer<pb::GetCatalogueResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let name = access::of_domain(&request.domain)?;
    let found = get_thing::<Catalogue>(&service.admin, &call, &name).await;
    let catalogue = Some(access::catalogue_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetCatalogueResponse { catalogue }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateCatalogueRequest>,
) -> Answer<pb::UpdateCatalogueResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::catalogue_in(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let catalogue = Some(access::catalogue_out(&thing));
    Ok(Response::new(pb::UpdateCatalogueResponse { catalogue, revision }))
}
