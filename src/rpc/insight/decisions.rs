//! The decision log: decisions in pages, and as they are made.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use super::{Answer, Answers, InsightService};
use crate::{
    admin::{AdminError, insight::decisions},
    clock,
    journal::tail::Watcher,
    model::{decision::DecisionFilter, time::BootTime},
    rpc::{
        convert::{decision_list, decision_page_to_pb, decision_watch, shown_to_pb},
        pb, status,
    },
};

/// How often it is asked whether who watches still may.
const JUDGE_INTERVAL: Duration = Duration::from_secs(2);

pub(super) async fn list(
    service: &InsightService,
    request: &Request<pb::ListDecisionsRequest>,
) -> Answer<pb::ListDecisionsResponse> {
    let call = service.call(request)?;
    let (filter, page) = decision_list(request.get_ref())?;
    let listed = decisions::list_decisions(&service.admin, &call, filter, page).await;
    let page = listed.map_err(status::admin)?;
    Ok(Response::new(decision_page_to_pb(&page, request.get_ref())))
}

/// One who watches.
struct Watch {
    service: InsightService,
    /// What the stream was opened with, which says who watches.
    opening: Request<()>,
    /// What was asked to be shown.
    filter: DecisionFilter,
    watcher: Watcher,
    /// When who watches was last found to be one who may; `None`: when the stream was opened, and nothing was
    /// sent yet.
    judged: Option<BootTime>,
}

pub(super) fn watch(
    service: &InsightService,
    request: Request<pb::WatchDecisionsRequest>,
) -> Answer<Answers<pb::WatchDecisionsResponse>> {
    let call = service.call(&request)?;
    let filter = decision_watch(request.get_ref())?;
    let readable = decisions::readable(&call, filter.clone()).map_err(status::admin)?;
    let watcher = service.tail.watch(readable).map_err(|full| status::too_many_watchers(&full))?;
    let (metadata, extensions, _asked) = request.into_parts();
    let opening = Request::from_parts(metadata, extensions, ());
    let watch = Watch { service: service.clone(), opening, filter, watcher, judged: None };
    let shown = stream::unfold(Some(watch), async |state| {
        let mut watch = state?;
        match watch.next().await {
            Ok(shown) => Some((Ok(shown), Some(watch))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Ok(Response::new(shown.boxed()))
}

impl Watch {
    async fn next(&mut self) -> Result<pb::WatchDecisionsResponse, Status> {
        let Some(mut judged) = self.judged else {
            self.judged = Some(clock::boot());
            return Ok(pb::WatchDecisionsResponse::default());
        };
        loop {
            if clock::boot().since(judged) >= JUDGE_INTERVAL {
                self.judge()?;
                judged = clock::boot();
                self.judged = Some(judged);
            }
            let page = tokio::select! {
                () = self.service.stop.cancelled() => return Err(status::draining()),
                page = self.watcher.next() => page.ok_or_else(status::draining)?,
                () = sleep(JUDGE_INTERVAL) => continue,
            };
            let dropped = i64::try_from(self.watcher.take_dropped()).unwrap_or(i64::MAX);
            let decisions = shown_to_pb(&page, &self.watcher.filter);
            if !decisions.is_empty() || dropped > 0 {
                return Ok(pb::WatchDecisionsResponse { decisions, dropped });
            }
        }
    }

    /// Who opened the stream may have been stopped since, or be bound to other domains.
    fn judge(&self) -> Result<(), Status> {
        let call = self.service.call(&self.opening)?;
        let readable = decisions::readable(&call, self.filter.clone()).map_err(status::admin)?;
        if readable.domains == self.watcher.filter.domains {
            Ok(())
        } else {
            Err(status::admin(AdminError::CallerChanged))
        }
    }
}
