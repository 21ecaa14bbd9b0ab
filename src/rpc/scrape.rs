//! `GET /metrics` of the http listener. What is shown is gathered by a task on the control runtime, so that
//! deciding threads have no work with it.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    metrics::{
        Registry,
        text::{Form, text},
    },
    rpc::http1::Answer,
};

/// Who may wait for an answer at once.
const SCRAPES_MAX: usize = 4;

/// What one client wants.
type Wish = (Form, oneshot::Sender<String>);

/// Asks for all values.
#[derive(Clone, Debug)]
pub struct Scraper(mpsc::Sender<Wish>);

/// Gathers all values whenever they are asked for.
#[derive(Debug)]
pub struct Gatherer {
    registry: Arc<Registry>,
    wishes: mpsc::Receiver<Wish>,
}

impl Scraper {
    /// One that asks, and one that answers.
    pub fn new(registry: Arc<Registry>) -> (Self, Gatherer) {
        let (ask, wishes) = mpsc::channel(SCRAPES_MAX);
        (Self(ask), Gatherer { registry, wishes })
    }

    /// All values, as who asks with these header fields wants them.
    pub(super) async fn respond(&self, headers: &HeaderMap) -> Answer {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let form = Form::wanted(accept.unwrap_or_default());
        let (tell, told) = oneshot::channel();
        let asked = self.0.try_send((form, tell)).is_ok();
        let shown = if asked { told.await.ok() } else { None };
        let busy = || Bytes::from_static(b"others are asking for metrics; try again\n");
        let (status, media_type, shown) = shown.map_or_else(
            || (StatusCode::SERVICE_UNAVAILABLE, "text/plain", busy()),
            |shown| (StatusCode::OK, form.media_type(), Bytes::from(shown)),
        );
        let mut answer = Response::new(Full::new(shown));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        answer
    }
}

impl Gatherer {
    /// Answers until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some((form, tell))) = stop.run_until_cancelled(self.wishes.recv()).await {
            // who has hung up does not want it any more
            tell.send(text(&self.registry.gather(clock::now()), form)).unwrap_or_default();
        }
        // nobody asks any more, which is no reason to end before the others
        stop.cancelled().await;
    }
}
