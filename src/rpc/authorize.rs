//! The service `Authorize`.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
};

use futures_util::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    authorize::{Hot, Terms, authorize},
    clock,
    replica::lease::NotReady,
    rpc::{
        convert::{AuthorizeParts, outcome_to_pb},
        pb,
        reached::Reached,
        status,
    },
};

const BATCH_REQUESTS_MAX: usize = 1000;
/// What a stream may have had on its way when the server was told to stop.
const OVERTIME_REQUESTS_MAX: usize = 1000;

/// Answers for one replica.
#[derive(Clone, Debug)]
pub struct AuthorizeService {
    /// What decisions need.
    pub hot: Arc<Hot>,
    /// Tells of the revisions that the replica reaches.
    pub reached: Reached,
    /// Cancelled when streams are to end.
    pub stop: CancellationToken,
}

impl AuthorizeService {
    /// Decides; if the replica is behind what is wanted, once more when it is not, or time is up.
    async fn answer(&self, parts: &AuthorizeParts<'_>) -> Result<pb::AuthorizeResponse, Status> {
        match self.decide(parts) {
            Err(NotReady::Behind { .. }) => {
                self.reached.wait_for(parts.revision_min).await;
                self.decide(parts).map_err(status::not_ready)
            }
            result => result.map_err(status::not_ready),
        }
    }

    fn decide(&self, parts: &AuthorizeParts<'_>) -> Result<pb::AuthorizeResponse, NotReady> {
        let AuthorizeParts { presented, question, revision_min, record } = parts;
        let terms = Terms { now: clock::now(), revision_min: *revision_min, record: *record };
        let outcome = authorize(&self.hot, presented, question, terms)?;
        Ok(outcome_to_pb(&outcome, decision_id()))
    }
}

#[tonic::async_trait]
impl pb::authorize_server::Authorize for AuthorizeService {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let parts = AuthorizeParts::parse(request.get_ref(), None)?;
        self.answer(&parts).await.map(Response::new)
    }

    async fn batch_authorize(
        &self,
        request: Request<pb::BatchAuthorizeRequest>,
    ) -> Result<Response<pb::BatchAuthorizeResponse>, Status> {
        let requests = &request.get_ref().requests;
        if requests.is_empty() || requests.len() > BATCH_REQUESTS_MAX {
            return Err(status::invalid_field("requests", "must be 1 to 1000"));
        }
        let mut batch = Vec::with_capacity(requests.len());
        for (place, request) in requests.iter().enumerate() {
            batch.push(AuthorizeParts::parse(request, Some(place))?);
        }
        let mut responses = Vec::with_capacity(batch.len());
        for parts in &batch {
            responses.push(self.answer(parts).await?);
        }
        Ok(Response::new(pb::BatchAuthorizeResponse { responses }))
    }

    type StreamAuthorizeStream =
        Pin<Box<dyn Stream<Item = Result<pb::AuthorizeResponse, Status>> + Send>>;

    async fn stream_authorize(
        &self,
        request: Request<Streaming<pb::AuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        let conversation =
            Conversation { service: self.clone(), requests: request.into_inner(), overtime: 0 };
        // an error is the last item
        let answers = stream::unfold(Some(conversation), async |state| {
            let mut conversation = state?;
            match conversation.next().await.transpose()? {
                Ok(response) => Some((Ok(response), Some(conversation))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// One stream of requests.
struct Conversation {
    service: AuthorizeService,
    requests: Streaming<pb::AuthorizeRequest>,
    /// How many requests were answered since the server was told to stop.
    overtime: usize,
}

impl Conversation {
    /// The next answer; `None` when its caller has no more requests.
    async fn next(&mut self) -> Result<Option<pb::AuthorizeResponse>, Status> {
        if self.service.stop.is_cancelled() {
            self.overtime += 1;
        }
        if self.overtime > OVERTIME_REQUESTS_MAX {
            return Err(status::draining());
        }
        let request = tokio::select! {
            biased; // what has arrived is answered first
            request = self.requests.message() => request?,
            () = self.service.stop.cancelled() => return Err(status::draining()),
        };
        let Some(request) = request else { return Ok(None) };
        let parts = AuthorizeParts::parse(&request, None)?;
        self.service.answer(&parts).await.map(Some)
    }
}

/// Unique without any word between threads: a random number for each thread, and a count.
fn decision_id() -> String {
    thread_local! {
        static THREAD: u64 = RandomState::new().hash_one(std::thread::current().id());
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    let count = COUNT.replace(COUNT.get().wrapping_add(1));
    THREAD.with(|thread| format!("dec_{thread:016x}{count:x}"))
}
