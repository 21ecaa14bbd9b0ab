//! One stream of requests.

use std::sync::Arc;

use futures_util::{StreamExt, stream, stream::BoxStream};
use tonic::{Request, Status, Streaming};

use super::AuthorizeService;
use crate::{
    metrics::Cause,
    model::decision::Way,
    rpc::{
        status,
        wire::{
            answer::Answer,
            codec::{Asking, One},
        },
    },
};

/// What a stream may have had on its way when the server was told to stop.
const OVERTIME_REQUESTS_MAX: usize = 1000;

/// One stream of requests.
pub(super) struct Conversation {
    service: Arc<AuthorizeService>,
    /// What the stream was opened with, which says who asks.
    opening: Request<()>,
    requests: Streaming<Asking<One>>,
    /// How many requests were answered since the server was told to stop.
    overtime: usize,
}

impl Conversation {
    /// Begins with what a stream was opened with.
    pub(super) fn begin(
        service: Arc<AuthorizeService>,
        request: Request<Streaming<Asking<One>>>,
    ) -> Self {
        let (metadata, extensions, requests) = request.into_parts();
        let opening = Request::from_parts(metadata, extensions, ());
        Self { service, opening, requests, overtime: 0 }
    }

    /// All answers, in the order of the requests. An error is the last item.
    pub(super) fn answers(self) -> BoxStream<'static, Result<Answer, Status>> {
        let answers = stream::unfold(Some(self), async |state| {
            let mut conversation = state?;
            match conversation.next().await.transpose()? {
                Ok(answer) => Some((Ok(answer), Some(conversation))),
                Err(status) => Some((Err(status), None)),
            }
        });
        answers.boxed()
    }

    /// The next answer; `None` when its caller has no more requests.
    async fn next(&mut self) -> Result<Option<Answer>, Status> {
        if self.service.stop.is_cancelled() {
            self.overtime += 1;
        }
        if self.overtime > OVERTIME_REQUESTS_MAX {
            return Err(self.draining());
        }
        let request = tokio::select! {
            biased; // what has arrived is answered first
            request = self.requests.message() => request?,
            () = self.service.stop.cancelled() => return Err(self.draining()),
        };
        let Some(request) = request else { return Ok(None) };
        // who opened the stream may have been stopped since
        let asker = self.service.admit(&self.opening, Way::Stream)?;
        let parts = self.service.parse(&request.asked(), None)?;
        self.service.answer(&parts, &asker).await.map(Some)
    }

    fn draining(&self) -> Status {
        self.service.unavailable(Cause::Draining);
        status::draining()
    }
}
