//! The service `Authorize`.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
};

use futures_util::{Stream, stream};
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    admin::{Call, denial::Denial},
    authorize::{Hot, Outcome, Record, Terms, authorize, conclude},
    clock,
    limiter::{Charge, Due, Settled, Verdict, failures::Source, shared::Shared},
    model::{
        caller::{Action, Noun, Right},
        name::DomainName,
    },
    replica::lease::NotReady,
    rpc::{
        caller::authenticate,
        convert::{AuthorizeParts, outcome_to_pb, settlement},
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
    /// What asks the other replicas about limits, if there is something that can.
    pub shared: Option<Arc<Shared>>,
    /// Where ids of reservations come from.
    pub random: SystemRandom,
}

/// On which listener the service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The one of decisions: to everyone who reaches it, without explanations.
    Decisions,
    /// The one of operators: to admin keys, about keys that they may read.
    Operators,
}

/// Who asks.
#[derive(Clone, Debug)]
struct Asker {
    /// The operator, where only those may.
    call: Option<Arc<Call>>,
    /// From where.
    peer: Option<IpAddr>,
}

impl AuthorizeService {
    /// Decides; if the replica is behind what is wanted, once more when it is not, or time is up.
    async fn answer(
        &self,
        parts: &AuthorizeParts<'_>,
        asker: &Asker,
    ) -> Result<pb::AuthorizeResponse, Status> {
        let charge = self.charge(parts)?;
        let outcome = match self.decide(parts, asker, charge) {
            Err(NotReady::Behind { .. }) => {
                self.reached.wait_for(parts.revision_min).await;
                self.decide(parts, asker, charge)
            }
            result => result,
        };
        let mut outcome = outcome.map_err(status::not_ready)?;
        if let (Some(call), Some(key)) = (&asker.call, &outcome.key) {
            require_reader_of(call, &key.profile.domain.name)?;
        }
        if let Some(due) = outcome.due.take() {
            let verdict = self.ask_all(&due).await;
            conclude(&self.hot, &mut outcome, &due, verdict);
        }
        Ok(outcome_to_pb(&outcome, decision_id()))
    }

    /// What limits say if all replicas are asked; if they cannot be, what this one says.
    async fn ask_all(&self, due: &Due) -> Verdict {
        if let Some(shared) = &self.shared
            && let Ok(verdict) = shared.decide(due).await
        {
            return verdict;
        }
        let verdict = self.hot.limiter.decide(&self.hot.limiter.alone(due));
        // Redis may yet do what it did not do in time
        if let (Some(shared), Some((id, _)), Some(_)) = (&self.shared, due.ask.slot, verdict.denied)
        {
            shared.abandon(id, 0);
        }
        verdict
    }

    fn decide(
        &self,
        parts: &AuthorizeParts<'_>,
        asker: &Asker,
        charge: Charge,
    ) -> Result<Outcome, NotReady> {
        let AuthorizeParts { presented, question, revision_min, record, explain, .. } = parts;
        let (revision_min, record, explain) = (*revision_min, *record, *explain);
        let source = match (self.door, question.client, asker.peer) {
            (Door::Operators, ..) | (Door::Decisions, None, None) => None,
            (Door::Decisions, Some(client), _) => Some(Source::Client(client)),
            (Door::Decisions, None, Some(peer)) => Some(Source::Peer(peer)),
        };
        let terms = Terms { now: clock::now(), revision_min, record, explain, source, charge };
        authorize(&self.hot, presented, question, terms)
    }

    fn charge(&self, parts: &AuthorizeParts<'_>) -> Result<Charge, Status> {
        let reserve = parts.reserve.map(|span| {
            let mut random = [0; 16];
            self.random
                .fill(&mut random)
                .map_err(|ring::error::Unspecified| status::no_randomness())?;
            Ok::<_, Status>((random, span))
        });
        Ok(Charge { cost: parts.cost, reserve: reserve.transpose()? })
    }

    /// Lets in who may ask here.
    fn admit<T>(&self, request: &Request<T>) -> Result<Asker, Status> {
        let peer = request.remote_addr().map(|address| address.ip());
        match self.door {
            Door::Decisions => Ok(Asker { call: None, peer }),
            Door::Operators => {
                let call = authenticate(&self.hot, request)?;
                let right = Right { noun: Noun::Keys, action: Action::Read };
                if !call.caller.may(right) {
                    return Err(status::admin(Denial::NotPermitted { right }.into()));
                }
                Ok(Asker { call: Some(Arc::new(call)), peer })
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
            Door::Operators => {
                Ok(AuthorizeParts { record: Record::Nothing, reserve: None, ..parts })
            }
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

    async fn settle(
        &self,
        request: Request<pb::SettleRequest>,
    ) -> Result<Response<pb::SettleResponse>, Status> {
        if self.door == Door::Operators {
            return Err(status::not_here());
        }
        let (id, actual_cost) = settlement(request.get_ref())?;
        let now = clock::now();
        let here = self.hot.limiter.settle(id, actual_cost, now);
        let difference = match (here, &self.shared) {
            (Some(Settled { difference, elsewhere }), shared) => {
                if let (Some(reserved), Some(shared)) = (elsewhere, shared) {
                    shared.abandon(id, reserved);
                }
                difference
            }
            (None, None) => return Err(status::no_reservation()),
            (None, Some(shared)) => {
                let settled = shared.settle(id, actual_cost, now).await;
                let settled = settled.map_err(|away| status::limits_away(&away))?;
                settled.ok_or_else(status::no_reservation)?
            }
        };
        Ok(Response::new(pb::SettleResponse { difference }))
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
