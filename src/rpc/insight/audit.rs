//! The audit: events in pages and as a stream, and whether they are whole.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use tonic::{Request, Response};

use super::{Answer, Answers, InsightService};
use crate::{
    admin::{Admin, AdminError, insight::audit},
    model::{
        audit::{AuditFilter, AuditOrder, AuditPageRequest, AuditPlace},
        list::PageSize,
    },
    rpc::{
        convert::{
            audit_event_to_pb, audit_export, audit_list, audit_page_to_pb, audit_verify,
            progress_to_pb,
        },
        pb, status,
    },
    store::audit::{list::AuditEvent, verify::Verification},
};

/// How many events an export reads at once.
const EXPORTED_TOGETHER: PageSize = PageSize::DEFAULT;
/// A verification tells how far it has come after so many events.
const TOLD_EVERY: i64 = 10_000;

pub(super) async fn list(
    service: &InsightService,
    request: &Request<pb::ListAuditEventsRequest>,
) -> Answer<pb::ListAuditEventsResponse> {
    let call = service.call(request)?;
    let (filter, page) = audit_list(request.get_ref())?;
    let listed = async {
        let filter = audit::readable(&service.admin, &call, filter).await?;
        audit::list_audit_events(&service.admin, &filter, &page).await
    };
    let page = listed.await.map_err(status::admin)?;
    Ok(Response::new(audit_page_to_pb(&page, request.get_ref())))
}

pub(super) async fn export(
    service: &InsightService,
    request: &Request<pb::ExportAuditEventsRequest>,
) -> Answer<Answers<pb::ExportAuditEventsResponse>> {
    let call = service.call(request)?;
    let filter = audit_export(request.get_ref())?;
    let filter = audit::readable(&service.admin, &call, filter).await.map_err(status::admin)?;
    let events = exported(Arc::clone(&service.admin), filter);
    let answers = events
        .map_ok(|event| pb::ExportAuditEventsResponse { event: Some(audit_event_to_pb(&event)) })
        .map_err(status::admin);
    Ok(Response::new(answers.boxed()))
}

/// All events that a filter lets through, the oldest first. Some are read when those before are taken.
fn exported(
    admin: Arc<Admin>,
    filter: AuditFilter,
) -> impl stream::Stream<Item = Result<AuditEvent, AdminError>> + Send {
    let next = move |start: Option<Option<AuditPlace>>| {
        let (admin, filter) = (Arc::clone(&admin), filter.clone());
        async move {
            let Some(after) = start else { return Ok::<_, AdminError>(None) };
            let order = AuditOrder::OldestFirst;
            let request = AuditPageRequest { order, size: EXPORTED_TOGETHER, after };
            let page = audit::list_audit_events(&admin, &filter, &request).await?;
            let events = stream::iter(page.events.into_iter().map(Ok));
            Ok(Some((events, page.next.map(Some))))
        }
    };
    stream::try_unfold(Some(None), next).try_flatten()
}

pub(super) async fn verify(
    service: &InsightService,
    request: &Request<pb::VerifyAuditRequest>,
) -> Answer<Answers<pb::VerifyAuditResponse>> {
    let call = service.call(request)?;
    let (revisions, known) = audit_verify(request.get_ref())?;
    let begun = audit::verify_audit(&service.admin, &call, revisions, known).await;
    let verification = begun.map_err(status::admin)?;
    let answers = stream::try_unfold(Some(verification), |verification| async {
        match verification {
            Some(verification) => told(verification).await.map(Some),
            None => Ok(None),
        }
    });
    Ok(Response::new(answers.map_err(status::admin).boxed()))
}

/// The next message of a verification, and the rest of it.
async fn told(
    mut verification: Verification,
) -> Result<(pb::VerifyAuditResponse, Option<Verification>), AdminError> {
    let tell_at = verification.progress().verified.saturating_add(TOLD_EVERY);
    loop {
        let verdict = verification.advance().await?;
        let progress = verification.progress();
        if verdict.is_some() {
            return Ok((progress_to_pb(progress, verdict.as_ref()), None));
        }
        if progress.verified >= tell_at {
            return Ok((progress_to_pb(progress, None), Some(verification)));
        }
    }
}
