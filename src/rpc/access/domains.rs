//! Domains.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer};
use crate::{
    admin::{
        Written,
        things::{Switch, create_thing, get_thing, list_things, update_thing},
    },
    model::domain::Domain,
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreateDomainRequest>,
) -> Answer<pb::CreateDomainResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (domain, effect) = access::domain_in(request)?;
    let made = create_thing(&service.admin, &call, &domain, &(), effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let domain = Some(access::domain_out(&thing));
    Ok(Response::new(pb::CreateDomainResponse { domain, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetDomainRequest>,
) -> Answer<pb::GetDomainResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::domain_named(&request.name, "")?;
    let found = get_thing::<Domain>(&service.admin, &call, &target.name).await;
    let domain = Some(access::domain_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetDomainResponse { domain }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListDomainsRequest>,
) -> Answer<pb::ListDomainsResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        ..ListOf::default()
    };
    let page = list_things::<Domain>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let (shown, next_page_token) = list.shown(page, access::domain_out);
    Ok(Response::new(pb::ListDomainsResponse { domains: shown, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateDomainRequest>,
) -> Answer<pb::UpdateDomainResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::domain_patch(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let domain = Some(access::domain_out(&thing));
    Ok(Response::new(pb::UpdateDomainResponse { domain, revision }))
}

pub(super) async fn disable(
    service: &AccessAdminService,
    request: &Request<pb::DisableDomainRequest>,
) -> Answer<pb::DisableDomainResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::domain_named(&request.name, &request.etag)?;
    let switched = service.switched::<Domain>(&call, &target, Switch::Disable).await?;
    let Written { thing, revision } = switched;
    let domain = Some(access::domain_out(&thing));
    Ok(Response::new(pb::DisableDomainResponse { domain, revision }))
}

pub(super) async fn enable(
    service: &AccessAdminService,
    request: &Request<pb::EnableDomainRequest>,
) -> Answer<pb::EnableDomainResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::domain_named(&request.name, &request.etag)?;
    let switched = service.switched::<Domain>(&call, &target, Switch::Enable).await?;
    let Written { thing, revision } = switched;
    let domain = Some(access::domain_out(&thing));
    Ok(Response::new(pb::EnableDomainResponse { domain, revision }))
}
