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
    admin::{Call, denial::Denial},
    authorize::{Hot, Outcome, Record, Terms, authorize},
    clock,
    model::{
        caller::{Action, Noun, Right},
        name::DomainName,
    },
    replica::lease::NotReady,
    rpc::{
        caller::authenticate,
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
    /// Who may ask what.
    pub door: Door,
}

/// On which listener the service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The one of decisions: to everyone who reaches it, without explanations.
    Decisions,
    /// The one of operators: to admin keys, about keys that they may read.
    Operators,
}

/// Who asks: an operator, where only those may.
type Asker = Option<Arc<Call>>;

impl AuthorizeService {
    /// Decides; if the replica is behind what is wanted, once more when it is not, or time is up.
    async fn answer(
        &self,
        parts: &AuthorizeParts<'_>,
        asker: &Asker,
    ) -> Result<pb::AuthorizeResponse, Status> {
        let outcome = match self.decide(parts) {
            Err(NotReady::Behind { .. }) => {
                self.reached.wait_for(parts.revision_min).await;
                self.decide(parts)
            }
            result => result,
        };
        let outcome = outcome.map_err(status::not_ready)?;
        if let (Some(call), Some(key)) = (asker, &outcome.key) {
            require_reader_of(call, &key.profile.domain.name)?;
        }
        Ok(outcome_to_pb(&outcome, decision_id()))
    }

    fn decide(&self, parts: &AuthorizeParts<'_>) -> Result<Outcome, NotReady> {
        let AuthorizeParts { presented, question, revision_min, record, explain } = parts;
        let (revision_min, record, explain) = (*revision_min, *record, *explain);
        let terms = Terms { now: clock::now(), revision_min, record, explain };
        authorize(&self.hot, presented, question, terms)
    }

    /// Lets in who may ask here.
    fn admit<T>(&self, request: &Request<T>) -> Result<Asker, Status> {
        match self.door {
            Door::Decisions => Ok(None),
            Door::Operators => {
                let call = authenticate(&self.hot, request)?;
                let right = Right { noun: Noun::Keys, action: Action::Read };
                if !call.caller.may(right) {
                    return Err(status::admin(Denial::NotPermitted { right }.into()));
                }
                Ok(Some(Arc::new(call)))
            }
        }
    }

    /// Reads a request, which may ask for explanations where operators do.
    fn parse<'a>(
        &self,
        request: &'a pb::AuthorizeRequest,
        place: Option<usize>,
    ) -> Result<AuthorizeParts<'a>, Status> {
        if request.explain && self.door == Door::Decisions {
            let field =
                place.map_or("explain".into(), |place| format!("requests[{place}].explain"));
            return Err(status::invalid_field(field, "is for the admin listener"));
        }
        let parts = AuthorizeParts::parse(request, place)?;
        match self.door {
            Door::Decisions => Ok(parts),
            // an operator who tries is not a use of the key
            Door::Operators => Ok(AuthorizeParts { record: Record::Nothing, ..parts }),
        }
    }
}

fn require_reader_of(call: &Call, domain: &DomainName) -> Result<(), Status> {
    if call.caller.reaches(domain) {
        return Ok(());
    }
    Err(status::admin(Denial::NotDelegated.into()))
}

#[tonic::async_trait]
impl pb::authorize_server::Authorize for AuthorizeService {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let asker = self.admit(&request)?;
        let parts = self.parse(request.get_ref(), None)?;
        self.answer(&parts, &asker).await.map(Response::new)
    }

    async fn batch_authorize(
        &self,
        request: Request<pb::BatchAuthorizeRequest>,
    ) -> Result<Response<pb::BatchAuthorizeResponse>, Status> {
        let asker = self.admit(&request)?;
        let requests = &request.get_ref().requests;
        if requests.is_empty() || requests.len() > BATCH_REQUESTS_MAX {
            return Err(status::invalid_field("requests", "must be 1 to 1000"));
        }
        let mut batch = Vec::with_capacity(requests.len());
        for (place, request) in requests.iter().enumerate() {
            batch.push(self.parse(request, Some(place))?);
        }
        let mut responses = Vec::with_capacity(batch.len());
        for parts in &batch {
            responses.push(self.answer(parts, &asker).await?);
        }
        Ok(Response::new(pb::BatchAuthorizeResponse { responses }))
    }

    type StreamAuthorizeStream =
        Pin<Box<dyn Stream<Item = Result<pb::AuthorizeResponse, Status>> + Send>>;

    async fn stream_authorize(
        &self,
        request: Request<Streaming<pb::AuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        self.admit(&request)?;
        let service = self.clone();
        let (metadata, extensions, requests) = request.into_parts();
        let opening = Request::from_parts(metadata, extensions, ());
        let conversation = Conversation { service, opening, requests, overtime: 0 };
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
    /// What the stream was opened with, which says who asks.
    opening: Request<()>,
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
        // who opened the stream may have been stopped since
        let asker = self.service.admit(&self.opening)?;
        let parts = self.service.parse(&request, None)?;
        self.service.answer(&parts, &asker).await.map(Some)
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
