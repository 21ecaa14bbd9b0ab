//! `Insight`: what was done, and whether the record of it is whole.

mod callers;
mod chained;
mod command;
mod listed;
mod logins;
mod older;
mod tampering;

use keyward::rpc::pb::{self, AuditEvent, AuditFilter, AuditVerdict};
use tonic::Status;

use crate::support::{
    client::{Admin, Insight, Made, create, new_key},
    operator::{NO_USES, Site},
};

/// All events that a filter lets through, page by page.
async fn list_by(
    insight: &mut Insight,
    filter: AuditFilter,
    page_size: i32,
) -> Result<Vec<AuditEvent>, Status> {
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(filter.clone());
        let request = pb::ListAuditEventsRequest { filter, page_size, page_token };
        let page = insight.list_audit_events(request).await?.into_inner();
        events.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(events);
        }
    }
}

/// The same in pages of the usual size.
async fn list(insight: &mut Insight, filter: AuditFilter) -> Vec<AuditEvent> {
    list_by(insight, filter, 0).await.unwrap()
}

/// The same as it is exported.
async fn export(insight: &mut Insight, filter: AuditFilter) -> Result<Vec<AuditEvent>, Status> {
    let request = pb::ExportAuditEventsRequest { filter: Some(filter) };
    let mut stream = insight.export_audit_events(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(message) = stream.message().await? {
        events.push(message.event.unwrap());
    }
    Ok(events)
}

/// The verdict on the chain, which comes last and once.
async fn verify(
    insight: &mut Insight,
    request: pb::VerifyAuditRequest,
) -> Result<(AuditVerdict, i64), Status> {
    let mut stream = insight.verify_audit(request).await?.into_inner();
    let mut verdict = None;
    while let Some(message) = stream.message().await? {
        assert!(verdict.is_none(), "something comes after the verdict");
        verdict = message.verdict.map(|verdict| (verdict, message.verified));
    }
    Ok(verdict.expect("there is a verdict"))
}

/// The verdict on the whole chain.
async fn verdict(site: &Site) -> AuditVerdict {
    let request = pb::VerifyAuditRequest::default();
    verify(&mut site.server.insight(), request).await.unwrap().0
}

/// A site of one's own with some changes made: one of root's, by `bootstrap`, and these keys.
async fn site_with(keys: usize) -> (Site, Vec<Made>) {
    let site = Site::start(&NO_USES).await;
    let mut made = Vec::new();
    for number in 0..keys {
        made.push(create(&mut site.admin(), new_key(&format!("Key {number}"))).await);
    }
    (site, made)
}

/// Stops a key for a while.
async fn deactivate(admin: &mut Admin, id: &str) -> i64 {
    let request = pb::DeactivateKeyRequest { id: id.into(), ..pb::DeactivateKeyRequest::default() };
    admin.deactivate_key(request).await.unwrap().into_inner().revision
}
