//! The service `Insight`.

mod audit;
mod decisions;
mod jobs;
mod usage;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    admin::{Admin, Call},
    authorize::Hot,
    journal::tail::Tail,
    rpc::{caller::authenticate, pb},
};

/// Shows operators what was done and decided.
#[derive(Clone, Debug)]
pub struct InsightService {
    /// Judges the callers' keys.
    pub hot: Arc<Hot>,
    /// Finds what they want to know.
    pub admin: Arc<Admin>,
    /// Shows decisions to who watches.
    pub tail: Arc<Tail>,
    /// Cancelled when streams are to end.
    pub stop: CancellationToken,
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl InsightService {
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        authenticate((&self.hot, &self.admin.logins), request)
    }
}

#[tonic::async_trait]
impl pb::insight_server::Insight for InsightService {
    type ExportAuditEventsStream = Answers<pb::ExportAuditEventsResponse>;
    type VerifyAuditStream = Answers<pb::VerifyAuditResponse>;
    type WatchDecisionsStream = Answers<pb::WatchDecisionsResponse>;
    type WatchJobStream = Answers<pb::WatchJobResponse>;

    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Answer<pb::ListAuditEventsResponse> {
        audit::list(self, &request).await
    }

    async fn export_audit_events(
        &self,
        request: Request<pb::ExportAuditEventsRequest>,
    ) -> Answer<Self::ExportAuditEventsStream> {
        audit::export(self, &request).await
    }

    async fn verify_audit(
        &self,
        request: Request<pb::VerifyAuditRequest>,
    ) -> Answer<Self::VerifyAuditStream> {
        audit::verify(self, &request).await
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Answer<pb::ListDecisionsResponse> {
        decisions::list(self, &request).await
    }

    async fn watch_decisions(
        &self,
        request: Request<pb::WatchDecisionsRequest>,
    ) -> Answer<Self::WatchDecisionsStream> {
        decisions::watch(self, request)
    }

    async fn query_usage(
        &self,
        request: Request<pb::QueryUsageRequest>,
    ) -> Answer<pb::QueryUsageResponse> {
        usage::query(self, &request).await
    }

    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Answer<pb::GetJobResponse> {
        jobs::get(self, &request).await
    }

    async fn list_jobs(
        &self,
        request: Request<pb::ListJobsRequest>,
    ) -> Answer<pb::ListJobsResponse> {
        jobs::list(self, &request).await
    }

    async fn watch_job(
        &self,
        request: Request<pb::WatchJobRequest>,
    ) -> Answer<Self::WatchJobStream> {
        jobs::watch(self, &request).await
    }

    async fn cancel_job(
        &self,
        request: Request<pb::CancelJobRequest>,
    ) -> Answer<pb::CancelJobResponse> {
        jobs::cancel(self, &request).await
    }

    async fn list_job_errors(
        &self,
        request: Request<pb::ListJobErrorsRequest>,
    ) -> Answer<pb::ListJobErrorsResponse> {
        jobs::list_errors(self, &request).await
    }
}
