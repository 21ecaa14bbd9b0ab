//! Jobs: shown, watched and ended.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tonic::{Request, Response};

use super::{Answer, Answers, InsightService};
use crate::{
    admin::{Admin, AdminError, Call, jobs},
    model::job::{Job, JobId},
    rpc::{
        convert::{error_page_to_pb, job_errors, job_id, job_list, job_page_to_pb, job_to_pb},
        pb, status,
    },
};

/// How often a watched job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn get(
    service: &InsightService,
    request: &Request<pb::GetJobRequest>,
) -> Answer<pb::GetJobResponse> {
    let call = service.call(request)?;
    let id = job_id(&request.get_ref().id)?;
    let job = jobs::get_job(&service.admin, &call, id).await.map_err(status::admin)?;
    Ok(Response::new(pb::GetJobResponse { job: Some(job_to_pb(&job)) }))
}

pub(super) async fn list(
    service: &InsightService,
    request: &Request<pb::ListJobsRequest>,
) -> Answer<pb::ListJobsResponse> {
    let call = service.call(request)?;
    let filter = job_list(request.get_ref())?;
    let page = jobs::list_jobs(&service.admin, &call, filter).await.map_err(status::admin)?;
    Ok(Response::new(job_page_to_pb(&page, request.get_ref())))
}

pub(super) async fn cancel(
    service: &InsightService,
    request: &Request<pb::CancelJobRequest>,
) -> Answer<pb::CancelJobResponse> {
    let call = service.call(request)?;
    let id = job_id(&request.get_ref().id)?;
    let job = jobs::cancel_job(&service.admin, &call, id).await.map_err(status::admin)?;
    Ok(Response::new(pb::CancelJobResponse { job: Some(job_to_pb(&job)) }))
}

pub(super) async fn list_errors(
    service: &InsightService,
    request: &Request<pb::ListJobErrorsRequest>,
) -> Answer<pb::ListJobErrorsResponse> {
    let call = service.call(request)?;
    let (place, size) = job_errors(request.get_ref())?;
    let page = jobs::list_job_errors(&service.admin, &call, place, size).await;
    let page = page.map_err(status::admin)?;
    Ok(Response::new(error_page_to_pb(&page, request.get_ref())))
}

pub(super) async fn watch(
    service: &InsightService,
    request: &Request<pb::WatchJobRequest>,
) -> Answer<Answers<pb::WatchJobResponse>> {
    let call = service.call(request)?;
    let id = job_id(&request.get_ref().id)?;
    let job = jobs::get_job(&service.admin, &call, id).await.map_err(status::admin)?;
    let (admin, stop) = (Arc::clone(&service.admin), service.stop.clone());
    let watched = stream::try_unfold(Watched::First(job), move |watched| {
        let (admin, call, stop) = (Arc::clone(&admin), call.clone(), stop.clone());
        async move {
            let next = next(&admin, (&call, id), watched);
            match stop.run_until_cancelled(next).await {
                Some(next) => next.map_err(status::admin),
                None => Err(status::draining()),
            }
        }
    });
    Ok(Response::new(watched.boxed()))
}

/// What was told of a job.
enum Watched {
    /// Nothing yet; it is this.
    First(Job),
    /// It was this.
    Told(Job),
}

type Next = Result<Option<(pb::WatchJobResponse, Watched)>, AdminError>;

/// The next news of a job, or the end.
async fn next(admin: &Admin, (call, id): (&Call, JobId), watched: Watched) -> Next {
    let before = match watched {
        Watched::First(job) => return Ok(Some(told(job))),
        Watched::Told(job) if job.state.is_end() => return Ok(None),
        Watched::Told(job) => job,
    };
    loop {
        sleep(LOOK_EVERY).await;
        let job = jobs::get_job(admin, call, id).await?;
        if job != before {
            return Ok(Some(told(job)));
        }
    }
}

fn told(job: Job) -> (pb::WatchJobResponse, Watched) {
    (pb::WatchJobResponse { job: Some(job_to_pb(&job)) }, Watched::Told(job))
}
