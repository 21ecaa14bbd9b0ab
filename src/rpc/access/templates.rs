//! Templates.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer, effect, known};
use crate::{
    admin::{
        Written,
        things::{Force, create_thing, delete_thing, get_thing, list_things, update_thing},
    },
    model::{name::TemplateName, template::Template},
    rpc::{
        convert::access::{self, ListOf},
        pb, status,
    },
};

pub(super) async fn create(
    service: &AccessAdminService,
    request: &Request<pb::CreateTemplateRequest>,
) -> Answer<pb::CreateTemplateResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (template, effect) = access::template_in(request)?;
    let made = create_thing(&service.admin, &call, &template, &(), effect).await;
    let Written { thing, revision } = service.written(made).await?;
    let template = Some(access::template_out(&thing));
    Ok(Response::new(pb::CreateTemplateResponse { template, revision }))
}

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetTemplateRequest>,
) -> Answer<pb::GetTemplateResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_of_all(&request.name, "", known(TemplateName::parse))?;
    let found = get_thing::<Template>(&service.admin, &call, &target.name).await;
    let template = Some(access::template_out(&found.map_err(status::admin)?));
    Ok(Response::new(pb::GetTemplateResponse { template }))
}

pub(super) async fn list(
    service: &AccessAdminService,
    request: &Request<pb::ListTemplatesRequest>,
) -> Answer<pb::ListTemplatesResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let list = ListOf {
        page_size: request.page_size,
        page_token: &request.page_token,
        search: &request.search,
        ..ListOf::default()
    };
    let page = list_things::<Template>(&service.admin, &call, list.parse()?).await;
    let page = page.map_err(status::admin)?;
    let (shown, next_page_token) = list.shown(page, access::template_out);
    Ok(Response::new(pb::ListTemplatesResponse { templates: shown, next_page_token }))
}

pub(super) async fn update(
    service: &AccessAdminService,
    request: &Request<pb::UpdateTemplateRequest>,
) -> Answer<pb::UpdateTemplateResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let (target, patch, effect) = access::template_patch(request)?;
    let result = update_thing(&service.admin, &call, ("update", &target), &patch, effect).await;
    let Written { thing, revision } = service.written(result).await?;
    let template = Some(access::template_out(&thing));
    Ok(Response::new(pb::UpdateTemplateResponse { template, revision }))
}

pub(super) async fn delete(
    service: &AccessAdminService,
    request: &Request<pb::DeleteTemplateRequest>,
) -> Answer<pb::DeleteTemplateResponse> {
    let call = service.call(request)?;
    let request = request.get_ref();
    let target = access::thing_of_all(&request.name, &request.etag, known(TemplateName::parse))?;
    let how = (Force::No, effect(request.validate_only));
    let gone = delete_thing::<Template>(&service.admin, &call, &target, how).await;
    let Written { revision, .. } = service.written(gone).await?;
    Ok(Response::new(pb::DeleteTemplateResponse { revision }))
}
