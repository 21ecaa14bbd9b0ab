//! What was used of quotas.

use tonic::{Request, Response};

use super::{AccessAdminService, Answer};
use crate::{
    admin::{
        Written,
        quota::{adjust_quota, quota_usage},
    },
    rpc::{
        convert::access::{self, QuotaTask},
        pb, status,
    },
};

pub(super) async fn get(
    service: &AccessAdminService,
    request: &Request<pb::GetQuotaUsageRequest>,
) -> Answer<pb::GetQuotaUsageResponse> {
    let call = service.call(request)?;
    let owner = access::owner_in(request.get_ref())?;
    let usages = quota_usage(&service.admin, &call, &owner).await.map_err(status::admin)?;
    let quotas = usages.iter().map(access::quota_out).collect();
    Ok(Response::new(pb::GetQuotaUsageResponse { quotas }))
}

pub(super) async fn adjust(
    service: &AccessAdminService,
    request: &Request<pb::AdjustQuotaRequest>,
) -> Answer<pb::AdjustQuotaResponse> {
    let call = service.call(request)?;
    let QuotaTask { owner, name, adjustment, effect } = access::adjustment(request.get_ref())?;
    let adjusted = adjust_quota(&service.admin, &call, (&owner, &name), adjustment, effect).await;
    let Written { thing, revision } = service.written(adjusted).await?;
    let quota = Some(access::quota_out(&thing));
    Ok(Response::new(pb::AdjustQuotaResponse { quota, revision }))
}
