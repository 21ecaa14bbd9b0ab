//! How much keys are used.

use tonic::{Request, Response};

use super::{Answer, InsightService};
use crate::{
    admin::insight::usage,
    rpc::{
        convert::{usage_query, usage_to_pb},
        pb, status,
    },
};

pub(super) async fn query(
    service: &InsightService,
    request: &Request<pb::QueryUsageRequest>,
) -> Answer<pb::QueryUsageResponse> {
    let call = service.call(request)?;
    let query = usage_query(request.get_ref())?;
    let found = usage::query_usage(&service.admin, &call, query).await;
    let table = found.map_err(status::admin)?;
    Ok(Response::new(usage_to_pb(&table, request.get_ref())))
}
