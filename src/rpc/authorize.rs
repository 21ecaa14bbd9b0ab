//! The service `Authorize`.

mod conversation;
mod counting;
mod noting;
mod serve;

use std::{net::IpAddr, sync::Arc};

use futures_util::stream::BoxStream;
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    admin::{Call, denial::Denial, logins::FailedLogins},
    authorize::{Case, Hot, Outcome, Record, Terms, authorize, authorize_together, conclude},
    clock,
    journal::Journal,
    limiter::{Charge, Due, Settled, Verdict, failures::Source, shared::Shared},
    metrics::{Cause, Decisions, Tally},
    model::{
        caller::{Action, Noun, Right},
        decision::Way,
        name::DomainName,
        time::Now,
    },
    replica::{TOGETHER, lease::NotReady},
    rpc::{
        caller::authenticate,
        convert::{AuthorizeParts, settlement},
        pb, peer,
        reached::Reached,
        status, traced,
        wire::{
            answer::Answer,
            codec::{Asking, Batch, One},
            read::Asked,
        },
    },
};

use crate::telemetry::trace;
use conversation::Conversation;
use counting::cause;
pub use serve::AuthorizeServer;

const BATCH_REQUESTS_MAX: usize = 1000;
/// What an answer in a batch takes, about.
const ANSWER_BYTES: usize = 160;

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
    /// Logins of operators that failed.
    pub logins: Arc<FailedLogins>,
    /// Where decisions are noted.
    pub journal: Arc<Journal>,
    /// What this thread counts.
    pub tally: Arc<Tally>,
    /// Where there is another tally for another thread.
    pub decisions: Decisions,
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
    /// How.
    way: Way,
}

impl AuthorizeService {
    async fn answer(&self, parts: &AuthorizeParts<'_>, asker: &Asker) -> Result<Answer, Status> {
        let case = self.case(parts, asker, clock::now())?;
        let outcome = authorize(&self.hot, case.presented, &case.question, case.terms);
        let answer = self.finish(&case, asker, outcome).await?;
        self.took(asker.way, 1, case.terms.now);
        Ok(answer)
    }

    /// Answers a proxy that asks from there.
    pub(in crate::rpc) async fn answer_proxy(
        &self,
        parts: &AuthorizeParts<'_>,
        (peer, way): (Option<IpAddr>, Way),
    ) -> Result<Answer, Status> {
        self.answer(parts, &Asker { call: None, peer, way }).await
    }

    /// The same, if it can be had without waiting and without an error; otherwise nothing was taken or noted.
    /// It arrived before `now`. How long it took is for the caller to note.
    pub(in crate::rpc) fn answer_proxy_now(
        &self,
        parts: &AuthorizeParts<'_>,
        (peer, way, now): (Option<IpAddr>, Way, Now),
    ) -> Option<Answer> {
        let asker = Asker { call: None, peer, way };
        let case = self.case(parts, &asker, now).ok()?;
        let outcome = authorize(&self.hot, case.presented, &case.question, case.terms).ok()?;
        outcome.due.is_none().then(|| self.noted(&case, &asker, outcome))
    }

    /// The answer that a decision leads to. If the replica is behind what is wanted, it decides once more
    /// when it is not, or time is up.
    async fn finish(
        &self,
        case: &Case<'_>,
        asker: &Asker,
        outcome: Result<Outcome, NotReady>,
    ) -> Result<Answer, Status> {
        let outcome = match outcome {
            Err(NotReady::Behind { .. }) => {
                self.reached.wait_for(case.terms.revision_min).await;
                let terms = Terms { now: clock::now(), ..case.terms };
                authorize(&self.hot, case.presented, &case.question, terms)
            }
            result => result,
        };
        let mut outcome = outcome.map_err(|not_ready| {
            self.unavailable(cause(not_ready));
            status::not_ready(not_ready)
        })?;
        if let (Some(call), Some(key)) = (&asker.call, &outcome.key) {
            require_reader_of(call, &key.profile.domain.name)?;
        }
        if let Some(open) = outcome.due.take() {
            outcome = outcome.detached();
            let verdict = self.ask_all(&open.due).await;
            conclude(&self.hot, &mut outcome, (&open.due.wish, &open.occasion), verdict);
        }
        match asker.way {
            Way::Authorize | Way::ExtAuthz | Way::ForwardAuth => traced::note_decision(&outcome),
            // many decisions in one call
            Way::Batch | Way::Stream => {}
        }
        Ok(self.noted(case, asker, outcome))
    }

