//! Customers.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer, effect, known};
use crate::{
    admin::{
        Written,
        things::{Force, create_thing, delete_thing, get_thing, list_things, update_thing},
    },
    model::customer::{Customer, CustomerId},
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreateCustomerRequest>,
) -> Answer<pb::CreateCustomerResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (customer, effect) = access::customer_in(request)?;
    let made = create_thing(&service.admin, &call, &customer, &(), effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let customer = Some(access::customer_out(&thing));
    Ok(Response::new(pb::CreateCustomerResponse { customer, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetCustomerRequest>,
) -> Answer<pb::GetCustomerResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_in_domain(
        (&request.domain, "id", &request.id),
        "",
        known(CustomerId::parse),
    )?;
    let found = get_thing::<Customer>(&service.admin, &call, &target.name).await;
    let customer = Some(access::customer_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetCustomerResponse { customer }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListCustomersRequest>,
) -> Answer<pb::ListCustomersResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        domain: &request.domain,
        ..ListOf::default()
    };
    let page = list_things::<Customer>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let (customers, next_page_token) = list.shown(page, access::customer_out);
    Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateCustomerRequest>,
) -> Answer<pb::UpdateCustomerResponse> {
    let call = service.call(request)?;
    let (target, patch, effect) = access::customer_patch(request.get_ref())?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let customer = Some(access::customer_out(&thing));
    Ok(Response::new(pb::UpdateCustomerResponse { customer, revision }))
}

pub(super) async fn delete(
    service: &AccessAdminService,
    request: &Request<pb::DeleteCustomerRequest>,
) -> Answer<pb::DeleteCustomerResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_in_domain(
        (&request.domain, "id", &request.id),
        &request.etag,
        known(CustomerId::parse),
    )?;
    let how = (Force::No, effect(request.validate_only));
    let gone = delete_thing::<Customer>(&service.admin, &call, &target, how).await;
    let Written { revision, .. } = service.written(gone).await?;
    Ok(Response::new(pb::DeleteCustomerResponse { revision }))
}