    /// Decides those of these that need no waiting and no error; each answer is taken when it is there. They
    /// arrived before `now`.
    fn answer_now(
        &self,
        requests: &[Option<Asked<'_>>; TOGETHER],
        (peer, now): (Option<IpAddr>, Now),
        mut take: impl FnMut(usize, Answer),
    ) {
        if self.door != Door::Decisions {
            return;
        }
        let asker = Asker { call: None, peer, way: Way::Authorize };
        let cases = std::array::from_fn(|at| {
            let parts = self.parse(requests.get(at)?.as_ref()?, None).ok()?;
            self.case(&parts, &asker, now).ok()
        });
        authorize_together(&self.hot, &cases, |at, outcome| match (outcome, cases.get(at)) {
            (Ok(outcome), Some(Some(case))) if outcome.due.is_none() => {
                take(at, self.noted(case, &asker, outcome));
            }
            // what is still to be asked of limits has not been taken
            (Ok(_) | Err(_), _) => {}
        });
    }

    /// What limits say if all replicas are asked; if they cannot be, what this one says.
    async fn ask_all(&self, due: &Due) -> Verdict {
        if let Some(shared) = &self.shared
            && let Ok(verdict) = shared.decide(due).await
        {
            return verdict;
        }
        let verdict = self.hot.limiter.decide(self.hot.limiter.alone(due));
        // Redis may yet do what it did not do in time
        if let (Some(shared), Some((id, _)), Some(_)) =
            (&self.shared, due.wish.ask.slot, verdict.denied)
        {
            shared.abandon(id, 0);
        }
        verdict
    }

    /// What is to be decided for a request that arrived before `now`.
    fn case<'a>(
        &self,
        parts: &AuthorizeParts<'a>,
        asker: &Asker,
        now: Now,
    ) -> Result<Case<'a>, Status> {
        let AuthorizeParts { presented, question, revision_min, record, explain, .. } = *parts;
        let source = match (self.door, question.client, asker.peer) {
            (Door::Operators, ..) | (Door::Decisions, None, None) => None,
            (Door::Decisions, Some(client), _) => Some(Source::Client(client)),
            (Door::Decisions, None, Some(peer)) => Some(Source::Peer(peer)),
        };
        let charge = self.charge(parts)?;
        let terms = Terms { now, revision_min, record, explain, source, charge };
        Ok(Case { presented, question, terms })
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
    fn admit<T>(&self, request: &Request<T>, way: Way) -> Result<Asker, Status> {
        let peer = peer::address(request);
        match self.door {
            Door::Decisions => Ok(Asker { call: None, peer, way }),
            Door::Operators => {
                let call = authenticate((&self.hot, &self.logins), request)?;
                let right = Right { noun: Noun::Keys, action: Action::Read };
                if !call.caller.may(right) {
                    return Err(status::admin(Denial::NotPermitted { right }.into()));
                }
                Ok(Asker { call: Some(Arc::new(call)), peer, way })
            }
        }
    }

    /// Reads a request, which may ask for explanations where operators do.
    fn parse<'a>(
        &self,
        request: &Asked<'a>,
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

impl AuthorizeService {
    async fn authorize(
        self: Arc<Self>,
        request: Request<Asking<One>>,
    ) -> Result<Response<Answer>, Status> {
        let asker = self.admit(&request, Way::Authorize)?;
        let parts = self.parse(&request.get_ref().asked(), None)?;
        self.answer(&parts, &asker).await.map(Response::new)
    }

    async fn batch_authorize(
        self: Arc<Self>,
        request: Request<Asking<Batch>>,
    ) -> Result<Response<Vec<u8>>, Status> {
        let asker = self.admit(&request, Way::Batch)?;
        let requests = request.get_ref().asked();
        if requests.is_empty() || requests.len() > BATCH_REQUESTS_MAX {
            return Err(status::invalid_field("requests", "must be 1 to 1000"));
        }
        let mut batch = Vec::with_capacity(requests.len());
        for (place, request) in requests.iter().enumerate() {
            batch.push(self.parse(request, Some(place))?);
        }
        trace::note("keyward.requests", || batch.len().to_string());
        let mut answers = Vec::with_capacity(batch.len() * ANSWER_BYTES);
        for group in batch.chunks(TOGETHER) {
            self.answer_group(group, &asker, &mut answers).await?;
        }
        Ok(Response::new(answers))
    }

    /// Answers up to [`TOGETHER`] requests of a batch.
    async fn answer_group(
        &self,
        group: &[AuthorizeParts<'_>],
        asker: &Asker,
        answers: &mut Vec<u8>,
    ) -> Result<(), Status> {
        let now = clock::now();
        let mut cases = [None; TOGETHER];
        for (case, parts) in cases.iter_mut().zip(group) {
            *case = Some(self.case(parts, asker, now)?);
        }
        let mut waiting: Vec<(usize, Result<Outcome, NotReady>)> = Vec::new();
        authorize_together(&self.hot, &cases, |at, outcome| match (outcome, cases.get(at)) {
            (Ok(outcome), Some(Some(case)))
                if waiting.is_empty() && asker.call.is_none() && outcome.due.is_none() =>
            {
                self.noted(case, asker, outcome).write_next(answers);
            }
            // and all after it, since answers keep the order of requests
            (outcome, _) => waiting.push((at, outcome.map(Outcome::detached))),
        });
        for (at, outcome) in waiting {
            if let Some(Some(case)) = cases.get(at) {
                self.finish(case, asker, outcome).await?.write_next(answers);
            }
        }
        self.took(Way::Batch, u64::try_from(group.len()).unwrap_or(0), now);
        Ok(())
    }

    async fn settle(
        self: Arc<Self>,
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
                let settled = settled.map_err(|away| {
                    self.unavailable(Cause::Limits);
                    status::limits_away(&away)
                })?;
                settled.ok_or_else(status::no_reservation)?
            }
        };
        Ok(Response::new(pb::SettleResponse { difference }))
    }

    fn stream_authorize(
        self: Arc<Self>,
        request: Request<Streaming<Asking<One>>>,
    ) -> Result<Response<BoxStream<'static, Result<Answer, Status>>>, Status> {
        self.admit(&request, Way::Stream)?;
        Ok(Response::new(Conversation::begin(self, request).answers()))
    }
}
